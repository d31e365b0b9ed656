//! What the operator is told of damage: each damaged entry once, and never more than a few lines a second.
//!
//! It owns what was told already. It must never keep anybody from reading.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Mutex;

use governor::clock::Clock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::Attempts;
use crate::event::RoomId;
use crate::limits::{DAMAGE_LINES, DAMAGE_REMEMBERED};
use crate::names::Seq;
use crate::store::backend::StoreError;

type Limiter =
    RateLimiter<NotKeyed, InMemoryState, Attempts, governor::middleware::NoOpMiddleware<<Attempts as Clock>::Instant>>;

/// What was told of one store's damage.
#[derive(Debug)]
pub struct Damage {
    told: Mutex<HashSet<Seq>>,
    lines: Limiter,
}

impl Default for Damage {
    fn default() -> Self {
        const LINES: NonZeroU32 = NonZeroU32::new(DAMAGE_LINES).expect("invariant: at least one line a second");
        Self { told: Mutex::default(), lines: RateLimiter::direct_with_clock(Quota::per_second(LINES), Attempts) }
    }
}

impl Damage {
    /// Tells that an entry is damaged, unless that was told. If too much is told just now, it is when it is read again.
    pub fn tell(&self, room: RoomId, seq: Seq) {
        let mut told = self.told.lock().expect("invariant: nothing panics under this lock");
        if told.contains(&seq) || self.lines.check().is_err() {
            return;
        }
        if told.len() >= DAMAGE_REMEMBERED {
            told.clear();
        }
        told.insert(seq);
        tracing::error!(%seq, ?room, "a stored entry is damaged: its readers are shown GAP; restore the store from a backup");
    }

    /// Tells that something could not be read, of this room or of all.
    pub fn failed(&self, room: Option<RoomId>, error: &StoreError) {
        if self.lines.check().is_ok() {
            tracing::error!(%error, ?room, "the store cannot be read");
        }
    }
}
