//! `max_calls` of the new token: what is asked for under what is held. It only shrinks; what is not
//! asked for is inherited, and nobody above stops counting.

use std::collections::BTreeMap;

use super::{authority::Granted, presenter::Standing};
use crate::{
    base::id::DelegationId,
    engine::refusal::{DetailsFault, Refusal},
    model::{
        authority::{Authority, Entry},
        max_calls::MaxCalls,
        uri::Uri,
    },
    oauth::token_request::Wanted,
};

/// Puts the limits on every entry that was granted to the delegation `id`, or refuses.
pub fn judge(
    granted: Granted,
    standing: &Standing<'_>,
    wanted: &Wanted,
    id: DelegationId,
) -> Result<Granted, Refusal> {
    let limited = |(location, entry): (&Uri, &Entry)| {
        let asked = wanted.details.iter().flatten().find(|asked| asked.location == *location);
        let asked = asked.and_then(|asked| asked.max_calls);
        let beyond = |_| Refusal::Details(DetailsFault::MaxCallsBeyond(location.clone()));
        let max_calls = held(standing, location).narrowed(id, asked).map_err(beyond)?;
        Ok((location.clone(), Entry { max_calls, ..entry.clone() }))
    };
    let entries: Result<BTreeMap<Uri, Entry>, Refusal> =
        granted.authority.iter().map(limited).collect();
    Ok(Granted { authority: Authority::new(entries?), ..granted })
}

/// The limits on what was presented.
fn held(standing: &Standing<'_>, location: &Uri) -> MaxCalls {
    match standing {
        Standing::Root { .. } | Standing::Own => MaxCalls::default(),
        Standing::Holder(claims) | Standing::Owner(claims) | Standing::Receiver(claims) => {
            let entry = claims.authority.at(location);
            entry.map(|entry| entry.max_calls.clone()).unwrap_or_default()
        }
    }
}
