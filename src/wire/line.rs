//! Bytes to lines, for every netcat and telnet: line endings, telnet's own bytes, editing, and over-long lines.
//!
//! A [`LineDecoder`] owns only the line that has not ended yet, so a connection that is silent between two lines costs no
//! memory here. It never begins a telnet negotiation, and never repairs text.

use crate::limits::{FLOOD_BYTES, LINE_BYTES, SUBNEGOTIATION_BYTES, TELNET_ANSWERS};
use crate::wire::text::is_plain;

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const EL: u8 = 248;
const EC: u8 = 247;
const IP: u8 = 244;
const SE: u8 = 240;
const EOF: u8 = 236;
/// The other side waits for the answer (RFC 860), so a timing mark after an interrupt is answered, as often as a person types.
const TIMING_MARK: u8 = 6;

/// What the bytes so far have produced.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A line, without its ending.
    Line(&'a [u8]),
    /// A line longer than [`LINE_BYTES`] has ended; its bytes are gone.
    TooLong,
    /// An over-long line does not end: close the connection.
    Flood,
    /// The peer said that nothing more will come (telnet's IAC EOF, or Ctrl-D at the start of a line).
    End,
    /// All bytes are used up; more must be read.
    More,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Data,
    Cr,
    Iac,
    Negotiate(u8),
    Sub(usize),
    SubIac(usize),
}

/// Which telnet options were already refused; allocated when the first one comes.
#[derive(Debug, Default)]
struct Refused {
    options: [[u64; 4]; 2],
    answers: u16,
    /// Timing marks answered since the last line.
    marks: u16,
}

/// What the received bytes mean for the answers.
#[derive(Debug, Default)]
pub struct Back {
    /// Telnet bytes that must be sent back.
    pub telnet: Vec<u8>,
    /// Whether the last line ended in CR LF or CR NUL, so that answers should end in CR LF.
    pub crlf: bool,
}

/// Finds the line endings and telnet bytes of one connection.
#[derive(Debug, Default)]
pub struct LineDecoder {
    partial: Vec<u8>,
    thrown_away: usize,
    /// Bytes dropped by interrupts since the last line.
    dropped: usize,
    state: State,
    given: bool,
    interrupted: bool,
    refused: Option<Box<Refused>>,
}

