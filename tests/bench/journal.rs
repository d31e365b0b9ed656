//! What the store takes in a second: large batches, single messages, with keys and without, on the disk and in memory.

#[path = "../support/store.rs"]
mod store;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use linechat::event::Event;
use linechat::names::Seq;
use linechat::store::{Start, What};
use tempfile::TempDir;

use store::{Draft, Store, acked, channel, draft, inbox, said, user};

const ROOMS: u64 = 100;
const SENDERS: u64 = 50;
const BATCH: u64 = 1000;
/// 64 bytes, as everywhere where messages are counted.
const TEXT: &str = "A message of sixty-four bytes, which is what a person types, ok.";

/// A batch, made before the clock runs: a server's sessions make theirs on other cores.
fn batch(first: u64, keys: bool) -> Vec<Draft> {
    let one = |number: u64| {
        let key = keys.then(|| format!("{number:x}").into());
        let from = user(1 + number % SENDERS);
        draft(Some(channel(1 + number % ROOMS)), Event::Said { from, text: TEXT.into(), key, share: None })
    };
    (first..first + BATCH).map(one).collect()
}

/// How long `count` batches take, what they make untidy included.
fn time(store: &mut Store, next: &mut u64, count: u64, keys: bool) -> Duration {
    let mut spent = Duration::ZERO;
    for _ in 0..count {
        let drafts = batch(*next, keys);
        *next += BATCH;
        let began = Instant::now();
        if keys {
            // As a decision looks for each.
            for draft in &drafts {
                if let Event::Said { from, key: Some(key), .. } = &draft.event {
                    assert!(store.used(from.id.0, key).is_none());
                }
            }
        }
        black_box(store.append(drafts));
        store.driven.tidy().expect("the store is whole");
        spent += began.elapsed();
    }
    spent
}

fn batches(c: &mut Criterion) {
    let mut group = c.benchmark_group("store/1000 a batch, 100 rooms");
    group.throughput(Throughput::Elements(BATCH)).sample_size(20).measurement_time(Duration::from_secs(4));
    for keys in [false, true] {
        let name = if keys { "keys" } else { "plain" };
        group.bench_function(BenchmarkId::new("disk", name), |b| {
            let directory = TempDir::new().expect("a directory");
            let mut store = Store::disk(directory.path()).expect("a store");
            let mut next = 1;
            b.iter_custom(|count| time(&mut store, &mut next, count, keys));
        });
        group.bench_function(BenchmarkId::new("memory", name), |b| {
            let mut store = Store::memory(1 << 28);
            let mut next = 1;
            b.iter_custom(|count| time(&mut store, &mut next, count, keys));
        });
    }
    group.finish();
}

fn singles(c: &mut Criterion) {
    let mut group = c.benchmark_group("store/1 a commit");
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    let directory = TempDir::new().expect("a directory");
    let mut disk = Store::disk(directory.path()).expect("a store");
    group.bench_function("disk, a message", |b| b.iter(|| disk.commit(said(channel(1), 2, TEXT))));
    let mut next = disk.commit(said(inbox(1), 2, TEXT)).seq.0;
    group.bench_function("disk, a message and its mark", |b| {
        b.iter(|| {
            let entries = disk.append(vec![said(inbox(1), 2, TEXT), acked(1, next)]);
            next += 2;
            entries
        });
    });
    let mut memory = Store::memory(1 << 28);
    group.bench_function("memory, a message", |b| b.iter(|| memory.commit(said(channel(1), 2, TEXT))));
    group.finish();
}

fn pages(c: &mut Criterion) {
    let mut group = c.benchmark_group("store/a page of 32 from 100,000 messages");
    group.sample_size(50).measurement_time(Duration::from_secs(2));
    let directory = TempDir::new().expect("a directory");
    for (kind, mut store) in [("disk", Store::disk(directory.path()).expect("a store")), ("memory", Store::memory(1 << 28))] {
        time(&mut store, &mut 1, 100, false);
        for (name, what) in [("messages", What::Messages), ("everything", What::Everything)] {
            let mut seq = 1;
            group.bench_function(BenchmarkId::new(kind, name), |b| {
                b.iter(|| {
                    // A prime stride, so that no two pages lie together.
                    seq = (seq + 61_843) % 100_000;
                    store.try_read(channel(1), Start::After(Seq(seq)), 32, what)
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, batches, singles, pages);
criterion_main!(benches);
