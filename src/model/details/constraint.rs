//! One argument's constraint as JSON: `{"constraint_type": kind, …}`, closed, read and written.

use crate::{
    base::{
        json::{Object, Value},
        text::{pointer, shown},
    },
    model::constraint::{
        Argument, Bound, ClaimName, Clauses, Constraint, Moment, Range, Root, TimeWindow, Values,
    },
};

use super::{Fault, object};

/// Every kind with its members. The names of the first nine are those of the Attenuating Agent
/// Tokens draft.
pub const KINDS: [(&str, &[&str]); 16] = [
    ("exact", &["value"]),
    ("one_of", &["values"]),
    ("not_one_of", &["excluded"]),
    ("range", &["min", "max", "min_inclusive", "max_inclusive"]),
    ("contains", &["required"]),
    ("subset", &["allowed"]),
    ("wildcard", &[]),
    ("all", &["constraints"]),
    ("any", &["constraints"]),
    ("prefix", &["prefix"]),
    ("path", &["root"]),
    ("time_window", &["from", "until"]),
    ("max_length", &["max"]),
    ("optional", &["of"]),
    ("absent", &[]),
    ("subject_claim", &["claim"]),
];

/// The members of one constraint, of a kind that is known, with no member that is not.
struct Members<'a> {
    kind: &'static str,
    object: &'a Object,
    at: &'a str,
}

/// Reads what is said about one argument.
pub(super) fn argument_from_json(value: &Value, at: &str) -> Result<Argument<ClaimName>, Fault> {
    let members = Members::of(value, at)?;
    match members.kind {
        "absent" => Ok(Argument::Absent),
        "optional" => {
            let of = members.of_member("of")?;
            // `optional` is a level of its own.
            if Constraint::<ClaimName>::MAX_DEPTH <= of.depth() {
                return Err(members.fault("of", TOO_MUCH));
            }
            Ok(Argument::Optional(of))
        }
        _ => Ok(Argument::Required(members.constraint()?)),
    }
}

const TOO_MUCH: &str =
    "must have 1 to 8 constraints, at most 8 levels deep and 64 in all, itself included";

impl<'a> Members<'a> {
    fn of(value: &'a Value, at: &'a str) -> Result<Members<'a>, Fault> {
        let object = object(value, at, "a constraint: an object with `constraint_type`")?;
        let named = object.get("constraint_type").and_then(Value::as_str).ok_or_else(|| {
            Fault::at(at, "needs `constraint_type`: `exact`, `one_of`, `range` or another")
        })?;
        // RA-2: a constraint that we cannot check is refused, never skipped.
        let (kind, known) = KINDS
            .iter()
            .find(|(kind, _)| *kind == named)
            .ok_or_else(|| Fault::at(at, format!("unknown constraint_type {}", shown(named))))?;
        let is_known = |name: &str| name == "constraint_type" || known.contains(&name);
        if let Some((name, _)) = object.iter().find(|(name, _)| !is_known(name)) {
            return Err(Fault::at(pointer(at, name), format!("`{kind}` has no such member")));
        }
        Ok(Members { kind, object, at })
    }

    fn constraint(&self) -> Result<Constraint<ClaimName>, Fault> {
        Ok(match self.kind {
            "exact" => Constraint::Exact(self.required("value")?.clone()),
            "one_of" => Constraint::OneOf(self.values("values")?),
            "not_one_of" => Constraint::NotOneOf(self.values("excluded")?),
            "range" => Constraint::Range(self.range()?),
            "contains" => Constraint::Contains(self.values("required")?),
            "subset" => Constraint::Subset(self.values("allowed")?),
            "wildcard" => Constraint::Wildcard,
            "all" => Constraint::All(self.clauses()?),
            "any" => Constraint::Any(self.clauses()?),
            "prefix" => Constraint::Prefix(self.prefix()?),
            "path" => Constraint::Path(self.root()?),
            "time_window" => Constraint::TimeWindow(self.window()?),
            "max_length" => Constraint::MaxLength(self.length()?),
            "subject_claim" => Constraint::SubjectClaim(self.claim()?),
            // `optional` and `absent` are about the argument, not about its value.
            kind => {
                let message = format!("`{kind}` stands outermost only, around all that is said");
                return Err(Fault::at(self.at, message));
            }
        })
    }

    fn of_member(&self, name: &str) -> Result<Constraint<ClaimName>, Fault> {
        let at = pointer(self.at, name);
        Members::of(self.required(name)?, &at)?.constraint()
    }

    fn clauses(&self) -> Result<Clauses<ClaimName>, Fault> {
        let at = pointer(self.at, "constraints");
        let clauses = self.required("constraints")?.as_array();
        let clauses = clauses.filter(|clauses| clauses.len() <= Clauses::<ClaimName>::MAX);
        let clauses = clauses.ok_or_else(|| Fault::at(&at, TOO_MUCH))?;
        let read = clauses.iter().enumerate().map(|(index, clause)| {
            Members::of(clause, &pointer(&at, &index.to_string()))?.constraint()
        });
        let read = read.collect::<Result<Vec<_>, Fault>>()?;
        Clauses::new(read).ok_or_else(|| Fault::at(&at, TOO_MUCH))
    }

    fn values(&self, name: &str) -> Result<Values, Fault> {
        let values = self.required(name)?.as_array().map(<[Value]>::to_vec);
        values.and_then(Values::new).ok_or_else(|| {
            self.fault(name, format!("must be an array of 1 to {} values", Values::MAX))
        })
    }

    fn range(&self) -> Result<Range, Fault> {
        let min = self.bound("min", "min_inclusive")?;
        let max = self.bound("max", "max_inclusive")?;
        Range::new(min, max).ok_or_else(|| {
            Fault::at(self.at, "needs `min`, `max` or both, and a number that is within")
        })
    }

    fn bound(&self, name: &str, inclusive: &str) -> Result<Option<Bound>, Fault> {
        let flag = match self.object.get(inclusive) {
            None => None,
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => return Err(self.fault(inclusive, "must be `true` or `false`")),
        };
        match (self.object.get(name), flag) {
            (Some(Value::Number(value)), flag) => {
                Ok(Some(Bound { value: *value, inclusive: flag.unwrap_or(true) }))
            }
            (Some(_), _) => Err(self.fault(name, "must be a number")),
            (None, Some(_)) => Err(self.fault(inclusive, format!("speaks of a missing `{name}`"))),
            (None, None) => Ok(None),
        }
    }

    fn prefix(&self) -> Result<String, Fault> {
        let prefix = self.text("prefix")?;
        if prefix.is_empty() {
            return Err(self.fault("prefix", "must not be empty: every text begins with nothing"));
        }
        Ok(prefix.to_owned())
    }

    fn root(&self) -> Result<Root, Fault> {
        Root::parse(self.text("root")?).ok_or_else(|| {
            let message = "must be a normal path: no empty or dotted segment, no backslash, no `%`";
            self.fault("root", message)
        })
    }

    fn window(&self) -> Result<TimeWindow, Fault> {
        let (from, until) = (self.moment("from")?, self.moment("until")?);
        TimeWindow::new(from, until).ok_or_else(|| {
            Fault::at(self.at, "needs `from`, `until` or both, and `from` before `until`")
        })
    }

    fn moment(&self, name: &str) -> Result<Option<Moment>, Fault> {
        if !self.object.contains(name) {
            return Ok(None);
        }
        let moment = Moment::parse(self.text(name)?);
        let wanted = "must be a moment with its offset, such as `2026-11-25T08:00:00+01:00`";
        moment.map(Some).ok_or_else(|| self.fault(name, wanted))
    }

    fn length(&self) -> Result<u32, Fault> {
        let most = Constraint::<ClaimName>::MAX_LENGTH;
        let length = self.required("max")?.as_i64().and_then(|n| u32::try_from(n).ok());
        length
            .filter(|length| *length <= most)
            .ok_or_else(|| self.fault("max", format!("must be a whole number from 0 to {most}")))
    }

    fn claim(&self) -> Result<ClaimName, Fault> {
        ClaimName::parse(self.text("claim")?).map_err(|e| self.fault("claim", e.to_string()))
    }

    fn text(&self, name: &str) -> Result<&'a str, Fault> {
        self.required(name)?.as_str().ok_or_else(|| self.fault(name, "must be a string"))
    }

    fn required(&self, name: &str) -> Result<&'a Value, Fault> {
        self.object
            .get(name)
            .ok_or_else(|| Fault::at(self.at, format!("`{}` needs `{name}`", self.kind)))
    }

    fn fault(&self, name: &str, message: impl Into<String>) -> Fault {
        Fault::at(pointer(self.at, name), message)
    }
}

