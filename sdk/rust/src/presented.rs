//! The one token that a request shows, and the DPoP proof that came with it.

use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, HeaderValue},
};

use crate::secret::Secret;

/// The longest token or proof that is passed on: Deputy's call tokens are at most 4 KiB.
const CREDENTIAL_BYTES_MAX: usize = 8 * 1024;
const DPOP: HeaderName = HeaderName::from_static("dpop");

/// What a request shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The token.
    pub token: Secret,
    /// The proof, for a token under the scheme `DPoP`.
    pub proof: Option<Secret>,
}

/// Takes the credentials off a request: one token under `Bearer` (RFC 6750 section 2.1), or one
/// under `DPoP` with one proof (RFC 9449 section 7.1). The server behind does not see them.
pub fn take(headers: &mut HeaderMap) -> Option<Presented> {
    let presented = look(headers);
    headers.remove(AUTHORIZATION);
    headers.remove(DPOP);
    presented
}

fn look(headers: &HeaderMap) -> Option<Presented> {
    let (scheme, token) = only(headers, &AUTHORIZATION)?.split_once(' ')?;
    if !is_token68(token) {
        return None;
    }
    let token = Secret::new(token.to_owned());
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Presented { token, proof: None });
    }
    let proof = only(headers, &DPOP).filter(|proof| !proof.is_empty())?;
    let proof = Some(Secret::new(proof.to_owned()));
    scheme.eq_ignore_ascii_case("dpop").then_some(Presented { token, proof })
}

/// The value of a header that is there once, in a sane size.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    Some(value).filter(|value| value.len() <= CREDENTIAL_BYTES_MAX).map(HeaderValue::to_str)?.ok()
}

/// RFC 9110 section 11.2.
fn is_token68(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    !body.is_empty() && body.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sent: &[(&'static str, &str)]) -> Option<Presented> {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let presented = take(&mut headers);
        assert!(headers.is_empty(), "nothing of it goes on");
        presented
    }

    #[test]
    fn anything_but_one_token_is_none() {
        for bad in ["", "Bearer", "Bearer  x", "Basic eDp5", "Bearer a b", "x", "DPoP x"] {
            assert_eq!(shown(&[("authorization", bad)]), None, "{bad}");
        }
        assert_eq!(shown(&[("authorization", "Bearer a"), ("authorization", "Bearer a")]), None);
        let long = format!("Bearer {}", "a".repeat(CREDENTIAL_BYTES_MAX));
        assert_eq!(shown(&[("authorization", &long)]), None);
    }

    #[test]
    fn a_bound_token_comes_with_one_proof() {
        let both = shown(&[("authorization", "dpop t"), ("dpop", "p")]).unwrap();
        assert_eq!(both.proof, Some(Secret::new("p".to_owned())));
        assert_eq!(shown(&[("authorization", "DPoP t"), ("dpop", "p"), ("dpop", "p")]), None);
        let bearer = shown(&[("authorization", "bearer t"), ("dpop", "p")]).unwrap();
        assert_eq!(bearer.proof, None, "a proof beside a bearer token proves nothing");
        assert!(!format!("{both:?}{bearer:?}").contains('"'), "nothing of it is printed");
    }
}
