//! Identifiers: each kind its own type, so that one cannot be passed for another.
//!
//! Two shapes exist. *Named* ids are chosen by an administrator at registration and never
//! reassigned (`cl_support-agent`). *Drawn* ids are 16 bytes in base64url, 22 characters: random,
//! but that those which become keys of large tables begin with their moment.

use std::{borrow::Borrow, fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::time::Timestamp;

/// Why a text is not an identifier of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct NotAnId {
    /// The shape that was wanted, for the person who must mend it.
    pub expected: &'static str,
}

macro_rules! named_ids { ($($(#[$doc:meta])* $name:ident, $prefix:literal, $max:literal, $expected:literal;)*) => { $(
    $(#[$doc])*
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct $name(Arc<str>);

    impl $name {
        /// What every id of this kind begins with.
        pub const PREFIX: &'static str = $prefix;

        /// Reads an id; refuses every other shape.
        pub fn parse(raw: &str) -> Result<$name, NotAnId> {
            let bad = NotAnId { expected: $expected };
            let slug = raw.strip_prefix($prefix).ok_or(bad)?;
            let ok = !slug.is_empty()
                && slug.len() <= $max
                && slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !slug.starts_with('-')
                && !slug.ends_with('-');
            if ok { Ok($name(raw.into())) } else { Err(bad) }
        }

        /// The id as text.
        pub fn as_str(&self) -> &str {
            &self.0
        }
    }

    impl Borrow<str> for $name {
        /// For look-ups by text that need no copy; order and hash are the text's.
        fn borrow(&self) -> &str {
            &self.0
        }
    }

    impl fmt::Display for $name {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl fmt::Debug for $name {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }
)* } }

macro_rules! drawn_ids { ($($(#[$doc:meta])* $name:ident;)*) => { $(
    $(#[$doc])*
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct $name([u8; 16]);

    impl $name {
        /// An id from 16 fresh (or derived) bytes.
        pub const fn from_bytes(bytes: [u8; 16]) -> $name {
            $name(bytes)
        }

        /// The bytes.
        pub const fn as_bytes(&self) -> &[u8; 16] {
            &self.0
        }

        /// Reads the 22 characters; refuses every other spelling.
        pub fn parse(raw: &str) -> Result<$name, NotAnId> {
            let bad = NotAnId { expected: "22 characters of base64url" };
            let bytes = URL_SAFE_NO_PAD.decode(raw).map_err(|_| bad)?;
            Ok($name(bytes.try_into().map_err(|_| bad)?))
        }
    }

    impl fmt::Display for $name {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let mut text = [0_u8; 22];
                // 16 bytes are 22 characters, all of them ASCII.
                let written = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
                let text = text.get(..written).ok_or(fmt::Error)?;
                f.write_str(std::str::from_utf8(text).map_err(|_| fmt::Error)?)
        }
    }

    impl fmt::Debug for $name {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Display::fmt(self, f)
        }
    }

    impl Serialize for $name {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for $name {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<$name, D::Error> {
            from.deserialize_str(Written($name::parse))
        }
    }
)* } }

/// Reads an id where it is written as JSON.
struct Written<T>(fn(&str) -> Result<T, NotAnId>);

impl<T> de::Visitor<'_> for Written<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

named_ids! {
    /// A client: whatever authenticates to Deputy.
    ClientId, "cl_", 48, "a client id: `cl_` and 1 to 48 of a-z, 0-9 and inner hyphens";
    /// A resource's short name; on the wire a resource is its URI.
    ResourceId, "", 48, "a resource id: 1 to 48 of a-z, 0-9 and inner hyphens";
    /// An operator's name.
    OperatorName, "", 48, "an operator's name: 1 to 48 of a-z, 0-9 and inner hyphens";
    /// The short name of a trusted issuer, which prefixes its subjects when it is not primary.
    Alias, "", 32, "an alias: 1 to 32 of a-z, 0-9 and inner hyphens";
}

macro_rules! dated_ids { ($($name:ident)*) => { $(
    impl $name {
        /// The bytes of an id that are not its moment.
        pub const REST_BYTES: usize = 11;

        /// An id that begins with its moment, to the second: ids of one time are neighbours in an
        /// index. The random (or derived) rest makes it one of its kind.
        pub fn at(moment: Timestamp, rest: [u8; Self::REST_BYTES]) -> $name {
            $name(dated(moment, rest))
        }
    }
)* } }

dated_ids! { DelegationId TransactionId DecisionId }

/// The last five bytes of the moment's epoch seconds, then the rest.
fn dated(moment: Timestamp, rest: [u8; 11]) -> [u8; 16] {
    let mut bytes = [0_u8; 16];
    let moment = moment.epoch_s().to_be_bytes();
    for (to, from) in bytes.iter_mut().zip(moment.iter().skip(3).chain(&rest)) {
        *to = *from;
    }
    bytes
}

impl DecisionId {
    /// The moment that the id begins with, if it is one: a decision without an index row is looked
    /// for where the log was written then, and nowhere else.
    pub fn moment(&self) -> Option<Timestamp> {
        let seconds = self.0.iter().take(5).fold(0_i64, |all, byte| (all << 8) | i64::from(*byte));
        Timestamp::from_epoch_s(seconds)
    }
}

drawn_ids! {
    /// One issued token's record; also that token's `jti`.
    DelegationId;
    /// All delegations grown from one foreign token through one root agent: the claim `txn`.
    TransactionId;
    /// One decision about one call.
    DecisionId;
    /// One answer that refused something; named to the caller, explained in the audit log.
    ErrorId;
    /// One run of one process that writes the audit log.
    WriterId;
    /// One stored secret of a client.
    CredentialId;
}
