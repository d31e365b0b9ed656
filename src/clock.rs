//! The clock: the only place that asks what time it is.
//!
//! Waiting and measuring use tokio's time, which a test or a simulation can stop and move. Time never decides what comes before
//! what.

use std::time::Duration;

use tokio::time::Instant;

use crate::event::Time;
use crate::limits::{CLOCK_DOUBTED_SECONDS, CLOCK_JUMP_SECONDS};

/// A source of the time of day.
#[derive(Debug, Clone, Copy, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that showed `at` at the instant `from`, and has run with tokio's time since.
    Running {
        /// The instant at which it began.
        from: Instant,
        /// The time of day that it showed then.
        at: Time,
    },
}

impl Clock {
    /// The time of day in whole seconds since 1970, as certificates have it.
    pub fn seconds(&self) -> i64 {
        self.time().0.div_euclid(1000)
    }

    /// The time of day, for people and for the store. It may go back.
    pub fn time(&self) -> Time {
        match self {
            Self::System => Time(jiff::Timestamp::now().as_millisecond()),
            Self::Running { from, at } => {
                Time(at.0.saturating_add(i64::try_from(from.elapsed().as_millis()).unwrap_or(i64::MAX)))
            }
        }
    }
}

/// The time of day for deciding what is too old. A clock that jumps ahead, because somebody set it wrongly, is believed only
/// once it has stayed there for a day: what it would make old is still there when it is set right.
#[derive(Debug)]
pub struct Ages {
    /// What time it was, and when.
    believed: Option<(Time, Instant)>,
    /// Since when the clock has been ahead.
    ahead: Option<Instant>,
}

impl Ages {
    /// After a start: nobody knows how long the machine was off, only when something was stored last, if anything was.
    pub fn after(newest: Option<Time>) -> Self {
        Self { believed: newest.map(|time| (time, now())), ahead: newest.map(|_| now()) }
    }

    /// The time for ages, while a clock shows `shown`: that, or earlier.
    pub fn time(&mut self, shown: Time) -> Time {
        let (believed, at) = *self.believed.get_or_insert_with(|| (shown, now()));
        let run = Clock::Running { from: at, at: believed }.time();
        let ahead = Duration::from_millis(u64::try_from(shown.0.saturating_sub(run.0)).unwrap_or(0));
        if ahead > Duration::from_secs(CLOCK_JUMP_SECONDS) {
            let since = *self.ahead.get_or_insert_with(|| {
                let hours = ahead.as_secs() / 3600;
                tracing::warn!(
                    hours,
                    "the clock has jumped ahead: set it right if it is wrong; if it stays there for a day it is believed, and what is \
                     too old by it is deleted"
                );
                now()
            });
            if now() - since < Duration::from_secs(CLOCK_DOUBTED_SECONDS) {
                return run;
            }
        }
        (self.believed, self.ahead) = (Some((shown, now())), None);
        shown
    }
}

/// A moment, for measuring how long something takes. It never goes back.
pub fn now() -> Instant {
    Instant::now()
}

/// [`now`] for the rate limiters, which count attempts by this clock too.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attempts;

impl governor::clock::Clock for Attempts {
    type Instant = std::time::Instant;

    fn now(&self) -> std::time::Instant {
        now().into_std()
    }
}

/// How long ago `moment` was.
pub fn since(moment: Instant) -> Duration {
    now().saturating_duration_since(moment)
}

#[cfg(test)]
mod tests {
    use super::{Ages, CLOCK_DOUBTED_SECONDS, Duration, Time};

    const YEARS: i64 = 10 * 365 * 24 * 3600 * 1000;

    async fn pass(seconds: u64) -> i64 {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        i64::try_from(seconds * 1000).expect("a few days")
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_jumps_ahead_is_believed_after_a_day() {
        let (mut ages, mut at) = (Ages::after(None), 1_700_000_000_000);
        assert_eq!(ages.time(Time(at)), Time(at));
        at += pass(60).await;
        assert_eq!(ages.time(Time(at + YEARS)), Time(at), "it is doubted");
        at += pass(60).await;
        assert_eq!(ages.time(Time(at - YEARS)), Time(at - YEARS), "earlier makes nothing old");
        assert_eq!(ages.time(Time(at)), Time(at - YEARS), "and later again is a jump");
        at += pass(CLOCK_DOUBTED_SECONDS).await;
        assert_eq!(ages.time(Time(at)), Time(at), "it has stayed there");
        at += pass(7 * CLOCK_DOUBTED_SECONDS).await;
        assert_eq!(ages.time(Time(at)), Time(at), "time that has passed is no jump");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_start_ages_count_from_what_was_stored_last() {
        let stored = 1_700_000_000_000;
        let mut ages = Ages::after(Some(Time(stored)));
        let passed = pass(60).await;
        assert_eq!(ages.time(Time(stored + YEARS)), Time(stored + passed));
        assert_eq!(ages.time(Time(stored + passed)), Time(stored + passed), "it was set right");
        let passed = passed + pass(1).await;
        assert_eq!(ages.time(Time(stored + YEARS)), Time(stored + passed), "and wrong again");
        let passed = passed + pass(CLOCK_DOUBTED_SECONDS).await;
        assert_eq!(ages.time(Time(stored + YEARS + passed)), Time(stored + YEARS + passed));
    }
}
