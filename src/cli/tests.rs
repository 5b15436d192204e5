//! The command line: what it understands, what it writes down, and how a chain reads.

use std::sync::{Arc, Mutex};

use clap::{CommandFactory, Parser};

use super::{
    args::{
        AdminCommand, AuditVerb, Cli, ClientVerb, Command, EdgeVerb, IssuerVerb, ResourceVerb,
        ToolVerb,
    },
    compose, explained, show,
};
use crate::base::json::{self, Limits, Object, Value};

fn parse(line: &str) -> AdminCommand {
    match Cli::try_parse_from(line.split(' ')).unwrap().command {
        Command::Admin(command) => command,
        other => panic!("{other:?}"),
    }
}

fn json(text: &str) -> Object {
    json::parse(text.as_bytes(), &Limits::DEFAULT).unwrap().as_object().unwrap().clone()
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn an_agent_is_written_from_flags() {
    let AdminCommand::Client(noun) = parse(
        "deputy client create cl_support-agent --name Support --agent-uri urn:agent:support \
         --allow tickets=tickets:read --allow refunds=refunds:read,refunds:export#refunds.list",
    ) else {
        panic!()
    };
    let ClientVerb::Create(args) = noun.verb else { panic!() };
    let wanted = json(
        r#"{"client_id":"cl_support-agent","name":"Support","agent":{"uri":"urn:agent:support",
        "allowance":[{"resource":"tickets","scope":"tickets:read"},
        {"resource":"refunds","scope":"refunds:read refunds:export","tools":{"refunds.list":{}}}],
        "own_allowance":[]}}"#,
    );
    assert_eq!(compose::client(&args).unwrap(), wanted);
}

#[test]
fn an_issuer_with_grants_is_written_from_flags() {
    let AdminCommand::Issuer(noun) = parse(
        "deputy issuer create https://login.example.com --alias corp --primary \
         --audience https://deputy.example.com --agent cl_a=web --agent cl_a=mobile \
         --grant tickets=tickets:read --foreign-scope tickets",
    ) else {
        panic!()
    };
    let IssuerVerb::Create(args) = noun.verb else { panic!() };
    let wanted = json(
        r#"{"issuer":"https://login.example.com","alias":"corp","primary":true,
        "keys":{"discovery":true},"access_tokens":{"audiences":["https://deputy.example.com"]},
        "id_tokens":false,"any_agent":false,"agents":{"cl_a":["web","mobile"]},
        "grant_rules":[{"kind":"access_token","foreign_scope":"tickets",
        "gives":[{"resource":"tickets","scope":"tickets:read"}]}]}"#,
    );
    assert_eq!(compose::issuer(&args).unwrap(), wanted);
}

#[test]
fn an_edge_leaves_out_what_was_not_said() {
    let AdminCommand::Edge(noun) =
        parse("deputy edge put cl_a cl_b --effect read,egress --max-depth 2 --max-ttl 60")
    else {
        panic!()
    };
    let EdgeVerb::Put(args) = noun.verb else { panic!() };
    assert_eq!(
        compose::edge(&args).unwrap(),
        json(r#"{"effects":["read","egress"],"max_depth":2,"max_ttl_s":60}"#)
    );
}

#[test]
fn an_import_needs_a_list_or_a_document() {
    assert!(Cli::try_parse_from(["deputy", "tool", "import", "refunds"]).is_err());
    let AdminCommand::Tool(noun) = parse("deputy tool import refunds --tools /nowhere") else {
        panic!()
    };
    let ToolVerb::Import(args) = noun.verb else { panic!() };
    assert!(compose::import(&args).unwrap_err().to_string().contains("/nowhere"));
}

#[test]
fn an_import_says_which_arguments_are_kept_and_nothing_of_the_others() {
    let list = std::env::temp_dir().join(format!("deputy-keep-{}.json", std::process::id()));
    std::fs::write(&list, r#"{"tools":[]}"#).unwrap();
    let import = |more: &str| {
        let line = format!("deputy tool import refunds --tools {} {more}", list.display());
        let AdminCommand::Tool(noun) = parse(&line) else { panic!() };
        let ToolVerb::Import(args) = noun.verb else { panic!() };
        compose::import(&args)
    };
    let assign = "--assign a=read:r --assign b=read:r --assign c=read:r";
    assert_eq!(
        import(&format!("{assign} --keep a=/order_id,/customer/id --keep b=")).unwrap(),
        json(
            r#"{"tools_list":{"tools":[]},"assign":{
            "a":{"effect":"read","scopes":["r"],"keep_arguments":["/order_id","/customer/id"]},
            "b":{"effect":"read","scopes":["r"],"keep_arguments":[]},
            "c":{"effect":"read","scopes":["r"]}}}"#
        )
    );
    let unassigned = import("--keep a=/order_id").unwrap_err().to_string();
    assert!(unassigned.contains("add --assign a=EFFECT:SCOPE"), "{unassigned}");
    assert!(import("--assign a=read:r --keep a").is_err());
    std::fs::remove_file(&list).unwrap();
}

#[test]
fn the_connection_may_stand_before_or_behind_the_verb() {
    for line in [
        "deputy audit --json --url http://127.0.0.1:9 list --user alice",
        "deputy audit list --user alice --json --url http://127.0.0.1:9",
    ] {
        let AdminCommand::Audit(noun) = parse(line) else { panic!() };
        assert!(noun.connection.json);
        assert_eq!(noun.connection.url, "http://127.0.0.1:9");
        let AuditVerb::List(args) = noun.verb else { panic!() };
        assert_eq!(args.user.as_deref(), Some("alice"));
    }
}

