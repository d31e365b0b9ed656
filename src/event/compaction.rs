//! What each kind of event does to the compaction keys, by which the state can be loaded without the history.
//!
//! A key is a path: freeing one also frees all below it. So what ends with a member lies below the member's key, what ends with an
//! account below the account's, and what ends with a connection below the connection's. This file must never look at the state.

use std::fmt;

use crate::event::{Event, Ignored, Outcast, SessionId, Unignored};
use crate::names::{Seq, UserId};

/// What an event does to the compaction keys. The newest entry that holds a key replaces all that held it before, so that the
/// state can be loaded without the history. A key is a path; freeing it also frees all keys below it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compaction {
    /// The key that the entry holds from now on.
    pub hold: Option<String>,
    /// The key that no entry holds from now on.
    pub free: Option<String>,
}

pub(super) fn hold(key: String) -> Compaction {
    Compaction { hold: Some(key), free: None }
}

pub(super) fn free(key: String) -> Compaction {
    Compaction { hold: None, free: Some(key) }
}

fn session(SessionId { node, number }: &SessionId) -> String {
    format!("s/{}/{number}", node.0)
}

/// An outcast as a part of a key: a network has no `/`, below which others would lie.
fn path(outcast: &Outcast) -> String {
    outcast.to_string().replace('/', "-")
}

/// What one user ignores of another: an account's ends with it, a guest's with the connection.
fn ignored(by: UserId, guest: Option<&SessionId>, id: UserId) -> String {
    let ends_with = guest.map_or_else(|| format!("a/{by}"), session);
    format!("{ends_with}/i/{id}")
}

/// That a user is away; who was told lies below it.
fn away(who: UserId) -> String {
    format!("w/{who}")
}

impl Event {
    /// What an entry with this event does to the compaction keys; `channel` is that of its room.
    pub fn compaction(&self, channel: Option<Seq>) -> Compaction {
        let below = |rest: fmt::Arguments<'_>| channel.map(|channel| format!("c/{channel}{rest}")).unwrap_or_default();
        match self {
            Self::Created { .. } => hold(below(format_args!(""))),
            // Whoever has joined needs no invitation any more.
            Self::Joined { who, .. } => Compaction {
                hold: Some(below(format_args!("/m/{}", who.id))),
                free: Some(below(format_args!("/i/{}", who.id))),
            },
            Self::Read { by, .. } => hold(below(format_args!("/m/{by}/r"))),
            Self::Operator { who, is: true, .. } => hold(below(format_args!("/m/{}/o", who.id))),
            Self::Operator { who, is: false, .. } => free(below(format_args!("/m/{}/o", who.id))),
            Self::Spoke { who, .. } => hold(below(format_args!("/m/{who}/s"))),
            Self::Banned(ban) => hold(below(format_args!("/b/{}", path(&ban.outcast)))),
            Self::Unbanned { outcast, .. } => free(below(format_args!("/b/{}", path(outcast)))),
            Self::Invited { who, .. } => hold(below(format_args!("/i/{}", who.id))),
            Self::Uninvited { who, .. } => free(below(format_args!("/i/{who}"))),
            Self::Set { setting, .. } => hold(below(format_args!("/s/{}", setting.option()))),
            Self::Left { who, .. } | Self::Kicked { who, .. } => free(below(format_args!("/m/{}", who.id))),
            Self::Owner { .. } => hold(below(format_args!("/o"))),
            Self::Topic { .. } => hold(below(format_args!("/t"))),
            Self::Counted { .. } => hold(below(format_args!("/a"))),
            Self::Closed { .. } => free(below(format_args!(""))),
            Self::Registered { who, .. } => hold(format!("a/{}", who.id)),
            Self::Access(access) => access.compaction(),
            Self::Ignored(Ignored { by, session, who, .. }) => hold(ignored(*by, session.as_ref(), who.id)),
            Self::Unignored(Unignored { by, session, id }) => free(ignored(*by, session.as_ref(), *id)),
            // Whoever says anew why they are away tells everybody anew.
            Self::Away { who, text: Some(_) } => Compaction { hold: Some(away(*who)), free: Some(away(*who)) },
            Self::Away { who, text: None } => free(away(*who)),
            Self::ToldAway { away: it, writer } => hold(format!("{}/{writer}", away(*it))),
            Self::Seen { who, .. } => hold(format!("a/{who}/seen")),
            Self::Ids { .. } => hold("ids".to_owned()),
            Self::Given { .. } => hold("given".to_owned()),
            Self::Came { session: it, .. } => hold(session(it)),
            Self::Named { session: it, .. } => hold(session(it) + "/n"),
            Self::LoggedIn { session: it, .. } => Compaction { hold: Some(session(it) + "/l"), free: Some(session(it) + "/n") },
            Self::Announced { session: it } => hold(session(it) + "/t"),
            Self::Went { session: it, .. } | Self::Dismissed { session: it, .. } => free(session(it)),
            Self::Entered { node, .. } => hold(format!("s/{}", node.0)),
            Self::NodeEnded { node, .. } => free(format!("s/{}", node.0)),
            Self::Ordered { .. } => hold("order".to_owned()),
            Self::Said { .. }
            | Self::Acked { .. }
            | Self::Invitation { .. }
            | Self::Unheard { .. }
            | Self::Unsaid { .. }
            | Self::Retracted { .. }
            | Self::Renamed { .. }
            | Self::Online { .. }
            | Self::Offline { .. }
            | Self::Noticed { .. } => Compaction::default(),
        }
    }
}