/// Writes what is said about one argument.
pub fn argument_to_json<C: AsRef<str>>(argument: &Argument<C>) -> Object {
    match argument {
        Argument::Required(constraint) => to_json(constraint),
        Argument::Optional(constraint) => of("optional", [("of", to_json(constraint).into())]),
        Argument::Absent => of("absent", []),
    }
}

fn to_json<C: AsRef<str>>(constraint: &Constraint<C>) -> Object {
    match constraint {
        Constraint::Exact(value) => of("exact", [("value", value.clone())]),
        Constraint::OneOf(values) => of("one_of", [("values", array(values))]),
        Constraint::NotOneOf(values) => of("not_one_of", [("excluded", array(values))]),
        Constraint::Range(range) => range_to_json(range),
        Constraint::Contains(values) => of("contains", [("required", array(values))]),
        Constraint::Subset(values) => of("subset", [("allowed", array(values))]),
        Constraint::Wildcard => of("wildcard", []),
        Constraint::All(clauses) => of("all", [("constraints", clauses_to_json(clauses))]),
        Constraint::Any(clauses) => of("any", [("constraints", clauses_to_json(clauses))]),
        Constraint::Prefix(prefix) => of("prefix", [("prefix", prefix.as_str().into())]),
        Constraint::Path(root) => of("path", [("root", root.as_str().into())]),
        Constraint::TimeWindow(window) => {
            let ends = [("from", window.from()), ("until", window.until())];
            of("time_window", ends.into_iter().filter_map(|(n, m)| Some((n, m?.as_str().into()))))
        }
        Constraint::MaxLength(most) => of("max_length", [("max", i64::from(*most).into())]),
        Constraint::SubjectClaim(name) => of("subject_claim", [("claim", name.as_ref().into())]),
    }
}

fn range_to_json(range: &Range) -> Object {
    let ends = [("min", "min_inclusive", range.min()), ("max", "max_inclusive", range.max())];
    let members = ends.into_iter().flat_map(|(name, inclusive, bound)| {
        let value = bound.map(|bound| (name, Value::Number(bound.value)));
        let exclusive = bound.filter(|bound| !bound.inclusive);
        value.into_iter().chain(exclusive.map(|_| (inclusive, Value::Bool(false))))
    });
    of("range", members)
}

fn clauses_to_json<C: AsRef<str>>(clauses: &Clauses<C>) -> Value {
    clauses.iter().map(|clause| Value::Object(to_json(clause))).collect::<Vec<_>>().into()
}

fn array(values: &Values) -> Value {
    values.iter().cloned().collect::<Vec<_>>().into()
}

fn of(kind: &str, members: impl IntoIterator<Item = (&'static str, Value)>) -> Object {
    [("constraint_type", Value::from(kind))].into_iter().chain(members).collect()
}