#[test]
fn a_resource_says_in_flags_whether_denials_name_the_scope() {
    let told = |more: &str| {
        let line = format!("deputy resource create r --uri https://r.example --owner cl_r{more}");
        let AdminCommand::Resource(noun) = parse(&line) else { panic!() };
        let ResourceVerb::Create(args) = noun.verb else { panic!() };
        compose::resource(&args).unwrap().get("step_up_hints").cloned()
    };
    assert_eq!(told(""), Some(Value::Bool(false)));
    assert_eq!(told(" --step-up-hints"), Some(Value::Bool(true)));
}

#[test]
fn the_token_is_never_an_argument() {
    assert!(Cli::try_parse_from(["deputy", "client", "list", "--token", "x"]).is_err());
}

#[test]
fn a_chain_reads_from_the_person_to_the_current_actor() {
    let event = json(
        r#"{"subject":{"iss":"https://login.example.com","sub":"alice"},
        "chain":[{"sub":"cl_billing-agent"},{"sub":"cl_support-agent"},
        {"sub":"robot","provenance":"asserted"}]}"#,
    );
    assert_eq!(show::chain(&event), "alice ← robot (asserted) ← support-agent ← billing-agent");
    assert_eq!(show::chain(&json(r#"{"client":"cl_mcp","chain":[]}"#)), "mcp");
}

#[test]
fn who_was_only_named_is_shown_as_named() {
    let event = json(
        r#"{"client":"cl_gateway","chain":[],"tool":"write","outcome":"refused","revision":4,
        "reason":"access_forbidden","detail":{"subject_named":"user alice",
        "resource_named":"record record-2","policy":"archived"}}"#,
    );
    assert_eq!(show::chain(&event), "user alice (named by gateway)");
    let page = Page::default();
    show::events(&[Value::Object(event.clone())], &mut page.out());
    assert!(page.text().contains("user alice (named by gateway)  record record-2 write"));
    let mut answer = Object::new();
    answer.insert("recorded", event);
    answer.insert("not_judged_again", "it was asked without a token");
    let policies = r#"{"version":1,"decided":[{"id":"archived","file":"records.cedar","line":8,
        "text":"forbid (principal, action, resource);"}],"shadow":[]}"#;
    answer.insert("policies", json(policies));
    let page = Page::default();
    explained::decision(&answer, &mut page.out());
    let told = page.text();
    for line in [
        "DENIED  write at record record-2  access_forbidden",
        "  asked by    cl_gateway",
        "  subject     user alice  (as named)",
        "  resource    record record-2  (as named)",
        "  policies that decided (version 1)",
        "  » archived  records.cedar:8",
        "    | forbid (principal, action, resource);",
        "  again       not possible: it was asked without a token",
    ] {
        assert!(told.lines().any(|told| told == line), "`{line}` is missing:\n{told}");
    }
}

#[test]
fn a_value_that_was_not_kept_is_said_not_to_be() {
    let explained = |kept: &str| {
        let mut answer = json(
            r#"{"recorded":{"outcome":"refused","reason":"argument_not_permitted","tool":"t",
            "resource":"r","chain":[],"detail":{"argument":"/id"}},"arguments":{},"steps":[],
            "limits":[{"argument":"/id","constraint":{"constraint_type":"exact","value":1},
            "permits":false}]}"#,
        );
        answer.insert("arguments_kept", kept);
        let page = Page::default();
        explained::decision(&answer, &mut page.out());
        page.text()
    };
    let partly = explained("partly");
    for words in ["✗ /id", "sent: not kept", "failed on   /id", "let the tool's `keep_arguments`"]
    {
        assert!(partly.contains(words), "`{words}` is missing:\n{partly}");
    }
    assert!(explained("whole").contains("sent: nothing"));
}

/// What is shown, kept.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn out(&self) -> super::Out {
        super::Out::new(Box::new(self.clone()), Box::new(std::io::sink()))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[test]
fn a_change_of_a_tool_reads_as_what_was_and_what_is() {
    let change = json(
        r#"{"resource":"refunds","tool":"refunds.list","digest":"D","found_on":1800000000,
        "effect":"read","scopes":["refunds:read"],"more":false,"differences":[
        {"at":"/description","accepted":"Lists.","found":"Lists.\nSends."},
        {"at":"/inputSchema/properties/cc","found":{"type":"string"}}]}"#,
    );
    let page = Page::default();
    show::tool_changes(&[Value::Object(change)], &mut page.out());
    let expected = [
        "refunds refunds.list  (found 2027-01-15 08:00:00 UTC)",
        "  effect read, scopes refunds:read",
        "  /description",
        r#"    - "Lists.""#,
        r#"    + "Lists.\nSends.""#,
        "  /inputSchema/properties/cc",
        r#"    + {"type":"string"}"#,
        "  --digest D",
    ];
    assert_eq!(page.text().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_table_shows_no_control_characters() {
    let page = Page::default();
    let mut out = page.out();
    let tool = json(r#"{"name":"a\u001b[2J","effect":"read","scopes":["s"],"enabled":true}"#);
    show::tools(&[Value::Object(tool)], &mut out);
    let text = page.text();
    assert!(text.starts_with("TOOL") && !text.contains('\u{1b}'), "{text}");
}
