//! Damaged stores: each damage is a line, nothing damaged is restored or exported unasked, and what is sound can be kept.

use std::fs;
use std::path::Path;

use linechat::care;
use linechat::names::Seq;
use linechat::store::Start;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::store::{Store, acked, channel, created, ids, inbox, keyed, registered, said, shared, text as said_text};
use crate::support::server::data_dir;
use crate::{done, files, refused, run, text};

/// A closed store: two accounts, a channel and an inbox with twenty messages each, of which the inbox's owner has read five.
fn closed() -> TempDir {
    let place = data_dir();
    let mut store = Store::disk(place.path()).expect("the store opens");
    store.commit(ids(5000));
    store.append(vec![registered(7), registered(8), created("rust", 7)]);
    let rust = channel(4);
    store.append((0..20).map(|number| said(rust, 7, &format!("a{number}"))).collect());
    store.append((0..20).map(|number| keyed(inbox(7), 8, &format!("k{number}"), &format!("b{number}"))).collect());
    store.commit(acked(7, 29));
    store.append(vec![shared(inbox(7), 8, Some(9), "c0"), shared(inbox(7), 8, Some(9), "c1")]);
    store.close();
    place
}

/// Behind the server's back.
fn damage(directory: &Path, how: &str) {
    let file = Connection::open(directory.join("journal.db")).expect("it opens");
    file.execute_batch(how).expect("it can be damaged");
    assert!(file.changes() > 0, "{how}");
}

/// What is done, and in which words each line of the check begins.
const DAMAGES: [(&str, &[&str]); 16] = [
    ("UPDATE entries SET event = replace(event, 'a5', 'a6') WHERE seq = 10", &["the sum of entry 10 is wrong: whoever reads"]),
    (
        "UPDATE entries SET event = 'xyz' WHERE seq IN (10, 30)",
        &["the sum of entry 10 is wrong", "the sum of entry 30 is wrong"],
    ),
    ("UPDATE entries SET prev = 3 WHERE seq = 24", &["the sum of entry 24 is wrong"]),
    ("DELETE FROM entries WHERE seq = 10", &["entry 10, which comes before entry 11, is missing: whoever reads there"]),
    ("DELETE FROM entries WHERE seq = 24", &["the channel of entry 4 should have 20 entries up to 24, and has 19 up to 23: "]),
    ("DELETE FROM entries WHERE seq = 2", &["entry 2, with which a/7 of the state begins, is not there or damaged: no server"]),
    (
        "UPDATE entries SET event = replace(event, 'u8', 'u9') WHERE seq = 3",
        &[
            "the sum of entry 3 is wrong",
            "entry 3, with which a/8 of the state begins, is not there or damaged: no server starts",
        ],
    ),
    ("UPDATE state SET seq = 3 WHERE key = 'a/7'", &["entry 3, with which a/7 of the state begins, is not there or damaged"]),
    (
        "UPDATE heads SET said_n = said_n + 1 WHERE room = 9",
        &["the sum of row 9 of the table heads is wrong: no server starts"],
    ),
    ("DELETE FROM heads WHERE room = 9", &["nothing leads to the entries of the channel of entry 4: whoever reads"]),
    ("UPDATE keys SET seq = 99 WHERE key = 'k3'", &["the sum of a key of user 8 is wrong: "]),
    ("UPDATE key_counts SET count = 9 WHERE sender = 8", &["the sum of row 8 of the table key_counts is wrong: "]),
    (
        "UPDATE shares SET count = 9 WHERE sharer = 19",
        &["the sum of a share of the inbox of 7 is wrong: what is counted by it"],
    ),
    ("INSERT INTO floors VALUES (9, 3, 5, 1)", &["the sum of row 9 of the table floors is wrong: "]),
    ("INSERT INTO waste VALUES (9, 3, 5, 1)", &["the sum of row 9 of the table waste is wrong: "]),
    ("INSERT OR REPLACE INTO newest VALUES (1, 3, 5)", &["the sum of row 1 of the table newest is wrong: "]),
];

#[test]
fn each_damage_is_a_line() {
    let sound = closed();
    assert_eq!(run(&["check", "--data-dir", text(sound.path())]).0, Some(0));
    for (how, expected) in DAMAGES {
        let place = closed();
        damage(place.path(), how);
        let (code, said) = run(&["check", "--data-dir", text(place.path())]);
        let lines: Vec<_> = said.lines().collect();
        assert_eq!((code, lines.len()), (Some(1), expected.len() + 1), "{how}: {said}");
        assert!(expected.iter().zip(&lines).all(|(start, line)| line.starts_with(start)), "{how}: {said}");
        let last = lines[lines.len() - 1];
        let todo = format!(" is damaged: {} above, ", if expected.len() == 1 { "1 line" } else { "2 lines" });
        assert!(last.contains(&todo) && last.contains("'linechat restore FILE --force'"), "{how}: {last}");
    }
}

