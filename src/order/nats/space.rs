//! How full the stream is: what its brokers have said last, and what was read of it since. It owns these figures, and never
//! asks anybody.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the brokers store besides a frame: its place, time, checksum and subject.
const FRAME_EXTRA: u64 = 64;

/// How full the stream is, as far as is known.
#[derive(Debug, Default)]
pub struct Space {
    /// The most bytes that it holds; 0 when there is no such number, or it is not known yet.
    most: AtomicU64,
    used: AtomicU64,
    /// All bytes that were read, ever.
    read: AtomicU64,
    /// The place of its newest batch, when its brokers were asked last.
    last: AtomicU64,
}

impl Space {
    /// Its brokers say that it is so full, and how much it holds at most.
    pub fn is(&self, used: u64, most: u64) {
        self.used.store(used, Ordering::Relaxed);
        self.most.store(most, Ordering::Relaxed);
    }

    /// Its brokers say that its newest batch has this place.
    pub fn ends_at(&self, place: u64) {
        self.last.store(place, Ordering::Relaxed);
    }

    /// The place of its newest batch, as its brokers have said last.
    pub fn end(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// A frame of so many bytes was read: somebody has added it.
    pub fn has_read(&self, bytes: usize) {
        let bytes = bytes as u64 + FRAME_EXTRA;
        self.used.fetch_add(bytes, Ordering::Relaxed);
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// All bytes that were read.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    fn is_over(&self, tenths: u64) -> bool {
        let most = self.most.load(Ordering::Relaxed);
        most > 0 && self.used.load(Ordering::Relaxed) > most / 10 * tenths
    }

    /// Whether a snapshot is due, after one when `before` bytes had been read: it is half full and an eighth of it has come
    /// since, or it is nearly full, and then not much can come.
    pub fn is_filling(&self, before: u64) -> bool {
        let since = self.read().saturating_sub(before);
        self.is_nearly_full() || self.is_over(5) && since > self.most.load(Ordering::Relaxed) / 8
    }

    /// Whether it is so full that what is left is needed for what cannot be refused.
    pub fn is_nearly_full(&self) -> bool {
        self.is_over(9)
    }
}

#[cfg(test)]
mod tests {
    use super::Space;

    #[test]
    fn what_was_read_since_counts_until_the_brokers_say_more() {
        let space = Space::default();
        space.has_read(1_000_000);
        assert!(!space.is_nearly_full(), "nobody has said how much it holds");
        space.is(499_000, 1_000_000);
        assert!(!space.is_filling(0));
        space.has_read(2_000);
        assert!(space.is_filling(0) && !space.is_filling(900_000) && !space.is_nearly_full());
        space.is(901_000, 1_000_000);
        assert!(space.is_nearly_full() && space.is_filling(1_100_000));
        space.is(2_000, 1_000_000);
        assert!(!space.is_nearly_full() && space.read() > 1_002_000);
    }
}
