//! Guesses of one kind: as many may be wrong in a minute, and any number may be right.
//!
//! It owns the counts. Nobody knows before the hash whether a guess is right, so each counts as if it were wrong until that is known,
//! and no more if it was right, or was not hashed at all. Whoever finds nothing left while others are still being hashed waits for
//! these: they may be right. It must never let more be hashed at a time than may be wrong, nor remember a key for longer than a guess
//! of it is pending or counts: then there are no more of them than hashes.

use std::hash::Hash;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use foldhash::HashMap;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock;
use crate::limits::HASH_WAIT_SECONDS;

const MINUTE: Duration = Duration::from_secs(60);

/// What is counted for one key.
#[derive(Debug, Clone, Copy)]
struct Count {
    /// Guesses that are being hashed, or wait for it.
    pending: u32,
    /// When the wrong ones count no more: each puts that off.
    until: Instant,
}

/// Guesses by key, such as an address.
pub struct Guesses<K: Hash + Eq + Clone> {
    /// For how long a wrong one counts.
    each: Duration,
    counts: Mutex<HashMap<K, Count>>,
    decided: Notify,
}

/// A guess that may be hashed. Dropped without [`Guess::right`] it was wrong, if it is hashed.
pub struct Guess<'g, K: Hash + Eq + Clone> {
    guesses: &'g Guesses<K>,
    key: K,
    is_hashed: bool,
}

impl<K: Hash + Eq + Clone> Guesses<K> {
    /// At most `most` wrong ones a minute.
    pub fn per_minute(most: u64) -> Self {
        let each = MINUTE / u32::try_from(most).unwrap_or(u32::MAX);
        Self { each, counts: Mutex::default(), decided: Notify::new() }
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
                Ok(()) => return Ok(Guess { guesses: self, key, is_hashed: false }),
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
        let (mut counts, now) = (self.counts(), clock::now());
        let Count { pending, until } = counts.get(key).copied().unwrap_or(Count { pending: 0, until: now });
        // If all of them are wrong, and this one too.
        let at_worst = until.max(now) + self.each * (pending + 1);
        let wait = at_worst.saturating_duration_since(now + MINUTE);
        if !wait.is_zero() {
            return Err((wait, pending > 0));
        }
        counts.insert(key.clone(), Count { pending: pending + 1, until });
        Ok(())
    }

    fn decide(&self, key: &K, is_wrong: bool) {
        let (mut counts, now) = (self.counts(), clock::now());
        if let Some(count) = counts.get_mut(key) {
            count.pending = count.pending.saturating_sub(1);
            if is_wrong {
                count.until = count.until.max(now) + self.each;
            }
            if count.is_over(now) {
                counts.remove(key);
            }
        }
        drop(counts);
        self.decided.notify_waiters();
    }

    /// Forgets whoever has made no wrong guess of late.
    pub fn sweep(&self) {
        let now = clock::now();
        self.counts().retain(|_, count| !count.is_over(now));
    }

    /// How many keys are remembered.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.counts().len()
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<K, Count>> {
        self.counts.lock().expect("invariant: nothing panics under this lock")
    }
}

impl Count {
    fn is_over(&self, now: Instant) -> bool {
        self.pending == 0 && self.until <= now
    }
}

impl<K: Hash + Eq + Clone> Guess<'_, K> {
    /// It is hashed from now on.
    pub fn hashing(&mut self) {
        self.is_hashed = true;
    }

    /// It was right, and costs nothing.
    pub fn right(mut self) {
        self.is_hashed = false;
    }
}

impl<K: Hash + Eq + Clone> Drop for Guess<'_, K> {
    fn drop(&mut self) {
        self.guesses.decide(&self.key, self.is_hashed);
    }
}
