//! Policies as files: a directory read into a set, faults shown with their line as a compiler does,
//! and what one set changes about another.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    api::{Trouble, Wrong},
    diff::{self, Line},
    out::Out,
    show::text,
};
use crate::base::json::{Object, Value};

/// The longest file; a set may have longer ones as little as it may have more of them.
const BYTES_MAX: u64 = 64 * 1024;
const DELEGATION: &str = "delegation";
const ACCESS: &str = "access";
const SCHEMA: &str = "schema.cedarschema";

/// A directory of policies.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    delegation: Vec<(String, String)>,
    access: Vec<(String, String)>,
    schema: Option<(String, String)>,
}

impl Folder {
    /// Reads a directory. What would silently be left out is refused.
    pub fn read(dir: &Path) -> Result<Folder, Trouble> {
        let shown = dir.display();
        let beside = names(dir)?.into_iter().find(|name| is_cedar(name));
        if let Some(name) = beside {
            return Err(Trouble::Usage(format!(
                "`{shown}/{name}` is in no family: move it to `{DELEGATION}/` or `{ACCESS}/`"
            )));
        }
        let (delegation, access) = (dir.join(DELEGATION), dir.join(ACCESS));
        if !delegation.is_dir() && !access.is_dir() {
            return Err(Trouble::Usage(format!(
                "`{shown}` has neither `{DELEGATION}/` nor `{ACCESS}/`: policies are files such as \
                 `{DELEGATION}/refunds.cedar`"
            )));
        }
        let schema = access.join(SCHEMA);
        let schema = schema.is_file().then(|| named(dir, &format!("{ACCESS}/{SCHEMA}")));
        Ok(Folder {
            delegation: family(dir, DELEGATION)?,
            access: family(dir, ACCESS)?,
            schema: schema.transpose()?,
            dir: dir.to_owned(),
        })
    }

    /// The set as the admin API takes it.
    pub fn draft(&self) -> Object {
        let mut access = Object::new();
        if let Some(schema) = &self.schema {
            access.insert("schema", json(schema));
        }
        access.insert("policies", self.access.iter().map(json).collect::<Vec<Value>>());
        let mut draft = Object::new();
        draft.insert("delegation", self.delegation.iter().map(json).collect::<Vec<Value>>());
        draft.insert("access", access);
        draft
    }

    /// One fault: where, what, and the line with the place marked.
    pub fn complain(&self, wrong: &Wrong, out: &mut Out) {
        let Some((file, line, column)) = &wrong.place else {
            return out.trouble(&format!("deputy: {wrong}"));
        };
        let path = self.dir.join(file);
        out.trouble(&format!("{}:{line}:{column}: {}", path.display(), wrong.message));
        let at = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        if let Some(source) = self.text(file).and_then(|text| text.lines().nth(at)) {
            let before = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
            // A tab is one character wide here, so that the mark stands under its place.
            let source = source.replace('\t', " ");
            let blank: String = source.chars().take(before).map(|_| ' ').collect();
            out.trouble(&format!("{line:>5} | {source}"));
            out.trouble(&format!("      | {blank}^"));
        }
    }

    fn text(&self, file: &str) -> Option<&str> {
        let mut all = self.delegation.iter().chain(&self.access).chain(&self.schema);
        all.find(|(name, _)| name == file).map(|(_, text)| text.as_str())
    }
}

fn json((name, text): &(String, String)) -> Value {
    let source: Object = [("name", name.as_str()), ("text", text.as_str())].into_iter().collect();
    source.into()
}

fn is_cedar(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "cedar")
}

fn family(dir: &Path, family: &str) -> Result<Vec<(String, String)>, Trouble> {
    let place = dir.join(family);
    if !place.is_dir() {
        return Ok(Vec::new());
    }
    let names = names(&place)?;
    if let Some(nested) = names.iter().find(|name| place.join(name).is_dir()) {
        return Err(Trouble::Usage(format!(
            "`{}/{nested}` is a directory: policies stand directly in `{family}/`",
            place.display()
        )));
    }
    let cedar = names.into_iter().filter(|name| is_cedar(name));
    cedar.map(|name| named(dir, &format!("{family}/{name}"))).collect()
}

