//! NATS, its core without JetStream.

use linechat::bench::dialect::{Dialect, Seen};

/// See the module.
pub struct Nats;

impl Dialect for Nats {
    const ECHOES: bool = false;
    const ANSWERS: bool = false;
    const SENDERS_LISTEN: bool = true;

    fn enter(&self, me: usize, room: Option<&str>) -> Vec<u8> {
        let subject = room.map_or_else(|| format!("b{me}"), |room| room.trim_start_matches('#').to_owned());
        format!("CONNECT {{\"verbose\":false,\"pedantic\":false,\"echo\":false}}\r\nSUB {subject} 1\r\nPING\r\n").into()
    }

    fn create(&self, room: &str) -> Vec<u8> {
        self.enter(0, Some(room))
    }

    fn say(&self, out: &mut Vec<u8>, room: &str, text: &str) {
        out.extend_from_slice(format!("PUB {} {}\r\n{text}\r\n", room.trim_start_matches('#'), text.len()).as_bytes());
    }

    fn tell(&self, out: &mut Vec<u8>, to: usize, text: &str) {
        out.extend_from_slice(format!("PUB b{to} {}\r\n{text}\r\n", text.len()).as_bytes());
    }

    fn read<'a>(&self, line: &'a [u8]) -> Seen<'a> {
        match line {
            b"PONG\r\n" => Seen::Entered,
            b"PING\r\n" => Seen::Demand(b"PONG\r\n".into()),
            _ if line.starts_with(b"-ERR") => Seen::Refused(line),
            _ if line.starts_with(b"b") => Seen::Message(line),
            _ => Seen::Other,
        }
    }

    fn leave(&self) -> &'static [u8] {
        b"\r\n"
    }
}
