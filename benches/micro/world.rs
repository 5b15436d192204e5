//! What the steps are measured on: one server with a hundred tools of ten arguments each, and tokens
//! for it.

use std::{collections::BTreeMap, sync::Arc};

use deputy::{
    base::{
        id::{ClientId, DecisionId, DelegationId, TransactionId},
        json::{self, Limits, Value},
        secret::{Fingerprint, Secret},
        time::Timestamp,
    },
    engine::snapshot::{Config, Macs, Parts, Snapshot},
    jose::{
        self, Algorithm, MacKey, SigningKey,
        ring::{KeyRing, RingKey},
    },
    model::{
        actor::{Actor, ActorChain},
        authority::{Authority, Entry, ToolName, Tools},
        client::AuthMethod,
        constraint::SubjectClaims,
        details,
        max_calls::MaxCalls,
        policy::{Source, Sources},
        resource::{About, DpopUse, Effect, Enforces, Resource, ResourceId, Tool},
        revocation::Revocations,
        scope::Scope,
        signing::SigningAlgorithm,
        subject::Subject,
        token::{Authentication, OurClaims, OurKind},
        uri::Uri,
    },
    oauth::claims,
    policy::Policies,
};

/// Our issuer.
pub const ISSUER: &str = "https://deputy.example/oauth2";
/// A tool that no policy concerns.
pub const FREE: &str = "tickets.search";
/// A tool that five policies concern.
pub const POLICED: &str = "tickets.find";
/// What it is called with.
pub const ARGUMENTS: &str = r#"{"field_0":0,"field_1":1,"field_2":2,"field_3":3,"field_4":4,"field_5":5,"field_6":6,"field_7":7,"field_8":8,"field_9":9}"#;

const LOCATION: &str = "https://tickets.example/mcp";
const SCOPE: &str = "tickets:read";

/// Everything that is known, and two tokens.
pub struct World {
    /// One server, its policies and a key.
    pub snapshot: Snapshot,
    /// Says nothing about arguments.
    pub free: OurClaims,
    /// Permits one value of each.
    pub constrained: OurClaims,
    key: Arc<SigningKey>,
}

impl World {
    pub fn new() -> World {
        let key = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
        let mac = || MacKey::derive(&Secret::new([7; 32]), "bench");
        let config = Config::new(Parts {
            revision: 1,
            public_url: "https://deputy.example".into(),
            issuer: ISSUER.into(),
            keys: KeyRing::new(vec![RingKey {
                key: Arc::clone(&key),
                signs_from: Timestamp::EPOCH,
            }]),
            macs: Macs {
                transaction: mac(),
                secret_tag: mac(),
                nonce: mac(),
                checkpoint_key: mac(),
            },
            erasures: 0,
            clients: Vec::new(),
            resources: vec![tickets()],
            issuers: Vec::new(),
            edges: Vec::new(),
            operators: Vec::new(),
        });
        let resources = config.resources().map(AsRef::as_ref);
        let policies = Policies::compile(1, &policies(), resources).unwrap();
        let snapshot = Snapshot {
            revision: 1,
            config: Arc::new(config),
            policies: Arc::new(policies),
            revocations: Arc::new(Revocations::default()),
        };
        World { snapshot, free: token("{}"), constrained: token(&exactly()), key }
    }

    /// A token with these claims.
    pub fn token(&self, claims: &OurClaims) -> String {
        let payload = claims::write(ISSUER, claims);
        jose::sign_compact(claims::TYP_ACCESS_TOKEN, &self.key, payload.as_bytes()).unwrap()
    }

    /// The server.
    pub fn resource(&self) -> &Resource {
        self.snapshot.config.resource_at_text(LOCATION).unwrap()
    }

    /// The question about a call, as it is posted.
    pub fn form(&self) -> String {
        let encode = |text: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            let one =
                |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
            text.bytes().map(one).collect::<String>()
        };
        let fields = [
            ("token", self.token(&self.constrained).as_str()),
            ("resource", LOCATION),
            ("tool", FREE),
            ("arguments", ARGUMENTS),
        ]
        .map(|(name, value)| format!("{name}={}", encode(value)));
        fields.join("&")
    }
}

/// When it is.
pub fn now() -> Timestamp {
    Timestamp::from_epoch_s(1_800_000_030).unwrap()
}

/// The name of a decision.
pub fn decision() -> DecisionId {
    DecisionId::at(now(), [5; DecisionId::REST_BYTES])
}

