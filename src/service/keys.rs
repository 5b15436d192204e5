//! Our own keys: the key-encryption key on disk or in a variable, and what is sealed under it in
//! the database. A first start makes what is missing; a restart finds everything.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Ambient, Deputy, Fault, Options, secret_file};
use crate::{
    base::{
        compose::ObjectWriter,
        id::OperatorName,
        json::{self, Object, Value},
        random::Random,
        secret::{Fingerprint, Secret},
        time::{Seconds, Timestamp},
    },
    engine::snapshot::{Macs, Snapshot},
    jose::{
        self, Algorithm, Kek, MacKey, SigningKey,
        ring::{KeyRing, RingKey},
    },
    model::{
        event::{Event, Kind},
        signing::SigningAlgorithm,
    },
    registry::operator::{self, Operator, Role},
    store::{Document, Put, Store},
};

/// The kind of document that holds one sealed signing key.
pub const SIGNING_KEY: &str = "signing_key";
/// The kind of document that holds the sealed master secret.
pub const MASTER: &str = "master_secret";
/// The kind of document that names an operator.
pub const OPERATOR: &str = "operator";
/// JW-9: a new key is published this long before it signs: twice the cache life of the JWK Set.
pub const PUBLISHED_BEFORE: Seconds = Seconds::new(600);
/// JW-9: a replaced key verifies this long: the longest token life, and the largest clock skew.
const VERIFIES_AFTER: Seconds = Seconds::new(960);
/// Where the bootstrap admin token is written, below the keys directory.
pub const ADMIN_TOKEN_FILE: &str = "admin-token";
const KEK_FILE: &str = "kek";
const ADMIN_TOKEN_PREFIX: &str = "da_";
/// The name of the first operator.
const BOOTSTRAP: &str = "bootstrap";

/// The key-encryption key: from the options, else from its file, which a first start creates 0600.
pub fn kek(options: &Options, random: &Random) -> Result<Kek, Fault> {
    let bytes = match &options.kek {
        Some(bytes) => bytes.clone(),
        None => kek_file(&options.keys_dir, random)?,
    };
    let kek = Kek::from_bytes(&bytes);
    let kek = kek.and_then(|kek| match &options.kek_beside {
        Some(other) => kek.beside(other),
        None => Ok(kek),
    });
    kek.map_err(internal("the key-encryption key is not usable"))
}

fn kek_file(dir: &Path, random: &Random) -> Result<Secret<[u8; 32]>, Fault> {
    let path = dir.join(KEK_FILE);
    match secret_file::read(&path) {
        Ok(text) => {
            let text = text.expose().trim();
            let bytes = URL_SAFE_NO_PAD.decode(text).map_err(internal(MALFORMED))?;
            let bytes = bytes.try_into().map_err(|_| Fault::Internal(MALFORMED, None))?;
            Ok(Secret::new(bytes))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let fresh = Kek::generate(random)?;
            fs::create_dir_all(dir).map_err(internal("the keys directory cannot be created"))?;
            // Whole, and only if no other instance was faster: then it is that one's.
            let whole = dir.join(format!("{KEK_FILE}.{}", std::process::id()));
            write_0600(&whole, &URL_SAFE_NO_PAD.encode(fresh.expose()))?;
            let linked = fs::hard_link(&whole, &path);
            fs::remove_file(&whole).map_err(internal("a secret file cannot be removed"))?;
            match linked {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => kek_file(dir, random),
                linked => linked.map(|()| fresh).map_err(internal("a secret file cannot be made")),
            }
        }
        Err(error) => Err(internal(UNREADABLE)(error)),
    }
}

const UNREADABLE: &str = "the key-encryption key file cannot be read";
const DOES_NOT_OPEN: &str = "the key-encryption key does not open this database's keys: is it another \
    database's, or was it replaced? Then `kek_beside_from` names the old one";
const MALFORMED: &str = "the key-encryption key must be 32 bytes in base64url";

fn write_0600(path: &Path, text: &str) -> Result<(), Fault> {
    let failed = "a secret file cannot be written";
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(internal(failed))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(internal(failed))
}

fn internal<E: std::error::Error + Send + Sync + 'static>(
    what: &'static str,
) -> impl FnOnce(E) -> Fault {
    move |error| Fault::Internal(what, Some(Box::new(error)))
}

