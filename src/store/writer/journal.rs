//! Where journalled events wait for the writer. Whoever journals never waits, and wakes the writer
//! twice for a commit at most: when its first event comes, so that its age is counted from there,
//! and when it is worth a commit. A wake-up for each event would cost more than the event.
//!
//! Nobody has more than half of the room, so that a client that floods it loses its own events and
//! no other client's.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;

use crate::{base::id::ClientId, model::event::Event, store::commit::SEGMENT_EVENTS};

/// How many events are worth a commit before the oldest of them is due. A commit for each segment
/// would cost a busy server more than its events do; an eighth of what may wait leaves room for
/// those that come while it is made.
pub(super) const FULL: usize = 4 * SEGMENT_EVENTS;

/// Events that are not written yet, oldest first.
pub(super) struct Journal {
    waiting: Mutex<Waiting>,
    woken: Notify,
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
        let share = self.shares.get(&event.client).copied().unwrap_or(0);
        if self.events.len() >= self.most || share >= self.most.div_ceil(2) {
            return None;
        }
        self.shares.insert(event.client.clone(), share.saturating_add(1));
        self.events.push_back(event);
        Some(self.events.len())
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

impl Journal {
    pub fn new(most: usize) -> Journal {
        let waiting = Waiting { events: VecDeque::new(), shares: HashMap::new(), most };
        Journal { waiting: Mutex::new(waiting), woken: Notify::new(), lost: AtomicU64::new(0) }
    }

    /// Takes an event, if there is room; what finds none is counted as lost.
    pub fn push(&self, event: Event) -> bool {
        let Some(waits) = self.waiting().push(event) else {
            self.lose(1);
            return false;
        };
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
    }

    pub fn len(&self) -> usize {
        self.waiting().events.len()
    }

    /// From now on takes nothing.
    pub fn close(&self) {
        self.waiting().most = 0;
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
