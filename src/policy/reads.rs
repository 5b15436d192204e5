//! What a policy looks at: which arguments, and the clocks of which time zones. Read off Cedar's
//! own JSON form of the policy, so that nothing is guessed from its text.

use std::collections::BTreeSet;

use serde_json::Value;

/// What a policy, or a slice of them, looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reads {
    /// All arguments: it takes `context.arguments`, or `context`, as a whole.
    pub all_arguments: bool,
    /// These arguments, by their outermost names.
    pub arguments: BTreeSet<String>,
    /// Which arguments could not be represented.
    pub unrepresentable: bool,
    /// The local time in these zones.
    pub zones: BTreeSet<String>,
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

    /// What two look at together.
    pub fn and(&mut self, other: &Reads) {
        self.all_arguments |= other.all_arguments;
        self.unrepresentable |= other.unrepresentable;
        self.arguments.extend(other.arguments.iter().cloned());
        self.zones.extend(other.zones.iter().cloned());
    }

    /// Whether it looks at any argument.
    pub fn any_argument(&self) -> bool {
        self.all_arguments || !self.arguments.is_empty()
    }

    /// Whether it looks at the argument of this name.
    pub fn argument(&self, name: &str) -> bool {
        self.all_arguments || self.arguments.contains(name)
    }

    fn look(&mut self, expression: &Value) {
        match expression {
            Value::Object(object) => {
                for (operator, operand) in object {
                    match (operator.as_str(), attribute(operand)) {
                        ("." | "has", Some((left, name))) => self.member(operator, left, name),
                        // The context as a whole: everything may matter.
                        ("Var", None) if operand == "context" => self.whole(),
                        _ => self.look(operand),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.look(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn whole(&mut self) {
        self.all_arguments = true;
        self.unrepresentable = true;
    }

    /// A member is taken, or asked for, of `left`.
    fn member(&mut self, operator: &str, left: &Value, name: &str) {
        if is_context(left) {
            // That there are arguments, and that there are clocks, is always so.
            match (operator, name) {
                (".", "arguments") => self.all_arguments = true,
                (".", "unrepresentable") => self.unrepresentable = true,
                _ => {}
            }
        } else if is_member_of_context(left, "arguments") {
            self.arguments.insert(name.to_owned());
        } else if is_member_of_context(left, "local") {
            self.zones.insert(name.to_owned());
        } else {
            self.look(left);
        }
    }
}

fn attribute(operand: &Value) -> Option<(&Value, &str)> {
    Some((operand.get("left")?, operand.get("attr")?.as_str()?))
}

fn is_context(expression: &Value) -> bool {
    expression.get("Var").is_some_and(|name| name == "context")
}

fn is_member_of_context(expression: &Value, name: &str) -> bool {
    let member = expression.get(".").and_then(attribute);
    member.is_some_and(|(left, attr)| is_context(left) && attr == name)
}
