//! The server: listens, admits, carries the journal's feed to the hub, and stops.
//!
//! It starts what the others are and owns how they end. It parses nothing and knows no verb.

mod admission;
mod sweep;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::config::{Config, JournalKind};
use crate::event::{Draft, Event, Guard};
use crate::hub::Hub;
use crate::journal::{self, Fed, Feed, OpenError};
use crate::limits::IDS_RESERVED;
use crate::names::UserId;
use crate::session::{Gone, Passwords, Session, Shared, render};

use admission::Admission;

/// Connections that the system holds until they are accepted.
const BACKLOG: u32 = 1024;
/// How long accepting rests when the system gives no more descriptors, and reserving ids between two tries.
const REST: Duration = Duration::from_millis(500);

/// Why the server cannot start; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken.
    #[error("cannot listen on {0}: the port is in use; stop what uses it, or give another --listen ADDR:PORT")]
    PortInUse(SocketAddr),
    /// The address cannot be listened on otherwise.
    #[error("cannot listen on {address}: {error}; give another --listen ADDR:PORT")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store cannot be read.
    #[error("the journal cannot be read: {0}")]
    Journal(String),
}

/// The journal failed while the server ran; its state is unknown until the next start has looked.
#[derive(Debug, thiserror::Error)]
#[error("the journal failed: {0}; nothing that was answered OK is lost, start linechat again")]
pub struct JournalFailed(pub String);

/// A server that listens.
pub struct Server {
    shared: Arc<Shared>,
    admission: Arc<Admission>,
    listeners: Vec<TcpListener>,
    feed: Feed,
}

impl Server {
    /// Opens the journal, restores the state, and listens.
    ///
    /// # Errors
    /// [`StartError`], for the operator.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let listeners = config.listen.iter().map(|&address| listen(address)).collect::<Result<_, _>>()?;
        let limits = Arc::new(config.limits.clone());
        let journal = match config.journal {
            JournalKind::Disk => journal::open_disk(&config.data_dir)?,
            JournalKind::Memory => journal::open_memory(limits.memory_journal_bytes),
        };
        let mut feed = journal.feed();
        let shared = Arc::new(Shared {
            hub: Arc::new(Hub::new(Arc::clone(&limits), render)),
            journal,
            passwords: Passwords::new(&limits),
            limits,
            stopping: CancellationToken::new(),
            tracker: TaskTracker::new(),
        });
        restore(&shared, &mut feed).await?;
        let admission = Arc::new(Admission::new(Arc::clone(&shared.limits)));
        Ok(Self { shared, admission, listeners, feed })
    }

    /// Where it listens; the ports are the real ones.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves until `stop` is ready, then lets the sessions finish, and closes the journal.
    ///
    /// # Errors
    /// [`JournalFailed`]; then nothing that was not answered may be taken for stored.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), JournalFailed> {
        let Self { shared, admission, listeners, feed } = self;
        let (failed, mut failure) = oneshot::channel();
        let pump = tokio::spawn(pump(Arc::clone(&shared), feed, failed));
        let sweeping = tokio::spawn(sweep::run(Arc::clone(&shared)));
        let accepting: Vec<_> = listeners
            .into_iter()
            .map(|listener| tokio::spawn(accept(Arc::clone(&shared), Arc::clone(&admission), listener)))
            .collect();
        let outcome = tokio::select! {
            () = stop => Ok(()),
            // Dropped without a word, it says that the pump itself has failed.
            why = &mut failure => Err(JournalFailed(why.unwrap_or_else(|_| "what it committed could not be applied".into()))),
        };
        accepting.into_iter().chain([sweeping]).for_each(|task| task.abort());
        shared.stopping.cancel();
        outcome?;
        tracing::info!("stopping");
        shared.hub.wake_all();
        shared.tracker.close();
        let wait = Duration::from_secs(shared.limits.shutdown_seconds);
        if tokio::time::timeout(wait, shared.tracker.wait()).await.is_err() {
            tracing::warn!(left = shared.tracker.len(), "some connections did not take their last lines in time");
        }
        shared.journal.close().await;
        let _ = pump.await;
        match failure.try_recv() {
            Ok(why) => Err(JournalFailed(why)),
            Err(_) => Ok(()),
        }
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let open = || {
        let socket = match address {
            SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
            SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
        }?;
        // A restarted server must not wait for the connections of the one before to time out.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    open().map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse(address),
        _ => StartError::Listen { address, error },
    })
}

