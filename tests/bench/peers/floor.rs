//! The floor: the epoll loop of `tests/bench/floor.rs`, which writes raw lines to all others.

use linechat::bench::dialect::{Dialect, Seen};

/// See the module.
pub struct Floor;

impl Dialect for Floor {
    const ECHOES: bool = false;
    const ANSWERS: bool = false;
    const SENDERS_LISTEN: bool = true;

    fn enter(&self, _me: usize, _room: Option<&str>) -> Vec<u8> {
        Vec::new()
    }

    fn create(&self, _room: &str) -> Vec<u8> {
        Vec::new()
    }

    fn say(&self, out: &mut Vec<u8>, _room: &str, text: &str) {
        out.extend_from_slice(text.as_bytes());
        out.push(b'\n');
    }

    fn tell(&self, _out: &mut Vec<u8>, _to: usize, _text: &str) {
        unreachable!("the floor knows no users")
    }

    fn read<'a>(&self, line: &'a [u8]) -> Seen<'a> {
        if line == b"ready\n" { Seen::Entered } else { Seen::Message(line) }
    }

    fn leave(&self) -> &'static [u8] {
        b""
    }
}
