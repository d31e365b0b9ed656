//! MQTT 3.1.1 at quality of service 0, as Mosquitto speaks it.

use linechat::bench::dialect::{Dialect, Seen};

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
/// The type of a packet; below it are flags.
const TYPE: u8 = 0xf0;

/// See the module.
pub struct Mqtt;

/// Appends a packet: its type, its length in 7-bit groups, its body.
fn packet(out: &mut Vec<u8>, kind: u8, body: &[&[u8]]) {
    let mut length: usize = body.iter().map(|part| part.len()).sum();
    out.push(kind);
    while length > 127 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    body.iter().for_each(|part| out.extend_from_slice(part));
}

/// The length of a string, as it stands before the string.
fn length(text: &str) -> [u8; 2] {
    (text.len() as u16).to_be_bytes()
}

/// The length of a packet's body and where it begins, if its header is whole.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let groups = bytes.get(1..)?.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let length = bytes[1..=groups].iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
    Some((length, groups + 1))
}

/// A topic may not hold a `#`.
fn topic(room: &str) -> &str {
    room.trim_start_matches('#')
}

fn publish(out: &mut Vec<u8>, topic: &str, text: &str) {
    packet(out, PUBLISH, &[&length(topic), topic.as_bytes(), text.as_bytes()]);
}

impl Dialect for Mqtt {
    const ECHOES: bool = true;
    const ANSWERS: bool = false;
    const SENDERS_LISTEN: bool = true;

    fn enter(&self, me: usize, room: Option<&str>) -> Vec<u8> {
        let name = format!("b{me}");
        let topic = topic(room.unwrap_or(&name));
        let mut out = Vec::new();
        // Level 4 is 3.1.1; a clean session; no keep-alive.
        packet(&mut out, CONNECT, &[&length("MQTT"), b"MQTT\x04\x02\0\0", &length(&name), name.as_bytes()]);
        packet(&mut out, SUBSCRIBE, &[b"\0\x01", &length(topic), topic.as_bytes(), b"\0"]);
        out
    }

    fn create(&self, room: &str) -> Vec<u8> {
        self.enter(0, Some(room))
    }

    fn say(&self, out: &mut Vec<u8>, room: &str, text: &str) {
        publish(out, topic(room), text);
    }

    fn tell(&self, out: &mut Vec<u8>, to: usize, text: &str) {
        publish(out, &format!("b{to}"), text);
    }

    fn frame(&self, bytes: &[u8]) -> Option<usize> {
        let (length, start) = header(bytes)?;
        (bytes.len() >= start + length).then_some(start + length)
    }

    fn read<'a>(&self, frame: &'a [u8]) -> Seen<'a> {
        let body = header(frame).map_or(frame, |(_, start)| &frame[start..]);
        match (frame[0] & TYPE, body) {
            (PUBLISH, [high, low, rest @ ..]) => {
                rest.get(usize::from(u16::from_be_bytes([*high, *low]))..).map_or(Seen::Other, Seen::Message)
            }
            (CONNACK, [_, code]) if *code != 0 => Seen::Refused(b"CONNECT"),
            (SUBACK, [.., code]) if *code >= 0x80 => Seen::Refused(b"SUBSCRIBE"),
            (SUBACK, _) => Seen::Entered,
            _ => Seen::Other,
        }
    }

    fn leave(&self) -> &'static [u8] {
        b"\xe0\0"
    }
}
