//! DPoP proofs (RFC 9449): whether the sender of a request holds a key, and for which request it
//! proved that. That a proof is used once is for the commit to see; nonces are stateless, so that
//! every instance knows every other's.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::verify::profiles;
use crate::{
    base::{
        claims::{self, ClaimError},
        json::Object,
        secret::Fingerprint,
        text,
        time::{Seconds, Timestamp},
    },
    jose::{self, JwtError, MacKey},
    model::{effect::Once, token::KeyThumbprint},
};

/// How far a proof's `iat` may be from our clock, either way.
const WINDOW: Seconds = Seconds::new(60);
/// How often the nonce changes. The one before is accepted too, so one lives one to two minutes.
const NONCE_EVERY_S: i64 = 60;
/// RFC 9449 section 11.1: a bound for what must be remembered.
const MAX_JTI_BYTES: usize = 256;

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofFault {
    /// None was sent where one is needed.
    Missing,
    /// Not a JWT of this kind, or not signed by the key in its header.
    Jwt(JwtError),
    /// A claim is missing or of the wrong type.
    Claim(ClaimError),
    /// Made for another method.
    Method,
    /// Made for another URI.
    Uri,
    /// Made too long ago, or in the future.
    Time,
    /// Its `jti` names nothing that could be remembered.
    Id,
    /// Not made for this access token.
    Token,
    /// By another key than the token's.
    Key,
    /// Without our nonce, or with an old one.
    Nonce {
        /// The one to make it with.
        give: String,
    },
}

impl ProofFault {
    /// What the caller may read.
    pub const fn description(&self) -> &'static str {
        match self {
            ProofFault::Missing => "send a DPoP proof: it is needed here",
            ProofFault::Jwt(_) => {
                "the DPoP proof must be a JWT of typ dpop+jwt, signed by the public key in its jwk"
            }
            ProofFault::Claim(_) => {
                "the DPoP proof needs jti, htm, htu and iat, each of its own type"
            }
            ProofFault::Method => "htm of the DPoP proof is not the method of this request",
            ProofFault::Uri => "htu of the DPoP proof is not the URI of this request",
            ProofFault::Time => "iat of the DPoP proof is more than 60 seconds from now",
            ProofFault::Id => "jti of the DPoP proof must have 1 to 256 printable characters",
            ProofFault::Token => "ath of the DPoP proof is not the hash of the access token",
            ProofFault::Key => "the DPoP proof is by another key than the token is bound to",
            ProofFault::Nonce { .. } => "make the DPoP proof again with the nonce in DPoP-Nonce",
        }
    }

    /// The machine code for the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            ProofFault::Missing => "dpop_proof_missing",
            ProofFault::Jwt(_) => "dpop_proof_not_verifiable",
            ProofFault::Claim(_) => "dpop_proof_claims",
            ProofFault::Method => "dpop_proof_method",
            ProofFault::Uri => "dpop_proof_uri",
            ProofFault::Time => "dpop_proof_time",
            ProofFault::Id => "dpop_proof_jti",
            ProofFault::Token => "dpop_proof_token",
            ProofFault::Key => "dpop_proof_key",
            ProofFault::Nonce { .. } => "dpop_proof_nonce",
        }
    }
}

impl From<ClaimError> for ProofFault {
    fn from(error: ClaimError) -> Self {
        ProofFault::Claim(error)
    }
}

/// The request that a proof must have been made for.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Its method, exactly (DP-2: case-sensitive).
    pub method: &'a str,
    /// Its URI, as configured and never as `Host` has it.
    pub uri: &'a str,
    /// The access token sent with it, where one is.
    pub token: Option<&'a Fingerprint>,
}

/// A proof that was verified: whoever sent the request holds this key. It must still be used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    key: KeyThumbprint,
    nonce: Option<String>,
    once: Once,
}

