//! What the program promises as a process: its first start, its restart, its end by SIGTERM and by
//! `kill -9` under load.

mod keep;
mod kill;
mod several;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use deputy::demo::issuer::{Issuer, Mode};
use reqwest::Method;
use serde_json::Value;

use crate::{
    postgres::cluster,
    serve_process::{Folder, Server, deputy, free_address, token, user_token},
};

/// Runs each test on both engines; the failing one is named.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod on_sqlite { $(
            #[tokio::test]
            async fn $name() {
                super::$name(super::Place::on_sqlite()).await;
            }
        )* }
        mod on_postgres { $(
            #[tokio::test]
            async fn $name() {
                super::$name(super::Place::on_postgres()).await;
            }
        )* }
    };
}

on_both! {
    a_first_start_makes_what_it_needs_for_its_owner_alone
    a_restart_keeps_everything
    a_key_encryption_key_is_replaced
    sigterm_lets_a_request_in_flight_finish
    the_audit_log_says_who_acted_for_whom_to_an_operator
}

/// Where a process runs: it is started there as often as a test likes.
struct Place {
    folder: Folder,
    address: String,
    /// The database, unless it is the file that nothing need be said about.
    database: Option<String>,
}

impl Place {
    fn on_sqlite() -> Place {
        Place { folder: Folder::new(), address: free_address(), database: None }
    }

    fn on_postgres() -> Place {
        static PLACES: AtomicU64 = AtomicU64::new(0);
        let name = format!("process_{}", PLACES.fetch_add(1, Ordering::Relaxed));
        let database = Some(cluster().create_database(&name, "template1"));
        Place { database, ..Place::on_sqlite() }
    }

    fn start(&self) -> Server {
        self.start_at(&self.address)
    }

    /// One more instance on the same database and keys.
    fn start_beside(&self) -> Server {
        self.start_at(&free_address())
    }

    fn start_at(&self, address: &str) -> Server {
        let public = format!("http://{}", self.address);
        let mut flags = vec!["--public-url", &public];
        flags.extend(self.database.iter().flat_map(|url| ["--database", url]));
        Server::start(&self.folder.0, address, &flags)
    }
}

