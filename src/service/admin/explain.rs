//! Why a call was decided as it was: the recorded decision, judged again at its revision and time.
//! What is no longer there to judge it by is named, and the record stands as it is.

use std::sync::Arc;

use super::Refused;
use crate::{
    base::{id::DecisionId, json::Object},
    engine::{
        explain::{self, Case, Explanation, Known},
        kept,
    },
    model::{
        call::Policed,
        event::{Event, Kept, Kind, Outcome},
        token::OurClaims,
    },
    policy::Policies,
    service::{Deputy, history::Then, state::kind},
    store::{Document, StoredEvent},
};

/// A recorded decision, explained.
#[derive(Debug)]
pub struct Explained {
    /// As it is on record.
    pub found: StoredEvent,
    /// The arguments, as far as they were kept.
    pub arguments: Object,
    /// The decision again, or why it cannot be made again.
    pub again: Result<Again, Gone>,
    /// The policies that decided where there was no token, and the set that they are of.
    pub on_record: Option<(Policed, Arc<Policies>)>,
}

/// A decision that was made again.
#[derive(Debug)]
pub struct Again {
    /// How it went.
    pub explanation: Explanation,
    /// Whether it came to the recorded answer; `None` where argument values that were not kept
    /// leave that open.
    pub agrees: Option<bool>,
    /// The policies of then.
    pub policies: Arc<Policies>,
    /// Which versions of the registered documents it was decided by: (kind, id, version).
    pub versions: Vec<(String, String, u64)>,
}

/// Why a decision cannot be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The registry as it stood then is no longer kept.
    History,
    /// The delegation is no longer kept.
    Delegation,
    /// There was no token: access policies answered.
    Token,
    /// The token was of another issuer than ours is now.
    Issuer,
}

impl Gone {
    /// What is missing, for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Gone::History => "the registry as it stood at that revision is no longer kept",
            Gone::Delegation => "the delegation is no longer kept",
            Gone::Token => {
                "it was asked without a token, and the properties that access policies look at are \
                 not kept"
            }
            Gone::Issuer => "the token does not read as one of ours: was the public URL changed?",
        }
    }
}

impl Deputy {
    /// Explains a recorded decision. What was answered before this call is found.
    pub async fn explain(&self, id: DecisionId) -> Result<Explained, Refused> {
        self.store().writer().flush().await?;
        let found = self.store().decision(id).await?;
        let found = found.filter(|found| found.event.kind == Kind::Decision);
        let found = found.ok_or_else(|| Refused::Missing(format!("decision `{id}`")))?;
        let arguments = kept::arguments(&found.event);
        let again = match self.basis(&found.event).await? {
            Ok((then, claims)) => Ok(again(id, (&then, &claims), &found.event, &arguments)),
            Err(gone) => Err(gone),
        };
        let on_record = match again {
            // Access policies decided. They are not asked again, because what they were asked about
            // is not kept; which ones it were is.
            Err(Gone::Token) => self
                .then(found.event.revision)
                .await?
                .map(|then| (kept::policed(&found.event), Arc::clone(&then.snapshot.policies))),
            Ok(_) | Err(_) => None,
        };
        Ok(Explained { found, arguments, again, on_record })
    }

    /// What a decision was made by: the registry and revocations of then, and the token.
    pub(super) async fn basis(
        &self,
        event: &Event,
    ) -> Result<Result<(Then, OurClaims), Gone>, Refused> {
        let Some(then) = self.then(event.revision).await? else { return Ok(Err(Gone::History)) };
        let stored = match event.delegation {
            Some(id) => self.store().delegation(id).await?,
            None => return Ok(Err(Gone::Token)),
        };
        let Some(stored) = stored else { return Ok(Err(Gone::Delegation)) };
        let claims = super::records::claims_of(&then.snapshot, &stored);
        Ok(claims.map(|claims| (then, claims)).ok_or(Gone::Issuer))
    }
}

/// The pure verb again, held against the record.
fn again(
    id: DecisionId,
    (then, claims): (&Then, &OurClaims),
    event: &Event,
    arguments: &Object,
) -> Again {
    let detail = |name: &str| event.detail.iter().find(|(known, _)| **known == *name);
    let case = Case {
        id,
        claims,
        caller: event.client.as_ref(),
        subject: detail(kept::SUBJECT_NAMED).map(|(_, subject)| subject.as_str()),
        tool: event.tool.as_deref().unwrap_or_default(),
        arguments: match event.arguments {
            Some(Kept::Whole) => Known::Whole(arguments),
            Some(Kept::Partly) => Known::Partly(arguments),
            None => Known::Nothing,
        },
        recorded: Some(&*event.reason),
        at: event.at,
    };
    let mut explanation = explain::explain(&then.snapshot, &case);
    // Where values that were not kept leave open what the policies say, the record says which did.
    // The same holds for the limit that decided.
    if explanation.verdict.is_none() {
        explanation.policed = kept::policed(event);
        explanation.decided_by(detail(kept::ARGUMENT).map(|(_, argument)| argument.as_str()));
    }
    let agrees = explanation.verdict.as_ref().map(|verdict| {
        verdict.reason == &*event.reason && verdict.allows() == (event.outcome == Outcome::Granted)
    });
    let policies = Arc::clone(&then.snapshot.policies);
    Again { explanation, agrees, policies, versions: versions(then, claims, event) }
}

/// The versions of what the decision rests on: the resource and its tool, the clients of the chain,
/// the subject's issuer, the policies.
fn versions(then: &Then, claims: &OurClaims, event: &Event) -> Vec<(String, String, u64)> {
    let resource = event.resource.as_ref().map(ToString::to_string).unwrap_or_default();
    let tool = format!("{resource}/{}", event.tool.as_deref().unwrap_or_default());
    let issuer = then.snapshot.config.issuer(&claims.subject.issuer);
    let acts = |id: &str| {
        *id == *claims.client.as_str() || claims.chain.hops().iter().any(|hop| *hop.sub == *id)
    };
    let takes_part = |d: &&Document| match d.kind.as_str() {
        kind::RESOURCE => d.id == resource,
        kind::TOOL => d.id == tool,
        kind::CLIENT => acts(&d.id),
        kind::POLICY_SET => true,
        kind::ISSUER => issuer.is_some_and(|issuer| *issuer.alias.as_str() == *d.id),
        _ => false,
    };
    let found = then.documents.iter().filter(takes_part);
    found.map(|d| (d.kind.clone(), d.id.clone(), d.version)).collect()
}
