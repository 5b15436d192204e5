//! A TCP proxy before the database that can stop passing anything on, or cut every connection. What
//! it held back arrives when it goes on, as from a network that was away.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// They pass.
    Open,
    /// They wait, and nobody is told.
    Held,
    /// What the client says passes; what the database answers is lost.
    Deaf,
    /// Every connection is closed, and every new one.
    Cut,
}

/// The proxy. It ends when it is dropped.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    passage: watch::Sender<Passage>,
}

impl Proxy {
    /// One before this address.
    pub async fn before(database: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (passage, seen) = watch::channel(Passage::Open);
        tokio::spawn(accept(listener, database, seen));
        Proxy { address, passage }
    }

    /// Changes what becomes of bytes, at once.
    pub fn set(&self, passage: Passage) {
        self.passage.send_replace(passage);
    }
}

async fn accept(listener: TcpListener, database: SocketAddr, seen: watch::Receiver<Passage>) {
    let mut gone = seen.clone();
    loop {
        let client = tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            // Its owner is gone.
            _ = gone.wait_for(|_| false) => return,
        };
        if *seen.borrow() == Passage::Cut {
            continue;
        }
        let Ok(server) = TcpStream::connect(database).await else { continue };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::spawn(pass(from_client, to_server, seen.clone(), [Passage::Open, Passage::Deaf]));
        tokio::spawn(pass(from_server, to_client, seen.clone(), [Passage::Open; 2]));
    }
}

/// Passes bytes on in one direction, while the passage is one of those at which they go through.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut seen: watch::Receiver<Passage>,
    through: [Passage; 2],
) {
    let mut bytes = [0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read,
            _ = seen.wait_for(|passage| *passage == Passage::Cut) => return,
        };
        let Some(n) = read.ok().filter(|n| *n > 0) else { return };
        let goes_on = seen.wait_for(|passage| *passage != Passage::Held).await;
        match goes_on.map(|passage| *passage) {
            Ok(Passage::Deaf) if !through.contains(&Passage::Deaf) => continue,
            Ok(passage) if through.contains(&passage) => {}
            _ => return,
        }
        if to.write_all(&bytes[..n]).await.is_err() {
            return;
        }
    }
}
