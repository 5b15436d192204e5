//! Reading Cedar texts: each policy with its place, its annotations and what is wrong with it.

use std::{collections::BTreeSet, str::FromStr, sync::Arc};

use cedar_policy::{Effect, Policy, PolicyId, PolicySet};
use miette::{Diagnostic, LabeledSpan};

use super::{Demand, Family, Rule, action::Scope};
use crate::model::policy::{Fault, Source};

/// One policy that was read.
pub(super) struct Written {
    /// With its own id.
    pub policy: Policy,
    /// What it concerns.
    pub scope: Scope,
    /// As people are told of it.
    pub rule: Rule,
    /// Which text it stands in.
    pub file: usize,
}

/// What every policy says.
const WORDS: [&str; 2] = ["forbid", "permit"];
/// The longest id of a policy.
const MAX_ID_CHARS: usize = 64;
/// The longest policy, with the comment before it.
const MAX_POLICY_BYTES: usize = 8 * 1024;
/// The most brackets that one text opens.
const MAX_BRACKETS: usize = 1_000;
/// The deepest nesting of brackets.
const MAX_NESTING: usize = 32;
/// The most policies of a set: all of them are validated against every tool.
const MAX_POLICIES: usize = 500;

/// Reads all texts of one family.
pub(super) fn read(family: Family, files: &[Source], faults: &mut Vec<Fault>) -> Vec<Written> {
    let mut all = Vec::new();
    let mut known = BTreeSet::new();
    for (at, file) in files.iter().enumerate() {
        if let Some(fault) = beyond_measure(file, Brackets::OfPolicies) {
            faults.push(fault);
            continue;
        }
        match PolicySet::from_str(&file.text) {
            // Cedar and an editor may differ about where a comment ends.
            Ok(set) if set.is_empty() && WORDS.iter().any(|word| file.text.contains(word)) => {
                let message =
                    "has no policy: delete the text, or look for a comment that swallows it";
                faults.push(at_offset(file, 0, message));
            }
            Ok(set) => all.extend(policies(&set, family, (at, file), &mut known, faults)),
            Err(errors) => {
                faults.extend(errors.iter().map(|e| fault(file, e, &e.to_string())));
            }
        }
    }
    if all.len() > MAX_POLICIES {
        let message = format!("has {} policies, and {MAX_POLICIES} are the most", all.len());
        let name = files.first().map(|file| file.name.clone()).unwrap_or_default();
        faults.push(Fault { file: name, line: 1, column: 1, message });
    }
    all
}

fn policies(
    set: &PolicySet,
    family: Family,
    (at, file): (usize, &Source),
    known: &mut BTreeSet<Arc<str>>,
    faults: &mut Vec<Fault>,
) -> Vec<Written> {
    if set.templates().next().is_some() {
        let message = "has a template (`?principal` or `?resource`): write the policy itself";
        faults.push(at_offset(file, file.text.find('?').unwrap_or(0), message));
    }
    let mut written = Vec::new();
    let mut from = 0;
    for number in 0..set.num_of_policies() {
        // Cedar numbers the policies of a text in their order.
        let Some(policy) = set.policy(&PolicyId::new(format!("policy{number}"))) else { continue };
        let text = policy.to_cedar().unwrap_or_default();
        let rest = file.text.get(from..).unwrap_or_default();
        let begin = from.saturating_add(rest.find(&text).unwrap_or(0));
        from = begin.saturating_add(text.len());
        let mut policy = Reading { policy, text: &text, begin, file, faults };
        if let Some(rule) = policy.rule(family) {
            if !known.insert(Arc::clone(&rule.id)) {
                let message = format!("`{}` is the id of another policy: ids are unique", rule.id);
                policy.fault("@id", &message);
                continue;
            }
            let policy = policy.policy.new_id(PolicyId::new(&*rule.id));
            written.push(Written { scope: Scope::of(&policy), policy, rule, file: at });
        }
    }
    written
}

/// One policy while it is read.
struct Reading<'a> {
    policy: &'a Policy,
    text: &'a str,
    begin: usize,
    file: &'a Source,
    faults: &'a mut Vec<Fault>,
}

