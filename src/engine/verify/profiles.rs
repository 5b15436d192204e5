//! Every kind of JWT that is taken in, in one table: there is no default, and kinds exclude one
//! another by `typ` (JW-5).

use crate::{
    jose::{Algorithm, Profile, TypRule},
    oauth::claims::{TYP_ACCESS_TOKEN, TYP_HAND_OVER},
};

/// The largest token of ours: a hand-over.
const OURS_BYTES: usize = 16_384;
/// Room for the largest access tokens seen (Entra with groups).
const FOREIGN_BYTES: usize = 16_384;

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
