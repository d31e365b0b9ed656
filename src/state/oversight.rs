//! Looking at the state as an operator does: all connections, all accounts, and how much there is. Nothing here changes anything.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Bound;

use crate::event::{SessionId, Time};
use crate::names::{Name, Seq, UserId, Who};
use crate::state::{Session, State};

/// A connection, as its operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRow {
    /// Which it is.
    pub session: SessionId,
    /// The id from its HELLO.
    pub connection: UserId,
    /// Its user.
    pub who: Who,
    /// Since when.
    pub since: Time,
    /// The address to which it is counted.
    pub address: Option<IpAddr>,
    /// `guest`, `account`, or `token:` and its label.
    pub kind: String,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Connections, of all nodes.
    pub connections: usize,
    /// Users who have a connection somewhere.
    pub online: usize,
    /// Accounts.
    pub accounts: u64,
    /// Channels.
    pub channels: usize,
    /// Bans of networks and of accounts, those that are over among them.
    pub bans: usize,
    /// The number of the newest entry.
    pub entries: Seq,
}

impl State {
    /// How much there is.
    pub fn counts(&self) -> Counts {
        Counts {
            connections: self.sessions.len(),
            online: self.online,
            accounts: self.accounts(),
            channels: self.channels.len(),
            bans: self.server_bans(),
            entries: self.seq(),
        }
    }

    /// Up to `most` connections after `after`, in the order of their nodes and numbers.
    pub fn list_connections(&self, after: Option<SessionId>, most: usize) -> Vec<ConnectionRow> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.sessions.range((from, Bound::Unbounded)).take(most).map(|(session, row)| {
            let who = self.user(row.user).unwrap_or_else(|| Who { name: Name::guest(row.user), id: row.user });
            let kind = match self.token_of(*session) {
                Some(token) => format!("token:{}", token.label),
                None if self.is_account(row.user) => "account".to_owned(),
                None => "guest".to_owned(),
            };
            let Session { connection, since, address, .. } = *row;
            ConnectionRow { session: *session, connection, who, since, address, kind }
        });
        rows.collect()
    }

    /// Up to `most` accounts with ids after `after`, ordered by id.
    pub fn list_accounts(&self, after: Option<UserId>, most: usize) -> Vec<Who> {
        let from = UserId(after.map_or(0, |after| after.0 + 1));
        let accounts = self.users.range(from..).filter(|(_, user)| user.password.is_some()).take(most);
        accounts.map(|(id, user)| Who { name: user.name.clone(), id: *id }).collect()
    }

    /// The connection that is known by this id, from its HELLO.
    pub(super) fn session_of(&self, connection: UserId) -> Option<SessionId> {
        self.sessions.iter().find(|(_, row)| row.connection == connection).map(|(session, _)| *session)
    }

    /// The connections from these addresses.
    pub(super) fn sessions_from(&self, is_meant: impl Fn(IpAddr) -> bool) -> BTreeSet<SessionId> {
        let is_from = |row: &Session| row.address.is_some_and(&is_meant);
        self.sessions.iter().filter(|(_, row)| is_from(row)).map(|(session, _)| *session).collect()
    }
}