/// Sound by itself, an entry may still be none of this journal.
#[test]
fn an_entry_that_is_linked_otherwise_is_found() {
    let (place, other) = (closed(), data_dir());
    let mut store = Store::disk(other.path()).expect("the store opens");
    store.commit(ids(5000));
    store.append(vec![registered(7), registered(8), created("rust", 7), said(inbox(7), 8, "elsewhere")]);
    store.append((1..20).map(|number| said(channel(4), 7, &format!("a{number}"))).collect());
    store.close();
    let attached = format!("ATTACH '{}' AS other; ", other.path().join("journal.db").display());
    damage(place.path(), &(attached + "REPLACE INTO entries SELECT * FROM other.entries WHERE seq = 10"));
    let (code, said) = run(&["check", "--data-dir", text(place.path())]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("entry 10 does not follow entry 9, as it says: whoever reads there is shown GAP\n"), "{said}");
    assert!(said.contains("\nentry 11 does not follow entry 10, as it says: "), "{said}");
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let (place, other) = (closed(), closed());
    damage(place.path(), DAMAGES[0].0);
    let before = fs::read(other.path().join("journal.db")).expect("it is there");
    let backup = other.path().join("backup");
    // It is made all the same: it may be the last that is left.
    done(&["backup", text(&backup), "--data-dir", text(place.path())]);
    let said = refused(&["restore", text(&backup), "--force", "--data-dir", text(other.path())]);
    assert!(said.contains("is damaged (once: the sum of entry 10 is wrong: "), "{said}");
    assert!(said.contains("'linechat export --skip-damaged --jsonl FILE --from "), "{said}");
    assert_eq!(fs::read(other.path().join("journal.db")).expect("it is there"), before);
    assert!(!files(other.path()).contains(&"restoring".to_owned()));
}

/// Whatever of it is damaged, the rest makes a sound store with which a server starts.
#[test]
fn what_is_sound_can_be_kept() {
    for (how, harms) in DAMAGES {
        let place = closed();
        damage(place.path(), how);
        let (lines, to) = (place.path().join("lines"), place.path().join("kept"));
        let export = ["export", "--jsonl", text(&lines), "--data-dir", text(place.path())];
        let is_left_out = harms.iter().any(|harm| harm.starts_with("the sum of ") && !harm.contains("share"));
        if is_left_out {
            let said = refused(&export);
            assert!(
                said.contains("; nothing was exported: restore a backup, or give --skip-damaged ") && !lines.exists(),
                "{how}: {said}"
            );
        }
        let (code, said) = run(&[&export[..], &["--skip-damaged"]].concat());
        assert_eq!((code, said.contains("left out")), (Some(0), is_left_out), "{how}: {said}");
        done(&["import", text(&lines), "--data-dir", text(&to)]);
        assert!(done(&["check", "--data-dir", text(&to)]).contains(" is sound: "), "{how}");
        let store = Store::disk(&to).expect("it opens");
        let texts = [store.texts(channel(4)), store.texts(inbox(7))].concat();
        assert!(texts.len() >= 40 && texts.is_sorted_by(|one, two| one[..1] <= two[..1]), "{how}: {texts:?}");
        let unread = store.read(inbox(7), Start::Unread, 100);
        assert!(unread.entries.len() >= 16, "{how}");
        assert!(unread.entries.iter().all(|entry| said_text(entry) != "b3") || how.contains("heads"), "{how}");
        assert_eq!(unread.gap, None, "{how}");
        assert!(store.read(channel(4), Start::After(Seq(0)), 100).gap.is_none(), "{how}");
    }
}

/// Wherever bytes of the file are spoiled: it is said, or it is nothing of what the store holds; and no command falls over it.
#[test]
fn spoiled_bytes_are_found_or_harmless() {
    let place = closed();
    let journal = place.path().join("journal.db");
    let whole = fs::read(&journal).expect("it is there");
    let facts = |directory: &Path| {
        let lines = directory.join("lines");
        care::export(directory, care::To::File(&lines, true), false).map(|_| fs::read(&lines).expect("it is there"))
    };
    let expected = facts(place.path()).expect("it is sound");
    let (mut found, mut harmless) = (0, 0);
    for at in (0..whole.len()).step_by(397) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&journal, &bytes).expect("it can be written");
        let mut lines = Vec::new();
        match care::check(place.path(), &mut lines) {
            Ok(examined) if examined.harms == 0 => {
                assert!(facts(place.path()).is_ok_and(|facts| facts == expected), "byte {at} is spoiled, and that is not said");
                harmless += 1;
            }
            Ok(examined) => {
                assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count() as u64, examined.harms);
                let _ = facts(place.path());
                found += 1;
            }
            Err(_) => found += 1,
        }
    }
    assert!(found > 10 && harmless > 10, "{found} were found, {harmless} were harmless");
}
