//! What is exported and imported makes the same store: of everything that its replica could ask it.

use std::collections::BTreeSet;
use std::path::Path;

use linechat::care::{self, CareError, To};
use linechat::event::{Event, RoomId, Time};
use linechat::names::Seq;
use linechat::state::archive::Sharer;
use linechat::store::{Keep, Start, What};
use tempfile::TempDir;

use crate::store::{Draft, Store, acked, channel, closed, created, draft, ids, inbox, joined, keyed, left, owner, registered};
use crate::store::{said, shared, topic, user};
use crate::support::server::data_dir;

/// Accounts and channels, each this many.
const MANY: u64 = 12;

/// A number that looks random and is the same for the same seed (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Something happens in one of the rooms; what was said is among `said_in`.
fn something(chance: &mut Chance, rooms: &[RoomId], said_in: &[(RoomId, Seq)]) -> Draft {
    let (room, who) = (rooms[chance.below(rooms.len() as u64) as usize], 1 + chance.below(MANY));
    let (owner_of, text) = (1 + chance.below(MANY), "x".repeat(1 + chance.below(40) as usize));
    let some = said_in.get(chance.below(said_in.len().max(1) as u64) as usize).copied();
    match chance.below(14) {
        0 => topic(room, &text),
        1 => joined(room, who, true, who.is_multiple_of(2)),
        2 => left(room, who, true, who.is_multiple_of(3)),
        3 => owner(room, who, true),
        4 => shared(inbox(owner_of), who, (who < 4).then_some(7), &text),
        5 => keyed(inbox(owner_of), who, &format!("k{}", chance.below(300)), &text),
        6 => keyed(room, who, &format!("k{}", chance.below(300)), &text),
        7 => acked(owner_of, some.map_or(0, |(_, seq)| seq.0)),
        8 => match some {
            Some((room, seq)) => draft(Some(room), Event::Retracted { who: user(who), seq, shown: who > 3, bytes: None }),
            None => said(room, who, &text),
        },
        9 => draft(Some(inbox(owner_of)), Event::Unheard { from: user(who), key: None, text: text.into() }),
        10 => draft(None, Event::Seen { who: user(who).id, lasts: true }),
        11 => said(inbox(owner_of), who, &text),
        _ => said(room, who, &text),
    }
}

/// A store in which much has happened; with `keep`, of which only that is left.
fn lived_in(directory: &Path, seed: u64, keep: Keep) {
    let mut store = Store::disk(directory).expect("the store opens");
    let mut chance = Chance(seed);
    store.commit(ids(5000));
    store.append((1..=MANY).map(registered).collect());
    let mut rooms: Vec<_> =
        (0..MANY).map(|number| store.commit(created(&format!("room{number}"), 1)).room.expect("a room")).collect();
    let mut messages = Vec::new();
    for round in 0..60 {
        let drafts = (0..40).map(|_| something(&mut chance, &rooms, &messages)).collect();
        let entries = store.append(drafts);
        messages.extend(entries.iter().filter(|it| it.event.is_message()).map(|it| (it.room.expect("a room"), it.seq)));
        // Some numbers are of what is not stored.
        store.skip();
        if round % 20 == 19
            && let Some(RoomId::Channel(ended)) = rooms.pop()
        {
            store.commit(closed(ended.0));
        }
        if round % 9 == 8 {
            store.driven.keep_only(keep);
            while store.driven.trim(Time(1_700_000_000_000)).expect("the store is whole") {}
        }
    }
    store.close();
}

/// The same store in another directory, by way of a file.
fn imported(directory: &Path) -> TempDir {
    let place = data_dir();
    let (lines, to) = (place.path().join("lines"), place.path().join("data"));
    let exported = care::export(directory, To::File(&lines, false), false).expect("it is sound");
    let imported = care::import(Some(&lines), &to).expect("it is taken");
    assert_eq!(exported.entries, imported.entries);
    place
}

fn sound(directory: &Path) {
    let mut harms = Vec::new();
    let examined = care::check(directory, &mut harms).expect("it can be read");
    assert_eq!((examined.harms, String::from_utf8_lossy(&harms)), (0, "".into()));
}

/// A store that is open and has deleted what has ended.
fn open(directory: &Path) -> Store {
    let mut store = Store::disk(directory).expect("the store opens");
    store.tidy();
    store
}

#[test]
fn it_has_the_same_digest() {
    for seed in 1..4 {
        let before = data_dir();
        lived_in(before.path(), seed, Keep::default());
        sound(before.path());
        let after = imported(before.path());
        sound(&after.path().join("data"));
        let (before, after) = (open(before.path()), open(&after.path().join("data")));
        assert_eq!(before.driven.digest(), after.driven.digest(), "seed {seed}");
        assert_eq!(before.state(), after.state());
        assert_eq!(before.driven.last(), after.driven.last());
    }
}

