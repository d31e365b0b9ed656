//! The server that is loaded, and how a connection to it is opened: plain, or with TLS. Owns nothing but the certificate that is
//! trusted. It must never take up an earlier TLS session again: every connection pays for its whole handshake.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// What is read from a server.
pub type Incoming = Box<dyn AsyncRead + Unpin>;
/// What is written to a server.
pub type Outgoing = Box<dyn AsyncWrite + Unpin>;

/// A server.
#[derive(Clone)]
pub struct Target {
    address: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Target {
    /// The server at `HOST:PORT`; with a file of a certificate the connections speak TLS, and trust only that.
    ///
    /// # Errors
    /// When the file holds no certificate, or the host can have none.
    pub fn new(address: &str, trusted: Option<&Path>) -> Result<Self> {
        let tls = trusted.map(|file| connector(address, file)).transpose()?;
        Ok(Self { address: address.to_owned(), tls })
    }

    /// Opens a connection, and returns its two directions.
    ///
    /// # Errors
    /// When the server does not accept, or the handshake fails.
    pub async fn open(&self) -> std::io::Result<(Incoming, Outgoing)> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let Some((connector, name)) = &self.tls else {
            let (reader, writer) = stream.into_split();
            return Ok((Box::new(reader), Box::new(writer)));
        };
        let (reader, writer) = tokio::io::split(connector.connect(name.clone(), stream).await?);
        Ok((Box::new(reader), Box::new(writer)))
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

fn connector(address: &str, file: &Path) -> Result<(TlsConnector, ServerName<'static>)> {
    let certificate = CertificateDer::from_pem_file(file).with_context(|| format!("no certificate in {}", file.display()))?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    Ok((TlsConnector::from(Arc::new(config)), ServerName::try_from(host.to_owned())?))
}
