//! Opening a JWT: the one function through which every token, assertion and proof comes in.
//!
//! The order is fixed: size, container, header, key, signature, and only then the payload. What
//! the claims mean, and whether they are still true, is for the caller.

use crate::{
    base::{
        json::{self, JsonError, Limits},
        text,
    },
    jose::{Algorithm, JwkError, KeySet, VerifyingKey, from_base64url, jwk},
};

/// What one kind of JWT must look like. All profiles stand in one table; there is no default.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// For the audit log.
    pub name: &'static str,
    /// What the header's `typ` may be.
    pub typ: TypRule,
    /// The algorithms that are accepted.
    pub algs: &'static [Algorithm],
    /// The longest token in bytes, checked before anything else.
    pub max_bytes: usize,
    /// The key is in the header, as in a DPoP proof (RFC 9449 section 4.2): `jwk` is then required
    /// and holds a public key; otherwise it is refused (CVE-2018-0114).
    pub header_jwk: bool,
}

/// Which media types a header may name. RFC 8725 section 3.11: explicit typing.
#[derive(Clone, Copy, Debug)]
pub struct TypRule {
    /// Without `application/` (RFC 7515 section 4.1.9), in any case.
    pub accepted: &'static [&'static str],
    /// Whether a header without `typ` passes.
    pub absent: bool,
}

/// Why something is not a JWT of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Beyond the profile's bound.
    #[error("the token is longer than {max} bytes")]
    TooLong {
        /// The bound.
        max: usize,
    },
    /// Not three parts of canonical base64url with dots between them.
    #[error("the token is not a JWS in compact serialisation")]
    NotCompact,
    /// The header is not the JSON that we read.
    #[error("the header is not acceptable: {0}")]
    HeaderJson(JsonError),
    /// The header is not an object, or a member has the wrong type.
    #[error("the header member `{0}` is missing or malformed")]
    HeaderMember(&'static str),
    /// A member that would change where the key comes from or what is signed.
    #[error("the header member `{0}` is not accepted")]
    HeaderRefused(&'static str),
    /// Another kind of token.
    #[error("the token's `typ` is not one that is accepted here")]
    Typ,
    /// Another algorithm.
    #[error("the token's `alg` is not one that is accepted here")]
    Alg,
    /// The `jwk` of the header is not a public key for its algorithm.
    #[error("the header's `jwk` is not acceptable: {0}")]
    HeaderKey(JwkError),
    /// No key of that `kid` and algorithm.
    #[error("no key of the issuer has the token's `kid` and `alg`")]
    UnknownKey,
    /// The key did not sign this.
    #[error("the token's signature does not verify")]
    BadSignature,
    /// The payload is not the JSON that we read.
    #[error("the payload is not acceptable: {0}")]
    PayloadJson(JsonError),
    /// RFC 7519 section 7.2: the claims set is a JSON object.
    #[error("the payload is not a JSON object")]
    PayloadNotAnObject,
}

/// Far above any header or claims set seen, and cheap to walk.
const MAX_DEPTH: usize = 16;

/// Header members that are refused whatever their value. `crit` would demand an extension and we
/// know none (RFC 7515 section 4.1.11); `b64` and `zip` change what is signed; `jku`, `x5u` and
/// `x5c` let the token bring its own key; `enc` marks a JWE (RFC 7516 section 9).
const REFUSED: [&str; 7] = ["crit", "b64", "zip", "jku", "x5u", "x5c", "enc"];

/// A well-formed JWT whose signature nobody has checked.
#[derive(Debug)]
pub struct Unverified<'a> {
    signing_input: &'a str,
    signature: Vec<u8>,
    payload: Vec<u8>,
    header: Header,
    max_bytes: usize,
}

#[derive(Debug)]
struct Header {
    alg: Algorithm,
    kid: Option<String>,
    typ: Option<&'static str>,
    key: Option<VerifyingKey>,
}

/// A JWT whose signature was good: its claims, not yet judged.
#[derive(Debug)]
pub struct Opened {
    /// The algorithm of the signature.
    pub alg: Algorithm,
    /// The name of the key, as the header has it.
    pub kid: Option<String>,
    /// Which of the profile's media types it names, spelled as the profile spells it.
    pub typ: Option<&'static str>,
    /// The payload as it was signed; see [`json::raw_members`].
    pub payload_text: String,
    /// The payload, read.
    pub claims: json::Object,
}

/// Takes a JWT apart under `profile`. Nothing in the result can be trusted yet.
pub fn open<'a>(token: &'a str, profile: &Profile) -> Result<Unverified<'a>, JwtError> {
    if token.len() > profile.max_bytes {
        return Err(JwtError::TooLong { max: profile.max_bytes });
    }
    let (signing_input, signature) = token.rsplit_once('.').ok_or(JwtError::NotCompact)?;
    let (header, payload) = signing_input.split_once('.').ok_or(JwtError::NotCompact)?;
    // A further dot is not in the base64url alphabet, so a JWE with its five parts ends here.
    let header = read_header(&part(header)?, profile)?;
    let (payload, signature) = (part(payload)?, part(signature)?);
    Ok(Unverified { signing_input, signature, payload, header, max_bytes: profile.max_bytes })
}

