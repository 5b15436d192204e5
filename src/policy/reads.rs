//! What a policy looks at: which members of the context, which arguments, the clocks of which time
//! zones, which attributes of entities. Read off Cedar's own JSON form of the policy, so that nothing
//! is guessed from its text. Where it is not plain, everything is looked at.

use std::collections::BTreeSet;

use serde_json::Value;

/// What a policy, or a slice of them, looks at. What nobody looks at need not be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reads {
    /// Members of the context, or whether they are there.
    pub context: Names,
    /// Arguments, by their outermost names.
    pub arguments: Names,
    /// Time zones, by the local time in them.
    pub zones: Names,
    /// Attributes of entities, whichever entity it is.
    pub attributes: Names,
    /// Which arguments could not be represented.
    pub unrepresentable: bool,
    /// Which entity is in which other.
    pub hierarchy: bool,
}

/// Names, and perhaps all that there may be besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// All: what they name is taken as a whole.
    pub all: bool,
    /// These are named.
    pub named: BTreeSet<String>,
}

impl Names {
    /// Whether this one is among them.
    pub fn has(&self, name: &str) -> bool {
        self.all || self.named.contains(name)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        !self.all && self.named.is_empty()
    }

    fn and(&mut self, other: &Names) {
        self.all |= other.all;
        self.named.extend(other.named.iter().cloned());
    }

    fn add(&mut self, name: &str) {
        self.named.insert(name.to_owned());
    }

    fn add_all(&mut self, names: &[&str]) {
        self.named.extend(names.iter().map(|name| (*name).to_owned()));
    }
}

impl Reads {
    /// What a policy with this JSON form looks at.
    pub fn of(policy: &Value) -> Reads {
        let mut reads = Reads::default();
        if let Some(conditions) = policy.get("conditions") {
            reads.look(conditions);
        }
        reads
    }

    /// Everything there is.
    pub fn everything() -> Reads {
        let mut reads = Reads { hierarchy: true, ..Reads::default() };
        reads.attributes.all = true;
        reads.whole();
        reads
    }

    /// What two look at together.
    pub fn and(&mut self, other: &Reads) {
        self.context.and(&other.context);
        self.arguments.and(&other.arguments);
        self.zones.and(&other.zones);
        self.attributes.and(&other.attributes);
        self.unrepresentable |= other.unrepresentable;
        self.hierarchy |= other.hierarchy;
    }

    fn look(&mut self, expression: &Value) {
        match expression {
            Value::Object(object) => {
                for (operator, operand) in object {
                    match (operator.as_str(), attributes(operand)) {
                        ("." | "has", Some((left, names))) => self.taken(operator, left, &names),
                        ("Var", None) if operand == "context" => self.whole(),
                        (operator, _) => {
                            self.hierarchy |= operator == "in";
                            self.look(operand);
                        }
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.look(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// The context as a whole: everything in it may matter.
    fn whole(&mut self) {
        self.context.all = true;
        self.arguments.all = true;
        self.zones.all = true;
        self.unrepresentable = true;
    }

    /// What is named is taken, or asked for, of `left`: one behind the other, `has a.b` takes both.
    fn taken(&mut self, operator: &str, left: &Value, names: &[&str]) {
        if let Some(path) = path(left) {
            self.of_context(operator, &[&path, names].concat());
        } else {
            // Which entity it is taken of is not told here: its name alone is kept.
            self.attributes.add_all(names);
            self.look(left);
        }
    }

    fn of_context(&mut self, operator: &str, path: &[&str]) {
        let Some((member, below)) = path.split_first() else { return };
        self.context.add(member);
        // Whether a member is there does not say what is in it.
        let whole = operator == "." && below.is_empty();
        match (*member, below.first()) {
            ("arguments", Some(name)) => self.arguments.add(name),
            ("arguments", None) => self.arguments.all |= whole,
            ("local", Some(zone)) => self.zones.add(zone),
            ("local", None) => self.zones.all |= whole,
            ("unrepresentable", below) => self.unrepresentable |= whole || below.is_some(),
            (_, _) => self.attributes.add_all(below),
        }
    }
}

/// Of what is taken, and the names one behind the other.
fn attributes(operand: &Value) -> Option<(&Value, Vec<&str>)> {
    let left = operand.get("left")?;
    let names = match operand.get("attr")? {
        Value::String(name) => vec![name.as_str()],
        Value::Array(names) => names.iter().map(Value::as_str).collect::<Option<_>>()?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    Some((left, names))
}

/// The names that lead from the context to an expression; `None` if it does not begin there.
fn path(mut expression: &Value) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    while expression.get("Var").is_none_or(|name| name != "context") {
        let (left, more) = attributes(expression.get(".")?)?;
        names.extend(more.into_iter().rev());
        expression = left;
    }
    names.reverse();
    Some(names)
}
