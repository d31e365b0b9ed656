//! A simulated ordering service: one stream that many nodes send to and read from, by links that go wrong. It loses, delays,
//! doubles and reorders what is sent, loses acknowledgements, leaves out or doubles what is read, and has no leader at times. It
//! never loses or changes what it has stored.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use linechat::event::Time;
use linechat::order::cluster::Broker;
use linechat::order::cluster::broker::{Ack, FollowError, Following, Heard, SendError, Stored};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::chance::Chance;

/// How long a client waits for an acknowledgement.
const ACK: Duration = Duration::from_secs(2);
/// How often a broker says that it is there.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// After so long a client notices that its connection is cut.
const NOTICED: Duration = Duration::from_secs(4);

/// The stream, which outlives every node.
pub struct Stream {
    inner: Mutex<Inner>,
    grown: Notify,
}

struct Inner {
    stored: Vec<(Time, Bytes)>,
    chance: Chance,
    began: Instant,
    /// By how much the clock of the leader is wrong.
    skew: i64,
    no_leader_until: Instant,
    /// Nothing goes wrong any more.
    is_calm: bool,
    /// One in this many things goes wrong.
    trouble: usize,
}

/// Which ways of a link are cut, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// From the node to the broker.
    pub up: bool,
    /// From the broker to the node.
    pub down: bool,
    /// Until when.
    pub until: Instant,
}

/// One node's connection to the stream.
pub struct Link {
    stream: Arc<Stream>,
    /// The place at which its broker holds another frame than the others.
    fork: Arc<AtomicU64>,
    /// Since when, and how.
    cut: Arc<Mutex<(Instant, Cut)>>,
}

/// A consumer of the stream.
pub struct Reading {
    stream: Arc<Stream>,
    fork: Arc<AtomicU64>,
    cut: Arc<Mutex<(Instant, Cut)>>,
    /// The place of the next frame.
    next: u64,
    /// When the next thing is heard.
    timer: Option<Pin<Box<Sleep>>>,
}

fn is_cut(cut: &Mutex<(Instant, Cut)>) -> (bool, bool, Instant) {
    let (since, cut) = *cut.lock().expect("nothing panics under this lock");
    let now = Instant::now() < cut.until;
    (now && cut.up, now && cut.down, since)
}

impl Stream {
    /// An empty one.
    pub fn new(mut chance: Chance) -> Arc<Self> {
        let (now, trouble) = (Instant::now(), *chance.of(&[6, 20, 60, 1000]));
        let inner = Inner { stored: Vec::new(), chance, began: now, skew: 0, no_leader_until: now, is_calm: true, trouble };
        Arc::new(Self { inner: Mutex::new(inner), grown: Notify::new() })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics under this lock")
    }

    /// Whether nothing goes wrong from now on.
    pub fn be_calm(&self, is_calm: bool) {
        let inner = &mut *self.inner();
        inner.is_calm = is_calm;
        inner.no_leader_until = inner.no_leader_until.min(Instant::now());
    }

    /// The brokers have no leader for so long, and the next one has another clock.
    pub fn elect(&self, wait: Duration) {
        let inner = &mut *self.inner();
        inner.no_leader_until = Instant::now() + wait;
        inner.skew = inner.chance.below(40_000) as i64 - 20_000;
    }

    /// The place of the newest frame.
    pub fn newest(&self) -> u64 {
        self.inner().stored.len() as u64
    }

    fn store(&self, frame: Bytes) {
        let inner = &mut *self.inner();
        let time = 1_700_000_000_000 + inner.began.elapsed().as_millis() as i64 + inner.skew;
        inner.stored.push((Time(time), frame));
        self.grown.notify_waiters();
    }
}

impl Inner {
    fn goes_wrong(&mut self) -> bool {
        !self.is_calm && self.chance.below(self.trouble) == 0
    }

    /// Milliseconds that something takes: mostly few.
    fn delay(&mut self) -> Duration {
        let most = if self.goes_wrong() { 6000 } else { 4 };
        Duration::from_millis(self.chance.below(most) as u64)
    }
}

impl Link {
    /// A link that works.
    pub fn new(stream: &Arc<Stream>) -> Arc<Self> {
        let now = Instant::now();
        let cut = Arc::new(Mutex::new((now, Cut { up: false, down: false, until: now })));
        Arc::new(Self { stream: Arc::clone(stream), fork: Arc::default(), cut })
    }

    /// Its broker holds another frame than the others at the next place.
    pub fn fork(&self) {
        self.fork.store(self.stream.newest() + 1, Ordering::Relaxed);
    }

    /// Cuts it.
    pub fn cut(&self, cut: Cut) {
        *self.cut.lock().expect("nothing panics under this lock") = (Instant::now(), cut);
    }
}