async fn a_first_start_makes_what_it_needs_for_its_owner_alone(place: Place) {
    let (folder, address) = (&place.folder, &place.address);
    let server = place.start();
    let mut names = vec!["keys/kek", "keys/admin-token"];
    names.extend(place.database.is_none().then_some("deputy.db"));
    for name in names {
        let mode = fs::metadata(folder.0.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let secret = fs::read_to_string(folder.0.join("keys/admin-token")).unwrap();
    assert!(server.said.contains(&format!("http://{address}/oauth2")), "{}", server.said);
    assert!(server.said.contains("keys/admin-token"), "{}", server.said);
    assert!(!server.said.contains(secret.trim()), "only a terminal is shown the token");
}

async fn a_restart_keeps_everything(place: Place) {
    let people = Issuer::start("corp").await.unwrap();
    let server = place.start();
    let registered = server.register(&people).await;
    let answer = server.support(&registered).exchanges(&user_token(&people)).await.unwrap();
    let (issued, _) = token(&answer);
    let keys = server.get("/oauth2/jwks").await.json;
    let clients = server.all("/clients", "").await;
    server.terminate();
    assert!(server.ended().success());

    let server = place.start();
    assert_eq!(server.get("/oauth2/jwks").await.json, keys);
    assert_eq!(server.all("/clients", "").await, clients);
    assert!(server.tickets(&registered).accepts(&issued).await);
}

async fn a_key_encryption_key_is_replaced(place: Place) {
    let dir = &place.folder.0;
    let people = Issuer::start("corp").await.unwrap();
    let server = place.start();
    let registered = server.register(&people).await;
    let answer = server.support(&registered).exchanges(&user_token(&people)).await.unwrap();
    let (issued, _) = token(&answer);
    let keys = server.get("/oauth2/jwks").await.json;
    server.terminate();
    assert!(server.ended().success());

    // A new one is made where there is none. Alone it opens nothing.
    fs::rename(dir.join("keys/kek"), dir.join("keys/kek.old")).unwrap();
    let mut alone = deputy(dir, &["serve", "--listen", &place.address]);
    alone.args(place.database.iter().flat_map(|url| ["--database", url]));
    let said = String::from_utf8(alone.output().unwrap().stderr).unwrap();
    assert!(said.contains("kek_beside_from"), "{said}");
    fs::write(dir.join("deputy.toml"), "kek_beside_from = \"file:keys/kek.old\"\n").unwrap();
    let server = place.start();
    assert_eq!(server.get("/oauth2/jwks").await.json, keys);
    assert!(server.tickets(&registered).accepts(&issued).await);
    for count in ["2 keys", "0 keys"] {
        let reseal = deputy(dir, &["key", "reseal"]).env("DEPUTY_URL", &server.url).output();
        let said = String::from_utf8(reseal.unwrap().stdout).unwrap();
        assert!(said.starts_with(count), "{said}");
    }
    server.terminate();
    assert!(server.ended().success());

    // The old one opens nothing any more, and is not wanted.
    fs::remove_file(dir.join("deputy.toml")).unwrap();
    fs::remove_file(dir.join("keys/kek.old")).unwrap();
    let server = place.start();
    assert_eq!(server.get("/oauth2/jwks").await.json, keys);
    assert!(server.tickets(&registered).accepts(&issued).await);
    let rotated = server.admin(Method::POST, "/keys/rotate", None).await;
    assert_eq!(rotated["items"].as_array().unwrap().len(), 2);
}

/// The key-encryption key in its own place or a mounted one, and the token of the command line.
#[test]
fn a_secret_that_others_can_read_is_refused_with_its_cure() {
    let folder = Folder::new();
    let address = free_address();
    let server = Server::start(&folder.0, &address, &[]);
    let url = format!("http://{address}");
    let allow = |name: &str, mode: u32| {
        fs::set_permissions(folder.0.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    let refuses = |args: &[&str], name: &str| {
        let ran = deputy(&folder.0, args).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(!ran.status.success(), "{said}");
        assert!(said.contains(name) && said.contains("chmod 600"), "{said}");
    };
    let list = ["client", "list", "--url", &url, "--token-file", "keys/admin-token"];
    for mode in [0o604, 0o602, 0o644] {
        allow("keys/admin-token", mode);
        refuses(&list, "keys/admin-token");
        refuses(&list[..4], "keys/admin-token");
    }
    allow("keys/admin-token", 0o400);
    assert!(deputy(&folder.0, &list).output().unwrap().status.success());
    server.terminate();
    assert!(server.ended().success());

    let serve = ["serve", "--listen", &address];
    allow("keys/kek", 0o644);
    refuses(&serve, "key-encryption key");
    fs::write(folder.0.join("deputy.toml"), "kek_from = \"file:keys/kek\"\n").unwrap();
    refuses(&serve, "kek_from");
    allow("keys/kek", 0o400);
    Server::start(&folder.0, &address, &[]).kill();

    fs::write(folder.0.join("client key.pem"), "").unwrap();
    allow("client key.pem", 0o644);
    let url = "postgres://deputy@127.0.0.1/deputy?sslkey=client%20key.pem";
    refuses(&[&serve[..], &["--database", url]].concat(), "client key.pem");
    refuses(&["migrate", "--check", "--database", url], "client key.pem");
}

#[test]
fn a_bad_configuration_is_explained_by_key_and_cure() {
    let folder = Folder::new();
    let bad = "listen = \"nowhere\"\npublic_url = \"http://deputy.example\"\nlisten_on = 1\n";
    fs::write(folder.0.join("deputy.toml"), bad).unwrap();
    let ran = deputy(&folder.0, &["check-config"]).output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    for (key, cure) in [("listen", "127.0.0.1"), ("public_url", "https"), ("listen_on", "listen")] {
        let explained = said.lines().any(|line| line.contains(key) && line.contains(cure));
        assert!(explained, "{key} and {cure}: {said}");
    }
    assert!(!Path::new(&folder.0).join("deputy.db").exists(), "checking starts nothing");
}

async fn sigterm_lets_a_request_in_flight_finish(place: Place) {
    let issuer = Issuer::start("corp").await.unwrap();
    let server = place.start();
    let registered = server.register(&issuer).await;
    // The exchange waits for the issuer's keys, and the signal comes meanwhile.
    issuer.set_mode(Mode::Slow(1_000));
    let support = server.support(&registered);
    let subject = user_token(&issuer);
    let exchange = tokio::spawn(async move { support.exchanges(&subject).await });
    while asked(&issuer) == 0 {
        tokio::task::yield_now().await;
    }
    server.terminate();
    let answer = exchange.await.unwrap().unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(server.ended().success());
}

/// How often anything was asked of the issuer that an exchange needs.
fn asked(issuer: &Issuer) -> u64 {
    issuer.jwks_hits()
        + issuer.hits("/corp/.well-known/openid-configuration")
        + issuer.hits("/.well-known/oauth-authorization-server/corp")
}

async fn the_audit_log_says_who_acted_for_whom_to_an_operator(place: Place) {
    let issuer = Issuer::start("corp").await.unwrap();
    let server = place.start();
    let registered = server.register(&issuer).await;
    let answer = server.support(&registered).exchanges(&user_token(&issuer)).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let args = ["audit", "list", "--user", "alice", "--kind", "exchange"];
    let ran = deputy(&place.folder.0, &args).env("DEPUTY_URL", &server.url).output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(said.contains("alice ← support"), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    let report = server.admin(Method::GET, "/audit/verify", None).await;
    assert_eq!(report["ok"], true, "{report}");
    read_page_by_page(&place, &server);
}

/// The whole log one event at a time, going on from where each list says: as it is in one list.
fn read_page_by_page(place: &Place, server: &Server) {
    let list = |more: &[&str]| {
        let args = [&["audit", "list", "--json", "--kind", "configuration"], more].concat();
        let ran = deputy(&place.folder.0, &args).env("DEPUTY_URL", &server.url).output().unwrap();
        let said: Value = serde_json::from_slice(&ran.stdout).unwrap();
        (said["items"].as_array().unwrap().clone(), said["next"].as_str().map(str::to_owned))
    };
    let (whole, none) = list(&[]);
    assert!(whole.len() > 2 && none.is_none(), "{whole:?}");
    let (mut pages, mut next) = list(&["--limit", "1"]);
    while let Some(cursor) = next {
        let (page, further) = list(&["--limit", "1", "--after", &cursor]);
        assert!(page.len() <= 1);
        pages.extend(page);
        next = further;
    }
    assert_eq!(pages, whole);
    let args = ["audit", "list", "--limit", "1"];
    let ran = deputy(&place.folder.0, &args).env("DEPUTY_URL", &server.url).output().unwrap();
    let hint = String::from_utf8(ran.stderr).unwrap();
    assert!(hint.starts_with("there may be more: --after "), "{hint}");
}

#[test]
fn the_demo_tells_its_whole_stories() {
    let folder = Folder::new();
    let injection: &[&str] =
        &["alice", "support-agent", "billing-agent", "argument_not_permitted", "refunds.export"];
    let policy: &[&str] = &["in shadow", "2 newly denied", "policy_forbids", "rollback"];
    for (line, words) in [(&["demo"][..], injection), (&["demo", "policy"][..], policy)] {
        let ran = deputy(&folder.0, line).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
        for word in words {
            assert!(said.contains(word), "{word} is missing:\n{said}");
        }
    }
}
