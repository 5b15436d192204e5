//! Client secrets at rest: argon2id in the PHC string format.
//!
//! Both functions take about 20 ms and 19 MiB. They block: the caller runs them on its bounded
//! pool and never on the runtime.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};

use crate::base::{random::Random, secret::Secret};

/// 19 MiB, two passes, one lane: the first choice of OWASP for argon2id.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A stored hash never makes us work harder than this, whoever wrote it.
const MAX_MEMORY_KIB: u32 = 65_536;
const MAX_PASSES: u32 = 4;
const MAX_LANES: u32 = 4;

/// A password could not be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret could not be hashed: no memory or no randomness")]
pub struct NotHashed;

/// The PHC string of `secret` with a fresh salt.
pub fn hash(secret: &Secret<String>, random: &Random) -> Result<String, NotHashed> {
    let salt: [u8; 16] = random.bytes().map_err(|_| NotHashed)?;
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| NotHashed)?;
    let hash: PasswordHash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(secret.expose().as_bytes(), &salt)
        .map_err(|_| NotHashed)?;
    Ok(hash.to_string())
}

/// Whether `phc` is a hash of `secret`. Anything that is not an argon2id hash of bearable cost is
/// nobody's.
pub fn verify(secret: &Secret<String>, phc: &str) -> bool {
    let Ok(hash) = PasswordHash::new(phc) else { return false };
    let Ok(params) = Params::try_from(&hash) else { return false };
    let bearable = hash.algorithm == argon2::ARGON2ID_IDENT
        && params.m_cost() <= MAX_MEMORY_KIB
        && params.t_cost() <= MAX_PASSES
        && params.p_cost() <= MAX_LANES;
    bearable && Argon2::default().verify_password(secret.expose().as_bytes(), &hash).is_ok()
}
