//! What committed entries do to the hub. The same entries give the same state on every node and after every restart.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::event::{Change, Done, Entry, Event, Origin, Outcome, Room as RoomId, Time};
use crate::hub::channel::{Channel, Closing};
use crate::hub::directory::Account;
use crate::hub::room::Room;
use crate::hub::wake::Verdict;
use crate::hub::{Happening, Hub, Place};
use crate::names::{Name, Seq, Who};

impl Hub {
    /// Applies entries of the state that the journal kept, in their order.
    pub fn replay(&self, entries: &[Entry]) {
        let mut woken = Vec::new();
        entries.iter().for_each(|entry| self.apply(entry, None, &mut woken));
    }

    /// Applies what was committed, wakes the rooms it touched once each, and then gives the verdicts to those who wait.
    pub fn settle(&self, batch: Vec<Done>) {
        let mut touched: Vec<Arc<Room>> = Vec::new();
        for done in &batch {
            if let Outcome::Committed(entry) = &done.outcome {
                self.apply(entry, done.origin.map(|origin| origin.session), &mut touched);
                self.applied.store(entry.seq.0, Ordering::Release);
            }
        }
        touched.sort_unstable_by_key(|room| room.id);
        touched.dedup_by_key(|room| room.id);
        touched.iter().for_each(|room| room.wake());
        let verdict = |Done { origin, outcome }| origin.map(|Origin { session, tag }| (session, Verdict { tag, outcome }));
        let mut verdicts = batch.into_iter().filter_map(verdict).peekable();
        // A session's drafts come one after the other.
        while let Some((session, first)) = verdicts.next() {
            let more = std::iter::from_fn(|| verdicts.next_if(|(next, _)| *next == session)).map(|(_, verdict)| verdict);
            self.with_seat(session, |seat| seat.give(std::iter::once(first).chain(more)));
        }
    }

    fn apply(&self, entry: &Entry, by: Option<u64>, touched: &mut Vec<Arc<Room>>) {
        match &entry.event {
            Event::Said { from, text, .. } => self.apply_said(entry, from, text, by, touched),
            Event::Acked { .. } => {}
            Event::Registered { who, password } => self.apply_registered(who, password),
            Event::Created { channel, owner, key } => self.apply_created(entry, channel, owner, key.clone()),
            Event::Channel { who, change, .. } => {
                let Some(RoomId::Channel(id)) = entry.room else { return };
                let channel = self.directory().channel(id).cloned();
                if let Some(channel) = channel {
                    self.apply_change(&channel, who, change, entry.time, by);
                }
            }
            Event::Ids { below } => {
                let mut directory = self.directory_mut();
                if !self.is_live() {
                    // What is left of a block that was reserved before a restart may have been given out.
                    directory.next_id = below.0;
                }
                directory.ids_below = directory.ids_below.max(below.0);
            }
        }
    }

    fn apply_said(&self, entry: &Entry, from: &Who, text: &str, by: Option<u64>, touched: &mut Vec<Arc<Room>>) {
        let (seq, time) = (entry.seq, entry.time);
        let directory = self.directory();
        let room = match entry.room {
            Some(RoomId::Channel(id)) => directory.channel(id).map(|channel| {
                let place = Place::Channel(&channel.name);
                self.push(&channel.room, Some(seq), by, Happening::Said { seq, time, place, from, text });
                &channel.room
            }),
            Some(RoomId::Inbox(id)) => directory.online.get(&id).map(|online| {
                let place = Place::Inbox(&online.who);
                self.push(&online.inbox, Some(seq), by, Happening::Said { seq, time, place, from, text });
                &online.inbox
            }),
            None => None,
        };
        if let Some(room) = room
            && !touched.last().is_some_and(|last| Arc::ptr_eq(last, room))
        {
            touched.push(Arc::clone(room));
        }
    }

