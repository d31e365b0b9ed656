//! Redis, publishing and subscribing (RESP2).

use linechat::bench::dialect::{Dialect, Seen};
use memchr::{memchr, memchr_iter, memrchr};

/// How a published message begins.
const PUBLISHED: &[u8] = b"*3\r\n$7\r\nmessage\r\n";

/// See the module.
pub struct Redis;

impl Dialect for Redis {
    const ECHOES: bool = false;
    const ANSWERS: bool = true;
    const SENDERS_LISTEN: bool = false;

    fn enter(&self, _me: usize, room: Option<&str>) -> Vec<u8> {
        room.map_or_else(|| "PING\r\n".into(), |room| format!("SUBSCRIBE {room}\r\nPING\r\n").into())
    }

    fn create(&self, _room: &str) -> Vec<u8> {
        b"PING\r\n".into()
    }

    fn say(&self, out: &mut Vec<u8>, room: &str, text: &str) {
        let head = format!("*3\r\n$7\r\nPUBLISH\r\n${}\r\n{room}\r\n${}\r\n", room.len(), text.len());
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    fn tell(&self, _out: &mut Vec<u8>, _to: usize, _text: &str) {
        unreachable!("Redis has no users to write to")
    }

    /// A published message is an array of three, which is one frame here; all else is read by the line.
    fn frame(&self, bytes: &[u8]) -> Option<usize> {
        if bytes.first() != Some(&b'*') {
            return memchr(b'\n', bytes).map(|end| end + 1);
        }
        if bytes.len() < PUBLISHED.len() && PUBLISHED.starts_with(bytes) {
            return None;
        }
        // The lines: `*3`, `$7`, `message`, the length of the channel, the channel, the length of the text, the text.
        let lines = if bytes.starts_with(PUBLISHED) { 7 } else { 1 };
        memchr_iter(b'\n', bytes).nth(lines - 1).map(|end| end + 1)
    }

    fn read<'a>(&self, frame: &'a [u8]) -> Seen<'a> {
        match frame[0] {
            b'*' if frame.starts_with(PUBLISHED) => {
                let text = memrchr(b'\n', &frame[..frame.len() - 1]).map_or(frame, |end| &frame[end + 1..]);
                Seen::Message(text)
            }
            // A subscriber's PONG is an array.
            _ if frame == b"+PONG\r\n" || frame == b"pong\r\n" => Seen::Entered,
            b':' => Seen::Accepted,
            b'-' => Seen::Refused(frame),
            _ => Seen::Other,
        }
    }

    fn leave(&self) -> &'static [u8] {
        b"QUIT\r\n"
    }

    fn visit(&self, _me: usize, _room: &str) -> Vec<u8> {
        b"PING\r\nQUIT\r\n".into()
    }
}
