//! Tokens that somebody forged, bent or confused, and requests that almost say something: each has
//! its documented refusal, and nothing of it is ever a 500.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deputy::demo::issuer::{Issuer, Mode, claims::Claims};
use ring::hmac;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::{
    World, on_both,
    story::{BILLING, FOREIGN_CLIENT, REFUNDS, TICKETS},
    wire::{self, ID_TOKEN, Request, entry, exact},
};

on_both! {
    bcp_a_public_key_is_no_shared_secret
    jw2_a_token_never_brings_its_own_key
    jw2_members_are_read_once_however_they_are_spelt
    jw3_another_issuer_s_key_proves_nothing_here
    jw5_kinds_of_token_exclude_one_another
    jw6_a_serialisation_that_is_not_compact_is_refused
    bcp5_a_subject_is_never_taken_for_somebody_else
    act_may_act_names_who_may
    our_own_tokens_cannot_be_forged
    ra2_details_say_one_thing_or_nothing
    a_scope_is_compared_by_exact_token
    a_chunked_body_is_cut_at_its_limit
    i9_one_issuer_s_fall_is_not_another_s
}

fn exchange<'a>(world: &'a World, token: &str) -> Request<'a> {
    world.agent("support").exchanges(token).at(TICKETS).scope("tickets:read")
}

async fn refuses(world: &World, token: &str) {
    exchange(world, token).send().await.is_refused("invalid_request");
}

fn signed(world: &World, head: &Value, payload: &str) -> String {
    world.issuer.sign(&head.to_string(), payload).unwrap()
}

async fn bcp_a_public_key_is_no_shared_secret(world: World) {
    let jwk = world.issuer.jwks()["keys"][0].clone();
    let payload = wire::payload(&world.alice());
    for key in [jwk.to_string(), jwk["x"].as_str().unwrap().to_owned(), String::new()] {
        for alg in ["HS256", "ES256", "hs256"] {
            let head = json!({ "typ": "at+jwt", "alg": alg, "kid": jwk["kid"] }).to_string();
            let (head, payload) = (URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(&payload));
            let mac = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
            let mac = hmac::sign(&mac, format!("{head}.{payload}").as_bytes());
            let mac = URL_SAFE_NO_PAD.encode(mac);
            refuses(&world, &format!("{head}.{payload}.{mac}")).await;
        }
    }
}

async fn jw2_a_token_never_brings_its_own_key(world: World) {
    let thief = Issuer::start("corp").await.unwrap();
    let payload = wire::payload(&world.alice());
    for (name, value) in [
        ("jwk", thief.jwks()["keys"][0].clone()),
        ("jku", json!(thief.jwks_uri())),
        ("x5u", json!(thief.jwks_uri())),
        ("x5c", json!(["MIIB"])),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
        ("crit", json!([])),
        ("b64", json!(true)),
    ] {
        let mut head = world.issuer.header("at+jwt");
        head[name] = value.clone();
        refuses(&world, &signed(&world, &head, &payload)).await;
        refuses(&world, &thief.sign(&head.to_string(), &payload).unwrap()).await;
        let mut own = thief.header("at+jwt");
        own[name] = value;
        refuses(&world, &thief.sign(&own.to_string(), &payload).unwrap()).await;
    }
    assert_eq!(thief.jwks_hits(), 0, "nobody was sent anywhere");
}