    fn apply_registered(&self, who: &Who, password: &Arc<str>) {
        let mut directory = self.directory_mut();
        // The guest who registers holds the name already; after a restart nobody does.
        directory.take_name(&who.name, who.id);
        let channels = directory.online.get_mut(&who.id).map(|online| std::mem::take(&mut online.channels)).unwrap_or_default();
        directory.accounts.insert(who.id, Account { who: who.clone(), password: Arc::clone(password), channels });
    }

    fn apply_created(&self, entry: &Entry, name: &Name, owner: &Who, key: Option<Arc<str>>) {
        let channel = Arc::new(Channel::new(entry.seq, name.clone(), owner.clone(), key));
        let mut directory = self.directory_mut();
        directory.add_channel(Arc::clone(&channel));
        let lasts = directory.accounts.contains_key(&owner.id);
        // In the replay memberships come by themselves, for who created the channel may have left it since; and a guest who has
        // gone meanwhile is no member.
        let is_there = self.is_live() && (lasts || directory.online.contains_key(&owner.id));
        if is_there && directory.enter_channel(owner.id, channel.id) {
            channel.add(owner, entry.time, lasts, self.now(&channel.room));
        }
        directory.mark_moved(owner.id);
        drop(directory);
        if !is_there && self.is_live() {
            channel.set_owner(None);
        }
    }

    fn apply_change(&self, channel: &Channel, who: &Who, change: &Change, time: Time, by: Option<u64>) {
        let name = &channel.name;
        match change {
            Change::Joined => {
                self.directory_mut().enter_channel(who.id, channel.id);
                self.add_member(channel, who, time, true, by);
                self.directory().mark_moved(who.id);
            }
            Change::Left => {
                self.remove_member(channel, who, time, "", by);
                if channel.is_owned_by(who.id) {
                    // The session that asked makes it durable: time spent as a guest counts here and not after a restart.
                    let _ = self.pass_on(channel);
                }
                self.directory().mark_moved(who.id);
            }
            Change::Owner => {
                // A succession is made durable a moment after it happened: who has left meanwhile owns nothing.
                let is_there = !self.is_live() || channel.membership(who.id).is_some();
                if is_there && channel.set_owner(Some(who.clone())) {
                    self.announce(&channel.room, by, Happening::Owner { channel: name, who, time });
                }
            }
            Change::Topic(text) => {
                channel.set_topic(Arc::clone(text));
                self.announce(&channel.room, by, Happening::Topic { channel: name, who, time, text });
            }
            Change::Closed => self.close(channel.id, who, time, by),
        }
    }

    fn close(&self, id: Seq, who: &Who, time: Time, by: Option<u64>) {
        if let Some(channel) = self.directory_mut().remove_channel(id) {
            channel.close(Closing { who: who.clone(), time, by });
            channel.room.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Change, Done, Entry, Event, Hub, Name, Outcome, RoomId, Seq, Time, Who};
    use crate::limits::Limits;
    use crate::names::UserId;

    #[test]
    fn who_has_left_comes_to_own_nothing() {
        let hub = Hub::new(Arc::new(Limits::default()), |_, _| {});
        let (ana, rust) = (Who { name: Name::new("ana"), id: UserId(1000) }, Name::new("rust"));
        hub.go_live();
        let mut seq = 0;
        let mut settle = |room, event| {
            seq += 1;
            let entry = Entry { seq: Seq(seq), time: Time(0), room, event };
            hub.settle(vec![Done { origin: None, outcome: Outcome::Committed(entry) }]);
        };
        settle(None, Event::Registered { who: ana.clone(), password: "".into() });
        settle(None, Event::Created { channel: rust.clone(), owner: ana.clone(), key: None });
        for (change, owner) in [(Change::Owner, Some(&ana)), (Change::Left, None), (Change::Owner, None)] {
            let event = Event::Channel { channel: rust.clone(), who: ana.clone(), change: change.clone() };
            settle(Some(RoomId::Channel(Seq(2))), event);
            assert_eq!(hub.find_channel("rust").unwrap().owner().as_ref(), owner, "after {change:?}");
        }
    }
}
