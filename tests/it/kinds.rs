//! Every kind of token at every place that takes one. docs/TOKENS.md has the table; here each of its
//! cells is tried with a real token of that kind, and with one that differs by its `typ` alone.

use std::{collections::BTreeMap, fs, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deputy::{
    base::{random::Random, secret::Fingerprint},
    demo::issuer::claims::Claims,
    jose::{Algorithm, SigningKey},
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::world::{
    ISSUER, World, on_both,
    story::{self, FOREIGN_CLIENT, REFUNDS, SUPPORT, TICKETS},
    wire::{Answer, ID_TOKEN, Request, claims, payload},
};

on_both! {
    jw5_every_kind_of_token_is_good_at_its_own_places_alone
    jw5_a_token_that_differs_by_its_typ_alone_is_another
}

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const TOKEN_ENDPOINT: &str = "https://deputy.example/oauth2/token";

/// The kinds, by their names in the table, with the `typ` they go by.
const KINDS: [(&str, &str); 17] = [
    ("our call token", "at+jwt"),
    ("our hand-over", "handover+jwt"),
    ("our agent token", "at+jwt"),
    ("an issuer's access token", "at+jwt"),
    ("the same, told by a claim", "JWT"),
    ("an issuer's ID token", "JWT"),
    ("a client's assertion", "client-authentication+jwt"),
    ("a DPoP proof", "dpop+jwt"),
    ("our signed introspection answer", "token-introspection+jwt"),
    ("an ID-JAG", "oauth-id-jag+jwt"),
    ("a transaction token", "txntoken+jwt"),
    ("a security event", "secevent+jwt"),
    ("a logout token", "logout+jwt"),
    ("a status list", "statuslist+jwt"),
    ("a workload's token (JWT-SVID, Kubernetes)", "JWT"),
    ("a workload identity token", "wit+jwt"),
    ("a workload proof token", "wpt+jwt"),
];

/// The places, by their names in the table, with what a token is refused with that is not taken.
const PLACES: [(&str, &str); 11] = [
    ("subject, `access_token`", "400 `invalid_request`"),
    ("subject, `id_token`", "400 `invalid_request`"),
    ("subject, `jwt`", "400 `invalid_request`"),
    ("actor", "400 `invalid_request`"),
    ("assertion", "401 `invalid_client`"),
    ("`DPoP`", "400 `invalid_dpop_proof`"),
    ("introspection", "200 `{\"active\":false}`"),
    ("`dpop_proof`", "denied, `dpop_proof_invalid`"),
    ("revocation", "200, and nothing is ended"),
    ("AuthZEN", "denied, `token_inactive`"),
    ("admin API", "401"),
];

async fn jw5_every_kind_of_token_is_good_at_its_own_places_alone(world: World) {
    let stage = Stage::set(&world).await;
    let table = table();
    assert_eq!(table.keys().collect::<Vec<_>>(), sorted(KINDS.map(|(name, _)| name)));
    for (kind, _) in KINDS {
        for (place, _) in PLACES {
            let token = stage.make(kind, place).await;
            let is_good = stage.offer(kind, place, &token).await;
            assert_eq!(table[kind][place], is_good, "{kind} at {place}, as docs/TOKENS.md says");
        }
    }
}

async fn jw5_a_token_that_differs_by_its_typ_alone_is_another(world: World) {
    let stage = Stage::set(&world).await;
    for (place, own, accepted) in [
        ("subject, `access_token`", "an issuer's access token", &["at+jwt"][..]),
        ("subject, `id_token`", "an issuer's ID token", &["JWT"]),
        ("assertion", "a client's assertion", &["client-authentication+jwt", "JWT"]),
        ("`DPoP`", "a DPoP proof", &["dpop+jwt"]),
        ("`dpop_proof`", "a DPoP proof", &["dpop+jwt"]),
    ] {
        for (_, typ) in KINDS {
            let token = stage.make(own, place).await;
            let token = stage.retyped(&token, own, typ);
            let is_good = stage.offer(own, place, &token).await;
            assert_eq!(is_good, accepted.contains(&typ), "{own} typed {typ} at {place}");
        }
    }
}

#[test]
fn the_page_says_how_each_place_refuses() {
    let page = page();
    for (place, refusal) in PLACES {
        assert!(page.contains(&format!("| {place} | ")), "docs/TOKENS.md does not explain {place}");
        let row = page.lines().find(|line| line.starts_with(&format!("| {place} | "))).unwrap();
        assert!(row.ends_with(&format!("| {refusal} |")), "docs/TOKENS.md: {place}: {refusal}");
    }
    for (kind, typ) in KINDS {
        let row = page.lines().find(|line| line.starts_with(&format!("| {kind} | "))).unwrap();
        assert!(row.contains(&format!("| `{typ}` |")), "docs/TOKENS.md: {kind}: {typ}");
    }
}

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/TOKENS.md")).unwrap()
}

/// Kind and place: whether the page says that it is taken.
fn table() -> BTreeMap<String, BTreeMap<String, bool>> {
    let page = page();
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = page.lines().skip_while(|line| !line.starts_with("| kind | `typ` |"));
    let places = cells(lines.next().unwrap()).split_off(2);
    assert_eq!(places, PLACES.map(|(name, _)| name));
    let rows = lines.skip(1).take_while(|line| line.starts_with('|')).map(|line| {
        let mut row = cells(line);
        let marks = row.split_off(2);
        assert!(marks.iter().all(|mark| matches!(mark.as_str(), "yes" | "no")), "{line}");
        let marks = places.iter().cloned().zip(marks.into_iter().map(|mark| mark == "yes"));
        (row.remove(0), marks.collect())
    });
    rows.collect()
}

fn sorted<const N: usize>(mut names: [&str; N]) -> Vec<&str> {
    names.sort_unstable();
    names.to_vec()
}

/// The world, set so that each kind is taken where it belongs.
struct Stage<'a> {
    world: &'a World,
    held: SigningKey,
    bound: Mutex<String>,
}

