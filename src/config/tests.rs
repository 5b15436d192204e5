use super::*;

fn none(_: &str) -> Option<String> {
    None
}

fn from(
    text: &str,
    env: &[(&str, &str)],
    overrides: Overrides,
) -> Result<Settings, Vec<ConfigProblem>> {
    let env = |name: &str| {
        env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    let mut reader = Reader { sources: Sources::new(env, overrides), ..Reader::default() };
    reader.problems = reader.sources.add_text("deputy.toml", text);
    reader.settings()
}

fn problems(text: &str) -> Vec<String> {
    let refused = from(text, &[], Overrides::default()).expect_err(text);
    refused.iter().map(ToString::to_string).collect()
}

#[test]
fn the_commented_default_file_says_exactly_the_defaults() {
    let written = from(DEFAULT_FILE, &[], Overrides::default()).unwrap();
    let unwritten = load(None, none, Overrides::default()).unwrap();
    let bare = |settings: Settings| format!("{:?}", Settings { origins: Vec::new(), ..settings });
    assert_eq!(bare(written), bare(unwritten));
}

#[test]
fn the_default_file_mentions_every_key() {
    for line in explain(&load(None, none, Overrides::default()).unwrap()).lines() {
        let name = line.trim_start_matches("# ").split([' ', ':', '[']).next().unwrap();
        assert!(DEFAULT_FILE.contains(name), "{name}");
    }
}

#[test]
fn a_flag_beats_a_variable_and_a_variable_the_file() {
    let text = "database = \"sqlite:file.db\"\n[limits]\nconnections = 5\ndrain_s = 6\n";
    let env = [
        ("DEPUTY_DATABASE", "sqlite:variable.db"),
        ("DEPUTY_LIMITS_CONNECTIONS", "7"),
        ("DEPUTY_LIMITS_DRAIN_S", ""),
    ];
    let flags = Overrides { database: Some("sqlite:flag.db".to_owned()), ..Overrides::default() };
    let settings = from(text, &env, flags).unwrap();
    assert_eq!(settings.database.expose(), "sqlite:flag.db");
    assert_eq!((settings.limits.connections, settings.limits.drain_s), (7, 6));
    let shown = explain(&settings);
    let origin = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(key)).unwrap();
        line.split("# ").nth(1).unwrap().to_owned()
    };
    assert_eq!(origin("database"), "--database");
    assert_eq!(origin("connections"), "DEPUTY_LIMITS_CONNECTIONS");
    assert_eq!(origin("drain_s"), "deputy.toml line 4");
    assert_eq!(origin("listen"), "default");
}

