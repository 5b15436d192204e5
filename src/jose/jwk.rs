//! Reading one public key from a JWK, and the policy for keys that others chose.
//!
//! A key that we have no use for is skipped; a key that is broken, weak or not public at all is
//! an error, because whoever published it needs to know.

use crate::{
    base::{json, text},
    jose::{Algorithm, KeySet, VerifyingKey, from_base64url, key::Public},
};

/// Why a JWK or a set of them is refused. Nothing of a refused set is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// Not the JSON that we read.
    #[error("the key set is not acceptable JSON: {0}")]
    Json(#[from] json::JsonError),
    /// Not an object with an array `keys` of objects (RFC 7517 section 5).
    #[error("a key set is an object with an array `keys` of objects")]
    NotAKeySet,
    /// Too many keys.
    #[error("the key set has more than {} keys", KeySet::MAX_KEYS)]
    TooManyKeys,
    /// A private or symmetric key lies in the open: everything near it is suspect.
    #[error("the JWK has the private or symmetric member `{0}`: publish public keys only")]
    NotPublic(&'static str),
    /// Two keys share a `kid`.
    #[error("two keys have the same `kid`")]
    DuplicateKid,
    /// A member has the wrong type, length or encoding.
    #[error("the JWK member `{0}` is malformed")]
    Malformed(&'static str),
    /// RSA moduli must have 2048 to 4096 bits.
    #[error("the RSA modulus has {bits} bits: 2048 to 4096 are accepted")]
    RsaSize {
        /// The size found.
        bits: usize,
    },
    /// Small exponents sign what nobody signed (Wycheproof: exponent 1).
    #[error("the RSA exponent must be odd, at least 65537 and at most 32 bits long")]
    RsaExponent,
    /// The modulus carries the fingerprint of CVE-2017-15361.
    #[error("the RSA key was made by a flawed generator (ROCA): replace it")]
    Roca,
    /// An Ed25519 key for which anyone can make signatures.
    #[error("the Ed25519 key is a point of small order")]
    SmallOrder,
    /// `alg` names an algorithm of another kind of key.
    #[error("the JWK member `alg` does not fit its `kty` and `crv`")]
    AlgorithmMismatch,
    /// There is no such key here, or it is of a kind that we do not use.
    #[error("the JWK is not a signature key of a kind that is accepted")]
    Unusable,
}

/// Members of private keys (RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037) and of symmetric ones.
const NOT_PUBLIC: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// As much as a header's `kid` may have.
pub(super) const MAX_KID: usize = 256;
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
const RSA_EXPONENT: std::ops::RangeInclusive<u64> = 65_537..=4_294_967_296;

/// Reads one JWK. `Ok(None)`: a sound key that is not for signatures by one of `allowed`.
pub(super) fn read(
    jwk: &json::Object,
    allowed: &[Algorithm],
) -> Result<Option<VerifyingKey>, JwkError> {
    if let Some(private) = NOT_PUBLIC.into_iter().find(|name| jwk.contains(name)) {
        return Err(JwkError::NotPublic(private));
    }
    let kty = required_text(jwk, "kty")?;
    if kty == "oct" {
        return Err(JwkError::NotPublic("kty"));
    }
    let kid = text_member(jwk, "kid")?;
    if kid.is_some_and(|kid| !text::is_printable_ascii(kid, MAX_KID)) {
        return Err(JwkError::Malformed("kid"));
    }
    if !is_for_signatures(jwk)? {
        return Ok(None);
    }
    let Some(alg) = algorithm(jwk, kty, allowed)? else { return Ok(None) };
    let public = match alg {
        Algorithm::Es256 => point(jwk, 32)?,
        Algorithm::Es384 => point(jwk, 48)?,
        Algorithm::Ed25519 => edwards_point(jwk)?,
        Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 | Algorithm::Ps256 => rsa(jwk)?,
    };
    Ok(Some(VerifyingKey { kid: kid.map(str::to_owned), alg, public }))
}

/// RFC 7517 sections 4.2 and 4.3.
fn is_for_signatures(jwk: &json::Object) -> Result<bool, JwkError> {
    if text_member(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Ok(false);
    }
    let Some(operations) = jwk.get("key_ops") else { return Ok(true) };
    let operations = operations.as_array().ok_or(JwkError::Malformed("key_ops"))?;
    Ok(operations.iter().any(|operation| operation.as_str() == Some("verify")))
}

/// The one algorithm of this key, if it is among `allowed`.
fn algorithm(
    jwk: &json::Object,
    kty: &str,
    allowed: &[Algorithm],
) -> Result<Option<Algorithm>, JwkError> {
    let named = text_member(jwk, "alg")?;
    let alg = named.and_then(Algorithm::from_name);
    if named.is_some() && alg.is_none() {
        return Ok(None);
    }
    let by_kind = match kty {
        "EC" => match required_text(jwk, "crv")? {
            "P-256" => Some(Algorithm::Es256),
            "P-384" => Some(Algorithm::Es384),
            _ => None,
        },
        "OKP" => (required_text(jwk, "crv")? == "Ed25519").then_some(Algorithm::Ed25519),
        "RSA" => match alg {
            Some(alg) if alg.is_rsa() => Some(alg),
            Some(_) => return Err(JwkError::AlgorithmMismatch),
            None => Some(unnamed_rsa(allowed)),
        },
        _ => None,
    };
    let Some(by_kind) = by_kind else { return Ok(None) };
    if alg.is_some_and(|alg| alg != by_kind) {
        return Err(JwkError::AlgorithmMismatch);
    }
    Ok(allowed.contains(&by_kind).then_some(by_kind))
}

/// An RSA key that names no algorithm is bound to `RS256`, or else to the only RSA algorithm that
/// is allowed: never to two.
fn unnamed_rsa(allowed: &[Algorithm]) -> Algorithm {
    let mut rsa = allowed.iter().copied().filter(|alg| alg.is_rsa());
    match (rsa.next(), rsa.next()) {
        (Some(only), None) => only,
        _ => Algorithm::Rs256,
    }
}

/// RFC 7518 section 6.2.1: both coordinates in full length. That the point lies on its curve is
/// checked by ring whenever a signature is verified; a key that fails there verifies nothing.
fn point(jwk: &json::Object, size: usize) -> Result<Public, JwkError> {
    let x = bytes_of(jwk, "x", size)?;
    let y = bytes_of(jwk, "y", size)?;
    Ok(Public::Bytes([&[4], x.as_slice(), y.as_slice()].concat()))
}

fn edwards_point(jwk: &json::Object) -> Result<Public, JwkError> {
    let x = bytes_of(jwk, "x", 32)?;
    if is_of_small_order(&x) { Err(JwkError::SmallOrder) } else { Ok(Public::Bytes(x)) }
}

fn rsa(jwk: &json::Object) -> Result<Public, JwkError> {
    let n = integer(jwk, "n")?;
    let e = integer(jwk, "e")?;
    let bits = bit_length(&n);
    if !RSA_BITS.contains(&bits) {
        return Err(JwkError::RsaSize { bits });
    }
    if n.last().is_none_or(|last| last % 2 == 0) {
        return Err(JwkError::Malformed("n"));
    }
    let exponent = if e.len() > 8 {
        return Err(JwkError::RsaExponent);
    } else {
        e.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte))
    };
    if !RSA_EXPONENT.contains(&exponent) || exponent % 2 == 0 {
        return Err(JwkError::RsaExponent);
    }
    if is_roca(&n) {
        return Err(JwkError::Roca);
    }
    Ok(Public::Rsa { n, e })
}