/// A hundred policies that forbid nothing here; five of them concern [`POLICED`].
pub fn policies() -> Sources {
    let policy = |(number, tool): (usize, String)| {
        let field = if tool == POLICED { number } else { 0 };
        format!(
            r#"@id("p-{number}")
            forbid (principal, action == Action::"tickets/{tool}", resource)
            when {{ context.arguments has field_{field} && context.arguments.field_{field} > 500
                && context.depth > 2 && !principal.groups.contains("finance") }};"#
        )
    };
    let others = (0..95).map(|n| format!("tool.{n}"));
    let tools = std::iter::repeat_n(POLICED.to_owned(), 5).chain(others);
    let texts: Vec<String> = tools.enumerate().map(policy).collect();
    let source = Source { name: "bench.cedar".to_owned(), text: texts.join("\n") };
    Sources { delegation: vec![source], ..Sources::default() }
}

/// A ticket server.
fn tickets() -> Resource {
    let scopes = Scope::parse(SCOPE).unwrap();
    let field = |n: usize| format!(r#""field_{n}":{{"type":"integer"}}"#);
    let fields: Vec<String> = (0..10).map(field).collect();
    let schema = format!(r#"{{"type":"object","properties":{{{}}}}}"#, fields.join(","));
    let schema = json::parse(schema.as_bytes(), &Limits::DEFAULT).unwrap();
    let tool = |name: &str| Tool {
        name: ToolName::parse(name).unwrap(),
        description: String::new(),
        scopes: scopes.clone(),
        effect: Effect::Read,
        input_schema: schema.clone(),
        about: About::default(),
        digest: Fingerprint::of(name.as_bytes()),
        keep_arguments: Vec::new(),
        enabled: true,
        changed_at: 1,
        changed_on: Timestamp::EPOCH,
        pending: None,
    };
    let others: Vec<String> = (0..98).map(|n| format!("tool.{n}")).collect();
    let names = others.iter().map(String::as_str).chain([FREE, POLICED]);
    Resource {
        id: ResourceId::parse("tickets").unwrap(),
        uri: Uri::parse(LOCATION).unwrap(),
        owner: ClientId::parse("cl_tickets").unwrap(),
        name: "Tickets".to_owned(),
        enforces: Enforces::Call,
        verifies_offline: false,
        dpop: DpopUse::No,
        ttl: Resource::DEFAULT_TTL,
        token_signing: SigningAlgorithm::default(),
        step_up_hints: false,
        scopes: scopes.clone(),
        tools: names.map(tool).map(|tool| (tool.name.clone(), tool)).collect(),
        enabled: true,
    }
}

/// A token of alice's for both tools, held by an agent, with these constraints for each.
fn token(arguments: &str) -> OurClaims {
    let scope = Scope::parse(SCOPE).unwrap();
    let tools = format!(r#"{{"{FREE}":{arguments},"{POLICED}":{arguments}}}"#);
    let tools = json::parse(tools.as_bytes(), &Limits::DEFAULT).unwrap();
    let tools = details::tools_from_json(tools.as_object().unwrap(), "").unwrap();
    let tools = details::resolve(tools, &SubjectClaims::default()).unwrap();
    let entry =
        Entry { scope: scope.clone(), tools: Tools::Named(tools), max_calls: MaxCalls::default() };
    let support = Actor { issuer: ISSUER.into(), sub: "cl_support".into() };
    OurClaims {
        kind: OurKind::Call,
        path: vec![DelegationId::from_bytes([1; 16])],
        txn: TransactionId::from_bytes([3; 16]),
        subject: Subject { issuer: "https://idp.example".into(), sub: "alice".into() },
        sub: "idp|alice".into(),
        own: false,
        audience: LOCATION.into(),
        client: ClientId::parse("cl_support").unwrap(),
        chain: ActorChain::default().extended(support).unwrap(),
        via: vec![AuthMethod::ClientSecretBasic],
        scope,
        authority: Authority::new(BTreeMap::from([(Uri::parse(LOCATION).unwrap(), entry)])),
        issued_at: Timestamp::from_epoch_s(1_800_000_000).unwrap(),
        expires_at: Timestamp::from_epoch_s(1_800_000_120).unwrap(),
        root_revision: 1,
        revision: 1,
        authentication: Authentication::default(),
        groups: [Arc::from("support")].into(),
        bound: None,
    }
}

/// One value of each of the ten arguments.
fn exactly() -> String {
    let arguments = json::parse(ARGUMENTS.as_bytes(), &Limits::DEFAULT).unwrap();
    let limit = |(name, value): (&str, &Value)| {
        format!(r#""{name}":{{"constraint_type":"exact","value":{}}}"#, value.to_json())
    };
    let limits: Vec<String> = arguments.as_object().unwrap().iter().map(limit).collect();
    format!("{{{}}}", limits.join(","))
}
