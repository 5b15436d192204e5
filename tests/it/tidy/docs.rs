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
