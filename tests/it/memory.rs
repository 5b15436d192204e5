//! What is remembered changes no answer. After each step of a random history, an instance that has
//! seen all of it and one that was started this moment, on the same database, are asked the same.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    narrowing::chance::Chance,
    policed::policies,
    world::{
        World,
        story::{BILLING, REFUNDS, TICKETS},
        wire::{Answer, Request},
    },
};

/// Steps of one history.
const STEPS: usize = 30;
/// The newest tokens, which are asked about.
const TOKENS: usize = 9;
/// The newest user tokens, which are exchanged again.
const USER_TOKENS: usize = 4;

#[tokio::test]
async fn what_is_remembered_changes_no_answer() {
    for seed in [1, 20_261_126] {
        History::begin(seed).await.unfold().await;
    }
}

/// A world, and what there is to ask about.
struct History {
    world: World,
    chance: Chance,
    /// Who holds a token, and the token.
    tokens: Vec<(&'static str, String)>,
    user_tokens: Vec<String>,
    /// What happened, for whoever must find out why it failed.
    told: Vec<String>,
    /// Answers that let something happen: a history without any shows nothing.
    allowed: usize,
}

impl History {
    async fn begin(seed: u64) -> History {
        let world = World::on_postgres().await;
        let user_tokens = vec![user_token(&world, "alice"), user_token(&world, "carol")];
        let (chance, tokens) = (Chance::new(seed), Vec::new());
        let told = vec![format!("seed {seed}")];
        History { world, chance, tokens, user_tokens, told, allowed: 0 }
    }

    async fn unfold(mut self) {
        for _ in 0..3 {
            self.issue().await;
        }
        for _ in 0..STEPS {
            self.step().await;
            self.compare().await;
        }
        assert!(self.allowed > STEPS, "hardly anything was allowed: {:?}", self.told);
    }

    async fn step(&mut self) {
        match self.chance.below(10) {
            0..=2 => self.issue().await,
            3 => self.give_back().await,
            4 => self.revoke().await,
            5 | 6 => self.switch().await,
            7 => self.change_policies().await,
            8 => self.rotate().await,
            _ => self.wait().await,
        }
    }

    /// Somebody logs in, or not, and a token is made of it or of a hand-over.
    async fn issue(&mut self) {
        if self.chance.percent(70) {
            let user = *self.chance.pick(&["alice", "carol"]);
            self.user_tokens.push(user_token(&self.world, user));
            keep_newest(&mut self.user_tokens, USER_TOKENS);
        }
        let user_token = self.chance.pick(&self.user_tokens).clone();
        let handed = self.tokens.iter().rev().find(|(holder, _)| *holder == "handed");
        let (holder, request) = match (self.chance.below(3), handed) {
            (0, _) => ("support", ticket(&self.world, &user_token)),
            (1, Some((_, hand_over))) => ("billing", take_over(&self.world, hand_over)),
            _ => ("handed", hand_over(&self.world, &user_token)),
        };
        let answer = request.send().await;
        self.told.push(format!("{holder} asks for a token: {}", answer.status));
        if answer.status == 200 {
            self.tokens.push((holder, answer.token()));
            keep_newest(&mut self.tokens, TOKENS);
        }
    }

    async fn give_back(&mut self) {
        let (holder, token) = self.chance.pick(&self.tokens).clone();
        let holder = if holder == "handed" { "support" } else { holder };
        let answer = self.world.agent(holder).revokes(&token).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        self.told.push(format!("{holder} gives a token back"));
    }

    async fn revoke(&mut self) {
        let what = [
            json!({ "subject": { "iss": self.world.issuer.url(), "sub": "alice" } }),
            json!({ "agent": "cl_billing" }),
            json!({ "resource": "tickets" }),
            json!({ "tool": { "resource": "refunds", "name": "refunds.list" } }),
        ];
        let what = self.chance.pick(&what).clone();
        self.told.push(format!("revoked: {what}"));
        self.world.revoke(what).await;
        // What is revoked is revoked for what was delegated before: time must pass for a new login.
        self.world.advance(1).await;
    }

