//! The memory of an agent: tokens, by what they were wanted for, and the exchanges under way.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::OnceCell;

use crate::{agent::Token, clock, error::ExchangeError};

/// Tokens that are remembered; beyond it the one unused for longest is forgotten.
const TOKENS_MAX: usize = 1024;

type Key = [u8; 32];
type Outcome = Result<Token, ExchangeError>;

/// Tokens by key.
#[derive(Debug, Default)]
pub struct Tokens(Mutex<HashMap<Key, Slot>>);

/// One exchange, under way or landed. If the task that leads it is dropped, one of those who wait
/// leads next.
#[derive(Debug)]
struct Slot {
    flight: Arc<OnceCell<Outcome>>,
    used: Instant,
}

impl Tokens {
    /// The usable token under `key`, or the outcome of one exchange.
    pub async fn get<E, F>(&self, key: Key, exchange: E) -> Outcome
    where
        E: FnOnce() -> F,
        F: Future<Output = Outcome>,
    {
        let flight = self.board(key);
        let outcome = flight.get_or_init(exchange).await.clone();
        if outcome.is_err() {
            self.drop_flight(key, &flight);
        }
        outcome
    }

    /// Drops `token`, unless another is in its place.
    pub fn forget(&self, key: Key, token: &Token) {
        let mut slots = self.lock();
        let there = slots.get(&key).and_then(|slot| slot.flight.get()?.as_ref().ok());
        if there.is_some_and(|there| there.is(token)) {
            slots.remove(&key);
        }
    }

    /// The flight under `key` that is under way or landed with a usable token, or a new one.
    fn board(&self, key: Key) -> Arc<OnceCell<Outcome>> {
        let used = clock::now();
        let mut slots = self.lock();
        if let Some(slot) = slots.get_mut(&key).filter(|slot| slot.is_worth_waiting_for()) {
            slot.used = used;
            return Arc::clone(&slot.flight);
        }
        if slots.len() >= TOKENS_MAX {
            make_room(&mut slots);
        }
        let flight = Arc::default();
        slots.insert(key, Slot { flight: Arc::clone(&flight), used });
        flight
    }

    fn drop_flight(&self, key: Key, flight: &Arc<OnceCell<Outcome>>) {
        let mut slots = self.lock();
        if slots.get(&key).is_some_and(|slot| Arc::ptr_eq(&slot.flight, flight)) {
            slots.remove(&key);
        }
    }

    /// Nothing panics while it holds the lock, so what it guards is whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn is_worth_waiting_for(&self) -> bool {
        match self.flight.get() {
            None => true,
            Some(Ok(token)) => token.is_usable(),
            Some(Err(_)) => false,
        }
    }
}

fn make_room(slots: &mut HashMap<Key, Slot>) {
    slots.retain(|_, slot| slot.is_worth_waiting_for());
    if slots.len() >= TOKENS_MAX {
        let oldest = slots.iter().min_by_key(|(_, slot)| slot.used).map(|(key, _)| *key);
        oldest.and_then(|key| slots.remove(&key));
    }
}