impl LineDecoder {
    /// Takes bytes from the front of `input` until a line ends, and notes in `back` what that means for the answers.
    ///
    /// Call it again with what is left of `input` until it returns [`Next::More`]. At most [`LINE_BYTES`] are kept between calls.
    pub fn next<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8], back: &mut Back) -> Next<'s> {
        if self.given {
            self.partial = Vec::new();
            self.given = false;
        }
        if !self.is_partial()
            && let Some((line, crlf)) = whole(input)
        {
            self.line_ended(line.is_empty());
            back.crlf = crlf;
            return if line.len() + 1 + usize::from(crlf) > LINE_BYTES { Next::TooLong } else { Next::Line(line) };
        }
        while let [byte, rest @ ..] = *input {
            *input = rest;
            match self.step(*byte, &mut back.telnet) {
                None => {}
                Some(Ended::Line { crlf }) => {
                    back.crlf = crlf;
                    return self.ended(crlf);
                }
                Some(Ended::Input) => return Next::End,
            }
            if self.thrown_away + self.dropped > FLOOD_BYTES {
                return Next::Flood;
            }
        }
        Next::More
    }

    /// Whether a line has begun but not ended.
    pub fn is_partial(&self) -> bool {
        (!self.partial.is_empty() && !self.given) || self.thrown_away > 0 || self.state != State::Data
    }

    /// How many bytes of a line that has not ended are kept.
    pub fn held(&self) -> usize {
        if self.given { 0 } else { self.partial.len() }
    }

    fn ended(&mut self, crlf: bool) -> Next<'_> {
        let ending = 1 + usize::from(crlf);
        let too_long = self.thrown_away > 0 || self.partial.len() + ending > LINE_BYTES;
        self.thrown_away = 0;
        self.line_ended(self.partial.is_empty() && !too_long);
        self.given = true;
        if too_long { Next::TooLong } else { Next::Line(&self.partial) }
    }

    fn line_ended(&mut self, is_empty: bool) {
        (self.interrupted, self.dropped) = (false, 0);
        // Whoever sends lines between is not a flood of interrupts.
        if let Some(refused) = &mut self.refused
            && !is_empty
        {
            refused.marks = 0;
        }
    }

    fn step(&mut self, byte: u8, answers: &mut Vec<u8>) -> Option<Ended> {
        match (self.state, byte) {
            (State::Data, IAC) => self.state = State::Iac,
            (State::Data, b'\n') => return Some(self.end_line(false)),
            (State::Data, b'\r') => self.state = State::Cr,
            (State::Data, 0x04) if self.partial.is_empty() && self.thrown_away == 0 => return Some(Ended::Input),
            (State::Data, 0x03) => self.drop_line(),
            (State::Data, 0x08 | 0x7f) => self.erase(),
            (State::Data, byte) => self.push(byte),
            (State::Cr, b'\n' | 0) => return Some(self.end_line(true)),
            (State::Cr, byte) => {
                // A bare CR stays in the line as a control character, so that the line is refused.
                self.state = State::Data;
                self.push(b'\r');
                return self.step(byte, answers);
            }
            (State::Iac, EOF..) => return self.command(byte),
            (State::Iac, byte) => {
                // Not a telnet command (those of RFC 854 and RFC 1184 begin at 236), but a stray byte that makes the line
                // invalid.
                self.state = State::Data;
                self.push(IAC);
                return self.step(byte, answers);
            }
            (State::Negotiate(verb), option) => {
                self.state = State::Data;
                self.refuse(verb, option, answers);
            }
            (State::Sub(length), IAC) => self.state = State::SubIac(length),
            (State::Sub(length), _) => self.skip_subnegotiation(length),
            (State::SubIac(_), SE) => self.state = State::Data,
            (State::SubIac(length), _) => self.skip_subnegotiation(length),
        }
        None
    }

    fn command(&mut self, byte: u8) -> Option<Ended> {
        self.state = State::Data;
        match byte {
            IAC => self.push(IAC),
            WILL | WONT | DO | DONT => self.state = State::Negotiate(byte),
            SB => self.state = State::Sub(0),
            IP => {
                self.drop_line();
                self.interrupted = true;
            }
            EC => self.erase(),
            EL => self.drop_line(),
            EOF => return Some(Ended::Input),
            _ => {}
        }
        None
    }

    /// Refuses an option, once: if it is asked for again, nothing changes and nothing is answered, or two such peers would
    /// never stop (RFC 854 and RFC 1143).
    fn refuse(&mut self, verb: u8, option: u8, answers: &mut Vec<u8>) {
        let (row, answer) = match verb {
            DO => (0, WONT),
            WILL => (1, DONT),
            _ => return,
        };
        let refused = self.refused.get_or_insert_default();
        let may_answer = refused.answers + refused.marks < TELNET_ANSWERS;
        if option == TIMING_MARK && verb == DO && std::mem::take(&mut self.interrupted) {
            if may_answer {
                refused.marks += 1;
                answers.extend([IAC, WONT, TIMING_MARK]);
            }
            return;
        }
        let (word, bit) = (usize::from(option / 64), 1u64 << (option % 64));
        if refused.options[row][word] & bit == 0 && may_answer {
            refused.options[row][word] |= bit;
            refused.answers += 1;
            answers.extend([IAC, answer, option]);
        }
    }

    fn skip_subnegotiation(&mut self, length: usize) {
        self.state = if length < SUBNEGOTIATION_BYTES { State::Sub(length + 1) } else { State::Data };
    }

    fn end_line(&mut self, crlf: bool) -> Ended {
        self.state = State::Data;
        Ended::Line { crlf }
    }

    fn push(&mut self, byte: u8) {
        if self.thrown_away > 0 || self.partial.len() == LINE_BYTES {
            self.partial = Vec::new();
            self.thrown_away += 1;
        } else {
            self.partial.push(byte);
        }
    }

    /// Removes the last character: its first byte and the UTF-8 bytes that continue it.
    fn erase(&mut self) {
        while self.partial.pop().is_some_and(|byte| byte & 0xC0 == 0x80) {}
    }

    fn drop_line(&mut self) {
        self.dropped += self.partial.len() + self.thrown_away;
        self.partial = Vec::new();
        self.thrown_away = 0;
    }
}

