//! What an administrative command asks the server, and how its answer is shown.

mod evidence;
mod inquiries;
mod operators;
mod policies;
mod tools;

use std::process::ExitCode;

use super::{
    api::{Api, Request, Trouble},
    args::{
        AdminCommand, AuditArgs, AuditVerb, ClientVerb, Connection, DelegationArgs, DelegationVerb,
        EdgeVerb, IssuerVerb, KeyVerb, Noun, ResourceVerb, RevokeNoun, RevokeVerb, SecretVerb,
        Whole,
    },
    compose,
    out::Out,
    show,
};
use crate::base::json::{Object, Value};

/// How a list is shown.
type Table = fn(&[Value], &mut Out);

/// Documents of a kind are read in pages of the largest size.
const PAGE: u16 = 500;

/// Exit code of a command line that does not say enough, as clap's own.
const USAGE: u8 = 2;

/// Runs one command. `env` gives the variables.
pub async fn run(
    command: AdminCommand,
    env: &dyn Fn(&str) -> Option<String>,
    out: &mut Out,
) -> ExitCode {
    match dispatch(command, env, out).await {
        Ok(code) => code,
        Err(trouble) => {
            complain(&trouble, out);
            match trouble {
                Trouble::Usage(_) => ExitCode::from(USAGE),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn complain(trouble: &Trouble, out: &mut Out) {
    let Trouble::Refused { detail, errors } = trouble else {
        return out.trouble(&format!("deputy: {trouble}"));
    };
    // Where policies are in the way, the first of their faults stands in the sentence.
    let policies = errors.iter().any(|wrong| wrong.place.is_some());
    if errors.is_empty() || policies {
        out.trouble(&format!("deputy: {detail}"));
    }
    for wrong in errors.iter().skip(usize::from(policies)) {
        out.trouble(&format!("deputy: {wrong}"));
    }
}

/// One command under way.
struct Session<'a> {
    api: Api,
    json: bool,
    out: &'a mut Out,
}

async fn dispatch(
    command: AdminCommand,
    env: &dyn Fn(&str) -> Option<String>,
    out: &mut Out,
) -> Result<ExitCode, Trouble> {
    match command {
        AdminCommand::Client(noun) => open(&noun.connection, env, out)?.client(noun.verb).await,
        AdminCommand::Resource(noun) => open(&noun.connection, env, out)?.resource(noun.verb).await,
        AdminCommand::Tool(noun) => open(&noun.connection, env, out)?.tool(noun.verb).await,
        AdminCommand::Issuer(noun) => open(&noun.connection, env, out)?.issuer(noun.verb).await,
        AdminCommand::Edge(noun) => open(&noun.connection, env, out)?.edge(noun.verb).await,
        AdminCommand::Policy(noun) => {
            return open(&noun.connection, env, out)?.policy(noun.verb).await;
        }
        AdminCommand::Delegation(noun) => {
            open(&noun.connection, env, out)?.delegation(noun.verb).await
        }
        AdminCommand::Revoke(RevokeNoun { dry_run, noun }) => {
            let mut session = open(&noun.connection, env, out)?;
            let order = session.order(noun.verb).await?;
            if dry_run { session.rehearse(order).await } else { session.end(order).await }
        }
        AdminCommand::Explain(args) => {
            open(&args.connection, env, out)?.explain(&args.decision).await
        }
        AdminCommand::Simulate(args) => {
            let allowed = open(&args.connection, env, out)?.simulate(*args).await?;
            return Ok(if allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        AdminCommand::Key(noun) => open(&noun.connection, env, out)?.key(noun.verb).await,
        AdminCommand::Operator(noun) => open(&noun.connection, env, out)?.operator(noun.verb).await,
        AdminCommand::Audit(Noun { verb: AuditVerb::Verify(args), connection })
            if args.file.is_some() =>
        {
            return evidence::verify(&args, connection.json, out);
        }
        AdminCommand::Audit(noun) => {
            return open(&noun.connection, env, out)?.audit(noun.verb).await;
        }
    }
    .map(|()| ExitCode::SUCCESS)
}

fn open<'a>(
    connection: &Connection,
    env: &dyn Fn(&str) -> Option<String>,
    out: &'a mut Out,
) -> Result<Session<'a>, Trouble> {
    let api = Api::open(connection, env)?;
    if api.is_in_the_clear() {
        out.trouble("deputy: warning: the admin token crosses the network in the clear; use https");
    }
    Ok(Session { api, json: connection.json, out })
}

impl Session<'_> {
    async fn client(&mut self, verb: ClientVerb) -> Result<(), Trouble> {
        match verb {
            ClientVerb::List => self.list(&["clients"], show::clients).await,
            ClientVerb::Show { id } => self.show(&["clients", &id]).await,
            ClientVerb::Create(args) => {
                let body = compose::client(&args)?;
                let made = self.ask(Request::post(&["clients"], Some(body))).await?;
                self.secret(&made, "client_id", "client_secret");
                Ok(())
            }
            ClientVerb::Put { id, whole } => self.put(&["clients", &id], &whole).await,
            ClientVerb::Enable { id } => self.switch(&["clients", &id], true).await,
            ClientVerb::Disable { id } => self.switch(&["clients", &id], false).await,
            ClientVerb::Secret(verb) => self.secrets(verb).await,
        }
    }

    async fn secrets(&mut self, verb: SecretVerb) -> Result<(), Trouble> {
        match verb {
            SecretVerb::List { id } => {
                let answer = self.ask(Request::get(&["clients", &id, "secrets"])).await?;
                self.page(&answer, show::secrets);
                Ok(())
            }
            SecretVerb::Add { id } => {
                let made = self.ask(Request::post(&["clients", &id, "secrets"], None)).await?;
                self.secret(&made, "credential_id", "client_secret");
                Ok(())
            }
            SecretVerb::Delete { id, credential } => {
                let path = ["clients", &id, "secrets", &credential];
                self.ask(Request::delete(&path)).await?;
                self.say(&format!("deleted the secret {credential} of {id}"));
                Ok(())
            }
        }
    }

    async fn resource(&mut self, verb: ResourceVerb) -> Result<(), Trouble> {
        match verb {
            ResourceVerb::List => self.list(&["resources"], show::resources).await,
            ResourceVerb::Show { id } => self.show(&["resources", &id]).await,
            ResourceVerb::Create(args) => {
                let body = compose::resource(&args)?;
                self.write(Request::post(&["resources"], Some(body))).await
            }
            ResourceVerb::Put { id, whole } => self.put(&["resources", &id], &whole).await,
            ResourceVerb::Enable { id } => self.switch(&["resources", &id], true).await,
            ResourceVerb::Disable { id } => self.switch(&["resources", &id], false).await,
        }
    }

    async fn issuer(&mut self, verb: IssuerVerb) -> Result<(), Trouble> {
        match verb {
            IssuerVerb::List => self.list(&["issuers"], show::issuers).await,
            IssuerVerb::Show { alias } => self.show(&["issuers", &alias]).await,
            IssuerVerb::Create(args) => {
                let body = compose::issuer(&args)?;
                self.write(Request::post(&["issuers"], Some(body))).await
            }
            IssuerVerb::Put { alias, whole } => self.put(&["issuers", &alias], &whole).await,
            IssuerVerb::Enable { alias } => self.switch(&["issuers", &alias], true).await,
            IssuerVerb::Disable { alias } => self.switch(&["issuers", &alias], false).await,
        }
    }

    async fn edge(&mut self, verb: EdgeVerb) -> Result<(), Trouble> {
        match verb {
            EdgeVerb::List => self.list(&["edges"], show::edges).await,
            EdgeVerb::Show { from, to } => self.show(&["edges", &from, &to]).await,
            EdgeVerb::Put(args) => {
                let body = compose::edge(&args)?;
                self.write(Request::put(&["edges", &args.from, &args.to], body)).await
            }
            EdgeVerb::Enable { from, to } => self.switch(&["edges", &from, &to], true).await,
            EdgeVerb::Disable { from, to } => self.switch(&["edges", &from, &to], false).await,
        }
    }

    async fn delegation(&mut self, verb: DelegationVerb) -> Result<(), Trouble> {
        match verb {
            DelegationVerb::List(args) => self.delegations(args).await,
            DelegationVerb::Show { id } => self.show(&["delegations", &id]).await,
            DelegationVerb::Revoke { id } => {
                let order = self.order(RevokeVerb::Delegation { id }).await?;
                self.end(order).await
            }
        }
    }

    async fn delegations(&mut self, args: DelegationArgs) -> Result<(), Trouble> {
        let user = self.user(args.user, args.issuer).await?;
        let request = Request::get(&["delegations"])
            .with("subject_iss", user.as_ref().map(|(iss, _)| iss))
            .with("subject_sub", user.as_ref().map(|(_, sub)| sub))
            .with("client", args.client)
            .with("transaction", args.transaction)
            .with("parent", args.parent)
            .with("live", args.live.then_some(true));
        self.newest(request, (args.limit, args.after), show::delegations).await
    }

    async fn order(&mut self, verb: RevokeVerb) -> Result<Object, Trouble> {
        let (name, what) = match verb {
            RevokeVerb::Delegation { id } => ("delegation", Value::from(id)),
            RevokeVerb::Transaction { id } => ("transaction", Value::from(id)),
            RevokeVerb::Agent { id } => ("agent", Value::from(id)),
            RevokeVerb::Resource { id } => ("resource", Value::from(id)),
            RevokeVerb::Issuer { issuer } => ("issuer", Value::from(issuer)),
            RevokeVerb::Everything => ("everything", Value::from(true)),
            RevokeVerb::Tool { resource, name } => {
                ("tool", pair([("resource", resource), ("name", name)]))
            }
            RevokeVerb::User { sub, issuer } => {
                let iss = self.issuer_of_user(issuer).await?;
                ("subject", pair([("iss", iss), ("sub", sub)]))
            }
        };
        Ok([(name, what)].into_iter().collect())
    }

    async fn end(&mut self, order: Object) -> Result<(), Trouble> {
        let answer = self.ask(Request::post(&["revocations"], Some(order.clone()))).await?;
        if !self.shown_as_json(&answer) {
            let number = object(&answer)?.get("revision").map(Value::to_json).unwrap_or_default();
            self.out.line(&format!("revoked {} (revocation {number})", order.to_json()));
        }
        Ok(())
    }

    async fn rehearse(&mut self, order: Object) -> Result<(), Trouble> {
        let answer = self.ask(Request::post(&["revocations", "preview"], Some(order))).await?;
        if !self.shown_as_json(&answer) {
            show::radius(object(&answer)?, self.out);
        }
        Ok(())
    }

    async fn key(&mut self, verb: KeyVerb) -> Result<(), Trouble> {
        let request = match verb {
            KeyVerb::List => Request::get(&["keys"]),
            KeyVerb::Rotate => Request::post(&["keys", "rotate"], None),
            KeyVerb::Reseal => return self.reseal().await,
            KeyVerb::Retire { dry_run: true, .. } => {
                let order = self.order(RevokeVerb::Everything).await?;
                return self.rehearse(order).await;
            }
            KeyVerb::Retire { ref kid, .. } => Request::post(&["keys", kid, "retire"], None),
        };
        let answer = self.ask(request).await?;
        if !self.shown_as_json(&answer) {
            let items = object(&answer)?.get("items").and_then(Value::as_array);
            show::keys(items.unwrap_or_default(), self.out);
        }
        Ok(())
    }

    async fn reseal(&mut self) -> Result<(), Trouble> {
        let answer = self.ask(Request::post(&["keys", "reseal"], None)).await?;
        if !self.shown_as_json(&answer) {
            let count = object(&answer)?.get("resealed").and_then(Value::as_i64).unwrap_or(0);
            self.out.line(&format!(
                "{count} keys were sealed anew; nothing is sealed under another key-encryption key"
            ));
        }
        Ok(())
    }

    async fn events(&mut self, args: AuditArgs) -> Result<(), Trouble> {
        let user = self.user(args.user, args.issuer).await?;
        let request = Request::get(&["events"])
            .with("subject_iss", user.as_ref().map(|(iss, _)| iss))
            .with("subject_sub", user.as_ref().map(|(_, sub)| sub))
            .with("client", args.client)
            .with("agent", args.agent)
            .with("tool", args.tool)
            .with("transaction", args.transaction)
            .with("kind", args.kind)
            .with("outcome", args.outcome)
            .with("error_id", args.error_id)
            .with("decision", args.decision)
            .with("since", args.since);
        self.newest(request, (args.limit, args.after), show::events).await
    }

    /// The user a filter speaks of, as the pair that a user is.
    async fn user(
        &mut self,
        sub: Option<String>,
        issuer: Option<String>,
    ) -> Result<Option<(String, String)>, Trouble> {
        match sub {
            None => Ok(None),
            Some(sub) => Ok(Some((self.issuer_of_user(issuer).await?, sub))),
        }
    }

    /// The issuer that was named, or the only one there is.
    async fn issuer_of_user(&mut self, issuer: Option<String>) -> Result<String, Trouble> {
        if let Some(issuer) = issuer {
            return Ok(issuer);
        }
        let known = self.all(&["issuers"]).await?;
        let url = |issuer: &Value| object(issuer).ok()?.get("issuer")?.as_str().map(str::to_owned);
        if let [only] = known.as_slice() {
            return url(only).ok_or_else(|| Trouble::Usage("name the --issuer".to_owned()));
        }
        let all: Vec<String> = known.iter().filter_map(url).collect();
        let which = match all.as_slice() {
            [] => "name the user's --issuer: none is registered here".to_owned(),
            all => format!("name the user's --issuer: one of {}", all.join(", ")),
        };
        Err(Trouble::Usage(which))
    }

    /// Every document of a list.
    async fn list(&mut self, path: &[&str], table: Table) -> Result<(), Trouble> {
        let items = self.all(path).await?;
        let answer: Object = [("items", Value::Array(items))].into_iter().collect();
        self.page(&answer.into(), table);
        Ok(())
    }

    async fn all(&mut self, path: &[&str]) -> Result<Vec<Value>, Trouble> {
        let mut items = Vec::new();
        let mut after = None;
        loop {
            let request = Request::get(path).with("limit", Some(PAGE)).with("after", after);
            let answer = self.ask(request).await?;
            items.extend_from_slice(items_of(&answer));
            after = next_of(&answer);
            if after.is_none() {
                return Ok(items);
            }
        }
    }

    /// The newest of a list in order of time, or those behind a cursor: pages may be short, so it
    /// reads until it has enough, and never more, so that the cursor to go on with skips nothing.
    async fn newest(
        &mut self,
        request: Request<'_>,
        (limit, mut after): (u16, Option<String>),
        table: Table,
    ) -> Result<(), Trouble> {
        let enough = usize::from(limit.max(1));
        let mut items = Vec::new();
        loop {
            let page = enough.saturating_sub(items.len()).min(usize::from(PAGE));
            let answer =
                self.ask(request.clone().with("limit", Some(page)).with("after", after)).await?;
            items.extend_from_slice(items_of(&answer));
            after = next_of(&answer);
            if after.is_none() || items.len() >= enough {
                break;
            }
        }
        let mut answer: Object = [("items", Value::Array(items))].into_iter().collect();
        if let Some(next) = &after {
            answer.insert("next", next.as_str());
        }
        self.page(&answer.into(), table);
        if let Some(next) = after.filter(|_| !self.json) {
            self.out.trouble(&format!("there may be more: --after {next}"));
        }
        Ok(())
    }

    async fn show(&mut self, path: &[&str]) -> Result<(), Trouble> {
        // A document is JSON, so that it can be edited and put back.
        let answer = self.ask(Request::get(path)).await?;
        self.out.raw(&answer.to_json());
        Ok(())
    }

    async fn put(&mut self, path: &[&str], whole: &Whole) -> Result<(), Trouble> {
        let body = compose::whole(whole)?;
        self.write(Request::put(path, body)).await
    }

    async fn write(&mut self, request: Request<'_>) -> Result<(), Trouble> {
        let answer = self.ask(request).await?;
        self.out.raw(&answer.to_json());
        Ok(())
    }

    /// Reads a document, turns it on or off, and puts back the version that was read.
    async fn switch(&mut self, path: &[&str], on: bool) -> Result<(), Trouble> {
        let answer = self.ask(Request::get(path)).await?;
        let mut document = object(&answer)?.clone();
        document.insert("enabled", on);
        let answer = self.ask(Request::put(path, document)).await?;
        if !self.shown_as_json(&answer) {
            let word = if on { "enabled" } else { "disabled" };
            self.out.line(&format!("{word} {}", path.join(" ")));
        }
        Ok(())
    }

    /// A secret alone on its line, so that a script can take it; what belongs to it goes aside.
    fn secret(&mut self, made: &Value, name: &str, secret: &str) {
        if self.shown_as_json(made) {
            return;
        }
        let text = |name: &str| {
            let object = made.as_object().and_then(|made| made.get(name));
            object.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let secret = text(secret);
        if secret.is_empty() {
            self.out.line(&format!("created {}; it authenticates by its keys", text(name)));
            return;
        }
        self.out.trouble(&format!("created {}; its secret is shown this once:", text(name)));
        self.out.line(&secret);
    }

    fn page(&mut self, answer: &Value, table: Table) {
        if !self.shown_as_json(answer) {
            table(items_of(answer), self.out);
        }
    }

    fn say(&mut self, text: &str) {
        if !self.json {
            self.out.line(text);
        }
    }

    fn shown_as_json(&mut self, answer: &Value) -> bool {
        if self.json {
            self.out.raw(&answer.to_json());
        }
        self.json
    }

    async fn ask(&self, request: Request<'_>) -> Result<Value, Trouble> {
        self.api.ask(request).await
    }
}

fn object(value: &Value) -> Result<&Object, Trouble> {
    let wrong = || Trouble::Usage("the server's answer is not the one expected".to_owned());
    value.as_object().ok_or_else(wrong)
}

fn items_of(answer: &Value) -> &[Value] {
    let items = answer.as_object().and_then(|answer| answer.get("items"));
    items.and_then(Value::as_array).unwrap_or_default()
}

fn next_of(answer: &Value) -> Option<String> {
    answer.as_object()?.get("next")?.as_str().map(str::to_owned)
}

fn pair(members: [(&str, String); 2]) -> Value {
    members.into_iter().collect::<Object>().into()
}
