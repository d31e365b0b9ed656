//! Guesses of one kind: as many may be wrong in a minute, and any number may be right.
//!
//! It owns the counts. Nobody knows before the hash whether a guess is right, so each takes its part first and gets it back if it was.
//! Whoever finds nothing left while others are still being hashed waits for these: they may be right. It must never let more be hashed
//! at a time than may be wrong.

use std::hash::Hash;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use foldhash::HashMap;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock;
use crate::limits::{HASH_WAIT_SECONDS, KNOWN_NAMES};
use crate::session::budgets::Rate;

const MINUTE: Duration = Duration::from_secs(60);

/// What is counted for one key.
#[derive(Debug, Clone, Copy)]
struct Count {
    /// Guesses that are being hashed.
    pending: u32,
    /// Parts of the rate that were given back.
    back: u32,
    /// When something was counted last.
    at: Instant,
}

/// Guesses by key, such as an address.
pub struct Guesses<K: Hash + Eq + Clone> {
    rate: Rate<K>,
    counts: Mutex<HashMap<K, Count>>,
    decided: Notify,
}

/// A guess that is being hashed. Dropped without [`Guess::right`], it was wrong.
pub struct Guess<'g, K: Hash + Eq + Clone> {
    guesses: &'g Guesses<K>,
    key: K,
}

impl<K: Hash + Eq + Clone> Guesses<K> {
    /// At most `most` wrong ones a minute.
    pub fn per_minute(most: u64) -> Self {
        Self { rate: Rate::per_minute(most), counts: Mutex::default(), decided: Notify::new() }
    }

    /// Counts a guess.
    ///
    /// # Errors
    /// How long until there may be another, if there were too many. Nothing was counted.
    pub async fn take(&self, key: K) -> Result<Guess<'_, K>, Duration> {
        let deadline = clock::now() + Duration::from_secs(HASH_WAIT_SECONDS);
        loop {
            let decided = self.decided.notified();
            tokio::pin!(decided);
            decided.as_mut().enable();
            let wait = match self.try_take(&key) {
                Ok(()) => return Ok(Guess { guesses: self, key }),
                Err((wait, is_pending)) if !is_pending => return Err(wait),
                Err((wait, _)) => wait,
            };
            if tokio::time::timeout_at(deadline, decided).await.is_err() {
                return Err(wait);
            }
        }
    }

    /// Refused, it says whether others are still being hashed.
    fn try_take(&self, key: &K) -> Result<(), (Duration, bool)> {
        let mut counts = self.counts();
        let at = clock::now();
        let Count { pending, back, .. } = counts.get(key).copied().unwrap_or(Count { pending: 0, back: 0, at });
        let back = match back.checked_sub(1) {
            Some(left) => left,
            None => self.rate.take(key).map_err(|wait| (wait, pending > 0)).map(|()| 0)?,
        };
        counts.insert(key.clone(), Count { pending: pending + 1, back, at });
        Ok(())
    }

    fn decide(&self, key: &K, is_right: bool) {
        let mut counts = self.counts();
        if let Some(count) = counts.get_mut(key) {
            count.pending = count.pending.saturating_sub(1);
            count.back += u32::from(is_right);
            let is_empty = count.pending == 0 && count.back == 0;
            // What is forgotten grows back within a minute.
            if is_empty || counts.len() > KNOWN_NAMES {
                counts.remove(key);
            }
        }
        drop(counts);
        self.decided.notify_waiters();
    }

    /// Forgets whoever has made no guess of late.
    pub fn sweep(&self) {
        self.rate.sweep();
        // By then the rate is whole again, with or without what was given back.
        self.counts().retain(|_, count| count.pending > 0 || clock::since(count.at) < MINUTE);
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<K, Count>> {
        self.counts.lock().expect("invariant: nothing panics under this lock")
    }
}

impl<K: Hash + Eq + Clone> Guess<'_, K> {
    /// It was right, and costs nothing.
    pub fn right(self) {
        self.guesses.decide(&self.key, true);
        std::mem::forget(self);
    }
}

impl<K: Hash + Eq + Clone> Drop for Guess<'_, K> {
    fn drop(&mut self) {
        self.guesses.decide(&self.key, false);
    }
}
