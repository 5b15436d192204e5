//! The restore drill: a database from a backup has forgotten what was revoked since. It is refused, and
//! accepted only with everything ended that it cannot know about.

use std::{
    fs,
    path::Path,
    process::{Output, Stdio},
};

use deputy::{
    base::time::{Clock, Seconds},
    demo::issuer::{Issuer, claims::Claims},
};
use reqwest::Method;
use serde_json::json;

use crate::{
    postgres::cluster,
    serve_process::{Folder, Registered, Server, deputy, free_address, token, user_token},
    store::Hand,
};

#[tokio::test]
async fn a_restored_sqlite_file_is_refused_until_everything_is_ended() {
    let folder = Folder::new();
    let backup = |dir: &Path| {
        fs::copy(dir.join("deputy.db"), dir.join("backup.db")).unwrap();
        "sqlite:backup.db".to_owned()
    };
    let hinder = [
        "CREATE TRIGGER hinder BEFORE INSERT ON revocation BEGIN SELECT RAISE(ABORT, 'no'); END",
        "DROP TRIGGER hinder",
    ];
    drill(&folder, "sqlite:deputy.db", (backup, hinder)).await;
}

#[tokio::test]
async fn a_restored_postgresql_database_is_refused_until_everything_is_ended() {
    let folder = Folder::new();
    let database = cluster().create_database("drill", "template1");
    let backup = |_: &Path| cluster().create_database("drill_backup", "drill");
    let hinder = [
        "ALTER TABLE revocation ADD CONSTRAINT hinder CHECK (revision < 0) NOT VALID",
        "ALTER TABLE revocation DROP CONSTRAINT hinder",
    ];
    drill(&folder, &database, (backup, hinder)).await;
}

/// `backup` copies the database of a server that has stopped, and says where the copy is; `hinder`
/// has it refuse revocations, and take them again.
async fn drill(
    folder: &Folder,
    database: &str,
    (backup, hinder): (impl Fn(&Path) -> String, [&'static str; 2]),
) {
    let (dir, address) = (&folder.0, free_address());
    let started = |database: &str, more: &[&str]| {
        Server::start(dir, &address, &[&["--database", database], more].concat())
    };
    let people = Issuer::start("corp").await.unwrap();
    let server = started(database, &[]);
    let registered = server.register(&people).await;
    stop(server);
    let copy = backup(dir);

    let server = started(database, &[]);
    let user = user_token(&people);
    let kept = ticket(&server, &registered, &user).await;
    let withdrawn = user_token(&people);
    let revoked = ticket(&server, &registered, &withdrawn).await;
    let (_, id) = token(&server.support(&registered).exchanges(&withdrawn).await.unwrap());
    server.admin(Method::POST, "/revocations", Some(&json!({ "delegation": id }))).await;
    server.admin(Method::POST, "/revocations", Some(&json!({ "agent": "cl_support" }))).await;
    stop(server);

    // The backup has forgotten both.
    let refused = run(dir, &copy, &[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{said}");
    assert!(said.contains("--restored") && said.contains("older"), "{said}");

    restored_halfway(dir, &copy, hinder).await;

    let server = started(&copy, &["--restored"]);
    let tickets = server.tickets(&registered);
    assert!(!tickets.accepts(&kept).await && !tickets.accepts(&revoked).await);
    for old in [&user, &withdrawn] {
        let again = server.support(&registered).exchanges(old).await.unwrap();
        assert_eq!((again.status, &again.json["error"]), (400, &json!("invalid_request")));
    }
    // Whoever logs in anew goes on.
    let later = Clock::System.wall().plus(Seconds::new(5));
    let login =
        people.access_token(Claims::new("alice", "deputy", later), "desk", "assist").unwrap();
    let new = ticket(&server, &registered, &login).await;
    assert!(tickets.accepts(&new).await);
    let report = server.admin(Method::GET, "/audit/verify", None).await;
    assert_eq!(report["ok"], true, "{report}");
    stop(server);
    // It is no older than itself: nothing more is wanted, and nothing more is ended.
    let server = started(&copy, &[]);
    assert!(server.tickets(&registered).accepts(&new).await);
    stop(server);
    // Another instance, which had seen more, finds out that somebody has restored it.
    fs::write(dir.join("keys/epoch"), r#"{"revision":8,"checkpoint":9000}"#).unwrap();
    stop(started(&copy, &[]));
    fs::write(dir.join("keys/epoch"), r#"{"revision":9000,"checkpoint":0}"#).unwrap();
    assert!(!run(dir, &copy, &[]).status.success(), "it knows revocations that nobody else knew");
    fs::write(dir.join("keys/epoch"), "what?").unwrap();
    let said = String::from_utf8_lossy(&run(dir, &copy, &[]).stderr).into_owned();
    assert!(said.contains("epoch"), "{said}");
}

/// A restore that breaks off leaves a database that looks as young as it was, and is refused still.
async fn restored_halfway(dir: &Path, copy: &str, [hinder, let_go]: [&'static str; 2]) {
    let url = copy.replace("sqlite:", &format!("sqlite:{}/", dir.display()));
    Hand::on(&url).await.run(hinder).await;
    assert!(!run(dir, copy, &["--restored"]).status.success());
    Hand::on(&url).await.run(let_go).await;
    for _ in 0..2 {
        let refused = run(dir, copy, &[]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("was not finished"), "{said}");
        // Nor by an instance that has seen nothing.
        fs::remove_file(dir.join("keys/epoch")).unwrap_or_default();
    }
}

fn run(dir: &Path, database: &str, more: &[&str]) -> Output {
    let address = free_address();
    let args = ["serve", "--listen", &address, "--database", database];
    let mut command = deputy(dir, &[&args, more].concat());
    command.stdout(Stdio::null()).output().unwrap()
}

fn stop(server: Server) {
    server.terminate();
    assert!(server.ended().success());
}

async fn ticket(server: &Server, registered: &Registered, user: &str) -> String {
    token(&server.support(registered).exchanges(user).await.unwrap()).0
}
