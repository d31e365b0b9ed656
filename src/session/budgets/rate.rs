//! A rate: how much each key, such as an address, may use in a minute or an hour. Beyond it there is a refusal, which says when
//! to come again.
//!
//! It owns the counts of the keys, which are swept when they are over. It must never keep anybody waiting.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::clock;
use crate::limits::NONE;

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, clock::Attempts, NoOpMiddleware<std::time::Instant>>;

/// The rate of each key, with a burst of the whole span; without a limit nothing is counted.
pub struct Rate<K: Hash + Eq + Clone>(Option<Limiter<K>>);

impl<K: Hash + Eq + Clone> Rate<K> {
    /// At most `most` a minute.
    pub fn per_minute(most: u64) -> Self {
        Self::new(most, Quota::per_minute)
    }

    /// At most `most` an hour.
    pub fn per_hour(most: u64) -> Self {
        Self::new(most, Quota::per_hour)
    }

    fn new(most: u64, quota: impl Fn(NonZeroU32) -> Quota) -> Self {
        let most = NonZeroU32::new(u32::try_from(most).unwrap_or(u32::MAX)).filter(|_| most != NONE);
        Self(most.map(|most| Limiter::new(quota(most), DashMapStateStore::default(), clock::Attempts)))
    }

    /// Counts one.
    ///
    /// # Errors
    /// How long until it may be tried again. Nothing was counted.
    pub fn take(&self, key: &K) -> Result<(), Duration> {
        self.take_many(key, NonZeroU32::MIN)
    }

    /// Counts so many together.
    ///
    /// # Errors
    /// How long until it may be tried again; for more than the whole rate, never. Nothing was counted.
    pub fn take_many(&self, key: &K, count: NonZeroU32) -> Result<(), Duration> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        match limiter.check_key_n(key, count) {
            Ok(taken) => taken.map_err(|until| until.wait_time_from(clock::Attempts.now())),
            Err(_) => Err(Duration::MAX),
        }
    }

    /// Forgets the keys that could use everything again.
    pub fn sweep(&self) {
        self.0.iter().for_each(|limiter| limiter.retain_recent());
    }
}
