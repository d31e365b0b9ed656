//! Applying entries: the one function that changes the state.
//!
//! It refuses nothing, because every entry has been decided. The entries that hold compaction keys, applied in the order of
//! their seqs, make the same state as all entries did.

use std::net::IpAddr;
use std::sync::Arc;

use crate::event::{Access, Entry, Event, NodeId, SessionId};
use crate::names::{Name, Seq, UserId, Who, fold, skeletons};
use crate::state::{Channel, Member, Node, Options, Session, State, User};

impl State {
    /// Applies an entry. Its seq must be higher than all before.
    pub fn apply(&mut self, entry: &Entry) {
        self.counters.seq = entry.seq;
        let channel = entry.room.and_then(crate::event::RoomId::channel);
        match (&entry.event, channel) {
            (Event::Came { session, who, address }, _) => self.come(*session, who, *address, entry),
            (Event::Named { who, .. }, _) => self.rename(who),
            (Event::Registered { who, password }, _) => {
                self.rename(who);
                if self.users.get(&who.id).is_some_and(|user| user.password.is_none()) {
                    self.counters.accounts += 1;
                }
                self.users.change(&who.id, |user| user.password = Some(password.clone()));
            }
            (Event::LoggedIn { session, guest, account, token, untold }, _) => {
                self.log_in(*session, *guest, *account, entry);
                token.iter().for_each(|label| self.tokens.used(*session, *account, label));
                if let Some(came) = untold {
                    self.unannounced.insert(*session, *came);
                }
            }
            (Event::Access(access), _) => self.access(access, entry),
            (Event::Went { session, guest } | Event::Dismissed { session, guest, .. }, _) => {
                self.end_session(*session);
                guest.iter().for_each(|guest| self.forget(*guest));
            }
            (Event::NodeEnded { node, guests }, _) => {
                self.all_sessions_of(*node).into_iter().for_each(|session| self.end_session(session));
                guests.iter().for_each(|guest| self.forget(*guest));
                self.nodes.remove(node);
            }
            (Event::Entered { node, .. }, _) => self.node_enters(*node, entry),
            (Event::Ordered { stream, place, print, numbers, features }, _) => {
                (self.counters.print, self.counters.features) = (*print, *features);
                (self.counters.order, self.counters.time) = (Some((*stream, *place)), entry.time);
                for (node, number, heard) in numbers {
                    self.nodes.change(node, |row| (row.number, row.heard) = (*number, *heard));
                }
            }
            (Event::Given { id }, _) => self.counters.next_id = UserId(id.0 + 1),
            (Event::Ids { below }, _) => self.counters.ids_below = *below,
            (_, Some(channel)) => self.apply_in(channel, entry),
            // Messages and read marks are the store's business.
            (event, None) => self.attend(event, entry.time),
        }
    }

    /// Applies an entry of a channel. Messages are the store's business.
    fn apply_in(&mut self, channel: Seq, entry: &Entry) {
        match &entry.event {
            Event::Created { channel: name, owner, key } => {
                self.channel_names.insert(fold(name.as_str()).into(), channel);
                for form in skeletons(name.as_str()) {
                    self.channel_skeletons.insert((form, channel), ());
                }
                let (name, key, founder, owner) = (name.clone(), key.clone(), owner.clone(), Some(owner.id));
                let row = Channel {
                    name,
                    key,
                    founder,
                    owner,
                    topic: None,
                    members: 0,
                    orphaned: None,
                    address: None,
                    options: Options::default(),
                    invited: 0,
                };
                self.channels.insert(channel, row);
            }
            Event::Counted { address } => {
                self.channels.change(&channel, |channel| channel.address = Some(*address));
                self.count_channel(*address, 1);
            }
            Event::Joined { who, since, rank, lasts, .. } => {
                self.memberships.insert((who.id, channel), ());
                let (since, rank, lasts) = (*since, *rank, *lasts);
                let row = Member { since, rank, lasts, read: rank, is_operator: false, spoke: None };
                if self.members.insert((channel, who.id), row) {
                    self.channels.change(&channel, |channel| channel.members += 1);
                }
                self.uninvite(channel, who.id);
            }
            Event::Read { by, upto } => self.members.change(&(channel, *by), |member| member.read = *upto),
            Event::Left { who, .. } | Event::Kicked { who, .. } => {
                self.memberships.remove(&(who.id, channel));
                if self.members.remove(&(channel, who.id)).is_some() {
                    self.channels.change(&channel, |channel| channel.members -= 1);
                }
            }
            Event::Owner { who, .. } => self.channels.change(&channel, |channel| {
                channel.owner = who.as_ref().map(|who| who.id);
                channel.orphaned = who.is_none().then_some(entry.seq);
            }),
            Event::Topic { text, .. } => {
                self.channels.change(&channel, |channel| channel.topic = Some(text.clone()));
            }
            Event::Closed { .. } => self.close(channel),
            event => self.govern(channel, event, entry.time),
        }
    }

