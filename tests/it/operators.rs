//! Who may use the admin API, and for how long.

use deputy::model::event::Event;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    serve_process::{Folder, Server, deputy, free_address},
    world::{World, on_both},
};

on_both! {
    an_auditor_reads_everything_and_changes_nothing
    a_replaced_token_opens_nothing_any_more
    an_ended_operator_is_out_at_once_and_its_name_stays_taken
    the_last_administrator_stays
    a_document_that_is_wrong_is_refused_member_by_member
}

async fn made(world: &World, name: &str, role: &str) -> String {
    let answer = world.operator().post("/operators", json!({ "name": name, "role": role })).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json["admin_token"].as_str().unwrap().to_owned()
}

async fn an_auditor_reads_everything_and_changes_nothing(world: World) {
    let auditor = world.bearer(&made(&world, "audit-team", "auditor").await);
    for path in ["/operators", "/clients", "/resources", "/issuers", "/events", "/keys"] {
        assert_eq!(auditor.get(path).await.status, 200, "{path}");
    }
    let listed = auditor.get("/operators").await;
    let known: Vec<(&str, &str)> = listed.json["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["name"].as_str().unwrap(), one["role"].as_str().unwrap()))
        .collect();
    assert_eq!(known, [("audit-team", "auditor"), ("bootstrap", "admin")]);
    for (method, path) in [
        (Method::POST, "/operators"),
        (Method::DELETE, "/operators/bootstrap"),
        (Method::POST, "/operators/audit-team/token"),
        (Method::POST, "/keys/rotate"),
        (Method::POST, "/keys/reseal"),
    ] {
        assert_eq!(auditor.sends(method, path, None).await.status, 403, "{path}");
    }
}

async fn a_replaced_token_opens_nothing_any_more(world: World) {
    let old = made(&world, "second", "admin").await;
    // Also its own.
    let answer = world.bearer(&old).sends(Method::POST, "/operators/second/token", None).await;
    let new = answer.json["admin_token"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    assert_eq!(world.bearer(&old).get("/clients").await.status, 401);
    assert_eq!(world.bearer(&new).get("/clients").await.status, 200);
    let event = newest(&world).await;
    assert_eq!(&*event.reason, "operator.token_replaced");
    assert!(event.detail.contains(&("operator".into(), "second".into())), "{event:?}");
    assert!(!format!("{event:?}").contains(&new), "a token is never on record");
}

async fn an_ended_operator_is_out_at_once_and_its_name_stays_taken(world: World) {
    let token = made(&world, "gone", "admin").await;
    let ended = world.operator().sends(Method::DELETE, "/operators/gone", None).await;
    assert_eq!(ended.status, 204);
    assert_eq!(world.bearer(&token).get("/clients").await.status, 401);
    assert_eq!(&*newest(&world).await.reason, "operator.ended");
    let again = json!({ "name": "gone", "role": "auditor" });
    let again = world.operator().post("/operators", again).await;
    assert_eq!(again.status, 409);
    assert!(again.json["detail"].as_str().unwrap().contains("new token"), "{}", again.text);
    // With a new token it is let in again, as what it was.
    let answer = world.operator().sends(Method::POST, "/operators/gone/token", None).await;
    assert_eq!((answer.status, &answer.json["enabled"]), (200, &json!(true)));
    let new = answer.json["admin_token"].as_str().unwrap();
    assert_eq!(world.bearer(new).get("/clients").await.status, 200);
    assert_eq!(world.bearer(&token).get("/clients").await.status, 401);
}

async fn the_last_administrator_stays(world: World) {
    made(&world, "reader", "auditor").await;
    let last = world.operator().sends(Method::DELETE, "/operators/bootstrap", None).await;
    assert_eq!(last.status, 409);
    assert!(last.json["detail"].as_str().unwrap().contains("last administrator"), "{}", last.text);
    let second = world.bearer(&made(&world, "second", "admin").await);
    assert_eq!(second.sends(Method::DELETE, "/operators/bootstrap", None).await.status, 204);
    assert_eq!(world.operator().get("/clients").await.status, 401);
    assert_eq!(second.sends(Method::DELETE, "/operators/second", None).await.status, 409);
}

async fn a_document_that_is_wrong_is_refused_member_by_member(world: World) {
    let wrong = json!({ "name": "Audit Team", "role": "root", "admin": true });
    let answer = world.operator().post("/operators", wrong).await;
    assert_eq!(answer.status, 400);
    let places: Vec<&Value> =
        answer.json["errors"].as_array().unwrap().iter().map(|e| &e["pointer"]).collect();
    assert_eq!(places.len(), 3, "{}", answer.text);
}

async fn newest(world: &World) -> Event {
    world.events().await.into_iter().next().unwrap()
}

#[tokio::test]
async fn operators_by_the_command_line() {
    let folder = Folder::new();
    let server = Server::start(&folder.0, &free_address(), &[]);
    let run = |token: Option<&str>, line: &str| {
        let args: Vec<&str> = line.split(' ').collect();
        let mut command = deputy(&folder.0, &args);
        command.env("DEPUTY_URL", &server.url);
        if let Some(token) = token {
            command.env("DEPUTY_ADMIN_TOKEN", token);
        }
        let ran = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (ran.status.code().unwrap(), text(ran.stdout), text(ran.stderr))
    };
    let (code, token, said) = run(None, "operator create audit-team --role auditor");
    assert_eq!((code, &*said), (0, "created audit-team; its secret is shown this once:\n"));
    let token = token.trim().to_owned();
    let (code, listed, _) = run(Some(&token), "operator list");
    let listed: Vec<Vec<&str>> =
        listed.lines().map(|line| line.split_whitespace().collect()).collect();
    let expected = [
        vec!["OPERATOR", "ROLE", "STATE"],
        vec!["audit-team", "auditor", "enabled"],
        vec!["bootstrap", "admin", "enabled"],
    ];
    assert_eq!((code, listed), (0, expected.to_vec()));
    assert_eq!(run(Some(&token), "operator end bootstrap").0, 1);
    assert_eq!(run(None, "operator end audit-team").1, "ended the operator audit-team\n");
    assert_eq!(run(Some(&token), "operator list").0, 1);
    let (code, new, _) = run(None, "operator token audit-team");
    assert_eq!(code, 0);
    assert_eq!(run(Some(new.trim()), "operator list").0, 0);
}
