//! What the layer promises for honest input: round trips, agreement with another implementation,
//! the policy for keys, and the small tools.

use josekit::{
    jwk::{
        Jwk, KeyPair as _,
        alg::{ec::EcCurve, ed::EdCurve},
    },
    jws::{
        self, ES256, ES384, EdDSA, JwsHeader, JwsSigner, JwsVerifier, PS256, RS256, RS384, RS512,
    },
};

use super::{
    Algorithm, JwkError, JwtError, Kek, KeyError, KeySet, MacKey, Opened, Profile, SealError,
    SigningKey, TypRule, open, password, sign_compact, to_base64url,
};
use crate::base::{json, random::Random, secret::Secret};

pub(super) const AT: Profile = Profile {
    name: "test access token",
    typ: TypRule { accepted: &["at+jwt"], absent: false },
    algs: &Algorithm::ALL,
    max_bytes: 16_384,
    header_jwk: false,
};

/// RSA keys are slow to make without optimisation, so one serves every test of this process.
pub(super) fn rsa_key() -> SigningKey {
    static PKCS8: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let pkcs8 = PKCS8.get_or_init(|| {
        SigningKey::generate(Algorithm::Rs256).unwrap().to_pkcs8().expose().clone()
    });
    SigningKey::from_pkcs8(Algorithm::Rs256, &Secret::new(pkcs8.clone())).unwrap()
}

pub(super) fn key_for(alg: Algorithm) -> SigningKey {
    if alg == Algorithm::Rs256 { rsa_key() } else { SigningKey::generate(alg).unwrap() }
}

pub(super) fn set_of(key: &SigningKey) -> KeySet {
    KeySet::from_keys(vec![key.verifying().clone()])
}

pub(super) fn opened(token: &str, keys: &KeySet) -> Result<Opened, JwtError> {
    open(token, &AT)?.verify_with(keys)
}

