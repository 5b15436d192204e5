//! A simulation of instances, one database and the messages between them, on the very functions of
//! `model::lease`. Time is real time in microseconds, which nobody in it can read: each instance has
//! two clocks of its own, which run fast or slow, jump, or stand still.
//!
//! The database is one place where statements happen in an order. A renewal takes two moments, as
//! on PostgreSQL: it looks at `head` when it begins and changes its row later, if the row still is
//! there. What it confirmed it keeps, but for one variant; only what an instance says of itself beside a
//! renewal a crash may take back.

use std::collections::{BTreeMap, BTreeSet};

use deputy::{
    base::{
        id::WriterId,
        time::{Boot, Moment},
    },
    model::lease::{LEASE_MS, Lease, Pending, Standing, Watch},
};

const MS: u64 = 1_000;
const RUNS_FOR: u64 = 60_000 * MS;
const NODES: usize = 3;
/// How long an instance waits for an answer of the database.
const PATIENCE: u64 = 500 * MS;
/// The revision of a look that is for no change.
const NOTHING: u64 = 0;
/// How old a row may be that a crash of the database takes back where it did not wait for its disk.
const UNWRITTEN: u64 = 600 * MS;

/// The protocol, or what it might have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    AsItIs,
    TrustedForEver,
    FromTheAnswer,
    OneClock,
    NumbersDrawnBefore,
    NoMargin,
    RegistersWithRenewal,
    SnapshotFirst,
    RenewalsNotOnDisk,
    TellsFirst,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Ran {
    pub broken: Option<String>,
    pub changes: u64,
    pub answers: u64,
    pub caught_up: u64,
    pub struck_off: u64,
    pub crashes: u64,
    pub freezes: u64,
    pub suspensions: u64,
}

impl Ran {
    pub fn add(&mut self, other: &Ran) {
        self.changes += other.changes;
        self.answers += other.answers;
        self.caught_up += other.caught_up;
        self.struck_off += other.struck_off;
        self.crashes += other.crashes;
        self.freezes += other.freezes;
        self.suspensions += other.suspensions;
    }
}

/// Chance, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from)
    }

    /// Once in so many times.
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// How long a message takes: mostly little, sometimes longer than anybody waits.
    fn delay(&mut self) -> u64 {
        match self.below(100) {
            0 => self.between(0, 1_500 * MS),
            1..8 => self.between(0, 100 * MS),
            _ => self.between(100, 3 * MS),
        }
    }
}

/// What happens next somewhere.
#[derive(Clone, Debug)]
enum Event {
    // At the database.
    RenewLooks { from: From, standing: Standing, asked: Moment },
    RenewWrites { from: From, standing: Standing, asked: Moment, head: u64, there: bool },
    Enters { from: From, standing: Standing },
    Tells { from: From, writer: WriterId, applied: u64 },
    Reads { from: From, asked: Moment, head: u64, after: u64 },
    Draws { from: From },
    Commits { from: From, drawn: Option<u64> },
    Looks { from: From, pending: Pending },
    Lapses { standing: Standing },
    // At an instance.
    Tick(From),
    Renewed { from: From, asked: Moment, head: Option<u64> },
    Entered(From),
    Read { from: From, asked: Moment, head: u64, changes: Vec<u64> },
    TimedOut(From),
    Committed { from: From, revision: u64 },
    Look { from: From, pending: Pending },
    Looked { from: From, pending: Pending, others: Option<Vec<Standing>> },
    Ask { node: usize, sent: u64 },
    Answer { from: From, sent: u64, before: Option<BTreeSet<u64>> },
    // From outside.
    Change,
    Asks,
    Trouble,
    DatabaseCrashes,
}

/// Which run of which instance, and which of its turns at following the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct From {
    node: usize,
    run: u64,
    flow: u64,
}

