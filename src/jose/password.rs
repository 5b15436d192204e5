//! Client secrets at rest: argon2id in the PHC string format.
//!
//! Both functions take about 20 ms and 19 MiB. They block: the caller runs them on its bounded
//! pool and never on the runtime.

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use subtle::ConstantTimeEq as _;

use crate::base::{random::Random, secret::Secret};

/// 19 MiB, two passes, one lane: the first choice of OWASP for argon2id.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A stored hash never makes us work harder than this, whoever wrote it.
const MAX_MEMORY_KIB: u32 = 65_536;
const MAX_PASSES: u32 = 4;
const MAX_LANES: u32 = 4;

/// A secret could not be hashed, which says nothing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret could not be hashed: no memory or no randomness")]
pub struct NotHashed;

/// What the C library maps for one allocation alone and unmaps when it is freed, whatever it learnt
/// from earlier ones (glibc: `DEFAULT_MMAP_THRESHOLD_MAX`, 32 MiB). A smaller one of 19 MiB would
/// stay with the process for good, one for every thread that ever hashed.
const UNMAPPED_BYTES: usize = 33 * 1024 * 1024;

/// The PHC string of `secret` with a fresh salt.
pub fn hash(secret: &Secret<String>, random: &Random) -> Result<String, NotHashed> {
    let salt: [u8; 16] = random.bytes().map_err(|_| NotHashed)?;
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| NotHashed)?;
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    fill(secret, &salt, &params, &mut output).ok_or(NotHashed)?;
    let hash = PasswordHash {
        algorithm: argon2::ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|_| NotHashed)?,
        salt: Some(Salt::new(&salt).map_err(|_| NotHashed)?),
        hash: Some(Output::new(&output).map_err(|_| NotHashed)?),
    };
    Ok(hash.to_string())
}

/// Whether `phc` is a hash of `secret`. Anything that is not an argon2id hash of bearable cost is
/// nobody's.
pub fn verify(secret: &Secret<String>, phc: &str) -> Result<bool, NotHashed> {
    let Ok(hash) = PasswordHash::new(phc) else { return Ok(false) };
    let Ok(params) = Params::try_from(&hash) else { return Ok(false) };
    let bearable = hash.algorithm == argon2::ARGON2ID_IDENT
        && hash.version == Some(Version::V0x13.into())
        && params.m_cost() <= MAX_MEMORY_KIB
        && params.t_cost() <= MAX_PASSES
        && params.p_cost() <= MAX_LANES;
    let (true, Some(salt), Some(expected)) = (bearable, hash.salt, hash.hash) else {
        return Ok(false);
    };
    let mut output = vec![0; expected.len()];
    fill(secret, &salt, &params, &mut output).ok_or(NotHashed)?;
    Ok(output.ct_eq(expected.as_ref()).into())
}

/// Writes argon2id of `secret` to `output`; `None` without memory for it.
fn fill(secret: &Secret<String>, salt: &[u8], params: &Params, output: &mut [u8]) -> Option<()> {
    let mut blocks: Vec<Block> = Vec::new();
    let count = params.block_count();
    // What is reserved and never touched costs address space and no memory.
    blocks.try_reserve_exact(count.max(UNMAPPED_BYTES.div_ceil(Block::SIZE))).ok()?;
    blocks.resize(count, Block::new());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let secret = secret.expose().as_bytes();
    argon2.hash_password_into_with_memory(secret, salt, output, &mut blocks).ok()
}
