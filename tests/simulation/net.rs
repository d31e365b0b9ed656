//! A simulated network: bytes that arrive late, in pieces, through small windows, or not at all. A wire belongs to the two who
//! speak over it. It must never lose, double or reorder bytes of a connection that goes on.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use linechat::session::{Failing, Transport};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::chance::Chance;
use super::fate::{Fate, Lie};
use super::record::{Recorder, What};

/// How often it is found out whether anybody is still there, where nobody reads or writes.
const PROBE: Duration = Duration::from_secs(15);

/// How rough a connection is.
#[derive(Debug, Clone)]
pub struct Weather {
    /// Milliseconds that a piece takes at most.
    pub delay: usize,
    /// Bytes of a piece, read or written at once, at most.
    pub piece: usize,
    /// Bytes to the person that are not read yet, at most.
    pub window: usize,
    /// Of so many pieces, one is held for seconds, and of twice as many, one is the last; 0 for never.
    pub trouble: usize,
}

impl Weather {
    /// Whatever chance wants.
    pub fn any(chance: &mut Chance) -> Self {
        Self {
            delay: *chance.of(&[1, 5, 50, 300]),
            piece: *chance.of(&[1, 7, 100, 1500, 60_000]),
            window: *chance.of(&[80, 600, 5000, 100_000]),
            trouble: *chance.of(&[0, 100, 400]),
        }
    }

    /// Everything arrives, and soon.
    pub fn calm() -> Self {
        Self { delay: 1, piece: 60_000, window: 1 << 20, trouble: 0 }
    }
}

enum Piece {
    Bytes(Vec<u8>),
    End,
    Reset,
}

/// One direction.
struct Way {
    pieces: VecDeque<(Instant, Piece)>,
    under_way: usize,
    held_until: Instant,
    timer: Pin<Box<Sleep>>,
    reader: Option<Waker>,
}

impl Way {
    fn new() -> Self {
        let (pieces, now) = (VecDeque::new(), Instant::now());
        Self { pieces, under_way: 0, held_until: now, timer: Box::pin(sleep_until(now)), reader: None }
    }

    fn push(&mut self, delay: usize, piece: Piece) {
        let due = (Instant::now() + Duration::from_millis(delay as u64)).max(self.held_until);
        let last = self.pieces.back().map_or(due, |(last, _)| *last);
        if let Piece::Bytes(bytes) = &piece {
            self.under_way += bytes.len();
        }
        self.pieces.push_back((due.max(last), piece));
        self.reader.take().into_iter().for_each(Waker::wake);
    }

    /// Forgets all but the first few pieces.
    fn cut(&mut self, keep: usize) {
        self.pieces.truncate(keep);
        self.under_way =
            self.pieces.iter().map(|(_, piece)| if let Piece::Bytes(bytes) = piece { bytes.len() } else { 0 }).sum();
    }

    /// Ready when a piece is there.
    fn poll_arrived(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.reader = Some(context.waker().clone());
        loop {
            match self.pieces.front() {
                Some((due, _)) if *due <= Instant::now() => return Poll::Ready(()),
                Some((due, _)) => {
                    if self.timer.deadline() != *due {
                        self.timer.as_mut().reset(*due);
                    }
                    std::task::ready!(self.timer.as_mut().poll(context));
                }
                None => return Poll::Pending,
            }
        }
    }

    /// Takes at most so many bytes that have arrived; none at the end.
    fn poll_take(&mut self, context: &mut Context<'_>, most: usize) -> Poll<io::Result<Vec<u8>>> {
        std::task::ready!(self.poll_arrived(context));
        let taken = match &mut self.pieces.front_mut().expect("it has arrived").1 {
            Piece::End => return Poll::Ready(Ok(Vec::new())),
            Piece::Reset => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Piece::Bytes(bytes) => {
                let rest = bytes.split_off(most.min(bytes.len()));
                let taken = std::mem::replace(bytes, rest);
                let is_empty = bytes.is_empty();
                (taken, is_empty)
            }
        };
        if taken.1 {
            self.pieces.pop_front();
        }
        self.under_way -= taken.0.len();
        Poll::Ready(Ok(taken.0))
    }
}

struct Wire {
    number: usize,
    up: Way,
    down: Way,
    writer: Option<Waker>,
    weather: Weather,
    chance: Chance,
    fate: Arc<Fate>,
    recorder: Arc<Recorder>,
    /// The person takes nothing any more.
    is_deaf: bool,
}

impl Wire {
    fn delay(&mut self) -> usize {
        self.chance.below(self.weather.delay + 1)
    }

    /// The person's side is gone without a word; the server learns of it later, after some of what is under way.
    fn breaks(&mut self) {
        if self.is_deaf {
            return;
        }
        self.recorder.put(self.number, What::Cut, "");
        self.is_deaf = true;
        let (keep, delay) = (self.chance.below(self.up.pieces.len() + 1), self.delay());
        self.up.cut(keep);
        self.up.push(delay, if self.chance.below(2) == 0 { Piece::End } else { Piece::Reset });
        self.down.cut(0);
        self.down.push(0, Piece::Reset);
        self.writer.take().into_iter().for_each(Waker::wake);
    }

    /// What may happen to a connection whenever something is sent.
    fn troubles(&mut self) {
        let trouble = self.weather.trouble;
        if trouble == 0 || self.fate.is_calm() {
            return;
        }
        match self.chance.below(2 * trouble) {
            0 => self.breaks(),
            1 | 2 => {
                let until = Instant::now() + Duration::from_millis(self.chance.below(4000) as u64);
                if self.chance.below(2) == 0 { self.up.held_until = until } else { self.down.held_until = until }
            }
            _ => (),
        }
    }
}

