//! Writing a JWT: our header and a payload that the caller has already serialised.

use crate::{
    base::json,
    jose::{KeyError, SigningKey, to_base64url},
};

/// `payload` as a JWS in compact serialisation (RFC 7515 section 7.1), with `typ`, `alg` and `kid`
/// in the header and nothing else.
pub fn sign_compact(typ: &str, key: &SigningKey, payload: &[u8]) -> Result<String, KeyError> {
    let (typ, alg, kid) = (json::quote(typ), key.alg(), json::quote(key.kid()));
    let header = format!(r#"{{"typ":{typ},"alg":"{alg}","kid":{kid}}}"#);
    let mut token = format!("{}.{}", to_base64url(header.as_bytes()), to_base64url(payload));
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&to_base64url(&signature));
    Ok(token)
}
