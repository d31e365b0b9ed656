//! The clock: the only place that asks what time it is.
//!
//! Waiting goes by tokio's time, which a test or a simulation can stop and move; so does what is measured here. Order never goes
//! by time.

use std::time::Duration;

use tokio::time::Instant;

use crate::event::Time;

/// What time it is.
#[derive(Debug, Clone, Copy, Default)]
pub enum Clock {
    /// As the system says.
    #[default]
    System,
    /// As it would be if it had been `at` at the instant `from`: for tests and simulations.
    Simulated {
        /// When it began.
        from: Instant,
        /// What time that was.
        at: Time,
    },
}

impl Clock {
    /// The time of day, for people and for the journal. It may go back.
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

/// Now, for limiters that count attempts by the same clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attempts;

impl governor::clock::Clock for Attempts {
    type Instant = std::time::Instant;

    fn now(&self) -> std::time::Instant {
        now().into_std()
    }
}

/// How long ago that was.
pub fn since(moment: Instant) -> Duration {
    now().saturating_duration_since(moment)
}
