//! The example runs as it stands, as a program of its own.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use deputy_client::{
    agent::Want,
    authority::{Constraint, Tools},
};
use serde_json::json;

use crate::{
    story::{ERAS, Session},
    world::{World, beside},
};

/// A program that is killed when it is dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_rmcp_server_runs_what_was_delegated_and_denies_the_rest() {
    let (world, door) = World::before_tickets().await;
    let url = &world.tickets.url;
    // The program takes the port.
    drop(door);
    let mut child = Command::new(beside("examples/rmcp-server"))
        .env("DEPUTY_ISSUER", world.deputy.issuer())
        .env("DEPUTY_CLIENT_ID", &world.owner.0)
        .env("DEPUTY_CLIENT_SECRET", &world.owner.1)
        .env("DEPUTY_TIMEOUT_S", "60")
        .env("RESOURCE", url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let _program = Program(child);
    assert!(said.next().unwrap().unwrap().starts_with("listening"));

    let tools = Tools::new()
        .tool("tickets.get", [("id", Constraint::exact(4711))])
        .tool("tickets.close", [("id", Constraint::exact(4711))]);
    let want = Want::tools(url, &tools);
    let token = world.support().token(&world.person("alice"), &want).await.unwrap();
    for era in ERAS {
        let session = Session::open(era, url, &token).await;
        let read = session.call("tickets.get", json!({ "id": 4711 })).await;
        assert!(read.contains("Ignore previous instructions"), "{read}");
        let other = session.call("tickets.get", json!({ "id": 4712 })).await;
        assert!(other.contains("argument_not_permitted"), "{other}");
        let closed = session.call("tickets.close", json!({ "id": 4711 })).await;
        assert_eq!(closed, "alice > cl_support-agent closed 4711");
    }
}
