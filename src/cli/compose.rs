//! Documents from flags, or from a file. What they mean is the server's to say; only what cannot
//! be written down at all is refused here.

use std::{io::Read, path::Path};

use super::{
    api::Trouble,
    args::{ClientArgs, EdgeArgs, ImportArgs, IssuerArgs, ResourceArgs, SimulateArgs, Whole},
};
use crate::base::json::{self, Limits, Object, Value};

/// What an import may be, and therefore any document.
const BYTES_MAX: u64 = 1024 * 1024;
const LIMITS: Limits = Limits { max_bytes: 1024 * 1024, ..Limits::DEFAULT };

/// A document in a file.
pub fn file(path: &Path) -> Result<Object, Trouble> {
    let shown = path.display().to_string();
    let bytes = bytes(path).map_err(|source| Trouble::File { path: shown.clone(), source })?;
    match json::parse(&bytes, &LIMITS) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Trouble::Usage(format!("`{shown}` is not a JSON object"))),
        Err(e) => Err(Trouble::Usage(format!("`{shown}` is not JSON: {e}"))),
    }
}

fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().take(BYTES_MAX.saturating_add(1)).read_to_end(&mut bytes)?;
    } else {
        let file = std::fs::File::open(path)?;
        file.take(BYTES_MAX.saturating_add(1)).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The whole document, which must be given.
pub fn whole(whole: &Whole) -> Result<Object, Trouble> {
    let missing = || Trouble::Usage("give the document with --file (`-` reads it here)".to_owned());
    file(whole.file.as_deref().ok_or_else(missing)?)
}

/// A client.
pub fn client(args: &ClientArgs) -> Result<Object, Trouble> {
    if let Some(path) = &args.whole.file {
        return file(path);
    }
    let id = args.id.as_deref().unwrap_or_default();
    let mut client = Object::new();
    client.insert("client_id", id);
    client.insert("name", args.name.as_deref().unwrap_or(id));
    if let Some(method) = &args.auth_method {
        client.insert("token_endpoint_auth_method", method.as_str());
    }
    if let Some(path) = &args.jwks {
        client.insert("jwks", file(path)?);
    }
    if let Some(uri) = &args.jwks_uri {
        client.insert("jwks_uri", uri.as_str());
    }
    if args.legacy_assertions {
        client.insert("legacy_assertions", true);
    }
    if args.dpop_bound {
        client.insert("dpop_bound_access_tokens", true);
    }
    if args.asks_without_token {
        client.insert("asks_without_token", true);
    }
    if let Some(alg) = &args.introspection_alg {
        client.insert("introspection_signed_response_alg", alg.as_str());
    }
    if let Some(uri) = &args.agent_uri {
        let mut agent = Object::new();
        agent.insert("uri", uri.as_str());
        agent.insert("allowance", entries(&args.allow)?);
        agent.insert("own_allowance", entries(&args.allow_own)?);
        client.insert("agent", agent);
    }
    Ok(client)
}

/// A resource.
pub fn resource(args: &ResourceArgs) -> Result<Object, Trouble> {
    if let Some(path) = &args.whole.file {
        return file(path);
    }
    let id = args.id.as_deref().unwrap_or_default();
    let mut resource = Object::new();
    resource.insert("id", id);
    resource.insert("resource", needed(args.uri.as_deref(), "--uri")?);
    resource.insert("owner", needed(args.owner.as_deref(), "--owner")?);
    resource.insert("name", args.name.as_deref().unwrap_or(id));
    resource.insert("scopes_supported", texts(args.scope.iter().map(String::as_str)));
    if let Some(enforces) = &args.enforces {
        resource.insert("enforces", enforces.as_str());
    }
    if let Some(ttl) = args.ttl {
        resource.insert("token_ttl_s", ttl);
    }
    if let Some(who) = &args.dpop {
        resource.insert("dpop", who.as_str());
    }
    if let Some(alg) = &args.token_alg {
        resource.insert("token_signing_alg", alg.as_str());
    }
    resource.insert("step_up_hints", args.step_up_hints);
    resource.insert("verifies_offline", args.verifies_offline);
    Ok(resource)
}

/// An import.
pub fn import(args: &ImportArgs) -> Result<Object, Trouble> {
    let Some(tools) = &args.tools else { return whole(&args.whole) };
    let mut assign = Object::new();
    for text in &args.assign {
        let (tool, assignment) = assignment(text)?;
        assign.insert(tool, assignment);
    }
    for text in &args.keep {
        keep(text, &mut assign)?;
    }
    for tool in &args.skip {
        assign.insert(tool.as_str(), [("skip", true)].into_iter().collect::<Object>());
    }
    let mut import = Object::new();
    import.insert("tools_list", file(tools)?);
    import.insert("assign", assign);
    Ok(import)
}

fn assignment(text: &str) -> Result<(&str, Object), Trouble> {
    let wrong = || {
        let example = "refunds.list=read:refunds:read";
        Trouble::Usage(format!("`{text}` is no assignment; write one such as `{example}`"))
    };
    let (tool, rest) = text.split_once('=').ok_or_else(wrong)?;
    let (effect, scopes) = rest.split_once(':').ok_or_else(wrong)?;
    let mut assignment = Object::new();
    assignment.insert("effect", effect);
    assignment.insert("scopes", texts(scopes.split(',')));
    Ok((tool, assignment))
}

/// Adds what is kept of a tool's arguments to what is assigned to the tool.
fn keep(text: &str, assign: &mut Object) -> Result<(), Trouble> {
    let wrong = || {
        let example = "refunds.list=/order_id,/customer/id";
        Trouble::Usage(format!("`{text}` names no arguments; write such as `{example}`"))
    };
    let (tool, pointers) = text.split_once('=').ok_or_else(wrong)?;
    let known = assign.get(tool).and_then(Value::as_object);
    let mut assignment = known.cloned().ok_or_else(|| {
        Trouble::Usage(format!("--keep speaks of `{tool}`: add --assign {tool}=EFFECT:SCOPE"))
    })?;
    let pointers = pointers.split(',').filter(|pointer| !pointer.is_empty());
    assignment.insert("keep_arguments", texts(pointers));
    assign.insert(tool, assignment);
    Ok(())
}

/// An issuer.
pub fn issuer(args: &IssuerArgs) -> Result<Object, Trouble> {
    if let Some(path) = &args.whole.file {
        return file(path);
    }
    let mut issuer = Object::new();
    issuer.insert("issuer", args.issuer.as_deref().unwrap_or_default());
    issuer.insert("alias", needed(args.alias.as_deref(), "--alias")?);
    issuer.insert("primary", args.primary);
    let mut keys = Object::new();
    match &args.jwks_uri {
        Some(uri) => keys.insert("jwks_uri", uri.as_str()),
        None => keys.insert("discovery", true),
    };
    issuer.insert("keys", keys);
    if !args.audience.is_empty() {
        let mut rules = Object::new();
        rules.insert("audiences", texts(args.audience.iter().map(String::as_str)));
        issuer.insert("access_tokens", rules);
    }
    issuer.insert("id_tokens", args.id_tokens);
    issuer.insert("any_agent", args.any_agent);
    issuer.insert("agents", agents(&args.agent)?);
    issuer.insert("grant_rules", grant_rules(args)?);
    Ok(issuer)
}

fn agents(pairs: &[String]) -> Result<Object, Trouble> {
    let mut agents: Vec<(&str, Vec<&str>)> = Vec::new();
    for pair in pairs {
        let (ours, theirs) = pair.split_once('=').ok_or_else(|| {
            let example = "cl_support-agent=support-frontend";
            Trouble::Usage(format!("`{pair}` is no pair; write one such as `{example}`"))
        })?;
        match agents.iter_mut().find(|(known, _)| *known == ours) {
            Some((_, all)) => all.push(theirs),
            None => agents.push((ours, vec![theirs])),
        }
    }
    Ok(agents.into_iter().map(|(ours, theirs)| (ours, texts(theirs))).collect())
}

/// One rule for each kind of token that is accepted.
fn grant_rules(args: &IssuerArgs) -> Result<Value, Trouble> {
    let mut rules: Vec<Value> = Vec::new();
    if args.grant.is_empty() {
        return Ok(rules.into());
    }
    let gives = entries(&args.grant)?;
    if args.id_tokens {
        let rule = [("kind", Value::from("id_token")), ("gives", gives.clone())];
        rules.push(rule.into_iter().collect::<Object>().into());
    }
    if !args.audience.is_empty() {
        let mut rule = Object::new();
        rule.insert("kind", "access_token");
        match &args.foreign_scope {
            Some(scope) => rule.insert("foreign_scope", scope.as_str()),
            None => rule.insert("any_scope", args.any_scope),
        };
        rule.insert("gives", gives);
        rules.push(rule.into());
    }
    Ok(rules.into())
}

/// An edge.
pub fn edge(args: &EdgeArgs) -> Result<Object, Trouble> {
    if let Some(path) = &args.whole.file {
        return file(path);
    }
    let mut edge = Object::new();
    if !args.allow.is_empty() {
        edge.insert("ceiling", entries(&args.allow)?);
    }
    if !args.effect.is_empty() {
        edge.insert("effects", texts(args.effect.iter().map(String::as_str)));
    }
    if let Some(depth) = args.max_depth {
        edge.insert("max_depth", depth);
    }
    if let Some(ttl) = args.max_ttl {
        edge.insert("max_ttl_s", ttl);
    }
    Ok(edge)
}

fn entries(entries: &[String]) -> Result<Value, Trouble> {
    let read: Result<Vec<Value>, Trouble> = entries.iter().map(|e| entry(e)).collect();
    read.map(Value::from)
}

/// `RESOURCE=SCOPE[,SCOPE…][#TOOL[,TOOL…]]`; a named tool takes any arguments.
fn entry(text: &str) -> Result<Value, Trouble> {
    let Some((resource, rest)) = text.split_once('=') else {
        let example = "refunds=refunds:read#refunds.list";
        let why = format!("`{text}` is no entry; write one such as `{example}`");
        return Err(Trouble::Usage(why));
    };
    let (scopes, tools) = match rest.split_once('#') {
        Some((scopes, tools)) => (scopes, Some(tools)),
        None => (rest, None),
    };
    let mut entry = Object::new();
    entry.insert("resource", resource);
    entry.insert("scope", scopes.replace(',', " "));
    if let Some(tools) = tools {
        let tools: Object = tools.split(',').map(|tool| (tool, Object::new())).collect();
        entry.insert("tools", tools);
    }
    Ok(entry.into())
}

fn needed<'a>(value: Option<&'a str>, flag: &str) -> Result<&'a str, Trouble> {
    value.ok_or_else(|| Trouble::Usage(format!("{flag} is missing; or give --file")))
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
    Value::Array(texts.into_iter().map(Value::from).collect())
}

/// A call that nobody makes.
pub fn question(args: &SimulateArgs, issuer: &str) -> Result<Object, Trouble> {
    let mut subject = Object::new();
    subject.insert("issuer", issuer);
    subject.insert("sub", args.user.as_str());
    if args.id_token {
        subject.insert("kind", "id_token");
    }
    if let Some(claims) = &args.claims {
        subject.insert("claims", flag_json("--claims", claims)?);
    }
    let mut question = Object::new();
    question.insert("subject", subject);
    question
        .insert("agents", Value::Array(args.agents.iter().map(|a| a.as_str().into()).collect()));
    question.insert("resource", args.resource.as_str());
    question.insert("tool", args.tool.as_str());
    question.insert("arguments", flag_json("--arguments", &args.arguments)?);
    if let Some(details) = &args.details {
        question.insert("authorization_details", flag_json("--details", details)?);
    }
    if let Some(scope) = &args.scope {
        question.insert("scope", scope.as_str());
    }
    Ok(question)
}

fn flag_json(flag: &str, text: &str) -> Result<Value, Trouble> {
    json::parse(text.as_bytes(), &LIMITS)
        .map_err(|e| Trouble::Usage(format!("{flag} is not JSON: {e}")))
}
