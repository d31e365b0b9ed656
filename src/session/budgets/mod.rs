//! Budgets that connections share, because they come from one address or are logged in to one account.
//!
//! It owns the counts, which are this node's, in memory only, and bounded by sweeping. It must never decide what a command
//! means, only how much of it there may be.

mod pace;
mod rate;
mod stored;

use crate::limits::Limits;

pub use pace::Pace;
pub use rate::Rate;
pub use stored::{Leases, Stored};

/// All shared budgets but those of passwords.
pub struct Budgets {
    /// How fast commands are taken.
    pub pace: Pace,
    /// What is stored.
    pub stored: Stored,
}

impl Budgets {
    /// Nothing is counted yet.
    pub fn new(limits: &Limits) -> Self {
        Self { pace: Pace::new(limits), stored: Stored::new(limits) }
    }

    /// Forgets whoever has used up nothing of late.
    pub fn sweep(&self) {
        self.pace.sweep();
        self.stored.sweep();
    }
}
