//! The servers that will do: those that the person named, which of them the client is at, and when it tries the next one by
//! itself.
//!
//! It owns their order and the number of tries, and must never let the client try for ever: servers that take a connection and
//! lose it again count as servers that cannot be reached.

use std::io;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use crate::menu::address::with_port;
use crate::menu::link::{Happening, Link, Server};
use crate::menu::trust::Trust;

/// How often all servers are tried before the person is asked: with the pauses this takes longer than the brokers of a cluster need
/// for an election, and than a server needs to start.
const ROUNDS: usize = 6;
/// The pause before the second round; it doubles with each round, so that a server that starts is not kept busy.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// A connection that has lasted for so long was a good one: after it the tries are counted anew.
const STEADY: Duration = Duration::from_secs(30);

/// Servers of which each will do, in the order in which they are tried.
pub struct Servers {
    list: Vec<Server>,
    /// Which of them is the one.
    at: usize,
    /// How often another one was tried since the last good connection.
    tries: usize,
    /// The number of the newest connection.
    number: u64,
    /// Since when there has been a connection.
    since: Instant,
}

impl Servers {
    /// The servers of a list such as `a:12000,b`; each that has no port has the default one.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn new(list: &str, tls: Option<&Trust>) -> Result<Self, String> {
        let named = list.split(',').map(str::trim).filter(|server| !server.is_empty());
        let server = |named| Ok(Server { address: with_port(named, tls.is_some())?, tls: tls.cloned() });
        let mut list = named.map(server).collect::<Result<Vec<_>, String>>()?;
        if list.is_empty() {
            list.push(server("localhost")?);
        }
        Ok(Self { list, at: 0, tries: 0, number: 0, since: Instant::now() })
    }

    /// Whether there is another one to go to.
    pub fn are_many(&self) -> bool {
        self.list.len() > 1
    }

    /// Where the client is, as `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.list[self.at].address
    }

    /// Connects to the first that can be reached. `told` is told each other one's address, and why it is not that one.
    pub fn reach(&mut self, queue: &SyncSender<Happening>, mut told: impl FnMut(&str, &io::Error)) -> Option<Link> {
        for _ in 0..self.list.len() {
            match self.open(queue) {
                Ok(link) => return Some(link),
                Err(error) => told(self.address(), &error),
            }
            self.turn();
        }
        None
    }

    /// Connects to the one where the client is.
    ///
    /// # Errors
    /// As for [`Link::open`].
    pub fn open(&mut self, queue: &SyncSender<Happening>) -> io::Result<Link> {
        self.number += 1;
        let link = Link::open(&self.list[self.at], self.number, queue.clone())?;
        self.since = Instant::now();
        Ok(link)
    }

    /// The next one is the one.
    pub fn turn(&mut self) {
        self.at = (self.at + 1) % self.list.len();
    }

    /// The connection is lost.
    pub fn lost(&mut self) {
        if self.since.elapsed() >= STEADY {
            self.tries = 0;
        }
    }

    /// How long to wait before another try; `None` when there were enough: then the person decides, and they are counted anew.
    pub fn pause(&mut self) -> Option<Duration> {
        let (round, in_round) = (self.tries / self.list.len(), self.tries % self.list.len());
        if round == ROUNDS {
            self.tries = 0;
            return None;
        }
        self.tries += 1;
        // The first server of a round waits for all: whoever is next is tried at once.
        let is_rest = round > 0 && in_round == 0;
        Some(if is_rest { PAUSE.saturating_mul(1 << (round - 1)).min(LONGEST_PAUSE) } else { Duration::ZERO })
    }
}

#[cfg(test)]
mod tests {
    use super::Servers;

    #[test]
    fn a_list_names_several_and_one_name_is_a_list() {
        let of = |list| {
            let mut servers = Servers::new(list, None).unwrap();
            let addresses = servers.list.iter().map(|server| server.address.clone()).collect::<Vec<_>>();
            let turns = addresses.iter().map(|_| (servers.address().to_owned(), servers.turn()).0).collect::<Vec<_>>();
            assert_eq!(turns, addresses, "they are taken in turn");
            (addresses.join(" "), servers.are_many())
        };
        assert_eq!(of("a"), ("a:12000".to_owned(), false));
        assert_eq!(of("a:99, b,[::1]:7"), ("a:99 b:12000 [::1]:7".to_owned(), true));
        assert_eq!(of(","), ("localhost:12000".to_owned(), false));
        assert!(Servers::new("a,b:c", None).is_err_and(|why| why.starts_with("'c' is no port")));
    }

    #[test]
    fn tries_are_bounded_and_the_pauses_grow() {
        let mut servers = Servers::new("a,b,c", None).unwrap();
        let mut pauses = || std::iter::from_fn(|| servers.pause()).map(|pause| pause.as_secs()).collect::<Vec<_>>();
        assert_eq!(pauses(), [0, 0, 0, 1, 0, 0, 2, 0, 0, 4, 0, 0, 8, 0, 0, 8, 0, 0]);
        assert_eq!(pauses().len(), 18, "when the person wants to go on, all over again");
    }
}
