//! How many bytes an hour are stored for one address and for one account: the disk is everybody's.
//!
//! A connection takes its bytes from the shared counts in leases, so that few messages pay for a look at them. A lease grows
//! with what the connection has stored, and what is left of it when the connection ends is lost: at most as much again.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::code::{Code, Refusal};
use crate::limits::{ENTRY_BYTES, LEASE_BYTES, Limits};
use crate::names::UserId;
use crate::session::Session;
use crate::session::budgets::Rate;

/// The shared counts.
pub struct Stored {
    addresses: Rate<IpAddr>,
    accounts: Rate<UserId>,
}

impl Stored {
    /// Nothing is counted yet.
    pub fn new(limits: &Limits) -> Self {
        Self { addresses: Rate::per_hour(limits.stored_per_address), accounts: Rate::per_hour(limits.stored_per_account) }
    }

    /// Forgets whoever has stored nothing of late.
    pub fn sweep(&self) {
        self.addresses.sweep();
        self.accounts.sweep();
    }
}

/// Bytes that one connection may store before it asks the shared count again.
#[derive(Debug, Default)]
struct Lease {
    left: u32,
    taken: u32,
}

impl Lease {
    /// Makes sure that so many bytes are left.
    ///
    /// # Errors
    /// How long until they may be taken. What was left is left.
    fn ensure<K>(&mut self, bytes: u32, rate: &Rate<K>, key: &K) -> Result<(), Duration>
    where
        K: std::hash::Hash + Eq + Clone,
    {
        let Some(lacking) = bytes.checked_sub(self.left).and_then(NonZeroU32::new) else { return Ok(()) };
        let ahead = lacking.saturating_add(self.taken.min(LEASE_BYTES));
        // Near the end of a budget nothing is taken ahead: others may need it.
        let taken = match rate.take_many(key, ahead) {
            Ok(()) => ahead,
            Err(_) => rate.take_many(key, lacking).map(|()| lacking)?,
        };
        self.left += taken.get();
        self.taken = self.taken.saturating_add(taken.get());
        Ok(())
    }
}

/// What one connection may store.
#[derive(Debug, Default)]
pub struct Leases {
    address: Lease,
    account: Lease,
}

impl Session {
    /// Takes what an entry with so many bytes of text needs from the budgets of the address and, if there is one, the account.
    ///
    /// # Errors
    /// `RATE_LIMITED`. What the connection may store is not less than before.
    pub(in crate::session) fn pay_storage(&mut self, text: usize) -> Result<(), Refusal> {
        let bytes = size(text);
        let (Stored { addresses, accounts }, leases) = (&self.shared.budgets.stored, &mut self.leases);
        leases.address.ensure(bytes, addresses, &self.address).map_err(|wait| refusal(wait, "address"))?;
        if self.is_account {
            leases.account.ensure(bytes, accounts, &self.who.id).map_err(|wait| refusal(wait, "account"))?;
            leases.account.left -= bytes;
        }
        leases.address.left -= bytes;
        Ok(())
    }

    /// Gives back what [`Session::pay_storage`] took for an entry with so many bytes of text: it was not stored.
    pub(in crate::session) fn regain_storage(&mut self, text: usize) {
        let bytes = size(text);
        self.leases.address.left += bytes;
        if self.is_account {
            self.leases.account.left += bytes;
        }
    }
}

fn size(text: usize) -> u32 {
    u32::try_from(text).unwrap_or(u32::MAX).saturating_add(ENTRY_BYTES)
}

fn refusal(wait: Duration, whose: &str) -> Refusal {
    let wait = wait.as_millis() + 1;
    let text =
        format!("retry-ms={wait} your {whose} has had its share of the disk (limit stored-per-{whose}); nothing was stored");
    Refusal::new(Code::RateLimited, text)
}