impl Reading<'_> {
    fn rule(&mut self, family: Family) -> Option<Rule> {
        if family == Family::Delegation && self.policy.effect() == Effect::Permit {
            self.fault(
                "permit",
                "delegation policies only `forbid`: what nobody delegated is denied already, and \
                 no policy may widen it",
            );
        }
        self.unknown_annotations();
        let shadow = self.policy.annotation("shadow");
        if shadow.is_some_and(|value| !value.is_empty()) {
            self.fault(
                "@shadow",
                "takes no value: a policy with `@shadow` is watched, one without is enforced",
            );
        }
        let shadow = shadow.is_some();
        let demand = self.demand(family);
        let id = self.id()?;
        let place = at_offset(self.file, self.begin, "");
        Some(Rule {
            id,
            family,
            file: self.file.name.as_str().into(),
            line: place.line,
            text: self.text.into(),
            shadow,
            demand,
        })
    }

    fn id(&mut self) -> Option<Arc<str>> {
        let id = self.policy.annotation("id").unwrap_or_default();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if id.is_empty() || id.len() > MAX_ID_CHARS || !id.bytes().all(plain) {
            let at = if self.policy.annotation("id").is_some() { "@id" } else { "" };
            self.fault(
                at,
                "needs an id by which records and people name it: write `@id(\"refund-limit\")` \
                 before it, of 1 to 64 of a-z, 0-9 and hyphens",
            );
            return None;
        }
        Some(id.into())
    }

    fn unknown_annotations(&mut self) {
        let known = ["id", "description", "shadow", "require"];
        let mut names: Vec<String> = self.policy.annotations().map(|(n, _)| n.to_owned()).collect();
        names.sort();
        for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
            let message = format!("`@{name}` is unknown: there are `@{}`", known.join("`, `@"));
            self.fault(&format!("@{name}"), &message);
        }
    }

    fn demand(&mut self, family: Family) -> Option<Demand> {
        let text = self.policy.annotation("require")?;
        if family == Family::Access {
            self.fault("@require", "demands something of a token, and here is none");
            return None;
        }
        let demand = Demand::parse(text);
        if demand.is_none() {
            let message = format!(
                "`{text}` is no demand: write `dpop`, `acr:X`, `max_ttl:N` (1 to 900 seconds) or \
                 `max_depth:N` (1 to 8 agents)"
            );
            self.fault("@require", &message);
        }
        demand
    }

    fn fault(&mut self, word: &str, message: &str) {
        let within = self.text.find(word).unwrap_or(0);
        self.faults.push(at_offset(self.file, self.begin.saturating_add(within), message));
    }
}

/// What opens and closes a level.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Brackets {
    /// In a policy `<` compares.
    OfPolicies,
    /// In a schema it is `Set<…>`.
    OfTypes,
}

/// What Cedar's readers, which call themselves for every level, could not bear: refused before they
/// see it. Told at the place where it becomes too much.
pub(super) fn beyond_measure(file: &Source, brackets: Brackets) -> Option<Fault> {
    let (mut depth, mut begin, mut in_text, mut in_comment) = (0_usize, 0, false, false);
    // Where texts and comments end Cedar alone knows, and whoever writes one can make us err; nothing
    // is nested deeper than brackets are opened.
    let opens =
        |c: char| matches!(c, '(' | '[' | '{') || (c == '<' && brackets == Brackets::OfTypes);
    if let Some((at, _)) = file.text.char_indices().filter(|(_, c)| opens(*c)).nth(MAX_BRACKETS) {
        let message = format!("opens more than {MAX_BRACKETS} brackets: write several texts");
        return Some(at_offset(file, at, &message));
    }
    let mut before = '\0';
    for (at, c) in file.text.char_indices() {
        match c {
            // Whatever ends a line for anybody; what goes on behind it is measured, not skipped.
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                in_comment = false;
            }
            _ if in_comment => {}
            '"' if before != '\\' => in_text = !in_text,
            _ if in_text => {}
            '/' if before == '/' => in_comment = true,
            '<' if brackets == Brackets::OfTypes => depth = depth.saturating_add(1),
            '>' if brackets == Brackets::OfTypes => depth = depth.saturating_sub(1),
            '(' | '[' | '{' => depth = depth.saturating_add(1),
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ';' => begin = at,
            _ => {}
        }
        if depth > MAX_NESTING {
            let message = format!("is nested more than {MAX_NESTING} deep: write several policies");
            return Some(at_offset(file, at, &message));
        }
        if brackets == Brackets::OfPolicies && at.saturating_sub(begin) > MAX_POLICY_BYTES {
            let message =
                format!("is longer than {MAX_POLICY_BYTES} bytes: write several policies");
            return Some(at_offset(file, begin, &message));
        }
        // A backslash that was itself escaped escapes nothing.
        before = if c == '\\' && before == '\\' { '\0' } else { c };
    }
    None
}

/// A fault at the place that Cedar points at, with its advice.
pub(super) fn fault(file: &Source, error: &dyn Diagnostic, message: &str) -> Fault {
    let labels: Vec<_> = error.labels().into_iter().flatten().collect();
    let mut message = message.to_owned();
    for more in labels.iter().filter_map(|label| label.label()) {
        message = format!("{message}: {more}");
    }
    if let Some(help) = error.help() {
        message = format!("{message} ({help})");
    }
    at_offset(file, labels.first().map_or(0, LabeledSpan::offset), &message)
}

/// A fault where a word stands in a policy.
pub(super) fn at_word(file: &Source, rule: &Rule, word: &str, message: &str) -> Fault {
    let begin = file.text.find(&*rule.text).unwrap_or(0);
    let within = rule.text.find(word).unwrap_or(0);
    at_offset(file, begin.saturating_add(within), message)
}

/// A fault at a byte of the text.
pub(super) fn at_offset(file: &Source, offset: usize, message: &str) -> Fault {
    let before = file.text.get(..offset).unwrap_or(&file.text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
    Fault {
        file: file.name.clone(),
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
        message: message.to_owned(),
    }
}
