//! Passwords and channel keys: they are hashed with argon2 on the blocking pool, a few at a time, and not often for one
//! account or address.
//!
//! A hash is expensive on purpose, to make guessing slow. So the number of hashes is limited before any is computed, and those
//! who wait for one are served fairly. It owns both, and must never tell whether an account exists, not even by the time it
//! takes.

mod attempts;
mod guesses;
mod known;
mod queue;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};
use unicode_normalization::UnicodeNormalization;

use crate::limits::{HASH_WAIT_SECONDS, Limits};
use crate::wire::{Code, Refusal};

use attempts::{Attempts, rate_limited};
use queue::{Full, Queue, Turn};

/// Verified when there is no such account, so that this takes the same time.
/// Also the first time: it is not made here.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzIQ$bm9ib2R5IGhhcyB0aGlzIHBhc3N3b3JkIGFueXdheSE";

/// Where hashes are computed, and what they cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hashing {
    /// On the blocking pool, at the full cost.
    InPool,
    /// At once in the caller's thread, at the least cost.
    InPlace,
}

/// Hashes passwords and channel keys, and limits the attempts.
pub struct Passwords {
    queue: Arc<Queue>,
    attempts: Attempts,
    hashing: Hashing,
    hashed: AtomicU64,
}

impl Passwords {
    /// Nothing was counted yet.
    pub fn new(limits: &Limits) -> Self {
        Self { queue: Arc::default(), attempts: Attempts::new(limits), hashing: Hashing::InPool, hashed: AtomicU64::new(0) }
    }

    /// For simulations only: hashes protect nothing here, but they are there at once and need no thread of their own.
    pub fn simulated(limits: &Limits) -> Self {
        Self { hashing: Hashing::InPlace, ..Self::new(limits) }
    }

    /// Forgets addresses and names without recent attempts.
    pub fn sweep(&self) {
        self.attempts.sweep();
        self.queue.sweep();
    }

    /// Whether the account has this password. `stored` is its hash, or `None` for an account that does not exist: checking
    /// takes the same time.
    ///
    /// # Errors
    /// `RATE_LIMITED`: too many attempts, or too many others are waiting. Nothing was hashed. `INTERNAL`: hashing failed.
    pub async fn check_login(
        &self,
        from: IpAddr,
        name: &str,
        stored: Option<Arc<str>>,
        password: &str,
    ) -> Result<bool, Refusal> {
        let mut attempt = self.attempts.login(from, name).await?;
        let turn = self.turn(from, attempt.is_known).await?;
        attempt.hashing();
        let exists = stored.is_some();
        let matches = self.verify(turn, stored, password).await? && exists;
        if matches {
            attempt.right();
        }
        Ok(matches)
    }

    /// Notes that the account was registered from there.
    pub fn registered(&self, from: IpAddr, name: &str) {
        self.attempts.remember(from, name);
    }

    /// Counts a token or the code of an invitation that was wrong.
    ///
    /// # Errors
    /// `RATE_LIMITED`: there were too many.
    pub fn wrong_secret(&self, from: IpAddr) -> Result<(), Refusal> {
        self.attempts.wrong_secret(from)
    }

    /// How many hashes were computed, or are being computed.
    pub fn hashed(&self) -> u64 {
        self.hashed.load(Ordering::Relaxed)
    }

    /// How many hashes are waited for.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Whether `key` is the channel's key, whose hash is `stored`.
    ///
    /// # Errors
    /// `RATE_LIMITED`: too many attempts, or too many others are waiting. Nothing was hashed. `INTERNAL`: hashing failed.
    pub async fn check_channel(&self, from: IpAddr, channel: &str, stored: Arc<str>, key: &str) -> Result<bool, Refusal> {
        self.attempts.channel(from, channel)?;
        let turn = self.turn(from, false).await?;
        let is_right = self.verify(turn, Some(stored), key).await?;
        if is_right {
            self.attempts.remember_channel(from, channel);
        }
        Ok(is_right)
    }

    /// The hash, as a PHC string, of a new account's password or a new channel's key.
    ///
    /// # Errors
    /// `RATE_LIMITED`: too many attempts, or too many others are waiting. Nothing was hashed. `INTERNAL`: hashing failed.
    pub async fn hash_new(&self, from: IpAddr, password: &str) -> Result<Arc<str>, Refusal> {
        let mut attempt = self.attempts.new_hash(from).await?;
        let turn = self.turn(from, false).await?;
        attempt.hashing();
        let password: String = password.nfc().collect();
        let argon = match self.hashing {
            Hashing::InPool => Argon2::default(),
            Hashing::InPlace => Params::new(Params::MIN_M_COST, 1, 1, None).expect("invariant: these are the least").into(),
        };
        self.compute(turn, move || hash(&argon, &password).into()).await
    }