impl Unverified<'_> {
    /// The algorithm that the header names; one of the profile's.
    pub const fn alg(&self) -> Algorithm {
        self.header.alg
    }

    /// The key that the header names.
    pub fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// The payload as presented, by anyone.
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// The key that the header carries, if the profile wants one: proves nothing but that the
    /// sender has its private half, once the signature is verified with it.
    pub const fn header_key(&self) -> Option<&VerifyingKey> {
        self.header.key.as_ref()
    }

    /// Verifies the signature with the issuer's key that the header names.
    pub fn verify_with(self, keys: &KeySet) -> Result<Opened, JwtError> {
        let key = keys.find(self.kid(), self.alg()).ok_or(JwtError::UnknownKey)?;
        self.verify(key)?;
        self.read_payload()
    }

    /// Verifies the signature with the key that the header carries, and returns that key.
    pub fn verify_with_header_key(mut self) -> Result<(Opened, VerifyingKey), JwtError> {
        let key = self.header.key.take().ok_or(JwtError::UnknownKey)?;
        self.verify(&key)?;
        Ok((self.read_payload()?, key))
    }

    fn verify(&self, key: &VerifyingKey) -> Result<(), JwtError> {
        if key.alg() != self.alg() {
            return Err(JwtError::UnknownKey);
        }
        key.verify(self.signing_input.as_bytes(), &self.signature)
            .map_err(|_| JwtError::BadSignature)
    }

    fn read_payload(self) -> Result<Opened, JwtError> {
        let claims =
            json::parse(&self.payload, &limits(self.max_bytes)).map_err(JwtError::PayloadJson)?;
        let json::Value::Object(claims) = claims else {
            return Err(JwtError::PayloadNotAnObject);
        };
        let payload_text = String::from_utf8(self.payload).map_err(|error| {
            JwtError::PayloadJson(JsonError::NotUtf8 { at: error.utf8_error().valid_up_to() })
        })?;
        let Header { alg, kid, typ, .. } = self.header;
        Ok(Opened { alg, kid, typ, payload_text, claims })
    }
}

/// The payload of a compact JWS as presented, by anyone; nothing is proved.
pub fn payload_of(jws: &str) -> Option<Vec<u8>> {
    let (signing_input, _) = jws.rsplit_once('.')?;
    let (_, payload) = signing_input.split_once('.')?;
    from_base64url(payload)
}

fn part(text: &str) -> Result<Vec<u8>, JwtError> {
    from_base64url(text).filter(|bytes| !bytes.is_empty()).ok_or(JwtError::NotCompact)
}

fn read_header(bytes: &[u8], profile: &Profile) -> Result<Header, JwtError> {
    let header = json::parse(bytes, &limits(profile.max_bytes)).map_err(JwtError::HeaderJson)?;
    let header = header.as_object().ok_or(JwtError::NotCompact)?;
    if let Some(refused) = REFUSED.into_iter().find(|name| header.contains(name)) {
        return Err(JwtError::HeaderRefused(refused));
    }
    let typ = read_typ(text_member(header, "typ")?, &profile.typ)?;
    let alg = text_member(header, "alg")?.ok_or(JwtError::HeaderMember("alg"))?;
    let alg = Algorithm::from_name(alg).filter(|alg| profile.algs.contains(alg));
    let alg = alg.ok_or(JwtError::Alg)?;
    let kid = text_member(header, "kid")?;
    if kid.is_some_and(|kid| !text::is_printable_ascii(kid, jwk::MAX_KID)) {
        return Err(JwtError::HeaderMember("kid"));
    }
    let key = read_key(header.get("jwk"), alg, profile)?;
    Ok(Header { alg, kid: kid.map(str::to_owned), typ, key })
}

fn read_typ(typ: Option<&str>, rule: &TypRule) -> Result<Option<&'static str>, JwtError> {
    let Some(typ) = typ else {
        return if rule.absent { Ok(None) } else { Err(JwtError::Typ) };
    };
    // RFC 7515 section 4.1.9: a value without a slash stands for `application/` and that value.
    let name = match typ.split_once('/') {
        Some((kind, name)) if kind.eq_ignore_ascii_case("application") => name,
        Some(_) => return Err(JwtError::Typ),
        None => typ,
    };
    let accepted = rule.accepted.iter().find(|accepted| accepted.eq_ignore_ascii_case(name));
    accepted.copied().map(Some).ok_or(JwtError::Typ)
}

fn read_key(
    jwk: Option<&json::Value>,
    alg: Algorithm,
    profile: &Profile,
) -> Result<Option<VerifyingKey>, JwtError> {
    match (jwk, profile.header_jwk) {
        (None, false) => Ok(None),
        (Some(_), false) => Err(JwtError::HeaderRefused("jwk")),
        (None, true) => Err(JwtError::HeaderMember("jwk")),
        (Some(value), true) => {
            let jwk = value.as_object().ok_or(JwtError::HeaderMember("jwk"))?;
            let key = jwk::read(jwk, &[alg]).map_err(JwtError::HeaderKey)?;
            key.map(Some).ok_or(JwtError::HeaderKey(JwkError::Unusable))
        }
    }
}

fn text_member<'a>(
    header: &'a json::Object,
    name: &'static str,
) -> Result<Option<&'a str>, JwtError> {
    header.get(name).map(|value| value.as_str().ok_or(JwtError::HeaderMember(name))).transpose()
}

const fn limits(max_bytes: usize) -> Limits {
    Limits { max_bytes, max_depth: MAX_DEPTH, ..Limits::DEFAULT }
}
