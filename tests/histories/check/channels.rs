//! Channels: who is in them, who owns them and what their topic is. What an answer told is still true unless something that
//! somebody did can have changed it.

use std::collections::{BTreeMap, BTreeSet};

use super::read::{Item, Op, Story, User, id};
use super::settings;
use super::stays::{Presence, Stays};
use crate::record::Moment;

/// Somebody was told, between these moments, that this user owns the channel.
struct Claim<'a> {
    from: Moment,
    to: Moment,
    owner: User,
    told: &'a str,
}

struct Channels<'a> {
    story: &'a Story,
    presence: &'a Presence,
    none: Stays,
    wrong: &'a mut Vec<String>,
}

/// Holds every answer about channels against what was done to them.
pub fn channels(story: &Story, presence: &Presence, wrong: &mut Vec<String>) {
    let mut channels = Channels { story, presence, none: Stays::default(), wrong };
    for op in &story.ops {
        channels.answer(op);
    }
    channels.owners();
    settings::settings(story, presence, channels.wrong);
}

impl<'a> Channels<'a> {
    fn stays(&self, user: User, channel: &str) -> &Stays {
        self.presence.members.get(&(user, channel.to_owned())).unwrap_or(&self.none)
    }

    fn need(&mut self, holds: bool, what: &str, op: &Op) {
        if !holds {
            self.wrong.push(format!("{what}: {op:?}"));
        }
    }

    /// How few and how many can have been members; `user` is one of them.
    fn members(&self, channel: &str, op: &Op) -> (usize, usize) {
        let stays = self.presence.members.iter().filter(|((_, of), _)| of == channel).map(|(_, stays)| stays);
        let possible = stays.filter(|stays| stays.possible(op.sent, op.done));
        possible.fold((0, 0), |(least, most), stays| (least + usize::from(stays.certain(op.sent, op.done)), most + 1))
    }

    fn answer(&mut self, op: &Op) {
        let room = if op.word(0) == "MSG" && op.word(1).starts_with('@') { op.word(2) } else { op.word(1) };
        let (verb, from, to) = (op.word(0), op.sent, op.done);
        if room.starts_with('#') {
            let member = self.stays(op.user, room);
            let (certain, possible) = (member.certain(from, to), member.possible(from, to));
            let channel = self.presence.channels.get(room).unwrap_or(&self.none);
            let (stands, may_stand) = (channel.certain(from, to), channel.possible(from, to));
            let free = ["JOIN", "CREATE", "FOLLOW"].contains(&verb);
            let dup = op.answer.as_ref().is_some_and(|answer| answer.ends_with(" dup"));
            match op.code() {
                None if op.ok().is_none() || dup => (),
                None => {
                    self.need(possible || free, "done by nobody of the channel", op);
                    self.need(if verb == "CREATE" { !stands } else { may_stand }, "done in a channel that is not", op);
                    let is_banned = self.presence.ban(op.user, room).certain(from, to);
                    self.need(!(free && is_banned), "somebody comes in who is banned", op);
                }
                Some("NOT_MEMBER") => self.need(!certain, "a member is refused", op),
                Some("NO_SUCH_CHANNEL") => self.need(!stands, "a channel is denied", op),
                Some("NOT_ALLOWED") if free => self.kept_out(op, room),
                Some("NO_SUCH_USER") if verb == "UNBAN" => {
                    let whom = self.story.whom(op, 2).unwrap_or_default();
                    self.need(!self.presence.ban(whom, room).certain(from, to), "a ban is no more", op);
                }
                Some("CHANNEL_EXISTS") => self.need(may_stand, "a channel is told that is not", op),
                _ => (),
            }
        }
        self.reached(op);
        let Some(fields) = op.ok() else { return };
        let count = |place: usize| fields.get(place).and_then(|count| count.parse::<usize>().ok());
        match verb {
            "JOIN" => {
                let (least, most) = self.members(room, op);
                let before = usize::from(!self.stays(op.user, room).certain(from, to));
                let fits = count(1).is_some_and(|count| (least + before..=most).contains(&count));
                self.need(fits, &format!("members are {least} to {most}"), op);
            }
            "LIST" | "CHANNELS" => {
                self.need(count(0) == Some(op.data.len()), "a count that is not of these", op);
                self.listed(op, room);
            }
            "LOGIN" => self.channels_of(op, id(fields[0])),
            _ => (),
        }
    }

