//! `openapi.yaml` as a judge: every answer that a test gets must be one that the contract
//! describes, refusals included. It judges answers and asks for none.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    sync::{Arc, LazyLock, Mutex},
};

use jsonschema::Validator;
use serde_json::{Value, json};

/// The contract.
pub static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.yaml");
    let document = serde_norway::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    Contract { document, validators: Mutex::default() }
});

/// What `openapi.yaml` says.
pub struct Contract {
    document: Value,
    /// By operation, status and media type; making one takes milliseconds.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// An answer, as far as the contract speaks of it.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub status: u16,
    pub content_type: &'a str,
    pub body: &'a str,
}

impl Contract {
    /// Every operation with the statuses that it is said to answer.
    pub fn promises(&self) -> BTreeMap<String, BTreeSet<u16>> {
        let paths = self.document["paths"].as_object().unwrap().values();
        let operations = paths.flat_map(|path| path.as_object().unwrap().values());
        let named = operations.filter_map(|o| Some((o["operationId"].as_str()?, o)));
        let statuses = |operation: &Value| {
            let said = operation["responses"].as_object().unwrap().keys();
            said.map(|status| status.parse().unwrap()).collect()
        };
        named.map(|(id, operation)| (id.to_owned(), statuses(operation))).collect()
    }

    /// Fails unless the answer is one that the contract describes; the operation that gave it.
    #[track_caller]
    pub fn holds(&self, heard: Heard<'_>) -> Option<String> {
        let Heard { method, path, status, .. } = heard;
        if matches!(method, "HEAD" | "OPTIONS") {
            return None;
        }
        let known = self.templates(path);
        let method = method.to_lowercase();
        let operation = known.iter().find_map(|path| path.get(&method));
        let Some(operation) = operation else {
            let wanted: &[u16] = if known.is_empty() { &[400, 404] } else { &[405] };
            assert!(wanted.contains(&status), "no operation, and not refused: {heard:?}");
            return None;
        };
        let id = operation["operationId"].as_str().unwrap();
        let said = &operation["responses"][status.to_string()];
        assert!(!said.is_null(), "the contract does not say that {id} answers so: {heard:?}");
        self.is_said(id, self.resolved(said), heard);
        Some(id.to_owned())
    }

    /// The paths that `path` may be of, the most literal first.
    fn templates(&self, path: &str) -> Vec<&Value> {
        let matches = |template: &str| {
            let (mut one, mut other) = (template.split('/'), path.split('/'));
            template.matches('/').count() == path.matches('/').count()
                && one.by_ref().zip(other.by_ref()).all(|(t, p)| t.starts_with('{') || t == p)
        };
        let paths = self.document["paths"].as_object().unwrap().iter();
        let mut found: Vec<_> = paths.filter(|(template, _)| matches(template)).collect();
        found.sort_by_key(|(template, _)| template.matches('{').count());
        found.into_iter().map(|(_, path)| path).collect()
    }

    fn resolved<'a>(&'a self, said: &'a Value) -> &'a Value {
        match said["$ref"].as_str() {
            Some(pointer) => self.document.pointer(pointer.trim_start_matches('#')).unwrap(),
            None => said,
        }
    }

    #[track_caller]
    fn is_said(&self, id: &str, said: &Value, heard: Heard<'_>) {
        let Some(content) = said["content"].as_object().filter(|content| !content.is_empty())
        else {
            assert_eq!(heard.body, "", "{id} has no body: {heard:?}");
            return;
        };
        let media = heard.content_type.split(';').next().unwrap_or_default().trim();
        let Some(described) = content.get(media) else {
            panic!("the contract does not say that {id} answers in `{media}`: {heard:?}")
        };
        if media != "application/json" && !media.ends_with("+json") {
            return;
        }
        let body: Value = serde_json::from_str(heard.body).unwrap();
        let validator = self.validator(&format!("{id} {} {media}", heard.status), described);
        let problems: Vec<String> =
            validator.iter_errors(&body).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(problems.is_empty(), "{id} answers otherwise than written: {problems:?} {heard:?}");
    }

    fn validator(&self, name: &str, described: &Value) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap();
        let made = validators.entry(name.to_owned()).or_insert_with(|| {
            let schema = &described["schema"];
            let whole = json!({ "allOf": [schema], "components": self.document["components"] });
            Arc::new(jsonschema::validator_for(&whole).unwrap())
        });
        Arc::clone(made)
    }
}
