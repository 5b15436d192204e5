//! `deputy policy` as it is typed: a directory of files against a running server, and what is printed.

use std::{fs, path::Path};

use deputy::demo::issuer::Issuer;
use reqwest::Method;
use serde_json::json;

use crate::serve_process::{
    Folder, Registered, Server, TICKETS, deputy, free_address, token, user_token,
};

/// A server with the ticket tool of the story, and a directory for policies.
struct Stage {
    folder: Folder,
    server: Server,
    people: Issuer,
    registered: Registered,
}

impl Stage {
    async fn begin() -> Stage {
        let folder = Folder::new();
        let server = Server::start(&folder.0, &free_address(), &[]);
        let people = Issuer::start("corp").await.unwrap();
        let registered = server.register(&people).await;
        let tool = json!({
            "scopes": ["tickets:read"], "effect": "write",
            "input_schema": { "type": "object", "properties": { "days": { "type": "integer" } } },
        });
        let path = "/resources/tickets/tools/tickets.close";
        server.admin(Method::PUT, path, Some(&tool)).await;
        Stage { folder, server, people, registered }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.0.join("policies").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs `deputy policy …`: its exit code, and what it prints.
    fn policy(&self, line: &str) -> (i32, String) {
        let args: Vec<&str> = ["policy"].into_iter().chain(line.split(' ')).collect();
        let mut command = deputy(&self.folder.0, &args);
        let ran = command.env("DEPUTY_URL", &self.server.url).output().unwrap();
        let said = [ran.stdout, ran.stderr].concat();
        (ran.status.code().unwrap(), String::from_utf8(said).unwrap())
    }

    /// The same, which must be as it is expected.
    fn prints(&self, line: &str, expected: &[&str]) {
        let (code, said) = self.policy(line);
        assert_eq!((code, said.lines().collect::<Vec<_>>()), (0, expected.to_vec()), "{line}");
    }
}

const CLOSE: &str = "// Nothing that is older than a month.\n\
    @id(\"not-too-old\")\n\
    forbid (principal, action == Action::\"tickets/tickets.close\", resource)\n\
    when { context.arguments has days && context.arguments.days > 30 };\n";

#[tokio::test]
async fn a_directory_is_applied_changed_compared_and_gone_back_from() {
    let stage = Stage::begin().await;
    stage.write("delegation/close.cedar", CLOSE);
    stage.write("delegation/README.md", "for people");
    stage.prints("validate policies", &["valid: 1 policy"]);
    stage.prints(
        "apply policies",
        &["+ not-too-old  delegation/close.cedar:2", "version 1 is active: 1 policy"],
    );
    stage.prints("apply policies", &["version 1 is still active: 1 policy"]);
    stage.write("delegation/close.cedar", &CLOSE.replace("30", "14"));
    let watched = "@id(\"short\")\n@shadow\n\
        forbid (principal, action == Action::\"delegate\", resource) when { context.depth > 3 };\n";
    stage.write("delegation/short.cedar", watched);
    stage.prints(
        "apply policies",
        &[
            "~ not-too-old  delegation/close.cedar:2",
            "+ short  delegation/short.cedar:1  (shadow: only watched)",
            "version 2 is active: 2 policies, 1 of them in shadow",
        ],
    );
    stage.write("delegation/short.cedar", &watched.replace("@shadow\n", ""));
    fs::remove_file(stage.folder.0.join("policies/delegation/close.cedar")).unwrap();
    stage.prints(
        "apply policies",
        &[
            "! short  delegation/short.cedar:1  enforced from now on",
            "- not-too-old  delegation/close.cedar:2",
            "version 3 is active: 1 policy",
        ],
    );
    stage.prints(
        "diff 1 2",
        &[
            "--- delegation/close.cedar (version 1)",
            "+++ delegation/close.cedar (version 2)",
            " // Nothing that is older than a month.",
            " @id(\"not-too-old\")",
            " forbid (principal, action == Action::\"tickets/tickets.close\", resource)",
            "-when { context.arguments has days && context.arguments.days > 30 };",
            "+when { context.arguments has days && context.arguments.days > 14 };",
            "--- delegation/short.cedar (version 1)",
            "+++ delegation/short.cedar (version 2)",
            "+@id(\"short\")",
            "+@shadow",
            "+forbid (principal, action == Action::\"delegate\", resource) when { context.depth > 3 };",
        ],
    );
    let back = "version 4 is active, with the texts of version 2: 2 policies, 1 of them in shadow";
    stage.prints("rollback", &[back]);
    let (_, history) = stage.policy("history");
    let versions: Vec<&str> =
        history.lines().skip(1).map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(versions, ["4", "3", "2", "1"], "{history}");
    let (_, shown) = stage.policy("show --texts");
    assert!(shown.contains("version 4: 2 policies, 1 of them in shadow"), "{shown}");
    assert!(shown.contains("days > 14"), "{shown}");
    let (_, first) = stage.policy("show 1");
    assert!(first.contains("bootstrap") && first.contains("days > 30"), "{first}");
}

#[tokio::test]
async fn a_draft_is_tried_on_what_was_decided_and_what_it_denies_is_explained() {
    let stage = Stage::begin().await;
    let text =
        "@id(\"holidays\")\nforbid (principal, action in Action::\"tickets/*\", resource);\n";
    stage.write("delegation/holidays.cedar", text);
    let given = stage.server.support(&stage.registered).exchanges(&user_token(&stage.people)).await;
    let (token, _) = token(&given.unwrap());
    let call = [
        ("token", token.as_str()),
        ("resource", TICKETS),
        ("tool", "tickets.get"),
        ("arguments", "{}"),
    ];
    let tickets = stage.server.tickets(&stage.registered);
    let allowed = tickets.posts("introspect", &call).await.unwrap().json;
    let id = allowed["decision"]["id"].as_str().unwrap();
    let example = format!("  support tickets.get  {id}: permitted → policy_forbids  by holidays");
    stage.prints(
        "replay policies --since 7d",
        &[
            "1 decisions: 0 unchanged, 0 newly allowed, 1 newly denied, 0 undecidable",
            "",
            "AGENT    TOOL                 ALLOWED  DENIED  UNDECIDABLE  UNCHANGED",
            "support  tickets tickets.get  0        1       0            0",
            &example,
        ],
    );
    let (code, said) = stage.policy("replay policies --since yesterday");
    assert!(code == 2 && said.contains("`24h`"), "{said}");
    stage.policy("apply policies");
    let denied = tickets.posts("introspect", &call).await.unwrap().json;
    let args = ["explain", denied["decision"]["id"].as_str().unwrap()];
    let mut explain = deputy(&stage.folder.0, &args);
    let told = explain.env("DEPUTY_URL", &stage.server.url).output().unwrap().stdout;
    let told = String::from_utf8(told).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], "DENIED  tickets.get at tickets  policy_forbids");
    assert!(lines.contains(&"  ✗ policies             policy_forbids"), "{told}");
    let at = lines.iter().position(|line| line.contains("policies that decided")).unwrap();
    assert_eq!(lines[at], "  policies that decided (version 1)");
    assert_eq!(lines[at + 1], "  » holidays  delegation/holidays.cedar:1");
    assert_eq!(lines[at + 2], "    | @id(\"holidays\")");
}