    /// Whoever is kept out was banned, or somebody with their address; or the channel does not take them.
    fn kept_out(&mut self, op: &Op, room: &str) {
        let (from, to) = (op.sent, op.done);
        let is_banned = self.presence.banned.iter().any(|((_, of), stays)| of == room && stays.possible(from, to));
        let may_be = |mode: &str| {
            let stays = self.presence.modes.get(&(mode.to_owned(), room.to_owned()));
            stays.is_some_and(|stays| stays.possible(from, to))
        };
        let became = |other: &&Op| other.word(0) == "REGISTER" && other.user == op.user && other.done < from;
        let is_account = self.story.ops.iter().filter(became).any(|other| other.ok().is_some());
        let as_guest = !is_account && may_be("guests off");
        self.need(as_guest || is_banned || may_be("invite-only on"), "somebody is kept out for no reason", op);
    }

    /// A message to a user who was there is not refused, and one to a guest who has gone is not taken.
    fn reached(&mut self, op: &Op) {
        let target = if op.word(1).starts_with('@') { op.word(2) } else { op.word(1) };
        let Some(stays) = target.parse().ok().and_then(|user: User| self.presence.users.get(&user)) else { return };
        if op.word(0) == "UNIGNORE" {
            let is_ignored = self.presence.ignoring(op.user, target.parse().unwrap_or_default()).certain(op.sent, op.done);
            return self.need(!is_ignored || op.code() != Some("NO_SUCH_USER"), "somebody is ignored no more", op);
        }
        let (certain, possible) = (stays.certain(op.sent, op.done), stays.possible(op.sent, op.done));
        let stored = op.word(0) == "MSG" && op.ok().is_some_and(|fields| fields.len() == 2);
        self.need(!certain || op.code() != Some("NO_SUCH_USER"), "a user is denied", op);
        self.need(possible || !stored, "sent to a guest who has gone", op);
    }

    /// Everybody who was certainly there is in a list, and nobody who cannot have been.
    fn listed(&mut self, op: &Op, room: &str) {
        let shown: BTreeSet<User> =
            op.data.iter().filter(|line| line.starts_with("USER ")).map(|line| id(word(line, 1))).collect();
        if room.starts_with('#') {
            let of_it: Vec<_> = self.presence.members.iter().filter(|((_, of), _)| of == room).collect();
            let certain =
                of_it.iter().filter(|(_, stays)| stays.certain(op.sent, op.done)).all(|((user, _), _)| shown.contains(user));
            let possible = shown.iter().all(|user| self.stays(*user, room).possible(op.sent, op.done));
            self.need(certain && possible, "a list of other members", op);
        } else if op.word(0) == "LIST" {
            self.need(shown.contains(&op.user), "a list without who asks", op);
        }
        for line in op.data.iter().filter(|line| line.starts_with("CHANNEL ")) {
            self.counted(op, line);
        }
        if op.word(0) == "CHANNELS" {
            let names: BTreeSet<_> = op.data.iter().map(|line| word(line, 1)).collect();
            let presence = self.presence;
            let certain = presence.channels.iter().filter(|(_, stays)| stays.certain(op.sent, op.done));
            let all = certain.into_iter().all(|(name, _)| names.contains(name.as_str()));
            let possible =
                names.iter().all(|name| presence.channels.get(*name).is_some_and(|stays| stays.possible(op.sent, op.done)));
            self.need(all && possible, "other channels", op);
        }
    }

    fn counted(&mut self, op: &Op, line: &str) {
        let (least, most) = self.members(word(line, 1), op);
        let fits = word(line, 2).parse().is_ok_and(|count: usize| (least..=most).contains(&count));
        self.need(fits, &format!("{line}: members are {least} to {most}"), op);
    }

    /// LOGIN lists the account's channels.
    fn channels_of(&mut self, op: &Op, user: User) {
        let listed = || op.data.iter().filter(|line| line.starts_with("CHANNEL "));
        let names: BTreeSet<_> = listed().map(|line| word(line, 1)).collect();
        let presence = self.presence;
        let of_it = presence.members.iter().filter(|((member, _), _)| *member == user);
        let certain = of_it.filter(|(_, stays)| stays.certain(op.sent, op.done));
        let all = certain.into_iter().all(|((_, name), _)| names.contains(name.as_str()));
        let possible = names.iter().all(|name| self.stays(user, name).possible(op.sent, op.done));
        self.need(all && possible, "an account's channels are others", op);
        listed().for_each(|line| self.counted(op, line));
    }

