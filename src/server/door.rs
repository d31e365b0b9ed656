//! A door: takes the connections of one listener in, and makes a conversation of each.
//!
//! It owns nothing but what all its connections share; a task of its own serves each connection. It must never wait for one peer
//! while others knock.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tracing::Instrument;

use crate::clock;
use crate::code::{Code, Refusal};
use crate::config::PlainPasswords;
use crate::limits::NONE;
use crate::server::admission::{self, Admission, Permit};
use crate::server::manners::Manners;
use crate::server::proxied;
use crate::server::supervisor::Ended;
use crate::server::tls;
use crate::session::{Session, Shared, Transport};
use crate::tls::Certificates;

/// How long accepting pauses when the system refuses another connection.
const REST: Duration = Duration::from_millis(50);
/// How often the operator is told of it.
const TOLD: Duration = Duration::from_secs(1);

/// What is the same for all connections of one listener.
pub struct Door {
    pub shared: Arc<Shared>,
    pub admission: Arc<Admission>,
    /// Whom it shows, where TLS is spoken.
    pub certificates: Option<Arc<Certificates>>,
    pub manners: Arc<Manners>,
}

/// Somebody who has been let in.
struct Caller {
    /// Where they come from.
    peer: SocketAddr,
    /// The address that they count for.
    address: IpAddr,
    /// Whether nobody can listen to what they send until it is on this side.
    is_encrypted: bool,
    /// Whether they, and the proxy if there is one, are on this machine.
    is_local: bool,
    permit: Permit,
}

/// Never ends: when the system refuses, it is asked again.
pub async fn accept(door: Arc<Door>, listener: TcpListener) -> Ended {
    let mut told = None;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => welcome(&door, stream, peer),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if told.is_none_or(|told| clock::since(told) >= TOLD) {
                    told = Some(clock::now());
                    tracing::warn!(%error, "connections cannot be accepted; trying again and again");
                }
                tokio::time::sleep(REST).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted)
}

fn welcome(door: &Arc<Door>, stream: TcpStream, peer: SocketAddr) {
    // All whom a proxy speaks for come from its address, until it has said from where.
    let is_proxy = door.manners.current().proxies.include(peer.ip());
    let most_each = if is_proxy { NONE } else { door.shared.limits.connections_per_address };
    let caller = match door.admit(peer, most_each, false) {
        Ok(caller) => caller,
        Err(refusal) => return door.turn_away(&stream, peer, &refusal),
    };
    if let Err(error) = admission::prepare(&stream) {
        return tracing::debug!(%error, %peer, "the connection was lost before it began");
    }
    if is_proxy {
        door.shared.tracker.spawn(introduce(Arc::clone(door), stream, caller));
    } else {
        let handshake = begin(door, stream, caller);
        handshake.map(|handshake| door.shared.tracker.spawn(handshake));
    }
}

/// A proxy says whom it speaks for, before anything else.
async fn introduce(door: Arc<Door>, mut stream: TcpStream, proxy: Caller) {
    let shared = &door.shared;
    let read = tokio::select! {
        read = proxied::read(&mut stream, shared.limits.proxy_header_seconds) => read,
        () = shared.stopping.cancelled() => return,
    };
    let caller = match read {
        Ok(proxied::Source { peer: Some(peer), is_encrypted }) => {
            drop(proxy.permit);
            match door.admit(peer, shared.limits.connections_per_address, is_encrypted) {
                // The proxy's own machine may be another.
                Ok(caller) => Caller { is_local: caller.is_local && proxy.is_local, ..caller },
                Err(refusal) => return door.turn_away(&stream, peer, &refusal),
            }
        }
        Ok(proxied::Source { peer: None, .. }) => proxy,
        Err(error) => return door.manners.current().proxies.tell(proxy.peer, &error),
    };
    if let Some(handshake) = begin(&door, stream, caller) {
        handshake.await;
    }
}

