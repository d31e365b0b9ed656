//! A channel: its name, key, owner, topic and members, and the room where it is talked in.
//!
//! A member is a user, connected or not; who reads is the room's business.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use crate::event::{self, Time};
use crate::hub::room::{Cursor, Room};
use crate::names::{Name, Seq, UserId, Who};

/// A user's membership.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The member, under the present name.
    pub who: Who,
    /// Since when.
    pub since: Time,
    /// Whether it lasts: an account's does, a guest's goes with the connection.
    pub lasts: bool,
    /// Where the member's reading begins: after the join.
    pub from: Cursor,
    order: u64,
}

/// A line of LIST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The user.
    pub who: Who,
    /// Connected, or a member, since when.
    pub since: Time,
    /// Whether the user is connected.
    pub online: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Channel {
    /// Its identity: the seq of its creation.
    pub id: Seq,
    /// Its name.
    pub name: Name,
    /// The hash of the key needed to join.
    pub key: Option<Arc<str>>,
    /// Who created it.
    pub founder: Who,
    /// Where it is talked in.
    pub room: Arc<Room>,
    state: Mutex<State>,
    closing: OnceLock<Closing>,
}

/// How a channel was closed. Not a line of its room: everybody who reads there is told at the end, however late that is read.
#[derive(Debug, Clone)]
pub struct Closing {
    /// Who closed it.
    pub who: Who,
    /// When.
    pub time: Time,
    /// The session that did, which is not told.
    pub by: Option<u64>,
}

#[derive(Debug, Default)]
struct State {
    owner: Option<Who>,
    topic: Option<Arc<str>>,
    roster: BTreeMap<UserId, Membership>,
    joins: u64,
    forsaken_sweeps: u64,
}

impl Channel {
    pub(super) fn new(id: Seq, name: Name, founder: Who, key: Option<Arc<str>>) -> Self {
        let room = Arc::new(Room::new(event::Room::Channel(id)));
        let state = State { owner: Some(founder.clone()), ..State::default() };
        Self { id, name, key, founder, room, state: Mutex::new(state), closing: OnceLock::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("invariant: nothing panics under this lock")
    }

    /// How it was closed, once it is.
    pub fn closing(&self) -> Option<&Closing> {
        self.closing.get()
    }

    pub(super) fn close(&self, closing: Closing) {
        // Closed twice, it stays closed as it was the first time.
        let _ = self.closing.set(closing);
        self.room.close();
    }

    /// How many members it has.
    pub fn members(&self) -> usize {
        self.state().roster.len()
    }

    /// Its owner, if it has one.
    pub fn owner(&self) -> Option<Who> {
        self.state().owner.clone()
    }

    /// Whether the user owns it.
    pub fn is_owned_by(&self, id: UserId) -> bool {
        self.state().owner.as_ref().is_some_and(|owner| owner.id == id)
    }

    /// Its topic, if one was set.
    pub fn topic(&self) -> Option<Arc<str>> {
        self.state().topic.clone()
    }

    /// The user's membership.
    pub fn membership(&self, id: UserId) -> Option<Membership> {
        self.state().roster.get(&id).cloned()
    }

    /// Up to `most` members after `after`, ordered by id, all as offline; the directory knows better.
    pub(super) fn list(&self, after: Option<UserId>, most: usize) -> Vec<Listed> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.state();
        let members = state.roster.range((from, Bound::Unbounded)).take(most);
        members.map(|(_, member)| Listed { who: member.who.clone(), since: member.since, online: false }).collect()
    }

    pub(super) fn set_topic(&self, topic: Arc<str>) {
        self.state().topic = Some(topic);
    }

    /// Returns whether that is news.
    pub(super) fn set_owner(&self, owner: Option<Who>) -> bool {
        let mut state = self.state();
        let news = state.owner != owner;
        state.owner = owner;
        news
    }

    /// Makes the user a member; returns how many there are then, or `None` for one who was a member already.
    pub(super) fn add(&self, who: &Who, since: Time, lasts: bool, from: Cursor) -> Option<usize> {
        let mut state = self.state();
        state.forsaken_sweeps = 0;
        if let Some(member) = state.roster.get_mut(&who.id) {
            member.lasts = lasts;
            return None;
        }
        state.joins += 1;
        let order = state.joins;
        state.roster.insert(who.id, Membership { who: who.clone(), since, lasts, from, order });
        Some(state.roster.len())
    }

    /// Ends a membership; returns how many members there were with it.
    pub(super) fn remove(&self, id: UserId) -> Option<usize> {
        let mut state = self.state();
        state.roster.remove(&id)?;
        Some(state.roster.len() + 1)
    }

    /// Gives a member another name; returns whether there is such a member.
    pub(super) fn rename(&self, new: &Who) -> bool {
        let mut state = self.state();
        if let Some(owner) = state.owner.as_mut().filter(|owner| owner.id == new.id) {
            *owner = new.clone();
        }
        let member = state.roster.get_mut(&new.id);
        member.map(|member| member.who = new.clone()).is_some()
    }

    /// Gives the channel of an owner who is no more to the member who has been there longest.
    pub(super) fn pass_on(&self) -> Option<Membership> {
        let mut state = self.state();
        let heir = state.roster.values().min_by_key(|member| member.order).cloned();
        state.owner = heir.as_ref().map(|heir| heir.who.clone());
        heir
    }

    /// Counts the sweeps since it has had neither owner nor member.
    pub(super) fn sweep(&self) -> u64 {
        let mut state = self.state();
        let forsaken = state.owner.is_none() && state.roster.is_empty();
        state.forsaken_sweeps = if forsaken { state.forsaken_sweeps + 1 } else { 0 };
        state.forsaken_sweeps
    }
}
