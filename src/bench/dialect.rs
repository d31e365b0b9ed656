//! How to talk to a server under load: what to write, and what its lines mean. linechat's own, and a seam for peers that are
//! measured beside it.

use crate::wire::Incoming;
use crate::wire::incoming;

/// What a line from the server is to the load.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// A message, with its text.
    Message(&'a str),
    /// A message of this connection was accepted.
    Accepted,
    /// Entering is complete.
    Entered,
    /// The server refused something; the load must stop.
    Refused(&'a str),
    /// Something that must be answered at once, and how.
    Demand(&'static str),
    /// Nothing that counts.
    Other,
}

/// A protocol of lines.
pub trait Dialect {
    /// Whether a sender is shown its own messages.
    const ECHOES: bool;
    /// Whether each message of a sender is answered.
    const ANSWERS: bool;
    /// Whether a connection can both send and receive. Where it cannot, senders enter no room.
    const SENDERS_LISTEN: bool;

    /// What connection `me` writes to become known as `name(me)` and, with a room, to read there.
    fn enter(&self, me: usize, room: Option<&str>) -> String;
    /// What creates the room, written by connection 0 instead of entering it.
    fn create(&self, room: &str) -> String;
    /// Appends a message to the room.
    fn say(&self, out: &mut Vec<u8>, room: &str, text: &str);
    /// Appends a message to connection `to`.
    fn tell(&self, out: &mut Vec<u8>, to: usize, text: &str);
    /// What a line means.
    fn read<'a>(&self, line: &'a str) -> Seen<'a>;
    /// What ends a connection.
    fn leave(&self) -> &'static str;
}

/// linechat.
pub struct Linechat {
    /// Distinguishes this load's names from those of others on the same server.
    pub run: String,
}

impl Linechat {
    fn name(&self, me: usize) -> String {
        format!("b{}-{me}", self.run)
    }
}

impl Dialect for Linechat {
    const ECHOES: bool = false;
    const ANSWERS: bool = true;
    const SENDERS_LISTEN: bool = true;

    fn enter(&self, me: usize, room: Option<&str>) -> String {
        let join = room.map(|room| format!("JOIN {room}\n")).unwrap_or_default();
        format!("NAME {}\n{join}PING entered\n", self.name(me))
    }

    fn create(&self, room: &str) -> String {
        format!("NAME {}\nCREATE {room}\nPING entered\n", self.name(0))
    }

    fn say(&self, out: &mut Vec<u8>, room: &str, text: &str) {
        for part in ["SAY ", room, " ", text, "\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    fn tell(&self, out: &mut Vec<u8>, to: usize, text: &str) {
        for part in ["MSG ", &self.name(to), " ", text, "\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    fn read<'a>(&self, line: &'a str) -> Seen<'a> {
        if let Some(message) = line.strip_prefix("* MSG ") {
            return message.splitn(5, ' ').nth(4).map_or(Seen::Other, Seen::Message);
        }
        if line.starts_with("OK SAY ") || line.starts_with("OK MSG ") {
            return Seen::Accepted;
        }
        match incoming::read(line) {
            Some(Incoming::Ok { verb, fields }) if verb == "PING" && fields == "entered" => Seen::Entered,
            Some(Incoming::Err { .. }) => Seen::Refused(line),
            _ => Seen::Other,
        }
    }

    fn leave(&self) -> &'static str {
        "QUIT\n"
    }
}
