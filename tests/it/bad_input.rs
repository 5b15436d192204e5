//! Bad input, one row each: the documented refusal, never a 500, and the service goes on.

use deputy::demo::issuer::Mode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::{World, on_both, story::TICKETS, wire::Request};

on_both! {
    a_body_that_is_no_form_is_invalid_request
    a_body_of_a_hundred_megabytes_is_refused_unread
    bytes_that_are_no_http_get_an_answer_or_none
    details_that_are_not_understood_are_refused
    jw1_a_token_that_nobody_signed_is_refused
    jw2_a_hostile_header_is_refused
    jw6_a_token_in_another_spelling_is_refused
    jw10_impossible_times_are_refused
    a_foreign_token_of_another_kind_is_refused
    i9_an_issuer_that_cannot_be_asked_is_temporarily_unavailable
    i9_an_issuer_that_was_good_is_remembered
}

fn exchange<'a>(world: &'a World, token: &str) -> Request<'a> {
    world.agent("support").exchanges(token).at(TICKETS).scope("tickets:read")
}

async fn goes_on(world: &World) {
    assert_eq!(exchange(world, &world.alice()).send().await.status, 200);
}

async fn a_body_that_is_no_form_is_invalid_request(world: World) {
    let good = exchange(&world, &world.alice());
    let form = "application/x-www-form-urlencoded";
    for (body, kind) in [
        (good.body(), "application/json"),
        (good.body(), "text/plain"),
        (good.body(), "application/x-www-form-urlencoded; charset=iso-8859-1"),
        (format!("{}&scope=%zz", good.body()), form),
        (format!("{}&x=%ff", good.body()), form),
        (format!("{}&x=%00", good.body()), form),
        (format!("{}&x=1&x=2", good.body()), form),
        (format!("{}{}", good.body(), "&a=b".repeat(70)), form),
        ("{\"grant_type\":\"x\"}".to_owned(), form),
    ] {
        let answer = good.clone().send_body(body, kind).await;
        answer.is_refused("invalid_request");
    }
    goes_on(&world).await;
}

async fn a_body_of_a_hundred_megabytes_is_refused_unread(world: World) {
    let address = world.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = "POST /oauth2/token HTTP/1.1\r\nhost: x\r\ncontent-length: 104857600\r\n\
                content-type: application/x-www-form-urlencoded\r\n\r\ngrant_type=";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    goes_on(&world).await;
}

async fn bytes_that_are_no_http_get_an_answer_or_none(world: World) {
    let address = world.url.strip_prefix("http://").unwrap();
    for bytes in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "POST /oauth2/token HTTP/1.1\r\nhost: x\r\nhost: y\r\ncontent-length: 0\r\n\r\n",
        "POST /oauth2/token HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "POST /oauth2/token HTTP/1.1\r\nhost: x\r\nauthorization: a\r\nauthorization: b\r\n\
         content-length: 0\r\n\r\n",
        "POST /oauth2/token HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(bytes.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        _ = socket.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{bytes:?}: {answer}");
    }
    goes_on(&world).await;
}

async fn details_that_are_not_understood_are_refused(world: World) {
    let at = json!([TICKETS]);
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let mut rows = vec!["x".to_owned(), "{}".to_owned(), "[]".to_owned(), deep, "[1]".to_owned()];
    rows.push(format!("[{}]", "\"x\",".repeat(4_000)));
    for details in [
        json!({ "type": "other", "locations": at, "tools": { "tickets.get": {} } }),
        json!({ "type": "mcp_tool_call", "tools": { "tickets.get": {} } }),
        json!({ "type": "mcp_tool_call", "locations": at }),
        json!({ "type": "mcp_tool_call", "locations": at, "tools": {} }),
        json!({ "type": "mcp_tool_call", "locations": at, "tools": { "tickets.none": {} } }),
        json!({ "type": "mcp_tool_call", "locations": at, "tools": { "tickets.get": 1 } }),
        json!({ "type": "mcp_tool_call", "locations": at, "tools": { "tickets.get": {} }, "x": 1 }),
        json!({ "type": "mcp_tool_call", "locations": at,
            "tools": { "tickets.get": { "id": { "constraint_type": "unheard_of" } } } }),
        json!({ "type": "mcp_tool_call", "locations": ["https://else.example"],
            "tools": { "tickets.get": {} } }),
    ] {
        rows.push(json!([details]).to_string());
    }
    for row in rows {
        let asked = exchange(&world, &world.alice()).without("scope");
        let answer = asked.field("authorization_details", &row).send().await;
        answer.is_refused("invalid_authorization_details");
    }
    goes_on(&world).await;
}

async fn refuses(world: &World, token: &str) {
    exchange(world, token).send().await.is_refused("invalid_request");
}

/// The payload of one of Alice's tokens.
fn payload(world: &World) -> String {
    crate::world::wire::payload(&world.alice())
}

async fn jw1_a_token_that_nobody_signed_is_refused(world: World) {
    let (kid, payload) = (world.issuer.kid(), payload(&world));
    for alg in ["none", "None", "HS256", "RS256", "es256", "ES512", ""] {
        let head = json!({ "typ": "at+jwt", "alg": alg, "kid": kid }).to_string();
        let token = world.issuer.sign(&head, &payload).unwrap();
        refuses(&world, &token).await;
        refuses(&world, &format!("{}.", token.rsplit_once('.').unwrap().0)).await;
    }
    let other = deputy::demo::issuer::Issuer::start("corp").await.unwrap();
    let head = json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid }).to_string();
    refuses(&world, &other.sign(&head, &payload).unwrap()).await;
    let claims = world.claims("alice");
    refuses(&world, &other.access_token(claims, "support-desk", "assist").unwrap()).await;
    goes_on(&world).await;
}

