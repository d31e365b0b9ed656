//! Passwords and channel keys: they are hashed with argon2 on the blocking pool, a few at a time, and not often for one
//! address.
//!
//! A hash is expensive on purpose, to make guessing slow. So the number of hashes is limited, before any is computed.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

use crate::clock;
use crate::limits::{HASH_WAIT_SECONDS, HASHES_AT_ONCE, Limits, NONE};
use crate::wire::{Code, Refusal};

/// Verified when there is no such account, so that this takes the same time.
static NOBODY: LazyLock<Arc<str>> = LazyLock::new(|| hash("nobody has this password").into());

/// Limits the attempts per minute for each key; `None` means no limit.
struct Attempts<K: Hash + Eq + Clone>(Option<Limiter<K>>);

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, clock::Attempts, NoOpMiddleware<std::time::Instant>>;

impl<K: Hash + Eq + Clone> Attempts<K> {
    fn new(per_minute: u64) -> Self {
        let quota = NonZeroU32::new(u32::try_from(per_minute).unwrap_or(u32::MAX)).filter(|_| per_minute != NONE);
        Self(quota.map(|quota| Limiter::new(Quota::per_minute(quota), DashMapStateStore::default(), clock::Attempts)))
    }

    fn check(&self, key: &K) -> Result<(), Refusal> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        limiter.check_key(key).map_err(|until| rate_limited(until.wait_time_from(clock::Attempts.now())))
    }

    fn sweep(&self) {
        self.0.iter().for_each(|limiter| limiter.retain_recent());
    }
}

fn rate_limited(wait: Duration) -> Refusal {
    let wait = wait.as_millis() + 1;
    Refusal::new(Code::RateLimited, format!("retry-ms={wait} too many attempts; wait before the next"))
}

/// Hashes passwords and channel keys, and limits the attempts.
pub struct Passwords {
    turns: Semaphore,
    names: Attempts<(IpAddr, String)>,
    addresses: Attempts<IpAddr>,
    channels: Attempts<(IpAddr, String)>,
}

impl Passwords {
    /// Limiters that have counted nothing yet.
    pub fn new(limits: &Limits) -> Self {
        Self {
            turns: Semaphore::new(HASHES_AT_ONCE),
            names: Attempts::new(limits.passwords_per_minute),
            addresses: Attempts::new(limits.passwords_per_address),
            channels: Attempts::new(limits.channel_keys_per_minute),
        }
    }

    /// Forgets addresses and names without recent attempts.
    pub fn sweep(&self) {
        self.names.sweep();
        self.addresses.sweep();
        self.channels.sweep();
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
        // The address is checked first: if it makes too many attempts, the names that it tries must not take memory.
        self.addresses.check(&from)?;
        self.names.check(&(from, crate::names::fold(name).into()))?;
        let exists = stored.is_some();
        let matches = self.verify(stored, password).await?;
        Ok(exists && matches)
    }

    /// Whether `key` is the channel's key, whose hash is `stored`.
    ///
    /// # Errors
    /// `RATE_LIMITED`: too many attempts, or too many others are waiting. Nothing was hashed. `INTERNAL`: hashing failed.
    pub async fn check_channel(&self, from: IpAddr, channel: &str, stored: Arc<str>, key: &str) -> Result<bool, Refusal> {
        self.channels.check(&(from, crate::names::fold(channel).into()))?;
        self.verify(Some(stored), key).await
    }

    /// The hash, as a PHC string, of a new account's password or a new channel's key.
    ///
    /// # Errors
    /// `RATE_LIMITED`: too many attempts, or too many others are waiting. Nothing was hashed. `INTERNAL`: hashing failed.
    pub async fn hash_new(&self, from: IpAddr, password: &str) -> Result<Arc<str>, Refusal> {
        self.addresses.check(&from)?;
        let password: String = password.nfc().collect();
        self.in_turn(move || hash(&password).into()).await
    }

    async fn verify(&self, stored: Option<Arc<str>>, password: &str) -> Result<bool, Refusal> {
        let password: String = password.nfc().collect();
        self.in_turn(move || {
            let stored = stored.unwrap_or_else(|| Arc::clone(&NOBODY));
            let parsed = PasswordHash::new(&stored).expect("invariant: only hashes made here are stored");
            Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok()
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let wait = Duration::from_secs(HASH_WAIT_SECONDS);
        let turn = tokio::time::timeout(wait, self.turns.acquire()).await.map_err(|_| rate_limited(wait))?;
        let done = tokio::task::spawn_blocking(work).await;
        drop(turn);
        done.map_err(|error| {
            tracing::error!(%error, "hashing a password failed");
            Refusal::new(Code::Internal, "the password could not be checked; the server's log says why")
        })
    }
}

fn hash(password: &str) -> String {
    Argon2::default().hash_password(password.as_bytes()).expect("invariant: the default parameters are valid").to_string()
}

#[cfg(test)]
mod tests {
    use super::{Arc, Code, IpAddr, Limits, Passwords};

    #[tokio::test]
    async fn a_password_is_the_same_however_its_accents_are_typed() {
        let passwords = Passwords::new(&Limits::default());
        let from = IpAddr::from([127, 0, 0, 1]);
        let stored = passwords.hash_new(from, "caf\u{e9} au lait").await.unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert_eq!(passwords.check_login(from, "ana", Some(Arc::clone(&stored)), "cafe\u{301} au lait").await, Ok(true));
        assert_eq!(passwords.check_login(from, "ana", Some(stored), "cafe au lait").await, Ok(false));
        assert_eq!(passwords.check_login(from, "ANA", None, "nobody has this password").await, Ok(false));
        let fourth = passwords.check_login(from, "ana", None, "x").await.unwrap_err();
        assert_eq!(fourth.code, Code::RateLimited);
        assert!(fourth.text.starts_with("retry-ms="));
    }
}
