//! Slots: which entry replaces which, so that the state can be read without the past.
//!
//! A slot is a path: `a/nina` an account, `c/rust` a channel, `c/rust/m/8763` a member, `c/rust/o` its owner, `c/rust/t` its
//! topic, `ids` the reserved ids. The newest entry holds its slot; an entry that ends something frees its slot and all below.

use crate::event::{Change, Event};
use crate::names::{Name, fold};

/// What an entry does to a slot.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// Holds it.
    Hold(String),
    /// Frees it and what lies below.
    Free(String),
}

/// The slot of a channel's creation.
pub fn channel(name: &Name) -> String {
    format!("c/{}", fold(name.as_str()))
}

impl Claim {
    /// What `event` does; `None` for messages and marks, which are not state.
    pub fn of(event: &Event) -> Option<Self> {
        Some(match event {
            Event::Said { .. } | Event::Acked { .. } => return None,
            Event::Registered { who, .. } => Self::Hold(format!("a/{}", fold(who.name.as_str()))),
            Event::Created { channel, .. } => Self::Hold(self::channel(channel)),
            Event::Ids { .. } => Self::Hold("ids".to_owned()),
            Event::Channel { channel, who, change } => {
                let channel = self::channel(channel);
                match change {
                    Change::Joined => Self::Hold(format!("{channel}/m/{}", who.id)),
                    Change::Left => Self::Free(format!("{channel}/m/{}", who.id)),
                    Change::Owner => Self::Hold(format!("{channel}/o")),
                    Change::Topic(_) => Self::Hold(format!("{channel}/t")),
                    Change::Closed => Self::Free(channel),
                }
            }
        })
    }

    /// The slot.
    pub fn slot(&self) -> &str {
        match self {
            Self::Hold(slot) | Self::Free(slot) => slot,
        }
    }
}

/// The first path after all that lie below `slot`: `/` is followed by `0`.
pub fn below(slot: &str) -> (String, String) {
    (format!("{slot}/"), format!("{slot}0"))
}
