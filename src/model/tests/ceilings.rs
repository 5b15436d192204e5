//! Ceilings and authorities: what fits under what.

use super::*;

fn id() -> ResourceId {
    ResourceId::parse("refunds").unwrap()
}

fn tool(name: &str, scopes: &str) -> (ToolName, Tool) {
    let tool = Tool {
        name: tool_name(name),
        description: String::new(),
        scopes: scope(scopes),
        effect: Effect::Read,
        input_schema: value("{}"),
        digest: Fingerprint::of(b""),
        keep_arguments: Vec::new(),
        enabled: true,
        changed_at: 1,
        changed_on: Timestamp::EPOCH,
        about: About::default(),
        pending: None,
    };
    (tool.name.clone(), tool)
}

fn resource() -> Resource {
    Resource {
        id: id(),
        uri: Uri::parse("https://refunds.example").unwrap(),
        owner: ClientId::parse("cl_refunds").unwrap(),
        name: "Refunds".to_owned(),
        enforces: Enforces::Call,
        verifies_offline: false,
        dpop: DpopUse::No,
        ttl: Resource::DEFAULT_TTL,
        token_signing: SigningAlgorithm::default(),
        step_up_hints: false,
        scopes: scope("read write"),
        tools: [tool("list", "read"), tool("issue", "write"), tool("both", "read write")].into(),
        enabled: true,
    }
}

fn exact<C>(number: &str) -> Arguments<C> {
    closed([("n", Argument::Required(Constraint::Exact(value(number))))])
}

fn claim(name: &str) -> ClaimName {
    ClaimName::parse(name).unwrap()
}

/// A ceiling's arguments: whatever the subject's claim says.
fn of_claim(name: &str) -> Arguments<ClaimName> {
    closed([("n", Argument::Required(Constraint::SubjectClaim(claim(name))))])
}

fn rule(scopes: &str, tools: Option<(&str, Arguments<ClaimName>)>) -> CeilingEntry {
    let tools = tools.map(|(name, arguments)| BTreeMap::from([(tool_name(name), arguments)]));
    CeilingEntry { resource: id(), scope: scope(scopes), tools }
}

fn wanted(scopes: &str, tools: Option<(&str, Arguments)>) -> Entry {
    let tools = match tools {
        None => Tools::Undetailed,
        Some((name, arguments)) => Tools::Named([(tool_name(name), arguments)].into()),
    };
    Entry { scope: scope(scopes), tools, max_calls: MaxCalls::default() }
}

fn admits(rules: &[CeilingEntry], entry: &Entry) -> Result<(), Excess> {
    Ceiling::new(rules.to_vec()).admits(&resource(), entry, &SubjectClaims::default())
}

#[test]
fn a_claim_of_the_subject_is_a_limit_once_it_is_known() {
    let rules = [rule("write", Some(("issue", of_claim("customer"))))];
    let admits = |claims: &SubjectClaims, arguments| {
        let entry = wanted("write", Some(("issue", arguments)));
        Ceiling::new(rules.to_vec()).admits(&resource(), &entry, claims)
    };
    let mut known = SubjectClaims::default();
    let nobody_vouches = Excess::Claim(ClaimFault::NotAuthoritative(claim("customer")));
    assert_eq!(admits(&known, exact("1")), Err(nobody_vouches));
    for unusable in [None, Some(value("null")), Some(value("[1]")), Some(value("{}"))] {
        known.tell(claim("customer"), unusable.as_ref());
        let absent = Excess::Claim(ClaimFault::Absent(claim("customer")));
        assert_eq!(admits(&known, exact("1")), Err(absent), "{unusable:?}");
    }
    known.tell(claim("customer"), Some(&value("1")));
    assert_eq!(admits(&known, exact("1.0")), Ok(()));
    for wider in [exact("2"), Arguments::Any] {
        assert_eq!(admits(&known, wider), Err(Excess::Tool(tool_name("issue"))));
    }
}

#[test]
fn an_empty_ceiling_allows_nothing() {
    let token = ScopeToken::parse("read").unwrap();
    assert_eq!(admits(&[], &wanted("read", None)), Err(Excess::Scope(token)));
    let named = wanted("", Some(("list", Arguments::Any)));
    assert_eq!(admits(&[], &named), Err(Excess::Tool(tool_name("list"))));
}

#[test]
fn a_rule_for_another_resource_allows_nothing() {
    let mut other = rule("read", None);
    other.resource = ResourceId::parse("tickets").unwrap();
    assert!(admits(&[other], &wanted("read", None)).is_err());
}

#[test]
fn a_rule_without_tools_allows_what_its_scopes_cover() {
    let rules = [rule("read", None)];
    assert_eq!(admits(&rules, &wanted("read", None)), Ok(()));
    assert_eq!(admits(&rules, &wanted("read", Some(("list", Arguments::Any)))), Ok(()));
    for name in ["issue", "both", "unregistered"] {
        let entry = wanted("read", Some((name, Arguments::Any)));
        assert_eq!(admits(&rules, &entry), Err(Excess::Tool(tool_name(name))));
    }
}

#[test]
fn a_rule_for_reading_never_undoes_the_limits_of_a_rule_for_writing() {
    let rules = [rule("read", None), rule("write", Some(("issue", exact("1"))))];
    let entry = |arguments| wanted("read write", Some(("issue", arguments)));
    assert_eq!(admits(&rules, &entry(exact("1"))), Ok(()));
    for wider in [exact("2"), Arguments::Any] {
        assert_eq!(admits(&rules, &entry(wider)), Err(Excess::Tool(tool_name("issue"))));
    }
    assert_eq!(admits(&rules, &wanted("read write", None)), Err(Excess::Undetailed));
    assert_eq!(admits(&rules, &wanted("read", None)), Ok(()));
}

#[test]
fn rules_without_tools_add_up() {
    let rules = [rule("read", None), rule("write", None)];
    let entry = wanted("read write", Some(("both", Arguments::Any)));
    assert_eq!(admits(&rules, &entry), Ok(()));
    let write = ScopeToken::parse("write").unwrap();
    assert_eq!(admits(&rules[..1], &entry), Err(Excess::Scope(write)));
}

#[test]
fn a_tool_is_named_under_its_own_scopes() {
    let rules = [rule("read", Some(("issue", Arguments::Any))), rule("write", None)];
    let entry = wanted("write", Some(("issue", Arguments::Any)));
    assert_eq!(admits(&rules, &entry), Ok(()), "by the second rule");
    assert!(admits(&rules[..1], &wanted("", Some(("issue", Arguments::Any)))).is_err());
}
