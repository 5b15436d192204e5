//! Rust read as text, as far as the rules need it: comments, functions, paths. rustfmt has been
//! there before, so that indentation tells where things end.

/// A function, by its place.
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`.
    pub line: usize,
    /// From there to its closing brace.
    pub lines: usize,
}

/// What is left of a line without its comment. A `//` in a text is taken for one unless it is part
/// of a URL.
pub fn without_comment(line: &str) -> &str {
    let starts = line.match_indices("//").map(|(at, _)| at);
    let real = starts.into_iter().find(|at| !line.get(..*at).unwrap_or("").ends_with(':'));
    real.and_then(|at| line.get(..at)).unwrap_or(line)
}

/// Every function of a file.
pub fn functions(text: &str) -> Vec<Function> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let rest = lines[at..].iter();
        let ends = |line: &&str| {
            let after = line.strip_prefix(indent).unwrap_or(" ");
            after.starts_with('}')
                || after.ends_with(" {}")
                || after.ends_with("};") && !after.starts_with(' ')
        };
        let one_line = line.ends_with('}') || line.ends_with(';');
        let lines = if one_line { 1 } else { rest.take_while(|line| !ends(line)).count() + 1 };
        found.push(Function { name, line: at + 1, lines });
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let code = line.trim_start();
    let mut words = code
        .split(' ')
        .skip_while(|word| matches!(*word, "const" | "async" | "pub") || word.starts_with("pub("));
    if words.next()? != "fn" {
        return None;
    }
    let name = words.next()?;
    Some(name.split(['(', '<']).next()?.to_owned())
}

/// A path from the crate's root: the first name in it, and its line.
pub struct Mention {
    /// The module at the root.
    pub module: String,
    /// Where.
    pub line: usize,
}

/// Everything that the text takes from the crate by `root` (`crate::` here, `deputy::` in `main`),
/// also in groups: `root{a, b::{c}}`.
pub fn mentions(text: &str, root: &str) -> Vec<Mention> {
    let code: String =
        text.lines().flat_map(|line| [without_comment(line), "\n"]).collect::<String>();
    let mut found = Vec::new();
    for (at, _) in code.match_indices(root) {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        if before.is_alphanumeric() || before == '_' || before == ':' {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + root.len()..];
        for module in heads(rest) {
            found.push(Mention { module, line });
        }
    }
    found
}

/// The first names of a path or of a group of paths.
fn heads(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let mut found = Vec::new();
    let mut depth = 1_usize;
    let mut item = String::new();
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && character == ',') {
            found.extend(Some(name(item.trim())).filter(|name| !name.is_empty()));
            item.clear();
            if depth == 0 {
                break;
            }
        } else {
            item.push(character);
        }
    }
    found
}

fn name(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Whether a line of code uses a name as a word of its own.
pub fn says(line: &str, word: &str) -> bool {
    let part_of_name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !part_of_name(before) && !part_of_name(after)
    })
}

#[test]
fn functions_and_their_ends_are_found() {
    let text = "impl A {\n    pub const fn one(&self) -> u8 {\n        1\n    }\n}\n\nfn two(\n    a: u8,\n) -> u8 {\n    if a > 0 {\n        1\n    } else {\n        2\n    }\n}\n";
    let found: Vec<(String, usize, usize)> =
        functions(text).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
    assert_eq!(found, [("one".to_owned(), 2, 3), ("two".to_owned(), 7, 9)]);
}

#[test]
fn paths_are_found_in_groups_and_in_code() {
    let text = "use crate::{\n    base::time,\n    model::{a, b::{c}},\n    store::Store,\n};\n\
                // crate::http is not meant\nfn f() { crate::engine::g(); mycrate::h(); }\n";
    let found: Vec<String> = mentions(text, "crate::").into_iter().map(|m| m.module).collect();
    assert_eq!(found, ["base", "model", "store", "engine"]);
}

#[test]
fn a_word_is_not_part_of_another() {
    assert!(says("use ring::rand;", "ring"));
    assert!(!says("String::new()", "ring") && !says("string", "ring"));
}
