//! Who may connect: how many in all, and how many from one address. Refused out loud, and at once.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::limits::Limits;
use crate::wire::{Code, Refusal, reply};

/// A peer that vanished without a word is noticed in about 90 seconds: a person at nc answers no PING of ours.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;
/// And in this time when it vanished with our bytes on the way (RFC 5482).
const UNACKNOWLEDGED: Duration = Duration::from_secs(90);

/// See the module.
#[derive(Debug)]
pub struct Admission {
    limits: Arc<Limits>,
    addresses: Mutex<Addresses>,
}

#[derive(Debug, Default)]
struct Addresses {
    all: u64,
    each: HashMap<IpAddr, u64>,
}

/// A connection's place; dropping it makes room.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    pub fn new(limits: Arc<Limits>) -> Self {
        Self { limits, addresses: Mutex::default() }
    }

    fn addresses(&self) -> MutexGuard<'_, Addresses> {
        self.addresses.lock().expect("invariant: nothing panics under this lock")
    }

    /// A place for a connection from this address, or why there is none.
    pub fn admit(this: &Arc<Self>, address: IpAddr) -> Result<Place, Refusal> {
        let address = address.to_canonical();
        let mut addresses = this.addresses();
        let (most, most_each) = (this.limits.connections, this.limits.connections_per_address);
        if addresses.all >= most {
            return Err(Refusal::new(
                Code::Quota,
                format!("the server has its {most} connections (limit connections); try later"),
            ));
        }
        let each = addresses.each.entry(address).or_default();
        if *each >= most_each {
            let text = format!("{address} has its {most_each} connections (limit connections-per-address); close one first");
            return Err(Refusal::new(Code::Quota, text));
        }
        *each += 1;
        addresses.all += 1;
        Ok(Place { admission: Arc::clone(this), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = self.admission.addresses();
        addresses.all -= 1;
        if let Some(each) = addresses.each.get_mut(&self.address) {
            *each -= 1;
            if *each == 0 {
                addresses.each.remove(&self.address);
            }
        }
    }
}

/// What a connection hears for which there is no id at the moment.
pub fn no_ids() -> Refusal {
    Refusal::new(Code::Unavailable, "the server is reserving ids; try again in a second")
}

/// Says why, without waiting, and lets the connection go.
pub fn turn_away(stream: &TcpStream, refusal: &Refusal) {
    let mut line = Vec::new();
    reply::err(&mut line, "-", refusal);
    // A fresh socket's buffer takes one line; a peer that has gone already needs none.
    let _ = stream.try_write(&line).and_then(|_| SockRef::from(stream).shutdown(std::net::Shutdown::Write));
}

/// Sets what every admitted connection needs: no delay, and an end when the peer has vanished.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_RETRIES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(())
}
