//! The filters of the admin API's lists.

use serde_json::Value;

use crate::{
    serve_process::encode,
    world::{
        World, on_both,
        story::{REFUNDS, TICKETS},
        wire::{Answer, claims},
    },
};

on_both! {
    every_filter_of_a_list_finds_what_it_names_and_nothing_else
}

async fn every_filter_of_a_list_finds_what_it_names_and_nothing_else(world: World) {
    let asked = |user: &str| world.agent("support").exchanges(&world.token_of(user));
    let token = asked("alice").at(TICKETS).scope("tickets:read").token().await;
    let call = world.server("tickets").asks(&token, "tickets.get", "{}").await;
    let refused = asked("bob").at(REFUNDS).scope("refunds:read").send().await;
    world.deputy.store().writer().flush().await.unwrap();
    let claims = claims(&token);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (txn, iss) = (text(&claims["txn"]), encode(&world.issuer.url()));
    let decision = text(&call.json["decision"]["id"]);
    let error = text(&refused.json["error_id"]);
    let list = async |query: &str| {
        let answer = Answer::of(world.operates("GET", &format!("/admin/v1{query}"))).await;
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        answer.json["items"].as_array().unwrap().len()
    };
    for (query, found) in [
        (format!("/delegations?transaction={txn}"), 1),
        (format!("/delegations?subject_iss={iss}&subject_sub=alice"), 1),
        (format!("/delegations?subject_iss={iss}&subject_sub=bob"), 0),
        ("/delegations?client=cl_support".to_owned(), 1),
        ("/delegations?client=cl_billing".to_owned(), 0),
        ("/delegations?live=true".to_owned(), 1),
        (format!("/delegations?parent={}", text(&claims["jti"])), 0),
        (format!("/events?subject_iss={iss}&subject_sub=alice"), 2),
        (format!("/events?subject_iss={iss}&subject_sub=bob"), 1),
        ("/events?client=cl_tickets".to_owned(), 1),
        ("/events?agent=cl_support".to_owned(), 3),
        ("/events?tool=tickets.get".to_owned(), 1),
        ("/events?tool=tickets.put".to_owned(), 0),
        (format!("/events?transaction={txn}"), 2),
        ("/events?kind=decision".to_owned(), 1),
        ("/events?kind=exchange&outcome=refused".to_owned(), 1),
        ("/events?kind=exchange&outcome=granted".to_owned(), 1),
        (format!("/events?decision={decision}"), 1),
        (format!("/events?error_id={error}"), 1),
        (format!("/events?since={}", world.deputy.now().epoch_s() + 1), 0),
    ] {
        assert_eq!(list(&query).await, found, "{query}");
    }
    for query in [
        "/delegations?transaction=x",
        "/delegations?live=maybe",
        "/events?kind=x",
        "/events?outcome=x",
        "/events?decision=x",
        "/events?error_id=x",
        "/events?since=x",
        "/events?subject_sub=alice",
        "/events?after=x",
        "/delegations?parent=x",
    ] {
        let answer = Answer::of(world.operates("GET", &format!("/admin/v1{query}"))).await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
    }
}