    fn claims(&self) -> BTreeMap<&'a str, Vec<Claim<'a>>> {
        let mut claims: BTreeMap<&str, Vec<Claim<'_>>> = BTreeMap::new();
        for op in &self.story.ops {
            let Some(fields) = op.ok() else { continue };
            // Operators set topics, too.
            let may_run = self.presence.operators.contains_key(&(op.user, op.word(1).to_owned()));
            let set = op.word(0) == "TOPIC" && !op.word(2).is_empty() && !may_run;
            if op.word(0) == "GIVE"
                && let Some(owner) = self.story.whom(op, 2)
            {
                claims.entry(op.word(1)).or_default().push(Claim { from: op.sent, to: op.done, owner, told: &op.line });
            }
            for line in op.data.iter().filter(|line| line.starts_with("OPTION ") && word(line, 2) == "owner") {
                let owner = id(word(line, 3));
                claims.entry(word(line, 1)).or_default().push(Claim { from: op.sent, to: op.done, owner, told: line });
            }
            if (set || op.word(0) == "CREATE") && !fields.is_empty() {
                let claim = Claim { from: op.sent, to: op.done, owner: op.user, told: &op.line };
                claims.entry(op.word(1)).or_default().push(claim);
            }
            for line in op.data.iter().filter(|line| line.starts_with("CHANNEL ")) {
                let owner = if word(line, 3) == "-" { 0 } else { id(word(line, 3)) };
                claims.entry(word(line, 1)).or_default().push(Claim { from: op.sent, to: op.done, owner, told: line });
            }
        }
        claims
    }

    /// An owner is a member, stays the owner while nothing ends that, and nobody has been there longer who could have followed.
    fn owners(&mut self) {
        for (channel, mut claims) in self.claims() {
            claims.sort_by_key(|claim| claim.to);
            for (place, claim) in claims.iter().enumerate() {
                let stays = self.stays(claim.owner, channel).clone();
                if claim.owner != 0 && !stays.possible(claim.from, claim.to) {
                    self.wrong.push(format!("{channel} is owned by somebody who is not there: {}", claim.told));
                }
                let before = claims[..place].iter().rfind(|before| before.to < claim.from && before.owner != claim.owner);
                if let Some(before) = before {
                    let stayed = before.owner != 0 && !self.stays(before.owner, channel).may_go(before.from, claim.to);
                    // Without an owner, the next to join owns it.
                    let nobody = before.owner == 0 && stays.enters.iter().all(|e| e.to < before.from || e.from > claim.to);
                    if (stayed || nobody) && !self.is_given(channel, before.from, claim.to) {
                        self.wrong.push(format!("{channel} changes its owner: {} / {}", before.told, claim.told));
                    }
                }
                self.seniority(channel, claim);
            }
        }
        self.passed();
    }

    /// Whether somebody may have given the channel to somebody between these moments.
    fn is_given(&self, channel: &str, from: Moment, to: Moment) -> bool {
        let mut given = self.story.ops.iter().filter(|op| op.word(0) == "GIVE" && op.word(1) == channel && op.may_have_been());
        given.any(|op| op.sent < to && op.done > from)
    }

    /// Whoever has been there longest follows, if they were not given it, and there are no operators.
    fn seniority(&mut self, channel: &str, claim: &Claim<'_>) {
        let is_operator = self.presence.operators.contains_key(&(claim.owner, channel.to_owned()));
        if claim.owner != 0 && (is_operator || self.is_given(channel, 0, claim.to)) {
            return;
        }
        let entered = self.stays(claim.owner, channel).enters.iter().map(|enter| enter.from).min().unwrap_or(0);
        let longer = self.presence.members.iter().filter(|((user, of), _)| of == channel && *user != claim.owner);
        let mut since = longer.filter_map(|((user, _), stays)| Some((*user, stays.since(claim.from, claim.to)?)));
        if let Some((user, _)) = since.find(|(_, enter)| claim.owner == 0 || enter.to < entered) {
            self.wrong.push(format!("{channel}: {user} has been there longer: {}", claim.told));
        }
    }

    /// `OWNER` events name somebody who was there before it was shown.
    fn passed(&mut self) {
        let story = self.story;
        for item in story.lives.values().flat_map(|life| &life.items) {
            let Item::Event(at, event) = item else { continue };
            let (channel, who) = (word(event, 1), id(word(event, 2)));
            if event.starts_with("OWNER ") && !self.stays(who, channel).enters.iter().any(|enter| enter.from < *at) {
                self.wrong.push(format!("somebody owns it who was never there: {event}"));
            }
        }
    }
}

fn word(line: &str, place: usize) -> &str {
    line.split(' ').nth(place).unwrap_or_default()
}
