//! What the operator does not want to keep for ever: the oldest go, readers are told, and the rest is as it was.

use linechat::event::{Event, Kept, RoomId, Setting, Time};
use linechat::names::Seq;
use linechat::store::{Keep, Page, Start, What};
use rusqlite::Connection;

use crate::Place;
use crate::store::{Draft, Store, acked, closed, created, draft, inbox, joined, registered, said, text, topic, user};

crate::on_every_disk! {
    of_a_channel_the_newest_messages_are_kept
    an_owner_may_keep_less_of_a_channel
    nothing_is_trimmed_unasked_or_within_a_batch
    what_is_too_old_is_deleted_even_if_it_is_everything
    what_was_not_read_is_kept_however_old_it_is
}

/// The time of an entry in these stores is its seq and this.
const BEGIN: i64 = 1_700_000_000_000;

fn trim(store: &mut Store, keep: Keep, now: u64) {
    store.driven.keep_only(keep);
    while store.driven.trim(Time(BEGIN + now.cast_signed())).expect("the store is whole") {}
}

fn texts(page: &Page) -> Vec<&str> {
    page.entries.iter().map(text).collect()
}

fn rows(place: &Place) -> i64 {
    let file = Connection::open(place.directory().join("journal.db")).expect("it opens");
    file.query_row("SELECT count(*) FROM entries", [], |row| row.get(0)).expect("it is read")
}

/// A channel with a topic, a member and 600 messages.
fn filled(store: &mut Store) -> (RoomId, Vec<Seq>) {
    let rust = store.commit(created("rust", 1)).room.expect("a room");
    store.commit(topic(rust, "the first"));
    store.append(vec![topic(rust, "lasting"), joined(rust, 7, true, true)]);
    let drafts = (0..600).map(|number| said(rust, 2, &number.to_string()));
    let seqs = store.append(drafts.collect()).iter().map(|entry| entry.seq).collect();
    (rust, seqs)
}

fn of_a_channel_the_newest_messages_are_kept(place: &Place) {
    let mut store = place.open();
    let (rust, seqs) = filled(&mut store);
    trim(&mut store, Keep { age: None, count: Some(5) }, 0);
    for _ in 0..2 {
        let page = store.read(rust, Start::Before(Seq(1 << 40)), 100);
        assert_eq!(texts(&page), ["595", "596", "597", "598", "599"]);
        assert_eq!((page.gap.map(|(_, last)| last), page.remaining), (Some(seqs[594]), 0));
        let page = store.read(rust, Start::After(seqs[10]), 100);
        assert_eq!((texts(&page).len(), page.gap), (5, Some((Seq(seqs[10].0 + 1), seqs[594]))));
        let page = store.try_read(rust, Start::After(Seq(0)), 2, What::Everything).expect("it is whole");
        assert_eq!((texts(&page), page.remaining), (vec!["595", "596"], 3));
        assert_eq!(store.read(rust, Start::After(seqs[594]), 100).gap, None, "who misses nothing is told nothing");
        // The state is loaded from entries that nobody is shown any more.
        store = place.reopen(store);
        assert_eq!(store.state().len(), 3, "the channel, its topic, and its member: {:?}", store.state());
    }
    // And on it goes.
    store.commit(said(rust, 2, "600"));
    trim(&mut store, Keep { age: None, count: Some(2) }, 0);
    assert_eq!(texts(&store.read(rust, Start::After(Seq(0)), 100)), ["599", "600"]);
    store.commit(closed(seqs[0].0 - 4));
    store.tidy();
    store.close();
    assert_eq!(rows(place), 0, "nothing of it is left when it is closed");
}

fn kept(channel: RoomId, keep: Kept) -> Draft {
    draft(Some(channel), Event::Set { who: user(1), setting: Setting::Keep(keep) })
}

