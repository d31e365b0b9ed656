//! When an account's channels are told that it has come: once it has been there for a while.

use linechat::event::proposal::Key;
use linechat::event::{Entry, Event, NodeId, Origin, Proposal, Request, SessionId, Time};
use linechat::limits::Limits;
use linechat::names::{Name, Seq};
use linechat::state::Storage;

use crate::order::Order;

/// A room that Bob owns, and whose member Ana comes back by two connections.
#[derive(Default)]
struct Room {
    order: Order,
}

const NOTHING: [&str; 0] = [];
const LAPTOP: u64 = 3;
const PHONE: u64 = 4;

impl Room {
    /// Ana has come back at second 0 by the laptop, and at second 2 by the phone.
    fn with_ana() -> Self {
        let mut room = Self::before_ana();
        assert_eq!(room.take(0, LAPTOP, log_in()), NOTHING);
        assert_eq!(room.take(2, PHONE, log_in()), NOTHING);
        room
    }

    /// Both are connected, and she has not yet logged in.
    fn before_ana() -> Self {
        let mut room = Self::default();
        for number in [1, 2, LAPTOP, PHONE] {
            room.take(-9, number, Request::Come { address: None });
        }
        room.take(-9, 1, Request::Register(Name::new("ana"), "$hash$1".into(), None));
        room.take(-9, 2, Request::Create(Name::new("ops"), None));
        room.take(-9, 1, Request::Join(Name::new("ops"), Key::Missing));
        assert_eq!(room.take(-9, 1, Request::Go), ["offline"]);
        room
    }

    /// She joins another room of Bob's by the laptop, where she is shown to.
    fn with_a_new_one(mut self) -> Self {
        self.take(1, 2, Request::Create(Name::new("new"), None));
        self.take(1, LAPTOP, Request::Join(Name::new("new"), Key::Missing));
        self
    }

    /// The servers of a cluster know features up to this level.
    fn is_of_level(&mut self, features: u8, place: u64) {
        let seq = Seq(self.order.state.seq().0 + 1);
        let event = Event::Ordered { stream: 7, place, print: 0, numbers: vec![], features };
        self.order.state.apply(&Entry { seq, time: Time(0), room: None, via: None, event });
    }

    /// What the room is told by a request of this connection at this second.
    fn take(&mut self, second: i64, number: u64, request: Request) -> Vec<&'static str> {
        let origin = Origin { session: SessionId { node: NodeId(0), number }, tag: 0 };
        let taken = self.order.take(&Proposal { origin, request }, Time(second * 1000), Storage::Free);
        let (_, entries) = taken.expect("it is accepted");
        let told = entries.into_iter().filter_map(|entry| match entry.event {
            Event::Online { .. } => Some("online"),
            Event::Offline { .. } => Some("offline"),
            _ => None,
        });
        told.collect()
    }

    fn announce(&mut self, second: i64, number: u64) -> Vec<&'static str> {
        self.take(second, 0, Request::Announce(SessionId { node: NodeId(0), number }))
    }

    /// The first connections of a node that it would announce at this second.
    fn waiting(&self, second: i64, node: u64, most: usize) -> Vec<u64> {
        let waiting = self.order.state.to_be_announced(NodeId(node), Time(second * 1000), &Limits::default(), most);
        waiting.into_iter().map(|session| session.number).collect()
    }
}

fn log_in() -> Request {
    Request::LogIn(Name::new("ana"), "$hash$1".into())
}

#[test]
fn an_account_is_announced_once_and_goes_once() {
    let mut room = Room::with_ana();
    assert_eq!(room.announce(4, LAPTOP), NOTHING, "it is early");
    assert_eq!(room.announce(5, LAPTOP), ["online"]);
    assert_eq!(room.announce(6, LAPTOP), NOTHING, "it is known");
    assert_eq!(room.announce(7, PHONE), NOTHING, "so is the other connection");
    assert_eq!(room.take(7, LAPTOP, Request::Go), NOTHING, "the other is still there");
    assert_eq!(room.take(8, PHONE, Request::Go), ["offline"]);
}

#[test]
fn whoever_was_not_announced_does_not_go_either() {
    let mut room = Room::with_ana();
    assert_eq!(room.take(3, LAPTOP, Request::Go), NOTHING);
    assert_eq!(room.announce(9, LAPTOP), NOTHING, "it has gone");
    assert_eq!(room.take(9, PHONE, Request::Go), NOTHING, "nobody knew of it, however late it was to be announced");
}

#[test]
fn where_an_account_has_just_joined_it_is_known_at_once() {
    let mut room = Room::with_ana().with_a_new_one();
    assert_eq!(room.announce(9, PHONE), ["online"], "the other room is told, the new one knows");
    assert_eq!(room.take(9, LAPTOP, Request::Go), NOTHING);
    assert_eq!(room.take(9, PHONE, Request::Go), ["offline", "offline"]);

    let mut room = Room::with_ana().with_a_new_one();
    assert_eq!(room.take(3, LAPTOP, Request::Go), NOTHING);
    assert_eq!(room.take(4, PHONE, Request::Go), ["offline"], "the new room saw her, by whichever connection");
}

#[test]
fn a_node_finds_those_of_its_own_who_wait() {
    let mut room = Room::with_ana();
    let none: [u64; 0] = [];
    assert_eq!(room.waiting(4, 0, 9), none);
    assert_eq!(room.waiting(5, 0, 9), [LAPTOP]);
    assert_eq!(room.waiting(7, 0, 9), [LAPTOP, PHONE]);
    assert_eq!(room.waiting(7, 0, 1), [LAPTOP]);
    assert_eq!(room.waiting(7, 1, 9), none);
    assert_eq!(room.waiting(-3600, 0, 9), [LAPTOP, PHONE], "a clock that was set back makes nobody wait");
    room.announce(7, PHONE);
    assert_eq!(room.waiting(9, 0, 9), none);
}

/// As long as one server of a cluster does not know of it, all decide as it does. Whoever came by then is known to be here.
#[test]
fn a_cluster_announces_at_once_until_all_its_servers_are_upgraded() {
    let mut room = Room::before_ana();
    room.is_of_level(2, 1);
    assert_eq!(room.take(0, LAPTOP, log_in()), ["online"]);
    room.is_of_level(3, 2);
    assert_eq!(room.take(1, PHONE, log_in()), NOTHING);
    let none: [u64; 0] = [];
    assert_eq!(room.waiting(9, 0, 9), none);
    assert_eq!(room.take(9, LAPTOP, Request::Go), NOTHING);
    assert_eq!(room.take(9, PHONE, Request::Go), ["offline"]);
    room.take(10, 5, Request::Come { address: None });
    assert_eq!(room.take(10, 5, log_in()), NOTHING);
}
