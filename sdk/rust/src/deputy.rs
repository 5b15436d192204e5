//! Deputy as a server asks it: is this token good here, and may this very call be made?

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Url;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::{
    answer::{self, Asked, Claims, Verdict},
    credentials::Credentials,
    error::{SetupError, Unavailable},
    wire::Wire,
};

/// Bytes of chance in a `call_id`.
const CALL_ID_BYTES: usize = 16;

/// Deputy, for the one resource that a server is. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Deputy {
    wire: Wire,
    resource: Url,
    resource_text: String,
}

/// One call of a tool: its name, and the JSON text of the arguments, byte for byte as they came.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The tool's name.
    pub tool: String,
    /// The text of one JSON object.
    pub arguments: String,
}

impl Deputy {
    /// Deputy at `issuer`, asked by the owner of `resource`, the URL at which the MCP server is
    /// registered.
    pub fn new(
        issuer: &str,
        credentials: Credentials,
        resource: &str,
    ) -> Result<Deputy, SetupError> {
        let url = Url::parse(resource).ok().filter(|url| {
            let called = matches!(url.scheme(), "http" | "https") && url.has_host();
            called && url.query().is_none() && url.fragment().is_none()
        });
        let url = url.ok_or_else(|| SetupError::Resource(resource.to_owned()))?;
        let wire = Wire::new(issuer, credentials)?;
        Ok(Deputy { wire, resource: url, resource_text: resource.to_owned() })
    }

    /// The same with another limit to one question; five seconds otherwise. Beyond it nothing is
    /// permitted.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Deputy {
        Deputy { wire: self.wire.with_timeout(timeout), ..self }
    }

    /// The issuer whose tokens are accepted.
    pub fn issuer(&self) -> &str {
        self.wire.issuer()
    }

    /// The URI that this server is registered as.
    pub fn resource(&self) -> &str {
        &self.resource_text
    }

    /// The claims of a token that is live here (RFC 7662). No call may be made on this answer.
    pub async fn introspect(&self, token: &str) -> Result<Option<Claims>, Unavailable> {
        let fields = [("token", token), ("resource", self.resource())];
        answer::token(self.wire.post("introspect", &fields).await?, self.asked())
    }

    /// Asks about one execution of one call. `proof` is the DPoP proof that came with the request,
    /// a `POST`; Deputy checks it for this resource.
    pub async fn decide(
        &self,
        token: &str,
        call: &Call,
        proof: Option<&str>,
    ) -> Result<Verdict, Unavailable> {
        // Chance, and ours alone: who sends the call must not be able to name another's.
        let call_id = call_id()?;
        let mut fields = vec![
            ("token", token),
            ("resource", self.resource()),
            ("tool", &call.tool),
            ("arguments", &call.arguments),
            ("call_id", &call_id),
        ];
        if let Some(proof) = proof {
            // What clients see as our address is what we are registered as, whatever `Host` says.
            fields.extend([("dpop_proof", proof), ("htm", "POST"), ("htu", self.resource())]);
        }
        answer::call(self.wire.post("introspect", &fields).await?, self.asked(), &call.tool)
    }

    /// The path of the protected resource metadata (RFC 9728 section 3.1).
    pub(crate) fn metadata_path(&self) -> String {
        let path = self.resource.path().trim_end_matches('/');
        format!("/.well-known/oauth-protected-resource{path}")
    }

    /// The URL of the same.
    pub(crate) fn metadata_url(&self) -> String {
        format!("{}{}", self.resource.origin().ascii_serialization(), self.metadata_path())
    }

    fn asked(&self) -> Asked<'_> {
        Asked { issuer: self.issuer(), resource: self.resource() }
    }
}

impl fmt::Debug for Call {
    /// The arguments are the client's own business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("tool", &self.tool).finish_non_exhaustive()
    }
}

fn call_id() -> Result<String, Unavailable> {
    let mut bytes = [0_u8; CALL_ID_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Unavailable::NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
