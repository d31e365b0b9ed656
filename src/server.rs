//! The server: opens the store, listens, admits connections, starts the replica, and stops.
//!
//! It starts all the other parts and decides how they end; its supervisor watches the parts that must not end. It parses
//! nothing and knows no verb.

mod admin;
mod admission;
pub mod cluster;
pub mod copy;
mod deaths;
mod decided;
mod door;
mod journal;
mod manners;
mod proxied;
mod rehearsal;
mod shedding;
mod snapshots;
mod sockets;
mod supervisor;
mod sweep;
pub mod systemd;
mod tls;
mod watching;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{self, Clock};
use crate::config::Config;
use crate::hub::Hub;
use crate::order::cluster::Membership;
use crate::order::nats::{Nats, NatsError};
use crate::session::{Budgets, Life, Lives, Notable, Passwords, Shared};
use crate::store::{OpenError, StoreError};
use crate::tls::{CertificateError, Certificates};

use admission::Admission;
use door::Door;
use journal::{Journal, Parts};
pub use manners::Manners;
pub use rehearsal::rehearse;
pub use sockets::Handed;
use supervisor::Supervisor;
use watching::Watched;

pub use supervisor::Failure;

/// How long a server that has failed goes on, so that everybody who waits for an answer is told.
const FAREWELL: Duration = Duration::from_millis(300);
/// How much of the time for stopping the sessions have; the rest is the store's.
const SESSIONS_SHARE: f64 = 0.8;

/// Why the server cannot start; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken.
    #[error("cannot listen on {0}: the port is in use; stop what uses it, or give another --listen ADDR:PORT")]
    PortInUse(SocketAddr),
    /// The address cannot be listened on for another reason.
    #[error("cannot listen on {address}: {error}; give another --listen ADDR:PORT")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        error: io::Error,
    },
    /// systemd hands over something that cannot be listened on.
    #[error("a socket that systemd hands over cannot be used: {0}; the .socket unit needs ListenStream=ADDR:PORT")]
    Handed(io::Error),
    /// systemd hands over a socket for TLS.
    #[error("systemd hands over a socket for TLS, but there is no certificate; give --tls-listen, --tls-cert and --tls-key")]
    NoCertificate,
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store cannot be read.
    #[error("the journal cannot be read")]
    Store(#[from] StoreError),
    /// What was given is no address of a NATS server.
    #[error("'{0}' is not the address of a NATS server; give --nats nats://HOST:4222")]
    NoNatsServer(String),
    /// The stream cannot be used.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// What is in the data directory does not come from the stream of the cluster.
    #[error(
        "{} holds {}, and not a copy of this cluster's; give a --data-dir that is empty or this server's own",
        .directory.display(),
        if *.is_shared { "a copy of another cluster's journal" } else { "a journal of its own" }
    )]
    OtherJournal {
        /// The directory.
        directory: PathBuf,
        /// Whether it comes from another stream.
        is_shared: bool,
    },
    /// The stream does not go back to where this server's copy ends.
    #[error(
        "the stream begins at place {oldest}, this server's copy ends at {place}, and no snapshot closes the gap; start it with a copy of \
         another server's data directory"
    )]
    NoSnapshot {
        /// Where the stream begins.
        oldest: u64,
        /// Where the copy ends.
        place: u64,
    },
    /// The snapshot cannot be taken over.
    #[error(
        "the snapshot of place {place} cannot be used: {error}; start the server again, or with a copy of another server's data directory"
    )]
    Snapshot {
        /// Its place.
        place: u64,
        /// What went wrong.
        error: String,
    },
    /// The others do not take this server in.
    #[error("the cluster refuses this server: {0}")]
    Refused(String),
    /// A part has failed before the server could serve.
    #[error(transparent)]
    Failed(Failure),
    /// Another server listens on the operator's socket.
    #[error("another server listens on {}; give this one another --data-dir or --admin-socket", .0.display())]
    AdminInUse(PathBuf),
    /// The operator's socket cannot be made.
    #[error("cannot make the operator's socket {}: {error}; give another --admin-socket PATH, at most 100 bytes long", .path.display())]
    Admin {
        /// Where.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Metrics cannot be had where they should.
    #[error("cannot listen on {address} for metrics: {error}; give another --metrics-listen ADDR:PORT")]
    Metrics {
        /// Where.
        address: SocketAddr,
        /// The system's error.
        error: io::Error,
    },
    /// The system gives no thread.
    #[error("the system gives no thread for the journal ({0}); raise its limit of processes (ulimit -u)")]
    Thread(io::Error),
}

