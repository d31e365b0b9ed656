//! The server's certificate and key, as the files hold them.
//!
//! It owns the configuration that new connections get, and replaces it as a whole: a connection keeps the one that it began
//! with. Files that cannot be used must never replace one that can.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::{self, ServerConfig};

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
    current: RwLock<Arc<ServerConfig>>,
}

impl Certificates {
    /// Reads both files.
    ///
    /// # Errors
    /// [`CertificateError`], for the operator.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let (config, _) = read(certificate, key)?;
        Ok(Self { current: RwLock::new(config) })
    }

    /// What a new connection gets.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().expect("invariant: nothing panics under this lock"))
    }

    /// Reads both files again, or others, for the connections from now on. Returns the new certificate's fingerprint.
    ///
    /// # Errors
    /// [`CertificateError`]: nothing was replaced.
    pub fn reload(&self, certificate: &Path, key: &Path) -> Result<String, CertificateError> {
        let (config, fingerprint) = read(certificate, key)?;
        *self.current.write().expect("invariant: nothing panics under this lock") = config;
        Ok(fingerprint)
    }
}

fn read(certificate: &Path, key: &Path) -> Result<(Arc<ServerConfig>, String), CertificateError> {
    let unreadable = |error| CertificateError::Certificate(certificate.to_owned(), error);
    let chain = CertificateDer::pem_file_iter(certificate).map_err(unreadable)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let first = chain.first().ok_or_else(|| CertificateError::NoCertificate(certificate.to_owned()))?;
    let fingerprint = fingerprint(first);
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
    Ok((Arc::new(config), fingerprint))
}
