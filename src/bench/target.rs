//! The server that is loaded, or the servers of one cluster, and how a connection to it is opened: plain, or with TLS. Owns nothing but the certificate that is
//! trusted. It must never take up an earlier TLS session again: every connection pays for its whole handshake.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The port of a server that is named without one.
const PORT: u16 = 12000;

/// The servers of a cluster agree within milliseconds.
const SETTLED: Duration = Duration::from_millis(500);

/// What is read from a server.
pub type Incoming = Box<dyn AsyncRead + Unpin>;
/// What is written to a server.
pub type Outgoing = Box<dyn AsyncWrite + Unpin>;

/// One server, or some that are one.
#[derive(Clone)]
pub struct Target(Vec<(String, Option<(TlsConnector, ServerName<'static>)>)>);

impl Target {
    /// The server at `HOST:PORT`, or more of them with commas between; with a file of a certificate the connections speak TLS, and
    /// trust only that.
    ///
    /// # Errors
    /// When the file holds no certificate, or a host can have none.
    pub fn new(addresses: &str, trusted: Option<&Path>) -> Result<Self> {
        let server = |address: &str| {
            let tls = trusted.map(|file| connector(address, file)).transpose()?;
            let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            Ok((if has_port { address.to_owned() } else { format!("{address}:{PORT}") }, tls))
        };
        Ok(Self(addresses.split(',').map(server).collect::<Result<_>>()?))
    }

    /// Opens connection `me`, and returns its two directions. The servers take turns.
    ///
    /// # Errors
    /// When the server does not accept, or the handshake fails.
    pub async fn open(&self, me: usize) -> std::io::Result<(Incoming, Outgoing)> {
        let (address, tls) = self.of(me);
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let Some((connector, name)) = tls else {
            let (reader, writer) = stream.into_split();
            return Ok((Box::new(reader), Box::new(writer)));
        };
        let (reader, writer) = tokio::io::split(connector.connect(name.clone(), stream).await?);
        Ok((Box::new(reader), Box::new(writer)))
    }

    /// `HOST:PORT` of connection `me`.
    pub fn address(&self, me: usize) -> &str {
        &self.of(me).0
    }

    fn of(&self, me: usize) -> &(String, Option<(TlsConnector, ServerName<'static>)>) {
        &self.0[me % self.0.len()]
    }

    /// Waits until what one server has done is known to all.
    pub async fn settle(&self) {
        if self.0.len() > 1 {
            tokio::time::sleep(SETTLED).await;
        }
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