#[test]
fn every_problem_is_told_with_its_key_its_place_and_its_cure() {
    let text = "listen = \"here\"\ndatabse = \"x\"\nallow_loopback_issuers = \"yes\"\n\
                connections = 3\n[limits]\ndrain_s = 9999\n[colours]\nred = 1\n";
    let told = problems(text);
    let expected = [
        "`connections` (deputy.toml line 4): there is no such key; did you mean `limits.connections`?",
        "`databse` (deputy.toml line 2): there is no such key; did you mean `database`?",
        "`colours` (deputy.toml line 7): there is no such key; delete it; `deputy check-config` lists every key",
        "`allow_loopback_issuers` (deputy.toml line 3): a value of the type string cannot stand here; write `true` or `false` without quotes",
        "`listen` (deputy.toml line 1): `here` is not an address to listen on; write an IP address and a port, such as `127.0.0.1:8420`",
        "`limits.drain_s` (deputy.toml line 6): `9999` is out of range or not a number; write a whole number from 0 to 300",
    ];
    for line in expected {
        assert!(told.iter().any(|t| t == line), "missing {line}\nin {told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn a_file_that_is_no_toml_or_not_there_is_named() {
    assert!(problems("listen = \n")[0].starts_with("`deputy.toml` (line 1): not TOML"));
    assert!(problems("limits = 3")[0].ends_with("write `[limits]`"));
    let missing = load(Some(Path::new("/nowhere/deputy.toml")), none, Overrides::default());
    assert!(missing.unwrap_err()[0].to_string().contains("/nowhere/deputy.toml"));
}

#[test]
fn the_public_url_is_https_unless_it_is_loopback() {
    for good in [
        "https://deputy.example.com",
        "https://deputy.example.com:8443/base",
        "http://localhost:8420",
        "http://127.0.0.9",
        "http://[::1]:8420",
    ] {
        assert!(PublicUrl::parse(good).is_ok(), "{good}");
    }
    for wrong in [
        "http://deputy.example.com",
        "http://127.0.0.1.example.com",
        "https://deputy.example.com/",
        "https://deputy.example.com?x",
        "https://deputy.example.com#x",
        "https://user:hunter2@deputy.example.com",
        "https://Deputy.example.com",
        "https://deputy..example.com",
        "https://deputy.example.com:0",
        "https://deputy.example.com:99999",
        "https://deputy.example.com/a/../b",
        "https://[127.0.0.1]",
        "https://",
        "ftp://deputy.example.com",
        "deputy.example.com",
    ] {
        let Bad { problem, .. } = PublicUrl::parse(wrong).expect_err(wrong);
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}

#[test]
fn the_public_url_follows_a_loopback_address_and_is_required_off_it() {
    let at = |listen: &str| {
        from("", &[], Overrides { listen: Some(listen.to_owned()), ..Overrides::default() })
    };
    let settings = at("127.0.0.1:9000").unwrap();
    assert_eq!(settings.issuer(), "http://127.0.0.1:9000/oauth2");
    for open in ["0.0.0.0:8420", "127.0.0.1:0"] {
        assert_eq!(at(open).unwrap_err()[0].key, "public_url", "{open}");
    }
}

#[test]
fn admin_routes_stay_on_loopback_unless_set() {
    let at = |listen: &str, admin: Option<&str>| {
        let flags = Overrides {
            public_url: Some("https://deputy.example.com".to_owned()),
            listen: Some(listen.to_owned()),
            admin_listen: admin.map(str::to_owned),
            ..Overrides::default()
        };
        from("", &[], flags).unwrap()
    };
    assert_eq!(at("127.0.0.1:80", None).admin_listen, None);
    assert_eq!(at("0.0.0.0:80", None).admin_listen, Some(DEFAULT_ADMIN_LISTEN));
    assert_eq!(at("0.0.0.0:80", Some("0.0.0.0:80")).admin_listen, None, "said in so many words");
    let separate = at("0.0.0.0:80", Some("10.0.0.1:81")).admin_listen;
    assert_eq!(separate.unwrap().to_string(), "10.0.0.1:81");
    assert!(!at("127.0.0.1:80", None).allow_loopback_issuers, "the public URL decides");
}

#[test]
fn passwords_are_never_shown() {
    let url = "postgres://deputy:hun@ter2@db.internal/deputy?password=hunter3&sslmode=disable";
    let flags = Overrides { database: Some(url.to_owned()), ..Overrides::default() };
    let settings = from("", &[], flags).unwrap();
    assert_eq!(settings.database.expose(), url);
    for shown in [explain(&settings), format!("{settings:?}")] {
        assert!(
            shown.contains("postgres://deputy:…@db.internal/deputy?password=…&sslmode=disable")
        );
        assert!(!shown.contains("ter2") && !shown.contains("hunter3"), "{shown}");
    }
    for url in ["postgres://u:hunt?er2@db/x", "postgres://u:hunt/er2@db?passfile=hunter2"] {
        let shown = DatabaseUrl::parse(url).unwrap().to_string();
        assert!(!shown.contains("hunt") && !shown.contains("er2"), "{shown}");
    }
    let told = problems("database = \"mysql://root:hunter2@db\"\nkek_from = \"hunter2\"");
    assert!(told.len() == 2 && !told.concat().contains("hunter2"), "{told:?}");
}

#[test]
fn a_database_that_forgets_is_refused() {
    for wrong in ["sqlite:", "sqlite::memory:", "sqlite://:memory:", "postgres://", "deputy.db", ""]
    {
        assert!(DatabaseUrl::parse(wrong).is_err(), "{wrong}");
    }
    assert!(DatabaseUrl::parse("sqlite:///var/lib/deputy/deputy.db").is_ok());
}

#[test]
fn the_key_encryption_key_has_three_sources() {
    assert_eq!(Kek::parse("keys_dir").unwrap(), Kek::KeysDir);
    assert_eq!(Kek::parse("env:DEPUTY_KEK").unwrap(), Kek::Env("DEPUTY_KEK".to_owned()));
    assert_eq!(Kek::parse("file:/run/kek").unwrap(), Kek::File("/run/kek".into()));
    for wrong in ["", "env:", "file:", "env:a b", "vault:x"] {
        assert!(Kek::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_issuer_path_leaves_other_endpoints_alone() {
    assert!(values::issuer_path("/oauth2").is_ok() && values::issuer_path("/a/b").is_ok());
    for wrong in ["", "/", "oauth2", "/oauth2/", "/admin", "/access/x", "/a//b", "/..", "/a?b"] {
        assert!(values::issuer_path(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_is_explained_can_be_loaded_again() {
    let settings = load(None, none, Overrides::default()).unwrap();
    let again = from(&explain(&settings), &[], Overrides::default()).unwrap();
    let line = |s: &Settings| {
        explain(s).lines().map(|l| l.split(" # ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(line(&again), line(&settings));
}
