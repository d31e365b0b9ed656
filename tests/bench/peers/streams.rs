//! Redis Streams (RESP2): messages that are stored and answered, and shown to nobody.

use linechat::bench::dialect::{Dialect, Seen};
use memchr::memchr_iter;

/// See the module.
pub struct Streams;

impl Dialect for Streams {
    const ECHOES: bool = false;
    const ANSWERS: bool = true;
    const SENDERS_LISTEN: bool = true;
    const DELIVERS: bool = false;

    fn enter(&self, _me: usize, _room: Option<&str>) -> Vec<u8> {
        b"PING\r\n".into()
    }

    fn create(&self, _room: &str) -> Vec<u8> {
        b"PING\r\n".into()
    }

    fn say(&self, out: &mut Vec<u8>, room: &str, text: &str) {
        let key = format!("${}\r\n{room}\r\n", room.len());
        let head = format!("*5\r\n$4\r\nXADD\r\n{key}$1\r\n*\r\n$1\r\nm\r\n${}\r\n", text.len());
        for part in [&head, text, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    fn tell(&self, out: &mut Vec<u8>, to: usize, text: &str) {
        self.say(out, &format!("b{to}"), text);
    }

    /// An id is a length and, on a line of its own, the id.
    fn frame(&self, bytes: &[u8]) -> Option<usize> {
        let lines = if bytes.first() == Some(&b'$') { 2 } else { 1 };
        memchr_iter(b'\n', bytes).nth(lines - 1).map(|end| end + 1)
    }

    fn read<'a>(&self, frame: &'a [u8]) -> Seen<'a> {
        match frame[0] {
            b'$' => Seen::Accepted,
            b'-' => Seen::Refused(frame),
            _ if frame == b"+PONG\r\n" => Seen::Entered,
            _ => Seen::Other,
        }
    }

    fn leave(&self) -> &'static [u8] {
        b"QUIT\r\n"
    }
}
