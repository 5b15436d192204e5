//! What policies mean, what is refused when they are written, and that nothing fails open.

mod reads;
mod written;

use std::sync::Arc;

use super::*;
use crate::{
    base::{
        id::{ClientId, DelegationId, TransactionId},
        json::{self, Limits, Object},
        secret::Fingerprint,
        time::Timestamp,
    },
    model::{
        actor::{Actor, ActorChain},
        authority::Authority,
        policy::{Source, Sources},
        resource::{About, DpopUse, Effect, Enforces},
        scope::Scope,
        signing::SigningAlgorithm,
        subject::Subject,
        token::{Authentication, KeyThumbprint, OurClaims, OurKind},
        uri::Uri,
    },
};

const US: &str = "https://deputy.example/oauth2";
const ISSUE: &str = r##"{"type":"object","properties":{
    "order_id":{"type":"string"}, "amount":{"type":"integer"}, "rate":{"type":"number"},
    "urgent":{"type":"boolean"}, "tags":{"type":"array","items":{"type":"string"}},
    "note":{"anyOf":[{"type":"string"},{"type":"null"}],"default":null},
    "to":{"$ref":"#/$defs/Account"}, "either":{"anyOf":[{"type":"integer"},{"type":"string"}]}},
    "$defs":{"Account":{"type":"object","properties":{"bank":{"type":"string"}}}}}"##;

/// A billing server with one tool of each effect.
fn billing() -> Resource {
    let scopes = Scope::parse("refunds").unwrap();
    let schema = json::parse(ISSUE.as_bytes(), &Limits::DEFAULT).unwrap();
    let tool = |(name, effect): (&str, Effect)| Tool {
        name: ToolName::parse(name).unwrap(),
        description: String::new(),
        scopes: scopes.clone(),
        effect,
        input_schema: schema.clone(),
        about: About::default(),
        digest: Fingerprint::of(name.as_bytes()),
        keep_arguments: Vec::new(),
        enabled: true,
        changed_at: 1,
        changed_on: Timestamp::EPOCH,
        pending: None,
    };
    let tools = [
        ("refunds.list", Effect::Read),
        ("refunds.issue", Effect::Write),
        ("refunds.purge", Effect::Destructive),
        ("refunds.export", Effect::Egress),
    ];
    Resource {
        id: ResourceId::parse("billing").unwrap(),
        uri: Uri::parse("https://billing.example/mcp").unwrap(),
        owner: ClientId::parse("cl_billing").unwrap(),
        name: "Billing".to_owned(),
        enforces: Enforces::Call,
        verifies_offline: false,
        dpop: DpopUse::No,
        ttl: Resource::DEFAULT_TTL,
        token_signing: SigningAlgorithm::default(),
        step_up_hints: false,
        scopes: scopes.clone(),
        tools: tools.into_iter().map(tool).map(|tool| (tool.name.clone(), tool)).collect(),
        enabled: true,
    }
}

fn set(text: &str) -> Sources {
    let delegation = vec![Source { name: "a.cedar".to_owned(), text: text.to_owned() }];
    Sources { delegation, ..Sources::default() }
}

fn compiled(text: &str) -> Policies {
    Policies::compile(3, &set(text), [&billing()]).unwrap()
}

/// A token of alice's, held by the last of these agents.
fn token(agents: &[&str]) -> OurClaims {
    let hop = |name: &&str| Actor { issuer: US.into(), sub: (*name).into() };
    let grow = |chain: ActorChain, name: &&str| chain.extended(hop(name)).unwrap();
    OurClaims {
        kind: OurKind::Call,
        path: vec![DelegationId::from_bytes([1; 16])],
        txn: TransactionId::from_bytes([3; 16]),
        subject: Subject { issuer: "https://idp.example".into(), sub: "alice".into() },
        sub: "idp|alice".into(),
        own: false,
        audience: "https://billing.example/mcp".into(),
        client: ClientId::parse(agents.last().unwrap()).unwrap(),
        chain: agents.iter().fold(ActorChain::default(), grow),
        via: Vec::new(),
        scope: Scope::default(),
        authority: Authority::default(),
        issued_at: Timestamp::from_epoch_s(1_000).unwrap(),
        expires_at: Timestamp::from_epoch_s(1_120).unwrap(),
        root_revision: 1,
        revision: 1,
        authentication: Authentication::default(),
        groups: [].into(),
        bound: None,
    }
}