    fn access(&mut self, access: &Access, entry: &Entry) {
        self.tokens.apply(access, entry.time);
        self.barred.apply(access, entry.time);
        match access {
            Access::PasswordSet { account, password } => {
                self.users.change(account, |user| user.password = Some(Arc::clone(password)));
            }
            Access::Unregistered { who } => {
                self.forget(who.id);
                self.counters.accounts -= 1;
            }
            _ => {}
        }
    }

    fn node_enters(&mut self, node: NodeId, entry: &Entry) {
        if let Event::Entered { name, incarnation, token, limits, features, .. } = &entry.event {
            let (name, heard, features) = (name.clone(), entry.time, *features);
            let row = Node { name, incarnation: *incarnation, token: *token, limits: *limits, features, number: 0, heard };
            self.nodes.insert(node, row);
        }
    }

    fn come(&mut self, session: SessionId, who: &Who, address: Option<IpAddr>, entry: &Entry) {
        self.users.insert(who.id, User { name: who.name.clone(), password: None });
        self.sessions.insert(session, Session { connection: who.id, user: who.id, since: entry.time, address });
        self.connect(who.id, session);
    }

    /// Gives the user this name, and creates the user if there is none yet.
    fn rename(&mut self, who: &Who) {
        if let Some(user) = self.users.get(&who.id) {
            let old = user.name.clone();
            self.free_name(&old, who.id);
            self.users.change(&who.id, |user| user.name = who.name.clone());
        } else {
            self.users.insert(who.id, User { name: who.name.clone(), password: None });
        }
        // A guest's first name is not in the table: it is found by its number.
        if who.name != Name::guest(who.id) {
            self.names.insert(fold(who.name.as_str()).into(), who.id);
            for form in skeletons(who.name.as_str()) {
                self.skeletons.insert((form, who.id), ());
            }
        }
    }

    /// Frees a name that the user holds. A guest's first name is not in the table.
    fn free_name(&mut self, name: &Name, id: UserId) {
        let folded = fold(name.as_str());
        if self.names.get(&*folded) == Some(&id) {
            self.names.remove(&*folded);
            for form in skeletons(name.as_str()) {
                self.skeletons.remove(&(form, id));
            }
        }
    }

    fn log_in(&mut self, session: SessionId, guest: UserId, account: UserId, entry: &Entry) {
        self.disconnect(guest, session);
        self.connect(account, session);
        self.sessions.change(&session, |session| (session.user, session.since) = (account, entry.time));
        self.forget(guest);
    }

    fn connect(&mut self, user: UserId, session: SessionId) {
        self.online += usize::from(!self.is_online(user));
        self.connections.insert((user, session), ());
    }

    fn disconnect(&mut self, user: UserId, session: SessionId) {
        if self.connections.remove(&(user, session)).is_some() && !self.is_online(user) {
            self.online -= 1;
        }
    }

    fn end_session(&mut self, session: SessionId) {
        if let Some(Session { user, .. }) = self.sessions.remove(&session) {
            self.disconnect(user, session);
        }
        self.unannounced.remove(&session);
        self.tokens.ended(session);
    }

    /// Removes a user, whose memberships have ended before.
    fn forget(&mut self, user: UserId) {
        if let Some(User { name, .. }) = self.users.remove(&user) {
            self.free_name(&name, user);
        }
        self.end_presence(user);
    }

    /// Counts channels to an address; one without any has no row.
    fn count_channel(&mut self, address: IpAddr, more: i64) {
        match self.channels_from(address).saturating_add_signed(more) {
            0 => drop(self.channel_counts.remove(&address)),
            count => drop(self.channel_counts.insert(address, count)),
        }
    }

    fn close(&mut self, channel: Seq) {
        let Some(row) = self.channels.remove(&channel) else { return };
        row.address.iter().for_each(|address| self.count_channel(*address, -1));
        self.channel_names.remove(&*fold(row.name.as_str()));
        for form in skeletons(row.name.as_str()) {
            self.channel_skeletons.remove(&(form, channel));
        }
        self.end_government(channel);
        for member in self.member_ids(channel).collect::<Vec<_>>() {
            self.members.remove(&(channel, member));
            self.memberships.remove(&(member, channel));
        }
    }
}
