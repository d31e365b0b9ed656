//! Which broker comes next when the one that is spoken to is of no use. The library prefers those that have failed least, and would
//! come back to this one again and again: it never fails. It owns whose turn it is, and must never choose where nobody asked it to.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::{ReconnectToServer, Server};

/// Whose turn it is.
#[derive(Debug)]
pub struct Turns {
    is_due: AtomicBool,
    next: AtomicUsize,
}

impl Turns {
    /// Each server begins elsewhere, so that they do not all come to one broker.
    pub fn new() -> Self {
        let next = RandomState::new().hash_one(0) as usize >> 1;
        Self { is_due: AtomicBool::new(false), next: AtomicUsize::new(next) }
    }

    /// The next connection goes to the broker whose turn it is.
    pub fn ask(&self) {
        self.is_due.store(true, Ordering::Relaxed);
    }

    /// The broker to connect to, if that was asked for and there is one: all in turn, so that of two choices one is another than the
    /// broker that was left. `None` leaves it to the library.
    pub fn choose(&self, brokers: &[Server]) -> Option<ReconnectToServer> {
        if !self.is_due.swap(false, Ordering::Relaxed) {
            return None;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let broker = brokers.get(turn.checked_rem(brokers.len())?)?;
        Some(ReconnectToServer { addr: broker.addr.clone(), delay: Some(Duration::ZERO) })
    }
}

#[cfg(test)]
mod tests {
    use async_nats::Server;

    use super::Turns;

    fn broker(address: &str) -> Server {
        let addr = address.parse().expect("it is an address");
        Server { addr, failed_attempts: 0, did_connect: true, is_discovered: false, last_error: None }
    }

    #[test]
    fn whoever_is_asked_for_another_broker_comes_to_all_in_turn() {
        let (turns, brokers) = (Turns::new(), ["nats://a:1", "nats://b:1", "nats://c:1"].map(broker));
        let mut chosen = Vec::new();
        for _ in &brokers {
            assert!(turns.choose(&brokers).is_none(), "nobody asked");
            turns.ask();
            chosen.push(turns.choose(&brokers).expect("there are brokers").addr.host().to_owned());
        }
        chosen.sort();
        assert_eq!(chosen, ["a", "b", "c"]);
        turns.ask();
        assert!(turns.choose(&[]).is_none());
    }
}