/// A server that listens.
pub struct Server {
    shared: Arc<Shared>,
    admission: Arc<Admission>,
    listeners: Vec<TcpListener>,
    tls_listeners: Vec<TcpListener>,
    certificates: Option<Arc<Certificates>>,
    manners: Arc<Manners>,
    supervisor: Supervisor,
    /// Where snapshots go, and the directory that they are made of.
    snapshots: Option<(Arc<Nats>, PathBuf)>,
    /// The operator's.
    admin: Option<admin::Socket>,
    watched: Arc<Watched>,
    metrics_listener: Option<TcpListener>,
}

impl Server {
    /// Opens the store, restores the state, and listens: on the sockets that were handed over, in place of the addresses of their kind.
    ///
    /// # Errors
    /// [`StartError`], for the operator.
    pub async fn start(config: &Config, handed: Handed) -> Result<Self, StartError> {
        let certificates = match &config.tls {
            Some(tls) => Some(Arc::new(Certificates::load(&tls.certificate, &tls.key)?)),
            None => None,
        };
        // Ports are bound before the store is read, to fail early if one is taken; nobody can connect until it has been read.
        let plain_sockets = sockets::open(handed.plain, &config.listen)?;
        if certificates.is_none() && !handed.tls.is_empty() {
            return Err(StartError::NoCertificate);
        }
        let tls_sockets = sockets::open(handed.tls, config.tls.as_ref().map_or(&[], |tls| &tls.listen))?;
        let metrics_socket = config.metrics_listen.map(sockets::bind_for_metrics).transpose()?;
        let (limits, metrics) = (Arc::new(config.limits.clone()), Arc::default());
        let hub = Arc::new(Hub::new(&limits));
        let (mut supervisor, stopping) = (Supervisor::default(), CancellationToken::new());
        let parts =
            Parts { hub: &hub, limits: &limits, metrics: &metrics, supervisor: &mut supervisor, stopping: stopping.clone() };
        let Journal { order, state, reader, durability, search, node, membership, nats } = journal::open(config, parts).await?;
        let (listeners, tls_listeners) = (sockets::listen_all(plain_sockets)?, sockets::listen_all(tls_sockets)?);
        // The directory is there, and is this server's.
        let admin = config.admin_socket.as_deref().map(admin::Socket::bind).transpose()?;
        let shared = Arc::new(Shared {
            lives: Lives::new(Life::begin(node)),
            membership,
            order,
            state,
            reader,
            durability,
            search,
            clock: Clock::System,
            hub,
            metrics,
            passwords: Passwords::new(&limits),
            budgets: Budgets::new(&limits),
            notable: Notable::new(limits.ipv6_prefix),
            limits,
            stopping,
            failed: CancellationToken::new(),
            tracker: TaskTracker::new(),
        });
        let admission = Arc::new(Admission::new(Arc::clone(&shared.limits)));
        let watched = Arc::new(Watched {
            shared: Arc::clone(&shared),
            admission: Arc::clone(&admission),
            nats: nats.clone(),
            certificates: certificates.clone(),
        });
        let metrics_listener = metrics_socket.map(sockets::listen_for_metrics).transpose()?;
        let snapshots = nats.map(|nats| (nats, config.data_dir.clone()));
        let manners = Arc::new(Manners::new(config, certificates.clone()));
        Ok(Self {
            shared,
            admission,
            listeners,
            tls_listeners,
            certificates,
            manners,
            supervisor,
            snapshots,
            admin,
            watched,
            metrics_listener,
        })
    }

    /// Where it listens, with the real ports in place of 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Where it speaks TLS, in the same way.
    pub fn tls_addresses(&self) -> Vec<SocketAddr> {
        self.tls_listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Where metrics are to be had, in the same way.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_listener.as_ref()?.local_addr().ok()
    }

    /// What may change while it runs.
    pub fn manners(&self) -> Arc<Manners> {
        Arc::clone(&self.manners)
    }

