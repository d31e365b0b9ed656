//! Who was somewhere, and when: stays with edges that are only known to lie between two moments. It owns what it was told of
//! entries and exits, and must never guess: what is not certain it calls possible.

use std::collections::{BTreeMap, BTreeSet};

use super::read::{Op, Story, User, id};
use crate::record::{Moment, NEVER};

/// A change that happened once between two moments, or perhaps not at all.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// Not before this.
    pub from: Moment,
    /// Not after this.
    pub to: Moment,
    /// Whether it did.
    pub sure: bool,
}

impl Change {
    /// What this line changed, if it did.
    pub fn of(op: &Op) -> Self {
        Self { from: op.sent, to: op.done, sure: op.answer.is_some() }
    }
}

/// Entries and exits of one subject at one place.
#[derive(Debug, Clone, Default)]
pub struct Stays {
    /// Its entries.
    pub enters: Vec<Change>,
    /// Its exits.
    pub exits: Vec<Change>,
}

impl Stays {
    /// The latest entry since which it has certainly been there, all through these moments.
    pub fn since(&self, from: Moment, to: Moment) -> Option<Change> {
        let stayed = |enter: &&Change| self.exits.iter().all(|exit| exit.to < enter.from || exit.from > to);
        self.enters.iter().filter(|enter| enter.sure && enter.to < from).filter(stayed).copied().min_by_key(|enter| enter.to)
    }

    /// Whether it was certainly there, all through these moments.
    pub fn certain(&self, from: Moment, to: Moment) -> bool {
        self.since(from, to).is_some()
    }

    /// Whether it may have been there at one of these moments.
    pub fn possible(&self, from: Moment, to: Moment) -> bool {
        let over = |enter: &Change| self.exits.iter().any(|exit| exit.sure && exit.from > enter.to && exit.to < from);
        self.enters.iter().any(|enter| enter.from < to && !over(enter))
    }

    /// Whether it may have gone at one of these moments.
    pub fn may_go(&self, from: Moment, to: Moment) -> bool {
        self.exits.iter().any(|exit| exit.from < to && exit.to > from)
    }
}

/// Memberships by user and channel, channels by name, and names by user.
#[derive(Debug, Default)]
pub struct Presence {
    /// Of users in channels.
    pub members: BTreeMap<(User, String), Stays>,
    /// Of channels.
    pub channels: BTreeMap<String, Stays>,
    /// Of names.
    pub names: BTreeMap<(User, String), Stays>,
    /// The users that are accounts, or may be.
    pub accounts: BTreeSet<User>,
    /// When users were there to be written to.
    pub users: BTreeMap<User, Stays>,
    /// Of users among the operators of channels.
    pub operators: BTreeMap<(User, String), Stays>,
    /// Of users among those who are kept out of channels.
    pub banned: BTreeMap<(User, String), Stays>,
    /// Of what is switched in channels, such as `guests off`.
    pub modes: BTreeMap<(String, String), Stays>,
    /// Of users among those whom another, who comes first, ignores.
    pub ignored: BTreeMap<(User, User), Stays>,
}

static NOWHERE: Stays = Stays { enters: Vec::new(), exits: Vec::new() };

impl Presence {
    /// When this user was a member of the channel.
    pub fn member(&self, user: User, channel: &str) -> &Stays {
        self.members.get(&(user, channel.to_owned())).unwrap_or(&NOWHERE)
    }

    /// When this user was an operator of the channel.
    pub fn operator(&self, user: User, channel: &str) -> &Stays {
        self.operators.get(&(user, channel.to_owned())).unwrap_or(&NOWHERE)
    }

    /// When this user was kept out of the channel.
    pub fn ban(&self, user: User, channel: &str) -> &Stays {
        self.banned.get(&(user, channel.to_owned())).unwrap_or(&NOWHERE)
    }

    /// When one user ignored the other.
    pub fn ignoring(&self, by: User, whom: User) -> &Stays {
        self.ignored.get(&(by, whom)).unwrap_or(&NOWHERE)
    }
}

/// Everything that a recording tells of where somebody was.
pub fn presence(story: &Story) -> Presence {
    let mut presence = Presence::default();
    let exits = exits_of_guests(story, &mut presence);
    for op in story.ops.iter().filter(|op| op.may_have_been()) {
        let (change, channel) = (Change::of(op), op.word(1).to_owned());
        match op.word(0) {
            "JOIN" | "FOLLOW" => presence.members.entry((op.user, channel)).or_default().enters.push(change),
            "CREATE" => {
                presence.members.entry((op.user, channel.clone())).or_default().enters.push(change);
                presence.channels.entry(channel).or_default().enters.push(change);
            }
            "LEAVE" => presence.members.entry((op.user, channel)).or_default().exits.push(change),
            "CLOSE" => presence.channels.entry(channel).or_default().exits.push(change),
            "NAME" | "REGISTER" => {
                let old = presence.names.iter_mut().filter(|((user, _), _)| *user == op.user);
                old.for_each(|(_, stays)| stays.exits.push(change));
                presence.names.entry((op.user, channel)).or_default().enters.push(change);
            }
            _ => govern(story, op, &mut presence),
        }
    }
    for op in story.ops.iter().filter(|op| op.word(0) == "BAN" && op.may_have_been()) {
        puts_out_guests(story, op, &mut presence);
    }
    for ((user, channel), stays) in &mut presence.members {
        stays.exits.extend(exits.get(user).into_iter().flatten());
        stays.exits.extend(presence.channels.get(channel).iter().flat_map(|stays| &stays.exits));
    }
    // Whoever leaves is no operator any more.
    for (who, stays) in &mut presence.operators {
        stays.exits.extend(presence.members.get(who).iter().flat_map(|stays| &stays.exits));
    }
    for ((_, channel), stays) in presence.banned.iter_mut() {
        stays.exits.extend(presence.channels.get(channel).iter().flat_map(|stays| &stays.exits));
    }
    for ((_, channel), stays) in presence.modes.iter_mut() {
        stays.exits.extend(presence.channels.get(channel).iter().flat_map(|stays| &stays.exits));
    }
    for ((user, _), stays) in &mut presence.names {
        stays.exits.extend(exits.get(user).into_iter().flatten());
    }
    presence
}

