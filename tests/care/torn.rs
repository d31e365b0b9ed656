//! Whole pages that are damaged or missing: what can still be read is kept, and how much is lost is said.

use std::fs;
use std::path::{Path, PathBuf};

use linechat::care::{self, To};
use tempfile::TempDir;

use crate::store::{Store, acked, created, ids, inbox, keyed, registered, said};
use crate::support::server::{Server, data_dir};
use crate::{done, files, refused, run, text};

/// How much of a file one fault spoils: more than a page, and not where pages begin.
const SPOILED: usize = 8192;

/// How many accounts there are, each with a channel, a letter that was read, and a key that was used.
const ACCOUNTS: u64 = 200;

/// A closed store of which the larger tables have several pages. How many entries it has.
fn closed() -> (TempDir, u64) {
    let place = data_dir();
    let mut store = Store::disk(place.path()).expect("the store opens");
    store.commit(ids(5000));
    for id in (0..ACCOUNTS).map(|number| 7 + 10 * number) {
        let first = store.append(vec![registered(id), created(&format!("room{id}"), id)]);
        let room = linechat::event::RoomId::Channel(first[1].seq);
        let letter = store.append(vec![
            said(room, id, &format!("hello to all of {id:04}")),
            keyed(inbox(id), id + 1, &format!("a key of some length for {id}"), "a letter"),
        ]);
        store.commit(acked(id, letter[1].seq.0));
    }
    store.close();
    done(&["compact", "--data-dir", text(place.path())]);
    let examined = care::check(place.path(), &mut Vec::new()).expect("it can be checked");
    (place, examined.entries)
}

/// The journal with these bytes in it.
fn spoil(whole: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    // Nothing that looks like a page, or like a row.
    for (number, byte) in bytes[at..(at + SPOILED).min(whole.len())].iter_mut().enumerate() {
        *byte = (number * 167 + at) as u8 ^ 0x5a;
    }
    bytes
}

/// What is kept of it: how many entries, and how many are said to be lost.
fn kept(directory: &Path, number: usize) -> Option<(u64, u64)> {
    let (lines, to) = (directory.join("lines"), directory.join(number.to_string()));
    let exported = care::export(directory, To::File(&lines, true), true).ok()?;
    let imported = care::import(Some(&lines), &to).expect("what is kept can be imported");
    assert_eq!(imported.entries, exported.entries);
    let mut said = Vec::new();
    let examined = care::check(&to, &mut said).expect("it can be checked");
    assert_eq!((examined.harms, examined.entries), (0, imported.entries), "{}", String::from_utf8_lossy(&said));
    Some((exported.entries, exported.left_out.map_or(0, |left_out| left_out.entries)))
}

#[test]
fn wherever_pages_are_spoiled_the_rest_is_kept() {
    let (place, all) = closed();
    let journal = place.path().join("journal.db");
    let whole = fs::read(&journal).expect("it is there");
    let mut lost = 0;
    for at in (4096..whole.len()).step_by(2 * SPOILED + 700) {
        fs::write(&journal, spoil(&whole, at)).expect("it can be written");
        let mut lines = Vec::new();
        let examined = care::check(place.path(), &mut lines).expect("it can be checked");
        assert!(examined.harms > 0, "{at}");
        let (entries, left_out) = kept(place.path(), at).unwrap_or_else(|| panic!("nothing is kept at {at}"));
        // A seq that no entry has counts, too, since that cannot be known.
        assert!(entries <= all && entries + left_out >= all, "{at}: {entries} of {all}, {left_out} left out");
        lost += all - entries;
        let mut words: Vec<_> = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count, "{at}: {}", String::from_utf8_lossy(&lines));
    }
    assert!(lost > all / 4, "{lost}: one in two pages was spoiled");
}

