//! The server's certificate and key, as the files hold them.
//!
//! It owns the configuration that new connections get, and replaces it as a whole: a connection keeps the one that it began
//! with. Files that cannot be used must never replace one that can.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock, RwLockReadGuard};

use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::{self, ServerConfig};

use super::validity::Validity;
use super::{fingerprint, provider};

/// Why certificate files cannot be used; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The certificate cannot be read.
    #[error("the certificate cannot be read from {0} ({1}); give --tls-cert a PEM file, or make one: linechat tls self-signed")]
    Certificate(PathBuf, pem::Error),
    /// There is no certificate in the file.
    #[error("there is no certificate in {0}; give --tls-cert a PEM file, or make one: linechat tls self-signed")]
    NoCertificate(PathBuf),
    /// The key cannot be read.
    #[error(
        "the key cannot be read from {0} ({1}); give --tls-key the PEM file of the certificate's key, without a passphrase"
    )]
    Key(PathBuf, pem::Error),
    /// The two cannot be used together.
    #[error("{0} and {1} cannot be used together ({2}); give --tls-cert and --tls-key files that belong together")]
    Pair(PathBuf, PathBuf, rustls::Error),
}

/// A certificate with its key, which can be read again while the server runs.
#[derive(Debug)]
pub struct Certificates {
    current: RwLock<Loaded>,
}

/// What was read.
#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    file: PathBuf,
    fingerprint: String,
    validity: Option<Validity>,
}

impl Certificates {
    /// Reads both files.
    ///
    /// # Errors
    /// [`CertificateError`], for the operator.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        Ok(Self { current: RwLock::new(read(certificate, key)?) })
    }

    fn get(&self) -> RwLockReadGuard<'_, Loaded> {
        self.current.read().expect("invariant: nothing panics under this lock")
    }

    /// What a new connection gets.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.get().config)
    }

    /// Until when the certificate is valid, in seconds since 1970, if that can be read.
    pub fn expiry(&self) -> Option<i64> {
        self.get().validity.map(|validity| validity.until)
    }

    /// What is wrong with the certificate at a time, in seconds since 1970: it is not valid yet, or no more. It is used all the same.
    pub fn doubt(&self, now: i64) -> Option<String> {
        let loaded = self.get();
        let (file, validity) = (loaded.file.display(), loaded.validity?);
        let date =
            |seconds| jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |date| date.to_string());
        if now > validity.until {
            Some(format!("the certificate in {file} has expired, at {}; most clients refuse it", date(validity.until)))
        } else if now < validity.from {
            Some(format!(
                "the certificate in {file} is valid only from {}; most clients refuse it until then",
                date(validity.from)
            ))
        } else {
            None
        }
    }

    /// Reads both files again, or others, for the connections from now on. Returns the new certificate's fingerprint.
    ///
    /// # Errors
    /// [`CertificateError`]: nothing was replaced.
    pub fn reload(&self, certificate: &Path, key: &Path) -> Result<String, CertificateError> {
        let loaded = read(certificate, key)?;
        let fingerprint = loaded.fingerprint.clone();
        *self.current.write().expect("invariant: nothing panics under this lock") = loaded;
        Ok(fingerprint)
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Loaded, CertificateError> {
    let unreadable = |error| CertificateError::Certificate(certificate.to_owned(), error);
    let chain = CertificateDer::pem_file_iter(certificate).map_err(unreadable)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let first = chain.first().ok_or_else(|| CertificateError::NoCertificate(certificate.to_owned()))?;
    let (fingerprint, validity) = (fingerprint(first), Validity::of(first));
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| CertificateError::Key(key.to_owned(), error))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("invariant: the provider knows TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| CertificateError::Pair(certificate.to_owned(), key.to_owned(), error))?;
    // A conversation lasts for hours: resuming one would save little, and what can be resumed must be remembered.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Loaded { config: Arc::new(config), file: certificate.to_owned(), fingerprint, validity })
}