fn bytes_of(jwk: &json::Object, name: &'static str, size: usize) -> Result<Vec<u8>, JwkError> {
    from_base64url(required_text(jwk, name)?)
        .filter(|bytes| bytes.len() == size)
        .ok_or(JwkError::Malformed(name))
}

/// RFC 7518 section 2, `Base64urlUInt`: as few octets as the number needs.
fn integer(jwk: &json::Object, name: &'static str) -> Result<Vec<u8>, JwkError> {
    from_base64url(required_text(jwk, name)?)
        .filter(|bytes| bytes.first().is_some_and(|first| *first != 0))
        .ok_or(JwkError::Malformed(name))
}

fn bit_length(big_endian: &[u8]) -> usize {
    let leading = big_endian.first().map_or(0, |first| first.leading_zeros());
    let leading = usize::try_from(leading).unwrap_or(0);
    big_endian.len().saturating_mul(8).saturating_sub(leading)
}

fn required_text<'a>(jwk: &'a json::Object, name: &'static str) -> Result<&'a str, JwkError> {
    text_member(jwk, name)?.ok_or(JwkError::Malformed(name))
}

fn text_member<'a>(jwk: &'a json::Object, name: &'static str) -> Result<Option<&'a str>, JwkError> {
    jwk.get(name).map(|value| value.as_str().ok_or(JwkError::Malformed(name))).transpose()
}

/// The primes whose product divides the number from which the flawed generator derived its keys.
pub(super) const ROCA_PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// CVE-2017-15361: modulo each small prime such a modulus is a power of 65537. A sound key passes
/// for one of them about once in 2^27.
fn is_roca(n: &[u8]) -> bool {
    ROCA_PRIMES.into_iter().all(|prime| {
        let step = |value: u32, by: u32| value.saturating_mul(by).checked_rem(prime).unwrap_or(0);
        let remainder = n.iter().fold(0, |rest: u32, byte| {
            rest.saturating_mul(256)
                .saturating_add(u32::from(*byte))
                .checked_rem(prime)
                .unwrap_or(0)
        });
        let generator = step(65_537, 1);
        let mut power = 1;
        // The powers repeat after at most `prime - 1` steps.
        (1..prime).any(|_| {
            power = step(power, generator);
            power == remainder
        })
    })
}

/// The encodings of the points of order 1, 2, 4 and 8 on edwards25519, without the sign bit, and
/// the same beyond the field's prime.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    first_byte(1),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    near_prime(0xec),
    near_prime(0xed),
    near_prime(0xee),
];

const fn first_byte(byte: u8) -> [u8; 32] {
    let mut point = [0; 32];
    let [first, ..] = &mut point;
    *first = byte;
    point
}

const fn near_prime(byte: u8) -> [u8; 32] {
    let mut point = [0xff; 32];
    let [first, .., last] = &mut point;
    *first = byte;
    *last = 0x7f;
    point
}

fn is_of_small_order(point: &[u8]) -> bool {
    let mut unsigned = point.to_vec();
    if let Some(last) = unsigned.last_mut() {
        *last &= 0x7f;
    }
    SMALL_ORDER.iter().any(|small| small.as_slice() == unsigned)
}
