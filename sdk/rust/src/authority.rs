//! Authority as it goes over the wire: RFC 9396 entries of type `mcp_tool_call`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::json;

/// What one argument is limited to.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint(Value);

/// Tools, and for each of them what its arguments are limited to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tools(BTreeMap<String, BTreeMap<String, Constraint>>);

impl Constraint {
    /// The argument is this value. Numbers compare by value.
    pub fn exact(value: impl Into<Value>) -> Constraint {
        Constraint(json!({ "constraint_type": "exact", "value": value.into() }))
    }

    /// The argument is one of these values.
    pub fn one_of<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Constraint {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        Constraint(json!({ "constraint_type": "one_of", "values": values }))
    }

    /// The argument must be there and may be anything.
    pub fn anything() -> Constraint {
        Constraint(json!({ "constraint_type": "wildcard" }))
    }

    /// Any constraint that Deputy knows, written as the JSON object it is.
    pub fn json(object: Value) -> Constraint {
        Constraint(object)
    }
}

impl Tools {
    /// No tool.
    pub fn new() -> Tools {
        Tools::default()
    }

    /// These and one more, with the arguments limited so. An argument that is not named must not be
    /// sent; where none is named, all are free.
    #[must_use]
    pub fn tool<'a>(
        mut self,
        name: &str,
        arguments: impl IntoIterator<Item = (&'a str, Constraint)>,
    ) -> Tools {
        let arguments = arguments.into_iter().map(|(argument, limit)| (argument.to_owned(), limit));
        self.0.insert(name.to_owned(), arguments.collect());
        self
    }

    /// The authority to call these tools at `location`, and nothing else.
    pub(crate) fn at(&self, location: &str) -> Value {
        let limits = |arguments: &BTreeMap<String, Constraint>| -> Value {
            let limits =
                arguments.iter().map(|(name, limit)| (name.clone(), json::sorted(&limit.0)));
            Value::Object(limits.collect())
        };
        let tools = self.0.iter().map(|(tool, arguments)| (tool.clone(), limits(arguments)));
        let tools = Value::Object(tools.collect());
        json!({ "type": "mcp_tool_call", "locations": [location], "tools": tools })
    }
}
