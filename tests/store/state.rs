//! What loading a store gives: the newest entry of each compaction key, and presence if it is kept.

use linechat::event::{Entry, Event, NodeId};
use linechat::names::{Seq, UserId};
use linechat::store::Presence;

use crate::store::{
    Store, came, channel, closed, created, draft, ids, inbox, joined, left, owner, registered, said, session, topic, user, went,
};
use crate::{Kind, Place};

crate::on_every_store! {
    the_state_is_the_newest_of_each_key
    what_ends_frees_what_lies_below
    presence_is_kept_where_it_is_wanted
    a_presence_covers_what_lasts
}

crate::on_every_node! {
    the_last_seq_survives_with_presence
    what_lasts_and_what_does_not_come_in_one_order
}

/// What loading the store would give now.
fn state(place: &Place, store: Store) -> (Store, Vec<Entry>) {
    let mut store = place.reopen(store);
    let mut state = Vec::new();
    match place.kind {
        Kind::Disk => state = store.state().to_vec(),
        Kind::Memory => store.driven.load(&mut |entry| state.push(entry.clone())).expect("it is whole"),
    }
    (store, state)
}

fn the_state_is_the_newest_of_each_key(place: &Place) {
    let mut store = place.open();
    assert_eq!(store.state(), []);
    store.commit(ids(4096));
    let nina = store.commit(registered(7));
    let rust = store.commit(created("rust", 7));
    let room = rust.room.expect("a room");
    for number in 0..50 {
        store.commit(topic(room, &format!("topic {number}")));
        store.append(vec![said(room, 7, "x"), said(inbox(7), 8, "y")]);
        store.ack(7, u64::MAX);
    }
    let member = store.commit(joined(room, 8, true, false));
    let last_topic = store.commit(topic(room, "the last  one "));
    store.append(vec![joined(room, 7, true, true), left(room, 7, true, true)]);
    let owned = store.commit(owner(room, 8, true));
    let below = store.commit(ids(8192));
    let (_, state) = state(place, store);
    assert_eq!(state, [nina, rust, member, last_topic, owned, below], "newest of each key, by seq, and nothing else");
}

fn what_ends_frees_what_lies_below(place: &Place) {
    let mut store = place.open();
    // Channels with seqs whose digits begin with another's; the messages between them only use up seqs.
    let mut rooms = Vec::new();
    while rooms.len() < 4 {
        let seq = store.driven.last().expect("it is whole").0 + 1;
        if [1, 10, 11, 100].contains(&seq) {
            rooms.push(store.commit(created(&format!("r{seq}"), 7)).room.expect("a room"));
        } else {
            store.commit(said(channel(5), 7, "x"));
        }
    }
    for &room in &rooms {
        store.append(vec![joined(room, 7, true, true), joined(room, 70, true, true), topic(room, "t"), owner(room, 7, true)]);
    }
    // An id that is a prefix of another.
    store.commit(left(rooms[2], 7, true, true));
    store.commit(closed(1));
    let (_, state) = state(place, store);
    let of = |room| state.iter().filter(|entry| entry.room == Some(room)).count();
    assert_eq!(rooms.iter().map(|&room| of(room)).collect::<Vec<_>>(), [0, 5, 4, 5]);
}

/// What a replica must know of who is connected is loaded again, or forgotten together with the connections.
fn presence_is_kept_where_it_is_wanted(place: &Place) {
    let mut store = place.open();
    let rust = store.commit(created("rust", 7));
    let room = rust.room.expect("a room");
    let named = |id| draft(None, Event::Named { session: session(id), who: user(id) });
    let into = Event::LoggedIn { session: session(21), guest: UserId(21), account: UserId(7), token: None, untold: None };
    store.append(vec![
        came(20),
        came(21),
        came(22),
        came(200),
        named(20),
        named(21),
        named(200),
        draft(None, into),
        joined(room, 20, false, true),
        joined(room, 22, false, true),
        left(room, 22, false, true),
        went(22),
    ]);
    let (mut store, state) = self::state(place, store);
    match place.presence {
        Presence::Forgotten => assert_eq!(state, std::slice::from_ref(&rust)),
        Presence::Kept => {
            let seqs: Vec<_> = state.iter().map(|entry| entry.seq.0 - rust.seq.0).collect();
            assert_eq!(seqs, [0, 1, 2, 4, 5, 7, 8, 9]);
        }
    }
    let ended = Event::NodeEnded { node: NodeId(1), guests: vec![UserId(20), UserId(200)] };
    store.append(vec![draft(None, ended), closed(rust.seq.0)]);
    assert_eq!(self::state(place, store).1, [], "all is over");
}

/// The newest entry holds the key, wherever it is kept; when presence is forgotten, the durable entry holds it again.
fn a_presence_covers_what_lasts(place: &Place) {
    let mut store = place.open();
    let rust = store.commit(created("rust", 7));
    let room = rust.room.expect("a room");
    let lasting = store.commit(owner(room, 7, true));
    let present = store.commit(owner(room, 20, false));
    let (mut store, state) = self::state(place, store);
    let newest = if place.presence == Presence::Kept { present } else { lasting };
    assert_eq!(state, [rust.clone(), newest]);
    let again = store.commit(owner(room, 8, true));
    let (store, state) = self::state(place, store);
    assert_eq!(state, [rust, again], "what lasts ends the presence before it");
    drop(store);
}

/// Whatever is loaded comes in the order of the seqs, wherever it was kept.
fn what_lasts_and_what_does_not_come_in_one_order(place: &Place) {
    let mut store = place.open();
    store.append(vec![came(20), registered(7), came(21), created("rust", 7), came(22)]);
    let (_, state) = state(place, store);
    let seqs: Vec<_> = state.iter().map(|entry| entry.seq.0).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
}

fn the_last_seq_survives_with_presence(place: &Place) {
    let mut store = place.open();
    for id in 1..10 {
        store.commit(said(channel(1), id, "x"));
        store.append(vec![came(id), draft(Some(channel(1)), Event::Online { who: user(id) })]);
        let last = Seq(3 * id);
        assert_eq!(store.driven.last(), Ok(last));
        store = place.reopen(store);
        assert_eq!(store.driven.last(), Ok(last));
    }
}

/// Once a store with presence is opened without it, everything that guests owned belongs to nobody.
#[test]
fn presence_that_is_not_wanted_any_more_is_deleted() {
    let kept = Place::of_a_node(Kind::Disk);
    let mut store = kept.open();
    let account = store.commit(registered(7));
    store.append(vec![came(20), said(inbox(20), 7, "x")]);
    store.close();
    store = kept.open();
    let last = store.commit(came(21)).seq;
    store.close();
    let forgotten = Store::disk(kept.directory()).expect("the store opens");
    assert_eq!(forgotten.state(), std::slice::from_ref(&account));
    assert_eq!(forgotten.driven.last(), Ok(last), "what is forgotten has had its seq");
    forgotten.close();
    let kept = kept.open();
    assert_eq!((kept.state(), kept.driven.last()), (&[account][..], Ok(last)));
}
