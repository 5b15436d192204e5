//! The arguments of a tool as a closed world: which may be there, which must be, and what each may
//! be. What one value may be is a constraint's matter.

use std::collections::{BTreeMap, btree_map};

use super::{ClaimFault, ClaimName, Constraint, Never, SubjectClaims};
use crate::base::{
    json::{Object, Value},
    text::pointer as below,
};

/// What may be passed to one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arguments<C = Never> {
    /// Any arguments at all.
    Any,
    /// These arguments and no others.
    Closed(Shape<C>),
}

/// A closed object: each member leads to an argument or to another closed object. Names at least
/// one argument, so that it is never taken for [`Arguments::Any`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape<C = Never>(BTreeMap<String, Node<C>>);

/// What is said about one argument. One that is not named at all is [`Argument::Absent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument<C = Never> {
    /// It is there, and meets this constraint.
    Required(Constraint<C>),
    /// If it is there, it meets this constraint.
    Optional(Constraint<C>),
    /// It is not there.
    Absent,
}

/// What stands behind one member of a [`Shape`].
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node<C> {
    /// The member is this argument.
    Leaf(Argument<C>),
    /// The member is an object of this shape.
    Branch(Shape<C>),
}

/// Why a pointer has no place in a shape.
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
    /// No pointer at all, which would read as "any arguments".
    #[error("names no argument: to permit none, name one as `absent`")]
    Nothing,
}

/// A pointer that has no place in a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// The how manieth it was, from zero.
    pub index: usize,
    /// The pointer as it was given; empty when there was none.
    pub pointer: String,
    /// Why.
    pub why: PointerError,
}

/// Why arguments are not permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The argument, as a JSON Pointer.
    pub pointer: String,
    /// What is wrong with it.
    pub kind: ViolationKind,
}

impl Violation {
    /// Here. The pointer is put together on the way out: what is permitted needs none.
    const fn at(kind: ViolationKind) -> Violation {
        Violation { pointer: String::new(), kind }
    }

    fn below(self, name: &str) -> Violation {
        Violation { pointer: below("", name) + &self.pointer, ..self }
    }
}

/// What is wrong with an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViolationKind {
    /// The value is not one that the constraint permits.
    NotPermitted,
    /// The argument must be there and is not.
    Missing,
    /// The argument must not be there: it is not named, or named as absent.
    Unexpected,
}

impl Arguments {
    /// Whether the call's arguments are permitted; the first violation otherwise.
    pub fn check(&self, arguments: &Object) -> Result<(), Violation> {
        match self {
            Arguments::Any => Ok(()),
            Arguments::Closed(shape) => shape.check(arguments),
        }
    }

    /// Whether everything that `self` permits is permitted by `parent`.
    pub fn is_narrower_than(&self, parent: &Arguments) -> bool {
        match (self, parent) {
            (_, Arguments::Any) => true,
            (Arguments::Any, Arguments::Closed(_)) => false,
            (Arguments::Closed(child), Arguments::Closed(parent)) => child.is_narrower_than(parent),
        }
    }
}

impl Arguments<ClaimName> {
    /// The arguments with every claim of the subject looked up.
    pub fn resolve(self, claims: &SubjectClaims) -> Result<Arguments, ClaimFault> {
        Ok(match self {
            Arguments::Any => Arguments::Any,
            Arguments::Closed(shape) => Arguments::Closed(shape.resolve(claims)?),
        })
    }
}

impl Argument {
    /// Whether this value, or that there is none, is permitted.
    pub fn permits(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Argument::Required(constraint) | Argument::Optional(constraint), Some(value)) => {
                constraint.check(value)
            }
            (Argument::Absent, Some(_)) | (Argument::Required(_), None) => false,
            (Argument::Optional(_) | Argument::Absent, None) => true,
        }
    }

    fn is_narrower_than(&self, parent: &Argument) -> bool {
        match (self, parent) {
            (Argument::Absent, parent) => parent.may_be_absent(),
            (
                Argument::Required(child),
                Argument::Required(parent) | Argument::Optional(parent),
            )
            | (Argument::Optional(child), Argument::Optional(parent)) => {
                child.is_narrower_than(parent)
            }
            (Argument::Optional(_), Argument::Required(_))
            | (Argument::Required(_) | Argument::Optional(_), Argument::Absent) => false,
        }
    }
}

impl<C> Argument<C> {
    const fn may_be_absent(&self) -> bool {
        match self {
            Argument::Required(_) => false,
            Argument::Optional(_) | Argument::Absent => true,
        }
    }
}

impl Argument<ClaimName> {
    fn resolve(self, claims: &SubjectClaims) -> Result<Argument, ClaimFault> {
        Ok(match self {
            Argument::Required(constraint) => Argument::Required(constraint.resolve(claims)?),
            Argument::Optional(constraint) => Argument::Optional(constraint.resolve(claims)?),
            Argument::Absent => Argument::Absent,
        })
    }
}

impl<C> Shape<C> {
    /// The most constrained arguments of one tool.
    pub const MAX_POINTERS: usize = 64;
    /// The deepest pointer.
    pub const MAX_LEVELS: usize = 8;

    /// A shape of these arguments, each under its JSON Pointer (`x` is short for `/x`).
    pub fn of(
        arguments: impl IntoIterator<Item = (String, Argument<C>)>,
    ) -> Result<Shape<C>, Misplaced> {
        let mut shape = Shape(BTreeMap::new());
        for (index, (pointer, argument)) in arguments.into_iter().enumerate() {
            let placed = if index < Self::MAX_POINTERS {
                segments(&pointer).and_then(|segments| shape.place(&segments, argument))
            } else {
                Err(PointerError::TooMany)
            };
            placed.map_err(|why| Misplaced { index, pointer, why })?;
        }
        if shape.0.is_empty() {
            return Err(Misplaced { index: 0, pointer: String::new(), why: PointerError::Nothing });
        }
        Ok(shape)
    }