async fn jw2_members_are_read_once_however_they_are_spelt(world: World) {
    let head = world.issuer.header("at+jwt").to_string();
    let payload = wire::payload(&world.alice());
    for first in [r#""sub":"alice""#, r#""s\u0075b":"bob""#, r#""aud":"else""#, r#""\u0061ud":"x""#]
    {
        let twice = format!("{{{first},{}", &payload[1..]);
        refuses(&world, &world.issuer.sign(&head, &twice).unwrap()).await;
    }
    for first in [r#""alg":"ES256""#, r#""\u0061lg":"none""#, r#""k\u0069d":"x""#] {
        let twice = format!("{{{first},{}", &head[1..]);
        refuses(&world, &world.issuer.sign(&twice, &payload).unwrap()).await;
    }
}

async fn jw3_another_issuer_s_key_proves_nothing_here(world: World) {
    let partner = partner(&world).await;
    let of_partner = |claims: Claims| partner.access_token(claims, FOREIGN_CLIENT, "assist");
    let good = of_partner(world.claims("alice")).unwrap();
    assert_eq!(exchange(&world, &good).send().await.status, 200, "in its own name");
    let stolen = of_partner(world.claims("alice").with("iss", world.issuer.url())).unwrap();
    refuses(&world, &stolen).await;
    let payload = wire::payload(&good);
    refuses(&world, &signed(&world, &partner.header("at+jwt"), &payload)).await;
    refuses(&world, &signed(&world, &world.issuer.header("at+jwt"), &payload)).await;
}

/// A second trusted issuer that says the same as the first.
async fn partner(world: &World) -> Issuer {
    let partner = Issuer::start("partner").await.unwrap();
    let stored = world.deputy.store().documents().await.unwrap();
    let corp = stored.iter().find(|d| d.kind == "issuer" && d.id == "corp").unwrap();
    let mut document: Value = serde_json::from_str(&corp.body).unwrap();
    document["issuer"] = json!(partner.url());
    document["alias"] = json!("partner");
    document["primary"] = json!(false);
    world.put(&[("issuer", "partner", document)]).await;
    partner
}

async fn jw5_kinds_of_token_exclude_one_another(world: World) {
    let alice = world.alice();
    let payload = wire::payload(&alice);
    for typ in ["JWT", "at+JWTx", "dpop+jwt", "handover+jwt", "logout+jwt", "secevent+jwt", ""] {
        refuses(&world, &signed(&world, &world.issuer.header(typ), &payload)).await;
    }
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        let token = signed(&world, &world.issuer.header(typ), &payload);
        assert_eq!(exchange(&world, &token).send().await.status, 200, "RFC 7515 4.1.9: {typ}");
    }
    let about = Claims::new("alice", FOREIGN_CLIENT, world.deputy.now());
    let id_token = world.issuer.id_token(about).unwrap();
    refuses(&world, &id_token).await;
    let for_us = Claims::new("alice", "deputy", world.deputy.now());
    refuses(&world, &world.issuer.id_token(for_us).unwrap()).await;
    let as_id = |token: &str| exchange(&world, token).field("subject_token_type", ID_TOKEN);
    as_id(&alice).send().await.is_refused("invalid_request");
    let untyped = signed(&world, &world.issuer.header("JWT"), &payload);
    as_id(&untyped).send().await.is_refused("invalid_request");
    assert_eq!(as_id(&id_token).send().await.status, 200);
}

async fn jw6_a_serialisation_that_is_not_compact_is_refused(world: World) {
    let token = world.alice();
    let parts: Vec<&str> = token.split('.').collect();
    let flattened =
        json!({ "protected": parts[0], "payload": parts[1], "signature": parts[2] }).to_string();
    for other in [
        flattened,
        format!("{}.{}", parts[0], parts[1]),
        format!("{}..{}", parts[0], parts[2]),
        format!("{}.{}=.{}", parts[0], parts[1], parts[2]),
        format!("{}.{}.{}==", parts[0], parts[1], parts[2]),
        format!("{token}.{}.{}", parts[1], parts[2]),
        token.replace(['-', '_'], "+") + "/",
        format!("{token}\u{e9}"),
        "x".repeat(16_385),
    ] {
        refuses(&world, &other).await;
    }
}

async fn bcp5_a_subject_is_never_taken_for_somebody_else(world: World) {
    let partner = partner(&world).await;
    for sub in ["cl_support", "cl_", "cl_x", "a\u{0}b", "a\nb", "a\tb", "\u{202e}ecila", "\u{7f}"] {
        refuses(&world, &world.access_token(world.claims("alice").with("sub", sub))).await;
    }
    let theirs = partner.access_token(world.claims("alice"), FOREIGN_CLIENT, "assist").unwrap();
    let theirs = wire::claims(&exchange(&world, &theirs).token().await);
    assert_eq!(theirs["sub"], "partner|alice");
    let groups = json!(["support"]);
    let liar = world.claims("alice").with("sub", "partner|alice").with("groups", groups);
    refuses(&world, &world.access_token(liar)).await;
}

async fn act_may_act_names_who_may(world: World) {
    for may_act in [
        json!({ "sub": "cl_billing" }),
        json!({ "sub": "somebody" }),
        json!({ "iss": "https://else.example", "sub": "cl_support" }),
        json!({}),
        json!("cl_support"),
        json!(["cl_support"]),
        json!(null),
        json!({ "sub": 7 }),
    ] {
        let token = world.access_token(world.claims("alice").with("may_act", may_act.clone()));
        let answer = exchange(&world, &token).send().await;
        assert_eq!(answer.status, 400, "{may_act}: {}", answer.text);
        let code = answer.json["error"].as_str().unwrap();
        assert!(matches!(code, "invalid_request" | "actor_unauthorized"), "{may_act}: {code}");
    }
}

async fn our_own_tokens_cannot_be_forged(world: World) {
    let support = world.agent("support");
    let call = exchange(&world, &world.alice()).token().await;
    let other = support.exchanges(&world.alice()).at(REFUNDS).scope("refunds:read").token().await;
    let tools = json!({ "refunds.list": {} });
    let hand_over =
        support.exchanges(&world.alice()).at(BILLING).tools(REFUNDS, tools).token().await;
    let tickets = world.server("tickets");
    assert!(tickets.accepts(&call).await);
    for forged in forgeries(&world, &call, &other) {
        assert!(!tickets.accepts(&forged).await, "{forged}");
        refuses(&world, &forged).await;
    }
    for forged in forgeries(&world, &hand_over, &call) {
        let taken = world.agent("billing").takes_over(&forged).at(REFUNDS).send().await;
        taken.is_refused("invalid_request");
    }
    assert!(tickets.accepts(&call).await, "none of it hurt the real one");
}

