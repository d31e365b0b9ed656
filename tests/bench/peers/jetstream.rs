//! NATS JetStream: a stream in a file, whose senders are answered when a message is written there, and a consumer for each reader.
//! Consumers are what the clients' ordered ones are: pushed to, kept in memory, and nothing is acknowledged.

use linechat::bench::dialect::{Dialect, Seen};
use memchr::memmem;

use crate::nats::Nats;

/// What each connection begins with.
const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";

/// See the module.
pub struct JetStream;

/// The name of the stream, which is its subject too.
fn stream(room: &str) -> &str {
    room.trim_start_matches('#')
}

/// Asks the server to make something; its answer comes to `made`.
fn request(what: &str, stream: &str, body: &str) -> String {
    format!("PUB $JS.API.{what}.CREATE.{stream} made {}\r\n{body}\r\n", body.len())
}

impl Dialect for JetStream {
    const ECHOES: bool = false;
    const ANSWERS: bool = true;
    const SENDERS_LISTEN: bool = false;

    fn enter(&self, me: usize, room: Option<&str>) -> Vec<u8> {
        let Some(stream) = room.map(stream) else {
            return format!("{CONNECT}SUB acks.b{me} 1\r\nPING\r\n").into();
        };
        let consumer = format!(
            "{{\"stream_name\":\"{stream}\",\"config\":{{\"deliver_subject\":\"to.{me}\",\"deliver_policy\":\"all\",\
             \"ack_policy\":\"none\",\"replay_policy\":\"instant\",\"mem_storage\":true}}}}"
        );
        format!("{CONNECT}SUB to.{me} 1\r\nSUB made 2\r\n{}", request("CONSUMER", stream, &consumer)).into()
    }

    fn create(&self, room: &str) -> Vec<u8> {
        let stream = stream(room);
        let config = format!("{{\"name\":\"{stream}\",\"subjects\":[\"{stream}\"],\"storage\":\"file\",\"num_replicas\":1}}");
        format!("{CONNECT}SUB acks.b0 1\r\nSUB made 2\r\n{}", request("STREAM", stream, &config)).into()
    }

    /// The answer comes to a subject that only its sender reads, whose name a text begins with.
    fn say(&self, out: &mut Vec<u8>, room: &str, text: &str) {
        let sender = text.split('.').next().unwrap_or_default();
        out.extend_from_slice(format!("PUB {} acks.{sender} {}\r\n{text}\r\n", stream(room), text.len()).as_bytes());
    }

    fn tell(&self, _out: &mut Vec<u8>, _to: usize, _text: &str) {
        unreachable!("only a room is loaded")
    }

    fn read<'a>(&self, line: &'a [u8]) -> Seen<'a> {
        match line {
            _ if line.starts_with(b"{") && memmem::find(line, b"\"error\":").is_some() => Seen::Refused(line),
            _ if line.starts_with(b"{\"stream\":") => Seen::Accepted,
            _ if line.starts_with(b"{\"type\":") => Seen::Entered,
            _ => Nats.read(line),
        }
    }

    fn leave(&self) -> &'static [u8] {
        Nats.leave()
    }
}
