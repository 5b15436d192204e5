//! What is known at one revision: the configuration and the live revocations, immutable.

use std::{collections::HashMap, sync::Arc};

use crate::{
    base::{
        id::{ClientId, ResourceId},
        secret::Fingerprint,
        time::Timestamp,
    },
    jose::{MacKey, ring::KeyRing},
    model::{
        client::{Client, Edge},
        issuer::TrustedIssuer,
        resource::Resource,
        revocation::Revocations,
        token::{OurClaims, OurKind},
        uri::Uri,
    },
    policy::Policies,
    registry::operator::Operator,
};

/// Everything a verb may know. Swapped whole, never changed in place.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The number of the last revocation or configuration change that is in it.
    pub revision: u64,
    /// What administrators registered.
    pub config: Arc<Config>,
    /// The active policy set, compiled against the tools in `config`.
    pub policies: Arc<Policies>,
    /// What was revoked.
    pub revocations: Arc<Revocations>,
}

/// What administrators registered, indexed for reading.
#[derive(Debug)]
pub struct Config {
    /// The revision of the last configuration change in it.
    pub revision: u64,
    /// The base of every URL we publish; the issuer is this and a path.
    pub public_url: Arc<str>,
    /// Our own issuer identifier.
    pub issuer: Arc<str>,
    /// Our signing keys.
    pub keys: KeyRing,
    /// Our symmetric keys.
    pub macs: Macs,
    /// How often a person was erased from the audit log.
    pub erasures: u64,
    clients: HashMap<ClientId, Arc<Client>>,
    agents: HashMap<Uri, ClientId>,
    resources: HashMap<ResourceId, Arc<Resource>>,
    locations: HashMap<Uri, ResourceId>,
    owned: HashMap<ClientId, Vec<Arc<Resource>>>,
    issuers: HashMap<Arc<str>, Arc<TrustedIssuer>>,
    edges: HashMap<(ClientId, ClientId), Edge>,
    operators: HashMap<Fingerprint, Operator>,
}

/// Symmetric keys, derived from the sealed master key.
#[derive(Debug)]
pub struct Macs {
    /// Names transactions: over (issuer, foreign token id, root agent).
    pub transaction: MacKey,
    /// Ends every client secret, so that a wrong one is refused in microseconds.
    pub secret_tag: MacKey,
    /// Makes the nonces that DPoP proofs are made with.
    pub nonce: MacKey,
    /// Marks the keys that sign checkpoints as ours, also when they are long gone.
    pub checkpoint_key: MacKey,
}

/// What a configuration is built from.
#[derive(Debug)]
pub struct Parts {
    /// The revision of the last configuration change.
    pub revision: u64,
    /// The base of every URL we publish.
    pub public_url: Arc<str>,
    /// Our own issuer identifier.
    pub issuer: Arc<str>,
    /// Our signing keys.
    pub keys: KeyRing,
    /// Our symmetric keys.
    pub macs: Macs,
    /// How often a person was erased from the audit log.
    pub erasures: u64,
    /// Clients with their credentials.
    pub clients: Vec<Client>,
    /// Resources with their tools.
    pub resources: Vec<Resource>,
    /// Trusted issuers.
    pub issuers: Vec<TrustedIssuer>,
    /// Edges.
    pub edges: Vec<Edge>,
    /// Operators.
    pub operators: Vec<Operator>,
}

/// Why a token of ours is worth nothing any more. For operators; callers never learn which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dead {
    /// Its time is over.
    Expired,
    /// Some link of it was revoked.
    Revoked,
    /// A client in its chain was disabled.
    ClientDisabled,
    /// The subject's issuer was disabled or removed.
    IssuerDisabled,
    /// Its resource was disabled.
    ResourceDisabled,
}

impl Dead {
    /// The machine code for the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Dead::Expired => "token_expired",
            Dead::Revoked => "token_revoked",
            Dead::ClientDisabled => "client_disabled",
            Dead::IssuerDisabled => "issuer_disabled",
            Dead::ResourceDisabled => "resource_disabled",
        }
    }
}

impl Snapshot {
    /// Whether a token of ours is live: every source of death is asked, none masks another.
    pub fn is_live(&self, claims: &OurClaims, now: Timestamp) -> Result<(), Dead> {
        // Our own tokens get no leeway: live means `now < expires_at`.
        if now >= claims.expires_at {
            return Err(Dead::Expired);
        }
        let resource = self.resource_of(claims);
        if self.revocations.ends(claims, resource.map(|r| &r.id)) {
            return Err(Dead::Revoked);
        }
        if claims.kind == OurKind::Call && !resource.is_some_and(|r| r.enabled) {
            return Err(Dead::ResourceDisabled);
        }
        if !claims.own && !self.config.issuer(&claims.subject.issuer).is_some_and(|i| i.enabled) {
            return Err(Dead::IssuerDisabled);
        }
        if self.config.enabled_client(claims.client.as_str()).is_none() || !self.actors_live(claims)
        {
            return Err(Dead::ClientDisabled);
        }
        Ok(())
    }