fn forgeries(world: &World, token: &str, other: &str) -> Vec<String> {
    let parts: Vec<&str> = token.split('.').collect();
    let their: Vec<&str> = other.split('.').collect();
    let mut claims = wire::claims(token);
    claims["scope"] = json!("tickets:read tickets:write");
    let raised = URL_SAFE_NO_PAD.encode(claims.to_string());
    let none = URL_SAFE_NO_PAD.encode(r#"{"typ":"at+jwt","alg":"none"}"#);
    let head = wire::header(token);
    vec![
        format!("{}.{raised}.{}", parts[0], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], their[2]),
        format!("{}.{}.{}", parts[0], their[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], &parts[2][..parts[2].len() - 4]),
        format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode([0; 64])),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        token[..token.len() / 2].to_owned(),
        signed(world, &head, &wire::payload(token)),
        signed(world, &world.issuer.header("at+jwt"), &wire::payload(token)),
    ]
}

async fn ra2_details_say_one_thing_or_nothing(world: World) {
    let get = || entry(TICKETS, json!({ "tickets.get": {} }));
    let mut two_locations = get();
    two_locations["locations"] = json!([TICKETS, REFUNDS]);
    let with = |arguments: Value| json!([entry(TICKETS, json!({ "tickets.get": arguments }))]);
    let deep = format!("{}1{}", r#"{"a":"#.repeat(40), "}".repeat(40));
    let rows = [
        json!([two_locations]).to_string(),
        json!([get(), get()]).to_string(),
        with(json!({ "id": { "constraint_type": "exact" } })).to_string(),
        with(json!({ "id": { "constraint_type": "EXACT", "value": 1 } })).to_string(),
        with(json!({ "id": { "constraint_type": "exact", "value": 1, "or": 2 } })).to_string(),
        with(json!({ "a": exact(1), "/a/b": exact(2) })).to_string(),
        with(json!({ "a": exact(1), "/a": exact(1) })).to_string(),
        with(json!({ "/a~2": exact(1) })).to_string(),
        with(json!({ "/ids/0": exact(1) })).to_string(),
        format!(
            r#"[{{"type":"mcp_tool_call","type":"mcp_tool_call","locations":["{TICKETS}"],"tools":{{"tickets.get":{{}}}}}}]"#
        ),
        format!(
            r#"[{{"type":"mcp_tool_call","locations":["{TICKETS}"],"tools":{{"tickets.get":{{}},"tickets.g\u0065t":{{}}}}}}]"#
        ),
        format!(
            r#"[{{"type":"mcp_tool_call","locations":["{TICKETS}"],"tools":{{"tickets.get":{deep}}}}}]"#
        ),
        with(json!({ "id": exact("x".repeat(17_000)) })).to_string(),
    ];
    for row in rows {
        let asked = exchange(&world, &world.alice()).without("scope");
        let answer = asked.field("authorization_details", &row).send().await;
        let refused = (answer.status, answer.json["error"].clone());
        let shown: String = row.chars().take(200).collect();
        assert_eq!(
            refused,
            (400, json!("invalid_authorization_details")),
            "{shown}: {}",
            answer.text
        );
    }
}

async fn a_scope_is_compared_by_exact_token(world: World) {
    for scope in [
        "tickets:read\t",
        "tickets:read\u{a0}tickets:write",
        "tickets:read,tickets:write",
        "tickets:*",
        "*",
        "TICKETS:READ",
        "tickets:rea",
        "tickets:read\\",
        "tickets:read\"",
        "nothing:known",
        " ",
    ] {
        let answer = exchange(&world, &world.alice()).scope(scope).send().await;
        assert_eq!(answer.status, 400, "{scope:?}: {}", answer.text);
        assert_eq!(answer.json["error"], "invalid_scope", "{scope:?}: {}", answer.text);
    }
}

async fn a_chunked_body_is_cut_at_its_limit(world: World) {
    let address = world.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = "POST /oauth2/token HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\
                content-type: application/x-www-form-urlencoded\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("1000\r\n{}\r\n", "a".repeat(0x1000));
    for _ in 0..32 {
        // It may hang up as soon as it has had enough.
        if socket.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = vec![0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
    assert_eq!(exchange(&world, &world.alice()).send().await.status, 200);
}

async fn i9_one_issuer_s_fall_is_not_another_s(world: World) {
    let partner = partner(&world).await;
    let theirs =
        |name: &str| partner.access_token(world.claims(name), FOREIGN_CLIENT, "assist").unwrap();
    partner.set_mode(Mode::WrongIssuer("https://else.example".to_owned()));
    let answer = exchange(&world, &theirs("alice")).send().await;
    assert_eq!((answer.status, &answer.json["error"]), (503, &json!("temporarily_unavailable")));
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(exchange(&world, &world.alice()).send().await.status, 200, "corp is well");
    partner.set_mode(Mode::Good);
    world.advance(300).await;
    assert_eq!(exchange(&world, &theirs("alice")).send().await.status, 200);
}
