//! Constraints over the arguments of a tool: what a value must be, and which constraint is
//! narrower than which.
//!
//! Both functions of a constraint are total and pure: `check` decides a value, `is_narrower_than`
//! decides a child against its parent. The second is sound: whenever it says yes, every value that
//! the child accepts the parent accepts too. What it cannot prove it refuses.

use std::collections::BTreeMap;

use crate::base::{
    json::{Object, Value},
    text::pointer as below,
};

/// A predicate over one argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// The value equals this one; numbers compare by value.
    Exact(Value),
    /// The value equals one of these.
    OneOf(Vec<Value>),
    /// Any value.
    Wildcard,
}

impl Constraint {
    /// The most values in one `one_of`.
    pub const MAX_VALUES: usize = 256;

    /// Whether `value` is permitted.
    pub fn check(&self, value: &Value) -> bool {
        match self {
            Constraint::Exact(wanted) => value == wanted,
            Constraint::OneOf(wanted) => wanted.contains(value),
            Constraint::Wildcard => true,
        }
    }

    /// Whether every value that `self` permits is permitted by `parent`.
    pub fn is_narrower_than(&self, parent: &Constraint) -> bool {
        match (self, parent) {
            (_, Constraint::Wildcard) => true,
            (Constraint::Exact(value), parent) => parent.check(value),
            (Constraint::OneOf(values), parent) => values.iter().all(|v| parent.check(v)),
            (Constraint::Wildcard, Constraint::Exact(_) | Constraint::OneOf(_)) => false,
        }
    }
}

/// What may be passed to one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arguments {
    /// Any arguments at all.
    Any,
    /// Exactly these arguments: unnamed ones are refused, named ones must be present.
    Closed(Shape),
}

/// A closed object: each member leads to a constraint or to another closed object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape(BTreeMap<String, Node>);

/// What stands behind one member of a [`Shape`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// The member's value meets this constraint.
    Leaf(Constraint),
    /// The member is an object of this shape.
    Branch(Shape),
}

/// Why a pointer cannot be added to a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// Not a JSON Pointer (RFC 6901), or empty.
    #[error("must be an argument name or a JSON Pointer such as `/order/id`")]
    Syntax,
    /// Names an array index; arrays are constrained whole.
    #[error("must not point into an array: constrain the array as a whole")]
    ArrayIndex,
    /// The same argument twice, or one pointer runs through another.
    #[error("is the same as, or runs through, another argument of this tool")]
    Overlaps,
    /// More pointers or levels than allowed.
    #[error("has more than 64 arguments or 8 levels")]
    TooMany,
}

/// Why arguments are not permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The argument, as a JSON Pointer.
    pub pointer: String,
    /// What is wrong with it.
    pub kind: ViolationKind,
}

/// What is wrong with an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViolationKind {
    /// The value is not one that the constraint permits.
    NotPermitted,
    /// The argument is constrained and absent.
    Missing,
    /// The argument is not named by the delegation.
    Unexpected,
}

impl Arguments {
    /// Whether the call's arguments are permitted; the first violation otherwise.
    pub fn check(&self, arguments: &Object) -> Result<(), Violation> {
        match self {
            Arguments::Any => Ok(()),
            Arguments::Closed(shape) => shape.check(arguments, ""),
        }
    }

    /// Whether everything that `self` permits is permitted by `parent` (RA-9: a closed parent is
    /// narrowed only by exactly the same arguments).
    pub fn is_narrower_than(&self, parent: &Arguments) -> bool {
        match (self, parent) {
            (_, Arguments::Any) => true,
            (Arguments::Any, Arguments::Closed(_)) => false,
            (Arguments::Closed(child), Arguments::Closed(parent)) => child.is_narrower_than(parent),
        }
    }
}

impl Shape {
    /// The most constrained arguments of one tool.
    pub const MAX_POINTERS: usize = 64;
    /// The deepest pointer.
    pub const MAX_LEVELS: usize = 8;