impl Holder {
    /// Somebody who would prove a key, for a request that nobody sends: `simulate` supposes one. No
    /// client could hold it, and nothing that comes of it is signed or committed.
    pub fn supposed(now: Timestamp) -> Holder {
        let key = KeyThumbprint::of("supposed");
        Holder { once: Once::proof(key.as_str(), "supposed", now), key, nonce: None }
    }

    /// The key.
    pub const fn key(&self) -> &KeyThumbprint {
        &self.key
    }

    /// What is used up by this proof.
    pub const fn once(&self) -> &Once {
        &self.once
    }

    /// DP-5: refused without one of the nonces of now. There is no way around: a proof that was
    /// made before we were asked could have been made by anybody who held the key for a moment.
    pub fn made_with(self, nonces: &MacKey, now: Timestamp) -> Result<Holder, ProofFault> {
        let slot = slot(now);
        let known = self.nonce.as_deref().is_some_and(|given| {
            [slot, slot.saturating_sub(1)].into_iter().any(|slot| {
                let expected = nonce_of(nonces, slot);
                subtle::ConstantTimeEq::ct_eq(expected.as_bytes(), given.as_bytes()).into()
            })
        });
        if known { Ok(self) } else { Err(ProofFault::Nonce { give: nonce(nonces, now) }) }
    }
}

/// The nonce of now: a keyed hash of the minute, so that nobody can know one before it is given.
pub fn nonce(nonces: &MacKey, now: Timestamp) -> String {
    nonce_of(nonces, slot(now))
}

const fn slot(now: Timestamp) -> i64 {
    now.epoch_s().div_euclid(NONCE_EVERY_S)
}

fn nonce_of(nonces: &MacKey, slot: i64) -> String {
    URL_SAFE_NO_PAD.encode(nonces.short_tag::<16>(&[&slot.to_be_bytes()]))
}

/// Verifies a proof for a request. RFC 9449 section 4.3, in its order.
pub fn verify(proof: &str, shown: Shown<'_>, now: Timestamp) -> Result<Holder, ProofFault> {
    let opened = jose::open(proof, &profiles::DPOP_PROOF);
    let (opened, key) =
        opened.and_then(jose::Unverified::verify_with_header_key).map_err(ProofFault::Jwt)?;
    let claims = &opened.claims;
    let jti = claims::required_text(claims, "jti")?;
    if !text::is_printable_ascii(jti, MAX_JTI_BYTES) {
        return Err(ProofFault::Id);
    }
    if claims::required_text(claims, "htm")? != shown.method {
        return Err(ProofFault::Method);
    }
    let htu = claims::required_text(claims, "htu")?;
    if normal(htu).is_none_or(|htu| normal(shown.uri) != Some(htu)) {
        return Err(ProofFault::Uri);
    }
    let issued_at = claims::required_time(claims, "iat")?;
    if issued_at.plus(WINDOW) < now || now.plus(WINDOW) < issued_at {
        return Err(ProofFault::Time);
    }
    token_hash(claims, shown.token)?;
    let nonce = claims::text(claims, "nonce")?.map(str::to_owned);
    let key = KeyThumbprint::of(&key.thumbprint());
    // Remembered for as long as its time could pass once more.
    let until = issued_at.plus(WINDOW).plus(Seconds::new(1));
    let once = Once::proof(key.as_str(), jti, until);
    Ok(Holder { key, nonce, once })
}

/// DP-6: `ath` is there exactly where a token is, and is its hash.
fn token_hash(claims: &Object, token: Option<&Fingerprint>) -> Result<(), ProofFault> {
    let found = claims::text(claims, "ath")?;
    let Some(token) = token else { return Ok(()) };
    let expected = URL_SAFE_NO_PAD.encode(token.as_bytes());
    if found == Some(expected.as_str()) { Ok(()) } else { Err(ProofFault::Token) }
}