/// Whether the same is read of a room, from all over it.
fn reads_alike(before: &Store, after: &Store, room: RoomId) {
    let last = before.driven.last().expect("the store is whole").0;
    let starts = (0..=last + 1).step_by(397).map(Seq).flat_map(|seq| [Start::After(seq), Start::Before(seq)]);
    for start in starts.chain([Start::Unread]) {
        for (count, what) in [(3, What::Messages), (3, What::Everything), (200, What::Messages), (200, What::Everything)] {
            let [before, after] = [before, after].map(|store| store.try_read(room, start, count, what));
            assert_eq!(before, after, "{room:?}: {start:?}, {count}, {what:?}");
        }
    }
}

/// The oldest were given up: readers are told the same gaps, and nobody who has left is back.
#[test]
fn so_has_a_store_of_which_the_oldest_were_given_up() {
    for (seed, keep) in [(7, 20), (8, 3)] {
        let before = data_dir();
        lived_in(before.path(), seed, Keep { age: None, count: Some(keep) });
        sound(before.path());
        let after = imported(before.path());
        sound(&after.path().join("data"));
        let (mut before, mut after) = (open(before.path()), open(&after.path().join("data")));
        for _ in 0..2 {
            assert_eq!(before.state(), after.state(), "seed {seed}");
            let channels = before.state().iter().filter_map(|entry| entry.room).filter(|room| room.channel().is_some());
            let rooms: BTreeSet<_> = channels.chain((1..=MANY).map(inbox)).collect();
            rooms.into_iter().for_each(|room| reads_alike(&before, &after, room));
            for id in 1..=MANY {
                assert_eq!(before.inbox(id), after.inbox(id), "seed {seed}: {id}");
                for key in (0..300).step_by(7).map(|key| format!("k{key}")) {
                    assert_eq!(before.used(id, &key), after.used(id, &key), "seed {seed}: {id} {key}");
                }
                for sharer in (1..=MANY).map(|id| Sharer::User(user(id).id)).chain([Sharer::Near(7)]) {
                    assert_eq!(before.share(id, sharer), after.share(id, sharer), "seed {seed}: {id} {sharer:?}");
                }
            }
            // They go on alike.
            for store in [&mut before, &mut after] {
                store.append((1..=MANY).flat_map(|id| [said(inbox(id), 2, "more"), said(channel(14), 2, "more")]).collect());
            }
        }
    }
}

/// What was cut off, changed or put in another order makes no journal.
#[test]
fn what_is_not_whole_makes_no_journal() {
    let before = data_dir();
    lived_in(before.path(), 3, Keep::default());
    let lines = before.path().join("lines");
    care::export(before.path(), To::File(&lines, false), false).expect("it is sound");
    let text = std::fs::read_to_string(&lines).expect("it is text");
    let all: Vec<_> = text.lines().collect();
    let place = data_dir();
    let refused = |lines: &[&str]| {
        let (file, to) = (place.path().join("changed"), place.path().join("data"));
        std::fs::write(&file, lines.join("\n")).expect("it can be written");
        let error = care::import(Some(&file), &to).expect_err("it is refused");
        assert_eq!(crate::files(&to), ["lock"], "nothing is left of it");
        match error {
            CareError::Line { number, why } => (number, why),
            other => panic!("{other}"),
        }
    };
    let count = all.len();
    assert_eq!(refused(&[]), (1, "the last lines are missing".to_owned()));
    assert_eq!(refused(&all[..count - 1]), (count as u64, "the last lines are missing".to_owned()));
    let entries = all.iter().filter(|line| line.starts_with("{\"entry\":")).count();
    let missing = [&all[..40], &all[41..]].concat();
    assert_eq!(refused(&missing), (count as u64 - 1, format!("{} entries came, of {entries}", entries - 1)));
    assert_eq!(refused(&all[1..]), (1, "the first line is not \"begin\"".to_owned()));
    assert_eq!(refused(&[&all[..1], &all[..]].concat()), (2, "\"begin\" is the first line and no other".to_owned()));
    assert_eq!(refused(&[&all[..], &all[1..2]].concat()), (count as u64 + 1, "nothing follows the line \"end\"".to_owned()));
    let swapped = [&all[..30], &[all[31], all[30]], &all[32..]].concat();
    assert_eq!(refused(&swapped).0, 32);
    let half = &all[30][..all[30].len() / 2];
    assert_eq!(refused(&[&all[..30], &[half], &all[31..]].concat()).0, 31);
    let newer = all[0].replace("\"form\":1", "\"form\":2").replace(env!("CARGO_PKG_VERSION"), "0.9.0");
    let why = "linechat 0.9.0 wrote it, in a newer form; import it with that one".to_owned();
    assert_eq!(refused(&[&[&*newer], &all[1..]].concat()), (1, why));
}