fn jwks(keys: &[String]) -> Vec<u8> {
    format!(r#"{{"keys":[{}]}}"#, keys.join(",")).into_bytes()
}

const SIGNING: [Algorithm; 3] = [Algorithm::Es256, Algorithm::Ed25519, Algorithm::Rs256];

#[test]
fn jose_what_we_sign_we_open() {
    for alg in SIGNING {
        let key = key_for(alg);
        let payload = r#"{"sub":"alice","act":{"sub":"a", "x":1.0}}"#;
        let token = sign_compact("at+jwt", &key, payload.as_bytes()).unwrap();
        let published = KeySet::parse_jwks(&jwks(&[key.public_jwk()]), &[alg]).unwrap();
        for keys in [set_of(&key), published] {
            let opened = opened(&token, &keys).unwrap();
            assert_eq!(opened.payload_text, payload);
            assert_eq!((opened.alg, opened.kid.as_deref()), (alg, Some(key.kid())));
            assert_eq!(opened.typ, Some("at+jwt"));
            assert_eq!(opened.claims.get("sub").and_then(json::Value::as_str), Some("alice"));
        }
        let other = SigningKey::generate(Algorithm::Es256).unwrap();
        assert_eq!(opened(&token, &set_of(&other)).unwrap_err(), JwtError::UnknownKey);
    }
}

#[test]
fn jose_private_keys_survive_storage_and_are_not_printed() {
    for alg in SIGNING {
        let key = key_for(alg);
        let again = SigningKey::from_pkcs8(alg, &key.to_pkcs8()).unwrap();
        assert_eq!((again.kid(), again.verifying()), (key.kid(), key.verifying()));
        assert_eq!(format!("{key:?}"), format!("SigningKey({alg} {})", key.kid()));
        let bad = Secret::new(vec![1, 2, 3]);
        assert_eq!(SigningKey::from_pkcs8(alg, &bad).unwrap_err(), KeyError::Malformed(alg));
    }
    let wrong = key_for(Algorithm::Es256).to_pkcs8();
    assert!(SigningKey::from_pkcs8(Algorithm::Ed25519, &wrong).is_err());
    let ps256 = Algorithm::Ps256;
    assert_eq!(SigningKey::generate(ps256).unwrap_err(), KeyError::NotForSigning(ps256));
}

#[test]
fn jose_public_jwks_hold_public_members_only() {
    for alg in SIGNING {
        let jwk = key_for(alg).public_jwk();
        let jwk = json::parse(jwk.as_bytes(), &json::Limits::DEFAULT).unwrap();
        let names: Vec<_> = jwk.as_object().unwrap().iter().map(|(name, _)| name).collect();
        let expected: &[&str] = match alg {
            Algorithm::Es256 => &["kty", "crv", "x", "y", "kid", "use", "alg"],
            Algorithm::Ed25519 => &["kty", "crv", "x", "kid", "use", "alg"],
            _ => &["kty", "n", "e", "kid", "use", "alg"],
        };
        assert_eq!(names, expected);
    }
}

#[test]
fn jose_thumbprint_is_that_of_rfc_7638_and_rfc_8037() {
    let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
    let okp = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    for (jwk, expected) in [
        (rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (okp, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
    ] {
        let set = KeySet::parse_jwks(&jwks(&[jwk.into()]), &Algorithm::ALL).unwrap();
        assert_eq!(set.iter().next().unwrap().thumbprint(), expected);
    }
}

fn josekit_pairs() -> Vec<(Algorithm, Jwk, Box<dyn JwsSigner>)> {
    let rsa = Jwk::generate_rsa_key(2048).unwrap();
    let p256 = ES256.generate_key_pair().unwrap().to_jwk_key_pair();
    let p384 = Jwk::generate_ec_key(EcCurve::P384).unwrap();
    let ed = EdDSA.generate_key_pair(EdCurve::Ed25519).unwrap().to_jwk_key_pair();
    let mut unbound = rsa.clone();
    unbound.set_algorithm("PS256");
    vec![
        (Algorithm::Es256, p256.clone(), Box::new(ES256.signer_from_jwk(&p256).unwrap())),
        (Algorithm::Es384, p384.clone(), Box::new(ES384.signer_from_jwk(&p384).unwrap())),
        (Algorithm::Rs256, rsa.clone(), Box::new(RS256.signer_from_jwk(&rsa).unwrap())),
        (Algorithm::Rs384, rsa.clone(), Box::new(RS384.signer_from_jwk(&rsa).unwrap())),
        (Algorithm::Rs512, rsa.clone(), Box::new(RS512.signer_from_jwk(&rsa).unwrap())),
        (Algorithm::Ps256, unbound.clone(), Box::new(PS256.signer_from_jwk(&unbound).unwrap())),
        (Algorithm::Ed25519, ed.clone(), Box::new(EdDSA.signer_from_jwk(&ed).unwrap())),
    ]
}

#[test]
fn jose_opens_what_another_implementation_signed() {
    for (alg, jwk, signer) in josekit_pairs() {
        let mut public = jwk.to_public_key().unwrap();
        public.set_algorithm(alg.name());
        public.set_key_id("k1");
        let keys = KeySet::parse_jwks(&jwks(&[public.to_string()]), &[alg]).unwrap();
        let mut header = JwsHeader::new();
        header.set_token_type("application/AT+JWT");
        header.set_key_id("k1");
        let token = jws::serialize_compact(br#"{"sub":"bob"}"#, &header, &*signer).unwrap();
        let opened = opened(&token, &keys).unwrap_or_else(|error| panic!("{alg}: {error}"));
        assert_eq!((opened.alg, opened.typ), (alg, Some("at+jwt")));
        let mut tampered = token.clone().into_bytes();
        let last = tampered.len() - 5;
        tampered[last] = if tampered[last] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).unwrap();
        assert_eq!(super::tests::opened(&tampered, &keys).unwrap_err(), JwtError::BadSignature);
    }
}

#[test]
fn jose_another_implementation_opens_what_we_signed() {
    for alg in SIGNING {
        let key = key_for(alg);
        // josekit knows no `Ed25519` as an algorithm's name, so the primitive is compared.
        let jwk = key.public_jwk().replace(r#""alg":"Ed25519""#, r#""alg":"EdDSA""#);
        let jwk = Jwk::from_bytes(jwk).unwrap();
        let verifier: Box<dyn JwsVerifier> = match alg {
            Algorithm::Es256 => Box::new(ES256.verifier_from_jwk(&jwk).unwrap()),
            Algorithm::Ed25519 => Box::new(EdDSA.verifier_from_jwk(&jwk).unwrap()),
            _ => Box::new(RS256.verifier_from_jwk(&jwk).unwrap()),
        };
        let token = sign_compact("at+jwt", &key, b"{}").unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = super::from_base64url(signature).unwrap();
        verifier.verify(input.as_bytes(), &signature).unwrap();
        if alg != Algorithm::Ed25519 {
            let (payload, header) = jws::deserialize_compact(&token, &*verifier).unwrap();
            assert_eq!((payload.as_slice(), header.token_type()), (&b"{}"[..], Some("at+jwt")));
        }
    }
}

#[test]
fn jose_find_wants_kid_and_algorithm_both() {
    let (a, b, c) =
        (key_for(Algorithm::Es256), key_for(Algorithm::Es256), key_for(Algorithm::Ed25519));
    let keys =
        KeySet::from_keys([&a, &b, &c].into_iter().map(|key| key.verifying().clone()).collect());
    let find = |kid, alg| keys.find(kid, alg).and_then(super::VerifyingKey::kid);
    assert_eq!(find(Some(a.kid()), Algorithm::Es256), Some(a.kid()));
    assert_eq!(find(Some(a.kid()), Algorithm::Ed25519), None);
    assert_eq!(find(Some("x"), Algorithm::Es256), None);
    assert_eq!(find(None, Algorithm::Es256), None, "two keys could be meant");
    assert_eq!(find(None, Algorithm::Ed25519), Some(c.kid()));
    assert!(keys.contains_kid(b.kid()) && !keys.contains_kid("x"));
}

fn with(jwk: &str, changes: &[(&str, &str)]) -> String {
    let value = json::parse(jwk.as_bytes(), &json::Limits::DEFAULT).unwrap();
    let mut object = value.as_object().unwrap().clone();
    for (name, text) in changes {
        object.insert(*name, json::parse(text.as_bytes(), &json::Limits::DEFAULT).unwrap());
    }
    object.to_json()
}

#[test]
fn jose_jwk_policy() {
    let ec = &key_for(Algorithm::Es256).public_jwk();
    let ed = &key_for(Algorithm::Ed25519).public_jwk();
    let rsa = &rsa_key().public_jwk();
    let zeros = |bytes: usize| format!("\"{}\"", to_base64url(&vec![0; bytes]));
    let modulus = |bytes: usize| {
        format!("\"{}\"", to_base64url(&[vec![0xc1; bytes - 1], vec![0x01]].concat()))
    };
    let refused = |jwk: &str, changes: &[(&str, &str)]| {
        KeySet::parse_jwks(&jwks(&[with(jwk, changes)]), &Algorithm::ALL).unwrap_err()
    };
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        assert_eq!(refused(ec, &[(name, "null")]), JwkError::NotPublic(name));
        let encryption = [(name, "\"AQAB\""), ("use", "\"enc\"")];
        assert_eq!(refused(rsa, &encryption), JwkError::NotPublic(name), "skipped keys count");
    }
    assert_eq!(refused(ec, &[("kty", "\"oct\"")]), JwkError::NotPublic("kty"));
    let malformed = JwkError::Malformed;
    assert_eq!(refused(ec, &[("kty", "1")]), malformed("kty"));
    assert_eq!(refused(ec, &[("crv", "null")]), malformed("crv"));
    assert_eq!(refused(ec, &[("x", &zeros(33))]), malformed("x"));
    assert_eq!(refused(ec, &[("y", &zeros(31))]), malformed("y"));
    assert_eq!(refused(ec, &[("x", "\"AAAA=\"")]), malformed("x"));
    assert_eq!(refused(ec, &[("kid", "17")]), malformed("kid"));
    assert_eq!(refused(ec, &[("kid", "\"\"")]), malformed("kid"));
    assert_eq!(refused(ec, &[("kid", "\"a\\u0000\"")]), malformed("kid"));
    assert_eq!(refused(ec, &[("use", "[]")]), malformed("use"));
    assert_eq!(refused(ec, &[("key_ops", "\"verify\"")]), malformed("key_ops"));
    assert_eq!(refused(ec, &[("alg", "\"ES384\"")]), JwkError::AlgorithmMismatch);
    assert_eq!(refused(rsa, &[("alg", "\"ES256\"")]), JwkError::AlgorithmMismatch);
    assert_eq!(refused(ed, &[("x", &zeros(32))]), JwkError::SmallOrder);
    assert_eq!(refused(rsa, &[("n", &modulus(128))]), JwkError::RsaSize { bits: 1024 });
    assert_eq!(refused(rsa, &[("n", &modulus(1024))]), JwkError::RsaSize { bits: 8192 });
    assert_eq!(refused(rsa, &[("n", &zeros(256))]), malformed("n"));
    let even = format!("\"{}\"", to_base64url(&[0xc0; 256]));
    assert_eq!(refused(rsa, &[("n", &even)]), malformed("n"));
    for exponent in [&[1][..], &[3], &[1, 0, 0], &[1, 0, 0, 0, 1], &[1; 9]] {
        let e = format!("\"{}\"", to_base64url(exponent));
        assert_eq!(refused(rsa, &[("e", &e)]), JwkError::RsaExponent, "{exponent:?}");
    }
    assert_eq!(refused(rsa, &[("e", "\"AAEAAQ\"")]), malformed("e"));
}

#[test]
fn jose_jwks_skip_what_is_not_for_us() {
    let ec = &key_for(Algorithm::Es256).public_jwk();
    let rsa = &rsa_key().public_jwk();
    for (jwk, changes) in [
        (ec, &[("use", "\"enc\"")][..]),
        (ec, &[("key_ops", "[\"deriveKey\"]")]),
        (ec, &[("kty", "\"AKP\"")]),
        (ec, &[("crv", "\"secp256k1\"")]),
        (ec, &[("alg", "\"ECDH-ES\"")]),
        (rsa, &[("alg", "\"RSA-OAEP\"")]),
        (rsa, &[("alg", "\"HS256\"")]),
        (rsa, &[("alg", "\"none\"")]),
        (rsa, &[("alg", "\"rs256\"")]),
    ] {
        let set = KeySet::parse_jwks(&jwks(&[with(jwk, changes)]), &Algorithm::ALL).unwrap();
        assert!(set.is_empty(), "{changes:?}");
    }
    let set = KeySet::parse_jwks(&jwks(&[ec.clone(), rsa.clone()]), &[Algorithm::Rs256]).unwrap();
    assert_eq!(set.iter().map(super::VerifyingKey::alg).collect::<Vec<_>>(), [Algorithm::Rs256]);
    assert!(KeySet::parse_jwks(br#"{"keys":[]}"#, &Algorithm::ALL).unwrap().is_empty());
}

#[test]
fn jose_an_rsa_key_without_alg_is_bound_to_one() {
    let rsa = rsa_key().public_jwk().replace(r#","alg":"RS256""#, "");
    let bound = |allowed: &[Algorithm]| {
        let set = KeySet::parse_jwks(&jwks(std::slice::from_ref(&rsa)), allowed).unwrap();
        set.iter().next().map(super::VerifyingKey::alg)
    };
    assert_eq!(bound(&Algorithm::ALL), Some(Algorithm::Rs256));
    assert_eq!(bound(&[Algorithm::Ps256, Algorithm::Es256]), Some(Algorithm::Ps256));
    assert_eq!(bound(&[Algorithm::Ps256, Algorithm::Rs512]), None);
}

#[test]
fn jose_jwks_are_refused_whole() {
    let ec = key_for(Algorithm::Es256).public_jwk();
    let parse = |bytes: &[u8]| KeySet::parse_jwks(bytes, &Algorithm::ALL).unwrap_err();
    assert_eq!(parse(&jwks(&[ec.clone(), ec.clone()])), JwkError::DuplicateKid);
    assert_eq!(parse(b"[]"), JwkError::NotAKeySet);
    assert_eq!(parse(b"{}"), JwkError::NotAKeySet);
    assert_eq!(parse(br#"{"keys":{}}"#), JwkError::NotAKeySet);
    assert_eq!(parse(br#"{"keys":[1]}"#), JwkError::NotAKeySet);
    assert_eq!(parse(&jwks(&vec![ec; 101])), JwkError::TooManyKeys);
    assert!(matches!(parse(br#"{"keys":[],"keys":[]}"#), JwkError::Json(_)));
    let long = [&b" ".repeat(KeySet::MAX_BYTES)[..], br#"{"keys":[]}"#].concat();
    assert!(matches!(parse(&long), JwkError::Json(json::JsonError::TooLong { .. })));
}

#[test]
fn jose_roca_moduli_are_recognised() {
    // One more than a multiple of every prime: the zeroth power of 65537 modulo each of them.
    let mut product = vec![0_u8; 40];
    product[39] = 1;
    let times = |number: &mut [u8], by: u32| {
        let mut carry = 0;
        for byte in number.iter_mut().rev() {
            carry += u32::from(*byte) * by;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
    };
    for prime in super::jwk::ROCA_PRIMES {
        times(&mut product, prime);
    }
    while product[0] < 0x80 {
        times(&mut product, 2);
    }
    product.resize(256, 0);
    product[255] = 1;
    let n = format!("\"{}\"", to_base64url(&product));
    let jwk = with(&rsa_key().public_jwk(), &[("n", &n)]);
    assert_eq!(KeySet::parse_jwks(&jwks(&[jwk]), &Algorithm::ALL).unwrap_err(), JwkError::Roca);
}

#[test]
fn jose_tags_depend_on_label_parts_and_their_edges() {
    let master = Secret::new([7; 32]);
    let key = MacKey::derive(&master, "txn");
    let tag = key.tag(&[b"ab", b"c"]);
    assert!(key.verify(&[b"ab", b"c"], &tag));
    assert_eq!(key.short_tag::<16>(&[b"ab", b"c"]), tag[..16]);
    for parts in [&[&b"a"[..], b"bc"][..], &[b"abc"], &[b"ab", b"c", b""], &[]] {
        assert!(!key.verify(parts, &tag));
    }
    assert!(!key.verify(&[b"ab", b"c"], &tag[..31]));
    assert!(!MacKey::derive(&master, "other").verify(&[b"ab", b"c"], &tag));
    assert!(!MacKey::derive(&Secret::new([8; 32]), "txn").verify(&[b"ab", b"c"], &tag));
}

#[test]
fn jose_a_sealed_secret_opens_only_untouched_and_in_its_place() {
    let random = Random::seeded(1);
    let bytes = Kek::generate(&random).unwrap();
    let kek = Kek::from_bytes(&bytes).unwrap();
    let plain = Secret::new(b"private".to_vec());
    let sealed = kek.seal("signing-key:1", &plain, &random).unwrap();
    assert_eq!(kek.open("signing-key:1", &sealed).unwrap().expose(), plain.expose());
    assert_ne!(kek.seal("signing-key:1", &plain, &random).unwrap(), sealed);
    let refused = |kek: &Kek, aad: &str, sealed: &[u8]| {
        assert_eq!(kek.open(aad, sealed).unwrap_err(), SealError::DoesNotOpen);
    };
    refused(&kek, "signing-key:2", &sealed);
    refused(&Kek::from_bytes(&Secret::new([0; 32])).unwrap(), "signing-key:1", &sealed);
    // While it is being replaced, it opens; what seals is the new one.
    let new = || Kek::from_bytes(&Secret::new([1; 32])).unwrap();
    let both = new().beside(&bytes).unwrap();
    assert!(both.open("signing-key:1", &sealed).is_ok() && !both.is_own("signing-key:1", &sealed));
    refused(&both, "signing-key:2", &sealed);
    let again = both.seal("signing-key:1", &plain, &random).unwrap();
    assert!(both.is_own("signing-key:1", &again));
    assert!(new().open("signing-key:1", &again).is_ok());
    refused(&kek, "signing-key:1", &again);
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        refused(&kek, "signing-key:1", &altered);
        refused(&kek, "signing-key:1", &sealed[..at]);
    }
}

#[test]
fn jose_passwords() {
    let secret = |text: &str| Secret::new(text.to_owned());
    let phc = password::hash(&secret("hunter2"), &Random::seeded(1)).unwrap();
    assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
    assert_eq!(password::verify(&secret("hunter2"), &phc), Ok(true));
    assert_eq!(password::verify(&secret("hunter3"), &phc), Ok(false));
    for phc in [
        "",
        "hunter2",
        &phc.replace("argon2id", "argon2i"),
        &phc.replace("m=19456", "m=4000000"),
        &phc.replace("t=2", "t=5"),
        &phc.replace("v=19", "v=16"),
        phc.rsplit_once('$').unwrap().0,
    ] {
        assert_eq!(password::verify(&secret("hunter2"), phc), Ok(false), "{phc}");
    }
}