/// Makes what a first start needs: master secret, signing key and bootstrap admin token, in one
/// change. Another process that was faster wins.
pub async fn first_start(
    store: &Store,
    options: &Options,
    kek: &Kek,
    ambient: &Ambient,
) -> Result<(), Fault> {
    let documents = store.documents().await?;
    if documents.iter().any(|d| d.kind == MASTER) {
        return Ok(());
    }
    let now = ambient.clock.wall();
    let random = &ambient.random;
    let master = Secret::new(random.bytes::<32>()?.to_vec());
    let token = admin_token(&options.keys_dir, random)?;
    let admin = Operator {
        name: OperatorName::parse(BOOTSTRAP).map_err(internal("the first operator has no name"))?,
        token_hash: Fingerprint::of(token.expose().as_bytes()),
        role: Role::Admin,
        enabled: true,
    };
    let sealed = seal(kek, MASTER, &master, random)?;
    let puts = vec![
        put(MASTER, "master", ObjectWriter::new().text("sealed", &sealed).finish()),
        signing_key(kek, random, &generated(SigningAlgorithm::default())?, (now, now))?,
        put(OPERATOR, BOOTSTRAP, operator::write(&admin)),
    ];
    let event = Event::new(Kind::Configuration, "first_start", now, 0);
    // On a conflict another process made these documents first, and they are just as good.
    store.writer().configure(puts, event).await?;
    Ok(())
}

/// The bootstrap admin token, in its file before its hash is in the database: a start that is cut
/// off in between finds it again, and never leaves a database that nobody can administer.
fn admin_token(dir: &Path, random: &Random) -> Result<Secret<String>, Fault> {
    fs::create_dir_all(dir).map_err(internal("the keys directory cannot be created"))?;
    let path = dir.join(ADMIN_TOKEN_FILE);
    match secret_file::read(&path) {
        Ok(token) if token.expose().starts_with(ADMIN_TOKEN_PREFIX) => {
            return Ok(Secret::new(token.expose().trim().to_owned()));
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(internal("`admin-token` in the keys directory cannot be read")(error));
        }
        Ok(_) | Err(_) => {}
    }
    let token = new_admin_token(random)?;
    write_0600(&path, token.expose())?;
    Ok(token)
}

