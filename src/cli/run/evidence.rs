//! The audit log: listed, exported, and proved, by a server or from a file.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::ExitCode,
};

use super::{Request, Session, Trouble, object, show};
use crate::{
    base::{
        compose::ObjectWriter,
        json::{self, Limits, Object, Value},
    },
    cli::{
        args::{AuditVerb, EvidenceArgs},
        out::Out,
    },
    engine::verify::checkpoint::{CheckpointKeys, judge},
    service::{
        admin::export::{FORMAT, VERSION},
        checkpoint::opened,
    },
    store::{Broken, Proof, Step},
};

/// The lines that are no steps: what the file is, a key, the end.
const HEAD_LIMITS: Limits = Limits::DEFAULT;

impl Session<'_> {
    pub(super) async fn audit(&mut self, verb: AuditVerb) -> Result<ExitCode, Trouble> {
        match verb {
            AuditVerb::List(args) => self.events(*args).await?,
            AuditVerb::Export { output, without_persons } => {
                self.export(output.as_deref(), !without_persons).await?;
            }
            AuditVerb::Erase { user, issuer, dry_run } => {
                self.erase(user, issuer, dry_run).await?;
            }
            AuditVerb::Checkpoint => {
                let answer = self.ask(Request::get(&["audit", "checkpoint"])).await?;
                if !self.shown_as_json(&answer) {
                    let jws = object(&answer)?.get("checkpoint").and_then(Value::as_str);
                    self.out.line(jws.unwrap_or_default());
                }
            }
            AuditVerb::Verify(_) => {
                let answer = self.ask(Request::get_late(&["audit", "verify"])).await?;
                let report = object(&answer)?;
                if !self.shown_as_json(&answer) {
                    show::verified(report, self.out);
                }
                return Ok(code(report));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn erase(
        &mut self,
        user: String,
        issuer: Option<String>,
        dry_run: bool,
    ) -> Result<(), Trouble> {
        let iss = self.issuer_of_user(issuer).await?;
        let mut subject = Object::new();
        subject.insert("iss", iss);
        subject.insert("sub", user);
        let mut body = Object::new();
        body.insert("subject", Value::Object(subject));
        body.insert("dry_run", dry_run);
        let answer = self.ask(Request::post(&["audit", "erasures"], Some(body))).await?;
        if !self.shown_as_json(&answer) {
            let told = object(&answer)?;
            let what = if dry_run { "would be destroyed" } else { "were destroyed" };
            let (keys, rows) = (show::text(told, "keys"), show::text(told, "delegations"));
            self.out.line(&format!("{keys} keys and {rows} rows of delegations {what}"));
        }
        Ok(())
    }

    async fn export(&mut self, output: Option<&Path>, persons: bool) -> Result<(), Trouble> {
        let request = Request::get_late(&["audit", "export"]).with("persons", Some(persons));
        let Some(path) = output else {
            let out = &mut *self.out;
            return self.api.download(request, |piece| out.bytes(piece)).await;
        };
        let wrong = |source| Trouble::File { path: path.display().to_string(), source };
        // Whose personal values it has is nobody else's business.
        let mut options = File::options();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.write(true).create(true).truncate(true).open(path).map_err(wrong)?;
        self.api.download(request, |piece| file.write_all(piece)).await?;
        file.sync_all().map_err(wrong)
    }
}

fn code(report: &Object) -> ExitCode {
    let ok = report.get("ok").and_then(Value::as_bool) == Some(true);
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Proves an export: no server, no database.
pub(super) fn verify(
    args: &EvidenceArgs,
    as_json: bool,
    out: &mut Out,
) -> Result<ExitCode, Trouble> {
    let path = args.file.as_deref().unwrap_or(Path::new("-"));
    let file = File::open(path)
        .map_err(|source| Trouble::File { path: path.display().to_string(), source })?;
    let mut reading = Reading::of(args)?;
    for (n, line) in (1_u64..).zip(BufReader::new(file).lines()) {
        if !line.is_ok_and(|line| reading.line(n, &line)) {
            reading.unreadable.get_or_insert(n);
        }
        if reading.is_over() {
            break;
        }
    }
    let told = reading.end();
    let report = json::parse(told.as_bytes(), &HEAD_LIMITS).unwrap_or(Value::Null);
    let report = object(&report)?;
    if as_json {
        out.raw(&told);
    } else {
        show::verified(report, out);
    }
    Ok(code(report))
}

/// How far a file was read.
#[derive(PartialEq, Eq)]
enum At {
    /// Nothing yet.
    Begin,
    /// Behind the line that says what it is.
    Inside,
    /// Behind the line that says that it is whole.
    End,
}

/// A file that is being read.
struct Reading {
    keys: CheckpointKeys,
    keys_given: bool,
    noted: Option<String>,
    proof: Option<Proof>,
    at: At,
    /// The first line that is not one of ours, or is where it cannot be.
    unreadable: Option<u64>,
    lines: u64,
    broken: bool,
}

impl Reading {
    fn of(args: &EvidenceArgs) -> Result<Reading, Trouble> {
        let mut keys = CheckpointKeys::default();
        if let Some(path) = &args.keys {
            add_set(&mut keys, &text(path)?)?;
        }
        let noted = args.checkpoint.as_deref().map(text).transpose()?;
        Ok(Reading {
            keys,
            keys_given: args.keys.is_some(),
            noted: noted.map(|jws| jws.trim().to_owned()),
            proof: None,
            at: At::Begin,
            unreadable: None,
            lines: 0,
            broken: false,
        })
    }

    fn is_over(&self) -> bool {
        self.unreadable.is_some() || self.broken
    }

    /// Takes one line; whether it makes sense.
    fn line(&mut self, n: u64, line: &str) -> bool {
        self.lines = n;
        if self.at == At::Inside
            && let Some(step) = Step::read(line)
        {
            self.step(&step);
            return true;
        }
        let Ok(Value::Object(head)) = json::parse(line.as_bytes(), &HEAD_LIMITS) else {
            return false;
        };
        let number = |name: &str| u64::try_from(head.get(name)?.as_i64()?).ok();
        match (head.get("type").and_then(Value::as_str), &self.at) {
            (Some(FORMAT), At::Begin) => {
                self.at = At::Inside;
                number("version") == Some(VERSION)
            }
            (Some("key"), At::Inside) if self.proof.is_none() => self.key(&head),
            (Some("end"), At::Inside) => {
                self.at = At::End;
                number("lines") == Some(n)
            }
            _ => false,
        }
    }

    fn key(&mut self, head: &Object) -> bool {
        let Some(jwk) = head.get("jwk").and_then(Value::as_object) else { return false };
        self.keys_given || add(&mut self.keys, jwk).is_some()
    }

    fn step(&mut self, step: &Step) {
        let mut proof = match self.proof.take() {
            Some(proof) => proof,
            None => self.begin(),
        };
        let keys = &self.keys;
        self.broken = !proof.take(step, &|jws| opened(keys, jws));
        self.proof = Some(proof);
    }

    /// All keys are known now. A noted checkpoint that no key signed is in no log.
    fn begin(&self) -> Proof {
        let Some(jws) = &self.noted else { return Proof::default() };
        let n = judge(&self.keys, jws).map_or(u64::MAX, |noted| noted.get().n);
        Proof::default().of_log_with(n, jws)
    }

    /// What was found, as the server tells it.
    fn end(mut self) -> String {
        let proof = self.proof.take().unwrap_or_else(|| self.begin());
        let report = proof.end();
        let cut = (self.at != At::End && !self.broken && self.unreadable.is_none())
            .then(|| self.lines.saturating_add(1));
        let line = |n: u64, problem: &str| {
            ObjectWriter::new().count("line", n).text("problem", problem).finish()
        };
        let problem = match (self.unreadable, cut, &report.broken) {
            (Some(n), _, _) => Some(line(n, "this line is none of an export, or stands elsewhere")),
            (None, Some(n), _) => Some(line(n, "the file ends early")),
            (None, None, broken) => broken.as_ref().map(Broken::to_json),
        };
        let told = report.write(problem.as_deref());
        told.flag("keys_from_file", !self.keys_given).finish()
    }
}

fn text(path: &Path) -> Result<String, Trouble> {
    fs::read_to_string(path)
        .map_err(|source| Trouble::File { path: path.display().to_string(), source })
}

fn add(keys: &mut CheckpointKeys, jwk: &Object) -> Option<()> {
    let kid = jwk.get("kid")?.as_str()?;
    keys.add(kid, &jwk.to_json()).ok()
}

fn add_set(keys: &mut CheckpointKeys, set: &str) -> Result<(), Trouble> {
    let unusable =
        || Trouble::Usage("--keys must name a JWK Set, such as /oauth2/jwks gives".to_owned());
    let set = json::parse(set.as_bytes(), &HEAD_LIMITS).map_err(|_| unusable())?;
    let all = set.as_object().and_then(|set| set.get("keys")?.as_array()).ok_or_else(unusable)?;
    for key in all {
        key.as_object().and_then(|jwk| add(keys, jwk)).ok_or_else(unusable)?;
    }
    if keys.is_empty() { Err(unusable()) } else { Ok(()) }
}
