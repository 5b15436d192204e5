//! From an issuer's URL to the URL of its keys, by OpenID Connect Discovery or RFC 8414. Nothing
//! else of the metadata is believed or kept.

use reqwest::Url;

use super::{
    error::{FetchError, shown},
    fetch::Fetcher,
};
use crate::base::json::{self, Limits};

/// The URL of the keys of `issuer`, as its own metadata states it.
///
/// OpenID Connect Discovery is tried first because nearly every issuer has it; RFC 8414 second.
pub async fn jwks_uri(fetcher: &Fetcher, issuer: &str) -> Result<String, FetchError> {
    let places = Places::of(issuer)?;
    match metadata(fetcher, issuer, &places.openid).await {
        Err(first) if worth_another_try(&first) => {
            metadata(fetcher, issuer, &places.oauth).await.map_err(|second| telling(first, second))
        }
        settled => settled,
    }
}

/// The two places where metadata may be.
#[derive(Debug, PartialEq, Eq)]
struct Places {
    openid: String,
    oauth: String,
}

impl Places {
    fn of(issuer: &str) -> Result<Places, FetchError> {
        let bad = |why| FetchError::BadUrl { url: shown(issuer), why };
        let url = Url::parse(issuer).map_err(|_| bad("it is not an absolute URL"))?;
        // RFC 8414 section 2: an issuer has no query and no fragment.
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("an issuer has no query and no fragment"));
        }
        // Both texts: a terminating slash is removed before the well-known part is added.
        let bare = issuer.strip_suffix('/').unwrap_or(issuer);
        let path = url.path().strip_suffix('/').unwrap_or(url.path());
        let origin = url.origin().ascii_serialization();
        Ok(Places {
            // OpenID Connect Discovery 1.0 section 4: appended.
            openid: format!("{bare}/.well-known/openid-configuration"),
            // RFC 8414 section 3.1: inserted between host and path.
            oauth: format!("{origin}/.well-known/oauth-authorization-server{path}"),
        })
    }
}

/// The other place is tried only when this one answered, but with something else: a host that is
/// down would cost a second deadline, and a document that names another issuer is a refusal.
const fn worth_another_try(error: &FetchError) -> bool {
    matches!(
        error,
        FetchError::Status { .. } | FetchError::Redirect { .. } | FetchError::BadJson { .. }
    )
}

/// Of two failures the one that tells more: "not found" says less than anything else.
fn telling(first: FetchError, second: FetchError) -> FetchError {
    match (&first, &second) {
        (FetchError::Status { .. }, FetchError::Status { .. }) => first,
        (FetchError::Status { .. }, _) => second,
        _ => first,
    }
}

async fn metadata(fetcher: &Fetcher, issuer: &str, place: &str) -> Result<String, FetchError> {
    let body = fetcher.get(place).await?;
    let read = Metadata::read(&body, fetcher.options().max_bytes)
        .map_err(|why| FetchError::BadJson { url: shown(place), why: shown(&why) })?;
    // RFC 8414 section 3.3: identical, as a string. This stops one issuer posing as another.
    if read.issuer != issuer {
        return Err(FetchError::WrongIssuer {
            registered: shown(issuer),
            found: shown(&read.issuer),
        });
    }
    if !same_origin(issuer, &read.jwks_uri) {
        return Err(FetchError::ForeignKeys {
            issuer: shown(issuer),
            jwks_uri: shown(&read.jwks_uri),
        });
    }
    Ok(read.jwks_uri)
}

/// What is read of an issuer's metadata.
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Metadata {
    fn read(body: &[u8], max_bytes: usize) -> Result<Metadata, String> {
        let limits = Limits { max_bytes, ..Limits::DEFAULT };
        let document = json::parse(body, &limits).map_err(|error| error.to_string())?;
        let members = document.as_object().ok_or("it is not an object")?;
        let text = |name: &str| {
            let value = members.get(name).and_then(json::Value::as_str);
            value.map(str::to_owned).ok_or_else(|| format!("`{name}` is missing or not a string"))
        };
        Ok(Metadata { issuer: text("issuer")?, jwks_uri: text("jwks_uri")? })
    }
}

/// Whether both are the same scheme, host and port.
fn same_origin(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin().is_tuple() && one.origin() == other.origin(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_part_is_appended_or_inserted() {
        for (issuer, openid, oauth) in [
            (
                "https://idp.example",
                "https://idp.example/.well-known/openid-configuration",
                "https://idp.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://idp.example/",
                "https://idp.example/.well-known/openid-configuration",
                "https://idp.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://idp.example:8443/t/one",
                "https://idp.example:8443/t/one/.well-known/openid-configuration",
                "https://idp.example:8443/.well-known/oauth-authorization-server/t/one",
            ),
            (
                "https://idp.example/t/",
                "https://idp.example/t/.well-known/openid-configuration",
                "https://idp.example/.well-known/oauth-authorization-server/t",
            ),
        ] {
            let places = Places { openid: openid.to_owned(), oauth: oauth.to_owned() };
            assert_eq!(Places::of(issuer), Ok(places));
        }
        for issuer in ["", "idp.example", "https://idp.example/?t=1", "https://idp.example/#t"] {
            assert_eq!(Places::of(issuer).unwrap_err().code(), "bad_url", "{issuer}");
        }
    }

    #[test]
    fn metadata_is_read_strictly() {
        let good = br#"{"issuer":"https://a","jwks_uri":"https://a/k","other":[1]}"#;
        assert!(Metadata::read(good, 999).is_ok_and(|read| read.jwks_uri == "https://a/k"));
        for bad in [
            r#"{"issuer":"https://a","issuer":"https://b","jwks_uri":"https://a/k"}"#,
            r#"{"issuer":"https://a"}"#,
            r#"{"issuer":["https://a"],"jwks_uri":"https://a/k"}"#,
            "[]",
            "<html>",
            "",
        ] {
            assert!(Metadata::read(bad.as_bytes(), 999).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_are_believed_only_on_the_issuers_own_origin() {
        let issuer = "https://idp.example/t";
        assert!(same_origin(issuer, "https://idp.example/keys"));
        assert!(same_origin(issuer, "https://IDP.example:443/keys"));
        for elsewhere in [
            "http://idp.example/keys",
            "https://idp.example:444/keys",
            "https://example/keys",
            "https://idp.example.evil.test/keys",
            "https://idp.example@evil.test/keys",
            "data:application/json,{}",
            "/keys",
            "",
        ] {
            assert!(!same_origin(issuer, elsewhere), "{elsewhere}");
        }
    }
}
