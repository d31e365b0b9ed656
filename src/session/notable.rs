//! What an operator reads of connections in the log: each kind of line stands here.
//!
//! It owns nothing but the count of lines that were left out. Lines that a stranger can cause as fast as they like must be sparse. Words
//! that a peer has typed stand behind the address and in quotes: `scripts/package/fail2ban` reads these lines.

use std::fmt;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;
use crate::code::Code;
use crate::names::Who;
use crate::session::Ending;
use crate::session::socket::Gone;

/// How often a line of one kind is written of what comes without end.
const SPARSE: Duration = Duration::from_secs(1);

/// Lines of which only some are written.
#[derive(Debug, Default)]
pub struct Sparse(Mutex<(Option<Instant>, u64)>);

impl Sparse {
    /// Whether a line may be written now; then how many were left out since the one before.
    pub fn next(&self) -> Option<u64> {
        let mut last = self.0.lock().expect("invariant: nothing panics under this lock");
        if last.0.is_some_and(|at| clock::since(at) < SPARSE) {
            last.1 += 1;
            return None;
        }
        let left_out = last.1;
        *last = (Some(clock::now()), 0);
        Some(left_out)
    }
}

/// The lines that are sparse.
#[derive(Debug, Default)]
pub struct Notable {
    refused: Sparse,
    turned_away: Sparse,
}

impl Notable {
    /// No password was looked at.
    pub(super) fn login_refused(&self, from: IpAddr, name: &str, code: Code) {
        if let Some(left_out) = self.refused.next() {
            tracing::warn!(%from, name = ?name, %code, left_out, "login refused");
        }
    }

    /// Somebody was not let in.
    pub fn turned_away(&self, from: IpAddr, reason: &str) {
        if let Some(left_out) = self.turned_away.next() {
            tracing::warn!(%from, reason, left_out, "turned away");
        }
    }
}

pub(super) fn login_failed(from: IpAddr, name: &str) {
    tracing::warn!(%from, name = ?name, "login failed");
}

pub(super) fn logged_in(from: IpAddr, user: &Who, with: &str) {
    tracing::info!(%from, %user, with, "logged in");
}

pub(super) fn registered(from: IpAddr, user: &Who) {
    tracing::info!(%from, %user, "registered");
}

pub(super) fn unregistered(from: IpAddr, user: &Who) {
    tracing::info!(%from, %user, "unregistered");
}

pub(super) fn password_changed(from: IpAddr, user: &Who) {
    tracing::info!(%from, %user, "password changed");
}

pub(super) fn channel(what: &str, from: IpAddr, user: &Who, channel: &str) {
    tracing::info!(%from, %user, channel, "channel {what}");
}

/// A connection has ended. That of a guest who has gone as people go is worth no line, nor are those that a stopping server ends.
pub(super) fn disconnected(from: IpAddr, user: &Who, is_account: bool, ending: Option<Ending>, spoken: &Result<(), Gone>) {
    let told = |is_worth_a_line: bool, reason: &dyn fmt::Display| match is_worth_a_line {
        true => tracing::info!(%from, %user, %reason, "disconnected"),
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
