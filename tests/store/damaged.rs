//! Damaged entries: each is named, the sound ones around them are shown, and writing goes on.

use linechat::event::{Event, RoomId};
use linechat::names::{Seq, UserId};
use linechat::state::archive::Inbox;
use linechat::store::{Page, Query, Start, What};
use rusqlite::Connection;

use crate::Place;
use crate::reading::{Model, fill, room};
use crate::store::{Store, acked, channel, closed, created, inbox, registered, said, text, topic};

crate::on_every_disk! {
    every_page_shows_what_is_sound
    writing_goes_on_after_a_damaged_message
    every_message_is_found_by_its_seq_whichever_is_damaged
    beyond_damage_that_cannot_be_mended_there_is_a_gap
    damaged_waste_is_deleted_too
}

/// How a row can be damaged behind the server's back.
const DAMAGES: [&str; 6] = [
    "UPDATE entries SET event = replace(event, 'a', 'b') WHERE seq = ?",
    "UPDATE entries SET event = 'xyz' WHERE seq = ?",
    "UPDATE entries SET prev = prev + 1, said = said + 1 WHERE seq = ?",
    "UPDATE entries SET n = n + 5, said_n = said_n - 1 WHERE seq = ?",
    "UPDATE entries SET skip = 999999, sum = 3 WHERE seq = ?",
    "DELETE FROM entries WHERE seq = ?",
];

fn damage(place: &Place, how: &str, seqs: &[Seq]) {
    let store = Connection::open(place.directory().join("journal.db")).expect("it opens");
    for seq in seqs {
        assert_eq!(store.execute(how, [seq.0.cast_signed()]).expect("it can be damaged"), 1);
    }
}

/// A page of a whole store as it must be read when these are damaged.
fn spoiled(mut page: Page, seqs: &[Seq]) -> Page {
    let (damaged, sound): (Vec<_>, Vec<_>) = page.entries.drain(..).partition(|entry| seqs.contains(&entry.seq));
    Page { entries: sound, damaged: damaged.iter().map(|entry| entry.seq).collect(), ..page }
}

/// Which message it is.
fn at(seqs: &[Seq], seq: Seq) -> usize {
    seqs.iter().position(|it| *it == seq).expect("one of these messages")
}

fn unread_count(store: &mut Store) -> u64 {
    let Inbox { count, read_count, .. } = store.inbox(7);
    count - read_count
}

/// Every page, from every seq and in both directions, names exactly the damaged ones and shows all others.
fn every_page_shows_what_is_sound(place: &Place) {
    let mut store = place.open();
    let mut model = Model::default();
    let kinds = [0, 100, 150, 120, 240];
    let steps: Vec<_> = (0..120u64).map(|n| (n % 3, kinds[n as usize % 5], 0)).collect();
    fill(&mut store, &mut model, &steps);
    store.close();
    let file = place.directory().join("journal.db");
    let whole = std::fs::read(&file).expect("it is there");
    for how in DAMAGES {
        std::fs::write(&file, &whole).expect("it can be written");
        // Messages: the first, one amid the others, and the newest; and a topic that a later one has replaced.
        let (all, said) = (model.all(room(0), What::Everything), model.all(room(0), What::Messages));
        let topic = all.iter().find(|entry| matches!(entry.event, Event::Topic { .. })).expect("a topic");
        let mut seqs = [said[0].seq, said[said.len() / 2].seq, said[said.len() - 1].seq, topic.seq];
        seqs.sort_unstable();
        damage(place, how, &seqs);
        let store = place.open();
        for what in [What::Messages, What::Everything] {
            for seq in (0..all[all.len() - 1].seq.0 + 2).map(Seq) {
                for (start, count) in
                    [Start::After(seq), Start::Before(seq)].into_iter().flat_map(|start| [(start, 3), (start, 100)])
                {
                    let expected = spoiled(model.page(Query { room: room(0), start, count, what }), &seqs);
                    assert_eq!(
                        store.try_read(room(0), start, count, what),
                        Ok(expected),
                        "{how}: {start:?}, {count}, {what:?}"
                    );
                }
            }
        }
        store.close();
    }
}

/// The newest message of an inbox is where the next one is linked to.
fn writing_goes_on_after_a_damaged_message(place: &Place) {
    for how in DAMAGES {
        let place = place.another();
        let mut store = place.open();
        store.commit(registered(7));
        let seqs: Vec<_> = (0..10).map(|number| store.commit(said(inbox(7), 2, &format!("a{number}"))).seq).collect();
        store.commit(acked(7, seqs[2].0));
        store.close();
        damage(&place, how, &[seqs[5], seqs[9]]);
        let mut store = place.open();
        assert_eq!(unread_count(&mut store), 7, "{how}");
        let next: Vec<_> = (10..14).map(|number| store.commit(said(inbox(7), 2, &format!("a{number}"))).seq).collect();
        let unread = store.read(inbox(7), Start::Unread, 100);
        let texts: Vec<_> = unread.entries.iter().map(|entry| text(entry).to_owned()).collect();
        assert_eq!(texts, ["a3", "a4", "a6", "a7", "a8", "a10", "a11", "a12", "a13"], "{how}");
        assert_eq!((unread.damaged, unread.remaining), (vec![seqs[5], seqs[9]], 0), "{how}");
        // A mark may lie on a damaged one, and passes over others.
        assert_eq!(store.ack(7, seqs[9].0), Some(seqs[9]), "{how}");
        assert_eq!(unread_count(&mut store), 4, "{how}");
        assert_eq!(store.ack(7, next[0].0), Some(next[0]), "{how}");
        assert_eq!(store.read(inbox(7), Start::Unread, 100).entries.len(), 3, "{how}");
    }
}

