//! The house rules that no compiler checks: the source tree is read as text and held to them.
//! Nothing here runs Deputy.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use ring::digest;

mod docs;
mod layers;
mod scan;

use scan::{Function, functions};

/// Where our Rust is.
const HOUSE: &[&str] = &["src/", "tests/", "benches/", "sdk/rust/"];
/// Longer files are two files.
const SOURCE_LINES_MAX: usize = 500;
/// A test file is read one test at a time.
const TEST_LINES_MAX: usize = 800;
/// A function fits a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// One tracked text file.
pub struct File {
    /// Its path below the root of the checkout.
    pub path: String,
    /// What it holds.
    pub text: String,
}

impl File {
    /// Whether it holds tests and helpers of tests only.
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.split('/').any(|part| {
                let name = part.strip_suffix(".rs").unwrap_or(part);
                name == "tests" || name.starts_with("tests_") || name.ends_with("_tests")
            })
    }

    /// Its lines of code with their numbers from one; comments are not code.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines.map(|(at, line)| (at + 1, scan::without_comment(line)))
    }
}

/// Every tracked file that is text.
fn tracked() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git").arg("ls-files").current_dir(root).output();
    let listed = listed.ok().filter(|listed| listed.status.success());
    let paths: Vec<String> = match listed {
        Some(listed) => {
            String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
        }
        // An unpacked archive has no history; everything in these places is ours.
        None => ["src", "tests", "docs", "migrations", "scripts", "benches", "examples"]
            .iter()
            .flat_map(|place| walk(&root.join(place)))
            .map(|path| path.strip_prefix(root).unwrap().display().to_string())
            .collect(),
    };
    let read = |path: String| Some(File { text: fs::read_to_string(root.join(&path)).ok()?, path });
    paths.into_iter().filter_map(read).collect()
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let below = |path: PathBuf| if path.is_dir() { walk(&path) } else { vec![path] };
    entries.flat_map(|entry| below(entry.path())).collect()
}

/// The Rust files below these places.
fn rust(places: &[&str]) -> Vec<File> {
    let wanted = |file: &File| {
        Path::new(&file.path).extension().is_some_and(|e| e == "rs")
            && places.iter().any(|place| file.path.starts_with(place))
    };
    let files: Vec<File> = tracked().into_iter().filter(wanted).collect();
    assert!(!files.is_empty(), "nothing to read below {places:?}");
    files
}

/// Fails with everything that was found.
fn none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn files_are_short() {
    let too_long = |file: &File| {
        let source = file.path.starts_with("src/") || file.path.starts_with("sdk/rust/src/");
        let most = if source { SOURCE_LINES_MAX } else { TEST_LINES_MAX };
        let lines = file.text.lines().count();
        (lines > most).then(|| format!("{}: {lines} lines of {most}", file.path))
    };
    let found: Vec<String> = rust(HOUSE).iter().filter_map(too_long).collect();
    none(&found, "files are too long");
}

#[test]
fn functions_fit_a_screen() {
    let mut found = Vec::new();
    for file in rust(HOUSE) {
        for Function { name, line, lines } in functions(&file.text) {
            if lines > FUNCTION_LINES_MAX {
                found.push(format!("{}:{line}: `{name}` has {lines} lines", file.path));
            }
        }
    }
    none(&found, "functions are too long");
}

#[test]
fn a_file_opens_by_saying_what_lives_in_it() {
    // What a sibling `tests.rs` holds, the module beside it says.
    let silent = |file: &File| {
        let beside = file.path.starts_with("src/") && file.is_test();
        !beside && !file.text.starts_with("//! ")
    };
    let found: Vec<String> = rust(HOUSE).into_iter().filter(silent).map(|file| file.path).collect();
    none(&found, "these files do not open with `//!`");
}

#[test]
fn nothing_is_left_for_later_or_switched_off() {
    // Put together here, so that this file does not name them itself.
    let banned = [
        ["to", "do!("],
        ["FIX", "ME"],
        ["XX", "X:"],
        ["#[ig", "nore"],
        ["[al", "low("],
        ["unimple", "mented!("],
        ["TO", "DO"],
        ["Assert", "SqlSafe"],
    ]
    .map(|halves| halves.concat());
    let mut found = Vec::new();
    for file in rust(HOUSE) {
        for (at, line) in file.text.lines().enumerate() {
            for word in banned.iter().filter(|word| line.contains(word.as_str())) {
                found.push(format!("{}:{}: {word}", file.path, at + 1));
            }
        }
    }
    none(&found, "banned words");
}

