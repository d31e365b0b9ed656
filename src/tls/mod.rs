//! What TLS needs apart from connections: certificates, read from files or made, and their fingerprints.
//!
//! The server's certificates are owned here, because they change while it runs. This module must never open a connection, and
//! never print or log a key.

mod certificates;
mod self_signed;
mod validity;

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use certificates::{CertificateError, Certificates};
pub use self_signed::{Made, MakeError, make};

/// The cryptography that both sides use.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The SHA-256 fingerprint of a certificate, written as openssl writes it, so that people can compare the two.
pub fn fingerprint(certificate: &[u8]) -> String {
    let pairs: Vec<_> = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn a_fingerprint_is_written_as_openssl_writes_it() {
        let text = fingerprint(b"abc");
        assert!(text.starts_with("BA:78:16:BF:") && text.ends_with(":F2:00:15:AD") && text.len() == 95, "{text}");
    }
}