#[derive(Default)]
struct Database {
    drawn: u64,
    head: u64,
    changes: BTreeSet<u64>,
    /// Each row, and what it was before its last change, with the moment of that.
    rows: BTreeMap<WriterId, (Standing, Option<(Standing, u64)>)>,
    /// What was said beside the rows without waiting for the disk, and when.
    told: BTreeMap<WriterId, (u64, u64)>,
}

impl Database {
    fn standings(&self) -> Vec<Standing> {
        let told = |writer: &WriterId| self.told.get(writer).map_or(0, |(applied, _)| *applied);
        let row = |(row, _): &(Standing, _)| Standing {
            applied: row.applied.max(told(&row.writer)),
            ..*row
        };
        self.rows.values().map(row).collect()
    }
}

struct Node {
    run: u64,
    writer: WriterId,
    turn: u64,
    known: u64,
    applied: BTreeSet<u64>,
    lease: Option<Lease>,
    watch: Watch,
    /// The turn that is under way; zero for none.
    flow: u64,
    /// Requests that wait for the turn under way, which began after they came.
    served: Vec<u64>,
    /// Requests that came while a turn was under way.
    waiting: Vec<u64>,
    frozen_until: u64,
    /// Until when nothing passes between it and the database.
    cut_until: u64,
    /// Its clocks: rate in thousandths, and what each has been moved by.
    rate: u64,
    boot_lost: u64,
    wall_ms: i64,
}

impl Node {
    fn boot(&self, now: u64) -> Boot {
        Boot::from_millis((now - self.boot_lost) * self.rate / 1_000 / MS)
    }

    fn moment(&self, now: u64) -> Moment {
        // Both run at the same rate: they are one crystal's. The wall is told the time from outside.
        let lost = i64::try_from(self.boot_lost / MS).unwrap();
        let boot = self.boot(now);
        let wall_ms = i64::try_from(boot.millis()).unwrap() + lost + self.wall_ms;
        Moment { boot, wall_ms }
    }
}

pub struct Sim {
    variant: Variant,
    chance: Chance,
    /// The longest time between two changes.
    pace: u64,
    now: u64,
    events: BTreeMap<(u64, u64), Event>,
    made: u64,
    db: Database,
    nodes: Vec<Node>,
    /// Changes that were answered, and when.
    answered: Vec<(u64, u64)>,
    ran: Ran,
}

impl Sim {
    /// One schedule.
    pub fn run(seed: u64, variant: Variant) -> Ran {
        let mut sim = Sim {
            variant,
            chance: Chance(seed),
            pace: 0,
            now: 0,
            events: BTreeMap::new(),
            made: 0,
            db: Database::default(),
            nodes: Vec::new(),
            answered: Vec::new(),
            ran: Ran::default(),
        };
        sim.pace = sim.chance.between(40 * MS, 2_000 * MS);
        for node in 0..NODES {
            // As far apart as the margin allows for.
            let rate = if sim.chance.one_in(2) { 955 } else { 1_045 };
            let fresh = sim.fresh(0, rate);
            sim.nodes.push(fresh);
            sim.at(0, Event::Tick(From { node, run: 0, flow: 0 }));
        }
        sim.at(0, Event::Change);
        sim.at(0, Event::Asks);
        sim.at(500 * MS, Event::Trouble);
        while let Some(((now, _), event)) = sim.events.pop_first() {
            if now > RUNS_FOR || sim.ran.broken.is_some() {
                break;
            }
            sim.now = now;
            sim.happens(event);
        }
        sim.ran
    }

    fn fresh(&mut self, run: u64, rate: u64) -> Node {
        self.made += 1;
        let mut writer = [0; 16];
        writer[..8].copy_from_slice(&self.made.to_be_bytes());
        Node {
            run,
            writer: WriterId::from_bytes(writer),
            turn: 0,
            known: 0,
            applied: BTreeSet::new(),
            lease: None,
            watch: Watch::default(),
            flow: 0,
            served: Vec::new(),
            waiting: Vec::new(),
            frozen_until: 0,
            cut_until: 0,
            rate,
            boot_lost: 0,
            // A minute ahead, or behind.
            wall_ms: i64::try_from(self.chance.below(120_000)).unwrap() - 60_000,
        }
    }

