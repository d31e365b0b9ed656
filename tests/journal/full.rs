//! The full disk, on a file system of 16 MiB that only this test has.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use linechat::event::{Event, Guard, Outcome};
use linechat::journal::Span;
use linechat::names::{Seq, UserId};

use crate::store::{Store, acked, channel, draft, guarded, inbox, keyed, said, text};

/// How long anything may take before it counts as never.
const PATIENCE: Duration = Duration::from_secs(30);

/// A small file system, gone when it is dropped.
struct Small(tempfile::TempDir);

impl Small {
    /// `None`, said loudly, where mounting is not permitted.
    fn mount() -> Option<Self> {
        let directory = tempfile::TempDir::with_prefix("linechat-full-").expect("a directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "linechat-test"])
            .arg(directory.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if mounted {
            return Some(Self(directory));
        }
        assert!(std::env::var_os("CI").is_none(), "the test of the full disk must be permitted to mount a tmpfs");
        eprintln!("\n*** SKIPPED: the full disk. Mounting a tmpfs takes root; try: sudo -E cargo test --test journal full\n");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

/// Says things until one is refused; returns the texts that are stored.
fn say_until_full(store: &mut Store) -> Vec<String> {
    let mut stored = Vec::new();
    for number in 0..100_000 {
        let texts: Vec<_> = (0..20).map(|part| format!("{number} {part} {}", "x".repeat(1000))).collect();
        let outcomes = store.append(texts.iter().map(|text| said(inbox(7), 2, text)).collect());
        let refused = outcomes.iter().filter(|&outcome| *outcome == Outcome::StoreFull).count();
        assert!(refused == 0 || refused == outcomes.len(), "an append is stored whole or not at all: {refused}");
        if refused > 0 {
            return stored;
        }
        stored.extend(texts);
    }
    panic!("16 MiB are never full");
}

fn check_texts(store: &Store, expected: &[String]) {
    let page = store.read(inbox(7), Span::After(Seq(0)), usize::MAX >> 1);
    assert!(page.entries.iter().map(text).eq(expected), "{} read, {} stored", page.entries.len(), expected.len());
}

fn say_until_stored(store: &mut Store, what: &str) -> Duration {
    let began = Instant::now();
    while store.one(said(inbox(7), 2, what)) == Outcome::StoreFull {
        assert!(began.elapsed() < PATIENCE, "never taken again");
        std::thread::sleep(Duration::from_millis(20));
    }
    began.elapsed()
}

#[test]
fn a_full_disk_refuses_messages_takes_marks_and_recovers_by_itself() {
    let Some(disk) = Small::mount() else { return };
    let data = disk.path().join("data");
    let ballast = disk.path().join("somebody else's");
    fs::write(&ballast, vec![0; 4 << 20]).expect("there is room");
    let mut store = Store::disk(&data).expect("the store opens");
    let first = store.commit(keyed(inbox(7), 2, "key", "the first"));
    let mut stored = vec!["the first".to_owned()];
    for round in 0..3 {
        stored.extend(say_until_full(&mut store));
        refuses_all_but_marks(&mut store, &mut stored);
        assert!(
            matches!(store.one(keyed(inbox(7), 2, "key", "the first")), Outcome::Duplicate { seq, .. } if seq == first.seq)
        );
        let larger = (4 << 20) - (round + 1) * (1 << 20);
        fs::File::options().write(true).open(&ballast).and_then(|file| file.set_len(larger)).expect("it can be made smaller");
        let after = format!("after there was room {round}");
        say_until_stored(&mut store, &after);
        stored.push(after);
        check_texts(&store, &stored);
    }
    stored.extend(say_until_full(&mut store));
    store.close();
    // The next start finds the disk as full as it was left, and reads.
    let mut store = Store::disk(&data).expect("a full disk is no reason not to start");
    check_texts(&store, &stored);
    fs::remove_file(&ballast).expect("it can be removed");
    say_until_stored(&mut store, "the last");
    stored.push("the last".into());
    check_texts(&store, &stored);
}

/// Marks go on, many more than the disk had been filled for; whatever is no mark is refused for as long as the disk is full.
fn refuses_all_but_marks(store: &mut Store, stored: &mut Vec<String>) {
    let mut refusals = 0;
    for number in 0..300 {
        let unread = store.read(inbox(7), Span::Unread, 1);
        let next = unread.entries.first().expect("there is more in it than is read here").seq;
        let who = crate::store::user(100_000 + number);
        let registered = Event::Registered { who, password: "$phc".into() };
        let outcomes = store.append(vec![
            said(channel(1), 2, "not now"),
            acked(7, next.0),
            guarded(draft(None, registered), Guard::Vacant),
            draft(None, Event::Ids { below: UserId(1 << 20) }),
            acked(7, next.0),
        ]);
        assert!(matches!(outcomes[1], Outcome::Committed(_)), "{:?}", outcomes[1]);
        assert_eq!(outcomes[4], Outcome::Unmoved(next));
        assert_eq!(store.read(inbox(7), Span::Unread, 0).remaining, unread.remaining);
        if [0, 2, 3].iter().all(|&at| outcomes[at] == Outcome::StoreFull) {
            refusals += 1;
        } else {
            // Tidying the store has made a little room, and the journal has noticed.
            stored.extend(say_until_full(store));
        }
    }
    assert!(refusals > 200, "{refusals}");
    check_texts(store, stored);
}
