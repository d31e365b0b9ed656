//! Which messages are looked for, as a query of SQLite's FTS5.
//!
//! Each message has a few tags beside its words: the room that it is in, who said it, who it is between. What people type gets into
//! a query in quotes only, and so can never be taken for one.

use std::fmt::Write;

use crate::event::{RoomId, Time};
use crate::names::{Seq, UserId};

/// Where messages are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A channel.
    Channel(Seq),
    /// Somebody's inbox.
    Inbox(UserId),
    /// What somebody has sent to inboxes.
    SentBy(UserId),
    /// What two people have sent to each other, as the first of them sees it.
    Between(UserId, UserId),
}

/// What a message in the index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A message.
    Said,
    /// One that was retracted: it only counts.
    Gone,
    /// One to somebody who ignores its sender, which only its sender finds.
    Unheard,
}

/// Which messages are looked for: those that fit all of this.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// In one of these places; without any, nothing is found.
    pub places: Vec<Place>,
    /// By one of these; empty for everybody.
    pub from: Vec<UserId>,
    /// By none of these.
    pub without: Vec<UserId>,
    /// With all of these words, and with several words in one of these side by side. In each something must be a letter or a digit.
    pub phrases: Vec<String>,
    /// After this one.
    pub after: Seq,
    /// Before this one; `None` for no end.
    pub before: Option<Seq>,
    /// From the first message on that is as new as this.
    pub since: Option<Time>,
    /// Before the first message that is as new as this.
    pub until: Option<Time>,
}

/// The tag of messages that were retracted.
const GONE: &str = "gone";

fn by(user: UserId) -> String {
    format!("u{user}")
}

fn channel(Seq(channel): Seq) -> String {
    format!("c{channel}")
}

fn inbox(UserId(owner): UserId) -> String {
    format!("i{owner}")
}

/// What is in an inbox without its owner finding it.
fn unheard_in(UserId(owner): UserId) -> String {
    format!("j{owner}")
}

fn sent_by(UserId(sender): UserId) -> String {
    format!("s{sender}")
}

fn between(UserId(one): UserId, UserId(other): UserId) -> String {
    format!("d{}x{}", one.min(other), one.max(other))
}

/// What somebody has sent to another who ignores them.
fn unheard_by(UserId(owner): UserId, UserId(sender): UserId) -> String {
    format!("h{sender}x{owner}")
}

/// The tags of which a message in a place has one.
fn of(place: Place) -> impl Iterator<Item = String> {
    let (first, second) = match place {
        Place::Channel(it) => (channel(it), None),
        Place::Inbox(owner) => (inbox(owner), None),
        Place::SentBy(sender) => (sent_by(sender), None),
        Place::Between(me, other) => (between(me, other), Some(unheard_by(other, me))),
    };
    std::iter::once(first).chain(second)
}

/// The tags of a message, set apart by spaces. What was retracted is nobody's any more.
pub fn tags(room: RoomId, sender: UserId, kind: Kind) -> String {
    match (room, kind) {
        (RoomId::Channel(it), Kind::Gone) => format!("{} {GONE}", channel(it)),
        (RoomId::Channel(it), _) => format!("{} {}", channel(it), by(sender)),
        (RoomId::Inbox(owner), Kind::Gone) => format!("{} {GONE}", inbox(owner)),
        (RoomId::Inbox(owner), kind) => {
            let (its, seen) = match kind {
                Kind::Unheard => (unheard_in(owner), unheard_by(owner, sender)),
                _ => (inbox(owner), between(owner, sender)),
            };
            format!("{its} {} {} {seen}", by(sender), sent_by(sender))
        }
    }
}

fn any(tags: impl Iterator<Item = String>) -> String {
    format!("tags : ({})", tags.collect::<Vec<_>>().join(" OR "))
}

/// The query for all messages of a room.
pub fn all_of(room: RoomId) -> String {
    match room {
        RoomId::Channel(it) => any(std::iter::once(channel(it))),
        RoomId::Inbox(owner) => any([inbox(owner), unheard_in(owner)].into_iter()),
    }
}

/// The query for what does not count as unread in a channel: what these have said, and what was retracted.
pub fn uncounted(it: Seq, by_these: &[UserId]) -> String {
    let these = by_these.iter().copied().map(by).chain(std::iter::once(GONE.to_owned()));
    format!("({}) AND ({})", any(std::iter::once(channel(it))), any(these))
}

impl Filter {
    /// The query for everything but seqs and times; `None` if nothing can fit.
    pub fn query(&self) -> Option<String> {
        if self.places.is_empty() {
            return None;
        }
        let mut query = format!("({})", any(self.places.iter().copied().flat_map(of)));
        let mut and = |part: String| write!(query, " AND ({part})").expect("invariant: memory takes everything");
        if !self.from.is_empty() {
            and(any(self.from.iter().copied().map(by)));
        }
        for phrase in &self.phrases {
            and(format!("text : \"{}\"", phrase.replace('"', "\"\"")));
        }
        // What is gone has neither words nor a sender.
        let gone = (self.from.is_empty() && self.phrases.is_empty()).then(|| GONE.to_owned());
        let mut without = self.without.iter().copied().map(by).chain(gone).peekable();
        if without.peek().is_some() {
            query = format!("({query}) NOT ({})", any(without));
        }
        Some(query)
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, Place, Seq, UserId};

    #[test]
    fn what_people_type_is_always_in_quotes() {
        let filter = Filter {
            places: vec![Place::Channel(Seq(5)), Place::Between(UserId(9), UserId(7))],
            from: vec![UserId(7)],
            without: vec![UserId(8)],
            phrases: vec!["a\" OR tags : (c6) OR \"".to_owned(), "NEAR(x y)".to_owned()],
            ..Filter::default()
        };
        let expected = "((tags : (c5 OR d7x9 OR h9x7)) AND (tags : (u7)) AND (text : \"a\"\" OR tags : (c6) OR \"\"\") AND \
                        (text : \"NEAR(x y)\")) NOT (tags : (u8))";
        assert_eq!(filter.query().as_deref(), Some(expected));
        assert_eq!(Filter::default().query(), None, "nowhere is not everywhere");
    }
}