    /// Turns something off that is on, or on again.
    async fn switch(&mut self) {
        let what = [
            ("client", "cl_billing"),
            ("client", "cl_refunds"),
            ("resource", "refunds"),
            ("tool", "tickets.get"),
            ("issuer", "corp"),
            ("edge", "cl_support>cl_billing"),
        ];
        let (kind, id) = *self.chance.pick(&what);
        let enabled = self.chance.percent(60);
        self.told.push(format!("{kind} {id}: enabled {enabled}"));
        self.world.change(kind, id, "enabled", json!(enabled)).await;
    }

    async fn change_policies(&mut self) {
        let texts = [
            "",
            r#"@id("night") forbid (principal, action == Action::"tickets/tickets.get", resource);"#,
            r#"@id("alice") forbid (principal, action, resource) when { principal == Subject::"alice" };"#,
        ];
        let text = *self.chance.pick(&texts);
        self.told.push(format!("policies: {text}"));
        policies(&self.world, text).await;
    }

    async fn rotate(&mut self) {
        let answer = self.world.operator().sends(Method::POST, "/keys/rotate", None).await;
        self.told.push(format!("keys rotated: {}", answer.status));
    }

    async fn wait(&mut self) {
        let seconds = *self.chance.pick(&[1, 30, 60, 240, 600]);
        self.told.push(format!("{seconds} s pass"));
        self.world.advance(seconds).await;
    }

    /// Asks the old instance and a new one the same.
    async fn compare(&mut self) {
        let newcomer = self.world.newcomer().await;
        let mut allowed = 0;
        for question in self.questions() {
            let old = question.clone().send().await;
            let new = question.of_instance(newcomer.url()).send().await;
            let (old, new) = (said(&old), said(&new));
            allowed +=
                usize::from(old.1["active"] == true || old.0 == 200 && old.1["token"] == true);
            assert_eq!(old, new, "the old instance, the new one; {:#?}", self.told);
        }
        self.allowed += allowed;
        newcomer.stop().await;
    }

    fn questions(&self) -> Vec<Request<'_>> {
        let world = &self.world;
        let mut questions = Vec::new();
        for (holder, token) in &self.tokens {
            let (owner, resource, tools) = match *holder {
                "support" => ("tickets", TICKETS, ["tickets.get", "tickets.update"]),
                _ => ("refunds", REFUNDS, ["refunds.list", "refunds.export"]),
            };
            let about = world.agent(owner).introspects(token);
            questions.push(about.clone());
            for tool in tools {
                let call = about.clone().at(resource).field("tool", tool);
                questions.push(call.field("arguments", r#"{"id":7}"#));
            }
            if *holder == "handed" {
                questions.push(take_over(world, token));
            }
        }
        questions.extend(self.user_tokens.iter().map(|token| ticket(world, token)));
        questions
    }
}

/// The status and what was said, but for what each answer has of its own.
fn said(answer: &Answer) -> (u16, Value) {
    let id = answer.json["decision"]["id"].as_str().unwrap_or("no decision");
    let mut said =
        serde_json::from_str(&answer.text.replace(id, "this one")).unwrap_or(Value::Null);
    if let Some(members) = said.as_object_mut() {
        members.remove("error_id");
        if members.remove("access_token").is_some() {
            members.insert("token".to_owned(), json!(true));
        }
    }
    (answer.status, said)
}

fn user_token(world: &World, user: &str) -> String {
    world.access_token(world.claims(user).with("groups", json!(["support"])))
}

fn ticket<'a>(world: &'a World, user_token: &str) -> Request<'a> {
    world.agent("support").exchanges(user_token).at(TICKETS).scope("tickets:read tickets:write")
}

fn hand_over<'a>(world: &'a World, user_token: &str) -> Request<'a> {
    let exchange = world.agent("support").exchanges(user_token).at(BILLING);
    exchange.tools(REFUNDS, json!({ "refunds.list": {} }))
}

fn take_over<'a>(world: &'a World, hand_over: &str) -> Request<'a> {
    world.agent("billing").takes_over(hand_over).at(REFUNDS)
}

fn keep_newest<T>(all: &mut Vec<T>, most: usize) {
    all.drain(..all.len().saturating_sub(most));
}
