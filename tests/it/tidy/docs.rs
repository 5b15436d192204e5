//! What the documents say about the code, held to the code.

use std::{fs, path::Path};

use deputy::model::call::Reason;

use super::{none, rust};

fn errors() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ERRORS.md")).unwrap()
}

#[test]
fn every_reason_of_a_decision_is_documented() {
    let errors = errors();
    let found: Vec<String> = Reason::ALL
        .iter()
        .map(|reason| reason.as_str().to_owned())
        .filter(|reason| !errors.contains(&format!("| `{reason}` |")))
        .collect();
    none(&found, "reasons that docs/ERRORS.md does not explain");
}

#[test]
fn every_test_that_a_page_names_is_there() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/TOKENS.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, mistakes) = page.split_once("## Mistakes that others made").unwrap();
    let files = rust(&["src/", "tests/"]);
    let there = |name: &str| files.iter().any(|file| file.text.contains(&format!("fn {name}(")));
    let rows = mistakes.lines().filter_map(|line| line.trim_matches('|').rsplit_once('|'));
    let named = rows.flat_map(|(_, tests)| tests.split('`').skip(1).step_by(2));
    let named: Vec<&str> = named.collect();
    assert!(named.len() > 30, "the page is written in another way: read it again");
    let lost = named.into_iter().filter(|name| !there(name));
    let found: Vec<String> = lost.map(str::to_owned).collect();
    none(&found, "tests that docs/TOKENS.md names and nobody wrote");
}

#[test]
fn every_problem_of_the_admin_api_has_its_section() {
    let errors = errors();
    let mut found = Vec::new();
    let mut seen = 0;
    for file in rust(&["src/http/admin/reply.rs"]) {
        let code: String = file.text.split_whitespace().collect::<Vec<_>>().join(" ");
        for call in code.split("StatusCode::").skip(1) {
            let Some((_, rest)) = call.split_once(", \"") else { continue };
            let Some((kind, _)) = rest.split_once('"') else { continue };
            if !kind.is_empty() && kind.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
                seen += 1;
                if !errors.contains(&format!("\n### {kind}\n")) {
                    found.push(kind.to_owned());
                }
            }
        }
    }
    assert!(seen > 5, "the problems are written in another way: read them again");
    none(&found, "problems without a section in docs/ERRORS.md");
}
