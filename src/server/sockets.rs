//! Where a server listens: at addresses that it binds itself, or on sockets that systemd hands over, which take their place.
//!
//! It owns sockets until they are listened on. It must never let anybody connect to a socket of its own before the store is read; on
//! those of systemd, whoever connects earlier waits there.

use std::io;
use std::net::SocketAddr;

use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket};

use crate::server::StartError;

/// Connections that the system holds until they are accepted.
const BACKLOG: u32 = 1024;
/// How systemd names the sockets on which TLS is spoken (`FileDescriptorName=tls`). All others are for lines as they are.
const TLS: &str = "tls";

/// Sockets that systemd hands over.
#[derive(Debug, Default)]
pub struct Handed {
    pub(super) plain: Vec<std::net::TcpListener>,
    pub(super) tls: Vec<std::net::TcpListener>,
}

impl Handed {
    /// Takes what was handed to this process. It changes the environment: nothing else may run yet.
    ///
    /// # Errors
    /// When one of them is not for TCP.
    pub fn take() -> io::Result<Self> {
        let mut sockets = ListenFd::from_env();
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut handed = Self::default();
        for place in 0..sockets.len() {
            let of = if names.next() == Some(TLS) { &mut handed.tls } else { &mut handed.plain };
            of.extend(sockets.take_tcp_listener(place)?);
        }
        Ok(handed)
    }
}

/// A socket that nobody can connect to yet, unless systemd has made it.
pub enum Socket {
    Bound(SocketAddr, TcpSocket),
    Handed(std::net::TcpListener),
}

/// The sockets that were handed over, or else one for each of these addresses.
///
/// # Errors
/// [`StartError`]: which address cannot be had.
pub fn open(handed: Vec<std::net::TcpListener>, addresses: &[SocketAddr]) -> Result<Vec<Socket>, StartError> {
    if handed.is_empty() {
        addresses.iter().map(|&address| bind(address)).collect()
    } else {
        Ok(handed.into_iter().map(Socket::Handed).collect())
    }
}

/// From now on, people can connect.
///
/// # Errors
/// [`StartError`]: on which address nobody can.
pub fn listen_all(sockets: Vec<Socket>) -> Result<Vec<TcpListener>, StartError> {
    sockets.into_iter().map(listen).collect()
}

/// The socket of the metrics, which systemd does not hand over.
///
/// # Errors
/// [`StartError::Metrics`].
pub fn bind_for_metrics(address: SocketAddr) -> Result<Socket, StartError> {
    bind(address).map_err(for_metrics)
}

/// Metrics can be asked for from now on.
///
/// # Errors
/// [`StartError::Metrics`].
pub fn listen_for_metrics(socket: Socket) -> Result<TcpListener, StartError> {
    listen(socket).map_err(for_metrics)
}

fn for_metrics(error: StartError) -> StartError {
    match error {
        StartError::PortInUse(address) => StartError::Metrics { address, error: io::ErrorKind::AddrInUse.into() },
        StartError::Listen { address, error } => StartError::Metrics { address, error },
        other => other,
    }
}

/// A socket of this server's own.
///
/// # Errors
/// [`StartError`]: the address cannot be had.
pub fn bind(address: SocketAddr) -> Result<Socket, StartError> {
    let bind = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // A restarted server must not wait for the connections of the one before to time out.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    };
    bind().map(|socket| Socket::Bound(address, socket)).map_err(|error| cannot_listen(address, error))
}

fn listen(socket: Socket) -> Result<TcpListener, StartError> {
    match socket {
        Socket::Bound(address, socket) => socket.listen(BACKLOG).map_err(|error| cannot_listen(address, error)),
        Socket::Handed(listener) => {
            let listen = || {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)
            };
            listen().map_err(StartError::Handed)
        }
    }
}

fn cannot_listen(address: SocketAddr, error: io::Error) -> StartError {
    match error.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse(address),
        _ => StartError::Listen { address, error },
    }
}
