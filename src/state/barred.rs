//! Whom the operator keeps out, and whom they have invited.
//!
//! It belongs to the state, and refuses nothing. Times are those of the order; what is over stays until it is swept away.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::event::{Access, Time, holds};
use crate::names::{UserId, Who};
use crate::state::State;
use crate::state::table::Table;

/// A ban from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerBan {
    /// When it was made.
    pub made: Time,
    /// Until when it holds; for ever, if nothing is said.
    pub until: Option<Time>,
    /// Why.
    pub reason: Option<Arc<str>>,
}

/// An invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invitation {
    /// How many more people may register by it.
    pub left: u32,
    /// Until when.
    pub until: Option<Time>,
}

/// All bans and invitations.
#[derive(Debug, Default)]
pub struct BarredOut {
    networks: Table<IpNet, ServerBan>,
    accounts: Table<UserId, ServerBan>,
    invitations: Table<Arc<str>, Invitation>,
}

impl ServerBan {
    /// What those are told whom it hits.
    pub fn words(&self) -> String {
        format!("banned from this server{}", until_and_why(self.until, self.reason.as_ref()))
    }
}

/// The end of a sentence about what may end and may have a reason: ` until …: …`, or a part of it, or nothing.
pub fn until_and_why(until: Option<Time>, reason: Option<&Arc<str>>) -> String {
    let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    until + &reason
}

impl BarredOut {
    /// Makes everything since the last commit permanent.
    pub fn commit(&mut self) {
        self.networks.commit();
        self.accounts.commit();
        self.invitations.commit();
    }

    /// Undoes everything since the last commit.
    pub fn rollback(&mut self) {
        self.networks.rollback();
        self.accounts.rollback();
        self.invitations.rollback();
    }

    /// Applies an event, if it is about bans or invitations.
    pub fn apply(&mut self, access: &Access, time: Time) {
        let ban =
            |until: &Option<Time>, reason: &Option<Arc<str>>| ServerBan { made: time, until: *until, reason: reason.clone() };
        match access {
            Access::NetworkBanned { network, until, reason } => {
                self.networks.insert(*network, ban(until, reason));
            }
            Access::NetworkUnbanned { network } => drop(self.networks.remove(network)),
            Access::AccountBanned { account, until, reason } => {
                self.accounts.insert(*account, ban(until, reason));
            }
            Access::AccountUnbanned { account } | Access::Unregistered { who: Who { id: account, .. } } => {
                self.accounts.remove(account);
            }
            Access::InviteCode { hash, left: 0, .. } => drop(self.invitations.remove(hash)),
            Access::InviteCode { hash, left, until } => {
                self.invitations.insert(Arc::clone(hash), Invitation { left: *left, until: *until });
            }
            _ => {}
        }
    }
}

impl State {
    /// The ban of the widest network around this address that holds at this time.
    pub fn ban_of(&self, address: IpAddr, now: Time) -> Option<&ServerBan> {
        let networks = &self.barred.networks;
        if networks.len() == 0 {
            return None;
        }
        let whole = IpNet::from(address.to_canonical());
        let around = (0..=whole.max_prefix_len()).filter_map(|bits| IpNet::new(whole.addr(), bits).ok());
        around.filter_map(|network| networks.get(&network.trunc())).find(|ban| holds(ban.until, now))
    }

    /// The account's ban, if it holds at this time.
    pub fn ban_of_account(&self, account: UserId, now: Time) -> Option<&ServerBan> {
        self.barred.accounts.get(&account).filter(|ban| holds(ban.until, now))
    }

    /// How many networks and accounts are banned, whether that still holds or not.
    pub fn server_bans(&self) -> usize {
        self.barred.networks.len() + self.barred.accounts.len()
    }

    /// The networks that are banned, whether that still holds or not.
    pub fn banned_networks(&self) -> impl Iterator<Item = (&IpNet, &ServerBan)> {
        self.barred.networks.iter()
    }

    /// The accounts that are banned, whether that still holds or not.
    pub fn banned_accounts(&self) -> impl Iterator<Item = (UserId, &ServerBan)> {
        self.barred.accounts.iter().map(|(account, ban)| (*account, ban))
    }

    /// The invitation by the code that has this hash, if it holds at this time.
    pub fn invitation(&self, hash: &str, now: Time) -> Option<&Invitation> {
        self.barred.invitations.get(hash).filter(|invitation| holds(invitation.until, now))
    }

    /// All invitations by the hashes of their codes, whether they still hold or not.
    pub fn invitations(&self) -> impl Iterator<Item = (&Arc<str>, &Invitation)> {
        self.barred.invitations.iter()
    }
}
