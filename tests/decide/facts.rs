//! Compares everything visible of the state with the model, and checks what must always be true of the model.

use std::fmt;

use linechat::code::Code;
use linechat::event::{Outcast, Setting, Time};
use linechat::limits::Limits;
use linechat::names::{Seq, UserId};
use linechat::state::{ListedUser, Presence, State, Wanted};

use crate::model::{Channel, Model, folded, look};
use crate::order::{Memory, Order};
use crate::proposals::{CHANNELS, NAMES, Spelling};

/// An error if the two differ.
fn same<T: PartialEq + fmt::Debug>(state: &T, model: &T, what: fmt::Arguments<'_>) -> Result<(), String> {
    if state == model { Ok(()) } else { Err(format!("{what}: the state has {state:?}, the model {model:?}")) }
}

/// How many turns it takes to look at every name and everybody who was ever here.
pub const TURNS: usize = 8;

/// The items of a list that are looked at in this turn.
fn some<T>(list: &[T], turn: usize) -> impl Iterator<Item = &T> {
    list.iter().skip(turn % TURNS).step_by(TURNS)
}

/// All of a list that is not long.
fn all<'a, K>() -> Wanted<'a, K> {
    Wanted { after: None, pattern: None, most: 100 }
}

/// Compares everything visible in [`TURNS`] turns; each turn compares who is connected and which channels there are.
///
/// # Errors
/// The first difference.
pub fn agree(order: &Order, model: &mut Model, turn: usize) -> Result<(), String> {
    let state = &order.state;
    people(state, model, turn)?;
    empty_channels(state, model)?;
    channels(state, model)?;
    marks(state, model)?;
    memberships(state, model, turn)?;
    names_are_found(state, model, turn)?;
    inboxes_agree(&order.memory, model, turn)?;
    invariants(model, &order.limits)
}

/// A user in a list: the name, what they are, and since when.
type Person = (UserId, String, (String, Time));

fn as_listed(ListedUser { who, presence, since }: ListedUser) -> Person {
    let presence = match presence {
        Presence::Online => "online".to_owned(),
        Presence::Away(text) => format!("away: {text}"),
        Presence::Offline => "offline".to_owned(),
    };
    (who.id, who.name.to_string(), (presence, since))
}

fn as_expected(model: &Model, users: &[UserId]) -> Vec<Person> {
    let name = |id: &UserId| model.user(*id).map(|user| user.name.clone()).unwrap_or_default();
    users.iter().map(|id| (*id, name(id), model.presence(*id))).collect()
}

fn people(state: &State, model: &Model, turn: usize) -> Result<(), String> {
    let mut online: Vec<_> = model.users.iter().filter(|user| model.is_online(user.id)).map(|user| user.id).collect();
    online.sort();
    let listed = state.list_online(&all()).found.into_iter().map(as_listed);
    same(&listed.collect::<Vec<_>>(), &as_expected(model, &online), format_args!("who is online"))?;
    same(&state.counts().online, &online.len(), format_args!("how many are online"))?;
    same(&state.accounts(), &model.accounts(), format_args!("the number of accounts"))?;
    for &id in some(&model.ids, turn) {
        let user = model.user(id);
        let named = state.user(id).map(|who| who.name.to_string());
        same(&named, &user.map(|user| user.name.clone()), format_args!("the name of {id}"))?;
        same(&state.is_account(id), &user.is_some_and(|user| user.hash.is_some()), format_args!("whether {id} is an account"))?;
        let ignored = state.list_ignored(id).into_iter().map(|row| (row.who.id, row.who.name.to_string(), row.since));
        same(&ignored.collect(), &model.ignored_by(id), format_args!("whom {id} ignores"))?;
        let mut sessions: Vec<_> = model.connections.iter().filter(|connection| connection.user == id).collect();
        sessions.sort_by_key(|connection| connection.session);
        let sessions: Vec<_> = sessions.into_iter().map(|connection| connection.session).collect();
        same(&state.sessions_of_user(id).collect::<Vec<_>>(), &sessions, format_args!("the connections of {id}"))?;
    }
    for connection in &model.connections {
        same(&state.user_of(connection.session), &Some(connection.user), format_args!("whose {:?} is", connection.session))?;
        same(
            &state.connection(connection.session),
            &Some(connection.hello),
            format_args!("what {:?} is called", connection.session),
        )?;
    }
    Ok(())
}

