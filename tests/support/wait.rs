//! Waiting for what no line tells: with a bound, and no longer than it takes.

use std::time::{Duration, Instant};

use super::server::PATIENCE;

/// Looks again and again until there is a value. Panics, saying `what` was waited for, when that is never.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
