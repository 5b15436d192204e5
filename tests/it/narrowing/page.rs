//! `docs/AUTHORITY.md` held to what the run saw: its statistics, which kinds can be under which, and
//! what is refused although it would have been narrower.

use std::{collections::BTreeSet, fs, path::Path};

type Kinds = BTreeSet<(String, String)>;

/// Fails with everything that the page should say otherwise.
pub fn is_up_to_date(statistics: &[String], related: &Kinds, refused: &Kinds) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/AUTHORITY.md");
    let page = fs::read_to_string(page).unwrap();
    let mut wrong = Vec::new();
    let numbers = statistics.join("\n");
    if !page.contains(&numbers) {
        wrong.push(format!("it should say:\n{numbers}"));
    }
    for (heading, seen) in [(RELATED, related), (REFUSED, refused)] {
        let written = table(&page, heading);
        for (what, pairs) in [
            ("seen and not written", seen.difference(&written)),
            ("written and not seen", written.difference(seen)),
        ] {
            let pairs: Vec<String> = pairs.map(|(c, p)| format!("{c} under {p}")).collect();
            if !pairs.is_empty() {
                wrong.push(format!("{heading}: {what}: {}", pairs.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/AUTHORITY.md: {}", wrong.join("\n"));
}

const RELATED: &str = "### What can be under what";
const REFUSED: &str = "### What is refused although it is narrower";

/// The pairs of a table whose first column names a child and whose second lists parents.
fn table(page: &str, heading: &str) -> Kinds {
    let section = page.split_once(heading).map_or("", |(_, section)| section);
    let section = section.split("\n#").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let mut pairs = Kinds::new();
    for row in rows {
        let mut cells = row.trim_matches('|').split('|');
        let (children, parents) = (names(cells.next().unwrap()), names(cells.next().unwrap()));
        for child in &children {
            pairs.extend(parents.iter().map(|parent| (child.clone(), parent.clone())));
        }
    }
    pairs
}

/// What stands in backticks.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
