//! The directory: accounts, who is online, which names are taken, which channels there are.
//!
//! Users and channels are found by id or by their folded name; look-alikes of a name cannot be taken while it is held.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use crate::event::Time;
use crate::hub::Hub;
use crate::hub::channel::{Channel, Listed};
use crate::hub::presence::NameTaken;
use crate::hub::room::Room;
use crate::hub::wake::Seat;
use crate::names::{Name, Seq, UserId, Who, fold, look};

/// An account.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name and id.
    pub who: Who,
    /// The PHC string of its password.
    pub password: Arc<str>,
    pub(super) channels: Vec<Seq>,
}

/// A user who is connected.
#[derive(Debug)]
pub(super) struct Online {
    pub who: Who,
    pub since: Time,
    pub inbox: Arc<Room>,
    pub seats: Vec<Arc<Seat>>,
    /// A guest's channels; an account's are with the account.
    pub channels: Vec<Seq>,
}

/// The first id that is given out; ids of four digits are easy to tell from text and to type.
const FIRST_ID: u64 = 1000;

/// See the module.
#[derive(Debug)]
pub(super) struct Directory {
    pub accounts: HashMap<UserId, Account>,
    pub online: BTreeMap<UserId, Online>,
    /// Users by folded name.
    names: HashMap<String, Who>,
    looks: HashMap<String, UserId>,
    channels: BTreeMap<String, Arc<Channel>>,
    by_id: HashMap<Seq, Arc<Channel>>,
    channel_looks: HashMap<String, Seq>,
    pub next_id: u64,
    pub ids_below: u64,
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            accounts: HashMap::new(),
            online: BTreeMap::new(),
            names: HashMap::new(),
            looks: HashMap::new(),
            channels: BTreeMap::new(),
            by_id: HashMap::new(),
            channel_looks: HashMap::new(),
            next_id: FIRST_ID,
            ids_below: FIRST_ID,
        }
    }
}

impl Directory {
    pub fn user(&self, id: UserId) -> Option<&Who> {
        let online = self.online.get(&id).map(|online| &online.who);
        online.or_else(|| self.accounts.get(&id).map(|account| &account.who))
    }

    pub fn user_named(&self, name: &str) -> Option<&Who> {
        let folded = fold(name);
        if let Some(who) = self.names.get(&*folded) {
            return Some(who);
        }
        // A guest's first name is not in the table: it is its number, as long as the guest goes by it.
        let id = folded.strip_prefix("guest-")?.parse().ok().map(UserId)?;
        self.user(id).filter(|who| fold(who.name.as_str()) == folded)
    }

    /// Whether nobody but `id` has the name or one that looks like it.
    pub fn is_free(&self, name: &str, id: UserId) -> Result<(), NameTaken> {
        match self.looks.get(&look(name)) {
            Some(&holder) if holder != id => {
                let by = self.user(holder).cloned().unwrap_or_else(|| Who { name: Name::new(name), id: holder });
                Err(NameTaken { by, is_account: self.accounts.contains_key(&holder) })
            }
            _ => Ok(()),
        }
    }

    /// Takes the name for `id`. A guest's first name is taken by nobody: it is found by its number.
    pub fn take_name(&mut self, name: &Name, id: UserId) {
        if *name != Name::guest(id) {
            self.looks.insert(look(name.as_str()), id);
            self.names.insert(fold(name.as_str()).into(), Who { name: name.clone(), id });
        }
    }

    /// Gives back the name that `id` holds. A guest's first name is held by nobody.
    pub fn give_name(&mut self, name: &Name, id: UserId) {
        let (folded, look) = (fold(name.as_str()), look(name.as_str()));
        if self.names.get(&*folded).is_some_and(|who| who.id == id) {
            self.names.remove(&*folded);
            self.looks.remove(&look);
        }
    }

    /// Gives back the spelling `old` of a user who goes by a look-alike of it now.
    pub fn give_spelling(&mut self, old: &Name, new: &Who) {
        if fold(old.as_str()) != fold(new.name.as_str()) {
            self.names.remove(&*fold(old.as_str()));
        }
    }

    /// Notes that the user is in a channel; false when there is no such user.
    pub fn enter_channel(&mut self, id: UserId, channel: Seq) -> bool {
        let Some(channels) = self.channels_of(id) else { return false };
        if let Err(place) = channels.binary_search(&channel) {
            // Most are in one, and a set of one takes as much memory as one of eleven.
            channels.reserve_exact(1);
            channels.insert(place, channel);
        }
        true
    }