fn acting(claims: &OurClaims) -> Acting<'_> {
    Acting { claims, issuer: US, alias: "idp", now: Timestamp::from_epoch_s(1_010).unwrap() }
}

fn object(text: &str) -> Object {
    json::parse(text.as_bytes(), &Limits::DEFAULT).unwrap().as_object().unwrap().clone()
}

fn asked_at(policies: &Policies, acting: Acting<'_>, tool: &str, arguments: &str) -> Verdict {
    let (resource, arguments) = (billing(), object(arguments));
    let tool = resource.tools.get(tool).unwrap();
    policies.call(&Call { acting, resource: &resource, tool, arguments: &arguments })
}

fn asked(policies: &Policies, claims: &OurClaims, tool: &str, arguments: &str) -> Outcome {
    asked_at(policies, acting(claims), tool, arguments).outcome
}

fn delegated(policies: &Policies, claims: &OurClaims, tools: &[&str]) -> Verdict {
    let resource = billing();
    let tools = tools.iter().map(|name| (&resource, resource.tools.get(*name).unwrap())).collect();
    let acting = Acting { now: claims.issued_at, ..acting(claims) };
    policies.delegate(&Delegate { acting, target: For::Resource(&resource), tools })
}

const ONE: &[&str] = &["cl_support"];

#[test]
fn no_policy_says_nothing() {
    let policies = Policies::default();
    assert_eq!(asked(&policies, &token(ONE), "refunds.issue", "{}"), Outcome::Passes);
    assert_eq!(delegated(&policies, &token(ONE), &[]), Verdict::default());
}

