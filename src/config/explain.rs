//! The settings as people read them: every key, what holds, and where it came from. No secrets.

use super::{Settings, sources::Origin};

/// The effective configuration as a TOML file whose comments say where each value came from.
/// Passwords in database URLs are replaced by `…`.
pub fn explain(settings: &Settings) -> String {
    let mut out = String::new();
    let mut section = "";
    for (key, value) in lines(settings) {
        let (table, name) = key.split_once('.').unwrap_or(("", key));
        if table != section {
            section = table;
            out.extend(["\n[", table, "]\n"]);
        }
        let origin = settings.origins.iter().find(|(known, _)| *known == key);
        let origin = origin.map_or(&Origin::Default, |(_, origin)| origin);
        let line = match value {
            Some(value) => format!("{name} = {value}"),
            None => format!("# {name}: {}", absent(key)),
        };
        out.extend([format!("{line:<48} # {origin}\n")]);
    }
    out
}

/// What holds where a key without a default is left out.
fn absent(key: &str) -> &'static str {
    match key {
        "admin_listen" => "`listen` serves admins too",
        "trusted_roots" => "only the system's are trusted",
        _ => "not set",
    }
}

fn lines(settings: &Settings) -> Vec<(&'static str, Option<String>)> {
    let text =
        |value: &dyn std::fmt::Display| Some(toml::Value::from(value.to_string()).to_string());
    let plain = |value: &dyn std::fmt::Display| Some(value.to_string());
    let limits = &settings.limits;
    vec![
        ("public_url", text(&settings.public_url)),
        ("issuer_path", text(&settings.issuer_path)),
        ("listen", text(&settings.listen)),
        ("admin_listen", settings.admin_listen.and_then(|address| text(&address))),
        ("database", text(&settings.database)),
        ("keys_dir", text(&settings.keys_dir.display())),
        ("kek_from", text(&settings.kek)),
        ("kek_beside_from", settings.kek_beside.as_ref().and_then(|kek| text(kek))),
        ("allow_loopback_issuers", plain(&settings.allow_loopback_issuers)),
        ("trusted_roots", settings.trusted_roots.as_ref().and_then(|path| text(&path.display()))),
        ("rotate_keys_days", plain(&settings.rotate_keys_days)),
        ("keep_audit_days", plain(&settings.keep_audit_days)),
        ("limits.connections", plain(&limits.connections)),
        ("limits.head_timeout_s", plain(&limits.head_timeout_s)),
        ("limits.request_timeout_s", plain(&limits.request_timeout_s)),
        ("limits.idle_timeout_s", plain(&limits.idle_timeout_s)),
        ("limits.drain_s", plain(&limits.drain_s)),
        ("log.format", text(&settings.log.format.as_str())),
        ("log.level", text(&settings.log.level.as_str())),
    ]
}