impl<'a> Stage<'a> {
    async fn set(world: &'a World) -> Stage<'a> {
        let held = SigningKey::generate(Algorithm::Es256).unwrap();
        let jwk: Value = serde_json::from_str(&held.public_jwk()).unwrap();
        let mut keyed = story::agent("keyed", "urn:agent:keyed", &json!([]));
        keyed["token_endpoint_auth_method"] = json!("private_key_jwt");
        keyed["jwks"] = json!({ "keys": [jwk] });
        world.put(&[("client", "cl_keyed", keyed)]).await;
        let edge = json!({ "from": "cl_billing", "to": "cl_support" });
        world.put(&[("edge", "cl_billing>cl_support", edge)]).await;
        let marked = json!({ "audiences": [story::AUDIENCE], "untyped_marker": "ver" });
        world.change("issuer", "corp", "access_tokens", marked).await;
        world.change("resource", "refunds", "dpop", json!("itself")).await;
        world.change("resource", "tickets", "dpop", json!("deputy")).await;
        Stage { world, held, bound: Mutex::default() }
    }

    /// A good token of this kind; a proof is one for that place.
    async fn make(&self, kind: &str, place: &str) -> String {
        let (support, issuer) = (self.world.agent("support"), &self.world.issuer);
        match kind {
            "our call token" => self.exchange(&self.world.alice()).token().await,
            "our hand-over" => {
                let theirs =
                    issuer.access_token(self.world.claims("alice"), "billing-desk", "assist");
                let exchange = self.world.agent("billing").exchanges(&theirs.unwrap()).at(SUPPORT);
                exchange.tools(REFUNDS, json!({ "refunds.list": {} })).token().await
            }
            "our agent token" => support.asks_for_itself().token().await,
            "an issuer's access token" => self.world.alice(),
            "an issuer's ID token" => {
                let about = Claims::new("alice", FOREIGN_CLIENT, self.world.deputy.now());
                issuer.id_token(about).unwrap()
            }
            "a client's assertion" => self.signs(
                "client-authentication+jwt",
                json!({
                    "iss": "cl_keyed", "sub": "cl_keyed", "aud": ISSUER, "exp": self.in_s(60),
                }),
            ),
            "a DPoP proof" => self.proof(place).await,
            "our signed introspection answer" => {
                let call = self.exchange(&self.world.alice()).token().await;
                let asked = self.world.agent("refunds").introspects(&call);
                let signed = "application/token-introspection+jwt";
                asked.header("accept", signed).send().await.text
            }
            "a workload proof token" => self.signs(
                "wpt+jwt",
                json!({ "aud": TOKEN_ENDPOINT, "exp": self.in_s(60), "wth": "x" }),
            ),
            other => self.of_the_issuer(other),
        }
    }

    /// What Alice's identity provider may well sign for others, or for another purpose.
    fn of_the_issuer(&self, kind: &str) -> String {
        let said = match kind {
            "the same, told by a claim" => json!({
                "aud": story::AUDIENCE, "client_id": FOREIGN_CLIENT, "scope": story::FOREIGN_SCOPE,
                "groups": ["support"], "ver": "1.0",
            }),
            "an ID-JAG" => json!({
                "aud": ISSUER, "client_id": "cl_support", "resource": REFUNDS, "scope": "refunds:read",
            }),
            "a transaction token" => json!({
                "aud": "corp.example", "txn": "t", "scope": "refund", "req_wl": "desk", "tctx": {},
            }),
            "a security event" => json!({
                "aud": ISSUER, "sub": null, "exp": null, "events": { "urn:example:event": {} },
                "sub_id": { "format": "iss_sub", "iss": self.world.issuer.url(), "sub": "alice" },
            }),
            "a logout token" => json!({
                "aud": FOREIGN_CLIENT,
                "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
            }),
            "a status list" => json!({
                "sub": "https://corp.example/status/1", "ttl": 60,
                "status_list": { "bits": 1, "lst": "eNrbuRgAAhcBXQ" },
            }),
            "a workload's token (JWT-SVID, Kubernetes)" => json!({
                "aud": [ISSUER], "sub": "spiffe://corp.example/desk",
                "kubernetes.io": { "namespace": "default" },
            }),
            "a workload identity token" => json!({
                "sub": "spiffe://corp.example/desk",
                "cnf": { "jwk": serde_json::from_str::<Value>(&self.held.public_jwk()).unwrap() },
            }),
            unknown => panic!("nobody makes {unknown}"),
        };
        let mut claims = json!({
            "iss": self.world.issuer.url(), "sub": "alice", "iat": self.in_s(0), "exp": self.in_s(300),
            "jti": drawn(),
        });
        merge(&mut claims, said);
        let (_, typ) = KINDS.into_iter().find(|(name, _)| *name == kind).unwrap();
        let head = self.world.issuer.header(typ).to_string();
        self.world.issuer.sign(&head, &claims.to_string()).unwrap()
    }

    /// The same claims, signed by the same key, under another `typ`.
    fn retyped(&self, token: &str, kind: &str, typ: &str) -> String {
        let said = payload(token);
        match kind {
            "a client's assertion" | "a DPoP proof" => {
                self.signs(typ, serde_json::from_str(&said).unwrap())
            }
            _ => self.world.issuer.sign(&self.world.issuer.header(typ).to_string(), &said).unwrap(),
        }
    }

    /// A token by the key that the client holds; proofs carry it.
    fn signs(&self, typ: &str, said: Value) -> String {
        let mut claims = json!({ "iat": self.in_s(0), "jti": drawn() });
        let is_proof = said.get("htm").is_some();
        merge(&mut claims, said);
        let mut head = json!({ "typ": typ, "alg": "ES256" });
        if is_proof {
            let jwk: Value = serde_json::from_str(&self.held.public_jwk()).unwrap();
            head["jwk"] = json!({ "kty": "EC", "crv": "P-256", "x": jwk["x"], "y": jwk["y"] });
        } else {
            head["kid"] = json!(self.held.kid());
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(&head), part(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.held.sign(input.as_bytes()).unwrap());
        format!("{input}.{signature}")
    }

    async fn proof(&self, place: &str) -> String {
        if place != "`dpop_proof`" {
            return self.signs(
                "dpop+jwt",
                json!({
                    "htm": "POST", "htu": TOKEN_ENDPOINT, "nonce": self.world.deputy.nonce(),
                }),
            );
        }
        let hash = Fingerprint::of(self.bound().await.as_bytes());
        let hash = URL_SAFE_NO_PAD.encode(hash.as_bytes());
        self.signs("dpop+jwt", json!({ "htm": "POST", "htu": TICKETS, "ath": hash }))
    }

    /// The one token for tickets that is bound to the client's key.
    async fn bound(&self) -> String {
        let mut kept = self.bound.lock().await;
        if kept.is_empty() {
            let proof = Box::pin(self.proof("`DPoP`")).await;
            let exchange = self.world.agent("support").exchanges(&self.world.alice()).at(TICKETS);
            *kept = exchange.scope("tickets:read").header("dpop", &proof).token().await;
        }
        kept.clone()
    }

    fn exchange(&self, subject: &str) -> Request<'a> {
        let exchange = self.world.agent("support").exchanges(subject);
        exchange.at(REFUNDS).scope("refunds:read")
    }

    /// Whether a token is taken at a place; if not, it is refused as the place refuses.
    async fn offer(&self, kind: &str, place: &str, token: &str) -> bool {
        let support = self.world.agent("support");
        match place {
            "subject, `access_token`" => {
                taken(self.exchange(token).send().await, "invalid_request")
            }
            "subject, `id_token`" => {
                let exchange = support.exchanges(token).field("subject_token_type", ID_TOKEN);
                let exchange = exchange.at(TICKETS).scope("tickets:read");
                taken(exchange.send().await, "invalid_request")
            }
            "subject, `jwt`" => {
                taken(support.takes_over(token).at(REFUNDS).send().await, "invalid_request")
            }
            "actor" => {
                let exchange = self.exchange(&self.world.alice()).actor(token);
                taken(exchange.send().await, "invalid_request")
            }
            "assertion" => {
                // Who failed in this second is not looked at again before the next.
                self.world.advance(1).await;
                let own = self.world.agent("keyed").asks_for_itself().basic(None);
                let own = own.field("client_assertion_type", ASSERTION);
                taken(own.field("client_assertion", token).send().await, "invalid_client")
            }
            "`DPoP`" => {
                let exchange = self.exchange(&self.world.alice()).header("dpop", token);
                taken(exchange.send().await, "invalid_dpop_proof")
            }
            "introspection" => self.world.server("refunds").accepts(token).await,
            "`dpop_proof`" => self.proves(token).await,
            "revocation" => self.ends(kind, token).await,
            "AuthZEN" => self.decides(token).await,
            "admin API" => {
                let asked = self.world.asks("GET", "/admin/v1/clients").bearer_auth(token);
                let answer = Answer::of(asked).await;
                assert!(matches!(answer.status, 200 | 401), "{answer:?}");
                answer.status == 200
            }
            unknown => panic!("there is no place {unknown}"),
        }
    }

    async fn proves(&self, proof: &str) -> bool {
        let question = self.world.agent("tickets").introspects(&self.bound().await).at(TICKETS);
        let question = question.field("tool", "tickets.get").field("arguments", "{}");
        let question = question.field("dpop_proof", proof).field("htm", "POST");
        let answer = question.field("htu", TICKETS).send().await.json;
        match answer["decision"]["reason"].as_str() {
            Some("permitted") => true,
            Some("dpop_proof_invalid") => false,
            _ => panic!("{answer}"),
        }
    }

    /// Given back by whom it was issued to; by the support agent where that is nobody of ours.
    async fn ends(&self, kind: &str, token: &str) -> bool {
        let holder =
            if kind.starts_with("our ") { claims(token)["client_id"].clone() } else { Value::Null };
        let holder = holder.as_str().and_then(|id| id.strip_prefix("cl_")).unwrap_or("support");
        self.world.advance(1).await;
        let before = self.world.deputy.snapshot().revision;
        let answer = self.world.agent(holder).revokes(token).send().await;
        assert_eq!((answer.status, answer.text.as_str()), (200, ""));
        self.world.deputy.snapshot().revision > before
    }

    async fn decides(&self, token: &str) -> bool {
        let question = json!({
            "subject": { "type": "user", "id": "alice", "properties": { "token": token } },
            "action": { "name": "refunds.list" },
            "resource": { "type": "mcp_server", "id": REFUNDS },
            "context": { "arguments": {} },
        });
        let asked = self.world.agent("refunds").sends("/access/v1/evaluation");
        let answer = asked.send_body(question.to_string(), "application/json").await.json;
        let allows = answer["decision"].as_bool().unwrap();
        assert!(allows || answer["context"]["reason"] == "token_inactive", "{answer}");
        allows
    }

    /// So many seconds from now.
    fn in_s(&self, seconds: i64) -> i64 {
        self.world.deputy.now().epoch_s() + seconds
    }
}

fn taken(answer: Answer, refusal: &str) -> bool {
    if answer.status != 200 {
        answer.is_refused(refusal);
    }
    answer.status == 200
}

/// Writes members over those that are there; `null` takes one out.
fn merge(claims: &mut Value, said: Value) {
    let claims = claims.as_object_mut().unwrap();
    for (name, value) in said.as_object().unwrap() {
        claims.insert(name.clone(), value.clone());
    }
    claims.retain(|_, value| !value.is_null());
}

fn drawn() -> String {
    URL_SAFE_NO_PAD.encode(Random::system().bytes::<16>().unwrap())
}
