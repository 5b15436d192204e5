//! Every kind of JWT that is taken in, in one table: there is no default, and kinds exclude one
//! another by `typ` (JW-5).

use crate::{
    jose::{Algorithm, Profile, TypRule},
    oauth::{
        checkpoint::TYP_CHECKPOINT,
        claims::{TYP_ACCESS_TOKEN, TYP_HAND_OVER},
    },
};

/// The largest token of ours: a hand-over.
const OURS_BYTES: usize = 16_384;
/// Room for the largest access tokens seen (Entra with groups).
const FOREIGN_BYTES: usize = 16_384;
/// Seven short claims and the largest signature.
const ASSERTION_BYTES: usize = 4_096;
/// The same, with the largest key in its header.
const PROOF_BYTES: usize = 8_192;

/// Five hundred chains, each with a hash.
const CHECKPOINT_BYTES: usize = 131_072;

/// What we sign with.
const OURS_ALGS: &[Algorithm] = &[Algorithm::Es256, Algorithm::Rs256, Algorithm::Ed25519];

/// Our call tokens, agent tokens and hand-overs.
pub const OURS: Profile = Profile {
    name: "our token",
    typ: TypRule { accepted: &[TYP_ACCESS_TOKEN, TYP_HAND_OVER], absent: false },
    algs: OURS_ALGS,
    max_bytes: OURS_BYTES,
    header_jwk: false,
};

/// Checkpoints of the audit log, which are no tokens.
pub const CHECKPOINT: Profile = Profile {
    name: "checkpoint",
    typ: TypRule { accepted: &[TYP_CHECKPOINT], absent: false },
    algs: OURS_ALGS,
    max_bytes: CHECKPOINT_BYTES,
    header_jwk: false,
};

/// Client assertions. RFC 7523bis section 4: a `typ` of their own, which old clients leave out.
pub const CLIENT_ASSERTION: Profile = Profile {
    name: "client assertion",
    typ: TypRule { accepted: &["client-authentication+jwt", "JWT"], absent: true },
    algs: &Algorithm::ALL,
    max_bytes: ASSERTION_BYTES,
    header_jwk: false,
};

/// DPoP proofs, which carry their key. RFC 9449 section 4.2.
pub const DPOP_PROOF: Profile = Profile {
    name: "DPoP proof",
    typ: TypRule { accepted: &["dpop+jwt"], absent: false },
    algs: &Algorithm::ALL,
    max_bytes: PROOF_BYTES,
    header_jwk: true,
};

/// Access tokens of trusted issuers: RFC 9068, or untyped ones told by a registered claim.
pub const FOREIGN_ACCESS_TOKEN: Profile = Profile {
    name: "foreign access token",
    typ: TypRule { accepted: &[TYP_ACCESS_TOKEN, "JWT"], absent: true },
    algs: &Algorithm::ALL,
    max_bytes: FOREIGN_BYTES,
    header_jwk: false,
};

/// ID tokens of trusted issuers.
pub const ID_TOKEN: Profile = Profile {
    name: "ID token",
    typ: TypRule { accepted: &["JWT"], absent: true },
    algs: &Algorithm::ALL,
    max_bytes: FOREIGN_BYTES,
    header_jwk: false,
};