enum Ended {
    Line { crlf: bool },
    Input,
}

/// The fast path: a line that is whole within `input` and is plain text, and whether it ended in CR LF.
fn whole<'a>(input: &mut &'a [u8]) -> Option<(&'a [u8], bool)> {
    let end = memchr::memchr(b'\n', input)?;
    let line = &input[..end];
    let (line, crlf) = line.strip_suffix(b"\r").map_or((line, false), |line| (line, true));
    // A fold and not `any`, because without an early exit the compiler checks 32 bytes at a time.
    if line.iter().fold(false, |special, &byte| special | !is_plain(byte) | (byte == IAC)) {
        return None;
    }
    *input = &input[end + 1..];
    Some((line, crlf))
}

#[cfg(test)]
mod tests {
    use super::{Back, DO, DONT, FLOOD_BYTES, IAC, LINE_BYTES, LineDecoder, Next, SUBNEGOTIATION_BYTES, WILL, WONT};

    /// What the decoder makes of `bytes`, given `step` bytes at a time, and what it sends back.
    fn decode(bytes: &[u8], step: usize) -> (Vec<String>, Vec<u8>) {
        let (mut decoder, mut seen, mut back) = (LineDecoder::default(), Vec::new(), Back::default());
        for chunk in bytes.chunks(step) {
            let mut input = chunk;
            loop {
                seen.push(match decoder.next(&mut input, &mut back) {
                    Next::Line(line) => String::from_utf8_lossy(line).into_owned(),
                    Next::TooLong => "TOO LONG".into(),
                    Next::Flood => "FLOOD".into(),
                    Next::End => "END".into(),
                    Next::More => break,
                });
            }
        }
        if decoder.is_partial() {
            seen.push("...".into());
        }
        (seen, back.telnet)
    }

    /// Checks that the lines are the same however the bytes are cut.
    fn check(bytes: &[u8], lines: &[&str], sent_back: &[u8]) {
        for step in [1, 2, 3, 7, bytes.len().max(1)] {
            assert_eq!(decode(bytes, step), (lines.iter().map(ToString::to_string).collect(), sent_back.to_vec()), "by {step}");
        }
    }

    #[test]
    fn lf_crlf_and_crnul_end_lines() {
        check(b"a\nb\r\nc\r\0\nd", &["a", "b", "c", "", "..."], b"");
        check(b"a\rb\n", &["a\rb"], b"");
    }

    #[test]
    fn backspace_and_interrupt_edit_the_line() {
        check("ab\u{8}c\u{7f}\u{7f}d\u{e9}\u{8}\n".as_bytes(), &["d"], b"");
        check(b"\x08\x7fa\n", &["a"], b"");
        check(b"oops\x03LIST\n", &["LIST"], b"");
        check(b"oops\xff\xf4LIST\nab\xff\xf7c\nxy\xff\xf8z\n", &["LIST", "ac", "z"], b"");
    }

    #[test]
    fn end_of_input_has_three_forms_of_which_two_are_bytes() {
        check(b"LIST\n\x04", &["LIST", "END"], b"");
        check(b"LIST\n\xff\xec", &["LIST", "END"], b"");
        check(b"a\x04\n", &["a\u{4}"], b"");
    }