/// What is in a directory, in order.
fn names(dir: &Path) -> Result<Vec<String>, Trouble> {
    let failed = |source| Trouble::File { path: dir.display().to_string(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

fn named(dir: &Path, name: &str) -> Result<(String, String), Trouble> {
    let path = dir.join(name);
    let shown = path.display().to_string();
    let failed = |source| Trouble::File { path: shown.clone(), source };
    let mut bytes = Vec::new();
    let file = fs::File::open(&path).map_err(failed)?;
    file.take(BYTES_MAX.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > BYTES_MAX {
        return Err(Trouble::Usage(format!("`{shown}` is longer than {BYTES_MAX} bytes")));
    }
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| Trouble::Usage(format!("`{shown}` is not UTF-8")))?;
    Ok((name.to_owned(), text))
}

/// One policy of a set, as the admin API tells of it, with its text.
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    id: String,
    family: String,
    place: String,
    shadow: bool,
    demand: Option<String>,
    text: String,
}

/// What one set changes about another: a line for each policy that is different.
pub fn changes(before: &Object, after: &Object) -> Vec<String> {
    let (before, after) = (rules(before), rules(after));
    let same = |rule: &Rule, other: &&Rule| other.id == rule.id && other.family == rule.family;
    let mut changes = Vec::new();
    for rule in &after {
        let Rule { id, place, shadow, .. } = rule;
        match before.iter().find(|other| same(rule, other)) {
            None if *shadow => changes.push(format!("+ {id}  {place}  (shadow: only watched)")),
            None => changes.push(format!("+ {id}  {place}")),
            Some(old) if old.shadow && !shadow => {
                changes.push(format!("! {id}  {place}  enforced from now on"));
            }
            Some(old) if !old.shadow && *shadow => {
                changes.push(format!("! {id}  {place}  only watched from now on (shadow)"));
            }
            Some(old) if old.text != rule.text => changes.push(format!("~ {id}  {place}")),
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|old| !after.iter().any(|rule| same(old, &rule)));
    changes.extend(gone.map(|Rule { id, place, .. }| format!("- {id}  {place}")));
    changes
}

fn rules(set: &Object) -> Vec<Rule> {
    let told = set.get("rules").and_then(Value::as_array).unwrap_or_default();
    let rule = |rule: &Object| Rule {
        id: text(rule, "id"),
        family: text(rule, "family"),
        place: format!("{}:{}", text(rule, "file"), text(rule, "line")),
        shadow: rule.get("shadow").and_then(Value::as_bool) == Some(true),
        demand: rule.get("require").and_then(Value::as_str).map(str::to_owned),
        text: text(rule, "text"),
    };
    told.iter().filter_map(Value::as_object).map(rule).collect()
}

/// Every text of a set by its name, in order of name.
pub fn texts(set: &Object) -> Vec<(String, String)> {
    let access = set.get("access").and_then(Value::as_object);
    let list = |of: Option<&Object>, name: &str| {
        let list = of.and_then(|of| of.get(name)).and_then(Value::as_array);
        list.unwrap_or_default().to_vec()
    };
    let mut sources = list(Some(set), "delegation");
    sources.extend(list(access, "policies"));
    sources.extend(access.and_then(|access| access.get("schema")).cloned());
    let source = |source: &Value| {
        let source = source.as_object()?;
        Some((text(source, "name"), text(source, "text")))
    };
    let mut texts: Vec<(String, String)> = sources.iter().filter_map(source).collect();
    texts.sort_unstable();
    texts
}

/// The texts, each under its name.
pub fn show_texts(set: &Object, out: &mut Out) {
    for (name, text) in texts(set) {
        out.line("");
        out.line(&format!("── {name}"));
        for line in text.lines() {
            out.line(&line.replace('\t', "    "));
        }
    }
}

/// The policies of a set, and what is doubtful about them.
pub fn show(set: &Object, out: &mut Out) {
    let rows = rules(set).into_iter().map(|rule| {
        let mode = if rule.shadow { "shadow" } else { "enforced" };
        let demand = rule.demand.unwrap_or_else(|| "-".to_owned());
        vec![rule.id, rule.family, rule.place, mode.to_owned(), demand]
    });
    out.table(&["POLICY", "FAMILY", "PLACE", "MODE", "REQUIRES"], &rows.collect::<Vec<_>>());
    warnings(set, out);
}

/// What is not wrong and yet surely not meant.
pub fn warnings(set: &Object, out: &mut Out) {
    let warnings = set.get("warnings").and_then(Value::as_array).unwrap_or_default();
    for warning in warnings.iter().filter_map(Value::as_object) {
        let [file, line, column, message] =
            ["file", "line", "column", "message"].map(|name| text(warning, name));
        out.trouble(&format!("{file}:{line}:{column}: warning: {message}"));
    }
}

/// How many policies a set has.
pub fn counted(set: &Object) -> String {
    let rules = rules(set);
    let watched = rules.iter().filter(|rule| rule.shadow).count();
    let noun = if rules.len() == 1 { "policy" } else { "policies" };
    match watched {
        0 => format!("{} {noun}", rules.len()),
        _ => format!("{} {noun}, {watched} of them in shadow", rules.len()),
    }
}

/// What is different between the texts of two sets.
pub fn difference((from, before): (u64, &Object), (to, after): (u64, &Object), out: &mut Out) {
    let (before, after) = (texts(before), texts(after));
    let mut names: Vec<&String> = before.iter().chain(&after).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let find = |texts: &'_ [(String, String)]| {
            texts.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone())
        };
        let (old, new) = (find(&before), find(&after));
        if old == new {
            continue;
        }
        out.line(&format!("--- {name} (version {from})"));
        out.line(&format!("+++ {name} (version {to})"));
        let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
        for line in diff::hunks(&diff::lines(&old, &new)) {
            let (sign, line) = match line {
                None => (' ', "…"),
                Some(Line::Both(line)) => (' ', line),
                Some(Line::Gone(line)) => ('-', line),
                Some(Line::New(line)) => ('+', line),
            };
            out.line(&format!("{sign}{}", line.replace('\t', "    ")));
        }
    }
}
