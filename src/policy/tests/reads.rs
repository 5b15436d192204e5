//! What policies look at is told in full, and a decision that rests on that alone is the one that
//! rests on everything.

use std::cell::Cell;

use cedar_policy::{Policy, PolicySet};
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{TestCaseError, TestRunner},
};

use super::*;
use crate::policy::{
    local::Zone,
    reads::{Names, Reads},
    slice::hierarchy,
    text, words,
};

/// What a condition looks at.
fn reads(condition: &str) -> Reads {
    let policy = format!("forbid (principal, action, resource) when {{ {condition} }};");
    Reads::of(&Policy::parse(None, policy).unwrap().to_json().unwrap())
}

fn names<'a>(named: impl IntoIterator<Item = &'a str>) -> Names {
    Names { all: false, named: named.into_iter().map(str::to_owned).collect() }
}

/// What a condition looks at, by the names of members, arguments, zones and attributes.
fn looks(
    condition: &str,
    [context, arguments, zones, attributes]: [&[&'static str]; 4],
    unrepresentable: bool,
) {
    let told = reads(condition);
    let of = |wanted: &[&'static str]| names(wanted.iter().copied());
    assert_eq!(told.context, of(context), "{condition}");
    assert_eq!(told.arguments, of(arguments), "{condition}");
    assert_eq!(told.zones, of(zones), "{condition}");
    assert_eq!(told.attributes, of(attributes), "{condition}");
    assert_eq!(told.unrepresentable, unrepresentable, "{condition}");
}

#[test]
fn every_way_to_take_a_member_is_seen() {
    let nothing: &[&'static str] = &[];
    for condition in ["context.depth > 1", r#"context["depth"] > 1"#, "context has depth"] {
        looks(condition, [&["depth"], nothing, nothing, nothing], false);
    }
    let arguments = [
        "context.arguments.a > 1",
        r#"context["arguments"]["a"] > 1"#,
        "context.arguments has a",
        "context has arguments.a",
        "context.arguments has a.b.c",
        "context.arguments.a.b == 1",
        "[1, context.arguments.a].contains(2)",
        "{x: {y: context.arguments.a}}.x.y == 1",
        "if context.arguments.a then true else false",
        r#"context.arguments.a like "x*""#,
        r#"decimal("1.0").lessThan(context.arguments.a)"#,
        "!(1 == -context.arguments.a)",
        "resource == context.arguments.a",
    ];
    for condition in arguments {
        let told = reads(condition);
        assert_eq!(told.context, names(["arguments"]), "{condition}");
        assert_eq!(told.arguments, names(["a"]), "{condition}");
        assert!(!told.unrepresentable && told.zones.is_empty(), "{condition}");
    }
    let hour = r#"context.local["Europe/Berlin"].hour > 1"#;
    looks(hour, [&["local"], nothing, &["Europe/Berlin"], nothing], false);
    let shown = r#"context.local has "Europe/Berlin""#;
    looks(shown, [&["local"], nothing, &["Europe/Berlin"], nothing], false);
    let unfit = r#"context.unrepresentable.contains("/a")"#;
    looks(unfit, [&["unrepresentable"], nothing, nothing, nothing], true);
    looks("context has arguments", [&["arguments"], nothing, nothing, nothing], false);
    looks("principal.groups.contains(\"a\")", [nothing, nothing, nothing, &["groups"]], false);
    looks("principal has issuer", [nothing, nothing, nothing, &["issuer"]], false);
    looks("principal has a.b", [nothing, nothing, nothing, &["a", "b"]], false);
    looks("principal == resource", [nothing; 4], false);
}

#[test]
fn an_attribute_counts_whoever_is_asked_for_it() {
    let conditions = [
        r#"Subject::"alice".groups.contains("a")"#,
        r#"(if context.bound then principal else Subject::"bob").groups.contains("a")"#,
        r#"{who: principal}.who.groups.contains("a")"#,
        r#"context.actor.groups.contains("a")"#,
        "context.actor has groups",
    ];
    for condition in conditions {
        assert!(reads(condition).attributes.has("groups"), "{condition}");
    }
}

#[test]
fn what_is_taken_whole_is_looked_at_whole() {
    let contexts = [
        "context == {a: 1}",
        "{a: context}.a.depth > 1",
        "[context].contains({a: 1})",
        "(if true then context else context).depth > 1",
        "(if true then context else context).arguments has a",
    ];
    for condition in contexts {
        let told = reads(condition);
        let all = [&told.context, &told.arguments, &told.zones].iter().all(|names| names.all);
        assert!(all && told.unrepresentable, "{condition}");
    }
    for condition in ["context.arguments == {a: 1}", "[context.arguments].isEmpty()"] {
        let told = reads(condition);
        assert!(told.arguments.all && !told.context.all && !told.zones.all, "{condition}");
    }
    let told = reads(r#"context.local == {"Europe/Berlin": {hour: 1}}"#);
    assert!(told.zones.all && !told.arguments.all);
}

#[test]
fn whether_anything_asks_what_is_in_what_is_seen() {
    for condition in [
        r#"action in Action::"call""#,
        r#"action in [Action::"call"]"#,
        r#"principal is Subject in Subject::"a""#,
        "[1].contains(if principal in resource then 1 else 2)",
    ] {
        assert!(reads(condition).hierarchy, "{condition}");
    }
    assert!(!reads(r#"action == Action::"call" && [action].contains(action)"#).hierarchy);
}

#[test]
fn a_policy_too_deep_to_be_cut_is_asked_about_its_groups_all_the_same() {
    for (levels, scope) in [(3, "call"), (55, "call"), (55, "effect-write"), (55, "billing/*")] {
        let policies = compiled(&format!(
            r#"@id("deep") forbid (principal, action in Action::"{scope}", resource)
               when {{ {}context.depth > 0 }};"#,
            "context.depth > 0 && ".repeat(levels),
        ));
        let no = asked(&policies, &token(ONE), "refunds.issue", "{}");
        assert_eq!(no, Outcome::Forbidden, "{levels} levels, {scope}");
    }
}

/// The same policies, asked as they are written and told everything.
fn told_everything(text: &str, known: &Policies) -> Policies {
    let mut told = known.clone();
    let written = text::read(Family::Delegation, &set(text).delegation, &mut Vec::new());
    let named = ["Europe/Berlin", "Asia/Kolkata"].into_iter().filter(|name| text.contains(name));
    let zones: Arc<[Zone]> = named.filter_map(Zone::named).collect();
    let whole = |slice: &mut Arc<Slice>, groups: Vec<cedar_policy::EntityUid>| {
        let slice = Arc::make_mut(slice);
        slice.reads = Reads::everything();
        slice.zones = Arc::clone(&zones);
        slice.hierarchy = hierarchy(&slice.action, groups).unwrap();
        for layer in [&mut slice.enforced, &mut slice.shadow] {
            let here = |id: &str| layer.reads.iter().any(|(known, _)| **known == *id);
            let policies = written.iter().filter(|written| here(&written.rule.id));
            layer.set =
                PolicySet::from_policies(policies.map(|written| written.policy.clone())).unwrap();
        }
    };
    let resource = billing();
    for (name, slice) in told.calls.values_mut().flatten() {
        let effect = resource.tools.get(name).unwrap().effect;
        let groups = words::groups(&resource.id, effect);
        whole(slice, groups.iter().filter_map(|id| words::action(id)).collect());
    }
    told.delegate.iter_mut().for_each(|slice| whole(slice, Vec::new()));
    told
}

/// Conditions of every kind that calls can be asked about.
const OF_CALLS: &[&str] = &[
    r#"context.tool == "refunds.list""#,
    r#"context.effect == "read""#,
    "context has arguments",
    "context.arguments has amount && context.arguments.amount > 2",
    "context.arguments has amount && context.arguments.amount * 4611686018427387904 > 1",
    r#"context.arguments has rate && context.arguments.rate.lessThan(decimal("0.5"))"#,
    "context.arguments has urgent && context.arguments.urgent",
    r#"context.arguments has tags && context.arguments.tags.contains("vip")"#,
    r#"context.arguments has to.bank && context.arguments.to.bank like "a*""#,
    r#"context has arguments.to.bank && context["arguments"]["to"]["bank"] == "else""#,
    "context.arguments has either",
    r#"context.unrepresentable.contains("/amount")"#,
    "context.unrepresentable.isEmpty()",
];

/// Conditions of every kind that both can be asked about.
const OF_BOTH: &[&str] = &[
    "context.depth > 1",
    "context.verified",
    "context.bound",
    r#"context has acr && context.acr == "mfa""#,
    "context has auth_age && context.auth_age < 60",
    r#"context.amr.contains("pwd")"#,
    r#"context.actor == Agent::"cl_a""#,
    r#"context.chain.contains(Agent::"cl_b")"#,
    r#"context.chain == [Agent::"cl_a"]"#,
    r#"context.now > datetime("1970-01-01T00:16:50Z")"#,
    r#"context.local["Europe/Berlin"].minute > 20"#,
    r#"context.local["Asia/Kolkata"].hour == 5"#,
    r#"context.local == context["local"]"#,
    r#"principal.groups.contains("finance")"#,
    "principal.is_agent",
    r#"principal has issuer && principal.issuer == "idp""#,
    r#"principal == Subject::"idp|alice""#,
    r#"principal in [Subject::"idp|alice", Subject::"idp|bob"]"#,
    r#"Subject::"idp|alice".groups.contains("finance")"#,
    r#"(if principal.is_agent then Subject::"idp|bob" else principal).groups.contains("sales")"#,
    r#"{who: principal, at: context.depth}.who.issuer == "idp""#,
    "[context.depth, 7].contains(2)",
    r#"action in Action::"effect-write""#,
    r#"resource == Resource::"billing""#,
    "resource is Resource",
];

fn condition(atoms: Vec<&'static str>) -> impl Strategy<Value = String> {
    let atom = select(atoms).prop_map(|atom| format!("({atom})"));
    atom.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("!{a}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("(if {a} then {b} else {c})")),
        ]
    })
}

/// One policy, without its id.
fn policy() -> impl Strategy<Value = String> {
    let annotations = [
        "",
        "",
        "",
        "@shadow",
        r#"@require("dpop")"#,
        r#"@require("acr:mfa")"#,
        "@require(\"max_ttl:60\")",
    ];
    let principals =
        ["principal", "principal", r#"principal == Subject::"idp|alice""#, "principal is Subject"];
    let calls = [
        r#"action in Action::"call""#,
        r#"action in [Action::"effect-read", Action::"effect-write"]"#,
        r#"action == Action::"billing/refunds.issue""#,
        r#"action in Action::"billing/*""#,
    ];
    let of_calls = condition([OF_CALLS, OF_BOTH].concat());
    let both =
        (select(&["action", r#"action == Action::"delegate""#][..]), condition(OF_BOTH.to_vec()));
    let asked = prop_oneof![
        4 => (select(calls.to_vec()), of_calls),
        1 => both,
    ];
    let resources = ["resource", r#"resource == Resource::"billing""#, "resource is Resource"];
    let scope = (select(principals.to_vec()), select(resources.to_vec()));
    (select(annotations.to_vec()), scope, asked).prop_map(
        |(annotation, (principal, resource), (action, condition))| {
            format!(
                "{annotation} forbid ({principal}, {action}, {resource}) when {{ {condition} }};"
            )
        },
    )
}

fn claims() -> impl Strategy<Value = OurClaims> {
    let agents = select(vec![vec!["cl_a"], vec!["cl_a", "cl_b"], vec!["cl_c", "cl_b", "cl_a"]]);
    let texts = |of: &[&'static str]| proptest::collection::btree_set(select(of.to_vec()), 0..=2);
    let somebody = (agents, select(vec!["idp|alice", "idp|bob"]), any::<[bool; 2]>());
    let since = proptest::option::of(900_i64..1_010);
    let how = (proptest::option::of(select(vec!["mfa", "low"])), texts(&["pwd", "otp"]), since);
    (somebody, texts(&["finance", "sales"]), how).prop_map(
        |(somebody, groups, (acr, amr, since))| {
            let (agents, sub, [own, bound]) = somebody;
            let authentication = Authentication {
                acr: acr.map(str::to_owned),
                amr: amr.into_iter().map(str::to_owned).collect(),
                auth_time: since.and_then(Timestamp::from_epoch_s),
            };
            OurClaims {
                sub: sub.into(),
                own,
                chain: if own { ActorChain::default() } else { token(&agents).chain },
                groups: groups.into_iter().map(Arc::from).collect(),
                bound: bound.then(|| KeyThumbprint::of("k")),
                authentication,
                ..token(&agents)
            }
        },
    )
}

const ARGUMENTS: &[&str] = &[
    "{}",
    r#"{"amount":3,"urgent":true}"#,
    r#"{"amount":1,"rate":0.25,"tags":["vip","x"]}"#,
    r#"{"amount":"1","to":{"bank":"abc"}}"#,
    r#"{"amount":4,"to":{"bank":"else"},"note":null}"#,
    r#"{"rate":1e40,"either":1}"#,
    r#"{"tags":[1],"unheard_of":{"a":1}}"#,
];

fn sorted(mut verdict: Verdict) -> Verdict {
    verdict.decided.sort();
    verdict
}

/// Whether the policies are valid; if they are, that both are of one mind about everybody.
fn agree(texts: &[String], asked: &[(OurClaims, &str)]) -> Result<bool, TestCaseError> {
    let numbered = texts.iter().enumerate();
    let texts: Vec<String> = numbered.map(|(n, text)| format!("@id(\"p-{n}\") {text}")).collect();
    let text = texts.join("\n");
    // What can never hold is refused when it is written.
    let Ok(known) = Policies::compile(1, &set(&text), [&billing()]) else { return Ok(false) };
    let told = told_everything(&text, &known);
    for (claims, arguments) in asked {
        for tool in ["refunds.list", "refunds.issue"] {
            let say = |policies| sorted(asked_at(policies, acting(claims), tool, arguments));
            prop_assert_eq!(say(&known), say(&told), "{} {} {:?}", text, arguments, claims);
        }
        let say = |policies| sorted(delegated(policies, claims, &["refunds.list"]));
        prop_assert_eq!(say(&known), say(&told), "{} {:?}", text, claims);
    }
    Ok(true)
}

/// Sound slicing: what is left out of the context, of the entities and of a policy's scope is nothing
/// that a verdict rests on.
#[test]
fn what_nobody_looks_at_changes_no_verdict() {
    let policies = proptest::collection::vec(policy(), 1..=4);
    let asked = proptest::collection::vec((claims(), select(ARGUMENTS.to_vec())), 20);
    let (all, compared) = (Cell::new(0), Cell::new(0));
    // Compiling takes the time, so that each set is asked about many.
    let mut runner = TestRunner::new(ProptestConfig::with_cases(40));
    let result = runner.run(&(policies, asked), |(policies, asked)| {
        all.set(all.get() + 1);
        compared.set(compared.get() + i32::from(agree(&policies, &asked)?));
        Ok(())
    });
    result.unwrap();
    // Were most sets refused, little would have been compared.
    assert!(compared.get() * 2 > all.get(), "{} of {}", compared.get(), all.get());
}
