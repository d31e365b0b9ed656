//! One server, or a cluster in its place: whoever is there should not see which of the two it is. It must never leave a process
//! behind.

use std::net::SocketAddr;

use super::cluster::{Brokers, Cluster};
use super::server::Server;

/// Where people are to meet.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// At one server.
    Alone,
    /// At a cluster of three, over a stream of these brokers; people are spread over the servers.
    Cluster(&'a Brokers),
}

/// Where people meet.
pub enum Host {
    /// At this server.
    Server(Server),
    /// At the servers of this cluster.
    Cluster(Cluster),
}

impl Host {
    /// A server or a cluster, with these options. A cluster's stream gets its name from `name`.
    pub fn start(place: Place<'_>, name: &str, options: &[&str]) -> Self {
        match place {
            Place::Alone => Self::Server(Server::start(options)),
            Place::Cluster(brokers) => {
                let stream: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
                Self::Cluster(Cluster::start(brokers, &stream, options))
            }
        }
    }

    /// Where the next person connects: at one server after the other.
    pub fn address(&self, number: usize) -> SocketAddr {
        match self {
            Self::Server(server) => server.address(),
            Self::Cluster(cluster) => cluster.address(number),
        }
    }

    /// Waits until every server knows what one has answered.
    pub fn settle(&self) {
        if let Self::Cluster(cluster) = self {
            cluster.settle();
        }
    }
}
