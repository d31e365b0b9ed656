//! The throttle: how fast one connection's commands are taken. A fast script waits; it is never refused.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock;
use crate::limits::NONE;

/// A token bucket that holds one second's worth. The clock is read only when the bucket is empty.
#[derive(Debug)]
pub struct Throttle {
    tokens: u64,
    filled: Instant,
}

impl Throttle {
    /// A full bucket.
    pub fn new(per_second: u64) -> Self {
        Self { tokens: per_second, filled: clock::now() }
    }

    /// Takes a token. The error is how long to wait for one.
    pub fn take(&mut self, per_second: u64) -> Result<(), Duration> {
        if per_second == NONE {
            return Ok(());
        }
        if self.tokens == 0 {
            self.fill(per_second, clock::now());
        }
        if self.tokens == 0 {
            // Waits for several tokens at a time, so that a fast script costs few timers.
            return Err(Duration::from_secs_f64(1.0 / per_second as f64).max(Duration::from_millis(5)));
        }
        self.tokens -= 1;
        Ok(())
    }

    fn fill(&mut self, per_second: u64, now: Instant) {
        let earned = now.duration_since(self.filled).as_secs_f64() * per_second as f64;
        let whole = (earned as u64).min(per_second);
        if whole > 0 {
            self.tokens = whole;
            self.filled = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, NONE, Throttle, clock};

    #[test]
    fn a_second_holds_what_was_promised() {
        let mut throttle = Throttle::new(10);
        for _ in 0..10 {
            assert_eq!(throttle.take(10), Ok(()));
        }
        throttle.filled = clock::now();
        assert!(throttle.take(10).is_err());
        throttle.fill(10, throttle.filled + Duration::from_millis(250));
        assert_eq!(throttle.tokens, 2);
        throttle.fill(10, throttle.filled + Duration::from_secs(100));
        assert_eq!(throttle.tokens, 10, "never more than one second's worth");
        assert_eq!(Throttle::new(0).take(NONE), Ok(()));
    }
}
