//! The story itself, scene by scene: what is done, what is told, and what must come of it. Each
//! step is really taken, over HTTP; nothing is told that was not just seen.

use serde_json::{Value, json};

use super::{
    DemoError,
    agent::{ACCESS_TOKEN, Agent, Called, Refused, Session, Token, details, written},
    issuer::{Issuer, claims::Claims},
    mcp_server::INJECTION,
    setup::{AUDIENCE, Admin, Cast, FOREIGN_CLIENT, FOREIGN_SCOPE, Server},
    story::{Mood, Narrator, names},
};
use crate::{
    base::{secret::Secret, time::Clock},
    jose::Algorithm,
};

/// Everything a scene can reach.
pub struct Stage<'a> {
    /// Who tells it.
    pub narrator: Narrator<'a>,
    /// Who acts.
    pub cast: Cast,
    /// Who signs people in.
    pub issuer: Issuer,
    /// Who administers Deputy.
    pub admin: Admin,
}

/// What the first scenes leave behind for the later ones.
pub struct Props {
    alice: Token,
    hand_over: Token,
    billing: Token,
    open: Session,
    /// The transaction that all of it belongs to.
    pub txn: String,
}

/// What must come of a step.
#[derive(Clone, Copy)]
pub enum Must<'a> {
    /// It is granted or allowed.
    Pass,
    /// It is refused or denied for this reason.
    Fail(&'a str),
}

/// `order_id` of the one refund that the support agent asks about.
fn one_refund() -> Value {
    json!({ "refunds.list": { "order_id": { "constraint_type": "exact", "value": "A-17" } } })
}

fn one_ticket() -> Value {
    json!({ "tickets.get": { "id": { "constraint_type": "exact", "value": 4711 } } })
}

