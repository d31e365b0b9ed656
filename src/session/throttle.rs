//! The throttle: how fast one connection's commands are taken. A fast script waits; it is never refused.
//!
//! It owns the connection's tokens, and those that it has taken ahead from its address's. A command costs one, and more where it
//! costs the others more; bytes that make no line cost some, too. It must never look at what a command says.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock;
use crate::limits::{BYTES_A_TOKEN, DEBT_SECONDS, LINE_BYTES, NONE};
use crate::session::Session;
use crate::session::budgets::Lease;

/// The least wait: a fast script waits for several tokens at a time, so that it costs few timers.
const WAIT: Duration = Duration::from_millis(5);

/// A token bucket that holds one second's worth. The clock is read only when the bucket is empty.
#[derive(Debug)]
pub struct Throttle {
    /// Below zero is debt: what a command costs the others is known when it has been done.
    tokens: i64,
    filled: Instant,
    /// Received bytes that no line has had yet.
    unpaid: usize,
    /// Tokens of the address that are taken and not used.
    lease: Lease,
}

impl Throttle {
    /// A full bucket.
    pub fn new(per_second: u64) -> Self {
        Self { tokens: whole(per_second), filled: clock::now(), unpaid: 0, lease: Lease::default() }
    }

    /// Takes tokens. Returns how long the connection must wait now, if it must.
    pub fn pay(&mut self, cost: u64, per_second: u64) -> Option<Duration> {
        if per_second == NONE || cost == 0 {
            return None;
        }
        if self.tokens <= 0 {
            self.fill(per_second, clock::now());
        }
        self.tokens = self.tokens.saturating_sub(whole(cost)).max(whole(per_second).saturating_mul(-DEBT_SECONDS));
        (self.tokens < 0).then(|| Duration::from_secs_f64(self.tokens.unsigned_abs() as f64 / per_second as f64).max(WAIT))
    }

    /// Counts received bytes, of which a line had `lines`. Returns what the others cost. A line that is still being received may
    /// be as long as a line can be before its bytes count.
    pub fn cost_of_bytes(&mut self, received: usize, lines: usize) -> u64 {
        self.unpaid = (self.unpaid + received).saturating_sub(lines);
        let tokens = self.unpaid.saturating_sub(LINE_BYTES).div_ceil(BYTES_A_TOKEN);
        self.unpaid -= (tokens * BYTES_A_TOKEN).min(self.unpaid);
        tokens as u64
    }

    fn fill(&mut self, per_second: u64, now: Instant) {
        let earned = now.duration_since(self.filled).as_secs_f64() * per_second as f64;
        if earned >= 1.0 {
            self.tokens = self.tokens.saturating_add(earned as i64).min(whole(per_second));
            self.filled = now;
        }
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Session {
    /// Pays for what has been done; if the tokens do not suffice, the next line waits until they do.
    pub(super) fn pay(&mut self, cost: u64) {
        if let Some(wait) = self.throttle.pay(cost, self.shared.limits.commands_per_second) {
            self.rest(wait);
        }
        self.pay_address(cost);
    }

    /// Pays only what all connections of the address pay together. To come costs one, so that nobody leaves debt behind.
    pub(super) fn pay_address(&mut self, cost: u64) {
        if let Some(wait) = self.shared.budgets.pace.take(self.address, cost, &mut self.throttle.lease) {
            self.rest(wait.max(WAIT));
        }
    }

    fn rest(&mut self, wait: Duration) {
        if !self.shared.stopping.is_cancelled() {
            let now = clock::now();
            let longer = (now + wait).saturating_duration_since(self.throttled_until.unwrap_or(now).max(now));
            self.throttled_until = self.throttled_until.max(Some(now + wait));
            // The peer may have sent the rest of its line, which is not looked at meanwhile.
            self.line_deadline = self.line_deadline.and_then(|deadline| deadline.checked_add(longer));
        }
    }

    /// Pays for received bytes, of which a line had `lines`.
    pub(super) fn pay_for_bytes(&mut self, received: usize, lines: usize) {
        let cost = self.throttle.cost_of_bytes(received, lines);
        self.pay(cost);
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_A_TOKEN, DEBT_SECONDS, Duration, LINE_BYTES, NONE, Throttle, clock};

    #[test]
    fn a_second_holds_what_was_promised() {
        let mut throttle = Throttle::new(10);
        for _ in 0..10 {
            assert_eq!(throttle.pay(1, 10), None);
        }
        throttle.filled = clock::now();
        assert!(throttle.pay(1, 10).is_some());
        throttle.fill(10, throttle.filled + Duration::from_millis(350));
        assert_eq!(throttle.tokens, 2, "one of the three pays the debt");
        throttle.fill(10, throttle.filled + Duration::from_secs(100));
        assert_eq!(throttle.tokens, 10, "never more than one second's worth");
        assert_eq!(Throttle::new(0).pay(1000, NONE), None);
    }

    #[test]
    fn what_is_dear_is_paid_by_waiting_and_not_for_ever() {
        let mut throttle = Throttle::new(100);
        assert_eq!(throttle.pay(300, 100), Some(Duration::from_secs(2)));
        assert_eq!(throttle.pay(1_000_000, 100), Some(Duration::from_secs(DEBT_SECONDS.unsigned_abs())));
    }

    #[test]
    fn bytes_cost_something_when_no_line_has_them() {
        let mut throttle = Throttle::new(100);
        for _ in 0..1000 {
            assert_eq!(throttle.cost_of_bytes(LINE_BYTES, LINE_BYTES), 0, "lines pay for themselves");
            assert_eq!(throttle.cost_of_bytes(LINE_BYTES - 1, 0) + throttle.cost_of_bytes(1, LINE_BYTES), 0);
        }
        let cost: u64 = (0..1000).map(|_| throttle.cost_of_bytes(1000, 0)).sum();
        let due = (1_000_000 - LINE_BYTES).div_ceil(BYTES_A_TOKEN) as u64;
        assert!((due..=due + 1).contains(&cost), "{cost} for {due}");
    }
}
