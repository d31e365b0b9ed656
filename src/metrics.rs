//! What is counted while the server works, for those who watch it.
//!
//! It owns the counters, and nothing else: what can be looked up when somebody asks is counted nowhere. To count is to add to a
//! number whose place is known beforehand; it must never take a lock, search a map or allocate.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::code::Code;
use crate::wire::Word;

/// How a command may end: as one of the codes, or well.
const RESULTS: usize = Code::ALL.len() + 1;
/// Of how many microseconds the shortest and the longest time of a commit are that are told from others, as powers of two: 64 µs is a
/// disk that keeps its promises by electricity, 4 s one that is ill.
const COMMIT_MICROS: (u32, u32) = (6, 22);
/// The same of how many entries a batch had.
const BATCH_ENTRIES: (u32, u32) = (0, 12);

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to it. Nothing is no reason to take the number from another core.
    pub fn add(&self, more: u64) {
        if more > 0 {
            self.0.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// What it is now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often a value was how large, by powers of two: where a value is counted is seen at its highest bit.
#[derive(Debug)]
pub struct Histogram {
    /// The first bound is 2 to this.
    first: u32,
    /// How often a value was at most its bound and more than the one before; the last has no bound.
    counts: Box<[Count]>,
    sum: Count,
}

impl Histogram {
    fn new((first, last): (u32, u32)) -> Self {
        Self { first, counts: (first..=last + 1).map(|_| Count::default()).collect(), sum: Count::default() }
    }

    fn observe(&self, value: u64) {
        let bits = u64::BITS - value.saturating_sub(1).leading_zeros();
        let place = bits.saturating_sub(self.first) as usize;
        self.counts[place.min(self.counts.len() - 1)].add(1);
        self.sum.add(value);
    }

    /// The sum of all values.
    pub fn sum(&self) -> u64 {
        self.sum.get()
    }

    /// Each bound, `None` for the last, with how often a value was in its range.
    pub fn counts(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let last = self.counts.len() - 1;
        let bound = move |place| (place < last).then(|| 1 << (self.first + place as u32));
        self.counts.iter().enumerate().map(move |(place, count)| (bound(place), count.get()))
    }
}

/// All counters of a server.
#[derive(Debug)]
pub struct Metrics {
    answers: [[Count; RESULTS]; Word::COUNT],
    turned_away: [Count; Code::ALL.len()],
    /// Connections that were let in.
    pub connections: Count,
    /// Lines of events given to readers.
    pub deliveries: Count,
    /// Bytes from peers.
    pub received_bytes: Count,
    /// Bytes that peers have taken.
    pub sent_bytes: Count,
    /// Pages that were read from the store for readers who had fallen behind.
    pub catch_up_reads: Count,
    /// Damaged entries that a page had when it was read.
    pub damaged: Count,
    /// How long commits took of what must be kept, in microseconds.
    pub commits: Histogram,
    /// How many entries a batch had.
    pub batches: Histogram,
    is_full: AtomicBool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            answers: std::array::from_fn(|_| std::array::from_fn(|_| Count::default())),
            turned_away: std::array::from_fn(|_| Count::default()),
            connections: Count::default(),
            deliveries: Count::default(),
            received_bytes: Count::default(),
            sent_bytes: Count::default(),
            catch_up_reads: Count::default(),
            damaged: Count::default(),
            commits: Histogram::new(COMMIT_MICROS),
            batches: Histogram::new(BATCH_ENTRIES),
            is_full: AtomicBool::new(false),
        }
    }
}

impl Metrics {
    /// A command was answered.
    pub fn answered(&self, verb: Word, result: Result<(), Code>) {
        self.answers[verb.place()][result.map_or_else(|code| code as usize + 1, |()| 0)].add(1);
    }

    /// How often a command was answered so.
    pub fn answers(&self, verb: Word, result: Result<(), Code>) -> u64 {
        self.answers[verb.place()][result.map_or_else(|code| code as usize + 1, |()| 0)].get()
    }

    /// Somebody was not let in.
    pub fn turned_away(&self, why: Code) {
        self.turned_away[why as usize].add(1);
    }

    /// How many were not let in for this reason.
    pub fn were_turned_away(&self, why: Code) -> u64 {
        self.turned_away[why as usize].get()
    }

    /// Lines of events were given to a reader: counted once for all that are sent together.
    pub fn delivered(&self, lines: &[u8]) {
        if !lines.is_empty() {
            self.deliveries.add(memchr::memchr_iter(b'\n', lines).count() as u64);
        }
    }

    /// Notes whether the disk has no room for messages.
    pub fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    /// Whether the disk has no room for messages.
    pub fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// A batch of so many entries was committed, which took so long if anything in it had to be kept.
    pub fn committed(&self, entries: u64, took: Option<Duration>) {
        if let Some(took) = took {
            self.commits.observe(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
        self.batches.observe(entries);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Code, Histogram, Metrics, RESULTS, Word};

    #[test]
    fn each_answer_is_counted_in_its_place() {
        let metrics = Metrics::default();
        let results = || std::iter::once(Ok(())).chain(Code::ALL.iter().map(|code| Err(*code)));
        assert_eq!(results().count(), RESULTS);
        for (number, (word, result)) in Word::all().flat_map(|word| results().map(move |result| (word, result))).enumerate() {
            assert_eq!(metrics.answers(word, result), 0, "nothing else was counted here");
            (0..=number % 3).for_each(|_| metrics.answered(word, result));
            assert_eq!(metrics.answers(word, result), number as u64 % 3 + 1);
        }
    }

    #[test]
    fn a_value_is_counted_up_to_its_bound() {
        let metrics = Metrics::default();
        for (micros, entries) in [(0, 1), (64, 2), (65, 3), (4_194_304, 4_096), (4_194_305, 4_097)] {
            metrics.committed(entries, Some(Duration::from_micros(micros)));
        }
        let counted = |values: &Histogram| values.counts().filter(|(_, count)| *count > 0).collect::<Vec<_>>();
        assert_eq!(counted(&metrics.commits), [(Some(64), 2), (Some(128), 1), (Some(4_194_304), 1), (None, 1)]);
        assert_eq!(counted(&metrics.batches), [(Some(1), 1), (Some(2), 1), (Some(4), 1), (Some(4_096), 1), (None, 1)]);
        assert_eq!(metrics.commits.sum(), 8_388_738);
        metrics.delivered(b"* MSG 1\n* MSG 2\n");
        assert_eq!(metrics.deliveries.get(), 2);
    }
}