/// What a line did to somebody else, or to who may come in.
fn govern(story: &Story, op: &Op, presence: &mut Presence) {
    let (change, channel) = (Change::of(op), op.word(1).to_owned());
    if op.word(0) == "SET" && !op.word(3).is_empty() {
        for value in ["on", "off"] {
            let mode = presence.modes.entry((format!("{} {value}", op.word(2)), channel.clone())).or_default();
            if value == op.word(3) { mode.enters.push(change) } else { mode.exits.push(change) }
        }
        return;
    }
    let place = if op.word(0).ends_with("IGNORE") { 1 } else { 2 };
    let Some(whom) = story.whom(op, place) else { return };
    let (it, user) = ((whom, channel.clone()), op.user);
    match op.word(0) {
        "KICK" => presence.members.entry(it).or_default().exits.push(change),
        "BAN" => {
            presence.members.entry(it.clone()).or_default().exits.push(change);
            presence.banned.entry(it).or_default().enters.push(change);
        }
        "UNBAN" => presence.banned.entry(it).or_default().exits.push(change),
        "OP" => presence.operators.entry(it).or_default().enters.push(change),
        "DEOP" => presence.operators.entry(it).or_default().exits.push(change),
        // Who gives it stays, as an operator; who gets it may be shown as both.
        "GIVE" if whom != user => presence.operators.entry((user, channel)).or_default().enters.push(change),
        "IGNORE" => presence.ignored.entry((user, whom)).or_default().enters.push(change),
        "UNIGNORE" => presence.ignored.entry((user, whom)).or_default().exits.push(change),
        _ => (),
    }
}

/// A guest is kept out with their address, from where all the others are, too: a ban may have put out whoever is no account.
fn puts_out_guests(story: &Story, op: &Op, presence: &mut Presence) {
    let perhaps = Change { sure: false, ..Change::of(op) };
    let became = |other: &&Op| other.word(0) == "REGISTER" && other.ok().is_some() && other.done < op.sent;
    let accounts: BTreeSet<_> = story.ops.iter().filter(became).map(|other| other.user).collect();
    let of_it = presence.members.iter_mut().filter(|((_, of), _)| of == op.word(1));
    of_it.filter(|((user, _), _)| !accounts.contains(user)).for_each(|(_, stays)| stays.exits.push(perhaps));
}

/// When those who were guests went. Who became an account stays; who asked to and was not answered may have stayed.
fn exits_of_guests(story: &Story, presence: &mut Presence) -> BTreeMap<User, Vec<Change>> {
    let mut exits: BTreeMap<User, Vec<Change>> = BTreeMap::new();
    let registered = |op: &&Op| op.word(0) == "REGISTER" && op.may_have_been();
    let became: BTreeMap<_, _> = story.ops.iter().filter(registered).map(|op| (op.user, op.answer.is_some())).collect();
    for (number, life) in &story.lives {
        let mut of_it = story.ops.iter().filter(|op| op.connection == *number);
        let login = of_it.rfind(|op| op.word(0) == "LOGIN" && op.may_have_been());
        let became = became.get(&life.guest);
        let mut change = Change { from: life.ended.0, to: life.ended.1, sure: became.is_none() };
        if let Some(login) = login {
            let done = login.answer.is_some();
            let to = if done { login.done } else { life.ended.1 };
            change = Change { from: login.sent.min(life.ended.0), to, sure: done || change.sure };
        }
        if became != Some(&true) && change.from != NEVER {
            exits.entry(life.guest).or_default().push(change);
        }
        let opened = Change { from: 0, to: 0, sure: true };
        let stays = Stays { enters: vec![opened], exits: exits.get(&life.guest).cloned().unwrap_or_default() };
        presence.users.insert(life.guest, stays);
    }
    presence.accounts.extend(became.into_keys());
    let logins = story.ops.iter().filter(|op| op.word(0) == "LOGIN");
    presence.accounts.extend(logins.filter_map(|op| Some(id(op.ok()?.first()?))));
    for user in &presence.accounts {
        presence.users.entry(*user).or_default().enters.push(Change { from: 0, to: 0, sure: true });
    }
    exits
}