impl Stage<'_> {
    /// Somebody signs in: an access token of the identity provider, meant for Deputy.
    pub fn sign_in(&self, who: &str, lifetime_s: u32) -> Result<Token, DemoError> {
        let now = Clock::System.wall();
        let expires = now.plus(crate::base::time::Seconds::new(lifetime_s)).epoch_s();
        let claims = Claims::new(who, AUDIENCE, now).with("exp", expires);
        let token = self.issuer.access_token(claims, FOREIGN_CLIENT, FOREIGN_SCOPE)?;
        Ok(Token::new(Secret::new(token), ACCESS_TOKEN))
    }

    /// The whole story up to the revocation and what follows it.
    pub async fn tell(&mut self) -> Result<Option<String>, DemoError> {
        let alice = self.alice_asks()?;
        self.ticket(&alice).await?;
        let Some(props) = self.hand_over(alice).await? else { return Ok(None) };
        self.injection(&props).await?;
        self.revocation(&props).await?;
        self.next_morning().await?;
        let txn = props.txn.clone();
        props.open.close().await;
        Ok(Some(txn))
    }

    fn alice_asks(&mut self) -> Result<Token, DemoError> {
        let n = &mut self.narrator;
        n.scene("Alice asks the support agent for help");
        n.say(
            "\"Summarise ticket 4711, and check whether its refund was issued.\" Alice is signed in \
             at the company's identity provider; the agent works with her access token.",
        );
        let alice = self.sign_in("alice", 600)?;
        let kid = self.issuer.rotate(Algorithm::Es256)?;
        self.narrator.row(
            Mood::Plain,
            "identity",
            &format!("{} signed Alice's token, then rotated to key {kid}", self.issuer.url()),
        );
        Ok(alice)
    }

    async fn ticket(&mut self, alice: &Token) -> Result<(), DemoError> {
        let n = &mut self.narrator;
        n.scene("The support agent reads the ticket, as Alice's deputy");
        n.say(
            "It does not use Alice's token. It exchanges it for one that is good at one server, for \
             one tool, for one ticket, for two minutes.",
        );
        let (support, server) = (&self.cast.support, &self.cast.tickets);
        let (at, wanted) = (At::server(server), one_ticket());
        let token = exchange(n, support, alice, &at, (&wanted, Must::Pass)).await?;
        let Some(token) = token else { return Ok(()) };
        let Some(session) = connect(n, support, server, &token).await else { return Ok(()) };
        let call = ("tickets.get", json!({ "id": 4711 }));
        let came = called(n, (support.name, &token), &session, &call, Must::Pass).await;
        n.row(Mood::Plain, "answer", &came.answer);
        n.say("The last line was written by an attacker. Remember it.");
        let call = ("tickets.get", json!({ "id": 4712 }));
        n.gap();
        n.say("The same token is good for this ticket only, and the server asks about every call:");
        let must = Must::Fail("argument_not_permitted");
        called(n, (support.name, &token), &session, &call, must).await;
        session.close().await;
        Ok(())
    }

    async fn hand_over(&mut self, alice: Token) -> Result<Option<Props>, DemoError> {
        let n = &mut self.narrator;
        n.scene("It hands one question over to the billing agent");
        n.say(
            "Refunds are another team's business. The support agent hands over exactly the right to \
             look up order A-17. A hand-over is good at no server: only the billing agent can \
             exchange it.",
        );
        let Cast { support, billing, refunds, .. } = &self.cast;
        let to_billing = At { target: billing.uri, location: &refunds.uri, name: billing.name };
        let wanted = one_refund();
        let hand_over = exchange(n, support, &alice, &to_billing, (&wanted, Must::Pass)).await?;
        let Some(hand_over) = hand_over else { return Ok(None) };
        n.gap();
        let at = At::server(refunds);
        let token = exchange(n, billing, &hand_over, &at, (&wanted, Must::Pass)).await?;
        let Some(token) = token else { return Ok(None) };
        let Some(open) = connect(n, billing, refunds, &token).await else { return Ok(None) };
        let call = ("refunds.list", json!({ "order_id": "A-17" }));
        let came = called(n, (billing.name, &token), &open, &call, Must::Pass).await;
        n.row(Mood::Plain, "answer", &came.answer);
        n.gap();
        n.say("Alice gets her summary: a broken toaster, order A-17, refund R-201 was issued.");
        let chain = ["alice", "cl_support-agent", "cl_billing-agent"];
        n.check(token.chain() == chain, "the token says alice → support-agent → billing-agent");
        let txn = token.text("txn").to_owned();
        Ok(Some(Props { alice, hand_over, billing: token, open, txn }))
    }

    async fn injection(&mut self, props: &Props) -> Result<(), DemoError> {
        let n = &mut self.narrator;
        n.scene("The billing agent obeys the attacker");
        n.say(&format!(
            "The ticket travelled along, and with it: \"{INJECTION}\" Language models obey. Alice \
             may see all refunds, and this agent exports them for finance every month; but nobody \
             delegated that here."
        ));
        let Cast { billing, refunds, .. } = &self.cast;
        let actor = (billing.name, &props.billing);
        let call = ("refunds.list", json!({ "order_id": "*" }));
        called(n, actor, &props.open, &call, Must::Fail("argument_not_permitted")).await;
        n.gap();
        let call = ("refunds.export", json!({ "days": 30 }));
        called(n, actor, &props.open, &call, Must::Fail("tool_not_delegated")).await;
        n.gap();
        n.say("It asks Deputy for a token that would be enough:");
        let export = json!({ "refunds.export": {} });
        let must = Must::Fail("invalid_authorization_details");
        exchange(n, billing, &props.hand_over, &At::server(refunds), (&export, must)).await?;
        Ok(())
    }

    async fn revocation(&mut self, props: &Props) -> Result<(), DemoError> {
        let n = &mut self.narrator;
        n.scene("An operator pulls the plug");
        n.say("One request ends everything that grew from Alice's question, and nothing else:");
        let body = json!({ "transaction": props.txn });
        let revoked = self.admin.post("/revocations", &body).await?;
        let revision = revoked.get("revision").and_then(Value::as_u64);
        n.row(Mood::Title, "revoked", &format!("transaction {}", props.txn));
        n.check(revision.is_some(), "the revocation is numbered");
        n.gap();
        n.say(
            "The very next call, on the connection that is still open, and allowed a moment ago:",
        );
        let Cast { support, billing, tickets, refunds, .. } = &self.cast;
        let call = ("refunds.list", json!({ "order_id": "A-17" }));
        let must = Must::Fail("401");
        called(n, (billing.name, &props.billing), &props.open, &call, must).await;
        n.gap();
        n.say("The next exchange, by the billing agent and by the support agent:");
        let must = Must::Fail("invalid_request");
        let wanted = one_refund();
        exchange(n, billing, &props.hand_over, &At::server(refunds), (&wanted, must)).await?;
        n.gap();
        exchange(n, support, &props.alice, &At::server(tickets), (&one_ticket(), must)).await?;
        Ok(())
    }

    async fn next_morning(&mut self) -> Result<(), DemoError> {
        self.issuer.retire_old();
        let alice = self.sign_in("alice", 600)?;
        let n = &mut self.narrator;
        n.scene("Alice is not locked out");
        n.say(
            "She signs in again and asks again: a new token, signed with the new key, and a new \
             transaction. What was revoked was one piece of work, not a person.",
        );
        let (support, at) = (&self.cast.support, At::server(&self.cast.tickets));
        exchange(n, support, &alice, &at, (&one_ticket(), Must::Pass)).await?;
        Ok(())
    }
}

/// Where a token shall be good, and what for.
pub struct At<'a> {
    target: &'a str,
    location: &'a str,
    name: &'a str,
}

