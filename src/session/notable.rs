//! What an operator reads of connections in the log: each kind of line stands here.
//!
//! It owns how many lines of each kind there were lately: strangers cause them, and must not fill the disk with them. What a peer has
//! typed stands behind the address and in quotes: `scripts/package/fail2ban` reads these lines.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::Attempts;
use crate::code::Code;
use crate::limits::{LOG_LINES, LOG_LINES_AT_ONCE};
use crate::names::Who;
use crate::session::Ending;
use crate::session::socket::Gone;

/// Lines of one kind, of which some are left out when there are many.
#[derive(Debug)]
struct Kind {
    lines: RateLimiter<NotKeyed, InMemoryState, Attempts, NoOpMiddleware<<Attempts as Clock>::Instant>>,
    left_out: AtomicU64,
}

impl Default for Kind {
    fn default() -> Self {
        const EACH: NonZeroU32 = NonZeroU32::new(LOG_LINES).expect("invariant: at least one line a second");
        const AT_ONCE: NonZeroU32 = NonZeroU32::new(LOG_LINES_AT_ONCE).expect("invariant: at least one line");
        let quota = Quota::per_second(EACH).allow_burst(AT_ONCE);
        Self { lines: RateLimiter::direct_with_clock(quota, Attempts), left_out: AtomicU64::new(0) }
    }
}

impl Kind {
    /// Writes a line, if there may be one. It is given how many were left out since the one before.
    fn line(&self, write: impl FnOnce(u64)) {
        match self.lines.check() {
            Ok(()) => write(self.left_out.swap(0, Ordering::Relaxed)),
            Err(_) => drop(self.left_out.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

/// Where somebody comes from: an address, or the IPv6 network that counts as one. An operator can ban either.
struct Origin {
    counted: IpAddr,
    ipv6_prefix: u64,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.counted {
            IpAddr::V6(network) if self.ipv6_prefix < 128 => write!(f, "{network}/{}", self.ipv6_prefix),
            address => write!(f, "{address}"),
        }
    }
}

/// The log's lines about connections.
#[derive(Debug)]
pub struct Notable {
    /// How many bits of an IPv6 address are what counts.
    ipv6_prefix: u64,
    refused: Kind,
    turned_away: Kind,
    logged_in: Kind,
    accounts: Kind,
    channels: Kind,
    disconnected: Kind,
}

impl Notable {
    /// For connections that are counted by so many bits of an IPv6 address.
    pub fn new(ipv6_prefix: u64) -> Self {
        let kind = Kind::default;
        let (refused, turned_away, logged_in) = (kind(), kind(), kind());
        Self { ipv6_prefix, refused, turned_away, logged_in, accounts: kind(), channels: kind(), disconnected: kind() }
    }

    fn from(&self, counted: IpAddr) -> Origin {
        Origin { counted, ipv6_prefix: self.ipv6_prefix }
    }

    /// A password or token was wrong. How many there can be is bounded by how many are tried.
    pub(super) fn login_failed(&self, from: IpAddr, name: &str) {
        let from = self.from(from);
        tracing::warn!(%from, name, "login failed");
    }

    /// No password was looked at.
    pub(super) fn login_refused(&self, from: IpAddr, name: &str, code: Code) {
        let from = self.from(from);
        self.refused.line(|left_out| tracing::warn!(%from, name, %code, left_out, "login refused"));
    }

    /// Somebody was not let in.
    pub fn turned_away(&self, from: IpAddr, reason: &str) {
        let from = self.from(from);
        self.turned_away.line(|left_out| tracing::warn!(%from, reason, left_out, "turned away"));
    }

    pub(super) fn logged_in(&self, from: IpAddr, user: &Who, with: &str) {
        let from = self.from(from);
        self.logged_in.line(|left_out| tracing::info!(%from, %user, with, left_out, "logged in"));
    }

    /// An account was made or removed, or has another password.
    pub(super) fn account(&self, what: &str, from: IpAddr, user: &Who) {
        let from = self.from(from);
        self.accounts.line(|left_out| tracing::info!(%from, %user, left_out, "{what}"));
    }

    /// A channel was made or closed.
    pub(super) fn channel(&self, what: &str, from: IpAddr, user: &Who, channel: &str) {
        let from = self.from(from);
        self.channels.line(|left_out| tracing::info!(%from, %user, channel, left_out, "channel {what}"));
    }

    /// A connection has ended. That of a guest who has gone as people go is worth no line, nor are those that a stopping server ends.
    pub(super) fn disconnected(
        &self,
        from: IpAddr,
        user: &Who,
        is_account: bool,
        ending: Option<Ending>,
        spoken: &Result<(), Gone>,
    ) {
        let from = self.from(from);
        let told = |is_worth_a_line: bool, reason: &dyn fmt::Display| match is_worth_a_line {
            true => self.disconnected.line(|left_out| tracing::info!(%from, %user, %reason, left_out, "disconnected")),
            false => tracing::debug!(%from, %user, %reason, "disconnected"),
        };
        match (spoken, ending) {
            (Err(error @ (Gone::Order | Gone::Store(_))), _) => tracing::warn!(%from, %user, %error, "cut off"),
            (Err(error @ Gone::Failed(_)), _) => told(is_account, error),
            (Err(error), _) => told(true, error),
            (Ok(()), Some(Ending::Closed(code))) => told(true, &code),
            (Ok(()), Some(Ending::Dismissed)) => told(true, &"dismissed"),
            (Ok(()), Some(Ending::Quit)) => told(is_account, &"quit"),
            (Ok(()), Some(Ending::EndTyped | Ending::EndOfInput)) => told(is_account, &"closed by the client"),
            (Ok(()), None) => told(false, &"the server stops"),
        }
    }
}