#[test]
fn nothing_tracked_names_a_place_outside_the_project() {
    let banned = [
        ["../", "shared"],
        ["/work/", "shared"],
        ["crates", ".io"],
        ["pypi", ".org"],
        ["registry.npm", "js.org"],
    ]
    .map(|halves| halves.concat());
    let mut found = Vec::new();
    // The lock file names the registry that every lock file names.
    for file in tracked().iter().filter(|file| file.path != "Cargo.lock") {
        for (at, line) in file.text.lines().enumerate() {
            for word in banned.iter().filter(|word| line.contains(word.as_str())) {
                found.push(format!("{}:{}: {word}", file.path, at + 1));
            }
        }
    }
    none(&found, "names of places outside the project");
}

/// A merged migration is never edited: a database that has run it would differ from one that runs
/// it now. A new migration gets a line here.
const MIGRATIONS: &[(&str, &str)] = &[
    ("postgres/0001_begin.sql", "e55e0baeb299d61e39e1edf2d100e3857f1d7e122ed83c2487cbd5b38e4aad10"),
    (
        "postgres/0002_effects.sql",
        "09b2569d25bf28fca280585f2968b8c2828a79040f8be8331c51a60c21a1fc2b",
    ),
    (
        "postgres/0006_history.sql",
        "5f0060bb13fed30cc765cc905f87ed47fcdea2daa72ea51fc8c8a3a0ad7fe8cf",
    ),
    (
        "postgres/0007_neighbours.sql",
        "7a25e98fd0644e3f2b70a3f838c99db3019f8a10aae7948880ad29eaaca9d15c",
    ),
    (
        "postgres/0008_instance.sql",
        "b67cc51f73a426fe7406b7c14758d6fecd38b22fbe48227cb1b6125bd1c53bd4",
    ),
    (
        "postgres/0009_checkpoint.sql",
        "b0a62582430a4f7313c4afa5b896a3bb557db1859dfd820f729f37074377e0ee",
    ),
    (
        "postgres/0010_retention.sql",
        "44e610e72fe561391275a662bc519173df2592478d44837fbd2627363dfd1ff7",
    ),
    ("postgres/0011_floor.sql", "05ac6ccc1ea0b71bd85b5d24e908d7f6011d431c42f17de9ade386a93194439d"),
    (
        "postgres/0012_packed.sql",
        "e8b0e1ede0812343442e14de669f13e6d4da145a4bca2ee4358f8f81cbdcb346",
    ),
    ("sqlite/0001_begin.sql", "635ed953933529ff823323c86c0343549b9125e22ba9a3ee2615dc4c5521537a"),
    ("sqlite/0002_effects.sql", "297f4de13556e785afe30685a18f949f1e65823767be11a104cd9322f6de54fc"),
    ("sqlite/0006_history.sql", "4d33ba29f3209306c6451fd6bbc58e0bee3294580488a86703edf505a91026b5"),
    (
        "sqlite/0007_neighbours.sql",
        "bab41ee15d8f0ffbd3d5975fee3d4b0087df80429e53b4da92d89a280ae9466a",
    ),
    (
        "sqlite/0008_instance.sql",
        "41f4db91c00a17b37811ccf5ecc05e9823180e3769f3c462ef4ba2c15fe00c3c",
    ),
    (
        "sqlite/0009_checkpoint.sql",
        "426b91543f7ac9eda58fd8f8ad5fca0f0ea14fc53ba7855bdb2b1c613e569e90",
    ),
    (
        "sqlite/0010_retention.sql",
        "dba617be2ce3172577a489a5880da50be549de40d8efee34aab4fd8365479146",
    ),
    ("sqlite/0011_floor.sql", "02bc387185c21935c471635302f539d44d9ed67a216a1bcf264e755ffadc2a68"),
    ("sqlite/0012_packed.sql", "e2cba41e20f38b71a4fab760bd47d0b3a997e11fa234d3e46a167b170a61e864"),
];

#[test]
fn both_engines_have_the_same_migrations_and_none_was_edited() {
    let mut seen = BTreeMap::new();
    for file in tracked() {
        if let Some(name) = file.path.strip_prefix("migrations/") {
            let sum = digest::digest(&digest::SHA256, file.text.as_bytes());
            let hex: Vec<String> = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            seen.insert(name.to_owned(), hex.concat());
        }
    }
    let of = |engine: &str| -> BTreeSet<String> {
        seen.keys().filter_map(|name| name.strip_prefix(engine)).map(str::to_owned).collect()
    };
    assert_eq!(of("sqlite/"), of("postgres/"), "a migration without its twin");
    let kept: BTreeMap<String, String> =
        MIGRATIONS.iter().map(|(name, sum)| ((*name).to_owned(), (*sum).to_owned())).collect();
    assert_eq!(seen, kept, "a merged migration is never edited: add a new one, and its line here");
}
