//! Connections that a proxy hands on: it says where each comes from, by the PROXY protocol, version 2.
//!
//! Only the proxies that the operator named are believed, and they must always say it: otherwise all their users would share one
//! address and its limits, and anybody could pass for anybody. Nothing is read from beyond the header.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ipnet::IpNet;
use proxy_header::{Error, ParseConfig, ProxyHeader};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::limits::PROXY_HEADER_BYTES;

/// The signature, the version with the command, the family, and the length of the rest (HAProxy's `proxy-protocol.txt`,
/// section 2.2).
const HEAD: usize = 16;
const CONFIG: ParseConfig = ParseConfig { include_tlvs: true, allow_v1: false, allow_v2: true };

/// The proxies that are believed.
#[derive(Debug, Clone)]
pub struct Proxies {
    networks: Arc<[IpNet]>,
    /// Whether the operator was told that one of them says nothing.
    is_told: Arc<AtomicBool>,
}

/// Where a connection comes from, as its proxy says.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The client's end; `None` for a connection of the proxy's own, such as a health check.
    pub peer: Option<SocketAddr>,
    /// Whether the client has spoken TLS with the proxy.
    pub is_encrypted: bool,
}

impl Proxies {
    pub fn new(networks: &[IpNet]) -> Self {
        Self { networks: networks.into(), is_told: Arc::default() }
    }

    /// Whether a proxy is there.
    pub fn include(&self, address: IpAddr) -> bool {
        !self.networks.is_empty() && self.networks.iter().any(|network| network.contains(&address.to_canonical()))
    }

    /// Tells the operator, once: each connection through a proxy that is not set up for it fails.
    pub fn tell(&self, proxy: SocketAddr, error: &io::Error) {
        // A health check that only connects is no mistake.
        let only_connects = matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset);
        if only_connects || self.is_told.swap(true, Ordering::Relaxed) {
            return tracing::debug!(%error, %proxy, "nothing came through the proxy");
        }
        tracing::warn!(%error, %proxy, "connections from this proxy are closed; let it send a PROXY header, version 2 (HAProxy: send-proxy-v2)");
    }
}

/// Reads the header, within `seconds`, and no byte more.
///
/// # Errors
/// When there is none, or it is too slow, too long or malformed.
pub async fn read(stream: &mut TcpStream, seconds: u64) -> io::Result<Source> {
    tokio::time::timeout(Duration::from_secs(seconds), read_whole(stream)).await?
}

async fn read_whole(stream: &mut TcpStream) -> io::Result<Source> {
    let mut header = vec![0; HEAD];
    stream.read_exact(&mut header).await?;
    // Whatever is no header has no length either.
    if let Err(error) = parse(&header)
        && error != Error::BufferTooShort
    {
        return Err(no_header(error));
    }
    let length = usize::from(u16::from_be_bytes([header[HEAD - 2], header[HEAD - 1]]));
    if length > PROXY_HEADER_BYTES {
        return Err(no_header(Error::HeaderTooBig));
    }
    header.resize(HEAD + length, 0);
    stream.read_exact(&mut header[HEAD..]).await?;
    parse(&header).map_err(no_header)
}

fn no_header(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no PROXY header, version 2: {error}"))
}

/// What a header says.
fn parse(header: &[u8]) -> Result<Source, Error> {
    let (header, _) = ProxyHeader::parse(header, CONFIG)?;
    let peer = header.proxied_address().map(|address| address.source);
    let is_encrypted = peer.is_some() && header.ssl().is_some_and(|ssl| ssl.client_ssl());
    Ok(Source { peer, is_encrypted })
}