/// Stores a frame after a while, wherever its sender is by then.
fn store_later(stream: &Arc<Stream>, wait: Duration, frame: Bytes) {
    let stream = Arc::clone(stream);
    tokio::spawn(async move {
        let until = stream.inner().no_leader_until.max(Instant::now() + wait);
        sleep_until(until).await;
        stream.store(frame);
    });
}

fn late() -> Ack {
    Box::pin(async {
        sleep(ACK).await;
        Err(SendError::Unknown("no acknowledgement in time".to_owned()))
    })
}

impl Broker for Link {
    type Following = Reading;

    fn stream(&self) -> u64 {
        4711
    }

    fn is_connected(&self) -> bool {
        let (up, down, since) = is_cut(&self.cut);
        !(up || down) || since.elapsed() < NOTICED
    }

    fn is_nearly_full(&self) -> bool {
        false
    }

    fn send(&self, frame: Bytes) -> BoxFuture<'_, Result<Ack, SendError>> {
        let (up, down, _) = is_cut(&self.cut);
        let inner = &mut *self.stream.inner();
        let no_leader = inner.no_leader_until > Instant::now();
        if up || inner.goes_wrong() && inner.chance.below(3) == 0 {
            return Box::pin(async { Ok(late()) });
        }
        if no_leader && inner.chance.below(2) == 0 {
            return Box::pin(async { Err(SendError::NotStored("no stream found".to_owned())) });
        }
        let (wait, doubled, lost) = (inner.delay(), inner.goes_wrong(), inner.goes_wrong());
        let again = inner.delay() + Duration::from_millis(inner.chance.below(8000) as u64);
        store_later(&self.stream, wait, frame.clone());
        if doubled {
            store_later(&self.stream, again, frame);
        }
        if no_leader || lost || down {
            return Box::pin(async { Ok(late()) });
        }
        Box::pin(async move {
            let ack: Ack = Box::pin(async move {
                sleep(wait.min(ACK)).await;
                if wait > ACK { Err(SendError::Unknown("late".to_owned())) } else { Ok(()) }
            });
            Ok(ack)
        })
    }

    fn follow(&self, after: u64) -> BoxFuture<'_, Result<Reading, FollowError>> {
        let (up, down, _) = is_cut(&self.cut);
        let cannot = up || down || self.stream.inner().no_leader_until > Instant::now();
        Box::pin(async move {
            sleep(Duration::from_millis(if cannot { 1000 } else { 2 })).await;
            if cannot {
                return Err(FollowError::Later("nobody answers".to_owned()));
            }
            let (stream, fork, cut) = (Arc::clone(&self.stream), Arc::clone(&self.fork), Arc::clone(&self.cut));
            Ok(Reading { stream, fork, cut, next: after.max(1), timer: None })
        })
    }

    fn turn_to_another(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn oldest(&self) -> BoxFuture<'_, Result<u64, String>> {
        Box::pin(async { Ok(1) })
    }
}

impl Reading {
    /// The frame that comes next, if there is one: mostly the next.
    fn take(&mut self) -> Option<Heard> {
        let inner = &mut *self.stream.inner();
        let wrong = if inner.goes_wrong() { inner.chance.below(2) } else { 2 };
        match wrong {
            0 => self.next += 1,
            1 => self.next = self.next.saturating_sub(1).max(1),
            _ => {}
        }
        let (time, frame) = inner.stored.get(usize::try_from(self.next).expect("it is small") - 1)?.clone();
        let frame = if self.fork.load(Ordering::Relaxed) == self.next { Bytes::new() } else { frame };
        self.next += 1;
        Some(Heard::Frame(Stored { place: self.next - 1, time, frame }))
    }
}

impl Following for Reading {
    async fn next(&mut self) -> Option<Heard> {
        loop {
            let grown = Arc::clone(&self.stream);
            let grown = grown.grown.notified();
            let has_more = self.stream.newest() >= self.next;
            let timer = self.timer.get_or_insert_with(|| {
                let wait = if has_more { self.stream.inner().delay() } else { HEARTBEAT };
                Box::pin(sleep(wait))
            });
            tokio::select! {
                biased;
                () = timer.as_mut() => self.timer = None,
                () = grown, if !has_more => {
                    self.timer = None;
                    continue;
                }
            }
            if is_cut(&self.cut).1 {
                continue;
            }
            if self.stream.inner().goes_wrong() && self.stream.inner().chance.below(8) == 0 {
                return None;
            }
            return Some(if has_more { self.take().unwrap_or(Heard::Nothing) } else { Heard::Nothing });
        }
    }
}