/// The model takes from the state since which entry a channel has been empty, once, when it becomes empty.
fn empty_channels(state: &State, model: &mut Model) -> Result<(), String> {
    let empty = state.orphaned_channels();
    for channel in model.channels.iter_mut().filter(|channel| channel.members.is_empty() && channel.empty_since.is_none()) {
        channel.empty_since = empty.iter().find(|(id, _)| *id == channel.id).map(|(_, since)| *since);
    }
    let mut expected: Vec<_> = model.channels.iter().filter(|channel| channel.members.is_empty()).collect();
    expected.sort_by_key(|channel| channel.id);
    let expected: Vec<_> = expected.into_iter().map(|channel| (channel.id, channel.empty_since.unwrap_or_default())).collect();
    same(&empty, &expected, format_args!("the empty channels"))?;
    Ok(())
}

/// The model takes from the state where a new member has joined.
fn marks(state: &State, model: &mut Model) -> Result<(), String> {
    let members = model.channels.iter().flat_map(|channel| channel.members.iter().map(|(member, _)| (channel.id, *member)));
    let members: Vec<_> = members.collect();
    model.reads.retain(|(whose, _)| members.contains(whose));
    for (channel, member) in members {
        let read = state.read_in(channel, member);
        if model.read_in(channel, member).is_none() {
            model.reads.extend(read.map(|read| ((channel, member), read)));
        }
        same(&read, &model.read_in(channel, member), format_args!("up to where {member} has read {channel}"))?;
    }
    Ok(())
}

type Listed = (Seq, String, u64, Option<(UserId, String)>, Option<String>, Option<String>);

/// What a viewer sees of the channels: not those that are hidden from them, nor topics of those that not everybody may join.
fn channels_as_seen(state: &State, model: &Model, viewer: UserId) -> Result<(), String> {
    let seen: Vec<Listed> = state
        .list_channels(Some(viewer), &all())
        .found
        .into_iter()
        .map(|channel| {
            let owner = channel.owner.map(|who| (who.id, who.name.to_string()));
            let (topic, key) = (channel.topic.as_deref().map(str::to_owned), channel.key.as_deref().map(str::to_owned));
            (channel.id, channel.name.to_string(), channel.members, owner, topic, key)
        })
        .collect();
    let mut sorted: Vec<_> = model.channels.iter().collect();
    sorted.sort_by_key(|channel| folded(&CHANNELS, &channel.name));
    let expected: Vec<Listed> = sorted
        .into_iter()
        .filter(|channel| !channel.rules.is_hidden || channel.has(viewer))
        .map(|channel| {
            let has = channel.has(viewer);
            let Channel { id, name, owner, topic, key, members, rules, .. } = channel.clone();
            let owner = owner.and_then(|owner| model.user(owner)).map(|user| (user.id, user.name.clone()));
            (id, name, members.len() as u64, owner, topic.filter(|_| !(key.is_some() || rules.is_invite_only) || has), key)
        })
        .collect();
    same(&seen, &expected, format_args!("the channels that {viewer} sees"))
}

fn channels(state: &State, model: &Model) -> Result<(), String> {
    channels_as_seen(state, model, UserId(0))?;
    model.users.first().map_or(Ok(()), |user| channels_as_seen(state, model, user.id))?;
    for channel in &model.channels {
        let mut members = channel.members.clone();
        members.sort();
        let members: Vec<_> = members.into_iter().map(|(id, _)| id).collect();
        let listed = state.list_members(channel.id, &all()).found.into_iter().map(as_listed);
        let expected = as_expected(model, &members);
        same(&listed.collect::<Vec<_>>(), &expected, format_args!("the members of {}", channel.name))?;
        government(state, channel)?;
        same(
            &state.member_ids(channel.id).count(),
            &members.len(),
            format_args!("the ids of the members of {}", channel.name),
        )?;
    }
    Ok(())
}

/// Compares who is in charge of a channel, who is kept out, and its options.
fn government(state: &State, channel: &Channel) -> Result<(), String> {
    let rules = &channel.rules;
    let mut operators = rules.operators.clone();
    operators.sort();
    let seen: Vec<_> = state.operators(channel.id).collect();
    same(&seen, &operators, format_args!("the operators of {}", channel.name))?;
    let mut invited = rules.invited.clone();
    invited.sort();
    let seen: Vec<_> = state.invited_to(channel.id).collect();
    same(&seen, &invited, format_args!("who is invited to {}", channel.name))?;
    let mut bans: Vec<_> = rules.bans.iter().map(|ban| (ban.outcast, ban.whom.clone(), ban.until)).collect();
    bans.sort_by_key(|(outcast, ..)| *outcast);
    let seen: Vec<_> = state.bans_of(channel.id).map(|ban| (ban.outcast, ban.whom(), ban.until)).collect();
    same(&seen, &bans, format_args!("the bans of {}", channel.name))?;
    let settings = [
        Setting::Key(channel.key.as_deref().map(Into::into)),
        Setting::InviteOnly(rules.is_invite_only),
        Setting::Slow(rules.slow),
        Setting::OperatorsSpeak(rules.operators_speak),
        Setting::Hidden(rules.is_hidden),
        Setting::Keep(rules.keep),
        Setting::Guests(!rules.refuses_guests),
    ];
    same(&state.settings(channel.id), &Some(settings), format_args!("the options of {}", channel.name))
}

