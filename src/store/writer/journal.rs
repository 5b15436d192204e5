//! Where journalled events wait for the writer. Whoever journals never waits, and wakes the writer
//! twice for a commit at most: when its first event comes, so that its age is counted from there,
//! and when it is worth a commit. A wake-up for each event would cost more than the event.
//!
//! Nobody has more than half of the room. A client that asks faster than can be written down waits
//! before it is judged ([`Journal::room`]), as long as something is written at all; only what finds
//! no room even so is lost, and counted: its own events and no other client's.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

use crate::{
    base::{id::ClientId, lanes::Lanes},
    model::event::Event,
    store::commit::SEGMENT_EVENTS,
};

/// How many events are worth a commit before the oldest of them is due. A commit for each segment
/// would cost a busy server more than its events do; an eighth of what may wait leaves room for
/// those that come while it is made.
pub(super) const FULL: usize = 4 * SEGMENT_EVENTS;

/// How long a client waits for room. A client's part of the journal is written in a fraction of that;
/// beyond it the disk is in trouble, and what need not be on record is answered all the same.
const ROOM_WAIT: Duration = Duration::from_millis(500);

/// Events that are not written yet, oldest first.
pub(super) struct Journal {
    waiting: Mutex<Waiting>,
    /// How many wait, and how many are so few that nobody need look closer.
    crowd: AtomicUsize,
    few: usize,
    woken: Notify,
    taken: Notify,
    /// Requests of a client go on one by one, so that those who waited do not fill it all at once.
    turns: Lanes<tokio::sync::Mutex<()>>,
    /// Whether the last attempt to write went well.
    moving: AtomicBool,
    lost: AtomicU64,
}

struct Waiting {
    events: VecDeque<Event>,
    /// How many of them are each client's.
    shares: HashMap<Option<ClientId>, usize>,
    /// The most that wait; none once the writer has gone.
    most: usize,
}

impl Waiting {
    /// Takes an event, if there is room for one more of its client's; how many wait now.
    fn push(&mut self, event: Event) -> Option<usize> {
        if self.events.len() >= self.most {
            return None;
        }
        let share_max = self.share_max();
        match self.shares.get_mut(&event.client) {
            Some(share) if *share >= share_max => return None,
            Some(share) => *share = share.saturating_add(1),
            None => drop(self.shares.insert(event.client.clone(), 1)),
        }
        self.events.push_back(event);
        Some(self.events.len())
    }

    /// The most of one client's.
    const fn share_max(&self) -> usize {
        self.most.div_ceil(2)
    }

    /// Whether this client's next events may find no room.
    fn is_crowded_for(&self, client: &ClientId) -> bool {
        let share = self.shares.get(&Some(client.clone())).copied().unwrap_or(0);
        let (waits, most) = (self.events.len(), self.most);
        // Who has next to nothing in it does not wait for those who fill it, until it is full.
        let full = waits >= most.saturating_sub(most / 16);
        let filled = waits >= nearly(most) && share >= most / 64;
        // Nothing is taken any more once it is closed, so nobody waits.
        most > 0 && (full || filled || share >= nearly(self.share_max()))
    }

    fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        match self.shares.get_mut(&event.client) {
            Some(share) if *share > 1 => *share = share.saturating_sub(1),
            _ => drop(self.shares.remove(&event.client)),
        }
        Some(event)
    }
}

/// What is left behind it is for those who were judged meanwhile.
const fn nearly(most: usize) -> usize {
    most.saturating_sub(most / 4)
}

impl Journal {
    pub fn new(most: usize) -> Journal {
        let waiting = Waiting { events: VecDeque::new(), shares: HashMap::new(), most };
        let few = nearly(waiting.share_max());
        Journal {
            waiting: Mutex::new(waiting),
            crowd: AtomicUsize::new(0),
            few,
            woken: Notify::new(),
            taken: Notify::new(),
            turns: Lanes::new(|| tokio::sync::Mutex::new(())),
            moving: AtomicBool::new(true),
            lost: AtomicU64::new(0),
        }
    }

    /// Takes an event, if there is room; what finds none is counted as lost.
    pub fn push(&self, event: Event) -> bool {
        let mut waiting = self.waiting();
        let Some(waits) = waiting.push(event) else {
            drop(waiting);
            self.lose(1);
            return false;
        };
        self.crowd.store(waits, Ordering::Relaxed);
        drop(waiting);
        if waits == 1 || waits == FULL {
            self.woken.notify_one();
        }
        true
    }

    /// Returns when there is something new to look at, perhaps nothing that must be written now.
    pub async fn changed(&self) {
        self.woken.notified().await;
    }

