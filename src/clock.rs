//! The clock: the only place that asks what time it is.
//!
//! Waiting and measuring use tokio's time, which a test or a simulation can stop and move. Time never decides what comes before
//! what.

use std::time::Duration;

use tokio::time::Instant;

use crate::event::Time;

/// A source of the time of day.
#[derive(Debug, Clone, Copy, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that showed `at` at the instant `from`, and has run with tokio's time since: for tests and simulations.
    Simulated {
        /// The instant at which it began.
        from: Instant,
        /// The time of day that it showed then.
        at: Time,
    },
}

impl Clock {
    /// The time of day, for people and for the store. It may go back.
    pub fn time(&self) -> Time {
        match self {
            Self::System => Time(jiff::Timestamp::now().as_millisecond()),
            Self::Simulated { from, at } => {
                Time(at.0.saturating_add(i64::try_from(from.elapsed().as_millis()).unwrap_or(i64::MAX)))
            }
        }
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