/// A fresh token for an operator: 256 random bits.
pub fn new_admin_token(random: &Random) -> Result<Secret<String>, Fault> {
    let random = Secret::new(random.bytes::<32>()?);
    Ok(Secret::new(format!("{ADMIN_TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(random.expose()))))
}

pub(super) fn put(kind: &str, id: &str, body: String) -> Put {
    Put { kind: kind.to_owned(), id: id.to_owned(), expected: None, body }
}

fn seal(kek: &Kek, name: &str, plain: &Secret<Vec<u8>>, random: &Random) -> Result<String, Fault> {
    let sealed = kek.seal(name, plain, random).map_err(internal("sealing failed"))?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

fn unseal(kek: &Kek, name: &str, body: &Object) -> Result<Secret<Vec<u8>>, Fault> {
    let broken = || Fault::Internal("a sealed key is malformed", None);
    let sealed = body.get("sealed").and_then(Value::as_str).ok_or_else(broken)?;
    let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| broken())?;
    kek.open(name, &sealed).map_err(internal(DOES_NOT_OPEN))
}

/// What opens by another key than the one that seals, sealed anew.
pub(super) fn resealed(
    documents: &[Document],
    kek: &Kek,
    random: &Random,
) -> Result<Vec<Put>, Fault> {
    let mut puts = Vec::new();
    for (document, name, body) in under_another(documents, kek)? {
        let sealed = seal(kek, &name, &unseal(kek, &name, &body)?, random)?;
        let member = |(name, value): (&str, &Value)| match name {
            "sealed" => (name.to_owned(), Value::from(sealed.as_str())),
            _ => (name.to_owned(), value.clone()),
        };
        let body: Object = body.iter().map(member).collect();
        let put = put(&document.kind, &document.id, body.to_json());
        puts.push(Put { expected: Some(document.version), ..put });
    }
    Ok(puts)
}

/// At the start, where there is another key: whether it is still of use.
pub(super) fn tell_of_the_other(documents: &[Document], kek: &Kek) -> Result<(), Fault> {
    match under_another(documents, kek)?.len() {
        0 => tracing::info!("no key is sealed under `kek_beside_from`: it can go"),
        keys => tracing::warn!(keys, "sealed under `kek_beside_from`: run `deputy key reseal`"),
    }
    Ok(())
}

/// Documents with a key that is not sealed under the one that seals, and what it is sealed as.
fn under_another<'d>(
    documents: &'d [Document],
    kek: &Kek,
) -> Result<Vec<(&'d Document, String, Object)>, Fault> {
    let mut found = Vec::new();
    for document in documents {
        let name = match &*document.kind {
            MASTER => MASTER.to_owned(),
            SIGNING_KEY => sealing_name(&document.id),
            _ => continue,
        };
        let body = object(document)?;
        if body.contains("sealed") && !is_own(kek, &name, &body) {
            found.push((document, name, body));
        }
    }
    Ok(found)
}

fn is_own(kek: &Kek, name: &str, body: &Object) -> bool {
    let sealed = body.get("sealed").and_then(Value::as_str);
    let sealed = sealed.and_then(|sealed| URL_SAFE_NO_PAD.decode(sealed).ok());
    sealed.is_some_and(|sealed| kek.is_own(name, &sealed))
}

fn generated(signing: SigningAlgorithm) -> Result<SigningKey, Fault> {
    SigningKey::generate(signing.into()).map_err(internal("a signing key cannot be made"))
}

/// A signing key, sealed, as a document: made now, signing from then on.
fn signing_key(
    kek: &Kek,
    random: &Random,
    key: &SigningKey,
    (now, signs_from): (Timestamp, Timestamp),
) -> Result<Put, Fault> {
    let sealed = seal(kek, &sealing_name(key.kid()), &key.to_pkcs8(), random)?;
    let body = ObjectWriter::new()
        .text("kid", key.kid())
        .text("alg", key.alg().name())
        .text("sealed", &sealed)
        .number("created", now.epoch_s())
        .number("signs_from", signs_from.epoch_s())
        .finish();
    Ok(put(SIGNING_KEY, key.kid(), body))
}

/// A key's document with its name alone: the private half is gone.
fn emptied(document: &Document) -> Result<Put, Fault> {
    let kept = object(document)?;
    let kept = kept.iter().filter(|(name, _)| *name != "sealed");
    let body: Object = kept.map(|(name, value)| (name.to_owned(), value.clone())).collect();
    Ok(Put {
        kind: SIGNING_KEY.to_owned(),
        id: document.id.clone(),
        expected: Some(document.version),
        body: body.to_json(),
    })
}

fn sealing_name(kid: &str) -> String {
    format!("{SIGNING_KEY}:{kid}")
}

/// The symmetric keys, derived from the master secret.
pub fn macs(documents: &[Document], kek: &Kek) -> Result<Macs, Fault> {
    let missing = Fault::Internal("the database has no master secret", None);
    let document = documents.iter().find(|d| d.kind == MASTER).ok_or(missing)?;
    let master = unseal(kek, MASTER, &object(document)?)?;
    let bytes: [u8; 32] = master
        .expose()
        .as_slice()
        .try_into()
        .map_err(internal("the master secret is malformed"))?;
    let master = Secret::new(bytes);
    Ok(Macs {
        transaction: MacKey::derive(&master, "transaction"),
        secret_tag: MacKey::derive(&master, "client secret tag"),
        nonce: MacKey::derive(&master, "dpop nonce"),
        checkpoint_key: MacKey::derive(&master, "checkpoint key"),
    })
}

/// The signing keys that still verify at `now`: all but those replaced long enough ago.
pub fn ring(documents: &[Document], kek: &Kek, now: Timestamp) -> Result<KeyRing, Fault> {
    let mut keys = Vec::new();
    for document in documents.iter().filter(|d| d.kind == SIGNING_KEY) {
        let body = object(document)?;
        if !body.contains("sealed") {
            // It was taken out; only its name is left.
            continue;
        }
        let malformed = || Fault::Internal("a signing key is malformed", None);
        let text = |name| body.get(name).and_then(Value::as_str).ok_or_else(malformed);
        let alg = Algorithm::from_name(text("alg")?).ok_or_else(malformed)?;
        let signs_from = body.get("signs_from").and_then(Value::as_i64);
        let signs_from = signs_from.and_then(Timestamp::from_epoch_s).ok_or_else(malformed)?;
        let pkcs8 = unseal(kek, &sealing_name(text("kid")?), &body)?;
        let key = SigningKey::from_pkcs8(alg, &pkcs8)
            .map_err(internal("a signing key cannot be loaded"))?;
        keys.push(RingKey { key: Arc::new(key), signs_from });
    }
    Ok(KeyRing::at(now, VERIFIES_AFTER, &keys))
}

/// A payload, signed now as `typ` with the current key of that algorithm.
pub fn signed(
    ring: &KeyRing,
    (typ, signing): (&str, SigningAlgorithm),
    payload: &str,
    now: Timestamp,
) -> Result<String, Fault> {
    let no_key = || Fault::Internal("no signing key of the wanted algorithm", None);
    let key = ring.signer(signing.into(), now).ok_or_else(no_key)?;
    jose::sign_compact(typ, key, payload.as_bytes()).map_err(internal("signing failed"))
}

fn object(document: &Document) -> Result<Object, Fault> {
    match json::parse(document.body.as_bytes(), &json::Limits::DEFAULT) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) | Err(_) => Err(Fault::Internal("a stored key is not JSON", None)),
    }
}