    #[test]
    fn telnet_options_are_refused_once_and_a_timing_mark_after_each_interrupt() {
        check(b"\xff\xfd\x01\xff\xfd\x01\xff\xfb\x1fLIST\n", &["LIST"], b"\xff\xfc\x01\xff\xfe\x1f");
        check(b"\xff\xf4\xff\xfd\x06\xff\xf4\xff\xfd\x06", &[], b"\xff\xfc\x06\xff\xfc\x06");
        // Without an interrupt, or offered instead of asked for, it is an option like any other.
        check(b"\xff\xfd\x06\xff\xfd\x06\xff\xfb\x06\xff\xfb\x06", &[], b"\xff\xfc\x06\xff\xfe\x06");
        check(b"\xff\xf4\xff\xfb\x06\xff\xf4\xff\xfb\x06\xff\xfd\x01\xff\xfd\x01", &[], b"\xff\xfe\x06\xff\xfc\x01");
        check(b"a\xff\xffb\n", &["a\u{fffd}b"], b"");
        check(b"PING \xff\nQUIT\n", &["PING \u{fffd}", "QUIT"], b"");
        check(b"LI\xff\xfa\x18\x00xterm\n\xff\xff\xff\xf0ST\n", &["LIST"], b"");
    }

    #[test]
    fn an_endless_subnegotiation_is_left() {
        for filler in [&b"x"[..], b"\xff\x01"] {
            let bytes = [&b"\xff\xfa"[..], &filler.repeat(400), b"\nPING\n"].concat();
            assert_eq!(decode(&bytes, 5).0.last().unwrap(), "PING");
        }
        // It has so many bytes, and the one by which it is too long is none of a line.
        let most = [&b"\xff\xfa"[..], &b"x".repeat(SUBNEGOTIATION_BYTES + 1)].concat();
        check(&[&most[..], b"PING\n"].concat(), &["PING"], b"");
        check(&[&most[..most.len() - 1], b"PING\n"].concat(), &["ING"], b"");
    }

    #[test]
    fn a_megabyte_of_telnet_is_answered_with_768_bytes_at_most() {
        let mut bytes = Vec::new();
        for verb in [DO, WILL, DONT, WONT] {
            for option in 0..=255 {
                bytes.extend([IAC, verb, option]);
            }
        }
        let (_, answers) = decode(&bytes.repeat(400), 1000);
        assert_eq!(answers.len(), 768);
        // Interrupts and their timing marks, with all that and without, and with empty lines between.
        let marks = b"\xff\xf4\xff\xfd\x06".repeat(100_000);
        assert_eq!(decode(&marks, 1000).1.len(), 768);
        assert_eq!(decode(&[bytes, marks].concat(), 1000).1.len(), 768);
        assert_eq!(decode(&b"\xff\xf4\xff\xfd\x06\n".repeat(100_000), 1000).1.len(), 768);
    }

    #[test]
    fn a_person_may_interrupt_as_often_as_they_like() {
        let (_, answers) = decode(&b"ab\xff\xf4\xff\xfd\x06PING\n".repeat(1000), 1000);
        assert_eq!(answers.len(), 3000);
    }

    #[test]
    fn interrupts_do_not_hide_a_flood() {
        let nearly = [b"x".repeat(60_000), b"\x03".to_vec()].concat();
        assert_eq!(decode(&nearly, 999).0, Vec::<String>::new());
        assert_eq!(decode(&nearly.repeat(2), 999).0[0], "FLOOD");
        let short = [b"x".repeat(4000), b"\xff\xf4".to_vec()].concat();
        assert_eq!(decode(&short.repeat(20), 999).0[0], "FLOOD");
        let with_lines = [nearly, b"PING\n".to_vec()].concat();
        assert!(decode(&with_lines.repeat(5), 999).0.iter().all(|line| line == "PING"));
    }

    #[test]
    fn a_line_of_4096_bytes_passes_and_one_of_4097_does_not() {
        for (length, ending, passes) in [(4095, "\n", true), (4096, "\n", false), (4094, "\r\n", true), (4095, "\r\n", false)] {
            let line = "x".repeat(length);
            let expected = if passes { line.as_str() } else { "TOO LONG" };
            check(format!("{line}{ending}PING\n").as_bytes(), &[expected, "PING"], b"");
        }
        check(format!("{}\nPING\n", "x".repeat(50_000)).as_bytes(), &["TOO LONG", "PING"], b"");
    }

    #[test]
    fn a_line_without_end_is_a_flood() {
        let (seen, _) = decode(&b"x".repeat(LINE_BYTES + FLOOD_BYTES + 1), 999);
        assert_eq!(seen, ["FLOOD", "..."]);
    }
}