    /// The hash, as a PHC string, of a password that the operator gives out.
    ///
    /// # Errors
    /// `RATE_LIMITED`: too many others are waiting. `INTERNAL`: hashing failed.
    pub async fn hash_for_operator(&self, password: &str) -> Result<Arc<str>, Refusal> {
        let password = password.to_owned();
        let turn = self.turn(Ipv4Addr::LOCALHOST.into(), true).await?;
        self.compute(turn, move || hash(&Argon2::default(), &password).into()).await
    }

    async fn verify(&self, turn: Turn, stored: Option<Arc<str>>, password: &str) -> Result<bool, Refusal> {
        let password: String = password.nfc().collect();
        self.compute(turn, move || {
            let parsed =
                PasswordHash::new(stored.as_deref().unwrap_or(NOBODY)).expect("invariant: only hashes made here are stored");
            Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok()
        })
        .await
    }

    async fn turn(&self, from: IpAddr, is_known: bool) -> Result<Turn, Refusal> {
        let wait = Duration::from_secs(HASH_WAIT_SECONDS);
        match tokio::time::timeout(wait, Queue::turn(&self.queue, from, is_known)).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(Full)) | Err(_) => Err(rate_limited(wait)),
        }
    }

    async fn compute<T: Send + 'static>(&self, turn: Turn, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        self.hashed.fetch_add(1, Ordering::Relaxed);
        if self.hashing == Hashing::InPlace {
            return Ok(work());
        }
        // The turn goes along, so that a hash whose session has gone still counts as one that is computed.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|error| {
            tracing::error!(%error, "hashing a password failed");
            Refusal::new(Code::Internal, "the password could not be checked; the server's log says why")
        })
    }
}

fn hash(argon: &Argon2<'_>, password: &str) -> String {
    argon.hash_password(password.as_bytes()).expect("invariant: the default parameters are valid").to_string()
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::{Arc, Code, IpAddr, Limits, NOBODY, Passwords, Queue};
    use crate::limits::HASHES_AT_ONCE;

    #[tokio::test]
    async fn a_password_is_the_same_however_its_accents_are_typed() {
        let passwords = Passwords::new(&Limits::default());
        let from = IpAddr::from([127, 0, 0, 1]);
        let stored = passwords.hash_new(from, "caf\u{e9} au lait").await.unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert_eq!(passwords.check_login(from, "ana", Some(Arc::clone(&stored)), "cafe\u{301} au lait").await, Ok(true));
        assert_eq!(passwords.check_login(from, "ana", Some(stored), "cafe au lait").await, Ok(false));
        assert_eq!(passwords.check_login(from, "ANA", None, "nobody has this password").await, Ok(false));
        assert_eq!(passwords.check_login(from, "ana", None, "wrong").await, Ok(false));
        let fourth_wrong = passwords.check_login(from, "ana", None, "wrong").await.unwrap_err();
        assert_eq!(fourth_wrong.code, Code::RateLimited);
        assert!(fourth_wrong.text.starts_with("retry-ms="));
    }

    /// Time stands still but for those who wait.
    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_hash_in_vain_has_not_guessed() {
        let limits =
            Limits { passwords_per_minute: 1, passwords_per_address: 1, passwords_per_account: 1, ..Limits::default() };
        let passwords = Passwords::simulated(&limits);
        let [from, others] = [1, 2].map(|number| IpAddr::from([192, 0, 2, number]));
        let busy = join_all((0..HASHES_AT_ONCE).map(|_| Queue::turn(&passwords.queue, others, false))).await;
        let refused = passwords.check_login(from, "ana", None, "wrong horse").await.unwrap_err();
        assert_eq!(refused.code, Code::RateLimited);
        assert_eq!(passwords.hash_new(from, "correct horse").await.unwrap_err().code, Code::RateLimited);
        drop(busy);
        assert_eq!(passwords.check_login(from, "ana", None, "wrong horse").await, Ok(false));
        assert_eq!(passwords.check_login(from, "ana", None, "wrong horse").await.unwrap_err().code, Code::RateLimited);
    }

    /// Counted and not timed: one hash each, with the same parameters.
    #[tokio::test]
    async fn a_wrong_name_costs_what_a_wrong_password_costs() {
        let passwords = Passwords::new(&Limits::default());
        let from = IpAddr::from([127, 0, 0, 1]);
        let stored = passwords.hash_new(from, "correct horse").await.unwrap();
        let before = passwords.hashed();
        assert_eq!(passwords.check_login(from, "ana", Some(Arc::clone(&stored)), "wrong horse").await, Ok(false));
        assert_eq!(passwords.hashed() - before, 1);
        assert_eq!(passwords.check_login(from, "nobody", None, "wrong horse").await, Ok(false));
        assert_eq!(passwords.hashed() - before, 2);
        let cost = |text: &str| text.rsplitn(3, '$').last().map(str::to_owned);
        let length = |text: &str| text.rsplit('$').next().map(str::len);
        assert_eq!((cost(&stored), length(&stored)), (cost(NOBODY), length(NOBODY)));
    }
}