impl<'a> At<'a> {
    /// A server.
    pub fn server(server: &'a Server) -> At<'a> {
        At { target: &server.uri, location: &server.uri, name: server.id }
    }
}

/// One exchange: asked, told, checked.
pub async fn exchange(
    n: &mut Narrator<'_>,
    agent: &Agent,
    subject: &Token,
    at: &At<'_>,
    (tools, must): (&Value, Must<'_>),
) -> Result<Option<Token>, DemoError> {
    let wanted: Vec<String> = tools.as_object().into_iter().flatten().map(asked).collect();
    let asks = format!("{} asks Deputy for {} at {}", agent.name, wanted.join(", "), at.name);
    n.row(Mood::Plain, "exchange", &asks);
    let answer = agent.exchange(subject, at.target, &details(at.location, tools)).await?;
    match (&answer, must) {
        (Ok(token), _) => granted(n, token, at.name),
        (Err(refused), _) => told_refusal(n, refused),
    }
    match (&answer, must) {
        (Ok(_), Must::Pass) => n.check(true, ""),
        (Err(refused), Must::Fail(error)) => n.check(refused.error == error, error),
        (Err(_), Must::Pass) => n.check(false, "granted"),
        (Ok(_), Must::Fail(error)) => n.check(false, &format!("refused with {error}")),
    }
    Ok(answer.ok())
}

fn granted(n: &mut Narrator<'_>, token: &Token, at: &str) {
    let seconds = token.expires_in.unwrap_or_default();
    let kind = if token.kind == ACCESS_TOKEN { "call token" } else { "hand-over" };
    n.row(Mood::Granted, "  GRANTED", &format!("a {kind} for {seconds} s"));
    n.chain(&token.chain(), at);
}

fn told_refusal(n: &mut Narrator<'_>, refused: &Refused) {
    n.row(Mood::Refused, "  REFUSED", &format!("{}: {}", refused.error, refused.description));
    if let Some(id) = &refused.error_id {
        n.row(
            Mood::Plain,
            "",
            &format!("error id {id}; operators find the precise reason under it"),
        );
    }
}

/// `tickets.get(id=4711)` from `{"id":{"constraint_type":"exact","value":4711}}`.
fn asked((tool, limits): (&String, &Value)) -> String {
    if limits.as_object().is_none_or(serde_json::Map::is_empty) {
        return format!("{tool}(anything)");
    }
    let limits = limits.as_object().into_iter().flatten();
    let limits: Vec<String> = limits
        .filter_map(|(name, limit)| match (limit.get("value"), limit.get("max")) {
            (Some(value), _) => Some(format!("{name}={value}")),
            (None, Some(most)) => Some(format!("{name}≤{most}")),
            (None, None) => None,
        })
        .collect();
    format!("{tool}({})", limits.join(", "))
}

/// Opens a connection to a server.
pub async fn connect(
    n: &mut Narrator<'_>,
    agent: &Agent,
    server: &Server,
    token: &Token,
) -> Option<Session> {
    match agent.open(&server.uri, token).await {
        Ok(session) => Some(session),
        Err(other) => {
            n.check(false, &format!("an MCP connection to {}; came {other:?}", server.id));
            None
        }
    }
}

/// What came of a call.
#[derive(Debug, Default)]
pub struct Came {
    /// The tool's answer; empty unless it ran.
    pub answer: String,
    /// Deputy's decision about it, by its id; empty where there was none.
    pub decision: String,
}

/// One call: made, told, checked.
pub async fn called(
    n: &mut Narrator<'_>,
    (agent, token): (&str, &Token),
    session: &Session,
    (tool, arguments): &(&'static str, Value),
    must: Must<'_>,
) -> Came {
    n.row(Mood::Plain, "call", &format!("{agent} calls {}", written(tool, arguments)));
    let outcome = session.call(tool, arguments).await;
    told_call(n, &outcome);
    if let Called::Denied(_) = outcome {
        n.row(Mood::Plain, "on record", &names(&token.chain()));
    }
    let came_true = match (&outcome, must) {
        (Called::Done(..), Must::Pass) => true,
        (Called::Denied(decision), Must::Fail(reason)) => text(decision, "reason") == reason,
        (Called::Unauthorised(_), Must::Fail(reason)) => reason == "401",
        (_, _) => false,
    };
    n.check(
        came_true,
        match must {
            Must::Pass => "allowed",
            Must::Fail(reason) => reason,
        },
    );
    match outcome {
        Called::Done(answer, decision) => {
            Came { answer, decision: text(&decision, "id").to_owned() }
        }
        Called::Denied(decision) => {
            Came { answer: String::new(), decision: text(&decision, "id").to_owned() }
        }
        Called::Unauthorised(_) | Called::Broken(_) => Came::default(),
    }
}

fn told_call(n: &mut Narrator<'_>, outcome: &Called) {
    match outcome {
        Called::Done(_, decision) => {
            n.row(Mood::Granted, "  ALLOWED", text(decision, "reason"));
            n.row(Mood::Plain, "decision", text(decision, "id"));
        }
        Called::Denied(decision) => {
            let verdict = format!("{}: {}", text(decision, "reason"), text(decision, "message"));
            n.row(Mood::Refused, "  DENIED", &verdict);
            n.row(Mood::Plain, "decision", text(decision, "id"));
        }
        Called::Unauthorised(challenge) => {
            n.row(Mood::Refused, "  REFUSED", "HTTP 401: Deputy no longer calls this token active");
            n.row(Mood::Plain, "answer", challenge);
        }
        Called::Broken(problem) => n.row(Mood::Warning, "  BROKEN", problem),
    }
}

/// A member that is text.
pub fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or("?")
}