    /// Moves the oldest events, at most so many.
    pub fn take(&self, most: usize, to: &mut VecDeque<Event>) {
        let mut waiting = self.waiting();
        to.extend(std::iter::from_fn(|| waiting.pop()).take(most));
        self.crowd.store(waiting.events.len(), Ordering::Relaxed);
        drop(waiting);
        self.taken.notify_waiters();
    }

    /// Whether this client has to wait for room. Nobody has while nothing can be written: what may
    /// be answered without the database is, and its events are lost when there is no room.
    pub fn is_crowded_for(&self, client: &ClientId) -> bool {
        let few = self.crowd.load(Ordering::Relaxed) < self.few;
        !few && self.moving.load(Ordering::Relaxed) && self.waiting().is_crowded_for(client)
    }

    /// Returns when there is room for this client's next events, or when it has waited long enough.
    pub async fn room(&self, client: &ClientId) {
        let waited = async {
            let _turn = self.turns.of(client).lock().await;
            loop {
                let taken = self.taken.notified();
                if !self.is_crowded_for(client) {
                    return;
                }
                taken.await;
            }
        };
        // Too late: the next events are lost if there is no room, and counted.
        _ = timeout(ROOM_WAIT, waited).await;
    }

    /// Whether what was just written came to the database.
    pub fn moves(&self, moving: bool) {
        self.moving.store(moving, Ordering::Relaxed);
        if !moving {
            self.taken.notify_waiters();
        }
    }

    pub fn len(&self) -> usize {
        self.waiting().events.len()
    }

    /// From now on takes nothing.
    pub fn close(&self) {
        self.waiting().most = 0;
        self.moves(false);
    }

    pub fn lose(&self, events: usize) {
        let events = u64::try_from(events).unwrap_or(u64::MAX);
        self.lost.fetch_add(events, Ordering::Relaxed);
    }

    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every state of the queue is whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        pin::{Pin, pin},
        task::Poll,
    };

    use super::*;
    use crate::{base::time::Timestamp, model::event::Kind};

    const MOST: usize = 64;

    fn client(name: &str) -> ClientId {
        ClientId::parse(name).unwrap()
    }

    fn event(of: &str) -> Event {
        Event { client: Some(client(of)), ..Event::new(Kind::Decision, "x", Timestamp::EPOCH, 0) }
    }

    fn filled(of: &str) -> Journal {
        let journal = Journal::new(MOST);
        while !journal.is_crowded_for(&client(of)) {
            assert!(journal.push(event(of)), "who waits when it is asked to loses nothing");
        }
        journal
    }

    /// Whether it is there at once.
    async fn is_there(mut waits: Pin<&mut impl Future<Output = ()>>) -> bool {
        poll_fn(|context| Poll::Ready(waits.as_mut().poll(context).is_ready())).await
    }

    #[tokio::test]
    async fn who_asks_too_fast_waits_until_something_is_taken() {
        let (journal, fast) = (filled("cl_fast"), client("cl_fast"));
        let mut waits = pin!(journal.room(&fast));
        assert!(!is_there(waits.as_mut()).await);
        assert!(!is_there(waits.as_mut()).await);
        journal.take(MOST, &mut VecDeque::new());
        assert!(is_there(waits).await);
        assert_eq!(journal.lost(), 0);
    }

    #[tokio::test]
    async fn nobody_waits_for_another_clients_flood_nor_for_ever() {
        let (journal, fast) = (filled("cl_fast"), client("cl_fast"));
        assert!(is_there(pin!(journal.room(&client("cl_slow")))).await);
        journal.room(&fast).await;
        assert!(journal.is_crowded_for(&fast));
    }

    #[tokio::test]
    async fn many_who_ask_little_fill_it_and_lose_nothing() {
        let journal = Journal::new(1_024);
        let names: Vec<String> = (0..100).map(|n| format!("cl_small-{n}")).collect();
        for name in names.iter().cycle() {
            if journal.is_crowded_for(&client(name)) {
                break;
            }
            assert!(journal.push(event(name)));
        }
        assert_eq!((journal.len(), journal.lost()), (1_024 - 1_024 / 16, 0));
        journal.close();
        assert!(names.iter().all(|name| !journal.is_crowded_for(&client(name))));
    }

    #[tokio::test]
    async fn nobody_waits_for_a_database_that_is_gone() {
        let (journal, fast) = (filled("cl_fast"), client("cl_fast"));
        let mut waits = pin!(journal.room(&fast));
        assert!(!is_there(waits.as_mut()).await);
        journal.moves(false);
        assert!(is_there(waits).await);
        while journal.push(event("cl_fast")) {}
        assert_eq!((journal.len(), journal.lost()), (MOST / 2, 1));
    }
}