/// What is behind a page that cannot be read is reached from the other end.
#[test]
fn of_each_table_only_a_page_is_lost() {
    let (place, all) = closed();
    let (journal, lines) = (place.path().join("journal.db"), place.path().join("lines"));
    let whole = fs::read(&journal).expect("it is there");
    care::export(place.path(), To::File(&lines, true), false).expect("it is sound");
    let facts = fs::read_to_string(&lines).expect("it is text");
    for (table, fact, all) in
        [("entries", "{\"entry\":", all), ("heads", "{\"inbox\":", ACCOUNTS), ("keys", "{\"key\":", ACCOUNTS)]
    {
        let file = rusqlite::Connection::open(&journal).expect("it opens");
        let sql = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path";
        let mut statement = file.prepare(sql).expect("SQLite knows its pages");
        let pages = statement.query_map([table], |row| row.get::<_, i64>(0)).expect("it has pages");
        let pages: Vec<_> = pages.map(|page| usize::try_from(page.expect("a number")).expect("it is small")).collect();
        drop(statement);
        drop(file);
        assert!(pages.len() >= 3, "{table}: {pages:?}");
        let (count, mut bytes) = (pages.len() as u64, whole.clone());
        let at = (pages[pages.len() / 2] - 1) * 4096;
        bytes[at..at + 4096].fill(0x5a);
        fs::write(&journal, bytes).expect("it can be written");
        let exported = care::export(place.path(), To::File(&lines, true), true).expect("the rest can be read");
        let told = fs::read_to_string(&lines).expect("it is text");
        let left = told.lines().filter(|line| line.starts_with(fact)).count() as u64;
        assert!(left < all, "{table}: {left} of {all}, with one of {count} pages lost");
        let mut of_table = facts.lines().filter(|line| line.starts_with(fact));
        for end in [of_table.next(), of_table.next_back()] {
            assert!(told.lines().any(|line| Some(line) == end), "{table}: {end:?}");
        }
        assert_eq!(exported.left_out.map(|left_out| left_out.places), Some(1), "{table}");
        fs::write(&journal, &whole).expect("it can be written");
    }
}

/// The operator is told what to do, and it is of use: a server starts with what is kept.
#[test]
fn what_is_advised_is_of_use() {
    let (place, all) = closed();
    let (journal, lines, to) = (place.path().join("journal.db"), place.path().join("lines"), place.path().join("to"));
    let whole = fs::read(&journal).expect("it is there");
    let row = b"hello to all of 1007";
    let at = whole.windows(row.len()).position(|bytes| bytes == row).expect("it was said") / 4096 * 4096;
    fs::write(&journal, spoil(&whole, at)).expect("it can be written");
    let (code, said) = run(&["check", "--data-dir", text(place.path())]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(" can be read: what was there is lost\n"), "{said}");
    assert!(said.contains("or keep what is sound: 'linechat export --skip-damaged --jsonl FILE', then 'linechat import FILE'"));
    let export = ["export", "--jsonl", text(&lines), "--data-dir", text(place.path())];
    let said = refused(&export);
    assert!(said.contains("the store is damaged: ") && said.matches("--skip-damaged").count() == 1, "{said}");
    let said = done(&[&export[..], &["--skip-damaged"]].concat());
    assert!(said.starts_with("left out: 1 damaged place with ") && said.contains(" entries at most, and readers "), "{said}");
    let said = done(&["import", text(&lines), "--data-dir", text(&to)]);
    let kept: u64 = said.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a number");
    assert!(kept < all && kept + 100 > all, "{kept} of {all}");
    // It is there, and its key, too.
    Server::start_in(&to, &[]).connect().err("JOIN #room7", "NOT_ALLOWED");
}

/// One half of a backup, as of a disk that was full.
fn half(place: &Path) -> PathBuf {
    let (backup, half) = (place.join("backup"), place.join("half"));
    done(&["backup", text(&backup), "--data-dir", text(place)]);
    let whole = fs::read(&backup).expect("it is there");
    fs::write(&half, &whole[..whole.len() / 2 / 4096 * 4096]).expect("a file");
    half
}

#[test]
fn half_of_a_backup_is_damaged_and_half_is_kept() {
    let (place, all) = closed();
    let (half, to) = (half(place.path()), place.path().join("to"));
    let from = format!("'linechat export --skip-damaged --jsonl FILE --from {}', then 'linechat import FILE'", half.display());
    let (code, said) = run(&["check", text(&half)]);
    assert!(code == Some(1) && said.contains("half is damaged: ") && said.contains(&from), "{said}");
    assert!(said.contains("; take another backup, or keep what is sound") && !said.contains("--force"), "{said}");
    let said = refused(&["restore", text(&half), "--data-dir", text(&to)]);
    assert!(said.contains("half is damaged (once: ") && said.contains(&from), "{said}");
    let lines = place.path().join("lines");
    done(&["export", "--skip-damaged", "--jsonl", text(&lines), "--from", text(&half)]);
    done(&["import", text(&lines), "--data-dir", text(&to)]);
    let said = done(&["check", "--data-dir", text(&to)]);
    let kept: u64 =
        said.split_once(" is sound: ").and_then(|(_, said)| said.split(' ').next()?.parse().ok()).expect("a number");
    assert!(kept > all / 5 && kept < all, "{kept} of {all}");
    // Of one page there is nothing to keep.
    fs::write(&half, &fs::read(&half).expect("it is there")[..4096]).expect("a file");
    let (code, said) = run(&["check", text(&half)]);
    assert!(code == Some(1) && said.contains("; take another backup\n"), "{said}");
    assert!(files(place.path()).contains(&"half".to_owned()));
}