/// A URI without query and fragment, after the syntax-based and scheme-based normalisation of RFC
/// 3986 sections 6.2.2 and 6.2.3. `None`: not an http(s) URI.
fn normal(uri: &str) -> Option<String> {
    let uri = uri.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = uri.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let (authority, path) =
        rest.find('/').map_or((rest, "/"), |at| rest.split_at_checked(at).unwrap_or((rest, "/")));
    let authority = authority.to_ascii_lowercase();
    let host = authority.strip_suffix(default).or(authority.strip_suffix(':'));
    let host = host.unwrap_or(&authority);
    if host.is_empty() || host.contains('@') {
        return None;
    }
    Some(format!("{scheme}://{host}{}", without_dots(&percent_normal(path)?)))
}

/// Percent-encodings in upper case, and none of what needs none.
fn percent_normal(path: &str) -> Option<String> {
    let mut normal = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        normal.push_str(before);
        let (digits, behind) = after.split_at_checked(2)?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        let character = char::from(byte);
        if character.is_ascii_alphanumeric() || "-._~".contains(character) {
            normal.push(character);
        } else {
            normal.push('%');
            normal.push_str(&digits.to_ascii_uppercase());
        }
        rest = behind;
    }
    normal.push_str(rest);
    Some(normal)
}

/// RFC 3986 section 5.2.4.
fn without_dots(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut all = path.split('/').skip(1).peekable();
    while let Some(segment) = all.next() {
        let is_last = all.peek().is_none();
        match segment {
            "." if is_last => segments.push(""),
            "." => {}
            ".." => {
                segments.pop();
                if is_last {
                    segments.push("");
                }
            }
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dp2_uris_are_compared_after_normalisation_without_query_and_fragment() {
        let same = |one: &str, other: &str| normal(one).is_some() && normal(one) == normal(other);
        let token = "https://deputy.example/oauth2/token";
        for alike in [
            "HTTPS://Deputy.Example:443/oauth2/token",
            "https://deputy.example/oauth2/token?x=1",
            "https://deputy.example/oauth2/token#x",
            "https://deputy.example/./x/../oauth2/token",
            "https://deputy.example/oauth2/%74oken",
        ] {
            assert!(same(token, alike), "{alike}");
        }
        for other in [
            "http://deputy.example/oauth2/token",
            "https://deputy.example:8443/oauth2/token",
            "https://deputy.example/oauth2/token/",
            "https://deputy.example/OAUTH2/token",
            "https://deputy.example/oauth2%2Ftoken",
            "https://x@deputy.example/oauth2/token",
            "deputy.example/oauth2/token",
            "/oauth2/token",
            "https:///oauth2/token",
            "https://deputy.example/oauth2/%zztoken",
            "",
        ] {
            assert!(!same(token, other), "{other}");
        }
        assert!(same("https://a.example", "https://a.example/"));
        assert!(same("https://a.example/%2f", "https://a.example/%2F"));
        assert!(same("https://a.example/x/..", "https://a.example/"));
    }

    #[test]
    fn dp5_a_nonce_lives_one_to_two_minutes() {
        let master = crate::base::secret::Secret::new([7; 32]);
        let key = MacKey::derive(&master, "dpop nonce");
        let at = |seconds: i64| Timestamp::from_epoch_s(seconds).unwrap();
        let holder = |nonce: Option<String>| Holder {
            key: KeyThumbprint::of("k"),
            nonce,
            once: Once::proof("k", "j", at(0)),
        };
        let given = nonce(&key, at(600));
        assert_eq!(given.len(), 22);
        let good = |seconds: i64| holder(Some(given.clone())).made_with(&key, at(seconds)).is_ok();
        assert!(good(600) && good(659) && good(719));
        assert!(!good(720) && !good(599));
        assert_eq!(
            holder(None).made_with(&key, at(600)),
            Err(ProofFault::Nonce { give: given.clone() })
        );
        let other = MacKey::derive(&master, "other");
        assert!(holder(Some(nonce(&other, at(600)))).made_with(&key, at(600)).is_err());
    }
}
