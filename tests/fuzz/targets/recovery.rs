//! A damaged store: it is refused, or what it says is what was stored. It never shows a wrong text, and never panics.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use linechat::names::Seq;
use linechat::store::{Start, What};
use tempfile::TempDir;

use crate::store::{Store, acked, created, inbox, keyed, registered, text};

const INBOXES: u64 = 2;
const MESSAGES: u64 = 40;

fn telling(id: u64, number: u64) -> String {
    format!("for {id}, number {number}, {}", "abcdefgh".repeat(number as usize % 9))
}

/// The file of a small store that was closed.
fn sound() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let directory = TempDir::with_prefix("linechat-fuzz-").expect("a directory");
        let mut store = Store::disk(directory.path()).expect("the store opens");
        (1..=INBOXES).chain([9]).for_each(|id| drop(store.commit(registered(id))));
        store.commit(created("rust", 1));
        for number in 0..MESSAGES {
            let id = 1 + number % INBOXES;
            store.commit(keyed(inbox(id), 9, &format!("key-{number}"), &telling(id, number)));
        }
        store.commit(acked(2, 7));
        store.close();
        fs::read(directory.path().join("journal.db")).expect("the store is there")
    })
}

fn look(directory: &Path) {
    let Ok(mut store) = Store::disk(directory) else { return };
    for id in 1..=INBOXES {
        for start in [Start::After(Seq(0)), Start::Unread, Start::Before(Seq(u64::MAX))] {
            let Ok(page) = store.try_read(inbox(id), start, 1000, What::Messages) else { continue };
            let texts: Vec<_> = page.entries.iter().map(|entry| text(entry).to_owned()).collect();
            let mut sent = (0..MESSAGES).filter(|number| 1 + number % INBOXES == id).map(|number| telling(id, number));
            assert!(
                texts.iter().all(|text| sent.any(|sent| sent == *text)),
                "texts that were not stored, or not so: {texts:?}"
            );
        }
    }
    for number in 0..MESSAGES {
        let _ = store.driven.used(linechat::names::UserId(9), &format!("key-{number}"), linechat::limits::KEYS_REMEMBERED);
    }
}

/// The first byte says whether the file is cut, and where; then each five bytes flip one: its place, and the bits.
pub fn check(data: &[u8]) {
    let mut bytes = sound().to_vec();
    let (first, flips) = data.split_first().unwrap_or((&0, &[]));
    for flip in flips.chunks_exact(5).take(16) {
        let at = u32::from_le_bytes(flip[..4].try_into().expect("four bytes")) as usize % bytes.len();
        bytes[at] ^= flip[4];
    }
    if first % 4 == 3 {
        bytes.truncate(bytes.len() * usize::from(*first) / 256);
    }
    let directory = TempDir::with_prefix("linechat-fuzz-").expect("a directory");
    fs::write(directory.path().join("journal.db"), bytes).expect("it can be written");
    look(directory.path());
}