/// Begins a conversation, or the handshake before it.
fn begin(door: &Arc<Door>, stream: TcpStream, caller: Caller) -> Option<impl Future<Output = ()> + use<>> {
    if door.certificates.is_none() {
        converse(door, Box::new(stream), caller);
        return None;
    }
    if door.shared.budgets.handshakes.take(&caller.address).is_err() {
        tracing::debug!(peer = %caller.peer, "too many TLS handshakes from there");
        door.shared.metrics.turned_away(Code::RateLimited);
        return None;
    }
    Some(shake_hands(Arc::clone(door), stream, caller))
}

/// The handshake has a task of its own, which ends with it: what it needs is not kept for as long as the conversation.
async fn shake_hands(door: Arc<Door>, stream: TcpStream, caller: Caller) {
    let (shared, certificates) = (&door.shared, door.certificates.as_ref().expect("invariant: this is a door with TLS"));
    let opening = tls::open(stream, certificates.current(), shared.limits.tls_handshake_seconds);
    tokio::select! {
        opened = opening => match opened {
            Ok(transport) => converse(&door, Box::new(transport), Caller { is_encrypted: true, ..caller }),
            Err(error) => tracing::debug!(%error, peer = %caller.peer, "no TLS handshake"),
        },
        () = shared.stopping.cancelled() => {}
    }
}

fn converse(door: &Door, transport: Box<dyn Transport>, caller: Caller) {
    let Caller { peer, address, is_encrypted, is_local, permit } = caller;
    let shared = &door.shared;
    let handle = shared.hub.admit();
    shared.metrics.connections.add(1);
    // At debug level only: a span is a tenth of what a silent connection costs.
    let span = tracing::debug_span!("connection", session = handle.number, %peer);
    let mut session = Session::new(Arc::clone(shared), transport, address, Arc::clone(&handle));
    if !is_encrypted && !door.takes_passwords(is_local) {
        session.refuse_passwords();
    }
    let work = async move {
        let _permit = permit;
        tracing::debug!("connected");
        // Why it ended stands in the log.
        let _ = session.run().await;
    };
    handle.runs_in(shared.tracker.spawn(work.instrument(span)).abort_handle());
}

impl Door {
    fn admit(&self, peer: SocketAddr, most_each: u64, is_encrypted: bool) -> Result<Caller, Refusal> {
        let shared = &self.shared;
        if shared.lives.newest().is_over() {
            let text = "this server was cut off from the others and begins anew; connect again in a moment, or to another";
            return Err(Refusal::new(Code::Unavailable, text));
        }
        let address = admission::counted(peer.ip(), shared.limits.ipv6_prefix);
        // While a batch is being committed nobody is asked, and the decision about the newcomer says the same.
        if let Ok(state) = shared.state.try_read()
            && let Some(ban) = state.ban_of(address, shared.clock.time())
        {
            return Err(Refusal::new(Code::NotAllowed, format!("your address is {}", ban.words())));
        }
        let permit = Admission::admit(&self.admission, address, most_each, shared.hub.buffered())?;
        Ok(Caller { peer, address, is_encrypted, is_local: peer.ip().to_canonical().is_loopback(), permit })
    }

    /// Before a handshake there is no way to say anything that the peer would understand.
    fn turn_away(&self, stream: &TcpStream, peer: SocketAddr, refusal: &Refusal) {
        self.shared.metrics.turned_away(refusal.code);
        let address = admission::counted(peer.ip(), self.shared.limits.ipv6_prefix);
        self.shared.notable.turned_away(address, &refusal.text);
        if self.certificates.is_none() {
            admission::turn_away(stream, refusal);
        }
    }

    /// Whether a password may come over an unencrypted connection, from this machine or from elsewhere.
    fn takes_passwords(&self, is_local: bool) -> bool {
        match self.manners.current().plain_passwords {
            PlainPasswords::Allow => true,
            PlainPasswords::Loopback => is_local,
            PlainPasswords::Refuse => false,
        }
    }
}
