//! The claims of a checkpoint of the audit log: a JWT of ours that is no token, and lasts.

use crate::{
    base::{
        claims::ClaimError,
        compose::ObjectWriter,
        json::{Object, Value},
        secret::Fingerprint,
        time::Timestamp,
    },
    model::checkpoint::{Checkpoint, PLACES_MAX, Place},
};

/// `typ` of a checkpoint: no verifier of tokens takes it.
pub const TYP_CHECKPOINT: &str = "deputy-checkpoint+jwt";

/// The JSON payload.
pub fn write(issuer: &str, checkpoint: &Checkpoint) -> String {
    let previous = checkpoint.previous.as_ref().map(Fingerprint::text);
    let mut claims = ObjectWriter::new()
        .text("iss", issuer)
        .number("iat", checkpoint.at.epoch_s())
        .count("n", checkpoint.n)
        .maybe_text("previous", previous.as_deref())
        .raw("heads", &places(&checkpoint.heads));
    if !checkpoint.bases.is_empty() {
        claims = claims.raw("bases", &places(&checkpoint.bases));
    }
    if let Some(begins) = checkpoint.begins {
        claims = claims.count("begins", begins);
    }
    claims.finish()
}

/// Reads a payload.
///
/// # Errors
/// The claim that is missing, or that we never write so.
pub fn read(claims: &Object) -> Result<Checkpoint, ClaimError> {
    let invalid = |name| move || ClaimError::Malformed(name);
    let at = claims.get("iat").and_then(Value::as_i64).and_then(Timestamp::from_epoch_s);
    let previous = match claims.get("previous") {
        None => None,
        Some(value) => Some(fingerprint(value).ok_or_else(invalid("previous"))?),
    };
    Ok(Checkpoint {
        n: number(claims.get("n")).filter(|n| *n > 0).ok_or_else(invalid("n"))?,
        at: at.ok_or_else(invalid("iat"))?,
        previous,
        heads: read_places(claims.get("heads")).ok_or_else(invalid("heads"))?,
        bases: match claims.get("bases") {
            None => Vec::new(),
            some => read_places(some).ok_or_else(invalid("bases"))?,
        },
        begins: match claims.get("begins") {
            None => None,
            some => Some(number(some).ok_or_else(invalid("begins"))?),
        },
    })
}

fn places(places: &[Place]) -> String {
    let place = |place: &Place| {
        ObjectWriter::new()
            .text("writer", &place.writer)
            .count("seq", place.seq)
            .text("hash", &place.hash.text())
            .finish()
    };
    format!("[{}]", places.iter().map(place).collect::<Vec<_>>().join(","))
}

fn read_places(value: Option<&Value>) -> Option<Vec<Place>> {
    let places = value?.as_array().filter(|places| places.len() <= PLACES_MAX)?;
    let place = |value: &Value| {
        let place = value.as_object()?;
        Some(Place {
            writer: place.get("writer")?.as_str()?.into(),
            seq: number(place.get("seq"))?,
            hash: fingerprint(place.get("hash")?)?,
        })
    };
    places.iter().map(place).collect()
}

fn number(value: Option<&Value>) -> Option<u64> {
    u64::try_from(value?.as_i64()?).ok()
}

fn fingerprint(value: &Value) -> Option<Fingerprint> {
    Fingerprint::parse(value.as_str()?)
}