    /// Notes that the user is not in it any more.
    pub fn leave_channel(&mut self, id: UserId, channel: Seq) {
        if let Some(channels) = self.channels_of(id) {
            channels.retain(|other| *other != channel);
        }
    }

    /// The user's channels by identity, in the order of their creation.
    fn channels_of(&mut self, id: UserId) -> Option<&mut Vec<Seq>> {
        match self.accounts.get_mut(&id) {
            Some(account) => Some(&mut account.channels),
            None => self.online.get_mut(&id).map(|online| &mut online.channels),
        }
    }

    pub fn channel(&self, id: Seq) -> Option<&Arc<Channel>> {
        self.by_id.get(&id)
    }

    pub fn add_channel(&mut self, channel: Arc<Channel>) {
        self.channel_looks.insert(look(channel.name.as_str()), channel.id);
        self.by_id.insert(channel.id, Arc::clone(&channel));
        self.channels.insert(fold(channel.name.as_str()).into(), channel);
    }

    pub fn remove_channel(&mut self, id: Seq) -> Option<Arc<Channel>> {
        let channel = self.by_id.remove(&id)?;
        self.channels.remove(&*fold(channel.name.as_str()));
        self.channel_looks.remove(&look(channel.name.as_str()));
        for member in channel.list(None, usize::MAX) {
            self.leave_channel(member.who.id, id);
        }
        Some(channel)
    }

    pub fn all_channels(&self) -> impl Iterator<Item = &Arc<Channel>> {
        self.channels.values()
    }

    /// Marks the seats of a user as having joined or left something.
    pub fn mark_moved(&self, id: UserId) {
        self.online.get(&id).into_iter().flat_map(|online| &online.seats).for_each(|seat| seat.mark_moved());
    }
}

impl Hub {
    /// The user with this id, if there is one who can be written to.
    pub fn find_id(&self, id: UserId) -> Option<Who> {
        self.directory().user(id).cloned()
    }

    /// The user of this name, whatever its case.
    pub fn find_name(&self, name: &str) -> Option<Who> {
        self.directory().user_named(name).cloned()
    }

    /// The account of this name, whatever its case.
    pub fn find_account(&self, name: &str) -> Option<Account> {
        let directory = self.directory();
        directory.user_named(name).and_then(|who| directory.accounts.get(&who.id)).cloned()
    }

    /// The channel of this name, whatever its case.
    pub fn find_channel(&self, name: &str) -> Option<Arc<Channel>> {
        self.directory().channels.get(&*fold(name)).cloned()
    }

    /// Whether a channel has this name or one that looks like it.
    pub fn is_channel_taken(&self, name: &str) -> bool {
        let directory = self.directory();
        directory.channels.contains_key(&*fold(name)) || directory.channel_looks.contains_key(&look(name))
    }

    /// How many accounts and channels there are.
    pub fn counts(&self) -> (usize, usize) {
        let directory = self.directory();
        (directory.accounts.len(), directory.channels.len())
    }

    /// Up to `most` users who are online, after `after`, ordered by id.
    pub fn list_online(&self, after: Option<UserId>, most: usize) -> Vec<Listed> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let directory = self.directory();
        let online = directory.online.range((from, Bound::Unbounded)).take(most);
        online.map(|(_, user)| Listed { who: user.who.clone(), since: user.since, online: true }).collect()
    }

    /// Up to `most` members of a channel, after `after`, ordered by id.
    pub fn list_members(&self, channel: &Channel, after: Option<UserId>, most: usize) -> Vec<Listed> {
        let mut members = channel.list(after, most);
        let directory = self.directory();
        members.iter_mut().for_each(|member| member.online = directory.online.contains_key(&member.who.id));
        members
    }

    /// Up to `most` channels after the one called `after`, ordered by folded name.
    pub fn list_channels(&self, after: Option<&Name>, most: usize) -> Vec<Arc<Channel>> {
        let from = after.map_or(Bound::Unbounded, |name| Bound::Excluded(fold(name.as_str()).into_owned()));
        self.directory().channels.range((from, Bound::Unbounded)).take(most).map(|(_, channel)| Arc::clone(channel)).collect()
    }

    /// The channels that the user is a member of.
    pub fn channels_of(&self, id: UserId) -> Vec<Arc<Channel>> {
        let directory = self.directory();
        let account = directory.accounts.get(&id).map(|account| &account.channels);
        let ids = account.or_else(|| directory.online.get(&id).map(|online| &online.channels));
        ids.into_iter().flatten().filter_map(|id| directory.channel(*id).cloned()).collect()
    }
}
