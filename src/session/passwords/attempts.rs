//! How many passwords and keys may be tried: for an account or a channel, by an address, and by both together. A right password costs
//! nothing.
//!
//! It owns the counts, and remembers from where each account has logged in and each channel was joined lately, so that whoever has
//! the secret gets in while strangers guess. It must never know whether an account exists: names that nobody has are counted in
//! the same way.

use std::net::IpAddr;
use std::time::Duration;

use crate::limits::Limits;
use crate::session::budgets::Rate;
use crate::session::passwords::guesses::{Guess, Guesses};
use crate::session::passwords::known::Known;
use crate::wire::{Code, Refusal};

/// The refusal of an attempt that may be made after this time.
pub fn rate_limited(wait: Duration) -> Refusal {
    let wait = wait.as_millis() + 1;
    Refusal::new(Code::RateLimited, format!("retry-ms={wait} too many attempts; wait before the next"))
}

/// All counts together.
pub struct Attempts {
    names: Guesses<(IpAddr, String)>,
    accounts: Guesses<String>,
    addresses: Guesses<IpAddr>,
    channels: Rate<String>,
    tries: Rate<(IpAddr, String)>,
    keys: Rate<IpAddr>,
    secrets: Rate<IpAddr>,
    known_accounts: Known,
    known_channels: Known,
}

impl Attempts {
    /// Nothing is counted yet, and nobody is known.
    pub fn new(limits: &Limits) -> Self {
        Self {
            names: Guesses::per_minute(limits.passwords_per_minute),
            accounts: Guesses::per_minute(limits.passwords_per_account),
            addresses: Guesses::per_minute(limits.passwords_per_address),
            channels: Rate::per_minute(limits.channel_keys_per_channel),
            tries: Rate::per_minute(limits.channel_keys_per_minute),
            keys: Rate::per_minute(limits.channel_keys_per_address),
            secrets: Rate::per_minute(limits.wrong_secrets_per_address),
            known_accounts: Known::default(),
            known_channels: Known::default(),
        }
    }

    /// Forgets whoever has made no recent attempts.
    pub fn sweep(&self) {
        self.names.sweep();
        self.accounts.sweep();
        self.addresses.sweep();
        self.channels.sweep();
        self.tries.sweep();
        self.keys.sweep();
        self.secrets.sweep();
    }

    /// Counts a password tried for an account.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub async fn login(&self, from: IpAddr, name: &str) -> Result<Attempt<'_>, Refusal> {
        // The address is checked first: if it makes too many attempts, the names that it tries must not take memory.
        let of_address = self.addresses.take(from).await.map_err(rate_limited)?;
        let name: String = crate::names::fold(name).into();
        let of_both = self.names.take((from, name.clone())).await.map_err(rate_limited)?;
        let is_known = self.known_accounts.has(from, &name);
        // Strangers use up the account's attempts, but never those that its owner has from here.
        let of_account = if is_known { None } else { Some(self.accounts.take(name.clone()).await.map_err(rate_limited)?) };
        Ok(Attempt { known: &self.known_accounts, from, name, is_known, of_address, of_both, of_account })
    }

    /// Counts a password or key that is to be hashed for something new: like a wrong one, as it costs as much.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub async fn new_hash(&self, from: IpAddr) -> Result<Guess<'_, IpAddr>, Refusal> {
        self.addresses.take(from).await.map_err(rate_limited)
    }

    /// Counts a key tried for a channel.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub fn channel(&self, from: IpAddr, name: &str) -> Result<(), Refusal> {
        self.keys.take(&from).map_err(rate_limited)?;
        let name: String = crate::names::fold(name).into();
        self.tries.take(&(from, name.clone())).map_err(rate_limited)?;
        if self.known_channels.has(from, &name) {
            return Ok(());
        }
        self.channels.take(&name).map_err(rate_limited)
    }

    /// Counts a token or the code of an invitation that was wrong.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub fn wrong_secret(&self, from: IpAddr) -> Result<(), Refusal> {
        self.secrets.take(&from).map_err(rate_limited)
    }

    /// Notes that somebody at this address has the account's password.
    pub fn remember(&self, from: IpAddr, name: &str) {
        self.known_accounts.remember(from, crate::names::fold(name).into());
    }

    /// Notes that somebody at this address has the channel's key.
    pub fn remember_channel(&self, from: IpAddr, name: &str) {
        self.known_channels.remember(from, crate::names::fold(name).into());
    }
}

/// A password that may be hashed. Dropped without [`Attempt::right`] it was wrong, if it is hashed.
pub struct Attempt<'a> {
    known: &'a Known,
    from: IpAddr,
    name: String,
    /// Whether the account has logged in from there lately.
    pub is_known: bool,
    of_address: Guess<'a, IpAddr>,
    of_both: Guess<'a, (IpAddr, String)>,
    of_account: Option<Guess<'a, String>>,
}

