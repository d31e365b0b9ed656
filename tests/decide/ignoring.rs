//! The part of the model that says who ignores whom: what they say is neither shown nor counted.

use linechat::event::{Recipient, RoomId, Time};
use linechat::names::UserId;

use crate::model::{Model, User, Verdict, folded, full, verdict};
use crate::proposals::NAMES;

/// That one user ignores another.
#[derive(Debug, Clone)]
pub struct Ignored {
    pub by: UserId,
    pub id: UserId,
    /// The name that the other had then.
    pub name: String,
    pub since: Time,
}

impl Model {
    /// What IGNORE may come to.
    pub fn ignoring(&self, user: &User, whom: &Recipient, is_full: bool) -> Verdict {
        let somebody = match whom {
            Recipient::Channel(_) => Err("NO_SUCH_USER"),
            somebody => self.room(user.id, somebody),
        };
        let id = match somebody {
            Ok(RoomId::Inbox(id)) => id,
            Ok(RoomId::Channel(_)) => unreachable!("it is somebody"),
            Err(code) => return verdict(vec![code], String::new),
        };
        let is_new = !self.ignores(user.id, id);
        let count = self.ignored.iter().filter(|ignored| ignored.by == user.id).count() as u64;
        let mut codes = full(is_full && is_new && user.hash.is_some());
        codes.extend((id == user.id).then_some("NOT_ALLOWED"));
        codes.extend((is_new && count >= self.limits.ignored).then_some("QUOTA"));
        verdict(codes, || format!("{}:{id}", self.user(id).expect("it was found").name))
    }

    /// Whether one user ignores another.
    pub fn ignores(&self, user: UserId, other: UserId) -> bool {
        self.ignored.iter().any(|ignored| (ignored.by, ignored.id) == (user, other))
    }

    /// Whom a user ignores, ordered by id, by the names that they have or had.
    pub fn ignored_by(&self, user: UserId) -> Vec<(UserId, String, Time)> {
        let mine = self.ignored.iter().filter(|ignored| ignored.by == user);
        let name = |it: &Ignored| self.user(it.id).map_or_else(|| it.name.clone(), |user| user.name.clone());
        let mut mine: Vec<_> = mine.map(|it| (it.id, name(it), it.since)).collect();
        mine.sort();
        mine
    }

    /// Whom of those whom a user ignores a target means.
    pub fn meant(&self, user: UserId, whom: &Recipient) -> Vec<(UserId, String)> {
        let is_called = |name: &str, typed: &str| folded(&NAMES, name) == folded(&NAMES, typed);
        let is_meant = |id: UserId, name: &str| match whom {
            Recipient::Id(typed) => *typed == id,
            Recipient::Name(typed) => is_called(name, typed),
            Recipient::Both(typed, number) => *number == id && is_called(name, typed),
            Recipient::Channel(_) => false,
        };
        let mine = self.ignored_by(user).into_iter().filter(|(id, name, _)| is_meant(*id, name));
        mine.map(|(id, name, _)| (id, name)).collect()
    }

    /// Makes an accepted IGNORE happen.
    pub fn ignore(&mut self, me: UserId, whom: &Recipient, since: Time) {
        let Ok(RoomId::Inbox(id)) = self.room(me, whom) else { unreachable!("it was somebody") };
        if !self.ignores(me, id) {
            let name = self.user(id).expect("it was found").name.clone();
            self.ignored.push(Ignored { by: me, id, name, since });
        }
    }

    /// Makes an accepted UNIGNORE happen.
    pub fn unignore(&mut self, me: UserId, whom: &Recipient) {
        let meant = self.meant(me, whom);
        self.ignored.retain(|ignored| ignored.by != me || ignored.id != meant[0].0);
    }
}