/// Compares who may read what.
fn memberships(state: &State, model: &Model, turn: usize) -> Result<(), String> {
    for &id in some(&model.ids, turn) {
        let mut mine: Vec<_> = model.channels.iter().filter(|channel| channel.has(id)).map(|channel| channel.id).collect();
        mine.sort();
        same(&state.channels_of(id).collect::<Vec<_>>(), &mine, format_args!("the channels of {id}"))?;
        for Spelling { text, .. } in some(&CHANNELS, turn / TURNS + id.0 as usize) {
            let expected = match model.channel(text) {
                None => Err(Code::NoSuchChannel),
                Some(channel) if channel.has(id) => Ok(channel.id),
                Some(_) => Err(Code::NotMember),
            };
            same(
                &state.may_read(id, text).map_err(|refusal| refusal.code),
                &expected,
                format_args!("whether {id} may read #{text}"),
            )?;
        }
    }
    Ok(())
}

fn names_are_found(state: &State, model: &Model, turn: usize) -> Result<(), String> {
    for Spelling { text, .. } in some(&NAMES, turn) {
        let user = model.user_named(text);
        same(&state.user_named(text), &user.map(|user| user.id), format_args!("who is called {text}"))?;
        let hash = user.and_then(|user| user.hash.clone());
        same(&state.password_of(text).as_deref().map(str::to_owned), &hash, format_args!("the password of {text}"))?;
    }
    for user in some(&model.users, turn) {
        same(&state.user_named(&user.name.to_uppercase()), &Some(user.id), format_args!("who is called {}", user.name))?;
    }
    for Spelling { text, .. } in some(&CHANNELS, turn) {
        same(
            &state.channel_named(text),
            &model.channel(text).map(|channel| channel.id),
            format_args!("what channel is called {text}"),
        )?;
    }
    Ok(())
}

/// Compares what each inbox holds.
///
/// # Errors
/// The first difference.
pub fn inboxes_agree(memory: &Memory, model: &Model, turn: usize) -> Result<(), String> {
    for &id in some(&model.ids, turn) {
        let inbox = memory.holds(id);
        same(&(inbox.count - inbox.read_count), &model.unread(id), format_args!("the unread messages of {id}"))?;
        same(&inbox.read, &model.mark(id), format_args!("the mark of {id}"))?;
        same(&inbox.unread_bytes, &model.unread_bytes(id), format_args!("the unread bytes of {id}"))?;
        if model.user(id).is_some() && inbox.count - inbox.read_count > model.limits.inbox {
            return Err(format!("the inbox of {id} holds too much: {inbox:?}"));
        }
    }
    Ok(())
}

/// No two of these names are equal or look alike.
fn none_alike<'a>(list: &[Spelling], names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let (mut fold, mut looks) = (Vec::new(), Vec::new());
    for name in names {
        let (this, like) = (folded(list, name), look(list, name));
        if fold.contains(&this) || looks.contains(&like) {
            return Err(format!("{name} is called like somebody else"));
        }
        fold.push(this);
        looks.push(like);
    }
    Ok(())
}

/// The model has been found equal to the state, so this is true of both.
fn invariants(model: &Model, limits: &Limits) -> Result<(), String> {
    none_alike(&NAMES, model.users.iter().map(|user| user.name.as_str()))?;
    none_alike(&CHANNELS, model.channels.iter().map(|channel| channel.name.as_str()))?;
    for channel in &model.channels {
        let is_out = |id: UserId| channel.rules.bans.iter().any(|ban| ban.outcast == Outcast::User(id) && ban.holds(model.now));
        if let Some((id, _)) = channel.members.iter().find(|(id, _)| is_out(*id)) {
            return Err(format!("{} is banned from {} and in it", id, channel.name));
        }
        if channel.members.len() as u64 > limits.members {
            return Err(format!("{} has too many members", channel.name));
        }
        let owns = channel.owner.map(|owner| channel.has(owner));
        if owns != (!channel.members.is_empty()).then_some(true) {
            return Err(format!("{} is owned by {:?} and has the members {:?}", channel.name, channel.owner, channel.members));
        }
    }
    let is_too_much = |user: UserId| model.channels_of(user) > limits.channels_per_user;
    if model.channels.len() as u64 > limits.channels
        || model.accounts() > limits.accounts
        || model.ids.iter().any(|id| is_too_much(*id))
    {
        return Err("there are more channels or accounts than there may be".into());
    }
    Ok(())
}
