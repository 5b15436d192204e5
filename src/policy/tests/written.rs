//! What is refused when it is written, and where it says so.

use super::*;

fn faults(text: &str) -> Vec<(u32, u32, String)> {
    let faults = Policies::compile(1, &set(text), [&billing()]).unwrap_err();
    faults.into_iter().map(|fault| (fault.line, fault.column, fault.message)).collect()
}

/// The one fault: its place, and that it says this.
fn fault(text: &str, says: &str) -> (u32, u32) {
    let faults = faults(text);
    assert_eq!(faults.len(), 1, "{faults:#?}");
    let (line, column, message) = &faults[0];
    assert!(message.contains(says), "{message}");
    (*line, *column)
}

#[test]
fn a_mistyped_attribute_is_refused_with_line_and_column() {
    let text = "@id(\"a\")\nforbid (principal, action == Action::\"billing/refunds.issue\", resource)\nwhen { context.arguments has amount && context.arguments.amuont > 500 };";
    assert_eq!(fault(text, "amuont"), (3, 58));
    let text = "@id(\"a\")\nforbid (principal, action in Action::\"call\", resource)\nwhen { context.arguments has amount && context.arguments.amount > \"500\" };";
    let (line, _) = fault(text, "Long");
    assert_eq!(line, 3);
}

#[test]
fn an_argument_that_may_be_absent_must_be_asked_for() {
    let text = "@id(\"a\") forbid (principal, action in Action::\"call\", resource) when { context.arguments.amount > 500 };";
    fault(text, "has");
}

#[test]
fn an_action_that_is_no_tool_is_refused() {
    let text =
        "@id(\"a\") forbid (principal, action == Action::\"billing/refunds.isue\", resource);";
    assert_eq!(fault(text, "refunds.isue").0, 1);
}

#[test]
fn a_permit_is_refused_and_told_why() {
    let text = "// first\n@id(\"a\")\npermit (principal, action, resource);";
    assert_eq!(fault(text, "only `forbid`"), (3, 1));
}

#[test]
fn ids_are_there_and_unique() {
    fault("forbid (principal, action, resource);", "@id(");
    fault("@id(\"A b\") forbid (principal, action, resource);", "1 to 64");
    let text = "@id(\"a\") forbid (principal, action, resource);\n\n@id(\"a\") forbid (principal, action, resource);";
    assert_eq!(fault(text, "another policy"), (3, 1));
}

#[test]
fn unknown_annotations_and_demands_are_refused() {
    let text = |annotation: &str| {
        format!("@id(\"a\")\n{annotation}\nforbid (principal, action, resource);")
    };
    assert_eq!(fault(&text("@requires(\"dpop\")"), "`@requires` is unknown"), (2, 1));
    for demand in [
        "",
        "dpop ",
        "acr:",
        "acr:a\\\"b",
        "max_ttl:0",
        "max_ttl:901",
        "max_ttl:+5",
        "max_depth:9",
        "mfa",
    ] {
        assert_eq!(fault(&text(&format!("@require(\"{demand}\")")), "no demand"), (2, 1));
    }
}

#[test]
fn a_template_is_refused() {
    fault("@id(\"a\") forbid (principal == ?principal, action, resource);", "template");
}

#[test]
fn a_zone_that_is_none_is_refused_where_it_stands() {
    let text = "@id(\"a\") forbid (principal, action, resource)\nwhen { context.local[\"Europe/Berln\"].hour > 8 };";
    assert_eq!(fault(text, "no time zone"), (2, 23));
    fault(&text.replace("Berln", "berlin"), "its own spelling");
}

#[test]
fn what_is_no_cedar_is_refused_where_it_stands() {
    let text = "@id(\"a\")\nforbid (principal, action, resource)\nwhen { context.depth >> 2 };";
    assert_eq!(faults(text)[0].0, 3);
    let text = "@id(\"a\") forbid (principal, action, resource) when { true }";
    assert!(!faults(text).is_empty());
}