#[tokio::test]
async fn faults_are_shown_as_a_compiler_does() {
    let stage = Stage::begin().await;
    stage.write("delegation/close.cedar", &CLOSE.replace(".days >", ".dais >"));
    for verb in ["validate", "apply"] {
        let (code, said) = stage.policy(&format!("{verb} policies"));
        assert_eq!(code, 1, "{said}");
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines[0].starts_with("policies/delegation/close.cedar:4:"), "{said}");
        assert!(lines[0].contains("dais"), "{said}");
        assert!(lines[1].starts_with("    4 | when { context.arguments has days"), "{said}");
        let marked = lines[2].find('^').unwrap();
        assert!(lines[1][marked..].starts_with("dais"), "{said}");
        assert_eq!(lines[3], "deputy: 1 fault; nothing was changed");
    }
    stage.prints("show", &["version 0: 0 policies", "POLICY  FAMILY  PLACE  MODE  REQUIRES"]);
}

#[tokio::test]
async fn a_tool_that_policies_stand_in_the_way_of_says_so() {
    let stage = Stage::begin().await;
    stage.write("delegation/close.cedar", CLOSE);
    stage.policy("apply policies");
    let schema = json!({ "type": "object", "properties": { "days": { "type": "string" } } });
    let tool = json!({ "scopes": ["tickets:read"], "effect": "write", "input_schema": schema });
    fs::write(stage.folder.0.join("tool.json"), tool.to_string()).unwrap();
    let args = ["tool", "put", "tickets", "tickets.close", "--file", "tool.json"];
    let mut put = deputy(&stage.folder.0, &args);
    let said = put.env("DEPUTY_URL", &stage.server.url).output().unwrap().stderr;
    let said = String::from_utf8(said).unwrap();
    let begin = "deputy: the active policy set would no longer validate: delegation/close.cedar:4:";
    assert!(said.starts_with(begin), "{said}");
    assert!(said.trim_end().ends_with("change the policies first, or leave the tool as it is"));
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[tokio::test]
async fn what_would_silently_be_left_out_is_refused() {
    let stage = Stage::begin().await;
    let refused = |line: &str, says: &str| {
        let (code, said) = stage.policy(line);
        assert!(code == 2 && said.contains(says), "{line}: {code} {said}");
    };
    fs::create_dir(stage.folder.0.join("policies")).unwrap();
    refused("apply policies", "has neither `delegation/` nor `access/`");
    stage.write("stray.cedar", CLOSE);
    refused("apply policies", "stray.cedar` is in no family");
    fs::remove_file(stage.folder.0.join("policies/stray.cedar")).unwrap();
    stage.write("delegation/deeper/close.cedar", CLOSE);
    refused("apply policies", "policies stand directly in");
    let (code, said) = stage.policy("apply nowhere");
    assert!(code == 1 && said.contains("nowhere"), "{code} {said}");
    assert!(!Path::new("policies").exists(), "this test writes in its own folder only");
}
