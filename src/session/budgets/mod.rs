//! Budgets that connections share, because they come from one address or are logged in to one account.
//!
//! It owns the counts, which are this node's, in memory only, and bounded by sweeping. It must never decide what a command
//! means, only how much of it there may be.

mod pace;
mod rate;
mod stored;

use std::net::IpAddr;

use crate::limits::Limits;

pub use pace::{Lease, Pace};
pub use rate::Rate;
pub use stored::{Leases, Stored};

/// All shared budgets but those of passwords.
pub struct Budgets {
    /// Handshakes of TLS.
    pub handshakes: Rate<IpAddr>,
    /// How fast commands are taken.
    pub pace: Pace,
    /// What is stored.
    pub stored: Stored,
}

impl Budgets {
    /// Nothing is counted yet.
    pub fn new(limits: &Limits) -> Self {
        Self {
            handshakes: Rate::per_minute(limits.tls_handshakes_per_address),
            pace: Pace::new(limits),
            stored: Stored::new(limits),
        }
    }

    /// Forgets whoever has used up nothing of late.
    pub fn sweep(&self) {
        self.handshakes.sweep();
        self.pace.sweep();
        self.stored.sweep();
    }
}
