//! Proof against what we did not write: Project Wycheproof's signature vectors through our own
//! verifier and our policy for keys. Every valid case that we refuse has its reason in a table, and
//! every count is compared, so that a file that is cut or a case that is skipped is seen.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deputy::jose::{Algorithm, JwtError, KeySet, Profile, TypRule, open};
use serde_json::{Value, json};

const ANY: Profile = Profile {
    name: "vector",
    typ: TypRule { accepted: &["JWT", "JOSE"], absent: true },
    algs: &Algorithm::ALL,
    max_bytes: 16_384,
    header_jwk: false,
};

/// See `tests/vectors/README.md`.
const LEFT_OUT: [u64; 3] = [367, 370, 372];
/// Signed with PS384 by a key that says PS256: a key is used with one algorithm (RFC 8725 section
/// 3.1), and this one is not on our list.
const OTHER_ALGORITHM: [u64; 2] = [346, 350];

#[derive(Debug, Default, PartialEq)]
struct Counts {
    accepted: usize,
    refused: usize,
    /// Valid, but of a kind that is refused by policy.
    unused: usize,
}

fn file(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/wycheproof");
    serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a Vec<Value> {
    value[name].as_array().unwrap()
}

/// The group's keys as an issuer would publish them: the public half where there is one.
fn published(group: &Value) -> Vec<u8> {
    let key = group.get("public").unwrap_or(&group["private"]);
    let set = if key.get("keys").is_some() { key.clone() } else { json!({ "keys": [key] }) };
    set.to_string().into_bytes()
}

/// Whether the signature was found good. The vectors sign texts that are no claims sets, which we
/// say only after the signature was verified.
fn accepts(keys: &KeySet, token: &str) -> bool {
    match open(token, &ANY).and_then(|unverified| unverified.verify_with(keys)) {
        Ok(_) | Err(JwtError::PayloadJson(_) | JwtError::PayloadNotAnObject) => true,
        Err(_) => false,
    }
}

/// Why a valid case is refused all the same. Anything else that is valid must be accepted.
fn refused_by_policy(group: &Value, case: &Value) -> bool {
    let key = group.get("public").unwrap_or(&group["private"]);
    let key = key.get("keys").map_or(key, |keys| &keys[0]);
    // HMAC is never used where keys are public, and these two are not on our list.
    let unused = ["HS256", "HS384", "HS512", "PS384", "PS512", "ES521"];
    let encrypts = key["use"] == "enc";
    // A JWT without a claims set is none.
    unused.contains(&key["alg"].as_str().unwrap_or_default())
        || encrypts
        || case["comment"] == "emptyPayload"
        || case["tcId"].as_u64().is_some_and(|id| OTHER_ALGORITHM.contains(&id))
}

fn run(name: &str) -> Counts {
    let mut counts = Counts::default();
    let vectors = file(name);
    for group in list(&vectors, "testGroups") {
        let keys = KeySet::parse_jwks(&published(group), &Algorithm::ALL);
        for case in list(group, "tests") {
            let id = case["tcId"].as_u64().unwrap();
            if name == "json_web_signature_test.json" && LEFT_OUT.contains(&id) {
                continue;
            }
            let token = case["jws"].as_str().or(case["jwe"].as_str());
            let token = token.map_or_else(|| case["jws"].to_string(), str::to_owned);
            let accepted = keys.as_ref().is_ok_and(|keys| accepts(keys, &token));
            match (case["result"].as_str().unwrap(), accepted) {
                ("valid", true) => counts.accepted += 1,
                ("valid", false) if refused_by_policy(group, case) => counts.unused += 1,
                ("invalid", false) => counts.refused += 1,
                (result, _) => panic!("{name}: case {id} is {result}, but: {accepted}; {keys:?}"),
            }
        }
    }
    counts
}

#[test]
fn jw1_wycheproof_json_web_signatures() {
    let found = run("json_web_signature_test.json");
    assert_eq!(found, Counts { accepted: 20, refused: 353, unused: 25 });
}

#[test]
fn jw6_wycheproof_json_web_crypto() {
    let found = run("json_web_crypto_test.json");
    assert_eq!(found, Counts { accepted: 2, refused: 77, unused: 4 });
}

#[test]
fn jw8_wycheproof_json_web_keys() {
    let found = run("json_web_key_test.json");
    assert_eq!(found, Counts { accepted: 1, refused: 21, unused: 4 });
}

/// Signatures over bare messages: the primitives as our keys use them.
fn signatures(name: &str) -> Counts {
    let mut counts = Counts::default();
    let vectors = file(name);
    for group in list(&vectors, "testGroups") {
        let jwks = published(&json!({ "public": jwk(&group["publicKey"]) }));
        let keys = KeySet::parse_jwks(&jwks, &Algorithm::ALL).unwrap();
        let key = keys.iter().next().unwrap();
        for case in list(group, "tests") {
            let bytes = |member: &str| hex(case[member].as_str().unwrap());
            let accepted = key.verify(&bytes("msg"), &bytes("sig")).is_ok();
            match (case["result"].as_str().unwrap(), accepted) {
                ("valid", true) => counts.accepted += 1,
                ("invalid", false) => counts.refused += 1,
                (result, _) => panic!("{name}: case {} is {result}: {case}", case["tcId"]),
            }
        }
    }
    counts
}

/// The key as a JWK, from the coordinates that every group has.
fn jwk(key: &Value) -> Value {
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    if let Some(point) = key["pk"].as_str() {
        return json!({ "kty": "OKP", "crv": "Ed25519", "x": text(&hex(point)) });
    }
    let point = hex(key["uncompressed"].as_str().unwrap());
    json!({ "kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..]) })
}

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks_exact(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn jw1_wycheproof_ecdsa_on_p256() {
    let found = signatures("ecdsa_secp256r1_sha256_p1363_test.json");
    assert_eq!(found, Counts { accepted: 173, refused: 89, unused: 0 });
}

#[test]
fn jw1_wycheproof_ed25519() {
    let found = signatures("ed25519_test.json");
    assert_eq!(found, Counts { accepted: 88, refused: 63, unused: 0 });
}
