//! Attenuation through the exchange itself: chains of delegations grown by chance through the real
//! verb, each child held against its parent. Nothing is stored and nothing is asked over HTTP; the
//! tokens are signed and verified, so that what is compared is what a reader reads.

use std::{collections::BTreeMap, sync::Arc};

use deputy::{
    base::{
        id::{CredentialId, DelegationId},
        secret::Secret,
        time::{Seconds, Timestamp},
    },
    engine::{
        authenticate::{self, Authenticated, PresentedSecret},
        exchange::{self, Exchange, SubjectToken},
        snapshot::{Config, Macs, Parts, Snapshot},
        verify::{
            Verified,
            foreign::{self, Claimed},
            ours,
        },
    },
    jose::{
        Algorithm, KeySet, MacKey, SigningKey,
        ring::{KeyRing, RingKey},
        sign_compact,
    },
    model::{
        actor::ActorChain,
        authority::{Entry, Tools},
        client::{Client, Credential},
        issuer::ForeignKind,
        resource::Resource,
        revocation::Revocations,
        scope::Scope,
        token::{OurClaims, OurKind},
    },
    oauth::{details, token_request::Wanted},
    registry,
};
use serde_json::{Value, json};

use super::{chance::Chance, oracle, shapes, tool};

const CHAINS: usize = 150;
const HOPS: usize = 9;
const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://deputy.example/oauth2";
const USERS: &str = "https://idp.example";
const PLACES: [&str; 2] = ["desk", "ledger"];
const AGENTS: [&str; 4] = ["one", "two", "three", "desk"];
const TOOLS: [&str; 3] = ["t1", "t2", "t3"];

/// Everything that is registered, and the keys.
struct Stage {
    snapshot: Snapshot,
    us: Arc<SigningKey>,
    user: SubjectToken,
}

/// A token of ours, and what it says.
type Token = Arc<Verified<OurClaims>>;

#[test]
#[expect(clippy::print_stdout, reason = "the statistics are for people too")]
fn ra7_i1_no_child_of_an_exchange_holds_more_than_its_parent() {
    let stage = Stage::new();
    let mut chance = Chance::new(11);
    let (mut granted, mut refused, mut deepest) = (0, 0, 0);
    let mut by_kind = BTreeMap::<&str, usize>::new();
    for _ in 0..CHAINS {
        let mut parent: Option<Token> = None;
        for _ in 0..HOPS {
            let (agent, wanted) = Stage::asks(&mut chance, parent.as_deref());
            match stage.exchanges(&mut chance, &agent, parent.as_ref(), &wanted) {
                None => refused += 1,
                Some(child) => {
                    granted += 1;
                    let claims = child.get();
                    deepest = deepest.max(claims.path.len());
                    *by_kind.entry(claims.kind.as_str()).or_default() += 1;
                    if let Some(parent) = &parent {
                        holds_no_more(&mut chance, claims, parent.get());
                    }
                    parent = Some(child);
                }
            }
        }
    }
    println!("{granted} granted, {refused} refused, {deepest} deep, {by_kind:?}");
    assert!(granted * 100 >= (granted + refused) * 30 && refused * 100 >= granted * 10);
    assert!(deepest >= 5 && by_kind.len() == 2, "{deepest} deep, {by_kind:?}");
}

/// I1: scope, details, life and depth of a child, and who it is for.
fn holds_no_more(chance: &mut Chance, child: &OurClaims, parent: &OurClaims) {
    assert!(child.expires_at <= parent.expires_at, "its life is no longer");
    assert_eq!(child.path[..child.path.len() - 1], parent.path, "it is its parent's child");
    assert!(child.path.len() <= OurClaims::MAX_PATH);
    let (hops, before) = (child.chain.hops(), parent.chain.hops());
    assert!(hops.len() <= ActorChain::MAX_DEPTH && hops.ends_with(before), "nobody is left out");
    assert!(hops.len() <= before.len() + 1);
    assert_eq!((&child.subject, child.txn), (&parent.subject, parent.txn), "it is for the same");
    for (location, entry) in child.authority.iter() {
        let wider = parent.authority.at(location).unwrap_or_else(|| panic!("{location} is new"));
        // Onward and handed-over entries carry no scope of their own: their tools say it.
        if parent.kind == OurKind::Call && *parent.audience == *location.as_str() {
            assert!(entry.scope.is_subset(&wider.scope), "{location}: scope");
        }
        tools_hold_no_more(chance, entry, wider);
    }
}

