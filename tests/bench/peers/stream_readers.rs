//! Redis Streams (RESP2) with readers: each waits for what comes after the last message that it has, in one stream for all or in
//! one of its own. A connection that waits cannot send, so that senders have connections of their own.

use linechat::bench::dialect::{Dialect, Seen};
use memchr::memchr_iter;

use crate::streams::Streams;

/// How what a reader waits for begins: messages of one stream.
const MESSAGES: &[u8] = b"*1\r\n";
/// The lines before the first message: one stream, its parts, the length of its name, its name, how many messages.
const HEAD_LINES: usize = 5;
/// The lines of a message: its parts, the length of its id, its id, its fields, and the lengths and lines of `m` and the text.
const MESSAGE_LINES: usize = 8;

/// See the module.
pub struct StreamReaders {
    /// How many connections send; they are the first.
    pub senders: usize,
}

/// Waits for what a stream holds after `id`.
fn wait(stream: &[u8], id: &[u8]) -> Vec<u8> {
    let mut out = b"*6\r\n$5\r\nXREAD\r\n$5\r\nBLOCK\r\n$1\r\n0\r\n$7\r\nSTREAMS\r\n".to_vec();
    for part in [stream, id] {
        out.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr_iter(b'\n', bytes).map(move |end| bytes[std::mem::replace(&mut start, end + 1)..end].trim_ascii_end())
}

/// How many messages these bytes begin with, if that is known.
fn count(bytes: &[u8]) -> Option<usize> {
    std::str::from_utf8(lines(bytes).nth(HEAD_LINES - 1)?.strip_prefix(b"*")?).ok()?.parse().ok()
}

impl Dialect for StreamReaders {
    const ECHOES: bool = false;
    const ANSWERS: bool = true;
    const SENDERS_LISTEN: bool = false;

    fn enter(&self, me: usize, room: Option<&str>) -> Vec<u8> {
        let ping = Streams.enter(me, room);
        if me < self.senders {
            return ping;
        }
        let own = format!("b{me}");
        [ping, wait(room.unwrap_or(&own).as_bytes(), b"0")].concat()
    }

    fn create(&self, room: &str) -> Vec<u8> {
        Streams.create(room)
    }

    fn say(&self, out: &mut Vec<u8>, room: &str, text: &str) {
        Streams.say(out, room, text);
    }

    fn tell(&self, out: &mut Vec<u8>, to: usize, text: &str) {
        Streams.tell(out, to, text);
    }

    /// All that a reader is given at once is one frame.
    fn frame(&self, bytes: &[u8]) -> Option<usize> {
        if !bytes.starts_with(b"*") {
            return Streams.frame(bytes);
        }
        let lines = HEAD_LINES + MESSAGE_LINES * count(bytes)?;
        memchr_iter(b'\n', bytes).nth(lines - 1).map(|end| end + 1)
    }

    fn read<'a>(&self, frame: &'a [u8]) -> Seen<'a> {
        Streams.read(frame)
    }

    /// The messages, and then what waits for the next ones.
    fn show<'a>(&self, frame: &'a [u8], see: &mut impl FnMut(Seen<'a>)) {
        if !frame.starts_with(MESSAGES) {
            return see(self.read(frame));
        }
        let mut lines = lines(frame);
        let stream = lines.nth(HEAD_LINES - 2).unwrap_or_default();
        let mut last = lines.next().unwrap_or_default();
        while let (Some(id), Some(text)) = (lines.nth(2), lines.nth(MESSAGE_LINES - 4)) {
            see(Seen::Message(text));
            last = id;
        }
        see(Seen::Demand(wait(stream, last).into()));
    }

    fn leave(&self) -> &'static [u8] {
        Streams.leave()
    }
}
