//! What those in charge of a channel may set, and whom they keep out of it.
//!
//! Values only. [`crate::state::permissions`] says who may do what.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::event::{Recipient, Time, holds};
use crate::names::{UserId, Who};

/// One option of a channel, with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// The PHC string of the key needed to join, if any.
    Key(Option<Arc<str>>),
    /// Whether only those who are invited may join.
    InviteOnly(bool),
    /// How many seconds a member waits from one message to the next; 0 for none.
    Slow(u32),
    /// Whether only those in charge may speak.
    OperatorsSpeak(bool),
    /// Whether CHANNELS shows it to its members only.
    Hidden(bool),
    /// How much of it is kept, beside what the server keeps.
    Keep(Kept),
    /// Whether guests may join.
    Guests(bool),
}

/// How much of a channel is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// As much as the server keeps.
    #[default]
    All,
    /// For so many seconds.
    Seconds(u64),
    /// So many messages.
    Messages(u64),
}

/// Whom a request is to keep out, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unwanted {
    /// A user; a guest goes by their address.
    User(Recipient),
    /// An address, or the addresses of a network.
    Net(IpNet),
}

/// Who is kept out of a channel, and so the name of a ban in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcast {
    /// A user.
    User(UserId),
    /// Whoever comes from this network, as a guest or an account.
    Net(IpNet),
}

/// A ban, until it is lifted or its time is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Who.
    pub outcast: Outcast,
    /// The user, by the name that they had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<Who>,
    /// Where a guest came from, who has no account to go by. It is shown to nobody, and goes with the ban.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpNet>,
    /// Who has banned them.
    pub by: Who,
    /// Since when.
    pub since: Time,
    /// Until when; for good without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
}

impl Ban {
    /// Whether it still keeps anybody out.
    pub fn holds(&self, now: Time) -> bool {
        holds(self.until, now)
    }

    /// Whom it keeps out, as lines name them.
    pub fn whom(&self) -> String {
        self.who.as_ref().map_or_else(|| self.outcast.to_string(), ToString::to_string)
    }

    /// `<who> <by> <since> <until|-> [reason]`, as lines tell it.
    pub fn fields(&self) -> String {
        let until = self.until.map_or_else(|| "-".to_owned(), |until| until.to_string());
        let reason = self.reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
        format!("{} {} {} {until}{reason}", self.whom(), self.by, self.since)
    }
}

impl fmt::Display for Outcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::Net(net) => net.fmt(f),
        }
    }
}

impl Setting {
    /// The name of its option.
    pub const fn option(&self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::InviteOnly(_) => "invite-only",
            Self::Slow(_) => "slow",
            Self::OperatorsSpeak(_) => "speak",
            Self::Hidden(_) => "hidden",
            Self::Keep(_) => "keep",
            Self::Guests(_) => "guests",
        }
    }
}

impl fmt::Display for Setting {
    /// Its value, as it can be typed again; of a key only that there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |is_on: &bool| if *is_on { "on" } else { "off" };
        match self {
            Self::Key(key) => f.write_str(on(&key.is_some())),
            Self::InviteOnly(is_on) | Self::Hidden(is_on) | Self::Guests(is_on) => f.write_str(on(is_on)),
            Self::OperatorsSpeak(is_on) => f.write_str(if *is_on { "operators" } else { "everyone" }),
            Self::Slow(0) | Self::Keep(Kept::All) => f.write_str("off"),
            Self::Slow(seconds) => seconds.fmt(f),
            Self::Keep(Kept::Seconds(seconds)) => write!(f, "{}", crate::event::Age(*seconds)),
            Self::Keep(Kept::Messages(count)) => count.fmt(f),
        }
    }
}

/// The network that was typed, as an address or with its bits, and as it is counted: an IPv6 address stands for all with its first
/// `ipv6_bits`, and an IPv4 address in the form of one for itself. `None` for what is no network.
pub fn network(word: &str, ipv6_bits: u64) -> Option<IpNet> {
    let address = || word.parse::<IpAddr>().ok().map(|address| IpNet::from(address.to_canonical()));
    let net = address().or_else(|| word.parse().ok())?;
    let most = if net.addr().is_ipv6() { u8::try_from(ipv6_bits).unwrap_or(128) } else { 32 };
    IpNet::new(net.addr(), net.prefix_len().min(most)).ok().map(|net| net.trunc())
}
