//! Our signing keys.

use super::{Answered, Asked, PREFIX, Reply};
use crate::{
    base::compose::ObjectWriter,
    service::{Deputy, admin::KeyView},
};

/// The published keys, newest first.
pub fn list(deputy: &Deputy) -> Reply {
    Reply::list(&deputy.signing_keys().iter().map(written).collect::<Vec<_>>(), None)
}

/// A new key: published now, signing later.
pub async fn rotate(deputy: Deputy, asked: Asked) -> Answered {
    let keys = deputy.rotate_signing_key(&asked.operator).await?;
    let keys: Vec<String> = keys.iter().map(written).collect();
    Ok(Reply::list(&keys, None).created(format!("{PREFIX}/keys")))
}

/// What another key-encryption key sealed is sealed anew.
pub async fn reseal(deputy: Deputy, asked: Asked) -> Answered {
    let resealed = deputy.reseal_keys(&asked.operator).await?;
    Ok(Reply::ok(ObjectWriter::new().count("resealed", resealed).finish()))
}

/// A key is taken out, with everything that was ever issued.
pub async fn retire(deputy: Deputy, asked: Asked) -> Answered {
    let kid = asked.name("kid");
    let keys = deputy.retire_signing_key(&asked.operator, kid).await?;
    Ok(Reply::list(&keys.iter().map(written).collect::<Vec<_>>(), None))
}

fn written(key: &KeyView) -> String {
    ObjectWriter::new()
        .text("kid", &key.kid)
        .text("alg", key.alg)
        .number("signs_from", key.signs_from.epoch_s())
        .text("state", key.state.as_str())
        .finish()
}