/// Whatever is looked up for a mark, the way to it may lead over a damaged message.
fn every_message_is_found_by_its_seq_whichever_is_damaged(place: &Place) {
    for how in DAMAGES {
        let place = place.another();
        let mut store = place.open();
        store.commit(registered(7));
        let seqs: Vec<_> = (0..40).map(|number| store.commit(said(inbox(7), 2, &format!("a{number}"))).seq).collect();
        store.close();
        let damaged: Vec<_> = seqs.iter().skip(3).step_by(4).take(9).copied().collect();
        damage(&place, how, &damaged);
        let mut store = place.open();
        for seq in &seqs {
            assert_eq!(store.driven.newest_until(UserId(7), *seq), Ok(*seq), "{how}");
        }
        // Nothing of this batch is committed yet.
        store.try_put(said(inbox(7), 2, "a40")).expect("it is taken");
        for seq in seqs.iter().rev() {
            assert_eq!(store.driven.newest_until(UserId(7), *seq), Ok(*seq), "{how}");
        }
    }
}

/// Where several in a row are lost, nothing tells where the ones before them are: readers are shown all that came later, and a
/// gap for the rest.
fn beyond_damage_that_cannot_be_mended_there_is_a_gap(place: &Place) {
    for how in ["DELETE FROM entries WHERE seq = ?", "UPDATE entries SET room = room + 100, prev = 0, n = 1 WHERE seq = ?"] {
        let place = place.another();
        let mut store = place.open();
        store.commit(registered(7));
        let seqs: Vec<_> = (0..40).map(|number| store.commit(said(inbox(7), 2, &format!("a{number}"))).seq).collect();
        store.commit(acked(7, seqs[2].0));
        store.close();
        damage(&place, how, &seqs[10..14]);
        let mut store = place.open();
        let unread = store.read(inbox(7), Start::Unread, 100);
        let texts: Vec<_> = unread.entries.iter().map(text).collect();
        assert_eq!((texts.first(), texts.last()), (Some(&"a14"), Some(&"a39")), "{how}");
        assert_eq!((texts.len(), unread.remaining), (26, 0), "{how}");
        for start in seqs.iter().flat_map(|seq| [Start::After(*seq), Start::Before(Seq(seq.0 + 1))]) {
            for count in [1, 3, 100] {
                let page = store.try_read(inbox(7), start, count, What::Messages).expect("it can be read");
                assert!(page.count() <= count, "{how}: {start:?}: {page:?}");
                if let (Start::After(seq), Some((first, last))) = (start, page.gap) {
                    assert!(first.0 == seq.0 + 1 && first <= last, "{how}: {start:?}: {page:?}");
                    if page.count() == 0 {
                        assert_eq!(page.remaining, seqs.iter().filter(|seq| **seq > last).count() as u64, "{how}: {start:?}");
                    }
                }
                let sound = page.entries.iter().all(|entry| text(entry) == format!("a{}", at(&seqs, entry.seq)));
                assert!(sound, "{how}: {start:?}: {page:?}");
                assert!(page.count() > 0 || page.gap.is_some() || start == Start::After(seqs[39]), "{how}: {start:?}, {count}");
            }
        }
        // Who pages forward gets to the end, and misses nothing that can be found.
        let (mut seen, mut from) = (Vec::new(), seqs[2]);
        for _ in 0..40 {
            let page = store.try_read(inbox(7), Start::After(from), 3, What::Messages).expect("it can be read");
            seen.extend(page.entries.iter().map(|entry| at(&seqs, entry.seq)));
            from = page.last().unwrap_or(from);
        }
        assert!(seen.is_sorted_by(|one, two| one < two), "{how}: {seen:?}");
        assert!(seen.ends_with(&(14..40).collect::<Vec<_>>()), "{how}: {seen:?}");
        let next = store.commit(said(inbox(7), 2, "a40")).seq;
        assert_eq!(store.ack(7, next.0), Some(next), "{how}");
        assert_eq!(unread_count(&mut store), 0, "{how}");
    }
}

/// Damage in a closed channel keeps nothing else from being deleted.
fn damaged_waste_is_deleted_too(place: &Place) {
    for how in DAMAGES {
        let place = place.another();
        let mut store = place.open();
        let rust = store.commit(created("rust", 1)).room.expect("a room");
        let RoomId::Channel(id) = rust else { unreachable!("a channel") };
        let seqs: Vec<_> = (0..30).map(|number| store.commit(said(rust, 2, &format!("a{number}"))).seq).collect();
        store.commit(topic(rust, "a topic"));
        store.commit(said(channel(1 << 30), 2, "elsewhere"));
        store.close();
        damage(&place, how, &[seqs[0], seqs[17], seqs[29]]);
        let mut store = place.open();
        store.commit(closed(id.0));
        store.tidy();
        assert_eq!(store.try_read(rust, Start::Before(Seq(1 << 40)), 100, What::Everything), Ok(Page::default()), "{how}");
        store.close();
        let file = Connection::open(place.directory().join("journal.db")).expect("it opens");
        let left: i64 = file.query_row("SELECT count(*) FROM entries", [], |row| row.get(0)).expect("it is read");
        assert_eq!(left, 1, "{how}: only what was said elsewhere is left");
    }
}
