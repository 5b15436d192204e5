//! The private key of a client, and the assertions it signs (RFC 7523): one for each request.

use std::fmt;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    rand::{SecureRandom as _, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{clock, error::SetupError};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// Seconds for which an assertion may be used; Deputy takes none that lives longer than 300.
const LIFE_S: u64 = 60;
/// Bytes of chance in a `jti`: an assertion is made for one request and works once.
const JTI_BYTES: usize = 16;

/// A key on P-256 or Ed25519.
pub struct PrivateKey {
    signer: Signer,
    kid: String,
    random: SystemRandom,
}

enum Signer {
    Es256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl PrivateKey {
    /// Reads PKCS #8 in PEM.
    pub fn from_pem(pem: &str, kid: &str) -> Result<PrivateKey, SetupError> {
        let body = pem.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
        let body = body.ok_or(SetupError::PrivateKey)?;
        let body: Zeroizing<String> =
            Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
        let der = STANDARD.decode(body.as_bytes()).map_err(|_| SetupError::PrivateKey)?;
        let (der, random) = (Zeroizing::new(der), SystemRandom::new());
        let es256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &random);
        let signer = match es256 {
            Ok(key) => Signer::Es256(key),
            Err(_) => Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
                .map(Signer::Ed25519)
                .map_err(|_| SetupError::PrivateKey)?,
        };
        Ok(PrivateKey { signer, kid: kid.to_owned(), random })
    }

    /// The fields of one request that say who asks (RFC 7523 section 2.2).
    pub fn fields(&self, client_id: &str, issuer: &str) -> Option<Vec<(&'static str, String)>> {
        let now = clock::epoch_s();
        let mut jti = [0; JTI_BYTES];
        self.random.fill(&mut jti).ok()?;
        let alg = match self.signer {
            Signer::Es256(_) => "ES256",
            Signer::Ed25519(_) => "EdDSA",
        };
        let head = json!({ "typ": "client-authentication+jwt", "alg": alg, "kid": self.kid });
        let said = json!({
            "iss": client_id, "sub": client_id, "aud": issuer,
            "iat": now, "exp": now.saturating_add(LIFE_S), "jti": URL_SAFE_NO_PAD.encode(jti),
        });
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(head), part(said));
        let signature = self.sign(signed.as_bytes())?;
        Some(vec![
            ("client_id", client_id.to_owned()),
            ("client_assertion_type", ASSERTION_TYPE.to_owned()),
            ("client_assertion", format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))),
        ])
    }

    fn sign(&self, text: &[u8]) -> Option<Vec<u8>> {
        match &self.signer {
            Signer::Es256(key) => {
                key.sign(&self.random, text).ok().map(|signature| signature.as_ref().to_vec())
            }
            Signer::Ed25519(key) => Some(key.sign(text).as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.kid)
    }
}
