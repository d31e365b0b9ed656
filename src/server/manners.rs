//! What an operator may change while the server runs, for the connections from then on: the certificate, whose word is taken for where
//! somebody comes from, and over what a password may come.
//!
//! It owns what holds now, and replaces it as a whole. What cannot be used must never replace what can.

use std::sync::{Arc, RwLock, RwLockReadGuard};

use crate::config::{Config, PlainPasswords};
use crate::server::proxied::Proxies;
use crate::tls::{CertificateError, Certificates};

/// What holds for new connections.
#[derive(Debug)]
pub struct Manners {
    certificates: Option<Arc<Certificates>>,
    current: RwLock<Current>,
}

/// What holds now.
#[derive(Debug)]
pub(super) struct Current {
    pub plain_passwords: PlainPasswords,
    /// Whose word is taken for where a connection comes from.
    pub proxies: Proxies,
}

/// Whether TLS is spoken was decided at the start, whatever the configuration says of it now.
fn current(config: &Config, speaks_tls: bool) -> Current {
    let plain_passwords = config.plain_passwords.unwrap_or(PlainPasswords::usual(speaks_tls));
    Current { plain_passwords, proxies: Proxies::new(&config.proxies) }
}

impl Manners {
    pub(super) fn new(config: &Config, certificates: Option<Arc<Certificates>>) -> Self {
        let current = RwLock::new(current(config, certificates.is_some()));
        Self { certificates, current }
    }

    /// What is wrong with the certificate at a time, in seconds since 1970, if one is shown and something is.
    pub fn doubt(&self, now: i64) -> Option<String> {
        self.certificates.as_ref()?.doubt(now)
    }

    /// Whoever looks must not keep it: each connection does.
    pub(super) fn current(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().expect("invariant: nothing panics under this lock")
    }

    /// Takes over what may change: the certificate, read again, the proxies, and where passwords may come from. It reads files. Returns
    /// the certificate's fingerprint, if one was read: where TLS is spoken.
    ///
    /// # Errors
    /// [`CertificateError`]: nothing was changed.
    pub fn change(&self, config: &Config) -> Result<Option<String>, CertificateError> {
        let fingerprint = match (&self.certificates, &config.tls) {
            (Some(certificates), Some(tls)) => Some(certificates.reload(&tls.certificate, &tls.key)?),
            _ => None,
        };
        *self.current.write().expect("invariant: nothing panics under this lock") =
            current(config, self.certificates.is_some());
        Ok(fingerprint)
    }
}