    fn any(&mut self) -> usize {
        usize::try_from(self.chance.below(NODES as u64)).unwrap()
    }

    /// Both clocks of an instance.
    fn moment(&self, at: usize) -> Moment {
        let moment = self.nodes[at].moment(self.now);
        if self.variant == Variant::OneClock {
            return Moment { wall_ms: i64::try_from(moment.boot.millis()).unwrap(), ..moment };
        }
        moment
    }

    fn at(&mut self, after: u64, event: Event) {
        self.made += 1;
        self.events.insert((self.now + after, self.made), event);
    }

    /// Sends to the database; it may be lost. Then, as when it is late, nobody hears of it but by
    /// the end of their patience.
    fn send(&mut self, event: Event) {
        let cut = Sim::party(&event).is_some_and(|node| self.nodes[node].cut_until > self.now);
        if !cut && !self.chance.one_in(150) {
            let after = self.chance.delay();
            self.at(after, event);
        }
    }

    fn happens(&mut self, event: Event) {
        if let Some(node) = Sim::place(&event) {
            let from = node;
            let Node { frozen_until, run, .. } = self.nodes[from.node];
            if frozen_until > self.now {
                // In any order once it goes on.
                let after = frozen_until - self.now + self.chance.below(2 * MS);
                return self.at(after, event);
            }
            if run != from.run && !matches!(event, Event::Ask { .. }) {
                return;
            }
        }
        match event {
            Event::Tick(from) => {
                self.at(300 * MS, Event::Tick(from));
                self.follow(from.node);
                // To see who stands still; nobody waits for it.
                let committed = self.nodes[from.node].boot(self.now);
                self.look(from, Pending { revision: NOTHING, committed });
            }
            Event::Renewed { from, asked, head } => self.renewed(from, asked, head),
            Event::Entered(from) => self.renew(from),
            Event::Read { from, asked, head, changes } => {
                if self.nodes[from.node].flow == from.flow {
                    let node = &mut self.nodes[from.node];
                    node.applied.extend(changes);
                    node.known = node.known.max(head);
                    self.done(from, asked, true);
                }
            }
            Event::TimedOut(from) => self.timed_out(from),
            Event::Committed { from, revision } => {
                let committed = self.nodes[from.node].boot(self.now);
                self.follow(from.node);
                self.look(from, Pending { revision, committed });
            }
            Event::Look { from, pending } => self.look(from, pending),
            Event::Looked { from, pending, others } => self.looked(from, pending, others),
            Event::Ask { node, sent } => self.ask(node, sent),
            Event::Answer { from, sent, before } => self.answer(from.node, sent, before),
            Event::Change => {
                let (node, again) = (self.any(), self.chance.between(self.pace / 20, self.pace));
                let from = From { node, run: self.nodes[node].run, flow: 0 };
                self.send(Event::Draws { from });
                self.at(again, Event::Change);
            }
            Event::Asks => {
                let (node, sent) = (self.any(), self.now);
                self.at(0, Event::Ask { node, sent });
                let again = self.chance.below(50 * MS);
                self.at(again, Event::Asks);
            }
            Event::Trouble => self.trouble(),
            at_database => self.at_database(at_database),
        }
    }

    /// The instance at which it happens.
    fn place(event: &Event) -> Option<From> {
        match event {
            Event::Tick(from)
            | Event::Entered(from)
            | Event::TimedOut(from)
            | Event::Renewed { from, .. }
            | Event::Read { from, .. }
            | Event::Committed { from, .. }
            | Event::Look { from, .. }
            | Event::Looked { from, .. }
            | Event::Answer { from, .. } => Some(*from),
            Event::Ask { node, .. } => Some(From { node: *node, run: 0, flow: 0 }),
            _ => None,
        }
    }