fn tools_hold_no_more(chance: &mut Chance, child: &Entry, parent: &Entry) {
    let Tools::Named(wider) = &parent.tools else { return };
    let Tools::Named(_) = &child.tools else { panic!("a detailed parent, an undetailed child") };
    let (child, parent) = (named(child), named(parent));
    for (name, arguments) in &child {
        assert!(wider.contains_key(name.as_str()), "{name} is new");
        for _ in 0..6 {
            let call = shapes::call(chance, arguments);
            let permits = |named: &Vec<_>| named.is_empty() || oracle::accepts_call(named, &call);
            assert!(!permits(arguments) || permits(&parent[name]), "{name}: {call}");
        }
    }
}

/// What an entry says of each tool, from its JSON; nothing is said where everything is permitted.
fn named(entry: &Entry) -> BTreeMap<String, Vec<(String, Value)>> {
    let written = details::write_entry("https://a.example", entry).unwrap();
    let written: Value = serde_json::from_str(&written).unwrap();
    let pointers = |arguments: &Value| {
        let members = arguments.as_object().unwrap().iter();
        members
            .map(|(key, said)| (format!("/{}", key.trim_start_matches('/')), said.clone()))
            .collect()
    };
    let tools = written["tools"].as_object().unwrap().iter();
    tools.map(|(name, arguments)| (name.clone(), pointers(arguments))).collect()
}

fn location(place: &str) -> String {
    format!("https://{place}.example/mcp")
}

impl Stage {
    fn new() -> Stage {
        let us = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
        let theirs = SigningKey::generate(Algorithm::Es256).unwrap();
        let key = RingKey { key: Arc::clone(&us), signs_from: Timestamp::EPOCH };
        let mac = |label| MacKey::derive(&Secret::new([7; 32]), label);
        let config = Config::new(Parts {
            revision: 1,
            public_url: "https://deputy.example".into(),
            issuer: ISSUER.into(),
            keys: KeyRing::new(vec![key]),
            macs: Macs {
                transaction: mac("a"),
                secret_tag: mac("b"),
                nonce: mac("c"),
                checkpoint_key: mac("d"),
            },
            erasures: 0,
            clients: AGENTS.iter().map(|name| agent(name)).chain([server("ledger")]).collect(),
            resources: PLACES.iter().map(|place| resource(place)).collect(),
            issuers: vec![issuer()],
            edges: edges(),
            operators: Vec::new(),
        });
        let revocations = Arc::new(Revocations::default());
        let config = Arc::new(config);
        let user = foreign_token(&config, &theirs);
        let policies = Arc::default();
        Stage { snapshot: Snapshot { revision: 1, config, policies, revocations }, us, user }
    }

    /// Who asks for a child of `parent`, and for what: some of it, narrower or nearly so.
    fn asks(chance: &mut Chance, parent: Option<&Verified<OurClaims>>) -> (String, Wanted) {
        let Some(claims) = parent.map(Verified::get) else {
            let wanted = Stage::wants(chance, "one", None);
            return ("one".to_owned(), wanted);
        };
        let presenter = match claims.kind {
            OurKind::HandOver => claims.audience.trim_start_matches("urn:agent:").to_owned(),
            // Its holder narrows it, or the server that it came to goes on.
            OurKind::Call | OurKind::Agent if chance.percent(60) => {
                claims.client.as_str().trim_start_matches("cl_").to_owned()
            }
            OurKind::Call | OurKind::Agent => "desk".to_owned(),
        };
        let wanted = Stage::wants(chance, &presenter, Some(claims));
        (presenter, wanted)
    }

