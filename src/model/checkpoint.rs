//! A checkpoint of the audit log: how far every chain was that had grown, said once and signed, so
//! that a chain that was cut off, or removed whole, does not fit any more.

use std::sync::Arc;

use crate::base::{secret::Fingerprint, time::Timestamp};

/// The most chains that one checkpoint names; what is left comes with the next.
pub const PLACES_MAX: usize = 500;

/// A link of a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Whose chain.
    pub writer: Arc<str>,
    /// Which link, from 1.
    pub seq: u64,
    /// Its hash, which all links before it are in.
    pub hash: Fingerprint,
}

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Its number, from 1, without gaps.
    pub n: u64,
    /// When it was signed.
    pub at: Timestamp,
    /// The hash of the checkpoint before it, as it was signed; `None` for the first.
    pub previous: Option<Fingerprint>,
    /// The last links of the chains that had grown since then.
    pub heads: Vec<Place>,
    /// The links behind which chains begin from now on: what is older may be deleted.
    pub bases: Vec<Place>,
    /// The first checkpoint that is kept from now on: older ones may be deleted.
    pub begins: Option<u64>,
}
