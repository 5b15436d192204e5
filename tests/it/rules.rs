//! Rules of the standards that no story tells by itself, one test each, named by its requirement.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deputy::demo::issuer::claims::Claims;
use serde_json::{Value, json};

use crate::world::{
    ISSUER, World, on_both,
    story::{BILLING, FOREIGN_CLIENT, LEDGER, REFUNDS, TICKETS},
    wire::{self, Answer, ID_TOKEN, Request, claims, exact},
};

on_both! {
    tx15_a_token_carries_what_its_server_may_see_and_no_more
    act2_act_carries_identity_only
    act8_an_inbound_chain_is_never_dropped_silently
    act9_a_delegation_that_cannot_be_validated_is_refused_never_made_undelegated
    act11_an_id_token_gives_a_subject_and_never_an_actor
    act12_a_call_token_need_not_be_addressed_to_us_to_be_exchanged
    act18_who_stays_keeps_the_chain_and_who_comes_extends_it
    act21_an_actor_that_is_not_allowed_here_is_actor_unauthorized
    te2_errors_are_json_with_the_permitted_characters
    at3_an_access_token_is_verified_in_order_and_refused_whole
    jw4_the_audience_is_checked
    jw7_there_is_no_jwe
    in7_unknown_and_revoked_are_told_alike_and_leave_no_trace
    ra1_details_are_an_array_of_typed_objects
}

fn exchange<'a>(world: &'a World, token: &str) -> Request<'a> {
    world.agent("support").exchanges(token).at(TICKETS).scope("tickets:read")
}

fn refund_tools() -> Value {
    json!({ "refunds.list": { "order_id": exact("A-17") } })
}

/// Alice's hand-over to the billing agent, and its call token.
async fn line(world: &World) -> (String, String) {
    let hand_over = world.agent("support").exchanges(&world.alice()).at(BILLING);
    let hand_over = hand_over.tools(REFUNDS, refund_tools()).token().await;
    let call = world.agent("billing").takes_over(&hand_over).at(REFUNDS).token().await;
    (hand_over, call)
}