    /// The instance that sends or receives it.
    fn party(event: &Event) -> Option<usize> {
        match event {
            Event::RenewLooks { from, .. }
            | Event::Enters { from, .. }
            | Event::Tells { from, .. }
            | Event::Reads { from, .. }
            | Event::Draws { from }
            | Event::Looks { from, .. } => Some(from.node),
            at_instance => Sim::place(at_instance).map(|from| from.node),
        }
    }

    // === the database ===

    fn at_database(&mut self, event: Event) {
        match event {
            Event::RenewLooks { from, standing, asked } => {
                let (head, there) = (self.db.head, self.db.rows.contains_key(&standing.writer));
                let there = there || self.variant == Variant::RegistersWithRenewal;
                let wait = if self.chance.one_in(8) { 150 * MS } else { MS };
                let after = self.chance.below(wait);
                self.at(after, Event::RenewWrites { from, standing, asked, head, there });
            }
            Event::RenewWrites { from, standing, asked, head, there } => {
                let row = self.db.rows.get(&standing.writer).map(|(row, _)| *row);
                let newer = row.is_some_and(|row| row.turn < standing.turn)
                    || (row.is_none() && self.variant == Variant::RegistersWithRenewal);
                let done = there && newer;
                if done {
                    let before = row.map(|row| (row, self.now));
                    self.db.rows.insert(standing.writer, (standing, before));
                }
                let head = done.then_some(head);
                self.send(Event::Renewed { from, asked, head });
            }
            Event::Enters { from, standing } => {
                self.db.rows.entry(standing.writer).or_insert((standing, None));
                self.send(Event::Entered(from));
            }
            Event::Tells { writer, applied, .. } => {
                let before = self.db.told.get(&writer).map_or(0, |(applied, _)| *applied);
                if self.db.rows.contains_key(&writer) && before < applied {
                    self.db.told.insert(writer, (applied, self.now));
                }
            }
            Event::Reads { from, asked, head, after } => {
                let changes = self.db.changes.range(after + 1..).copied().collect();
                self.send(Event::Read { from, asked, head, changes });
            }
            Event::Draws { from } => {
                let before = self.variant == Variant::NumbersDrawnBefore;
                let drawn = before.then(|| {
                    self.db.drawn += 1;
                    self.db.drawn
                });
                let after = if before { self.chance.below(300 * MS) } else { 0 };
                self.at(after, Event::Commits { from, drawn });
            }
            Event::Commits { from, drawn } => {
                let revision = drawn.unwrap_or(self.db.head + 1);
                self.db.head = self.db.head.max(revision);
                self.db.changes.insert(revision);
                self.send(Event::Committed { from, revision });
            }
            Event::Looks { from, pending } => {
                let others = Some(self.db.standings());
                let after = self.chance.between(100, 20 * MS);
                self.at(after, Event::Looked { from, pending, others });
            }
            Event::Lapses { standing } => {
                if self.db.rows.get(&standing.writer).is_some_and(|(r, _)| r.turn == standing.turn)
                {
                    self.db.rows.remove(&standing.writer);
                    self.db.told.remove(&standing.writer);
                    self.ran.struck_off += 1;
                }
            }
            Event::DatabaseCrashes => self.crash(),
            _ => unreachable!("it happens at an instance"),
        }
    }

    /// The database comes back with what was on its disk.
    fn crash(&mut self) {
        self.db.told.retain(|_, (_, at)| self.now - *at >= UNWRITTEN);
        if self.variant != Variant::RenewalsNotOnDisk {
            return;
        }
        for (row, before) in self.db.rows.values_mut() {
            let lost = before.filter(|(_, at)| self.now - at < UNWRITTEN);
            if let Some((older, _)) = lost {
                (*row, *before) = (older, None);
            }
        }
    }