impl Deputy {
    /// Whether a signing key was replaced so long ago that it must leave the published set.
    pub(super) fn has_retired_keys(&self, snapshot: &Snapshot) -> bool {
        snapshot.config.keys.has_retired(self.now(), VERIFIES_AFTER)
    }

    /// New signing keys as documents, one for each algorithm that has one: published at once,
    /// signing from [`PUBLISHED_BEFORE`] later. The keys before them stop then, and verify until
    /// their last token is dead (I15).
    pub(super) async fn next_signing_keys(
        &self,
        ring: &KeyRing,
    ) -> Result<(Vec<Put>, Timestamp), Fault> {
        let signs_from = self.now().plus(PUBLISHED_BEFORE);
        let mut puts = Vec::new();
        for signing in SigningAlgorithm::ALL {
            if ring.algorithms().contains(&signing.into()) {
                puts.push(self.new_signing_key(signing, signs_from).await?);
            }
        }
        Ok((puts, signs_from))
    }

    /// Documents by which the private halves of keys that do not even verify any more are destroyed.
    pub(super) async fn worn_out_keys(&self, ring: &KeyRing) -> Result<Vec<Put>, Fault> {
        let mut puts = Vec::new();
        for document in self.store().documents().await? {
            let live = ring.keys().iter().any(|key| *key.key.kid() == *document.id);
            if document.kind == SIGNING_KEY && !live && object(&document)?.contains("sealed") {
                puts.push(emptied(&document)?);
            }
        }
        Ok(puts)
    }

    /// Documents by which a key is taken out, and, if nothing else signs with its algorithm,
    /// another one signs at once. Empty if it was taken out before; `None` if there never was one.
    pub(super) async fn without_key(
        &self,
        ring: &KeyRing,
        kid: &str,
    ) -> Result<Option<Vec<Put>>, Fault> {
        let documents = self.store().documents().await?;
        let document = documents.iter().find(|d| d.kind == SIGNING_KEY && d.id == kid);
        let Some(document) = document else { return Ok(None) };
        if !object(document)?.contains("sealed") {
            return Ok(Some(Vec::new()));
        }
        let mut puts = vec![emptied(document)?];
        let now = self.now();
        for signing in SigningAlgorithm::ALL {
            let signer = ring.signer(signing.into(), now);
            if signer.is_some_and(|signer| signer.kid() == kid) {
                puts.push(self.new_signing_key(signing, now).await?);
            }
        }
        Ok(Some(puts))
    }

    /// The first key of an algorithm, where it has none: it signs at once, because no verifier can
    /// hold an older one to confuse it with.
    pub(super) async fn first_signing_key(
        &self,
        ring: &KeyRing,
        signing: SigningAlgorithm,
    ) -> Result<Option<Put>, Fault> {
        if ring.algorithms().contains(&signing.into()) {
            return Ok(None);
        }
        self.new_signing_key(signing, self.now()).await.map(Some)
    }

    /// On a thread of its own: an RSA key takes a tenth of a second to find.
    async fn new_signing_key(
        &self,
        signing: SigningAlgorithm,
        signs_from: Timestamp,
    ) -> Result<Put, Fault> {
        let key = tokio::task::spawn_blocking(move || generated(signing)).await;
        let key = key.map_err(internal("making a signing key ended early"))??;
        signing_key(&self.0.kek, self.random(), &key, (self.now(), signs_from))
    }
}
