//! `edge`: an administrator's permission for one client to hand authority to another.

use std::{collections::BTreeSet, ops::RangeInclusive};

use super::{
    ceiling,
    form::{self, Read},
};
use crate::{
    base::{id::ClientId, json::Object, time::Seconds},
    model::{
        client::Edge,
        resource::{Effect, Resource},
    },
};

/// The actors of a chain that passes an edge: who hands over and who receives, at least; no chain is
/// longer than the second number.
const DEPTHS: RangeInclusive<i64> = 2..=8;

/// The id of an edge: `from>to`.
pub fn id(edge: &Edge) -> String {
    format!("{}>{}", edge.from, edge.to)
}

/// The clients that an edge's id names.
pub fn parse_id(id: &str) -> Option<(ClientId, ClientId)> {
    let (from, to) = id.split_once('>')?;
    Some((ClientId::parse(from).ok()?, ClientId::parse(to).ok()?))
}

/// Reads an edge. `destructive` and `egress` authority passes only where the edge says so.
pub fn parse(text: &str) -> Read<Edge> {
    form::document(text, |form| {
        let from = form.required("from", form::parsed(ClientId::parse));
        let to = form.required("to", form::parsed(ClientId::parse));
        if from.is_some() && from == to {
            form.problem("to", "is the same client as `from`: an edge joins two");
        }
        let ceiling = form.maybe("ceiling", ceiling::read);
        let words = Effect::ALL.map(|effect| (effect.as_str(), effect));
        let effects = form.or(
            "effects",
            vec![Effect::Read, Effect::Write],
            form::list(1..=Effect::ALL.len(), form::word(&words)),
        );
        let max_depth = form.maybe("max_depth", form::number(DEPTHS));
        let max_ttl = form.maybe("max_ttl_s", form::number(1..=Resource::MAX_TTL.get()));
        let enabled = form.or("enabled", true, form::flag);
        Some(Edge {
            from: from?,
            to: to?,
            ceiling: ceiling?,
            effects: effects?.into_iter().collect::<BTreeSet<Effect>>(),
            max_depth: max_depth?.and_then(|depth| depth.try_into().ok()),
            max_ttl: max_ttl?.and_then(|ttl| ttl.try_into().ok()).map(Seconds::new),
            enabled: enabled?,
        })
    })
}

/// Writes an edge.
pub fn write(edge: &Edge) -> String {
    let mut document = Object::new();
    document.insert("from", edge.from.as_str());
    document.insert("to", edge.to.as_str());
    if let Some(ceiling) = &edge.ceiling {
        document.insert("ceiling", ceiling::to_json(ceiling.entries()));
    }
    document.insert("effects", form::texts(edge.effects.iter().map(|e| e.as_str())));
    if let Some(depth) = edge.max_depth.and_then(|depth| i64::try_from(depth).ok()) {
        document.insert("max_depth", depth);
    }
    if let Some(ttl) = edge.max_ttl {
        document.insert("max_ttl_s", ttl.get());
    }
    document.insert("enabled", edge.enabled);
    document.to_json()
}
