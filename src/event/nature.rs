//! What the kinds of events are like: whether one lasts, whether its room's readers are shown it, and who says it. What a kind does to
//! the compaction keys is in `compaction.rs`, what it looks like in `line.rs`. This file must never look at the state.

use crate::event::{Access, Event, Ignored, Unignored};
use crate::names::UserId;

impl Event {
    /// Whether it is stored for reading back; otherwise it is ephemeral.
    pub fn lasts(&self) -> bool {
        match self {
            Self::Joined { lasts, .. }
            | Self::Left { lasts, .. }
            | Self::Owner { lasts, .. }
            | Self::Operator { lasts, .. }
            | Self::Kicked { lasts, .. }
            | Self::Invited { lasts, .. }
            | Self::Uninvited { lasts, .. }
            | Self::Seen { lasts, .. } => *lasts,
            Self::Ignored(Ignored { session, .. }) | Self::Unignored(Unignored { session, .. }) => session.is_none(),
            Self::Said { .. }
            | Self::Unheard { .. }
            | Self::Unsaid { .. }
            | Self::Retracted { .. }
            | Self::Read { .. }
            | Self::Acked { .. }
            | Self::Created { .. }
            | Self::Topic { .. }
            | Self::Closed { .. }
            | Self::Registered { .. }
            | Self::Banned(_)
            | Self::Unbanned { .. }
            | Self::Set { .. }
            | Self::Access(_)
            | Self::Ids { .. } => true,
            Self::Renamed { .. }
            | Self::Online { .. }
            | Self::Offline { .. }
            | Self::Invitation { .. }
            | Self::Spoke { .. }
            | Self::Away { .. }
            | Self::ToldAway { .. }
            | Self::Came { .. }
            | Self::Counted { .. }
            | Self::Named { .. }
            | Self::LoggedIn { .. }
            | Self::Announced { .. }
            | Self::Went { .. }
            | Self::Dismissed { .. }
            | Self::Noticed { .. }
            | Self::NodeEnded { .. }
            | Self::Entered { .. }
            | Self::Ordered { .. }
            | Self::Given { .. } => false,
        }
    }

    /// Whether readers of its room are shown a line.
    pub fn is_shown(&self) -> bool {
        match self {
            Self::Joined { shown, .. }
            | Self::Left { shown, .. }
            | Self::Owner { shown, .. }
            | Self::Operator { shown, .. }
            | Self::Retracted { shown, .. }
            | Self::Invited { shown, .. } => *shown,
            Self::Unbanned { by, .. } => by.is_some(),
            Self::Access(access) => matches!(**access, Access::Operated { .. }),
            Self::Said { .. }
            | Self::Unsaid { .. }
            | Self::Topic { .. }
            | Self::Closed { .. }
            | Self::Kicked { .. }
            | Self::Banned(_)
            | Self::Invitation { .. }
            | Self::Set { .. }
            | Self::Renamed { .. }
            | Self::Online { .. }
            | Self::Offline { .. } => true,
            _ => false,
        }
    }

    /// Whether the hub must hear of it: what readers are shown, and each retraction, which blanks a text in memory whether or not
    /// its readers are told.
    pub fn concerns_the_hub(&self) -> bool {
        self.is_shown() || matches!(self, Self::Retracted { .. })
    }

    /// Whether it is linked among what can be read of its room, and grows old with that.
    pub fn is_linked(&self) -> bool {
        self.is_shown() || matches!(self, Self::Unheard { .. })
    }

    /// Who says it, if somebody does: whoever ignores them is not shown it.
    pub fn author(&self) -> Option<UserId> {
        match self {
            Self::Said { from, .. } => Some(from.id),
            _ => None,
        }
    }

    /// Who said it, if it is or was a message.
    pub fn sender(&self) -> Option<UserId> {
        match self {
            Self::Said { from, .. } | Self::Unheard { from, .. } => Some(from.id),
            Self::Unsaid { from } => Some(*from),
            _ => None,
        }
    }

    /// Whether it is, or was, a message: what HISTORY and INBOX count.
    pub fn is_message(&self) -> bool {
        matches!(self, Self::Said { .. } | Self::Unsaid { .. })
    }
}
