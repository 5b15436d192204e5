//! Where a value comes from: the file (with its line), a variable or a flag. What a value means is
//! not known here; which keys exist is.

use std::{fmt, fs::File, io::Read, path::Path};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{ConfigProblem, Overrides};

/// Bytes of a configuration file; the commented default has 3 KiB.
const FILE_BYTES_MAX: u64 = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Whole,
    Flag,
}

/// Every key there is.
const KEYS: [(&str, Kind); 19] = [
    ("public_url", Kind::Text),
    ("issuer_path", Kind::Text),
    ("listen", Kind::Text),
    ("admin_listen", Kind::Text),
    ("database", Kind::Text),
    ("keys_dir", Kind::Text),
    ("kek_from", Kind::Text),
    ("kek_beside_from", Kind::Text),
    ("rotate_keys_days", Kind::Whole),
    ("keep_audit_days", Kind::Whole),
    ("allow_loopback_issuers", Kind::Flag),
    ("trusted_roots", Kind::Text),
    ("limits.connections", Kind::Whole),
    ("limits.head_timeout_s", Kind::Whole),
    ("limits.request_timeout_s", Kind::Whole),
    ("limits.idle_timeout_s", Kind::Whole),
    ("limits.drain_s", Kind::Whole),
    ("log.format", Kind::Text),
    ("log.level", Kind::Text),
];

const SECTIONS: [&str; 2] = ["limits", "log"];

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Default,
    File { name: String, line: usize },
    Variable(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { name, line } => write!(f, "{name} line {line}"),
            Origin::Variable(name) | Origin::Flag(name) => f.write_str(name),
        }
    }
}

/// A value as text, whatever it was written as.
pub(super) struct Found {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// All that was said, per key, the strongest last.
#[derive(Default)]
pub(super) struct Sources {
    file: Vec<(&'static str, Found)>,
    stronger: Vec<(&'static str, Found)>,
}

impl Sources {
    pub(super) fn new(env: impl Fn(&str) -> Option<String>, overrides: Overrides) -> Sources {
        let mut sources = Sources::default();
        for (key, _) in KEYS {
            let name = format!("DEPUTY_{}", key.replace('.', "_").to_ascii_uppercase());
            if let Some(text) = env(&name).filter(|text| !text.is_empty()) {
                sources.stronger.push((key, Found { text, origin: Origin::Variable(name) }));
            }
        }
        let Overrides {
            public_url,
            listen,
            admin_listen,
            database,
            keys_dir,
            log_format,
            log_level,
        } = overrides;
        let flags = [
            ("public_url", public_url),
            ("listen", listen),
            ("admin_listen", admin_listen),
            ("database", database),
            ("keys_dir", keys_dir),
            ("log.format", log_format),
            ("log.level", log_level),
        ];
        for (key, text) in flags.into_iter().filter_map(|(key, flag)| Some((key, flag?))) {
            let origin = Origin::Flag(format!("--{}", key.replace(['.', '_'], "-")));
            sources.stronger.push((key, Found { text, origin }));
        }
        sources
    }

    /// The strongest value of `key`.
    pub(super) fn find(&self, key: &str) -> Option<Found> {
        let newest = self.stronger.iter().rev().chain(&self.file);
        newest
            .filter(|(known, _)| *known == key)
            .map(|(_, found)| found)
            .next()
            .map(|found| Found { text: found.text.clone(), origin: found.origin.clone() })
    }

    /// Reads the file; what cannot be read, is no TOML, is unknown or of another type is returned.
    pub(super) fn add_file(&mut self, path: &Path) -> Vec<ConfigProblem> {
        let name = path.display().to_string();
        match read(path) {
            Ok(text) => self.add_text(&name, &text),
            Err(problem) => vec![ConfigProblem {
                key: name,
                place: "configuration file".to_owned(),
                problem,
                cure: "give the path of a readable file, or none at all".to_owned(),
            }],
        }
    }

    pub(super) fn add_text(&mut self, name: &str, text: &str) -> Vec<ConfigProblem> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return errors.iter().map(|error| not_toml(name, text, error)).collect();
        }
        let mut walk = Walk { name, text, found: &mut self.file, problems: Vec::new() };
        walk.table("", table.get_ref());
        walk.problems
    }
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let mut file = File::open(path).map_err(|error| error.to_string())?.take(FILE_BYTES_MAX);
    let read = file.read_to_string(&mut text).map_err(|error| error.to_string())?;
    if u64::try_from(read).is_ok_and(|read| read < FILE_BYTES_MAX) {
        Ok(text)
    } else {
        Err(format!("the file is larger than {FILE_BYTES_MAX} bytes"))
    }
}

fn not_toml(name: &str, text: &str, error: &toml::de::Error) -> ConfigProblem {
    let line = error.span().map_or(1, |span| line_of(text, span.start));
    ConfigProblem {
        key: name.to_owned(),
        place: format!("line {line}"),
        problem: format!("not TOML: {}", error.message()),
        cure: "write `key = value`, texts in double quotes".to_owned(),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let newlines = text.bytes().take(offset).filter(|b| *b == b'\n').count();
    newlines.saturating_add(1)
}

struct Walk<'w> {
    name: &'w str,
    text: &'w str,
    found: &'w mut Vec<(&'static str, Found)>,
    problems: Vec<ConfigProblem>,
}