    // === an instance ===

    /// Begins a turn, unless one is under way.
    fn follow(&mut self, node: usize) {
        if self.nodes[node].flow != 0 {
            return;
        }
        self.made += 1;
        let (flow, run) = (self.made, self.nodes[node].run);
        self.nodes[node].flow = flow;
        self.nodes[node].served = std::mem::take(&mut self.nodes[node].waiting);
        self.renew(From { node, run, flow });
    }

    fn renew(&mut self, from: From) {
        let node = &mut self.nodes[from.node];
        if node.flow != from.flow {
            return;
        }
        node.turn += 1;
        let standing = Standing { writer: node.writer, turn: node.turn, applied: node.known };
        let asked = self.moment(from.node);
        self.at(PATIENCE, Event::TimedOut(from));
        self.send(Event::RenewLooks { from, standing, asked });
    }

    fn renewed(&mut self, from: From, asked: Moment, head: Option<u64>) {
        if self.nodes[from.node].flow != from.flow {
            return;
        }
        let late = self.variant == Variant::FromTheAnswer;
        let asked = if late { self.moment(from.node) } else { asked };
        let node = &mut self.nodes[from.node];
        match head {
            None => {
                node.turn += 1;
                let standing = Standing { writer: node.writer, turn: node.turn, applied: 0 };
                self.send(Event::Enters { from, standing });
            }
            Some(head) if head > node.known => {
                let after = node.known;
                if self.variant == Variant::TellsFirst {
                    self.tell(from, head);
                }
                self.send(Event::Reads { from, asked, head, after });
            }
            Some(_) => self.done(from, asked, false),
        }
    }

    /// All that the database had said is taken in: there is a lease on it.
    fn done(&mut self, from: From, asked: Moment, news: bool) {
        let node = &mut self.nodes[from.node];
        node.flow = 0;
        node.lease = Some(Lease::asked_at(asked));
        for sent in std::mem::take(&mut node.served) {
            self.ran.caught_up += 1;
            self.answer(from.node, sent, None);
        }
        let waiting = std::mem::take(&mut self.nodes[from.node].waiting);
        for sent in waiting {
            self.ask(from.node, sent);
        }
        if news {
            self.tell(from, self.nodes[from.node].known);
        }
    }

    /// Says how far it is, which renews nothing.
    fn tell(&mut self, from: From, applied: u64) {
        let writer = self.nodes[from.node].writer;
        self.send(Event::Tells { from, writer, applied });
    }

    fn timed_out(&mut self, from: From) {
        let node = &mut self.nodes[from.node];
        if node.flow == from.flow {
            // 503 to whoever waited.
            node.flow = 0;
            node.served.clear();
            node.waiting.clear();
        }
    }

    /// A request is here: is there a lease? Then it takes its snapshot, a moment later.
    fn ask(&mut self, at: usize, sent: u64) {
        let node = &self.nodes[at];
        let from = From { node: at, run: node.run, flow: 0 };
        let before = (self.variant == Variant::SnapshotFirst).then(|| node.applied.clone());
        if before.is_some() || self.holds(at) {
            let after = self.chance.below(MS);
            self.at(after, Event::Answer { from, sent, before });
        } else {
            self.waits(at, sent);
        }
    }

    fn holds(&self, at: usize) -> bool {
        let now = self.moment(at);
        self.variant == Variant::TrustedForEver
            || self.nodes[at].lease.is_some_and(|lease| lease.holds(now))
    }

    fn waits(&mut self, at: usize, sent: u64) {
        self.nodes[at].waiting.push(sent);
        self.follow(at);
    }

    fn answer(&mut self, at: usize, sent: u64, before: Option<BTreeSet<u64>>) {
        match before {
            Some(_) if !self.holds(at) => self.waits(at, sent),
            Some(before) => self.judge(at, sent, &before),
            None => self.judge(at, sent, &self.nodes[at].applied.clone()),
        }
    }

