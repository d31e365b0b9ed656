//! The connection's bytes: sending what waits, and taking in what arrives.
//!
//! It owns the bytes that the peer has not taken yet, and no memory while there are none. Lines are written to it with LF; it
//! turns that into CR LF, and the lines into JSON, for peers who want it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;
use crate::hub::{Gathered, SessionHandle};
use crate::limits::{FLOOD_BYTES, LINGER_SECONDS, READ_BYTES};
use crate::metrics::Metrics;
use crate::session::transport::Transport;
use crate::wire::json;

/// Room for the answers of a turn, in bytes: answers come together, as their messages did, and a buffer that grows with each
/// answer is copied each time.
const ANSWERS_BYTES: usize = 512;

thread_local! {
    /// The buffer that a read fills: one for each thread of the runtime, so that a silent connection needs none.
    static INCOMING: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
    /// The buffer in which events are gathered, one for each thread for the same reason.
    static OUTGOING: RefCell<Gathered> = const { RefCell::new(Gathered { bytes: Vec::new(), lines: 0 }) };
}

/// The peer is gone, or is treated as gone because it takes nothing.
#[derive(Debug, thiserror::Error)]
pub enum Gone {
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Failed(#[from] io::Error),
    /// It took none of the waiting bytes for too long.
    #[error("it took no byte for {0} seconds")]
    Stalled(u64),
    /// It took nothing while too much happened that its session must not miss.
    #[error("it did not keep up with what its own account did")]
    Overrun,
    /// The order ended while the session needed it.
    #[error("the order is closed")]
    Order,
    /// This server is no longer the node that it was, and the order takes nothing of its sessions.
    #[error("the cluster has given this node up")]
    Node,
    /// News for the peer cannot be read from the store.
    #[error("the store cannot be read: {0}")]
    Store(String),
}

/// A connection's transport, and the bytes that it has not taken yet.
pub struct Socket {
    pub(super) transport: Box<dyn Transport>,
    waiting: Vec<u8>,
    /// Is told whether the peer takes what it is sent.
    handle: Arc<SessionHandle>,
    /// Counts what is sent.
    pub(super) metrics: Arc<Metrics>,
    /// When the peer last took something, while something waits.
    blocked_since: Option<Instant>,
    stall_seconds: u64,
    /// Whether lines end in CR LF.
    pub(super) crlf: bool,
    /// Whether lines are JSON objects.
    pub(super) json: bool,
}

/// Calls `take` with the thread's buffer for reading, which is [`READ_BYTES`] long.
pub fn with_incoming<T>(take: impl FnOnce(&mut [u8]) -> T) -> T {
    INCOMING.with_borrow_mut(|buffer| take(buffer))
}

/// Makes the lines from there on what the peer wants. Most want lines as they are.
fn show_as_wanted(json: bool, crlf: bool, bytes: &mut Vec<u8>, from: usize) {
    if json {
        let lines = bytes.split_off(from);
        json::write_lines(bytes, &lines);
    }
    if crlf {
        end_lines_in_crlf(bytes, from);
    }
}

fn end_lines_in_crlf(bytes: &mut Vec<u8>, from: usize) {
    let lines = bytes.split_off(from);
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                bytes.extend_from_slice(line);
                bytes.extend_from_slice(b"\r\n");
            }
            None => bytes.extend_from_slice(line),
        }
    }
}

impl Socket {
    pub fn new(transport: Box<dyn Transport>, handle: Arc<SessionHandle>, metrics: Arc<Metrics>, stall_seconds: u64) -> Self {
        let waiting = Vec::new();
        Self { transport, waiting, handle, metrics, blocked_since: None, stall_seconds, crlf: false, json: false }
    }

    /// Lets the peer take nothing for so long from now on.
    pub fn allow_pauses(&mut self, seconds: u64) {
        self.stall_seconds = self.stall_seconds.max(seconds);
    }

    /// How many bytes wait for the peer.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Adds lines, each ending in LF.
    pub fn write(&mut self, lines: impl FnOnce(&mut Vec<u8>)) {
        let from = self.waiting.len();
        if from == 0 {
            self.waiting.reserve(ANSWERS_BYTES);
        }
        lines(&mut self.waiting);
        show_as_wanted(self.json, self.crlf, &mut self.waiting, from);
    }