    fn wants(chance: &mut Chance, agent: &str, parent: Option<&OurClaims>) -> Wanted {
        let hand_over =
            chance.percent(if parent.is_none_or(|p| p.kind == OurKind::HandOver) { 70 } else { 5 });
        let target = match (hand_over, parent.filter(|p| p.kind == OurKind::Call)) {
            (true, _) => {
                let others: Vec<&&str> = AGENTS.iter().filter(|other| **other != agent).collect();
                format!("urn:agent:{}", chance.pick(&others))
            }
            (false, Some(call)) if chance.percent(70) && agent != "desk" => {
                call.audience.to_string()
            }
            (false, _) => location(PLACES[chance.below(PLACES.len())]),
        };
        let asked = if parent.is_some() && chance.percent(15) {
            None
        } else {
            Some(details(chance, parent))
        };
        let scope = chance.percent(15).then(|| Scope::parse("r w").unwrap());
        Wanted {
            targets: vec![target],
            token_type: None,
            scope: scope.filter(|_| !hand_over),
            details: asked.map(|asked| details::parse(&asked.to_string()).unwrap()),
        }
    }

    /// The child as a reader sees it, or nothing if it was refused.
    fn exchanges(
        &self,
        chance: &mut Chance,
        agent: &str,
        parent: Option<&Token>,
        wanted: &Wanted,
    ) -> Option<Token> {
        let client = self.authenticated(agent);
        let subject =
            parent.map_or_else(|| self.user.clone(), |p| SubjectToken::Ours(Arc::clone(p)));
        let id: [u8; 16] = std::array::from_fn(|_| u8::try_from(chance.below(256)).unwrap());
        let id = DelegationId::from_bytes(id);
        let exchange =
            Exchange { client: &client, subject: &subject, actor: None, holder: None, wanted, id };
        let tentative = exchange::judge(&self.snapshot, &exchange, now()).ok()?;
        let token =
            sign_compact(tentative.typ(), &self.us, tentative.payload().as_bytes()).unwrap();
        let read = ours::judge(&self.snapshot.config, &token).unwrap();
        let minted = &tentative.delegation().claims;
        let written = |claims: &OurClaims| details::write(&claims.authority);
        assert_eq!(written(read.get()), written(minted), "what a token says is what is read of it");
        Some(Arc::new(read))
    }

    fn authenticated(&self, agent: &str) -> Authenticated {
        let client = self.snapshot.config.enabled_client(&format!("cl_{agent}")).unwrap();
        let presented = PresentedSecret {
            id: client.id.to_string(),
            secret: Secret::new(String::new()),
            method: client.auth_method,
        };
        authenticate::judge(&self.snapshot, &presented, CREDENTIAL, now()).unwrap()
    }
}

const CREDENTIAL: CredentialId = CredentialId::from_bytes([1; 16]);

fn now() -> Timestamp {
    Timestamp::from_epoch_s(NOW).unwrap()
}

/// Details that are some of the parent's, or any for a root.
fn details(chance: &mut Chance, parent: Option<&OurClaims>) -> Value {
    let entries: Vec<Value> = match parent {
        None => {
            let places = chance.some(&PLACES, 1);
            places.into_iter().map(|place| entry(&location(place), any_tools(chance))).collect()
        }
        Some(parent) => {
            let held: Vec<(String, Entry)> =
                parent.authority.iter().map(|(l, e)| (l.to_string(), e.clone())).collect();
            let kept = chance.some(&held, 1);
            kept.iter().map(|(at, held)| entry(at, narrowed_tools(chance, held))).collect()
        }
    };
    Value::Array(entries)
}

fn entry(location: &str, tools: Value) -> Value {
    json!({ "type": "mcp_tool_call", "locations": [location], "tools": tools })
}

fn any_tools(chance: &mut Chance) -> Value {
    let tools = chance.some(&TOOLS, 1);
    tools.into_iter().map(|name| (name, shapes::object(&shapes::any(chance)))).collect()
}