impl Walk<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let path = format!("{prefix}{}", name.get_ref());
            let line = line_of(self.text, name.span().start);
            let known = KEYS.iter().find(|(key, _)| *key == path);
            match (known, value.get_ref()) {
                (Some((key, kind)), value) => self.value(key, *kind, value, line),
                (None, DeValue::Table(inner)) if SECTIONS.contains(&path.as_str()) => {
                    self.table(&format!("{path}."), inner);
                }
                (None, _) => self.unknown(name, &path, line),
            }
        }
    }

    fn value(&mut self, key: &'static str, kind: Kind, value: &DeValue<'_>, line: usize) {
        let text = match (kind, value) {
            (Kind::Text, DeValue::String(text)) => Some(text.to_string()),
            (Kind::Whole, DeValue::Integer(number)) if number.radix() == 10 => {
                Some(number.as_str().to_owned())
            }
            (Kind::Flag, DeValue::Boolean(flag)) => Some(flag.to_string()),
            _ => None,
        };
        let origin = Origin::File { name: self.name.to_owned(), line };
        if let Some(text) = text {
            self.found.push((key, Found { text, origin }));
            return;
        }
        let cure = match kind {
            Kind::Text => "write a text in double quotes",
            Kind::Whole => "write a whole number without quotes",
            Kind::Flag => "write `true` or `false` without quotes",
        };
        self.problems.push(ConfigProblem {
            key: key.to_owned(),
            place: origin.to_string(),
            problem: format!("a value of the type {} cannot stand here", value.type_str()),
            cure: cure.to_owned(),
        });
    }

    fn unknown(&mut self, name: &Spanned<DeString<'_>>, path: &str, line: usize) {
        let (problem, cure) = if SECTIONS.contains(&path) {
            ("this is a section, not a key".to_owned(), format!("write `[{path}]`"))
        } else {
            let cure = nearest(path, name.get_ref()).map_or_else(
                || "delete it; `deputy check-config` lists every key".to_owned(),
                |key| format!("did you mean `{key}`?"),
            );
            ("there is no such key".to_owned(), cure)
        };
        let place = Origin::File { name: self.name.to_owned(), line }.to_string();
        self.problems.push(ConfigProblem { key: path.to_owned(), place, problem, cure });
    }
}

/// The key that was probably meant: few letters away, or right but in another section.
fn nearest(path: &str, name: &str) -> Option<&'static str> {
    let distance = |key: &str| {
        let last = key.rsplit('.').next().unwrap_or(key);
        edits(key, path).min(edits(last, name))
    };
    let (key, _) = KEYS.iter().min_by_key(|(key, _)| distance(key))?;
    let tolerated = name.len().div_euclid(3).clamp(1, 4);
    (distance(key) <= tolerated).then_some(key)
}

/// Letters to insert, delete or change to make one text of the other. Costs their product, which
/// the length of a file bounds; longer texts than any key are never near.
fn edits(left: &str, right: &str) -> usize {
    const LONGEST: usize = 64;
    if right.len() > LONGEST {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = i;
        let mut before = i.saturating_add(1);
        for (cell, b) in row.iter_mut().skip(1).zip(right.bytes()) {
            let change = diagonal.saturating_add(usize::from(a != b));
            diagonal = *cell;
            before = change.min(diagonal.saturating_add(1)).min(before.saturating_add(1));
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = i.saturating_add(1);
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}