#[test]
fn every_fault_is_told_at_once_and_each_once() {
    let text = "permit (principal, action, resource);\n@id(\"b\") @nope forbid (principal, action, resource);";
    assert_eq!(faults(text).len(), 3);
    // On a group it is the same fault for each of its tools.
    let text = "@id(\"a\") forbid (principal, action in Action::\"call\", resource) when { context.nothing };";
    fault(text, "nothing");
}

#[test]
fn faults_name_the_file() {
    let file = |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
    let good = file("good.cedar", "@id(\"a\") forbid (principal, action, resource);");
    let bad = file(
        "bad.cedar",
        "\n@id(\"b\") forbid (principal, action, resource) when { context.nope };",
    );
    let sources = Sources { delegation: vec![good, bad], ..Sources::default() };
    let faults = Policies::compile(1, &sources, [&billing()]).unwrap_err();
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(told.len() == 1 && told[0].starts_with("bad.cedar:2:"), "{told:?}");
}

#[test]
fn what_is_nested_beyond_measure_fells_nothing() {
    let within = |condition: String| {
        format!("@id(\"a\") forbid (principal, action, resource) when {{ {condition} }};")
    };
    // As long as one policy may be, and much longer.
    let as_long = |text: &str| text.repeat(8_000 / text.len());
    let conditions = |deep: usize| {
        [
            format!("{}true{}", "(".repeat(deep), ")".repeat(deep)),
            format!("{}1{} == 1", "[".repeat(deep), "]".repeat(deep)),
            format!("{}true", "!".repeat(deep)),
            format!("{}1 == 1", "-".repeat(deep)),
        ]
    };
    for condition in conditions(25).into_iter().chain(conditions(9_000)).chain([
        as_long("true && ") + "true",
        as_long("true || ") + "true",
        as_long("1 + ") + "1 == 1",
        as_long("if true then true else ") + "true",
        format!("context{} == 1", as_long(".a")),
        format!("context{} == 1", as_long("[\"a\"]")),
        format!("context has a{}", as_long(".a")),
        format!("[{}] == [1]", as_long("1,") + "1"),
    ]) {
        // Accepted or refused: it is told, and the process lives.
        match Policies::compile(1, &set(&within(condition)), [&billing()]) {
            Ok(policies) => {
                // Whatever it says, it says something.
                asked(&policies, &token(ONE), "refunds.list", "{}");
                assert_eq!(policies.rules().len(), 1);
            }
            Err(faults) => assert!(!faults.is_empty()),
        }
    }
}

#[test]
fn a_policy_that_can_never_hold_is_refused_where_it_begins() {
    let text =
        "// one\n@id(\"a\") forbid (principal, action, resource) when { principal is Agent };";
    assert_eq!(fault(text, "can never hold"), (2, 1));
    // Where there is no such tool yet, that is why, and it is only warned of.
    let text = "@id(\"a\") forbid (principal, action in Action::\"effect-egress\", resource);";
    let mut small = billing();
    small.tools.retain(|_, tool| tool.effect != Effect::Egress);
    assert!(Policies::compile(1, &set(text), [&small]).is_ok());
}

#[test]
fn an_argument_that_no_tool_has_is_refused_wherever_it_hides() {
    for condition in [
        "context.arguments has amuont && context.arguments.amuont <= 500",
        "principal.is_agent || (context.arguments has amuont && context.arguments.amuont > 500)",
        "context.arguments has amuont && context.nope",
    ] {
        for how in ["when", "unless"] {
            let text = format!(
                "@id(\"a\") forbid (principal, action in Action::\"call\", resource)\n{how} {{ {condition} }};"
            );
            let faults = faults(&text);
            assert!(faults.iter().any(|(line, _, says)| *line == 2 && says.contains("`amuont`")));
        }
    }
    let text = "@id(\"a\") forbid (principal, action, resource == Resource::\"bilin\");";
    fault(text, "no resource `bilin`");
}

#[test]
fn a_shadow_takes_no_value_and_a_comment_swallows_nothing() {
    fault("@id(\"a\") @shadow(\"false\") forbid (principal, action, resource);", "takes no value");
    fault("// all of it\u{2028}@id(\"a\") forbid (principal, action, resource);", "has no policy");
    let deep = format!(
        "//\r@id(\"x\") forbid(principal,action,resource) when {{{}true{}}};",
        "(".repeat(900),
        ")".repeat(900)
    );
    assert!(Policies::compile(1, &set(&deep), [&billing()]).is_err());
}

