//! The personal part of the audit log: enciphered under a key that only its subject has. Who destroys
//! the key destroys what it opens, wherever there are copies of it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use sqlx::FromRow;
use subtle::ConstantTimeEq as _;

use super::error::Error;
use crate::{
    base::{
        random::Random,
        secret::Secret,
        time::{Seconds, Timestamp},
    },
    model::subject::Subject,
};

/// What is made of a subject's key, and for what: none of one sort is one of another.
const SUBJECT: &[u8] = b"subject";
const DETAILS: &[u8] = b"details";
const CIPHER: &[u8] = b"cipher";
/// What an enciphered part begins with. Older ones are JSON, which never does.
const ENCIPHERED: u8 = 1;
/// Behind it: which one under this key it is, 8 bytes.
const COUNT_BYTES: usize = 8;

/// How long a key serves: what is written under it has gone a day after what was written when it was
/// drawn, and the key may go as well.
pub(super) const SERVES: Seconds = Seconds::new(86_400);

/// One subject's key in one run of one writer, on one day. What enciphers and what tags is made of it
/// once: it costs more than a part does.
pub(super) struct SubjectKey {
    /// Names the key in records, and commits to the subject; without the key it says nothing.
    pub id: Arc<str>,
    /// The key.
    pub key: Secret<[u8; 32]>,
    /// When it was drawn.
    pub at: Timestamp,
    cipher: LessSafeKey,
    tags: hmac::Key,
    /// How many parts it has enciphered. It is drawn for one run and never loaded again, so that no
    /// number comes twice under one key.
    count: AtomicU64,
}

impl SubjectKey {
    /// A new one.
    pub fn draw(random: &Random, subject: &Subject, at: Timestamp) -> Result<SubjectKey, Error> {
        let key = Secret::new(random.bytes::<32>()?);
        let tags = tags(key.expose());
        let id = id_of(&tags, &subject.issuer, &subject.sub).into();
        let cipher = cipher(&tags).map_err(NOT_ENCIPHERED)?;
        Ok(SubjectKey { id, key, at, cipher, tags, count: AtomicU64::new(0) })
    }

    /// Whether it serves for what happened at this moment.
    pub fn serves(&self, at: Timestamp) -> bool {
        at < self.at.plus(SERVES)
    }

    /// A private part enciphered, and the tag by which a record commits to it.
    pub fn encipher(&self, plain: String) -> Result<(Vec<u8>, String), Error> {
        let count = self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut text = plain.into_bytes();
        self.cipher
            .seal_in_place_append_tag(nonce(count), Aad::empty(), &mut text)
            .map_err(NOT_ENCIPHERED)?;
        let body = [&[ENCIPHERED], &count[..], &text].concat();
        let tag = URL_SAFE_NO_PAD.encode(tag(&self.tags, &[DETAILS, &body]));
        Ok((body, tag))
    }
}

/// A subject and its key, as they are stored.
#[derive(Clone, FromRow)]
pub(super) struct SubjectRow {
    pub id: String,
    pub issuer: String,
    pub sub: String,
    pub key: Vec<u8>,
}

impl SubjectRow {
    /// Whether the key is this subject's: whether its id is what the key makes of the subject.
    pub fn is_itself(&self) -> bool {
        id_of(&tags(&self.key), &self.issuer, &self.sub) == self.id
    }

    /// Whether `body` is what a record committed to under this key.
    pub fn committed_to(&self, tag: &str, body: &[u8]) -> bool {
        let Ok(said) = URL_SAFE_NO_PAD.decode(tag) else { return false };
        self::tag(&tags(&self.key), &[DETAILS, body]).as_ref().ct_eq(&said).into()
    }

    /// The subject; `None` for the key of events that have none.
    pub fn subject(&self) -> Option<Subject> {
        let somebody = !self.issuer.is_empty();
        somebody.then(|| Subject { issuer: (*self.issuer).into(), sub: (*self.sub).into() })
    }

    /// A private part as it was written.
    pub fn decipher(&self, body: &[u8]) -> Option<Vec<u8>> {
        let Some((&ENCIPHERED, rest)) = body.split_first() else { return Some(body.to_vec()) };
        let (count, text) = rest.split_at_checked(COUNT_BYTES)?;
        let mut text = text.to_vec();
        let nonce = nonce(count.try_into().ok()?);
        let cipher = cipher(&tags(&self.key)).ok()?;
        Some(cipher.open_in_place(nonce, Aad::empty(), &mut text).ok()?.to_vec())
    }
}

const NOT_ENCIPHERED: fn(ring::error::Unspecified) -> Error =
    |_| Error::Corrupt { table: "journal_private", what: "it was not enciphered" };

fn tags(key: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

fn cipher(tags: &hmac::Key) -> Result<LessSafeKey, ring::error::Unspecified> {
    let key = hmac::sign(tags, CIPHER);
    UnboundKey::new(&AES_256_GCM, key.as_ref()).map(LessSafeKey::new)
}

fn nonce(count: [u8; COUNT_BYTES]) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    for (to, from) in nonce.iter_mut().zip(count) {
        *to = from;
    }
    Nonce::assume_unique_for_key(nonce)
}

fn id_of(tags: &hmac::Key, issuer: &str, sub: &str) -> String {
    URL_SAFE_NO_PAD.encode(tag(tags, &[SUBJECT, issuer.as_bytes(), sub.as_bytes()]))
}

/// A tag of the parts, each behind its length, so that no other parts make the same bytes.
fn tag(tags: &hmac::Key, parts: &[&[u8]]) -> hmac::Tag {
    let mut tag = hmac::Context::with_key(tags);
    for part in parts {
        tag.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        tag.update(part);
    }
    tag.sign()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_opened_by_its_own_key_alone_and_no_two_are_alike() {
        let subject = Subject { issuer: "https://login.example".into(), sub: "alice".into() };
        let draw = || SubjectKey::draw(&Random::system(), &subject, Timestamp::EPOCH).unwrap();
        let row = |key: &SubjectKey| SubjectRow {
            id: key.id.to_string(),
            issuer: subject.issuer.to_string(),
            sub: subject.sub.to_string(),
            key: key.key.expose().to_vec(),
        };
        let (key, other) = (draw(), draw());
        let plain = r#"[["order_id","A-17"]]"#.to_owned();
        let (first, tag) = key.encipher(plain.clone()).unwrap();
        let (second, _) = key.encipher(plain.clone()).unwrap();
        assert_ne!(first, second);
        assert!(!String::from_utf8_lossy(&first).contains("A-17"));
        assert_eq!(row(&key).decipher(&first).as_deref(), Some(plain.as_bytes()));
        assert_eq!(row(&key).decipher(&second).as_deref(), Some(plain.as_bytes()));
        assert_eq!(row(&other).decipher(&first), None);
        assert!(row(&key).committed_to(&tag, &first) && !row(&key).committed_to(&tag, &second));
        for cut in 1..first.len() {
            assert_eq!(row(&key).decipher(&first[..cut]), None, "{cut}");
        }
    }
}