fn an_owner_may_keep_less_of_a_channel(place: &Place) {
    let mut store = place.open();
    let (rust, _) = filled(&mut store);
    let (other, _) = filled(&mut store);
    store.commit(kept(rust, Kept::Messages(5)));
    // What was not stored is not done.
    store.try_put(kept(other, Kept::Messages(1))).expect("it is taken");
    store.driven.rollback();
    trim(&mut store, Keep::default(), 0);
    assert_eq!(texts(&store.read(rust, Start::After(Seq(0)), 100)), ["595", "596", "597", "598", "599"]);
    assert_eq!(store.read(other, Start::After(Seq(0)), 100).gap, None, "all of the other is kept");
    // It is known after a restart, too, and the server may keep less still.
    store = place.reopen(store);
    store.append(vec![said(rust, 2, "600"), said(rust, 2, "601")]);
    trim(&mut store, Keep { age: None, count: Some(9) }, 0);
    assert_eq!(texts(&store.read(rust, Start::After(Seq(0)), 100)), ["597", "598", "599", "600", "601"]);
    assert_eq!(store.read(other, Start::After(Seq(0)), 100).entries.len(), 9);
    trim(&mut store, Keep { age: None, count: Some(2) }, 0);
    assert_eq!(texts(&store.read(rust, Start::After(Seq(0)), 100)), ["600", "601"]);
    store.commit(kept(rust, Kept::All));
    store.append((602..650).map(|number| said(rust, 2, &number.to_string())).collect());
    trim(&mut store, Keep::default(), 0);
    assert_eq!(store.read(rust, Start::After(Seq(0)), 100).entries.len(), 50);
    store.close();
}

fn nothing_is_trimmed_unasked_or_within_a_batch(place: &Place) {
    let mut store = place.open();
    let (rust, _) = filled(&mut store);
    let before = rows(place);
    assert_eq!(store.driven.trim(Time(BEGIN)), Ok(false), "all is kept");
    store.driven.keep_only(Keep { age: None, count: Some(5) });
    store.try_put(said(rust, 2, "600")).expect("it is taken");
    assert_eq!(store.driven.trim(Time(BEGIN)), Ok(false), "a batch has begun");
    store.driven.commit().expect("it is stored");
    assert_eq!(rows(place), before + 1);
    assert_eq!(store.driven.trim(Time(BEGIN)), Ok(true));
    assert!(rows(place) < before);
}

fn what_is_too_old_is_deleted_even_if_it_is_everything(place: &Place) {
    let mut store = place.open();
    let (rust, seqs) = filled(&mut store);
    let keep = Keep { age: Some(100), count: None };
    trim(&mut store, keep, seqs[300].0 + 100);
    assert_eq!(texts(&store.read(rust, Start::After(Seq(0)), 1))[0], "300");
    trim(&mut store, keep, seqs[599].0 + 101);
    let page = store.read(rust, Start::After(Seq(0)), 100);
    assert_eq!((texts(&page).len(), page.gap.map(|(_, last)| last)), (0, Some(seqs[599])));
    store = place.reopen(store);
    let next = store.commit(said(rust, 2, "next")).seq;
    assert!(next > seqs[599]);
    assert_eq!(texts(&store.read(rust, Start::Before(Seq(1 << 40)), 100)), ["next"]);
    assert_eq!(store.read(rust, Start::After(seqs[599]), 100).gap, None);
}

fn what_was_not_read_is_kept_however_old_it_is(place: &Place) {
    let mut store = place.open();
    store.commit(registered(7));
    let seqs: Vec<_> = (0..20).map(|number| store.commit(said(inbox(7), 2, &number.to_string())).seq).collect();
    store.commit(acked(7, seqs[9].0));
    trim(&mut store, Keep { age: None, count: Some(4) }, 0);
    assert_eq!(texts(&store.read(inbox(7), Start::After(Seq(0)), 100))[0], "6", "four read ones");
    trim(&mut store, Keep { age: Some(1), count: Some(1) }, 1 << 40);
    store = place.reopen(store);
    let page = store.read(inbox(7), Start::Unread, 100);
    assert_eq!((texts(&page)[0], page.entries.len(), page.gap), ("10", 10, None));
    let held = store.inbox(7);
    assert_eq!(held.count - held.read_count, 10);
    assert_eq!(store.ack(7, seqs[14].0), Some(seqs[14]));
    assert_eq!(store.read(inbox(7), Start::Unread, 100).entries.len(), 5);
}