type Shared = Arc<Mutex<Wire>>;

fn lock(wire: &Shared) -> MutexGuard<'_, Wire> {
    wire.lock().expect("nothing panics under this lock")
}

/// The server's side of a wire.
pub struct End(Shared);

/// The person's side.
pub struct Line {
    wire: Shared,
    /// Bytes that are no whole line yet.
    partial: Vec<u8>,
}

/// A new connection.
pub fn wire(number: usize, weather: Weather, chance: Chance, fate: Arc<Fate>, recorder: Arc<Recorder>) -> (End, Line) {
    let (up, down) = (Way::new(), Way::new());
    let wire = Wire { number, up, down, writer: None, weather, chance, fate, recorder, is_deaf: false };
    let wire = Arc::new(Mutex::new(wire));
    (End(Arc::clone(&wire)), Line { wire, partial: Vec::new() })
}

impl Transport for End {
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let wire = &mut *lock(&self.0);
        if !wire.fate.goes_on() {
            return Poll::Pending;
        }
        let most = (1 + wire.chance.clone().below(wire.weather.piece)).min(buffer.len());
        let taken = std::task::ready!(wire.up.poll_take(context, most))?;
        // What is drawn when nothing is there must not count: how often that is asked for is nobody's promise.
        wire.chance.below(2);
        buffer[..taken.len()].copy_from_slice(&taken);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.0).up.poll_arrived(context).map(Ok)
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let wire = &mut *lock(&self.0);
        if !wire.fate.goes_on() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let now = Instant::now();
        if wire.up.pieces.iter().any(|(due, piece)| matches!(piece, Piece::Reset) && *due <= now) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        wire.troubles();
        if wire.is_deaf {
            return Ok(bytes.len());
        }
        if wire.fate.tells(Lie::LosesLines)
            && bytes.starts_with(b"* MSG ")
            && let Some(end) = bytes.iter().position(|&byte| byte == b'\n')
        {
            return Ok(end + 1);
        }
        let room = wire.weather.window.saturating_sub(wire.down.under_way);
        let length = (1 + wire.chance.below(wire.weather.piece)).min(bytes.len()).min(room);
        if length == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let delay = wire.delay();
        wire.down.push(delay, Piece::Bytes(bytes[..length].to_vec()));
        Ok(length)
    }

    fn poll_writable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *lock(&self.0);
        if wire.fate.is_over() {
            // Nobody is there to go on.
            return Poll::Pending;
        }
        if wire.is_deaf || wire.down.under_way < wire.weather.window {
            return Poll::Ready(Ok(()));
        }
        wire.writer = Some(context.waker().clone());
        Poll::Pending
    }

    fn end_writing(&mut self) -> io::Result<()> {
        let wire = &mut *lock(&self.0);
        if wire.fate.goes_on() {
            let delay = wire.delay();
            wire.down.push(delay, Piece::End);
        }
        Ok(())
    }

    fn gone(&self) -> Failing<'_> {
        Box::pin(async {
            while !lock(&self.0).is_deaf {
                sleep(PROBE).await;
            }
            io::ErrorKind::TimedOut.into()
        })
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let wire = &mut *lock(&self.0);
        // A close with unread input is a reset, and so is a crash: neither waits for what is under way.
        if wire.fate.is_over() || !wire.up.pieces.is_empty() {
            let keep = wire.chance.below(wire.down.pieces.len() + 1);
            wire.down.cut(keep);
        }
        let delay = wire.delay();
        wire.down.push(delay, Piece::Reset);
    }
}

impl Line {
    /// Sends a line, in pieces.
    pub fn send(&self, line: &str) {
        let wire = &mut *lock(&self.wire);
        let bytes = format!("{line}\n").into_bytes();
        let mut rest = &bytes[..];
        while !rest.is_empty() && !wire.is_deaf {
            let length = (1 + wire.chance.below(wire.weather.piece)).min(rest.len());
            let delay = wire.delay();
            wire.up.push(delay, Piece::Bytes(rest[..length].to_vec()));
            rest = &rest[length..];
            wire.troubles();
        }
    }

    /// Reads a line; `None` at the end of the connection. A line that the end cuts off was never received.
    pub async fn read(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.partial.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<_> = self.partial.drain(..=end).collect();
                line.pop();
                return Some(String::from_utf8(line).expect("lines are text"));
            }
            let bytes = poll_fn(|context| {
                let wire = &mut *lock(&self.wire);
                let taken = wire.down.poll_take(context, usize::MAX);
                wire.writer.take().into_iter().for_each(Waker::wake);
                taken
            });
            match bytes.await {
                Ok(bytes) if !bytes.is_empty() => self.partial.extend(bytes),
                _ => return None,
            }
        }
    }

    /// Says that nothing more will be sent.
    pub fn end_writing(&self) {
        let wire = &mut *lock(&self.wire);
        wire.recorder.put(wire.number, What::Cut, "");
        let delay = wire.delay();
        wire.up.push(delay, Piece::End);
    }

    /// Goes without a word.
    pub fn cut(self) {
        lock(&self.wire).breaks();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let wire = &mut *lock(&self.wire);
        if !wire.is_deaf {
            wire.is_deaf = true;
            wire.up.push(0, Piece::End);
            wire.writer.take().into_iter().for_each(Waker::wake);
        }
    }
}
