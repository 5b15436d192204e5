//! What the layer promises for hostile input: each row is an attack and the answer to it.

use proptest::prelude::*;

use super::{
    Algorithm, JwtError, KeySet, Profile, SigningKey, TypRule, open, sign_compact,
    tests::{AT, key_for, opened, rsa_key, set_of},
    to_base64url,
};
use crate::base::json::JsonError;

/// Signs whatever header and payload it is told to.
fn forge(key: &SigningKey, header: &str, payload: &[u8]) -> String {
    let input = format!("{}.{}", to_base64url(header.as_bytes()), to_base64url(payload));
    let signature = to_base64url(&key.sign(input.as_bytes()).unwrap());
    format!("{input}.{signature}")
}

#[test]
fn jose_hostile_headers_are_refused_although_well_signed() {
    use JwtError::{Alg, HeaderMember, HeaderRefused, NotCompact, Typ, UnknownKey};
    let key = key_for(Algorithm::Es256);
    let kid = key.kid();
    let refused = |header: &str| {
        let header = header.replace("KID", kid);
        opened(&forge(&key, &header, b"{}"), &set_of(&key)).unwrap_err()
    };
    let plus = |member: &str| refused(&format!(r#"{{"typ":"at+jwt","alg":"ES256",{member}}}"#));
    for alg in
        ["none", "None", "NONE", "nOnE", "HS256", "HS512", "es256", "ES256 ", "", "ES256K", "dir"]
    {
        assert_eq!(refused(&format!(r#"{{"typ":"at+jwt","alg":"{alg}"}}"#)), Alg, "{alg}");
    }
    assert_eq!(refused(r#"{"typ":"at+jwt"}"#), HeaderMember("alg"));
    for alg in ["null", "[\"ES256\"]", "{}", "1"] {
        let header = format!(r#"{{"typ":"at+jwt","alg":{alg}}}"#);
        assert_eq!(refused(&header), HeaderMember("alg"));
    }
    // Another algorithm of the profile, but not the key's.
    for alg in ["ES384", "RS256", "PS256", "EdDSA", "Ed25519"] {
        assert_eq!(refused(&format!(r#"{{"typ":"at+jwt","alg":"{alg}"}}"#)), UnknownKey);
    }
    for (member, value) in [
        ("crit", "[\"exp\"]"),
        ("crit", "[]"),
        ("crit", "null"),
        ("b64", "true"),
        ("b64", "false"),
        ("zip", "\"DEF\""),
        ("jku", "\"https://evil.example/jwks\""),
        ("x5u", "\"https://evil.example/cert\""),
        ("x5c", "[\"MII\"]"),
        ("jwk", "{}"),
        ("enc", "\"A128GCM\""),
    ] {
        assert_eq!(plus(&format!(r#""{member}":{value}"#)), HeaderRefused(member));
    }
    for value in ["17", "null", "[\"KID\"]", "{}", "\"\"", "\"a\\u0000\"", "\"\\r\\nx\"", "\"é\""]
    {
        assert_eq!(plus(&format!(r#""kid":{value}"#)), HeaderMember("kid"), "{value}");
    }
    assert_eq!(plus(&format!(r#""kid":"{}""#, "k".repeat(257))), HeaderMember("kid"));
    for value in ["../../dev/null", "' OR 1=1 --", "$(id)", "KID ", " KID", "kid"] {
        assert_eq!(plus(&format!(r#""kid":"{value}""#)), UnknownKey, "{value}");
    }
    for typ in ["JWT", "id+jwt", "dpop+jwt", "at+jwt ", "application/xml", "text/at+jwt", "", "/"] {
        assert_eq!(refused(&format!(r#"{{"typ":"{typ}","alg":"ES256"}}"#)), Typ, "{typ}");
    }
    assert_eq!(refused(r#"{"alg":"ES256"}"#), Typ);
    assert_eq!(refused(r#"{"typ":null,"alg":"ES256"}"#), HeaderMember("typ"));
    assert_eq!(refused(r#"["at+jwt"]"#), NotCompact);
    for header in [
        r#"{"alg":"none","typ":"at+jwt","alg":"ES256"}"#,
        r#"{"typ":"at+jwt","alg":"ES256","\u0061lg":"ES256"}"#,
        "\u{feff}{\"typ\":\"at+jwt\",\"alg\":\"ES256\"}",
        r#"{"typ":"at+jwt","alg":"ES256"}{}"#,
        r#"{"typ":"at+jwt","alg":"ES256","x":NaN}"#,
    ] {
        assert!(matches!(refused(header), JwtError::HeaderJson(_)), "{header}");
    }
}

#[test]
fn jose_harmless_headers_pass() {
    let key = key_for(Algorithm::Ed25519);
    for header in [
        r#"{"typ":"AT+JWT","alg":"EdDSA"}"#,
        r#"{"typ":"application/at+jwt","alg":"Ed25519","cty":"json","x5t":"abc"}"#,
        r#" {"typ":"at+jwt" , "alg":"EdDSA","unknown":[1]} "#,
    ] {
        opened(&forge(&key, header, b"{}"), &set_of(&key)).unwrap();
    }
    let untyped = Profile { typ: TypRule { accepted: &["JWT"], absent: true }, ..AT };
    let token = forge(&key, r#"{"alg":"EdDSA"}"#, b"{}");
    assert!(open(&token, &untyped).unwrap().verify_with(&set_of(&key)).is_ok());
}

#[test]
fn jose_hostile_containers_are_refused() {
    let key = key_for(Algorithm::Es256);
    let keys = set_of(&key);
    let good = sign_compact("at+jwt", &key, br#"{"a":1}"#).unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    opened(&good, &keys).unwrap();
    let json =
        format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#);
    for token in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        header.to_owned(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{good}.{signature}"),
        format!("{good}.{signature}.{signature}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}="),
        format!("{good}=="),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}=.{signature}"),
        format!(" {good}"),
        format!("{good} "),
        format!("{good}\n"),
        format!("{good}\0"),
        format!("{header}.{payload} .{signature}"),
        format!("{header}.{payload}.{}+/", signature.get(..84).unwrap()),
        json,
    ] {
        assert_eq!(opened(&token, &keys).unwrap_err(), JwtError::NotCompact, "{token:?}");
    }
    // 64 bytes leave four unused bits in the last of 86 characters: three other spellings.
    let last = signature.chars().last().unwrap();
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
        let token = format!("{}{other}", good.strip_suffix(last).unwrap());
        assert_eq!(opened(&token, &keys).is_ok(), other == last);
    }
    let profile = Profile { max_bytes: good.len() - 1, ..AT };
    assert_eq!(open(&good, &profile).unwrap_err(), JwtError::TooLong { max: good.len() - 1 });
}

#[test]
fn jose_hostile_payloads_are_refused_although_well_signed() {
    let key = key_for(Algorithm::Es256);
    let header = r#"{"typ":"at+jwt","alg":"ES256"}"#;
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(16), "]".repeat(16));
    for payload in [
        br#"{"sub":"a","sub":"b"}"#.as_slice(),
        br#"{"sub":"a","s\u0075b":"b"}"#,
        b"{}{}",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
        br#"{"sub":"\ud800"}"#,
        b"{\"sub\":\"\xff\"}",
        br#"{"exp":NaN}"#,
        br#"{"exp":1e400}"#,
        deep.as_bytes(),
    ] {
        let error = opened(&forge(&key, header, payload), &set_of(&key)).unwrap_err();
        assert!(matches!(error, JwtError::PayloadJson(_)), "{payload:?}: {error}");
    }
    for payload in [b"[]".as_slice(), b"1", b"null", b"\"{}\""] {
        let error = opened(&forge(&key, header, payload), &set_of(&key)).unwrap_err();
        assert_eq!(error, JwtError::PayloadNotAnObject);
    }
    let nested = forge(&key, header, forge(&key, header, b"{}").as_bytes());
    let error = opened(&nested, &set_of(&key)).unwrap_err();
    assert_eq!(error, JwtError::PayloadJson(JsonError::Expected { expected: "a value", at: 0 }));
}

#[test]
fn jose_hostile_signatures_are_refused() {
    // The order of P-256.
    let order = 0xffff_ffff_0000_0000_ffff_ffff_ffff_ffff_u128.to_be_bytes();
    let order = [order, 0xbce6_faad_a717_9e84_f3b9_cac2_fc63_2551_u128.to_be_bytes()].concat();
    let es256 = key_for(Algorithm::Es256);
    let good = es256.sign(b"x").unwrap();
    es256.verifying().verify(b"x", &good).unwrap();
    let der = [&[0x30, 0x44, 2, 32][..], &good[..32], &[2, 32], &good[32..]].concat();
    for bad in [
        vec![],
        vec![0; 64],
        [vec![0; 32], good[32..].to_vec()].concat(),
        [good[..32].to_vec(), vec![0; 32]].concat(),
        [order.clone(), order.clone()].concat(),
        [good[..32].to_vec(), order].concat(),
        vec![0xff; 64],
        good[..63].to_vec(),
        [&good[..], &[0]].concat(),
        der,
    ] {
        assert!(es256.verifying().verify(b"x", &bad).is_err(), "{bad:?}");
    }
    let ed = key_for(Algorithm::Ed25519);
    let rsa = rsa_key();
    for (key, lengths) in [(&ed, [0, 63, 64, 65]), (&rsa, [0, 1, 256, 257])] {
        for length in lengths {
            for byte in [0, 1, 0xff] {
                assert!(key.verifying().verify(b"x", &vec![byte; length]).is_err());
            }
        }
    }
    let mut minus_one = vec![0; 256];
    minus_one[255] = 1;
    assert!(rsa.verifying().verify(b"x", &minus_one).is_err());
}

#[test]
fn jose_a_point_off_the_curve_verifies_nothing() {
    let key = key_for(Algorithm::Es256);
    let zero = to_base64url(&[0; 32]);
    let jwk = format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","x":"{zero}","y":"{zero}"}}]}}"#);
    let keys = KeySet::parse_jwks(jwk.as_bytes(), &Algorithm::ALL).unwrap();
    let token = forge(&key, r#"{"typ":"at+jwt","alg":"ES256"}"#, b"{}");
    assert_eq!(opened(&token, &keys).unwrap_err(), JwtError::BadSignature);
}

#[test]
fn jose_the_public_key_is_no_hmac_secret() {
    let rsa = rsa_key();
    let header = to_base64url(br#"{"typ":"at+jwt","alg":"HS256"}"#);
    let input = format!("{header}.{}", to_base64url(b"{}"));
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, rsa.public_jwk().as_bytes());
    let tag = ring::hmac::sign(&secret, input.as_bytes());
    let token = format!("{input}.{}", to_base64url(tag.as_ref()));
    assert_eq!(opened(&token, &set_of(&rsa)).unwrap_err(), JwtError::Alg);
}

#[test]
fn jose_header_keys_are_for_proofs_only_and_public() {
    let proof =
        Profile { typ: TypRule { accepted: &["dpop+jwt"], absent: false }, header_jwk: true, ..AT };
    let key = key_for(Algorithm::Es256);
    let header = |jwk: &str| format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{jwk}}}"#);
    let token = forge(&key, &header(&key.public_jwk()), b"{}");
    let (_, found) = open(&token, &proof).unwrap().verify_with_header_key().unwrap();
    assert_eq!(found.thumbprint(), key.kid());
    let other = key_for(Algorithm::Es256);
    let token = forge(&other, &header(&key.public_jwk()), b"{}");
    let error = open(&token, &proof).unwrap().verify_with_header_key().unwrap_err();
    assert_eq!(error, JwtError::BadSignature);
    let private = key.public_jwk().replace(r#""kty""#, r#""d":"AQAB","kty""#);
    let ed = key_for(Algorithm::Ed25519).public_jwk();
    for jwk in [private.as_str(), &ed, "{}", r#"{"kty":"oct","k":"AQAB"}"#] {
        let token = forge(&key, &header(jwk), b"{}");
        assert!(matches!(open(&token, &proof).unwrap_err(), JwtError::HeaderKey(_)), "{jwk}");
    }
    let token = forge(&key, r#"{"typ":"dpop+jwt","alg":"ES256"}"#, b"{}");
    assert_eq!(open(&token, &proof).unwrap_err(), JwtError::HeaderMember("jwk"));
    let token = forge(&key, &header("\"x\""), b"{}");
    assert_eq!(open(&token, &proof).unwrap_err(), JwtError::HeaderMember("jwk"));
}

proptest! {
    #[test]
    fn jose_open_never_panics(token in "[A-Za-z0-9_=. -]{0,80}", any in ".{0,40}") {
        let _ = open(&token, &AT);
        let _ = open(&any, &AT);
    }

    #[test]
    fn jose_hostile_header_json_never_panics(header in r#"[{}\[\]":,a-z0-9+-]{0,60}"#, payload in prop::collection::vec(any::<u8>(), 0..40)) {
        let token = format!("{}.{}.AAAA", to_base64url(header.as_bytes()), to_base64url(&payload));
        let _ = open(&token, &AT);
    }
}