fn members(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The precise reason on record for a refusal.
async fn reason(world: &World, refused: &Answer) -> String {
    let id = refused.json["error_id"].as_str().unwrap();
    let events = world.events().await;
    let event = events.iter().find(|e| e.error.is_some_and(|e| e.to_string() == id)).unwrap();
    event.reason.to_string()
}

async fn tx15_a_token_carries_what_its_server_may_see_and_no_more(world: World) {
    // Alice's own token names her groups and her e-mail address.
    let onward = wire::entry(LEDGER, json!({ "ledger.get": {} }));
    let here = wire::entry(REFUNDS, refund_tools());
    let asked = world.agent("support").exchanges(&world.alice()).at(REFUNDS);
    let token = asked.details(json!([here, onward])).token().await;
    let standard = [
        "iss",
        "sub",
        "sub_profile",
        "sub_id",
        "aud",
        "client_id",
        "act",
        "scope",
        "authorization_details",
        "iat",
        "exp",
        "jti",
        "txn",
        "dlg",
        "via",
        "rev",
    ];
    let allowed: BTreeSet<&str> = standard.into_iter().collect();
    let said = claims(&token);
    assert!(members(&said).is_subset(&allowed), "{said}");
    let seen = world.server("refunds").sees(&token).await.json;
    let told = seen.to_string();
    assert!(!told.contains("alice@example.com") && !told.contains(LEDGER), "{told}");
}

async fn act2_act_carries_identity_only(world: World) {
    let (hand_over, call) = line(&world).await;
    let identity: BTreeSet<&str> = ["iss", "sub", "sub_profile", "act"].into_iter().collect();
    for token in [&hand_over, &call] {
        let said = claims(token);
        let mut hop = &said["act"];
        while hop.is_object() {
            assert!(members(hop).is_subset(&identity), "{hop}");
            hop = &hop["act"];
        }
    }
}

async fn act8_an_inbound_chain_is_never_dropped_silently(world: World) {
    let bot = json!({ "iss": world.issuer.url(), "sub": "desk-bot" });
    let asserted = world.access_token(world.claims("alice").with("act", bot.clone()));
    // Not understood is refused, not left out.
    exchange(&world, &asserted).send().await.is_refused("invalid_request");
    world.change("issuer", "corp", "asserts_actors", json!(true)).await;
    let token = exchange(&world, &asserted).token().await;
    assert_eq!(claims(&token)["act"]["act"], bot);
    let narrowed = exchange(&world, &token).token().await;
    assert_eq!(claims(&narrowed)["act"], claims(&token)["act"]);
}

async fn act9_a_delegation_that_cannot_be_validated_is_refused_never_made_undelegated(
    world: World,
) {
    let own = world.agent("support").asks_for_itself().token().await;
    let cut = own.get(..own.len() - 3).unwrap();
    let of_billing = world.agent("billing").asks_for_itself().token().await;
    for actor in ["garbage", cut, of_billing.as_str(), world.alice().as_str()] {
        exchange(&world, &world.alice()).actor(actor).send().await.is_refused("invalid_request");
    }
    world.change("issuer", "corp", "asserts_actors", json!(true)).await;
    for act in [json!("desk-bot"), json!([]), json!({}), json!(null), json!({ "sub": "desk-bot" })]
    {
        let token = world.access_token(world.claims("alice").with("act", act.clone()));
        let answer = exchange(&world, &token).send().await;
        assert_eq!(
            (answer.status, &answer.json["error"]),
            (400, &json!("invalid_request")),
            "{act}"
        );
    }
}

async fn act11_an_id_token_gives_a_subject_and_never_an_actor(world: World) {
    let id_token = |claims: Claims| world.issuer.id_token(claims).unwrap();
    let of_alice = || Claims::new("alice", FOREIGN_CLIENT, world.deputy.now());
    let as_id = |token: &str| exchange(&world, token).field("subject_token_type", ID_TOKEN);
    let token = as_id(&id_token(of_alice())).token().await;
    let only_us = json!({ "iss": ISSUER, "sub": "cl_support", "sub_profile": "ai_agent" });
    assert_eq!(claims(&token)["act"], only_us);
    let bot = json!({ "iss": world.issuer.url(), "sub": "desk-bot" });
    for asserts_actors in [false, true] {
        world.change("issuer", "corp", "asserts_actors", json!(asserts_actors)).await;
        let acted = id_token(of_alice().with("act", bot.clone()));
        as_id(&acted).send().await.is_refused("invalid_request");
    }
    let actor = exchange(&world, &world.alice()).field("actor_token", &id_token(of_alice()));
    actor.field("actor_token_type", ID_TOKEN).send().await.is_refused("invalid_request");
}

async fn act12_a_call_token_need_not_be_addressed_to_us_to_be_exchanged(world: World) {
    let token = exchange(&world, &world.alice()).token().await;
    assert_eq!(claims(&token)["aud"], TICKETS);
    assert_eq!(exchange(&world, &token).send().await.status, 200);
}

async fn act18_who_stays_keeps_the_chain_and_who_comes_extends_it(world: World) {
    let token = exchange(&world, &world.alice()).token().await;
    let narrowed = exchange(&world, &token).token().await;
    assert_eq!(claims(&narrowed)["act"], claims(&token)["act"]);
    assert_eq!(claims(&narrowed)["client_id"], "cl_support");
    let (hand_over, call) = line(&world).await;
    assert_eq!(claims(&call)["act"]["sub"], "cl_billing");
    assert_eq!(claims(&call)["act"]["act"], claims(&hand_over)["act"]);
    assert_eq!(claims(&call)["client_id"], "cl_billing");
}

async fn act21_an_actor_that_is_not_allowed_here_is_actor_unauthorized(world: World) {
    let away = json!([{ "resource": "ledger", "scope": "ledger:read" }]);
    let support = crate::world::story::agent("support", crate::world::story::SUPPORT, &away);
    world.put(&[("client", "cl_support", support)]).await;
    let refused = exchange(&world, &world.alice()).send().await;
    refused.is_refused("actor_unauthorized");
    assert_eq!(reason(&world, &refused).await, "no_allowance_at_target");
    // A scope that is beyond the agent where it is allowed is another matter.
    let beyond = world.agent("support").exchanges(&world.alice()).at(LEDGER).scope("tickets:read");
    beyond.send().await.is_refused("invalid_scope");
}

async fn te2_errors_are_json_with_the_permitted_characters(world: World) {
    for odd in ["\"", "\\", "\u{0}", "\n", "\u{7f}", "ä", "\u{202e}", "{\"a\":1}", "<b>"] {
        let asked = [
            exchange(&world, &world.alice()).scope(&format!("tickets:read {odd}")),
            exchange(&world, &world.alice()).at(&format!("https://tickets.example/{odd}")),
            exchange(&world, &world.alice()).field("subject_token_type", odd),
            exchange(&world, &world.alice()).field("grant_type", odd),
            exchange(&world, &world.alice()).field("authorization_details", odd),
            exchange(&world, odd),
        ];
        for request in asked {
            let answer = request.send().await;
            let code = answer.json["error"].as_str().unwrap_or_default().to_owned();
            answer.is_refused(&code);
            assert_eq!(answer.header("content-type"), "application/json", "{odd:?}");
        }
    }
}

async fn at3_an_access_token_is_verified_in_order_and_refused_whole(world: World) {
    let now = world.deputy.now().epoch_s();
    let stranger = deputy::demo::issuer::Issuer::start("corp").await.unwrap();
    let signed = |typ: &str, claims: &Claims| {
        let payload = wire::payload(&world.access_token(claims.clone()));
        world.issuer.sign(&world.issuer.header(typ).to_string(), &payload).unwrap()
    };
    // Type, issuer, signature, audience, time: RFC 9068 section 4, but that nothing is read from
    // a token before it is known to be its issuer's. Each token below has every later mistake as
    // well, so that the first one that is found tells the order.
    let late = world.claims("alice").with("exp", now - 61).with("iat", now - 200);
    let elsewhere = late.clone().with("aud", "somebody-else");
    let unknown = elsewhere.clone().with("iss", "https://unknown.example");
    let forged = stranger.sign(
        &world.issuer.header("at+jwt").to_string(),
        &wire::payload(&world.access_token(elsewhere.clone())),
    );
    let mut told = BTreeSet::new();
    for (token, found) in [
        (signed("dpop+jwt", &unknown), "not_verifiable"),
        (signed("at+jwt", &unknown), "issuer_unknown"),
        (forged.unwrap(), "not_verifiable"),
        (signed("at+jwt", &elsewhere), "wrong_audience"),
        (signed("at+jwt", &late), "expired"),
    ] {
        let refused = exchange(&world, &token).send().await;
        refused.is_refused("invalid_request");
        assert!(reason(&world, &refused).await.ends_with(found), "{found}");
        told.insert(refused.json["error_description"].to_string());
    }
    assert_eq!(told.len(), 1, "which it was is nobody's business: {told:?}");
}

async fn jw4_the_audience_is_checked(world: World) {
    let to = |aud: Value| world.access_token(world.claims("alice").with("aud", aud));
    let nowhere = world.access_token(world.claims("alice").without("aud"));
    let mut refused = vec![nowhere];
    let others = [json!("other"), json!([]), json!(["other"]), json!(""), json!("Deputy")];
    refused.extend(others.into_iter().map(to));
    refused.extend([json!(null), json!(7), json!({}), json!([["deputy"]])].into_iter().map(to));
    for token in refused {
        exchange(&world, &token).send().await.is_refused("invalid_request");
    }
    assert_eq!(exchange(&world, &to(json!(["other", "deputy"]))).send().await.status, 200);
}

async fn jw7_there_is_no_jwe(world: World) {
    let alice = world.alice();
    let [head, payload, signature] = alice.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let encrypted = URL_SAFE_NO_PAD.encode(r#"{"typ":"at+jwt","alg":"RSA-OAEP","enc":"A128GCM"}"#);
    for token in [
        format!("{encrypted}.{payload}.{payload}.{payload}.{signature}"),
        format!("{head}.{payload}.{payload}.{payload}.{signature}"),
        format!("{encrypted}.{payload}.{signature}"),
    ] {
        exchange(&world, &token).send().await.is_refused("invalid_request");
        assert!(!world.server("tickets").accepts(&token).await);
    }
    let metadata = world.get("/.well-known/oauth-authorization-server/oauth2").await.text;
    assert!(!metadata.contains("encryption"), "{metadata}");
}

async fn in7_unknown_and_revoked_are_told_alike_and_leave_no_trace(world: World) {
    let revoked = exchange(&world, &world.alice()).token().await;
    let of_refunds = world.agent("support").exchanges(&world.alice()).at(REFUNDS);
    let of_refunds = of_refunds.scope("refunds:read").token().await;
    assert_eq!(world.agent("support").revokes(&revoked).send().await.status, 200);
    let before = world.events().await.len();
    let forged = format!("{}AAAA", revoked.get(..revoked.len() - 4).unwrap());
    let mut answers = BTreeSet::new();
    for token in ["unknown", &forged, &of_refunds, &revoked] {
        let answer = world.server("tickets").sees(token).await;
        let names: BTreeSet<String> = answer.headers.keys().map(ToString::to_string).collect();
        answers.insert((answer.status, answer.text, names));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    // Neither is there a write behind one of them that another has not.
    assert_eq!(world.events().await.len(), before);
}

async fn ra1_details_are_an_array_of_typed_objects(world: World) {
    let untyped = json!([{ "locations": [TICKETS], "tools": { "tickets.get": {} } }]);
    let mut mistyped = untyped.clone();
    mistyped[0]["type"] = json!(["mcp_tool_call"]);
    let entry = wire::entry(TICKETS, json!({ "tickets.get": {} }));
    for wrong in [
        entry.clone(),
        json!([]),
        json!({}),
        json!(null),
        json!("mcp_tool_call"),
        json!([[entry]]),
        json!(["mcp_tool_call"]),
        json!([{}]),
        untyped,
        mistyped,
    ] {
        let asked = exchange(&world, &world.alice()).without("scope").details(wrong.clone());
        let answer = asked.send().await;
        assert_eq!(answer.json["error"], "invalid_authorization_details", "{wrong}");
    }
    let good = exchange(&world, &world.alice()).without("scope").details(json!([entry]));
    assert_eq!(good.send().await.status, 200);
}