async fn jw2_a_hostile_header_is_refused(world: World) {
    let good = json!({ "typ": "at+jwt", "alg": "ES256", "kid": world.issuer.kid() });
    let with = |name: &str, value: Value| {
        let mut head = good.clone();
        head[name] = value;
        world.issuer.sign(&head.to_string(), &payload(&world)).unwrap()
    };
    for token in [
        with("kid", json!("../../etc/passwd")),
        with("kid", json!("' OR 1=1 --")),
        with("kid", json!("k".repeat(10_000))),
        with("kid", json!(7)),
        with("crit", json!(["exp"])),
        with("b64", json!(false)),
        with("typ", json!("dpop+jwt")),
        with("typ", json!("handover+jwt")),
    ] {
        refuses(&world, &token).await;
    }
    let twice = format!(r#"{{"typ":"at+jwt","alg":"none",{}"#, &good.to_string()[1..]);
    refuses(&world, &world.issuer.sign(&twice, &payload(&world)).unwrap()).await;
}

async fn jw6_a_token_in_another_spelling_is_refused(world: World) {
    let token = world.alice();
    let head = world.issuer.header("at+jwt").to_string();
    let twice = format!(r#"{{"sub":"bob",{}"#, &payload(&world)[1..]);
    for other in [
        format!("{token}="),
        format!("{token}."),
        format!("{token}.x"),
        format!(" {token}"),
        format!("{token}\n"),
        token.replace('.', ".."),
        format!("Bearer {token}"),
        world.issuer.sign(&head, &twice).unwrap(),
        world.issuer.sign(&head, "[]").unwrap(),
        world.issuer.sign(&head, "").unwrap(),
        "a".repeat(60_000),
        ".".repeat(1_000),
    ] {
        refuses(&world, &other).await;
    }
}

async fn jw10_impossible_times_are_refused(world: World) {
    let now = world.deputy.now().epoch_s();
    for (name, value) in [
        ("exp", json!(now - 60)),
        ("exp", json!("9999999999")),
        ("exp", json!(null)),
        ("exp", json!(true)),
        ("exp", json!(-1)),
        ("exp", json!(9_223_372_036_854_775_807_i64)),
        ("exp", json!(1e300)),
        ("exp", json!(now + 86_401)),
        ("iat", json!(now + 61)),
        ("iat", json!(now - 3_600)),
        ("nbf", json!(now + 61)),
        ("nbf", json!("soon")),
        ("auth_time", json!("now")),
    ] {
        let token = world.access_token(world.claims("alice").with(name, value));
        refuses(&world, &token).await;
    }
    for name in ["exp", "iat", "iss", "sub", "aud"] {
        refuses(&world, &world.access_token(world.claims("alice").without(name))).await;
    }
    let fraction = world.claims("alice").with("iat", json!(1_800_000_000.5));
    assert_eq!(exchange(&world, &world.access_token(fraction)).send().await.status, 200);
}

async fn a_foreign_token_of_another_kind_is_refused(world: World) {
    for claims in [
        world.claims("alice").with("sub", "cl_support"),
        world.claims("alice").with("sub", ""),
        world.claims("alice").with("sub", "al\u{131}ce"),
        world.claims("alice").with("sub", "a".repeat(300)),
        world.claims("alice").with("sub", json!(7)),
        world.claims("alice").with("iss", "https://else.example"),
        world.claims("alice").with("iss", format!("{}/", world.issuer.url())),
        world.claims("alice").with("aud", json!(["else"])),
        world.claims("alice").with("act", json!({ "sub": "somebody" })),
        world.claims("alice").with("cnf", json!({ "jkt": "x" })),
        world.claims("alice").with("events", json!({})),
        world.claims("alice").with("client_id", json!(["support-desk"])),
    ] {
        refuses(&world, &world.access_token(claims)).await;
    }
}

async fn i9_an_issuer_that_cannot_be_asked_is_temporarily_unavailable(world: World) {
    for mode in [
        Mode::Down,
        Mode::Garbage,
        Mode::Html,
        Mode::Huge,
        Mode::Redirect("http://127.0.0.1:1/".to_owned()),
        Mode::DuplicateKid,
    ] {
        world.issuer.set_mode(mode.clone());
        world.advance(60).await;
        let answer = exchange(&world, &world.alice()).send().await;
        let seen = (answer.status, answer.json["error"].clone());
        assert_eq!(seen, (503, json!("temporarily_unavailable")), "{mode:?}: {}", answer.text);
        assert_eq!(answer.header("retry-after"), "1");
    }
    world.issuer.set_mode(Mode::Good);
    world.advance(300).await;
    goes_on(&world).await;
}

async fn i9_an_issuer_that_was_good_is_remembered(world: World) {
    goes_on(&world).await;
    for mode in [Mode::Down, Mode::Garbage, Mode::PrivateKey] {
        world.issuer.set_mode(mode);
        world.advance(1_000).await;
        goes_on(&world).await;
    }
}
