//! Deputy itself, as the demo starts it: on a free port, with a database and keys of its own that
//! go when the story is over. What runs is what `serve` runs.

use std::{fs, net::Ipv4Addr, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::{net::TcpListener, sync::oneshot};

use super::DemoError;
use crate::{
    base::{random::Random, secret::Secret},
    http::{self, Listeners, Running, serve},
    service::{self, Ambient, keys::ADMIN_TOKEN_FILE, remote::fetch::Roots},
};

/// A running Deputy.
#[derive(Debug)]
pub struct Deputy {
    running: Running,
    stop: oneshot::Sender<()>,
    home: Home,
}

/// A directory of our own, which is removed when this is dropped.
#[derive(Debug)]
struct Home(PathBuf);

impl Deputy {
    /// Starts it on SQLite.
    pub async fn start() -> Result<Deputy, DemoError> {
        let home = Home::new()?;
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(DemoError::Listen)?;
        let address = listener.local_addr().map_err(DemoError::Listen)?;
        let options = service::Options {
            public_url: format!("http://{address}"),
            issuer_path: "/oauth2".to_owned(),
            database: format!("sqlite:{}", home.0.join("deputy.db").display()),
            keys_dir: home.0.join("keys"),
            kek: None,
            kek_beside: None,
            allow_loopback_issuers: true,
            trusted_roots: Roots::default(),
            rotate_keys_every: None,
            keep_audit: None,
            restored: false,
        };
        let deputy = service::Deputy::start(options, Ambient::system())
            .await
            .map_err(|fault| DemoError::Deputy(fault.to_string()))?;
        let listeners = Listeners { protocol: listener, admin: None };
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            // A sender that is gone has stopped as well.
            let _ = stopped.await;
        };
        let running = http::start(deputy, listeners, serve::Options::default(), stopped)
            .map_err(DemoError::Listen)?;
        Ok(Deputy { running, stop, home })
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        self.running.url.clone()
    }

    /// The bootstrap token, from the file that only its owner may read.
    pub fn admin_token(&self) -> Result<Secret<String>, DemoError> {
        let path = self.home.0.join("keys").join(ADMIN_TOKEN_FILE);
        let token = fs::read_to_string(path).map_err(DemoError::Home)?;
        Ok(Secret::new(token.trim().to_owned()))
    }

    /// Where its database and keys are.
    pub fn home(&self) -> String {
        self.home.0.display().to_string()
    }

    /// Drains it and removes everything it wrote.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        // Nothing is left to be lost: the story is told.
        let _ = self.running.ended().await;
    }
}

impl Home {
    fn new() -> Result<Home, DemoError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let name =
            Random::system().bytes::<9>().map_err(|error| DemoError::Deputy(error.to_string()))?;
        let path =
            std::env::temp_dir().join(format!("deputy-demo-{}", URL_SAFE_NO_PAD.encode(name)));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(DemoError::Home)?;
        Ok(Home(path))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // The system clears its temporary directory if we cannot.
        let _ = fs::remove_dir_all(&self.0);
    }
}