    /// The resource that a call token is for.
    pub fn resource_of(&self, claims: &OurClaims) -> Option<&Arc<Resource>> {
        match claims.kind {
            OurKind::Call => self.config.resource_at_text(&claims.audience),
            OurKind::HandOver | OurKind::Agent => None,
        }
    }

    fn actors_live(&self, claims: &OurClaims) -> bool {
        let ours = |hop: &&crate::model::actor::Actor| *hop.issuer == *self.config.issuer;
        let enabled = |sub: &str| self.config.enabled_client(sub).is_some();
        claims.chain.hops().iter().filter(ours).all(|hop| enabled(&hop.sub))
            && (!claims.own || enabled(&claims.subject.sub))
    }
}

impl Config {
    /// Indexes the parts.
    pub fn new(parts: Parts) -> Config {
        let mut agents = HashMap::new();
        for client in &parts.clients {
            if let Some(agent) = &client.agent {
                agents.insert(agent.uri.clone(), client.id.clone());
            }
        }
        let clients = parts.clients.into_iter().map(|c| (c.id.clone(), Arc::new(c))).collect();
        let resources: HashMap<ResourceId, Arc<Resource>> =
            parts.resources.into_iter().map(|r| (r.id.clone(), Arc::new(r))).collect();
        let locations = resources.values().map(|r| (r.uri.clone(), r.id.clone())).collect();
        let mut owned: HashMap<ClientId, Vec<Arc<Resource>>> = HashMap::new();
        for resource in resources.values() {
            owned.entry(resource.owner.clone()).or_default().push(Arc::clone(resource));
        }
        Config {
            revision: parts.revision,
            public_url: parts.public_url,
            issuer: parts.issuer,
            keys: parts.keys,
            macs: parts.macs,
            erasures: parts.erasures,
            clients,
            agents,
            resources,
            locations,
            owned,
            issuers: parts.issuers.into_iter().map(|i| (Arc::clone(&i.url), Arc::new(i))).collect(),
            edges: parts.edges.into_iter().map(|e| ((e.from.clone(), e.to.clone()), e)).collect(),
            operators: parts.operators.into_iter().map(|o| (o.token_hash, o)).collect(),
        }
    }

    /// A client, enabled or not.
    pub fn client(&self, id: &ClientId) -> Option<&Arc<Client>> {
        self.clients.get(id)
    }

    /// An enabled client, by the text of its id.
    pub fn enabled_client(&self, id: &str) -> Option<&Arc<Client>> {
        self.clients.get(id).filter(|c| c.enabled)
    }

    /// All clients, in no order.
    pub fn clients(&self) -> impl Iterator<Item = &Arc<Client>> {
        self.clients.values()
    }

    /// The enabled agent whose URI this is.
    pub fn agent_at(&self, uri: &Uri) -> Option<&Arc<Client>> {
        self.agents.get(uri).and_then(|id| self.clients.get(id)).filter(|c| c.enabled)
    }

    /// The client that has this agent URI, enabled or not.
    pub fn agent_uri_owner(&self, uri: &Uri) -> Option<&ClientId> {
        self.agents.get(uri)
    }

    /// A resource, enabled or not.
    pub fn resource(&self, id: &ResourceId) -> Option<&Arc<Resource>> {
        self.resources.get(id)
    }

    /// The resource at a location, enabled or not.
    pub fn resource_at(&self, uri: &Uri) -> Option<&Arc<Resource>> {
        self.locations.get(uri).and_then(|id| self.resources.get(id))
    }

    /// The resource at a location, written as a canonical URI.
    pub fn resource_at_text(&self, uri: &str) -> Option<&Arc<Resource>> {
        self.locations.get(uri).and_then(|id| self.resources.get(id))
    }

    /// The resources that a client owns.
    pub fn owned_by(&self, owner: &ClientId) -> impl Iterator<Item = &Arc<Resource>> {
        self.owned.get(owner).into_iter().flatten()
    }

    /// All resources, in no order.
    pub fn resources(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.values()
    }

    /// A trusted issuer, enabled or not; `iss` is compared exactly.
    pub fn issuer(&self, url: &str) -> Option<&Arc<TrustedIssuer>> {
        self.issuers.get(url)
    }

    /// All trusted issuers, in no order.
    pub fn issuers(&self) -> impl Iterator<Item = &Arc<TrustedIssuer>> {
        self.issuers.values()
    }

    /// The enabled edge between two clients. No edge means no.
    pub fn edge(&self, from: &ClientId, to: &ClientId) -> Option<&Edge> {
        self.edges.get(&(from.clone(), to.clone())).filter(|e| e.enabled)
    }

    /// The operator whose token has this fingerprint, unless it was ended.
    pub fn operator(&self, token: &Fingerprint) -> Option<&Operator> {
        self.operators.get(token).filter(|operator| operator.enabled)
    }

    /// Every operator, those that were ended too.
    pub fn operators(&self) -> impl Iterator<Item = &Operator> {
        self.operators.values()
    }
}
