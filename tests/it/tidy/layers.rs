//! Who may import whom, and who alone may know what.

use super::{
    File, none, rust,
    scan::{self, says},
};

/// The layer of each module at the root. A module uses lower layers only: none above, none beside.
const LAYERS: &[(&str, u8)] = &[
    ("base", 0),
    ("model", 1),
    ("oauth", 2),
    ("jose", 2),
    ("policy", 2),
    ("registry", 2),
    ("engine", 3),
    ("store", 3),
    ("service", 4),
    ("http", 5),
    ("config", 6),
    ("cli", 6),
    ("demo", 6),
    ("main", 6),
];

/// The command line turns settings into a server: it may see the configuration. `main` sees all.
const BESIDE: &[(&str, &str)] = &[("cli", "config"), ("demo", "cli"), ("demo", "config")];

/// What only some places may name, and why it is no business of the others.
const KNOWLEDGE: &[Only] = &[
    Only { words: &["sqlx"], places: &["src/store/"] },
    Only { words: &["josekit", "argon2"], places: &["src/jose/"] },
    Only { words: &["ring::signature", "EcdsaKeyPair", "RsaKeyPair"], places: &["src/jose/"] },
    // Our server side, and the demo's own MCP server and OpenID issuer.
    Only { words: &["axum", "tower_http"], places: &["src/http/", "src/demo/"] },
    // The client of the admin API and the one fetcher of other issuers' documents.
    Only {
        words: &["hyper", "hyper_util", "http_body_util", "reqwest"],
        places: &["src/http/", "src/demo/", "src/cli/", "src/service/remote/"],
    },
    Only { words: &["cedar_policy"], places: &["src/policy/"] },
    Only { words: &["rmcp"], places: &["src/demo/"] },
    Only { words: &["clap"], places: &["src/cli/", "src/main.rs"] },
    Only { words: &["toml"], places: &["src/config/"] },
    Only { words: &["SystemTime", "UNIX_EPOCH", "ClockId"], places: &["src/base/"] },
    // How old a segment is, how long a request took and how many lines come in a second: durations,
    // on the runtime's clock.
    Only {
        words: &["Instant::now"],
        places: &[
            "src/base/",
            "src/store/writer/",
            "src/http/around.rs",
            "src/http/lines.rs",
            "src/http/serve/",
        ],
    },
    // Ring's signatures with a random nonce take the system's generator and no other.
    Only { words: &["SystemRandom"], places: &["src/base/", "src/jose/key.rs"] },
    Only {
        words: &["Receipt::committed", "Committed::by_store", "Committed::before_by_store"],
        places: &["src/store/"],
    },
    Only { words: &["println", "print", "eprintln"], places: &["src/cli/out.rs"] },
];

/// What the pure modules never name.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "tokio",
    "serde",
    "serde_json",
    "tracing",
    "Mutex",
    "RwLock",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
];

/// Where statuses may be named, and why.
const STATUSES: &[(&str, &str)] = &[
    ("src/http/error.rs", "the table"),
    ("src/http/admin/reply.rs", "the admin API's table: its problems (RFC 9457) are its own"),
    ("src/http/serve/", "the accept loop answers before any route is known"),
    ("src/service/remote/", "what other servers answered"),
    ("src/demo/", "another server, and a stranger's client"),
    ("src/cli/", "a client's reading of answers"),
];

struct Only {
    words: &'static [&'static str],
    places: &'static [&'static str],
}

/// The module at the root that a file belongs to.
fn module(file: &File) -> &str {
    let path = file.path.strip_prefix("src/").unwrap();
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

/// Everything but the root itself, which only declares.
fn sources() -> Vec<File> {
    rust(&["src/"]).into_iter().filter(|file| file.path != "src/lib.rs").collect()
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

#[test]
fn modules_look_downward_only() {
    let mut found = Vec::new();
    for file in sources() {
        let own = module(&file);
        let mine = layer(own).unwrap_or_else(|| panic!("`{own}` has no layer: add it"));
        let root = if own == "main" { "deputy::" } else { "crate::" };
        for mention in scan::mentions(&file.text, root) {
            let other = mention.module.as_str();
            let below = layer(other).is_some_and(|theirs| theirs < mine);
            if own != "main" && other != own && !below && !BESIDE.contains(&(own, other)) {
                found.push(format!("{}:{}: `{own}` uses `{other}`", file.path, mention.line));
            }
        }
    }
    none(&found, "a module looks up or aside");
}

#[test]
fn nobody_climbs_to_the_root_by_super() {
    let mut found = Vec::new();
    for file in sources() {
        let path = file.path.trim_end_matches(".rs").trim_end_matches("/mod");
        let depth = path.split('/').count() - 1;
        for (at, line) in file.code() {
            if line.contains(&"super::".repeat(depth)) && !line.starts_with(' ') {
                found.push(format!("{}:{at}: {}", file.path, line.trim()));
            }
        }
    }
    none(&found, "`super` reaches the root of the crate; say `crate::`");
}

#[test]
fn the_engine_and_the_model_are_pure() {
    let mut found = Vec::new();
    let pure = rust(&["src/engine/", "src/model/"]);
    for file in pure.iter().filter(|file| !file.is_test()) {
        for (at, line) in file.code() {
            for word in IMPURE.iter().filter(|word| says(line, word)) {
                found.push(format!("{}:{at}: {word}", file.path));
            }
        }
    }
    none(&found, "the pure modules do no I/O, wait for nothing, log nothing and have no wire");
}

#[test]
fn each_library_is_known_in_its_own_place() {
    let mut found = Vec::new();
    for file in sources().iter().filter(|file| !file.is_test()) {
        for Only { words, places } in KNOWLEDGE {
            if places.iter().any(|place| file.path.starts_with(place)) {
                continue;
            }
            for (at, line) in file.code() {
                for word in words.iter().filter(|word| uses(line, word)) {
                    found.push(format!("{}:{at}: {word}: {}", file.path, line.trim()));
                }
            }
        }
    }
    none(&found, "something is known outside its place");
}

/// A crate is used by a path into it; anything else by its name.
fn uses(line: &str, word: &str) -> bool {
    let is_name = word.chars().all(|c| c.is_lowercase() || c == '_' || c.is_ascii_digit());
    match (is_name, word) {
        (true, "println" | "print" | "eprintln") => says(line, &format!("{word}!")),
        (true, _) => {
            says(line, &format!("use {word}"))
                || says(line, &format!("{word}::"))
                || line.contains(&format!(" {word}::"))
        }
        (false, _) => says(line, word),
    }
}

#[test]
fn a_status_is_named_in_the_table_only() {
    let mut found = Vec::new();
    for file in sources().iter().filter(|file| !file.is_test()) {
        if STATUSES.iter().any(|(place, _)| file.path.starts_with(place)) {
            continue;
        }
        for (at, line) in file.code() {
            if says(line, "StatusCode") {
                found.push(format!("{}:{at}: {}", file.path, line.trim()));
            }
        }
    }
    none(&found, "statuses are named outside the table");
}

#[test]
fn every_exception_about_statuses_is_still_one() {
    let files = sources();
    let unused = |place: &str| {
        let here = |file: &&File| file.path.starts_with(place);
        !files.iter().filter(here).any(|file| file.code().any(|(_, line)| says(line, "StatusCode")))
    };
    let found: Vec<String> = STATUSES
        .iter()
        .filter(|(place, _)| unused(place))
        .map(|(place, why)| format!("{place}: {why}"))
        .collect();
    none(&found, "places that no longer name a status");
}