impl Attempt<'_> {
    /// It is hashed from now on.
    pub fn hashing(&mut self) {
        self.of_address.hashing();
        self.of_both.hashing();
        self.of_account.iter_mut().for_each(Guess::hashing);
    }

    /// It was the account's password: it costs nothing, and the account is known there from now on.
    pub fn right(self) {
        self.of_address.right();
        self.of_both.right();
        self.of_account.into_iter().for_each(Guess::right);
        self.known.remember(self.from, self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::{Attempt, Attempts, IpAddr, Limits};

    fn address(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    /// It is hashed, and then it is dropped.
    fn wrong(mut attempt: Attempt<'_>) {
        attempt.hashing();
    }

    /// How many of these attempts are taken; each is wrong.
    async fn taken(attempts: &Attempts, from: impl Iterator<Item = u8>, name: &str) -> usize {
        let mut taken = 0;
        for number in from {
            taken += usize::from(attempts.login(address(number), name).await.map(wrong).is_ok());
        }
        taken
    }

    #[tokio::test]
    async fn strangers_share_the_attempts_of_an_account_and_its_owner_has_their_own() {
        let limits = Limits { passwords_per_account: 5, ..Limits::default() };
        let attempts = Attempts::new(&limits);
        attempts.remember(address(1), "Ana");
        assert_eq!(taken(&attempts, 2..=200, "ana").await, 5, "whatever the addresses");
        let is_known = async |name| attempts.login(address(1), name).await.map(|attempt| attempt.is_known);
        assert_eq!(is_known("ana").await, Ok(true));
        assert_eq!(is_known("bob").await, Ok(false), "known to one account is not known to another");
        assert_eq!(taken(&attempts, [1; 5].into_iter(), "ana").await, 3, "and not even the owner may guess");
    }

    #[tokio::test]
    async fn a_name_that_nobody_has_is_counted_like_any_other() {
        let attempts = Attempts::new(&Limits { passwords_per_account: 5, ..Limits::default() });
        assert_eq!(taken(&attempts, 1..=200, "nobody").await, 5);
    }

    #[tokio::test]
    async fn a_right_password_costs_nothing_and_who_finds_nothing_left_waits_for_those_that_are_hashed() {
        let attempts = Attempts::new(&Limits { passwords_per_minute: 1, ..Limits::default() });
        let mut first = attempts.login(address(1), "ana").await.expect("it is the first");
        first.hashing();
        let (second, ()) = tokio::join!(attempts.login(address(1), "ana"), async { first.right() });
        second.expect("the first was right").right();
        let last = attempts.login(address(1), "ana").await.expect("none was wrong yet");
        let (next, ()) = tokio::join!(attempts.login(address(1), "ana"), async { wrong(last) });
        assert!(next.is_err(), "the one before was wrong");
    }

    #[tokio::test]
    async fn what_is_not_hashed_costs_neither_the_address_nor_the_account() {
        let attempts = Attempts::new(&Limits { passwords_per_account: 1, passwords_per_address: 4, ..Limits::default() });
        assert_eq!(taken(&attempts, 1..=1, "ana").await, 1);
        assert_eq!(taken(&attempts, [2; 9].into_iter(), "ana").await, 0, "a stranger has used it up");
        attempts.remember(address(2), "ana");
        assert_eq!(taken(&attempts, [2; 9].into_iter(), "ana").await, 3, "all that one may guess of one's own account");
        assert_eq!(taken(&attempts, [2; 9].into_iter(), "bob").await, 1, "and all that there may be from an address");
        assert_eq!(taken(&attempts, 3..=3, "bob").await, 0);
        assert_eq!(attempts.addresses.len(), 2, "nothing is remembered of whom nothing was hashed");
    }

    #[test]
    fn keys_are_counted_by_channel_and_by_address() {
        let limits = Limits { channel_keys_per_minute: 2, channel_keys_per_address: 5, ..Limits::default() };
        let attempts = Attempts::new(&limits);
        let tried = |from, name: &str| (0..3).filter(|_| attempts.channel(from, name).is_ok()).count();
        assert_eq!([tried(address(1), "a"), tried(address(1), "b"), tried(address(1), "c")], [2, 2, 0]);
        assert_eq!(tried(address(2), "a"), 2, "another address is another matter");
    }

    #[test]
    fn strangers_share_the_keys_that_are_tried_for_a_channel() {
        let attempts = Attempts::new(&Limits { channel_keys_per_channel: 5, ..Limits::default() });
        attempts.remember_channel(address(1), "Attic");
        assert_eq!((2..=200).filter(|&number| attempts.channel(address(number), "attic").is_ok()).count(), 5);
        assert_eq!(attempts.channel(address(1), "ATTIC"), Ok(()), "where it was right before");
        assert_eq!(attempts.channel(address(2), "shed"), Ok(()), "another channel is another matter");
    }
}
