//! The part of the model that says who is there, who is away and who was told so, and when accounts were last here.

use linechat::event::{NodeId, RoomId, SessionId, Time};
use linechat::names::UserId;

use crate::model::Model;

const DAY: i64 = 24 * 3600 * 1000;

/// That a user is away.
#[derive(Debug, Clone)]
pub struct Away {
    pub user: UserId,
    pub text: String,
    pub since: Time,
    pub told: Vec<UserId>,
}

impl Model {
    /// The connections of a node.
    pub fn connections_of(&self, node: NodeId) -> Vec<SessionId> {
        let all = self.connections.iter().map(|connection| connection.session);
        all.filter(|session| session.node == node).collect()
    }

    /// Makes an AWAY happen.
    pub fn set_away(&mut self, user: UserId, text: Option<&str>) {
        let since = self.now;
        self.away.retain(|away| away.user != user);
        self.away.extend(text.map(|text| Away { user, text: text.to_owned(), since, told: vec![] }));
    }

    /// What somebody is told who writes there, and has not been told.
    pub fn tells_away(&self, room: RoomId, writer: UserId) -> Option<String> {
        let RoomId::Inbox(owner) = room else { return None };
        let Away { user, text, since, told } = self.away.iter().find(|away| away.user == owner)?;
        let name = &self.user(*user).expect("whoever is away is here").name;
        (owner != writer && !told.contains(&writer)).then(|| format!(" away {name}:{user} {} {text}", since.0))
    }

    /// Somebody has written to a user, who may be away.
    pub fn has_told(&mut self, room: RoomId, writer: UserId) {
        if self.tells_away(room, writer).is_some() {
            let away = self.away.iter_mut().find(|away| room == RoomId::Inbox(away.user));
            away.expect("they are away").told.push(writer);
        }
    }

    /// An account is here, or goes.
    pub fn note(&mut self, account: UserId) {
        self.seen.retain(|(user, _)| *user != account);
        self.seen.push((account, self.now));
    }

    /// Somebody has looked whether an account is here for long.
    pub fn look_at(&mut self, account: UserId) {
        let seen = self.seen.iter().find(|(user, _)| *user == account).map(|(_, seen)| *seen);
        let is_account = self.user(account).is_some_and(|user| user.hash.is_some());
        let is_long_ago = |seen: Time| self.is_online(account) && self.now.0 - seen.0 >= DAY;
        if is_account && seen.is_none_or(is_long_ago) {
            self.note(account);
        }
    }

    /// How lists show a user: what they are, and since when.
    pub fn presence(&self, user: UserId) -> (String, Time) {
        let away = self.away.iter().find(|away| away.user == user);
        let online = self.connections.iter().filter(|connection| connection.user == user);
        match (away, online.map(|connection| connection.since).min()) {
            (Some(Away { text, since, .. }), _) => (format!("away: {text}"), *since),
            (None, Some(since)) => ("online".to_owned(), since),
            (None, None) => {
                let seen = self.seen.iter().find(|(account, _)| *account == user);
                ("offline".to_owned(), seen.expect("an account was here").1)
            }
        }
    }
}

/// Whoever is connected for days is noted once a day, and nobody else is.
#[test]
fn who_is_here_for_long_is_noted_once_a_day() {
    use linechat::event::{Event, NodeId, Origin, Proposal, Request, SessionId};
    use linechat::names::Name;
    use linechat::state::Storage;

    let mut order = crate::order::Order::default();
    let mut take = |number, request, time| {
        let session = SessionId { node: NodeId(0), number };
        let came = order.take(&Proposal { origin: Origin { session, tag: 0 }, request }, Time(time), Storage::Free);
        let (_, entries) = came.expect("it is accepted");
        entries.into_iter().filter(|entry| matches!(entry.event, Event::Seen { lasts: true, .. })).count()
    };
    for number in [1, 2] {
        take(number, Request::Come { address: None }, 0);
    }
    assert_eq!(take(1, Request::Register(Name::new("ana"), "$hash$1".into(), None), 0), 1);
    let [ana, guest] = [UserId(1000), UserId(1001)];
    let mut see = |who, time| take(0, Request::See(who), time);
    assert_eq!([see(ana, DAY - 1), see(ana, DAY), see(ana, DAY + 1), see(ana, 2 * DAY)], [0, 1, 0, 1]);
    assert_eq!([see(guest, 2 * DAY), see(UserId(7), 2 * DAY)], [0, 0], "guests have no last time");
    assert_eq!(take(1, Request::Go, 2 * DAY), 1);
    let mut see = |who, time| take(0, Request::See(who), time);
    assert_eq!(see(ana, 9 * DAY), 0, "who has gone was not here since");
}
