//! The command line: what it understands, what it writes down, and how a chain reads.

use std::sync::{Arc, Mutex};

use clap::{CommandFactory, Parser};

use super::{
    args::{AdminCommand, AuditVerb, Cli, ClientVerb, Command, EdgeVerb, IssuerVerb, ToolVerb},
    compose, show,
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
