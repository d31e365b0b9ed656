//! What there is to say of people apart from channels: whom they do not hear, and whether they are there.
//!
//! Values only. What follows from them is for [`crate::state`] to say.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{SessionId, Time};
use crate::names::{UserId, Who};

/// That one user ignores another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    /// Who ignores.
    pub by: UserId,
    /// The connection with which this ends; `None` for an account's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Whom, by the name that they had.
    pub who: Who,
    /// Since when.
    pub since: Time,
}

/// That one user hears another again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unignored {
    /// Who hears.
    pub by: UserId,
    /// As it was in the [`Ignored`] that this ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Whom.
    pub id: UserId,
}

/// That a user is away, or back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Away {
    /// Who.
    pub who: UserId,
    /// Why they are away; `None` when they are back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Arc<str>>,
}

/// That somebody was told that a user is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldAway {
    /// Who is away.
    pub away: UserId,
    /// Who was told.
    pub writer: UserId,
}

/// That an account was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Which.
    pub who: UserId,
    /// Whether this outlives the server: not when its disk is full.
    pub lasts: bool,
}

/// That a user is away, as those are told who write to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    /// The user.
    pub who: Who,
    /// Since when.
    pub since: Time,
    /// What they have left word of.
    pub text: Arc<str>,
}
