//! Who may connect: how many in all, and how many from one address. Others are told why, and refused at once.
//!
//! It owns the counts of connections. It must never keep anybody waiting.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use foldhash::HashMap;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::code::{Code, Refusal};
use crate::limits::{Limits, NO_NEWCOMERS_SIXTEENTHS};
use crate::wire::reply;

/// A peer that vanished without a word is noticed in about 90 seconds, by TCP: a person at nc would not answer a PING.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;
/// How soon a peer is noticed that vanished with our bytes on the way (RFC 5482).
const UNACKNOWLEDGED: Duration = Duration::from_secs(90);

/// How many connections there are, in all and from each address.
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

/// A connection's permit; dropping it makes room.
#[derive(Debug)]
pub struct Permit {
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

    /// How many connections there are.
    pub fn connections(&self) -> u64 {
        self.addresses().all
    }

    /// A permit for a connection that counts for this address (see [`counted`]), of which there may be `most_each`, where so
    /// many bytes are buffered for those who are connected.
    ///
    /// # Errors
    /// `QUOTA`: there are too many connections, in all or from this address. `UNAVAILABLE`: too much is buffered; newcomers
    /// are the first people that an overloaded server does without.
    pub fn admit(this: &Arc<Self>, address: IpAddr, most_each: u64, buffered: u64) -> Result<Permit, Refusal> {
        if buffered > this.limits.buffered_sixteenths(NO_NEWCOMERS_SIXTEENTHS) {
            let text = "the server buffers as much as it may (limit buffered); try again in a few seconds";
            return Err(Refusal::new(Code::Unavailable, text));
        }
        let mut addresses = this.addresses();
        let most = this.limits.connections;
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
        Ok(Permit { admission: Arc::clone(this), address })
    }
}

impl Drop for Permit {
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

/// The address that a connection counts for. Whoever has one IPv6 address has its whole /64 (RFC 4291, section 2.5.4). So all
/// addresses with the same first `prefix` bits (1 to 128) count as one. An IPv4 address mapped into IPv6 counts as the IPv4
/// address.
pub fn counted(address: IpAddr, prefix: u64) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let host_bits = 128 - u32::try_from(prefix.clamp(1, 128)).expect("invariant: it is at most 128");
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
        address => address,
    }
}

/// Tells the peer why, without waiting, and drops the connection.
pub fn turn_away(stream: &TcpStream, refusal: &Refusal) {
    let mut line = Vec::new();
    reply::err(&mut line, "-", refusal);
    // A new socket's buffer has room for one line; a peer that has already gone needs none.
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

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_prefix_is_one_address() {
        let of = |address: &str, prefix| counted(address.parse().unwrap(), prefix).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6", 64), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2:ffff::1", 64), of("2001:db8:1:2::9", 64));
        assert_ne!(of("2001:db8:1:3::1", 64), of("2001:db8:1:2::1", 64));
        assert_eq!(of("2001:db8:1:3::1", 48), of("2001:db8:1:2::1", 48));
        assert_eq!(of("2001:db8::1", 128), "2001:db8::1");
        assert_eq!((of("::ffff:192.0.2.7", 64), of("192.0.2.7", 64)), ("192.0.2.7".to_owned(), "192.0.2.7".to_owned()));
    }
}