fn narrowed_tools(chance: &mut Chance, held: &Entry) -> Value {
    let Tools::Named(_) = &held.tools else { return any_tools(chance) };
    let held: Vec<(String, Vec<(String, Value)>)> = named(held).into_iter().collect();
    let mut kept = chance.some(&held, 1);
    for (_, arguments) in &mut kept {
        if !arguments.is_empty() {
            *arguments = match chance.below(6) {
                0 => shapes::nearly(chance, arguments),
                _ => shapes::narrowed(chance, arguments),
            };
        }
    }
    kept.into_iter().map(|(name, arguments)| (name, shapes::object(&arguments))).collect()
}

fn agent(name: &str) -> Client {
    let everything = PLACES.map(|place| json!({ "resource": place, "scope": "r w" }));
    let document = json!({
        "client_id": format!("cl_{name}"), "name": name,
        "agent": { "uri": format!("urn:agent:{name}"), "allowance": everything },
    });
    let mut client = registry::client::parse(&document.to_string()).unwrap();
    let created = Timestamp::EPOCH;
    client.credentials =
        vec![Credential { id: CREDENTIAL, hash: String::new(), created, expires: None }];
    client
}

fn server(name: &str) -> Client {
    let document = json!({ "client_id": format!("cl_{name}"), "name": name });
    registry::client::parse(&document.to_string()).unwrap()
}

fn resource(place: &str) -> Resource {
    let document = json!({
        "id": place, "resource": location(place), "owner": format!("cl_{place}"), "name": place,
        "scopes_supported": ["r", "w"],
    });
    let mut resource = registry::resource::parse(&document.to_string()).unwrap();
    for (name, scope) in TOOLS.iter().zip(["r", "w", "r"]) {
        let document = json!({
            "resource": place, "name": name, "scopes": [scope], "effect": "read",
            "input_schema": {}, "changed_at": 0, "changed_on": 0,
        });
        let (_, read) = registry::tool::parse(&document.to_string()).unwrap();
        resource.tools.insert(tool(name), read);
    }
    resource
}

fn edges() -> Vec<deputy::model::client::Edge> {
    let pairs = AGENTS.iter().flat_map(|from| AGENTS.iter().map(move |to| (from, to)));
    let edge = |(from, to)| json!({ "from": format!("cl_{from}"), "to": format!("cl_{to}") });
    let others = pairs.filter(|(from, to)| from != to).map(edge);
    others.map(|document| registry::edge::parse(&document.to_string()).unwrap()).collect()
}

fn issuer() -> deputy::model::issuer::TrustedIssuer {
    let gives = PLACES.map(|place| json!({ "resource": place, "scope": "r w" }));
    let document = json!({
        "issuer": USERS, "alias": "corp", "primary": true, "keys": { "discovery": true },
        "access_tokens": { "audiences": ["deputy"] }, "any_agent": true,
        "grant_rules": [{ "kind": "access_token", "any_scope": true, "gives": gives }],
    });
    registry::issuer::parse(&document.to_string()).unwrap()
}

fn foreign_token(config: &Config, key: &SigningKey) -> SubjectToken {
    let lasts = Seconds::new(3_000);
    let claims = json!({
        "iss": USERS, "sub": "alice", "aud": "deputy", "client_id": "x", "jti": "1",
        "iat": NOW, "exp": now().plus(lasts).epoch_s(),
    });
    let token = sign_compact("at+jwt", key, claims.to_string().as_bytes()).unwrap();
    let keys = format!(r#"{{"keys":[{}]}}"#, key.public_jwk());
    let keys = KeySet::parse_jwks(keys.as_bytes(), &[Algorithm::Es256]).unwrap();
    let Claimed::Foreign(presented) =
        foreign::present(config, &token, ForeignKind::AccessToken).unwrap()
    else {
        panic!("it names another issuer");
    };
    SubjectToken::Foreign(Arc::new(presented.judge(&keys, now()).unwrap()))
}