    /// Adds a constraint for the argument named by `pointer` (`x` is short for `/x`).
    pub fn constrain(&mut self, pointer: &str, constraint: Constraint) -> Result<(), PointerError> {
        let segments = segments(pointer)?;
        if segments.len() > Self::MAX_LEVELS || self.leaves() >= Self::MAX_POINTERS {
            return Err(PointerError::TooMany);
        }
        let (last, way) = segments.split_last().ok_or(PointerError::Syntax)?;
        let mut shape = self;
        for segment in way {
            let node = shape.0.entry(segment.clone()).or_insert(Node::Branch(Shape::default()));
            match node {
                Node::Branch(inner) => shape = inner,
                Node::Leaf(_) => return Err(PointerError::Overlaps),
            }
        }
        if shape.0.contains_key(last) {
            return Err(PointerError::Overlaps);
        }
        shape.0.insert(last.clone(), Node::Leaf(constraint));
        Ok(())
    }

    /// Every constrained argument, as (JSON Pointer, constraint), in order.
    pub fn pointers(&self) -> Vec<(String, &Constraint)> {
        let mut out = Vec::new();
        self.collect("", &mut out);
        out
    }

    fn collect<'a>(&'a self, at: &str, out: &mut Vec<(String, &'a Constraint)>) {
        for (name, node) in &self.0 {
            let pointer = below(at, name);
            match node {
                Node::Leaf(constraint) => out.push((pointer, constraint)),
                Node::Branch(shape) => shape.collect(&pointer, out),
            }
        }
    }

    fn leaves(&self) -> usize {
        let count = |node: &Node| match node {
            Node::Leaf(_) => 1,
            Node::Branch(shape) => shape.leaves(),
        };
        self.0.values().map(count).sum()
    }

    fn check(&self, object: &Object, at: &str) -> Result<(), Violation> {
        let violation = |name: &str, kind| Err(Violation { pointer: below(at, name), kind });
        for (name, _) in object.iter() {
            if !self.0.contains_key(name) {
                return violation(name, ViolationKind::Unexpected);
            }
        }
        for (name, node) in &self.0 {
            let Some(value) = object.get(name) else {
                return violation(name, ViolationKind::Missing);
            };
            match (node, value) {
                (Node::Leaf(constraint), value) if constraint.check(value) => {}
                (Node::Branch(shape), Value::Object(inner)) => {
                    shape.check(inner, &below(at, name))?;
                }
                (Node::Leaf(_) | Node::Branch(_), _) => {
                    return violation(name, ViolationKind::NotPermitted);
                }
            }
        }
        Ok(())
    }

    fn is_narrower_than(&self, parent: &Shape) -> bool {
        self.0.len() == parent.0.len()
            && self.0.iter().all(|(name, child)| match (child, parent.0.get(name)) {
                (Node::Leaf(child), Some(Node::Leaf(parent))) => child.is_narrower_than(parent),
                (Node::Branch(child), Some(Node::Branch(parent))) => child.is_narrower_than(parent),
                (Node::Branch(_), Some(Node::Leaf(parent))) => *parent == Constraint::Wildcard,
                (Node::Leaf(_), Some(Node::Branch(_))) | (_, None) => false,
            })
    }
}

/// The segments of a pointer; a name that needs no escapes may stand without its slash, and is
/// held to the same rules, so that what is read can always be written and read again.
fn segments(pointer: &str) -> Result<Vec<String>, PointerError> {
    match pointer.strip_prefix('/') {
        Some(path) => path.split('/').map(unescape).collect(),
        None if pointer.contains(['/', '~']) => Err(PointerError::Syntax),
        None => Ok(vec![unescape(pointer)?]),
    }
}

/// RFC 6901 section 4: `~1` is `/`, `~0` is `~`, in that order.
fn unescape(segment: &str) -> Result<String, PointerError> {
    let escapes_ok = segment.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if segment.is_empty() || segment.len() > 256 || !escapes_ok {
        return Err(PointerError::Syntax);
    }
    if segment.bytes().all(|b| b.is_ascii_digit()) || segment == "-" {
        return Err(PointerError::ArrayIndex);
    }
    Ok(segment.replace("~1", "/").replace("~0", "~"))
}
