//! L5. The only place that knows HTTP: connections, heads, bodies, routes and answers.
//!
//! Nothing here decides: a handler parses, calls one function of `service`, and replies. A request
//! passes `serve` (the accept loop), `routes` (the table), `around` (its name, its log line), then
//! `client` or the gate of `admin`, then its handler; `error` turns every no into an answer.

pub mod admin;
pub mod around;
pub mod authzen;
pub mod client;
pub mod error;
pub mod form;
pub mod head;
pub mod health;
pub mod introspect;
pub mod lines;
pub mod metadata;
pub mod reply;
pub mod revoke;
pub mod routes;
pub mod serve;
pub mod token;

use std::io;

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use self::{
    routes::{Doors, Side},
    serve::Drained,
};
use crate::service::Deputy;

/// Where to listen: bound already, so that a taken port is known before anything starts.
#[derive(Debug)]
pub struct Listeners {
    /// For clients and the public; for operators too, unless `admin` is there.
    pub protocol: TcpListener,
    /// For operators alone.
    pub admin: Option<TcpListener>,
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    /// Where the protocol is, such as `http://127.0.0.1:8420`: the address it is bound to, which
    /// behind a proxy is not the public URL.
    pub url: String,
    /// Where the admin API is; the same unless it has a listener of its own.
    pub admin_url: String,
    ended: JoinHandle<Drained>,
}

impl Running {
    /// Waits until the server has stopped: drained, everything written, the database closed.
    pub async fn ended(self) -> io::Result<Drained> {
        Ok(self.ended.await?)
    }
}

/// Serves a started `deputy` until `stop` resolves, then drains it and stops it. What `deputy
/// serve` and the demo call.
pub fn start(
    deputy: Deputy,
    listeners: Listeners,
    options: serve::Options,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<Running> {
    let url = url(&listeners.protocol)?;
    let admin_url = listeners.admin.as_ref().map(self::url).transpose()?;
    let admin_url = admin_url.unwrap_or_else(|| url.clone());
    let ended = tokio::spawn(run(deputy, listeners, options, stop));
    Ok(Running { url, admin_url, ended })
}

fn url(listener: &TcpListener) -> io::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

async fn run(
    deputy: Deputy,
    listeners: Listeners,
    options: serve::Options,
    stop: impl Future<Output = ()> + Send,
) -> Drained {
    let (stopping, stopped) = watch::channel(false);
    let (drained, is_drained) = watch::channel(false);
    let serving = async {
        let Listeners { protocol, admin } = listeners;
        let side = if admin.is_some() { Side::Protocol } else { Side::Both };
        let on = |listener, side| {
            serve::serve(listener, Doors::of(&deputy, side), options, is_true(stopped.clone()))
        };
        let second = async {
            match admin {
                Some(admin) => on(admin, Side::Admin).await.cut,
                None => 0,
            }
        };
        let (first, second) = tokio::join!(on(protocol, side), second);
        drained.send_replace(true);
        Drained { cut: first.cut.saturating_add(second) }
    };
    let stop = async {
        stop.await;
        stopping.send_replace(true);
    };
    // The beat goes on while requests drain: what another process revoked must still arrive.
    let (result, (), ()) = tokio::join!(serving, stop, deputy.beat(is_true(is_drained)));
    deputy.stop().await;
    result
}

async fn is_true(mut seen: watch::Receiver<bool>) {
    // A sender that is gone has stopped as well.
    _ = seen.wait_for(|value| *value).await;
}
