//! How long a search takes in a million messages, and what the index costs those who write.
//!
//! `cargo bench --bench search`. The bound for a search is 50 ms. The two `durable` lines are the same work on a disk, the second with
//! an index that follows: its rate must be at least four fifths of the first's.

#[path = "../support/store.rs"]
mod store;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use linechat::event::{Entry, Event, Time};
use linechat::names::{Seq, UserId};
use linechat::search::{self, Direction, Filter, Index, Place};
use linechat::store::Stretch;
use tempfile::TempDir;

use store::{Draft, Store, channel, draft, inbox, user};

const MESSAGES: u64 = 1_000_000;
const CHANNELS: u64 = 100;
const PEOPLE: u64 = 500;
const WORDS: u64 = 50_000;
/// Entries that the index takes at a time, as the server's follower does.
const STEP: u64 = 512;
const BATCH: u64 = 1000;

/// A cheap row of numbers that looks random, the same in each run.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Ten words, few of them common and most rare, as in a language.
fn text(number: u64) -> String {
    let word = |at: u64| {
        let chance = mixed(number * 16 + at) as f64 / u64::MAX as f64;
        format!("w{}", (WORDS as f64).powf(chance) as u64)
    };
    (0..10).map(word).collect::<Vec<_>>().join(" ")
}

fn said(number: u64) -> Draft {
    let from = user(1000 + mixed(number) % PEOPLE);
    // One in ten is private.
    let room =
        if number.is_multiple_of(10) { inbox(1000 + mixed(number + 7) % PEOPLE) } else { channel(1 + number % CHANNELS) };
    draft(Some(room), Event::Said { from, text: text(number).into(), key: None, share: None })
}

fn stretch(first: u64) -> Stretch {
    let entry = |number| {
        let Draft { room, via, event } = said(number);
        Entry { seq: Seq(number), time: Time(number.cast_signed() * 1000), room, via, event }
    };
    let last = Seq(first + STEP - 1);
    Stretch { entries: (first..first + STEP).map(entry).collect(), upto: last, newest: last }
}

fn filter(places: Vec<Place>, words: &[&str]) -> Filter {
    Filter { places, phrases: words.iter().map(|word| (*word).to_owned()).collect(), ..Filter::default() }
}

fn finding(c: &mut Criterion) {
    let directory = TempDir::new().expect("a directory");
    let mut index = Index::open(Some(&directory.path().join("search.db"))).expect("an index");
    let began = Instant::now();
    let mut taking = Duration::ZERO;
    for first in (1..MESSAGES).step_by(STEP as usize) {
        let stretch = stretch(first);
        let step = Instant::now();
        index.take(&stretch).expect("it is whole");
        taking += step.elapsed();
    }
    let rate = MESSAGES as f64 / taking.as_secs_f64();
    println!("a million messages are indexed in {taking:?}, {rate:.0} a second ({:?} with making them)", began.elapsed());
    let me = UserId(1000);
    let mine = || [Place::Inbox(me), Place::SentBy(me)].into_iter().chain((1..=50).map(|seq| Place::Channel(Seq(seq))));
    let one = || vec![Place::Channel(Seq(5))];
    let common_of = |from| Filter { from: vec![from], ..filter(mine().collect(), &["w1"]) };
    let mut group = c.benchmark_group("search/1,000,000 messages");
    group.sample_size(30).measurement_time(Duration::from_secs(3));
    for (name, wanted) in [
        ("a common word everywhere", filter(mine().collect(), &["w1"])),
        ("a rare word everywhere", filter(mine().collect(), &["w40000"])),
        ("a word that is nowhere", filter(mine().collect(), &["nowhere"])),
        ("two common words in a channel", filter(one(), &["w1", "w2"])),
        ("three words everywhere", filter(mine().collect(), &["w10", "w100", "w1000"])),
        ("a phrase everywhere", filter(mine().collect(), &["w10 w100"])),
        ("a common word by one person", common_of(UserId(1007))),
        ("a common word by nobody", common_of(UserId(9))),
        ("common words with one person", filter(vec![Place::Between(me, UserId(1001))], &["w1", "w2"])),
        ("a common word before a time", Filter { until: Some(Time(500_000_000)), ..filter(one(), &["w1"]) }),
    ] {
        group
            .bench_function(name, |b| b.iter(|| black_box(index.find(&wanted, Direction::Backward, 21).expect("it is whole"))));
    }
    group.bench_function("what is one's own of all that was said in a channel", |b| {
        b.iter(|| black_box(index.uncounted(Seq(5), &[me], Seq(0), Seq(MESSAGES)).expect("it is whole")));
    });
    group.finish();
}

/// How long `count` batches take.
fn time(store: &mut Store, next: &mut u64, count: u64) -> Duration {
    let mut spent = Duration::ZERO;
    for _ in 0..count {
        let drafts: Vec<_> = (*next..*next + BATCH).map(said).collect();
        *next += BATCH;
        let began = Instant::now();
        black_box(store.append(drafts));
        spent += began.elapsed();
    }
    spent
}

fn following(c: &mut Criterion) {
    let mut group = c.benchmark_group("search/durable, 1000 a batch");
    group.throughput(Throughput::Elements(BATCH)).sample_size(20).measurement_time(Duration::from_secs(8));
    for is_indexed in [false, true] {
        let name = if is_indexed { "with an index that follows" } else { "without an index" };
        group.bench_function(BenchmarkId::new("disk", name), |b| {
            let directory = TempDir::new().expect("a directory");
            let mut store = Store::disk(directory.path()).expect("a store");
            let (runtime, reader, _) = store.parts();
            let (searching, follower) = search::open(Arc::clone(reader), Some(directory.path()));
            let handle = runtime.handle().clone();
            let following = is_indexed.then(|| std::thread::spawn(move || handle.block_on(follower.run())));
            let mut next = 1;
            b.iter_custom(|count| time(&mut store, &mut next, count));
            searching.close();
            following.into_iter().for_each(|thread| thread.join().expect("it ends"));
        });
    }
    group.finish();
}

criterion_group!(benches, finding, following);
criterion_main!(benches);