    /// Adds bytes that are not lines: telnet's.
    pub fn write_raw(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// Sends as many waiting bytes as the peer takes now. The others stay.
    pub fn send(&mut self) -> Result<(), Gone> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let sent = send(&mut *self.transport, &self.waiting)?;
        if sent == self.waiting.len() {
            self.waiting = Vec::new();
        } else {
            self.waiting.drain(..sent);
        }
        self.note_progress(sent)
    }

    /// Lets `gather` add lines of events behind the waiting bytes, and sends both at once: a system call costs more than copying.
    pub fn send_gathered<T>(&mut self, gather: impl FnOnce(&mut Gathered) -> T) -> Result<T, Gone> {
        OUTGOING.with_borrow_mut(|gathered| {
            gathered.bytes.clear();
            gathered.bytes.append(&mut self.waiting);
            gathered.lines = 0;
            self.waiting = Vec::new();
            let from = gathered.bytes.len();
            let result = gather(gathered);
            let buffer = &mut gathered.bytes;
            show_as_wanted(self.json, self.crlf, buffer, from);
            let sent = send(&mut *self.transport, buffer)?;
            // Beside the next counter, and after the system call: other cores write there, too.
            self.metrics.deliveries.add(gathered.lines);
            self.waiting.extend_from_slice(&buffer[sent..]);
            self.note_progress(sent)?;
            Ok(result)
        })
    }

    /// Whether the peer did not take everything that was sent last.
    pub fn is_blocked(&self) -> bool {
        self.blocked_since.is_some()
    }

    fn note_progress(&mut self, sent: usize) -> Result<(), Gone> {
        self.metrics.sent_bytes.add(sent as u64);
        if self.waiting.is_empty() {
            if self.blocked_since.take().is_some() {
                self.handle.takes_all();
            }
        } else if sent > 0 || self.blocked_since.is_none() {
            self.blocked_since = Some(clock::now());
            self.handle.leaves_some();
        }
        match self.stall_deadline() {
            Some(deadline) if deadline <= clock::now() => Err(Gone::Stalled(self.stall_seconds)),
            _ => Ok(()),
        }
    }

    /// By when the peer must have taken something, if something waits.
    pub fn stall_deadline(&self) -> Option<Instant> {
        // `none` is a number of seconds that no clock reaches.
        self.blocked_since.and_then(|since| since.checked_add(Duration::from_secs(self.stall_seconds)))
    }

    /// Sends everything that waits, as fast as the peer takes it.
    pub async fn flush(&mut self) -> Result<(), Gone> {
        loop {
            self.send()?;
            let Some(deadline) = self.stall_deadline() else {
                if self.waiting.is_empty() {
                    return Ok(());
                }
                poll_fn(|context| self.transport.poll_writable(context)).await?;
                continue;
            };
            match tokio::time::timeout_at(deadline, poll_fn(|context| self.transport.poll_writable(context))).await {
                Ok(writable) => writable?,
                Err(_) => return Err(Gone::Stalled(self.stall_seconds)),
            }
        }
    }

    /// Closes in such a way that the peer reads everything: with unread input, closing would cause a reset that overtakes the
    /// last lines.
    pub async fn close(self) {
        let mut transport = self.transport;
        let linger = async {
            transport.end_writing()?;
            let mut thrown_away = 0;
            while thrown_away < FLOOD_BYTES {
                match poll_fn(|context| with_incoming(|buffer| transport.poll_read(context, buffer))).await? {
                    0 => break,
                    length => thrown_away += length,
                }
            }
            Ok::<_, io::Error>(())
        };
        // A peer that keeps its side open, or is gone already, is not waited for any longer.
        let _ = tokio::time::timeout(Duration::from_secs(LINGER_SECONDS), linger).await;
    }
}

fn send(transport: &mut dyn Transport, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match transport.try_write(&bytes[sent..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => sent += length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::end_lines_in_crlf;

    #[test]
    fn only_what_was_added_gets_the_other_ending() {
        let mut bytes = b"old\nOK PING\n- x\n".to_vec();
        end_lines_in_crlf(&mut bytes, 4);
        assert_eq!(bytes, b"old\nOK PING\r\n- x\r\n");
    }
}
