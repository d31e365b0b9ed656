//! The seams that simulations stand on: a session speaks over whatever can read and write, an order takes its time from a clock
//! of the test's own, and neither needs a network.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use linechat::clock::Clock;
use linechat::event::{NodeId, Time};
use linechat::hub::Hub;
use linechat::limits::Limits;
use linechat::order::local::{self, Runs};
use linechat::replica::{Outlet, Replica};
use linechat::session::{Passwords, Session, Shared, Transport};
use linechat::store::{self, Presence};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Bytes on their way, and who waits for them.
#[derive(Default)]
struct Wire {
    to_server: VecDeque<u8>,
    to_person: Vec<u8>,
    is_ended: bool,
    reader: Option<Waker>,
}

/// A connection in memory: the session has one side, and a person the other.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Wire>>);

impl Pipe {
    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().expect("nothing panics under this lock")
    }

    fn types(&self, line: &str) {
        let mut wire = self.wire();
        wire.to_server.extend(line.bytes().chain([b'\n']));
        wire.reader.take().into_iter().for_each(Waker::wake);
    }

    /// The lines that have come, once the last of them begins so.
    async fn lines_until(&self, start: &str) -> Vec<String> {
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

impl Transport for Pipe {
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.wire();
        if wire.to_server.is_empty() {
            wire.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        // A byte at a time, as no network would dare.
        buffer[0] = wire.to_server.pop_front().expect("it is not empty");
        Poll::Ready(Ok(1))
    }

    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.wire();
        if wire.to_server.is_empty() {
            wire.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(7);
        self.wire().to_person.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn poll_writable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn end_writing(&mut self) -> io::Result<()> {
        self.wire().is_ended = true;
        Ok(())
    }
}

/// What sessions share, with a store in memory and a clock that shows the noon of a day that has long gone.
fn shared() -> Arc<Shared> {
    let limits = Arc::new(Limits::default());
    let noon = Time(946_641_600_000);
    let clock = Clock::Simulated { from: Instant::now(), at: noon };
    let (order, batches) = local::open(clock, Runs::InTask);
    let (store, reader) = store::open_memory(1 << 20, Presence::Forgotten);
    let replica = Replica::open(NodeId(0), Arc::clone(&limits), store).expect("the store is empty");
    let (state, hub) = (replica.state(), Arc::new(Hub::new(limits.tails_bytes)));
    tokio::spawn(replica.run(batches, Outlet::Hub(Arc::clone(&hub))));
    Arc::new(Shared {
        node: NodeId(0),
        order: Arc::new(order),
        state,
        reader,
        hub,
        passwords: Passwords::new(&limits),
        limits,
        stopping: CancellationToken::new(),
        failed: CancellationToken::new(),
        tracker: TaskTracker::new(),
    })
}

fn connect(shared: &Arc<Shared>) -> Pipe {
    let (pipe, nobody) = (Pipe::default(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    let session = Session::new(Arc::clone(shared), Box::new(pipe.clone()), nobody, shared.hub.admit());
    shared.tracker.spawn(session.run());
    pipe
}

#[tokio::test]
async fn a_conversation_needs_no_network_and_goes_by_a_clock_of_its_own() {
    let shared = shared();
    let (ana, bob) = (connect(&shared), connect(&shared));
    ana.lines_until("* HELLO ").await;
    bob.lines_until("* HELLO ").await;
    ana.types("NAME ana");
    assert_eq!(ana.lines_until("OK ").await, ["OK NAME ana:1000"]);
    ana.types("CREATE #rust");
    ana.lines_until("OK CREATE").await;
    bob.types("JOIN #rust");
    bob.lines_until("OK JOIN").await;
    bob.types("SAY #rust hi");
    bob.lines_until("OK SAY").await;
    let said = ana.lines_until("* MSG").await.pop().expect("it was said");
    assert!(said.contains(" 1999-12-31T12:") && said.ends_with(" #rust guest-1001:1001 hi"), "{said}");
    ana.types("QUIT");
    assert_eq!(ana.lines_until("OK QUIT").await, ["OK QUIT bye"]);
    let left = bob.lines_until("* OWNER").await;
    assert!(
        left[0].starts_with("* LEAVE #rust ana:1000 ") && left[1].starts_with("* OWNER #rust guest-1001:1001 "),
        "{left:?}"
    );
    while !ana.wire().is_ended {
        tokio::task::yield_now().await;
    }
}
