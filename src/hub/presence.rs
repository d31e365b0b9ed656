//! Presence: sessions that come, take a name, log in, join as guests, and go. None of it is durable.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::event::{self, Time};
use crate::hub::channel::Channel;
use crate::hub::directory::Online;
use crate::hub::room::{Attached, Cursor, Room};
use crate::hub::wake::Seat;
use crate::hub::{Happening, Hub};
use crate::names::{Name, Seq, UserId, Who};

/// Bits of a session's number that are its place in the table of seats; the rest count the sessions.
const SEAT_BITS: u32 = 24;

/// A session that has sat down.
#[derive(Debug)]
pub struct Seated {
    /// Who it is.
    pub who: Who,
    /// How it is woken.
    pub seat: Arc<Seat>,
    /// Its inbox, to be read from now on.
    pub inbox: Attached,
}

/// All reserved ids are used up; more are being reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoIds;

/// Somebody has the name, or one that looks like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTaken {
    /// Who.
    pub by: Who,
    /// Whether that is an account, which the asker may own.
    pub is_account: bool,
}

/// A channel that an account has come to own without having asked; it must be made durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succession {
    /// The channel.
    pub channel: Name,
    /// Its identity.
    pub id: Seq,
    /// Its owner now.
    pub who: Who,
}

impl Hub {
    /// Seats a new connection as a guest.
    ///
    /// # Errors
    /// [`NoIds`]; try again soon.
    pub fn enter(&self) -> Result<Seated, NoIds> {
        let mut directory = self.directory_mut();
        if directory.next_id >= directory.ids_below {
            return Err(NoIds);
        }
        let id = UserId(directory.next_id);
        directory.next_id += 1;
        let seat = self.new_seat();
        let who = Who { name: Name::guest(id), id };
        let inbox = Arc::new(Room::new(event::Room::Inbox(id)));
        let online = Online {
            who: who.clone(),
            since: Time::now(),
            inbox: Arc::clone(&inbox),
            seats: vec![Arc::clone(&seat)],
            channels: Vec::new(),
        };
        directory.online.insert(id, online);
        drop(directory);
        let inbox = inbox.attach(Arc::clone(&seat), self.now(&inbox));
        Ok(Seated { who, seat, inbox })
    }

    fn new_seat(&self) -> Arc<Seat> {
        let sitting = self.sittings.fetch_add(1, Ordering::Relaxed);
        let mut seats = self.seats.write().expect("invariant: nothing panics under this lock");
        let entry = seats.vacant_entry();
        let seat = Arc::new(Seat::new(sitting << SEAT_BITS | entry.key() as u64));
        Arc::clone(entry.insert(seat))
    }

    /// Calls `with` with the seat of a session that is still there.
    pub(super) fn with_seat(&self, session: u64, with: impl FnOnce(&Seat)) {
        let seats = self.seats.read().expect("invariant: nothing panics under this lock");
        let place = (session & ((1 << SEAT_BITS) - 1)) as usize;
        if let Some(seat) = seats.get(place).filter(|seat| seat.session == session) {
            with(seat);
        }
    }

    /// How many ids may still be given out before more must be reserved.
    pub fn ids_left(&self) -> u64 {
        let directory = self.directory();
        directory.ids_below - directory.next_id
    }

    /// The first id that is not reserved.
    pub fn ids_below(&self) -> UserId {
        UserId(self.directory().ids_below)
    }

    /// Whether the name may be taken by the user `id`.
    ///
    /// # Errors
    /// [`NameTaken`].
    pub fn is_free(&self, name: &str, id: UserId) -> Result<(), NameTaken> {
        self.directory().is_free(name, id)
    }

    /// Gives a guest another name and tells its channels. `seat` is the one that asked.
    ///
    /// # Errors
    /// [`NameTaken`]; nothing changed.
    pub fn rename(&self, seat: &Seat, old: &Who, name: &Name) -> Result<Who, NameTaken> {
        let new = Who { name: name.clone(), id: old.id };
        let mut directory = self.directory_mut();
        directory.is_free(name.as_str(), old.id)?;
        directory.take_name(name, old.id);
        if crate::names::look(old.name.as_str()) == crate::names::look(name.as_str()) {
            // The look-alike entry is the new name's own now; only the old spelling goes.
            directory.give_spelling(&old.name, &new);
        } else {
            directory.give_name(&old.name, old.id);
        }
        if let Some(online) = directory.online.get_mut(&old.id) {
            online.who = new.clone();
        }
        drop(directory);
        if old.name == new.name {
            return Ok(new);
        }
        for channel in self.channels_of(old.id).iter().filter(|channel| channel.rename(&new)) {
            let happening = Happening::Renamed { channel: &channel.name, old, new: &new, time: Time::now() };
            self.announce(&channel.room, Some(seat.session), happening);
        }
        Ok(new)
    }

    /// Makes a guest a member; returns how many members there are then. The session attaches to the room itself.
    pub fn join_as_guest(&self, seat: &Seat, who: &Who, channel: &Channel) -> usize {
        let time = Time::now();
        self.directory_mut().enter_channel(who.id, channel.id);
        self.add_member(channel, who, time, false, Some(seat.session));
        if channel.owner().is_none() && channel.set_owner(Some(who.clone())) {
            self.announce(&channel.room, Some(seat.session), Happening::Owner { channel: &channel.name, who, time });
        }
        channel.members()
    }

