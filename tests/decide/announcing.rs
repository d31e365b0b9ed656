//! When an account's channels are told that it has come: once it has been there for a while.

use linechat::event::proposal::Key;
use linechat::event::{Entry, Event, NodeId, Origin, Proposal, Request, SessionId, Time};
use linechat::limits::Limits;
use linechat::names::{Name, Seq};
use linechat::state::Storage;

use crate::order::Order;

/// A room that Bob owns, and whose member Ana has come back at second 0, by her password.
struct Room {
    order: Order,
}

const NOTHING: [&str; 0] = [];

impl Room {
    /// Ana's connections have these numbers.
    fn with_ana(numbers: [u64; 2]) -> Self {
        let mut room = Self::before_ana(numbers);
        for number in numbers {
            assert_eq!(room.take(0, number, log_in()), NOTHING);
        }
        room
    }

    /// Her connections have come, as guests.
    fn before_ana(numbers: [u64; 2]) -> Self {
        let mut room = Self { order: Order::default() };
        for number in [1, 2].into_iter().chain(numbers) {
            room.take(-9, number, Request::Come { address: None });
        }
        room.take(-9, 1, Request::Register(Name::new("ana"), "$hash$1".into(), None));
        room.take(-9, 2, Request::Create(Name::new("ops"), None));
        room.take(-9, 1, Request::Join(Name::new("ops"), Key::Missing));
        assert_eq!(room.take(-9, 1, Request::Go), ["offline"]);
        room
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
    let mut room = Room::with_ana([3, 4]);
    assert_eq!(room.announce(4, 3), NOTHING, "it is early");
    assert_eq!(room.announce(5, 3), ["online"]);
    assert_eq!(room.announce(6, 3), NOTHING, "it is known");
    assert_eq!(room.announce(6, 4), NOTHING, "so is the other connection");
    assert_eq!(room.take(7, 3, Request::Go), NOTHING, "the other is still there");
    assert_eq!(room.take(8, 4, Request::Go), ["offline"]);
}

#[test]
fn whoever_was_not_announced_does_not_go_either() {
    let mut room = Room::with_ana([3, 4]);
    assert_eq!(room.take(1, 3, Request::Go), NOTHING);
    assert_eq!(room.announce(9, 3), NOTHING, "it has gone");
    assert_eq!(room.take(9, 4, Request::Go), NOTHING, "nobody knew of it, however late it was to be announced");
}

#[test]
fn where_an_account_has_just_joined_it_is_known_at_once() {
    let mut room = Room::with_ana([3, 4]);
    room.take(1, 2, Request::Create(Name::new("new"), None));
    room.take(1, 3, Request::Join(Name::new("new"), Key::Missing));
    assert_eq!(room.announce(9, 3), ["online"], "the other room is told, the new one knows");
    assert_eq!(room.take(9, 3, Request::Go), NOTHING);
    assert_eq!(room.take(9, 4, Request::Go), ["offline", "offline"]);

    let mut room = Room::with_ana([3, 4]);
    room.take(1, 2, Request::Create(Name::new("new"), None));
    room.take(1, 3, Request::Join(Name::new("new"), Key::Missing));
    assert_eq!(room.take(2, 4, Request::Go), NOTHING);
    assert_eq!(room.take(2, 3, Request::Go), ["offline"], "the new room saw her");
}

#[test]
fn a_node_finds_those_of_its_own_who_wait() {
    let mut room = Room::with_ana([3, 4]);
    let none: [u64; 0] = [];
    assert_eq!(room.waiting(4, 0, 9), none);
    assert_eq!(room.waiting(5, 0, 9), [3, 4]);
    assert_eq!(room.waiting(5, 0, 1), [3]);
    assert_eq!(room.waiting(5, 1, 9), none);
    room.announce(5, 4);
    assert_eq!(room.waiting(9, 0, 9), none);
}

/// As long as one server of a cluster does not know of it, all decide as it does.
#[test]
fn a_cluster_announces_at_once_until_all_its_servers_are_upgraded() {
    let mut room = Room::before_ana([3, 4]);
    let seq = Seq(room.order.state.seq().0 + 1);
    let event = Event::Ordered { stream: 7, place: 1, print: 0, numbers: vec![], features: 2 };
    room.order.state.apply(&Entry { seq, time: Time(0), room: None, via: None, event });
    assert_eq!(room.take(0, 3, log_in()), ["online"]);
    assert_eq!(room.take(1, 4, log_in()), NOTHING);
    let none: [u64; 0] = [];
    assert_eq!(room.waiting(9, 0, 9), none);
    assert_eq!(room.take(9, 3, Request::Go), NOTHING);
    assert_eq!(room.take(9, 4, Request::Go), ["offline"]);
}