    fn place(&mut self, segments: &[String], argument: Argument<C>) -> Result<(), PointerError> {
        let (name, rest) = segments.split_first().ok_or(PointerError::Syntax)?;
        match (self.0.entry(name.clone()), rest) {
            (btree_map::Entry::Vacant(free), []) => {
                free.insert(Node::Leaf(argument));
                Ok(())
            }
            (btree_map::Entry::Occupied(_), []) => Err(PointerError::Overlaps),
            (entry, rest) => match entry.or_insert(Node::Branch(Shape(BTreeMap::new()))) {
                Node::Branch(inner) => inner.place(rest, argument),
                Node::Leaf(_) => Err(PointerError::Overlaps),
            },
        }
    }

    /// Every argument that is named, as (JSON Pointer, what is said about it), in order.
    pub fn pointers(&self) -> Vec<(String, &Argument<C>)> {
        let mut out = Vec::new();
        self.collect("", &mut out);
        out
    }

    fn collect<'a>(&'a self, at: &str, out: &mut Vec<(String, &'a Argument<C>)>) {
        for (name, node) in &self.0 {
            let pointer = below(at, name);
            match node {
                Node::Leaf(argument) => out.push((pointer, argument)),
                Node::Branch(shape) => shape.collect(&pointer, out),
            }
        }
    }

    /// Whether the object itself may be absent: when nothing that it names must be there.
    fn may_be_absent(&self) -> bool {
        self.0.values().all(Node::may_be_absent)
    }
}

impl<C> Node<C> {
    fn may_be_absent(&self) -> bool {
        match self {
            Node::Leaf(argument) => argument.may_be_absent(),
            Node::Branch(shape) => shape.may_be_absent(),
        }
    }
}

impl Shape<ClaimName> {
    fn resolve(self, claims: &SubjectClaims) -> Result<Shape, ClaimFault> {
        let node = |(name, node): (String, Node<ClaimName>)| {
            Ok(match node {
                Node::Leaf(argument) => (name, Node::Leaf(argument.resolve(claims)?)),
                Node::Branch(shape) => (name, Node::Branch(shape.resolve(claims)?)),
            })
        };
        self.0.into_iter().map(node).collect::<Result<_, _>>().map(Shape)
    }
}

impl Shape {
    fn check(&self, object: &Object) -> Result<(), Violation> {
        if let Some((name, _)) = object.iter().find(|(name, _)| !self.0.contains_key(*name)) {
            return Err(Violation::at(ViolationKind::Unexpected).below(name));
        }
        let check = |(name, node): (&String, &Node<Never>)| {
            node.check(object.get(name)).map_err(|violation| violation.below(name))
        };
        self.0.iter().try_for_each(check)
    }

    /// An argument that only one of the two names is absent for the other.
    fn is_narrower_than(&self, parent: &Shape) -> bool {
        let names = self.0.keys().chain(parent.0.keys());
        names.into_iter().all(|name| is_narrower(self.0.get(name), parent.0.get(name)))
    }
}

impl Node<Never> {
    fn check(&self, value: Option<&Value>) -> Result<(), Violation> {
        let kind = match (self, value) {
            (Node::Branch(shape), Some(Value::Object(inner))) => return shape.check(inner),
            (Node::Branch(_), Some(_)) => ViolationKind::NotPermitted,
            (
                Node::Leaf(Argument::Required(constraint) | Argument::Optional(constraint)),
                Some(v),
            ) => {
                if constraint.check(v) {
                    return Ok(());
                }
                ViolationKind::NotPermitted
            }
            (Node::Leaf(Argument::Absent), Some(_)) => ViolationKind::Unexpected,
            (node, None) => {
                if node.may_be_absent() {
                    return Ok(());
                }
                ViolationKind::Missing
            }
        };
        Err(Violation::at(kind))
    }
}

/// Whether everything that may stand behind a member of the child may stand there in the parent.
fn is_narrower(child: Option<&Node<Never>>, parent: Option<&Node<Never>>) -> bool {
    match (child, parent) {
        (None | Some(Node::Leaf(Argument::Absent)), parent) => {
            parent.is_none_or(Node::may_be_absent)
        }
        (Some(_), None) | (Some(Node::Leaf(_)), Some(Node::Branch(_))) => false,
        (Some(Node::Leaf(child)), Some(Node::Leaf(parent))) => child.is_narrower_than(parent),
        (Some(Node::Branch(child)), Some(Node::Branch(parent))) => child.is_narrower_than(parent),
        // An object is a value like others: a wildcard takes it.
        (Some(Node::Branch(child)), Some(Node::Leaf(parent))) => match parent {
            Argument::Required(Constraint::Wildcard) => !child.may_be_absent(),
            Argument::Optional(Constraint::Wildcard) => true,
            Argument::Required(_) | Argument::Optional(_) | Argument::Absent => false,
        },
    }
}

/// The segments of a pointer; a name that needs no escapes may stand without its slash, and is
/// held to the same rules, so that what is read can always be written and read again.
fn segments(pointer: &str) -> Result<Vec<String>, PointerError> {
    let segments: Vec<String> = match pointer.strip_prefix('/') {
        Some(path) => path.split('/').map(unescape).collect::<Result<_, _>>()?,
        None if pointer.contains(['/', '~']) => return Err(PointerError::Syntax),
        None => vec![unescape(pointer)?],
    };
    if segments.len() > Shape::<Never>::MAX_LEVELS {
        return Err(PointerError::TooMany);
    }
    Ok(segments)
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