    /// Serves until `stop` is ready; then lets the sessions finish and closes the store.
    ///
    /// # Errors
    /// The [`Failure`] of a part that must go on. Whatever was not answered by then may not be stored.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), Failure> {
        let Self { shared, admission, listeners, tls_listeners, certificates, manners, .. } = self;
        let (mut supervisor, snapshots) = (self.supervisor, self.snapshots);
        let mut until_stopped = vec![supervisor.task("sweeping", sweep::run(Arc::clone(&shared)))];
        if let Some(interval) = systemd::watchdog() {
            until_stopped.push(supervisor.task("the watchdog", systemd::watch(Arc::clone(&shared), interval)));
        }
        if let Some(socket) = self.admin {
            until_stopped.push(supervisor.task("the operator's socket", admin::accept(Arc::clone(&self.watched), socket)));
        }
        if let (Some(membership), Some((nats, directory))) = (shared.membership.clone(), snapshots) {
            until_stopped.extend(be_a_node(&shared, &membership, &nats, directory, &mut supervisor));
        }
        for (listeners, certificates) in [(listeners, None), (tls_listeners, certificates)] {
            let (shared, admission, manners) = (Arc::clone(&shared), Arc::clone(&admission), Arc::clone(&manners));
            let door = Arc::new(Door { shared, admission, certificates, manners });
            for listener in listeners {
                let accepting = door::accept(Arc::clone(&door), listener);
                until_stopped.push(supervisor.task("accepting connections", accepting));
            }
        }
        // A server that stops says so there, until it has stopped.
        let watching =
            self.metrics_listener.map(|listener| supervisor.task("metrics", watching::accept(self.watched, listener)));
        let outcome = tokio::select! {
            () = stop => Ok(()),
            failure = supervisor.failure() => Err(failure),
        };
        until_stopped.iter().for_each(AbortHandle::abort);
        if let Err(failure) = outcome {
            return Err(fail(&shared, failure).await);
        }
        shared.stopping.cancel();
        tracing::info!("stopping");
        shared.hub.wake_all();
        shared.tracker.close();
        let (began, wait) = (clock::now(), Duration::from_secs(shared.limits.shutdown_seconds));
        let (for_sessions, until) = (wait.mul_f64(SESSIONS_SHARE), began + wait);
        tokio::select! {
            waited = tokio::time::timeout(for_sessions, shared.tracker.wait()) => if waited.is_err() {
                tracing::warn!(left = shared.tracker.len(), "some connections did not take their last lines in time");
            },
            failure = supervisor.failure() => return Err(fail(&shared, failure).await),
        }
        watching.iter().for_each(AbortHandle::abort);
        shared.search.close();
        shared.order.close();
        // Whatever was answered is stored already. Closing the store only makes it smaller, and the next start does that, too.
        match tokio::time::timeout_at(until, supervisor.finish()).await {
            Ok(finished) => finished,
            Err(_) => {
                tracing::warn!("the store could not be closed in time; nothing that was answered OK is lost");
                Ok(())
            }
        }
    }
}

/// Runs what a server does as one of many.
fn be_a_node(
    shared: &Arc<Shared>,
    membership: &Arc<Membership>,
    nats: &Arc<Nats>,
    directory: PathBuf,
    supervisor: &mut Supervisor,
) -> [AbortHandle; 7] {
    let (shared, membership, nats) = (|| Arc::clone(shared), || Arc::clone(membership), || Arc::clone(nats));
    let every = shared().limits.snapshot_batches;
    [
        supervisor.task("vouching", cluster::vouch(shared(), membership())),
        supervisor.task("being a node", cluster::live(shared(), membership())),
        supervisor.task("watching the nodes", cluster::watch(shared())),
        supervisor.task("being here", deaths::answer(nats(), membership())),
        supervisor.task("watching for deaths", deaths::watch(shared(), nats(), membership())),
        supervisor.task("measuring the stream", cluster::measure(nats())),
        supervisor.task("storing snapshots", snapshots::run(shared(), nats(), directory, every)),
    ]
}

/// Tells the sessions that wait for an answer that nobody knows it. The end is not delayed for slow ones.
async fn fail(shared: &Shared, failure: Failure) -> Failure {
    shared.failed.cancel();
    shared.search.close();
    shared.stopping.cancel();
    shared.hub.wake_all();
    shared.tracker.close();
    let _ = tokio::time::timeout(FAREWELL, shared.tracker.wait()).await;
    failure
}
