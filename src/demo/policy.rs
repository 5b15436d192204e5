//! The second story: what a policy stops although it was delegated. It is only watched first, tried
//! on what was decided, then enforced, explained, and gone back from.

use serde_json::{Value, json};

use super::{
    DemoError,
    agent::{Session, Token},
    scenes::{At, Must, Stage, called, connect, exchange, text},
    story::Mood,
};

/// The policy, as it stands in its file.
const LIMIT: &str = r#"// Refunds above 500 are finance's to make, whatever was delegated.
@id("refund-limit")
forbid (principal, action == Action::"refunds/refunds.issue", resource)
unless {
  principal.groups.contains("finance") ||
  (context.arguments has amount && context.arguments.amount <= 500)
};
"#;
const FILE: &str = "delegation/refunds.cedar";
const POLICY: &str = "refund-limit";

/// A token that is used on one open connection.
struct Desk {
    token: Token,
    open: Session,
}

/// The policy, only watched.
fn watched() -> String {
    LIMIT.replace("forbid (", "@shadow\nforbid (")
}

fn set(text: &str) -> Value {
    json!({ "delegation": [{ "name": FILE, "text": text }] })
}

impl Stage<'_> {
    /// The whole story.
    pub async fn tell_of_policies(&mut self) -> Result<(), DemoError> {
        self.let_refund().await?;
        let Some(desk) = self.delegated().await? else { return Ok(()) };
        self.only_watched(&desk).await?;
        self.tried().await?;
        self.enforced(&desk).await?;
        self.of_finance().await?;
        self.gone_back(&desk).await?;
        desk.open.close().await;
        Ok(())
    }

    /// An administrator lets the support agent make refunds for people of two groups.
    async fn let_refund(&mut self) -> Result<(), DemoError> {
        let path = "/clients/cl_support-agent";
        let mut agent = self.admin.get(path).await?;
        let everything = json!([
            { "resource": "tickets", "scope": "tickets:read" },
            { "resource": "refunds", "scope": "refunds:read refunds:write" },
        ]);
        set_at(&mut agent, "/agent/allowance", everything);
        self.admin.put(path, &agent).await?;
        let mut issuer = self.admin.get("/issuers/corp").await?;
        let keep = json!([{ "claim": "groups", "keep": ["finance"] }]);
        set_at(&mut issuer, "/groups", keep);
        let rule = issuer.pointer("/grant_rules/0").cloned().unwrap_or_default();
        let of = |group: &str| {
            let mut rule = rule.clone();
            set_at(&mut rule, "/claims/groups", json!([group]));
            let gives = json!([{ "resource": "refunds", "scope": "refunds:write" }]);
            set_at(&mut rule, "/gives", gives);
            rule
        };
        set_at(&mut issuer, "/grant_rules", json!([rule, of("support"), of("finance")]));
        self.admin.put("/issuers/corp", &issuer).await.map(drop)
    }

    async fn delegated(&mut self) -> Result<Option<Desk>, DemoError> {
        self.narrator.scene("Alice lets the support agent refund an order");
        self.narrator.say(
            "\"Pay Erika back what her toaster cost.\" The agent may make refunds for people of \
             `support` and of `finance`. The desk refunds up to 5000 EUR, so that is what it asks \
             for. The constraint is true, and far too wide.",
        );
        let Some(desk) = self.desk("alice").await? else { return Ok(None) };
        self.narrator.gap();
        self.narrator.say("Somebody has talked the agent into this:");
        self.refunds(&desk, 4_900, Must::Pass).await;
        Ok(Some(desk))
    }

    /// Somebody's token for refunds of one order, and a connection to the server.
    async fn desk(&mut self, who: &str) -> Result<Option<Desk>, DemoError> {
        let person = self.sign_in(who, 600)?;
        let (support, refunds) = (&self.cast.support, &self.cast.refunds);
        let wanted = json!({ "refunds.issue": {
            "order_id": { "constraint_type": "exact", "value": "A-17" },
            "amount": { "constraint_type": "range", "min": 1, "max": 5_000 },
        } });
        let at = At::server(refunds);
        let n = &mut self.narrator;
        let token = exchange(n, support, &person, &at, (&wanted, Must::Pass)).await?;
        let Some(token) = token else { return Ok(None) };
        let open = connect(n, support, refunds, &token).await;
        Ok(open.map(|open| Desk { token, open }))
    }

    /// A refund of this amount; the decision about it.
    async fn refunds(&mut self, desk: &Desk, amount: u32, must: Must<'_>) -> String {
        let n = &mut self.narrator;
        let call = ("refunds.issue", json!({ "order_id": "A-17", "amount": amount }));
        let actor = (self.cast.support.name, &desk.token);
        let came = called(n, actor, &desk.open, &call, must).await;
        if !came.answer.is_empty() {
            n.row(Mood::Plain, "answer", &came.answer);
        }
        came.decision
    }

    async fn only_watched(&mut self, desk: &Desk) -> Result<(), DemoError> {
        self.narrator.scene("A policy, only watched at first");
        self.narrator.say(
            "An administrator writes down what was always meant. `@shadow` evaluates it at every \
             call and stops nothing:",
        );
        self.activate(&watched()).await?;
        let id = self.refunds(desk, 4_900, Must::Pass).await;
        let told = self.admin.get(&format!("/decisions/{id}")).await?;
        let hit = text(told.pointer("/policies/shadow/0").unwrap_or(&Value::Null), "id").to_owned();
        let n = &mut self.narrator;
        n.row(Mood::Warning, "in shadow", &format!("{hit} would have said no: that is on record"));
        n.check(hit == POLICY, "the policy in shadow is on record");
        Ok(())
    }

    /// Activates a text, and shows it.
    async fn activate(&mut self, policies: &str) -> Result<(), DemoError> {
        let active = self.admin.put("/policies", &set(policies)).await?;
        let n = &mut self.narrator;
        for line in policies.lines() {
            n.verbatim(&format!("      {line}"));
        }
        let version = active.get("version").and_then(Value::as_u64).unwrap_or_default();
        n.row(Mood::Title, "active", &format!("version {version}, for tokens that are out too"));
        Ok(())
    }

    async fn tried(&mut self) -> Result<(), DemoError> {
        self.narrator.scene("The same, enforced: tried on what was decided");
        self.narrator.say(
            "Before anything is stopped, every recorded call is decided again under the draft, by \
             the registry of then:",
        );
        let order = json!({ "policies": set(LIMIT) });
        let told = self.admin.post("/policies/replay", &order).await?;
        let count = |name: &str| told.get(name).and_then(Value::as_u64).unwrap_or_default();
        let (denied, undecidable) = (count("newly_denied"), count("undecidable"));
        let n = &mut self.narrator;
        let sum = format!(
            "{} decisions: {denied} newly denied, {} newly allowed, {undecidable} undecidable",
            count("decisions"),
            count("newly_allowed"),
        );
        n.row(Mood::Plain, "replay", &sum);
        n.check((denied, undecidable) == (2, 0), "both refunds would have been denied");
        Ok(())
    }

    async fn enforced(&mut self, desk: &Desk) -> Result<(), DemoError> {
        self.narrator.scene("Enforced: the next call on the open connection");
        self.activate(LIMIT).await?;
        let id = self.refunds(desk, 4_900, Must::Fail("policy_forbids")).await;
        self.narrator.say(
            "The agent reads no more than that: a limit that is told is a limit to work around. An \
             administrator asks why:",
        );
        self.explained(&id).await?;
        self.narrator.gap();
        self.narrator.say("What the toaster cost goes through, under the same token:");
        self.refunds(desk, 49, Must::Pass).await;
        Ok(())
    }

    /// Shows the step that decided, and the policy with its place and its text.
    async fn explained(&mut self, decision: &str) -> Result<(), DemoError> {
        let told = self.admin.get(&format!("/decisions/{decision}")).await?;
        let steps = told.get("steps").and_then(Value::as_array).cloned().unwrap_or_default();
        let failed = steps.iter().find(|step| text(step, "outcome") == "failed");
        let failed = failed.cloned().unwrap_or_default();
        let policy = told.pointer("/policies/decided/0").cloned().unwrap_or_default();
        let line = policy.get("line").and_then(Value::as_u64).unwrap_or_default();
        let n = &mut self.narrator;
        let step = format!("step `{}`: {}", text(&failed, "step"), text(&failed, "because"));
        n.row(Mood::Refused, "explain", &step);
        let place = format!("{}  {}:{line}", text(&policy, "id"), text(&policy, "file"));
        n.row(Mood::Plain, "", &place);
        for line in text(&policy, "text").lines() {
            n.verbatim(&format!("                | {line}"));
        }
        n.check(text(&failed, "step") == "policies", "the step that decided is `policies`");
        n.check((text(&policy, "id"), line) == (POLICY, 2), "the policy is shown, with its line");
        Ok(())
    }

    async fn of_finance(&mut self) -> Result<(), DemoError> {
        self.narrator.scene("Bob of finance may");
        self.narrator.say(
            "The principal is the person, not the agent: the same agent, asking for the same, for \
             somebody else.",
        );
        if let Some(desk) = self.desk("bob").await? {
            self.refunds(&desk, 4_900, Must::Pass).await;
            desk.open.close().await;
        }
        Ok(())
    }

    async fn gone_back(&mut self, desk: &Desk) -> Result<(), DemoError> {
        self.narrator.scene("And back, with one command");
        let back = self.admin.post("/policies/rollback", &json!({})).await?;
        let number = |name: &str| back.get(name).and_then(Value::as_u64).unwrap_or_default();
        let (version, texts) = (number("version"), number("rolled_back_to"));
        let n = &mut self.narrator;
        let told = format!("version {version} is active, with the texts of version {texts}");
        n.row(Mood::Title, "rollback", &told);
        n.check((version, texts) == (3, 1), "the policy is only watched again");
        self.refunds(desk, 4_900, Must::Pass).await;
        self.narrator.gap();
        self.narrator.say("Every version stays on record, with who put it into force:");
        let versions = self.admin.get("/policies/versions").await?;
        let versions = versions.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let n = &mut self.narrator;
        for found in &versions {
            let number = found.get("version").and_then(Value::as_u64).unwrap_or_default();
            n.row(Mood::Plain, &format!("version {number}"), &format!("by {}", text(found, "by")));
        }
        n.check(versions.len() == 3, "three versions");
        Ok(())
    }
}

/// Puts a value at a place that is there.
fn set_at(document: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = document.pointer_mut(pointer) {
        *place = value;
    }
}
