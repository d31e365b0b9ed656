//! A connection without a network: a session over a pipe in memory, beside a replica with a store in memory and a clock that
//! shows the noon of a day that has long gone.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use linechat::clock::Clock;
use linechat::event::{NodeId, Time};
use linechat::hub::Hub;
use linechat::limits::Limits;
use linechat::order::local::{self, Runs};
use linechat::replica::{Node, Outlet, Replica};
use linechat::search::Search;
use linechat::session::{Budgets, Life, Lives, Notable, Passwords, Session, Shared, Transport};
use linechat::store::{self, Backend, Presence, Reader, Store};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Bytes on their way, and who waits for them.
#[derive(Default)]
struct Wire {
    to_server: VecDeque<u8>,
    has_peer_ended: bool,
    to_person: Vec<u8>,
    is_ended: bool,
    is_dropped: bool,
    reader: Option<Waker>,
    /// Who waits for the end.
    person: Option<Waker>,
}

/// The person's side of a connection in memory.
#[derive(Clone, Default)]
pub struct Pipe(Arc<Mutex<Wire>>);

/// The session's side.
struct End(Pipe);

impl Pipe {
    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().expect("nothing panics under this lock")
    }

    /// Sends bytes.
    pub fn sends(&self, bytes: &[u8]) {
        let mut wire = self.wire();
        wire.to_server.extend(bytes);
        wire.reader.take().into_iter().for_each(Waker::wake);
    }

    /// Sends a line.
    pub fn types(&self, line: &str) {
        self.sends(format!("{line}\n").as_bytes());
    }

    /// Closes this side.
    pub fn ends(&self) {
        let mut wire = self.wire();
        wire.has_peer_ended = true;
        wire.reader.take().into_iter().for_each(Waker::wake);
    }

    /// Whether nothing has come that was not read.
    pub fn is_silent(&self) -> bool {
        self.wire().to_person.is_empty()
    }

    /// Whether the session has closed its side.
    pub fn is_ended(&self) -> bool {
        let wire = self.wire();
        wire.is_ended || wire.is_dropped
    }

    /// Everything that came until the session was over.
    pub async fn everything(&self) -> Vec<u8> {
        poll_fn(|context| {
            let mut wire = self.wire();
            if wire.is_dropped {
                return Poll::Ready(std::mem::take(&mut wire.to_person));
            }
            wire.person = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// How many bytes have come that were not read.
    pub fn waiting(&self) -> usize {
        self.wire().to_person.len()
    }

    /// The lines that have come, once the last of them begins so.
    pub async fn lines_until(&self, start: &str) -> Vec<String> {
        loop {
            let lines = String::from_utf8(self.wire().to_person.clone()).expect("lines are text");
            let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
            if lines.last().is_some_and(|line| line.starts_with(start)) {
                self.wire().to_person.clear();
                return lines;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Transport for End {
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.0.wire();
        // A byte at a time, as no network would dare.
        let Some(byte) = wire.to_server.pop_front() else {
            if wire.has_peer_ended {
                return Poll::Ready(Ok(0));
            }
            wire.reader = Some(context.waker().clone());
            return Poll::Pending;
        };
        buffer[0] = byte;
        Poll::Ready(Ok(1))
    }

    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.0.wire();
        if wire.to_server.is_empty() && !wire.has_peer_ended {
            wire.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(7);
        self.0.wire().to_person.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn poll_writable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn end_writing(&mut self) -> io::Result<()> {
        self.0.wire().is_ended = true;
        Ok(())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut wire = self.0.wire();
        wire.is_dropped = true;
        wire.person.take().into_iter().for_each(Waker::wake);
    }
}

/// What sessions share, with a store in memory and a clock that shows the noon of a day that has long gone.
pub fn shared() -> Arc<Shared> {
    shared_with(|hub| Outlet::Hub(Arc::clone(hub)))
}

/// The same, with news that take this way to the hub.
pub fn shared_with(outlet: impl FnOnce(&Arc<Hub>) -> Outlet) -> Arc<Shared> {
    Arc::new(parts(store::open_memory(1 << 20, Presence::Forgotten), outlet))
}

/// The same, with this store.
pub fn parts<B: Backend + 'static>(
    (store, reader): (Store<B>, Arc<dyn Reader>),
    outlet: impl FnOnce(&Arc<Hub>) -> Outlet,
) -> Shared {
    let limits = Arc::new(Limits::default());
    let noon = Time(946_641_600_000);
    let clock = Clock::Running { from: Instant::now(), at: noon };
    let (order, batches) = local::open(clock, Runs::InTask);
    let replica = Replica::open(Node::Alone(NodeId(0)), Arc::clone(&limits), store).expect("the store is empty");
    let (state, hub) = (replica.state(), Arc::new(Hub::new(&limits)));
    tokio::spawn(replica.run(batches, outlet(&hub)));
    Shared {
        membership: None,
        lives: Lives::new(Life::begin(NodeId(0))),
        order: Arc::new(order),
        state,
        durability: reader.durability(),
        reader,
        search: Search::nowhere(),
        clock,
        hub,
        metrics: Arc::default(),
        passwords: Passwords::new(&limits),
        budgets: Budgets::new(&limits),
        notable: Notable::new(64),
        limits,
        stopping: CancellationToken::new(),
        failed: CancellationToken::new(),
        tracker: TaskTracker::new(),
    }
}

/// A session that has begun, and the person's side of it.
pub fn connect(shared: &Arc<Shared>) -> Pipe {
    let (pipe, nobody) = (Pipe::default(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    let session = Session::new(Arc::clone(shared), Box::new(End(pipe.clone())), nobody, shared.hub.admit());
    shared.tracker.spawn(session.run());
    pipe
}