#[test]
fn a_schema_of_a_server_costs_what_it_may_and_no_more() {
    let names: Vec<String> =
        (0..40).map(|n| format!("\"p{n}\":{{\"$ref\":\"#/$defs/N\"}}")).collect();
    let schema = format!(
        "{{\"$ref\":\"#/$defs/N\",\"properties\":{{\"n\":{{\"$ref\":\"#/$defs/N\"}}}},\"$defs\":{{\"N\":{{\"type\":\"object\",\"properties\":{{{}}}}}}}}}",
        names.join(",")
    );
    let mut hostile = billing();
    let tool = hostile.tools.get_mut("refunds.issue").unwrap();
    tool.input_schema = json::parse(schema.as_bytes(), &Limits::DEFAULT).unwrap();
    let text = "@id(\"a\") forbid (principal, action in Action::\"call\", resource) when { context.depth > 3 };";
    assert!(Policies::compile(1, &set(text), [&hostile]).is_ok());
}

#[test]
fn an_access_schema_is_measured() {
    let access = |schema: &str| {
        let named =
            |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
        let policies = vec![named("p.cedar", "@id(\"a\") permit (principal, action, resource);")];
        let schema = Some(named("s.cedarschema", schema));
        let access = crate::model::policy::Access { schema, policies };
        let sources = Sources { access, ..Sources::default() };
        Policies::compile(1, &sources, []).map(|_| ()).map_err(|faults| faults[0].to_string())
    };
    let with = |more: &str| {
        format!(
            "entity user {{ a?: {more} }};\naction read appliesTo {{ principal: user, resource: user }};"
        )
    };
    assert_eq!(access(&with("Set<String>")), Ok(()));
    let deep = format!("{}String{}", "Set<".repeat(900), ">".repeat(900));
    assert!(access(&with(&deep)).unwrap_err().contains("nested"));
    let endless = format!("{}String{}", "Set<".repeat(9_000), ">".repeat(9_000));
    assert!(access(&with(&endless)).unwrap_err().contains("brackets"));
    let named = format!("type T = {{ x: Long }};\n{}", with("T"));
    assert!(access(&named).unwrap_err().contains("write the record out"));
    let child = "entity group;\nentity user in [group];\naction read appliesTo { principal: user, resource: user };";
    assert!(access(child).unwrap_err().contains("whose child"));
}

#[test]
fn what_an_argument_loses_its_type_is_noticed_for_each_tool() {
    let text = "@id(\"a\") forbid (principal, action in Action::\"call\", resource) when { context.arguments has amount && context.arguments.amount > 5 };";
    let before = compiled(text);
    let mut renamed = billing();
    let tool = renamed.tools.get_mut("refunds.issue").unwrap();
    let schema = r#"{"type":"object","properties":{"amount_cents":{"type":"integer"}}}"#;
    tool.input_schema = json::parse(schema.as_bytes(), &Limits::DEFAULT).unwrap();
    let after = Policies::compile(3, &set(text), [&renamed]).unwrap();
    let faults = before.blinded_by(&after);
    assert!(faults.len() == 1 && faults[0].message.contains("billing/refunds.issue"), "{faults:?}");
    assert!(before.blinded_by(&compiled(text)).is_empty());
}

#[test]
fn a_tool_that_changes_its_schema_no_longer_fits() {
    let text = "@id(\"a\") forbid (principal, action == Action::\"billing/refunds.issue\", resource) when { context.arguments has amount && context.arguments.amount > 5 };";
    let mut changed = billing();
    let tool = changed.tools.get_mut("refunds.issue").unwrap();
    let schema = r#"{"type":"object","properties":{"amount":{"type":"string"}}}"#;
    tool.input_schema = json::parse(schema.as_bytes(), &Limits::DEFAULT).unwrap();
    assert!(Policies::compile(1, &set(text), [&changed]).is_err());
    assert!(Policies::compile(1, &set(text), []).is_err(), "the tool is gone");
}