    /// Adds a member and tells the others, in a channel that is small enough for that.
    pub(super) fn add_member(&self, channel: &Channel, who: &Who, time: Time, lasts: bool, by: Option<u64>) {
        let from = self.now(&channel.room);
        if let Some(members) = channel.add(who, time, lasts, from)
            && members as u64 <= self.limits.announce_members
        {
            self.announce(&channel.room, by, Happening::Joined { channel: &channel.name, who, time });
        }
    }

    /// Ends a membership and tells the others.
    pub(super) fn remove_member(&self, channel: &Channel, who: &Who, time: Time, reason: &str, by: Option<u64>) {
        self.directory_mut().leave_channel(who.id, channel.id);
        if let Some(members) = channel.remove(who.id)
            && members as u64 <= self.limits.announce_members
        {
            self.announce(&channel.room, by, Happening::Left { channel: &channel.name, who, time, reason });
        }
    }

    /// Ends a guest's membership; returns the account, if any, that owns the channel now.
    pub fn leave_as_guest(&self, seat: &Seat, who: &Who, channel: &Channel, reason: &str) -> Option<Succession> {
        self.remove_member(channel, who, Time::now(), reason, Some(seat.session));
        channel.is_owned_by(who.id).then(|| self.pass_on(channel)).flatten()
    }

    pub(super) fn pass_on(&self, channel: &Channel) -> Option<Succession> {
        let heir = channel.pass_on()?;
        let happening = Happening::Owner { channel: &channel.name, who: &heir.who, time: Time::now() };
        self.announce(&channel.room, None, happening);
        heir.lasts.then(|| Succession { channel: channel.name.clone(), id: channel.id, who: heir.who })
    }

    /// Makes a session that was a guest's (see [`Hub::depart`]) the account's; its channels are to be attached from now on.
    pub fn sit_as_account(&self, seat: &Arc<Seat>, who: &Who) -> (Attached, Vec<Arc<Channel>>) {
        let mut directory = self.directory_mut();
        let first = !directory.online.contains_key(&who.id);
        let online = directory.online.entry(who.id).or_insert_with(|| Online {
            who: who.clone(),
            since: Time::now(),
            inbox: Arc::new(Room::new(event::Room::Inbox(who.id))),
            seats: Vec::new(),
            channels: Vec::new(),
        });
        online.seats.push(Arc::clone(seat));
        let inbox = Arc::clone(&online.inbox);
        drop(directory);
        let channels = self.channels_of(who.id);
        if first {
            let by = Some(seat.session);
            self.tell(&channels, by, |channel| Happening::Joined { channel: &channel.name, who, time: Time::now() });
        }
        (inbox.attach(Arc::clone(seat), self.now(&inbox)), channels)
    }

    fn tell<'a>(&self, channels: &'a [Arc<Channel>], by: Option<u64>, happening: impl Fn(&'a Channel) -> Happening<'a>) {
        for channel in channels.iter().filter(|channel| channel.members() as u64 <= self.limits.announce_members) {
            self.announce(&channel.room, by, happening(channel));
        }
    }

    /// A cursor for a session that begins to read a channel now.
    pub fn cursor_now(&self, channel: &Channel) -> Cursor {
        self.now(&channel.room)
    }

    /// The session is no longer this user's. A guest is forgotten; an account whose last session this was is offline.
    /// Returns the channels that accounts have come to own by it.
    pub fn depart(&self, seat: &Arc<Seat>, who: &Who) -> Vec<Succession> {
        let channels = self.channels_of(who.id);
        let mut directory = self.directory_mut();
        let Some(online) = directory.online.get_mut(&who.id) else { return Vec::new() };
        online.seats.retain(|other| !Arc::ptr_eq(other, seat));
        if !online.seats.is_empty() {
            return Vec::new();
        }
        directory.online.remove(&who.id);
        let is_account = directory.accounts.contains_key(&who.id);
        if !is_account {
            directory.give_name(&who.name, who.id);
        }
        drop(directory);
        if is_account {
            let time = Time::now();
            if self.directory().online.contains_key(&who.id) {
                // Back already, by another connection that was just told.
                return Vec::new();
            }
            self.tell(&channels, None, |channel| Happening::Left { channel: &channel.name, who, time, reason: "offline" });
            return Vec::new();
        }
        channels.iter().filter_map(|channel| self.leave_as_guest(seat, who, channel, "disconnected")).collect()
    }

    /// The connection has ended: its seat is free.
    pub fn stand_up(&self, seat: &Seat) {
        let place = (seat.session & ((1 << SEAT_BITS) - 1)) as usize;
        self.seats.write().expect("invariant: nothing panics under this lock").try_remove(place);
    }

    /// After the replay: nobody is connected, so that guests own nothing any more, nor do accounts that have left. Returns the channels that accounts own by it.
    pub fn go_live(&self) -> Vec<Succession> {
        self.live.store(true, Ordering::Release);
        let directory = self.directory();
        let channels: Vec<_> = directory.all_channels().cloned().collect();
        for channel in &channels {
            // An account may have created it as a guest, under another name.
            let owner = channel.owner().and_then(|owner| directory.accounts.get(&owner.id));
            owner.map(|account| channel.set_owner(Some(account.who.clone())));
        }
        // All members are accounts now; an owner who is none has gone or has left.
        let orphaned =
            channels.iter().filter(|channel| channel.owner().is_none_or(|owner| channel.membership(owner.id).is_none()));
        orphaned.filter_map(|channel| self.pass_on(channel)).collect()
    }

    /// The channels that have had neither owner nor member for this many calls.
    pub fn forsaken_channels(&self, calls: u64) -> Vec<Arc<Channel>> {
        let directory = self.directory();
        directory.all_channels().filter(|channel| channel.sweep() >= calls).cloned().collect()
    }
}
