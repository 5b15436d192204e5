//! What is known about the subject on good authority, for constraints that speak of it.

use super::presenter::Standing;
use crate::{
    base::json::Value,
    engine::snapshot::Config,
    model::{constraint::SubjectClaims, issuer::TrustedIssuer, token::OurClaims},
};

/// The authoritative claims of the subject. A foreign token is at hand with all that it says; of a
/// token of ours there is only the subject itself, because it carries no other claim. An agent that
/// acts for itself is vouched for by nobody.
pub fn claims(config: &Config, standing: &Standing<'_>) -> SubjectClaims {
    match standing {
        Standing::Root { claims, issuer, .. } => known(issuer, |name| claims.claims.get(name)),
        Standing::Holder(claims) | Standing::Owner(claims) | Standing::Receiver(claims) => {
            of_ours(config, claims)
        }
        Standing::Own => SubjectClaims::default(),
    }
}

fn of_ours(config: &Config, claims: &OurClaims) -> SubjectClaims {
    let sub = Value::from(&*claims.subject.sub);
    // The subject of an agent's own token has no registered issuer: it is us.
    let issuer = config.issuer(&claims.subject.issuer);
    let known = |issuer: &_| known(issuer, |name| (name == "sub").then_some(&sub));
    issuer.map(|issuer| known(issuer)).unwrap_or_default()
}

fn known<'a>(issuer: &TrustedIssuer, claim: impl Fn(&str) -> Option<&'a Value>) -> SubjectClaims {
    let mut known = SubjectClaims::default();
    for (name, mapped) in issuer.claim_mapping.iter().filter(|(_, mapped)| mapped.authoritative) {
        known.tell(name.clone(), claim(&mapped.claim));
    }
    known
}