/// Replays the state, reserves the first ids, and makes durable what the absence of all guests has changed.
async fn restore(shared: &Arc<Shared>, feed: &mut Feed) -> Result<(), StartError> {
    loop {
        match feed.recv().await {
            Some(Fed::State(entries)) => shared.hub.replay(&entries),
            Some(Fed::Live) => break,
            Some(Fed::Failed(why)) => return Err(StartError::Journal(why)),
            Some(Fed::Done(_)) => unreachable!("invariant: nothing was appended before the feed is live"),
            None => return Err(StartError::Journal("it ended".into())),
        }
    }
    let successions = shared.hub.go_live();
    reserve_ids(shared).await;
    while shared.hub.ids_left() == 0 {
        match feed.recv().await {
            Some(Fed::Done(batch)) => {
                let is_full = batch.iter().any(|done| done.outcome == crate::event::Outcome::StoreFull);
                shared.hub.settle(batch);
                if is_full {
                    return Err(StartError::Journal("its disk is full; make room and start again".into()));
                }
            }
            Some(Fed::Failed(why)) => return Err(StartError::Journal(why)),
            _ => return Err(StartError::Journal("it ended".into())),
        }
    }
    shared.make_durable(successions);
    Ok(())
}

async fn reserve_ids(shared: &Shared) {
    let below = UserId(shared.hub.ids_below().0 + IDS_RESERVED);
    let draft = Draft { room: None, event: Event::Ids { below }, guard: Guard::None, origin: None };
    // Where the journal is closed there will be no more guests either.
    let _ = shared.journal.append(vec![draft]).await;
}

/// Carries what the journal has committed to the hub, in its order.
async fn pump(shared: Arc<Shared>, mut feed: Feed, failed: oneshot::Sender<String>) {
    while let Some(fed) = feed.recv().await {
        match fed {
            Fed::Done(batch) => shared.hub.settle(batch),
            Fed::Failed(why) => {
                let _ = failed.send(why);
                return;
            }
            Fed::State(_) | Fed::Live => unreachable!("invariant: the state was restored before"),
        }
    }
    if !shared.stopping.is_cancelled() {
        let _ = failed.send("its writer ended".to_owned());
    }
}

async fn accept(shared: Arc<Shared>, admission: Arc<Admission>, listener: TcpListener) {
    let (mut reserving, mut next_try) = (UserId(0), Instant::now());
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => welcome(&shared, &admission, stream, peer),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "connections cannot be accepted; trying again in half a second");
                tokio::time::sleep(REST).await;
            }
        }
        // As soon as the last reservation is there; and again after a while when it is not, for it may have been refused.
        if shared.hub.ids_left() < IDS_RESERVED / 2 && (shared.hub.ids_below() >= reserving || next_try <= Instant::now()) {
            next_try = Instant::now() + REST;
            reserving = UserId(shared.hub.ids_below().0 + IDS_RESERVED);
            reserve_ids(&shared).await;
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted)
}

fn welcome(shared: &Arc<Shared>, admission: &Arc<Admission>, stream: TcpStream, peer: SocketAddr) {
    let place = match Admission::admit(admission, peer.ip()) {
        Ok(place) => place,
        Err(refusal) => return admission::turn_away(&stream, &refusal),
    };
    let Ok(seated) = shared.hub.enter() else {
        return admission::turn_away(&stream, &admission::no_ids());
    };
    if let Err(error) = admission::prepare(&stream) {
        tracing::debug!(%error, %peer, "the connection was lost before it began");
    }
    // Kept only where it is looked at: it is a tenth of what a silent connection costs.
    let span = tracing::debug_span!("connection", session = seated.seat.session, %peer);
    let session = Session::new(Arc::clone(shared), stream, peer.ip(), seated);
    let work = async move {
        let _place = place;
        match session.run().await {
            Ok(()) => tracing::debug!("ended"),
            Err(error @ Gone::Journal) => tracing::warn!(%error, %peer, "cut off"),
            Err(error) => tracing::debug!(%error, "cut off"),
        }
    };
    shared.tracker.spawn(work.instrument(span));
}
