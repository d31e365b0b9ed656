//! Whom an encrypted connection of the menu trusts: who is vouched for by the system's roots or a given file, and otherwise the
//! certificate that the server showed the first time.
//!
//! It owns the file of known hosts. It must never let a server pass whose certificate is another one than before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::tls::{fingerprint, provider};

/// What the file of known hosts holds for a server that the system's roots vouched for.
const VOUCHED: &str = "system-roots";
/// The most that is read of the file of known hosts, in bytes.
const KNOWN_BYTES: u64 = 1024 * 1024;

/// Whom to trust.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Trusts who is vouched for in this PEM file, and nobody else.
    pub authority: Option<PathBuf>,
    /// The file in which known hosts are kept.
    pub known_hosts: Option<PathBuf>,
}

/// What a certificate has to be.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    roots: Option<Arc<WebPkiServerVerifier>>,
    /// Whether a server that nobody vouches for may be trusted for its fingerprint.
    may_be_unknown: bool,
    /// What is known of the server from before.
    known: Option<String>,
    /// What is now known of the server.
    seen: Mutex<Option<String>>,
}

impl Trust {
    /// Shakes hands with the server at `address`, which is `HOST:PORT`. Returns what a person should be told, if anything.
    ///
    /// # Errors
    /// When the server cannot be trusted or does not speak TLS; each says what to do.
    pub fn shake_hands(&self, address: &str, stream: &TcpStream) -> io::Result<(ClientConnection, Option<String>)> {
        let address = address.to_lowercase();
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host).trim_matches(['[', ']']);
        let host = ServerName::try_from(host.to_owned()).map_err(|_| invalid(format!("{host} is no name of a host")))?;
        let verifier = Arc::new(self.verifier(&address)?);
        let config = ClientConfig::builder_with_provider(Arc::clone(&verifier.provider))
            .with_safe_default_protocol_versions()
            .map_err(invalid)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        let mut connection = ClientConnection::new(Arc::new(config), host).map_err(invalid)?;
        let mut stream = stream;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).map_err(|error| self.explain(&verifier, &address, error))?;
        }
        Ok((connection, self.remember(&verifier, &address)?))
    }

    fn verifier(&self, address: &str) -> io::Result<Verifier> {
        let mut roots = RootCertStore::empty();
        match &self.authority {
            Some(file) => {
                let unreadable = |error| invalid(format!("{} is no file of certificates: {error}", file.display()));
                let certificates = CertificateDer::pem_file_iter(file).map_err(unreadable)?;
                roots.add_parsable_certificates(certificates.collect::<Result<Vec<_>, _>>().map_err(unreadable)?);
                if roots.is_empty() {
                    return Err(invalid(format!("there is no certificate in {}", file.display())));
                }
            }
            // What cannot be read of the system's roots vouches for nobody.
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        let provider = provider();
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let may_be_unknown = self.authority.is_none();
        let known = if may_be_unknown { known(self.known_hosts()?, address)? } else { None };
        Ok(Verifier { provider, roots: builder.build().ok(), may_be_unknown, known, seen: Mutex::default() })
    }

    fn known_hosts(&self) -> io::Result<&Path> {
        self.known_hosts
            .as_deref()
            .ok_or_else(|| invalid("there is no home directory to keep known hosts in; give --tls-ca FILE"))
    }

    /// Keeps what is now known of the server, after the handshake has proved that the certificate is its own.
    fn remember(&self, verifier: &Verifier, address: &str) -> io::Result<Option<String>> {
        let seen = verifier.seen();
        let Some(seen) = seen.filter(|seen| verifier.may_be_unknown && verifier.known.is_none() && !seen.is_empty()) else {
            return Ok(None);
        };
        let file = self.known_hosts()?;
        let kept = || {
            if let Some(folder) = file.parent() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            let mut known = OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
            known.write_all(format!("{address} {seen}\n").as_bytes())
        };
        kept().map_err(|error| invalid(format!("{} cannot be written: {error}", file.display())))?;
        let told = format!(
            "Nobody known here vouches for {address}. The SHA-256 fingerprint of its certificate:\n{seen}\n\
             Compare it with what the server's operator says. It is kept in {}: another one will be refused.",
            file.display()
        );
        Ok((seen != VOUCHED).then_some(told))
    }

    fn explain(&self, verifier: &Verifier, address: &str, error: io::Error) -> io::Error {
        let reason = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        match (reason, &verifier.known, verifier.seen(), &self.known_hosts) {
            (Some(rustls::Error::InvalidCertificate(_)), Some(known), Some(seen), Some(file)) => invalid(format!(
                "THE CERTIFICATE HAS CHANGED. Somebody may be listening in, or the server has a new one. Known of {address}: {known}; \
                 shown now: {seen}. Ask the server's operator; if the new one is right, delete the line of {address} in {}",
                file.display()
            )),
            (Some(rustls::Error::InvalidCertificate(why)), ..) => invalid(format!("its certificate is not trusted: {why:?}")),
            (Some(rustls::Error::InvalidMessage(_)), ..) => {
                invalid("there is no TLS at that port; give the server's TLS port, or leave --tls away")
            }
            _ if error.kind() == io::ErrorKind::WouldBlock => {
                io::Error::new(io::ErrorKind::TimedOut, "the handshake takes too long")
            }
            _ => error,
        }
    }
}

fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// What the file knows of a server. Its last line counts.
fn known(file: &Path, address: &str) -> io::Result<Option<String>> {
    let mut text = String::new();
    match File::open(file).and_then(|file| file.take(KNOWN_BYTES).read_to_string(&mut text)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(invalid(format!("{} cannot be read: {error}", file.display())))
        }
        _ => {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            Ok(lines.rfind(|(host, _)| *host == address).map(|(_, known)| known.trim().to_owned()))
        }
    }
}

impl Verifier {
    fn seen(&self) -> Option<String> {
        self.seen.lock().expect("invariant: nothing panics under this lock").clone()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let nobody = || Err(rustls::CertificateError::UnknownIssuer.into());
        let vouched =
            self.roots.as_ref().map_or_else(nobody, |roots| roots.verify_server_cert(certificate, others, name, ocsp, now));
        let seen = if vouched.is_ok() { VOUCHED.to_owned() } else { fingerprint(certificate) };
        *self.seen.lock().expect("invariant: nothing panics under this lock") = Some(seen.clone());
        match &self.known {
            _ if vouched.is_ok() || !self.may_be_unknown => vouched,
            // Who was vouched for once must not become somebody whom nobody vouches for.
            Some(known) if *known != seen => Err(rustls::CertificateError::ApplicationVerificationFailure.into()),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