#[test]
fn an_amount_above_the_limit_is_forbidden_and_the_policy_is_named() {
    let policies = compiled(
        r#"@id("refund-limit")
           forbid (principal, action == Action::"billing/refunds.issue", resource)
           when { context.arguments has amount && context.arguments.amount > 500 };"#,
    );
    let say = |arguments| asked_at(&policies, acting(&token(ONE)), "refunds.issue", arguments);
    assert_eq!(say(r#"{"amount":500}"#).outcome, Outcome::Passes);
    let no = say(r#"{"amount":501}"#);
    assert_eq!((no.outcome, no.decided), (Outcome::Forbidden, vec![Arc::from("refund-limit")]));
    assert_eq!(say("{}").outcome, Outcome::Passes);
    let other = asked(&policies, &token(ONE), "refunds.list", r#"{"amount":501}"#);
    assert_eq!(other, Outcome::Passes, "another tool");
    let rule = policies.rule("refund-limit").unwrap();
    assert_eq!((&*rule.file, rule.line, policies.version()), ("a.cedar", 1, 3));
}

#[test]
fn a_value_that_cedar_has_none_for_is_never_overlooked() {
    let policies = compiled(
        r#"@id("limit") forbid (principal, action in Action::"call", resource)
           when { context.arguments has amount && context.arguments.amount > 500 };"#,
    );
    let say = |arguments| asked(&policies, &token(ONE), "refunds.issue", arguments);
    for hidden in
        [r#"{"amount":"501"}"#, r#"{"amount":501.5}"#, r#"{"amount":1e30}"#, r#"{"amount":{}}"#]
    {
        assert_eq!(say(hidden), Outcome::NotRepresentable, "{hidden}");
    }
    assert_eq!(say(r#"{"amount":null}"#), Outcome::Passes, "null is absent");
    assert_eq!(say(r#"{"amount":5.01e2}"#), Outcome::Forbidden, "by value");
    assert_eq!(say(r#"{"amount":1,"order_id":7}"#), Outcome::Passes, "no policy looks at it");
}

#[test]
fn what_has_no_type_cannot_slip_past_a_policy_that_asks_for_it() {
    // `either` is an integer or a text: no policy can compare it, and `has` is never true of it.
    let policies = compiled(
        r#"@id("either") forbid (principal, action in Action::"call", resource)
           when { context.arguments has either || context.depth > 5 };"#,
    );
    let say = |arguments| asked(&policies, &token(ONE), "refunds.issue", arguments);
    assert_eq!(say(r#"{"either":1}"#), Outcome::NotRepresentable);
    assert_eq!(say(r#"{"unheard_of":1}"#), Outcome::Passes);
}

#[test]
fn a_policy_that_errs_denies() {
    let policies = compiled(
        r#"@id("overflow") forbid (principal, action in Action::"call", resource)
           when { context.arguments has amount && context.arguments.amount * 4611686018427387904 > 1 };"#,
    );
    let no = asked_at(&policies, acting(&token(ONE)), "refunds.issue", r#"{"amount":4}"#);
    assert_eq!((no.outcome, no.decided), (Outcome::Failed, vec![Arc::from("overflow")]));
}

#[test]
fn every_kind_of_argument_can_be_looked_at() {
    let cases = [
        (
            r#"has rate && context.arguments.rate.greaterThan(decimal("0.25"))"#,
            r#"{"rate":0.2501}"#,
            r#"{"rate":0.25}"#,
        ),
        ("has urgent && context.arguments.urgent", r#"{"urgent":true}"#, r#"{"urgent":false}"#),
        (
            r#"has tags && context.arguments.tags.contains("vip")"#,
            r#"{"tags":["a","vip"]}"#,
            r#"{"tags":["a"]}"#,
        ),
        (
            r#"has note && context.arguments.note like "*export*""#,
            r#"{"note":"please export all"}"#,
            r#"{"note":"x"}"#,
        ),
        (
            r#"has to && context.arguments.to has bank && context.arguments.to.bank != "own""#,
            r#"{"to":{"bank":"else"}}"#,
            r#"{"to":{"bank":"own"}}"#,
        ),
    ];
    for (condition, no, yes) in cases {
        let policies = compiled(&format!(
            r#"@id("p") forbid (principal, action == Action::"billing/refunds.issue", resource)
               when {{ context.arguments {condition} }};"#
        ));
        assert_eq!(asked(&policies, &token(ONE), "refunds.issue", no), Outcome::Forbidden, "{no}");
        assert_eq!(asked(&policies, &token(ONE), "refunds.issue", yes), Outcome::Passes, "{yes}");
    }
}

#[test]
fn effects_depth_chain_and_groups_are_known() {
    let policies = compiled(
        r#"@id("deep") forbid (principal, action in Action::"effect-destructive", resource)
             when { context.depth > 2 };
           @id("egress") forbid (principal, action in Action::"effect-egress", resource)
             unless { principal.groups.contains("exporters") };
           @id("reader") forbid (principal, action in [Action::"effect-write"], resource)
             when { context.actor == Agent::"cl_reader" };
           @id("through") forbid (principal, action in Action::"billing/*", resource == Resource::"billing")
             when { context.chain.contains(Agent::"cl_outcast") };"#,
    );
    let three = token(&["cl_a", "cl_b", "cl_c"]);
    assert_eq!(asked(&policies, &three, "refunds.purge", "{}"), Outcome::Forbidden);
    assert_eq!(asked(&policies, &token(&["cl_a", "cl_b"]), "refunds.purge", "{}"), Outcome::Passes);
    assert_eq!(asked(&policies, &token(ONE), "refunds.export", "{}"), Outcome::Forbidden);
    let exporter = OurClaims { groups: [Arc::from("exporters")].into(), ..token(ONE) };
    assert_eq!(asked(&policies, &exporter, "refunds.export", "{}"), Outcome::Passes);
    assert_eq!(asked(&policies, &token(&["cl_reader"]), "refunds.issue", "{}"), Outcome::Forbidden);
    assert_eq!(asked(&policies, &token(&["cl_reader"]), "refunds.list", "{}"), Outcome::Passes);
    let through = token(&["cl_outcast", "cl_b"]);
    assert_eq!(asked(&policies, &through, "refunds.list", "{}"), Outcome::Forbidden);
}

#[test]
fn verified_hops_can_be_asked_for() {
    let policies = compiled(
        r#"@id("verified") forbid (principal, action, resource) unless { context.verified };"#,
    );
    assert_eq!(asked(&policies, &token(ONE), "refunds.list", "{}"), Outcome::Passes);
    let asserted = Actor { issuer: "https://idp.example".into(), sub: "bot".into() };
    let chain = ActorChain::default().extended(asserted).unwrap();
    let ours = Actor { issuer: US.into(), sub: "cl_support".into() };
    let claims = OurClaims { chain: chain.extended(ours).unwrap(), ..token(ONE) };
    assert_eq!(asked(&policies, &claims, "refunds.list", "{}"), Outcome::Forbidden);
    assert_eq!(delegated(&policies, &claims, &[]).outcome, Outcome::Forbidden, "any action");
}

#[test]
fn local_time_is_that_of_the_zone_and_knows_summer_time() {
    let policies = compiled(
        r#"@id("hours") forbid (principal, action in Action::"call", resource)
           unless { context.local["Europe/Berlin"].hour >= 9 && context.local["Europe/Berlin"].hour < 18
             && context.local["Europe/Berlin"].weekday <= 5 };"#,
    );
    let claims = token(ONE);
    let at = |s| Acting { now: Timestamp::from_epoch_s(s).unwrap(), ..acting(&claims) };
    let say = |s| asked_at(&policies, at(s), "refunds.list", "{}").outcome;
    // Wednesday 2026-11-25 08:30 UTC is 09:30 in Berlin; 07:30 UTC is 08:30.
    assert_eq!(say(1_795_595_400), Outcome::Passes);
    assert_eq!(say(1_795_591_800), Outcome::Forbidden);
    // Wednesday 2026-07-01 07:30 UTC is 09:30 in summer.
    assert_eq!(say(1_782_891_000), Outcome::Passes);
    // Saturday 2026-11-28 10:00 UTC.
    assert_eq!(say(1_795_860_000), Outcome::Forbidden);
}

#[test]
fn su1_what_is_required_is_demanded_of_the_token() {
    let policies = compiled(
        r#"@id("bound") @require("dpop") forbid (principal, action in Action::"effect-write", resource);
           @id("mfa") @require("acr:mfa") forbid (principal, action in Action::"effect-egress", resource);
           @id("short") @require("max_ttl:20") forbid (principal, action in Action::"effect-destructive", resource);
           @id("shallow") @require("max_depth:1") forbid (principal, action in Action::"effect-read", resource);"#,
    );
    let plain = token(ONE);
    let demands = |demand| Outcome::Demands(demand);
    assert_eq!(asked(&policies, &plain, "refunds.issue", "{}"), demands(Demand::Dpop));
    let bound = OurClaims { bound: Some(KeyThumbprint::of("k")), ..token(ONE) };
    assert_eq!(asked(&policies, &bound, "refunds.issue", "{}"), Outcome::Passes);
    assert_eq!(
        asked(&policies, &plain, "refunds.export", "{}"),
        demands(Demand::Acr("mfa".into()))
    );
    let mut strong = token(ONE);
    strong.authentication.acr = Some("mfa".to_owned());
    assert_eq!(asked(&policies, &strong, "refunds.export", "{}"), Outcome::Passes);
    let no = asked(&policies, &plain, "refunds.purge", "{}");
    assert_eq!(no, demands(Demand::MaxTtl(Seconds::new(20))), "it lives for 120 s");
    let expires_at = Timestamp::from_epoch_s(1_020).unwrap();
    let short = OurClaims { expires_at, ..token(ONE) };
    assert_eq!(asked(&policies, &short, "refunds.purge", "{}"), Outcome::Passes);
    assert_eq!(asked(&policies, &plain, "refunds.list", "{}"), Outcome::Passes);
    let two = token(&["cl_a", "cl_b"]);
    assert_eq!(asked(&policies, &two, "refunds.list", "{}"), demands(Demand::MaxDepth(1)));
}

#[test]
fn a_plain_forbid_beats_a_demand() {
    let policies = compiled(
        r#"@id("a") @require("dpop") forbid (principal, action in Action::"call", resource);
           @id("b") forbid (principal, action in Action::"call", resource);"#,
    );
    let no = asked_at(&policies, acting(&token(ONE)), "refunds.list", "{}");
    assert_eq!((no.outcome, no.decided), (Outcome::Forbidden, vec![Arc::from("b")]));
}

#[test]
fn a_delegation_is_judged_by_what_it_would_cover() {
    let policies = compiled(
        r#"@id("no-egress") forbid (principal, action == Action::"delegate", resource)
             when { context.effects.contains("egress") };
           @id("no-purge") forbid (principal, action == Action::"delegate", resource is Resource)
             when { context.tools.contains("billing/refunds.purge") && context.depth > 1 };
           @id("short") @require("max_ttl:30") forbid (principal, action == Action::"delegate", resource)
             when { context.effects.contains("write") };
           @id("shorter") @require("max_ttl:10") forbid (principal, action == Action::"delegate", resource)
             when { context.effects.contains("write") && context.effects.contains("read") };"#,
    );
    let one = token(ONE);
    assert_eq!(delegated(&policies, &one, &["refunds.list"]).outcome, Outcome::Passes);
    assert_eq!(delegated(&policies, &one, &["refunds.export"]).outcome, Outcome::Forbidden);
    assert_eq!(delegated(&policies, &one, &["refunds.purge"]).outcome, Outcome::Passes);
    let two = token(&["cl_a", "cl_b"]);
    assert_eq!(delegated(&policies, &two, &["refunds.purge"]).outcome, Outcome::Forbidden);
    assert_eq!(delegated(&policies, &one, &["refunds.issue"]).max_ttl, Some(Seconds::new(30)));
    let both = delegated(&policies, &one, &["refunds.issue", "refunds.list"]);
    assert_eq!((both.outcome, both.max_ttl), (Outcome::Passes, Some(Seconds::new(10))));
    assert_eq!(asked(&policies, &one, "refunds.export", "{}"), Outcome::Passes, "not of calls");
}

#[test]
fn a_shadow_is_told_and_not_enforced() {
    let policies = compiled(
        r#"@id("watched") @shadow forbid (principal, action in Action::"call", resource)
             when { context.arguments has amount && context.arguments.amount > 5 };
           @id("enforced") forbid (principal, action in Action::"effect-egress", resource);"#,
    );
    let say = |tool, arguments| asked_at(&policies, acting(&token(ONE)), tool, arguments);
    let shadow = say("refunds.issue", r#"{"amount":6}"#);
    assert_eq!((shadow.outcome, shadow.shadow), (Outcome::Passes, vec![Arc::from("watched")]));
    assert_eq!(say("refunds.issue", r#"{"amount":5}"#).shadow, Vec::<Arc<str>>::new());
    // What it could not be told is what it would have denied.
    let unfit = say("refunds.issue", r#"{"amount":"6"}"#);
    assert_eq!((unfit.outcome, unfit.shadow.len()), (Outcome::Passes, 1));
    // One that errs hides no other.
    let policies = compiled(
        r#"@id("errs") @shadow forbid (principal, action in Action::"call", resource)
             when { context.arguments has amount && context.arguments.amount * 4611686018427387904 > 1 };
           @id("plain") @shadow forbid (principal, action in Action::"call", resource);
           @id("life") @shadow @require("max_ttl:9") forbid (principal, action, resource);"#,
    );
    let hits = asked_at(&policies, acting(&token(ONE)), "refunds.issue", r#"{"amount":4}"#);
    assert_eq!((hits.outcome, hits.shadow.len()), (Outcome::Passes, 3));
    assert_eq!(delegated(&policies, &token(ONE), &[]).shadow, [Arc::from("life")]);
    let policies = compiled(
        r#"@id("watched") @shadow forbid (principal, action in Action::"call", resource)
             when { context.arguments has amount && context.arguments.amount > 5 };
           @id("enforced") forbid (principal, action in Action::"effect-egress", resource);"#,
    );
    let say = |tool, arguments| asked_at(&policies, acting(&token(ONE)), tool, arguments);
    let both = say("refunds.export", r#"{"amount":6}"#);
    assert_eq!((both.outcome, both.shadow.len()), (Outcome::Forbidden, 1));
    let (resource, concern) = (billing(), |tool: &str| {
        let resource = billing();
        policies.concern(&resource, resource.tools.get(tool).unwrap())
    });
    assert!(!concern("refunds.issue") && concern("refunds.export"));
    let issue = resource.tools.get("refunds.issue").unwrap();
    assert!(!policies.read_arguments(&resource, issue), "only a shadow looks at them");
}

#[test]
fn an_agent_for_itself_is_its_own_actor() {
    let policies = compiled(
        r#"@id("own") forbid (principal, action, resource)
           when { principal.is_agent && context.actor == Agent::"cl_support" && context.depth == 1
             && context.chain.contains(Agent::"cl_support") };"#,
    );
    let own = OurClaims { own: true, chain: ActorChain::default(), ..token(ONE) };
    assert_eq!(asked(&policies, &own, "refunds.list", "{}"), Outcome::Forbidden);
    assert_eq!(asked(&policies, &token(ONE), "refunds.list", "{}"), Outcome::Passes);
}
