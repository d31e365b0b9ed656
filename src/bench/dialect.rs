//! How to talk to a server under load: what to write, and what its lines mean. linechat's own, and a seam for peers that are
//! measured beside it.

use std::borrow::Cow;

use memchr::{memchr, memrchr};

/// What a frame from the server is to the load.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// A message, with its text and perhaps the ending of its line.
    Message(&'a [u8]),
    /// A message of this connection was accepted.
    Accepted,
    /// Entering is complete.
    Entered,
    /// The server refused something; the load must stop.
    Refused(&'a [u8]),
    /// Something that must be answered at once, and how.
    Demand(Cow<'static, [u8]>),
    /// Nothing that counts.
    Other,
}

/// A protocol.
pub trait Dialect {
    /// Whether a sender is shown its own messages.
    const ECHOES: bool;
    /// Whether each message of a sender is answered.
    const ANSWERS: bool;
    /// Whether a connection can both send and receive. Where it cannot, the first connections send and enter no room, and the
    /// others receive; in pairs half of them each.
    const SENDERS_LISTEN: bool;
    /// Whether anybody is shown what was sent. Where nobody is, a message has landed when it is answered.
    const DELIVERS: bool = true;

    /// What connection `me` writes to become known as its name and, with a room, to read there.
    fn enter(&self, me: usize, room: Option<&str>) -> Vec<u8>;
    /// What creates the room, written by connection 0 instead of entering it.
    fn create(&self, room: &str) -> Vec<u8>;
    /// Appends a message to the room.
    fn say(&self, out: &mut Vec<u8>, room: &str, text: &str);
    /// Appends a message to connection `to`.
    fn tell(&self, out: &mut Vec<u8>, to: usize, text: &str);
    /// The length of the frame that these bytes begin with, if it is whole: a line, where the protocol does not count bytes.
    fn frame(&self, bytes: &[u8]) -> Option<usize> {
        memchr(b'\n', bytes).map(|end| end + 1)
    }
    /// What a frame means.
    fn read<'a>(&self, frame: &'a [u8]) -> Seen<'a>;
    /// Shows what a frame means, where it may be several things.
    fn show<'a>(&self, frame: &'a [u8], see: &mut impl FnMut(Seen<'a>)) {
        see(self.read(frame));
    }
    /// What ends a connection.
    fn leave(&self) -> &'static [u8];
    /// What the one who created the room writes at the end, so that nothing of it stays.
    fn end(&self, room: &str) -> Vec<u8> {
        let _ = room;
        self.leave().to_vec()
    }
    /// What a connection writes that comes only to leave again; it must be seen to enter.
    fn visit(&self, me: usize, room: &str) -> Vec<u8> {
        [&self.enter(me, Some(room)), self.leave()].concat()
    }
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

    fn enter(&self, me: usize, room: Option<&str>) -> Vec<u8> {
        let join = room.map(|room| format!("JOIN {room}\n")).unwrap_or_default();
        format!("NAME {}\n{join}PING entered\n", self.name(me)).into()
    }

    fn create(&self, room: &str) -> Vec<u8> {
        format!("NAME {}\nCREATE {room}\nPING entered\n", self.name(0)).into()
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

    fn read<'a>(&self, line: &'a [u8]) -> Seen<'a> {
        if line.starts_with(b"* MSG ") {
            // The last of its words: the texts of a load have no spaces.
            return memrchr(b' ', line).map_or(Seen::Other, |space| Seen::Message(&line[space + 1..]));
        }
        if line.starts_with(b"OK SAY ") || line.starts_with(b"OK MSG ") {
            return Seen::Accepted;
        }
        match line {
            b"OK PING entered\n" => Seen::Entered,
            _ if line.starts_with(b"OK JOIN ") => Seen::Entered,
            _ if line.starts_with(b"ERR ") => Seen::Refused(line),
            _ => Seen::Other,
        }
    }

    fn leave(&self) -> &'static [u8] {
        b"QUIT\n"
    }

    fn end(&self, room: &str) -> Vec<u8> {
        format!("CLOSE {room}\nQUIT\n").into()
    }

    fn visit(&self, _me: usize, room: &str) -> Vec<u8> {
        format!("JOIN {room}\nQUIT\n").into()
    }
}
