//! What happens to who may come in, and as whom: tokens, passwords, bans from the server, codes for REGISTER, the end of accounts;
//! and what operators did. All of it lasts.
//!
//! Values only. It must never look at the state.

use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::event::compaction::{Compaction, free, hold};
use crate::event::{Event, Scope, Time};
use crate::names::{Name, UserId, Who, fold};

/// A change of who may come in, and as whom. Stored as JSON, under its names in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// The account has a token.
    TokenMade {
        /// The account.
        account: UserId,
        /// How its owner calls it.
        label: Name,
        /// Its hash.
        hash: Arc<str>,
        /// Until when it is good; for ever, if nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
        /// What it is for; `None` for all but what needs the password.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scopes: Option<Arc<[Scope]>>,
    },
    /// The account has this token no more.
    TokenDropped {
        /// The account.
        account: UserId,
        /// How its owner called it.
        label: Name,
    },
    /// The account has another password.
    PasswordSet {
        /// The account.
        account: UserId,
        /// The PHC string of the password.
        password: Arc<str>,
    },
    /// The account is no more. Its connections and memberships have ended before.
    Unregistered {
        /// Its name, which is free, and its id, which nobody gets again.
        who: Who,
    },
    /// Nobody comes in from there.
    NetworkBanned {
        /// Where.
        network: IpNet,
        /// Until when; for ever, if nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Arc<str>>,
    },
    /// Whoever is there may come in again.
    NetworkUnbanned {
        /// Where.
        network: IpNet,
    },
    /// Nobody becomes this account.
    AccountBanned {
        /// The account.
        account: UserId,
        /// Until when; for ever, if nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Arc<str>>,
    },
    /// The account's owner may log in again.
    AccountUnbanned {
        /// The account.
        account: UserId,
    },
    /// So many people may register by the code that has this hash.
    InviteCode {
        /// The hash.
        hash: Arc<str>,
        /// How many more; nobody, and it is no more.
        left: u32,
        /// Until when; for ever, if nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// The operator has done something.
    Operated {
        /// Who that is on their machine.
        by: Arc<str>,
        /// What, with its verb first.
        act: Arc<str>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Arc<str>>,
    },
}

impl From<Access> for Event {
    fn from(access: Access) -> Self {
        Self::Access(Box::new(access))
    }
}

fn token(account: UserId, label: &Name) -> String {
    format!("a/{account}/t/{}", fold(label.as_str()))
}

impl Access {
    /// Whether it is stored in the reserve of a full disk: what shuts somebody out cannot wait until there is room, because they may
    /// be filling it.
    pub fn needs_little(&self) -> bool {
        match self {
            Self::NetworkBanned { .. }
            | Self::NetworkUnbanned { .. }
            | Self::AccountBanned { .. }
            | Self::AccountUnbanned { .. }
            | Self::TokenDropped { .. }
            | Self::Operated { .. } => true,
            Self::TokenMade { .. } | Self::PasswordSet { .. } | Self::Unregistered { .. } | Self::InviteCode { .. } => false,
        }
    }

    /// What an entry with this event does to the compaction keys.
    pub(super) fn compaction(&self) -> Compaction {
        match self {
            Self::PasswordSet { account, .. } => hold(format!("a/{account}/p")),
            Self::Unregistered { who } => free(format!("a/{}", who.id)),
            Self::TokenMade { account, label, .. } => hold(token(*account, label)),
            Self::TokenDropped { account, label } => free(token(*account, label)),
            Self::AccountBanned { account, .. } => hold(format!("a/{account}/b")),
            Self::AccountUnbanned { account } => free(format!("a/{account}/b")),
            Self::NetworkBanned { network, .. } => hold(network_key(network)),
            Self::NetworkUnbanned { network } => free(network_key(network)),
            Self::InviteCode { hash, left: 0, .. } => free(format!("i/{hash}")),
            Self::InviteCode { hash, .. } => hold(format!("i/{hash}")),
            Self::Operated { .. } => Compaction::default(),
        }
    }
}

/// A network as a key: it has no `/` of its own, below which others would lie.
fn network_key(network: &IpNet) -> String {
    format!("b/{}-{}", network.addr(), network.prefix_len())
}