    /// Whether the answer knows every change that was answered before the request was sent.
    fn judge(&mut self, at: usize, sent: u64, applied: &BTreeSet<u64>) {
        self.ran.answers += 1;
        let stale = self.answered.iter().find(|(change, t)| *t < sent && !applied.contains(change));
        if let Some((change, t)) = stale {
            let now = self.now;
            self.ran.broken = Some(format!(
                "instance {at} does not know change {change}, answered at {t}: sent {sent}, now {now}"
            ));
        }
    }

    /// Whoever made a change looks whether it is in force.
    fn look(&mut self, from: From, pending: Pending) {
        let cut = self.nodes[from.node].cut_until > self.now;
        if cut || self.chance.one_in(150) {
            // It sees nothing until it gives up.
            return self.at(PATIENCE, Event::Looked { from, pending, others: None });
        }
        let after = self.chance.below(2 * MS);
        self.at(after, Event::Looks { from, pending });
    }

    fn looked(&mut self, from: From, pending: Pending, others: Option<Vec<Standing>>) {
        let now = self.nodes[from.node].boot(self.now);
        let mut awaits = !self.is_over(pending, now);
        if let Some(mut others) = others {
            let node = &mut self.nodes[from.node];
            others.retain(|other| other.writer != node.writer);
            node.watch.see(&others, now);
            let dead: Vec<Standing> =
                others.iter().filter(|o| node.watch.has_lapsed(o, now)).copied().collect();
            awaits &= others.iter().any(|other| pending.awaits(other, &node.watch, now));
            for standing in dead {
                self.send(Event::Lapses { standing });
            }
        }
        let node = &self.nodes[from.node];
        if pending.revision == NOTHING {
            return;
        }
        if node.applied.contains(&pending.revision) && !awaits {
            self.answered.push((pending.revision, self.now));
            self.ran.changes += 1;
        } else {
            self.follow(from.node);
            let after = self.chance.between(MS, 25 * MS);
            self.at(after, Event::Look { from, pending });
        }
    }

    fn is_over(&self, pending: Pending, now: Boot) -> bool {
        let without = pending.committed.until(now) > LEASE_MS;
        pending.is_over(now) || (self.variant == Variant::NoMargin && without)
    }

    // === trouble ===

    fn trouble(&mut self) {
        let at = self.any();
        let long = self.chance.between(MS, 3_000 * MS);
        let frozen = self.nodes[at].frozen_until.max(self.now);
        match self.chance.below(8) {
            // SIGSTOP, or a pause of the scheduler.
            0 | 1 => {
                self.nodes[at].frozen_until = frozen + long;
                self.ran.freezes += 1;
            }
            // The machine under it is suspended; its boot clock does not know.
            2 => {
                self.nodes[at].frozen_until = frozen + long;
                self.nodes[at].boot_lost += long;
                self.ran.suspensions += 1;
            }
            // The wall clock is set, by a minute: never by just what a suspension took, which nobody
            // could tell from a machine that was not suspended.
            3 => self.nodes[at].wall_ms += if self.chance.one_in(2) { 60_000 } else { -60_000 },
            // `kill -9`, and a new start.
            4 => {
                let (run, rate) = (self.nodes[at].run + 1, self.nodes[at].rate);
                self.nodes[at] = self.fresh(run, rate);
                self.at(long / 4, Event::Tick(From { node: at, run, flow: 0 }));
                self.ran.crashes += 1;
            }
            5 => self.nodes[at].cut_until = self.now + long,
            // The database crashes, and one instance is the last to connect again.
            _ => {
                self.nodes[at].cut_until = self.now + long;
                self.at(0, Event::DatabaseCrashes);
            }
        }
        let again = self.chance.between(200 * MS, 3_000 * MS);
        self.at(again, Event::Trouble);
    }
}
