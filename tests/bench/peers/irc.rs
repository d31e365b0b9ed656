//! IRC, as ngIRCd and InspIRCd speak it.

use linechat::bench::dialect::{Dialect, Seen};
use memchr::memchr_iter;

/// See the module.
pub struct Irc {
    /// Whether everybody joins the channel, which is told to all who are in it.
    pub joins: bool,
}

impl Dialect for Irc {
    const ECHOES: bool = false;
    const ANSWERS: bool = false;
    const SENDERS_LISTEN: bool = true;

    fn enter(&self, me: usize, _room: Option<&str>) -> Vec<u8> {
        format!("NICK b{me}x\r\nUSER b{me}x 0 * :b\r\n").into()
    }

    fn create(&self, _room: &str) -> Vec<u8> {
        self.enter(0, None)
    }

    fn say(&self, out: &mut Vec<u8>, room: &str, text: &str) {
        for part in ["PRIVMSG ", room, " :", text, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    fn tell(&self, out: &mut Vec<u8>, to: usize, text: &str) {
        out.extend_from_slice(format!("PRIVMSG b{to}x :{text}\r\n").as_bytes());
    }

    fn read<'a>(&self, line: &'a [u8]) -> Seen<'a> {
        // `:SOURCE COMMAND …`, or `COMMAND …` about the connection itself.
        let mut spaces = memchr_iter(b' ', line);
        let (Some(source), Some(command)) = (spaces.next(), spaces.next()) else { return Seen::Other };
        match &line[source + 1..command] {
            b"PRIVMSG" => spaces.next().map_or(Seen::Other, |target| Seen::Message(&line[target + 2..])),
            // The end of the welcome, and of the list of names after a JOIN.
            b"376" | b"422" if self.joins => Seen::Demand(b"JOIN #bench\r\n".into()),
            b"376" | b"422" => Seen::Entered,
            b"366" => Seen::Entered,
            b"401" | b"403" | b"404" | b"433" | b"437" | b"439" | b"451" | b"471" | b"473" | b"475" => Seen::Refused(line),
            _ if line.starts_with(b"PING ") => Seen::Demand(b"PONG x\r\n".into()),
            _ if line.starts_with(b"ERROR ") => Seen::Refused(line),
            _ => Seen::Other,
        }
    }

    fn leave(&self) -> &'static [u8] {
        b"QUIT\r\n"
    }
}
