//! One turn of a session: taking in bytes, executing their lines, and waiting for whatever comes first.
//!
//! It owns nothing beside the session. It must never wait without a deadline while something waits for the peer.

use std::future::{Future, poll_fn};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;
use crate::limits::{FAREWELL_SECONDS, FLOOD_BYTES};
use crate::session::reading::Which;
use crate::session::socket::{Gone, with_incoming};
use crate::session::{Ending, Session, sniff};
use crate::wire::{Back, Code, LineDecoder, Next, Refusal, Word, reply};

/// How many reads one turn may make before it is another session's.
const READS: usize = 4;

impl Session {
    /// Takes in received bytes and executes their lines, until the session may execute no more or its turn is over. Returns
    /// whether that was everything.
    pub(super) fn take_lines(&mut self, context: &mut Context<'_>) -> Result<bool, Gone> {
        self.awaits_input = false;
        if self.is_input_over() {
            return Ok(true);
        }
        if self.throttled_until.is_some_and(|until| until <= clock::now()) {
            self.throttled_until = None;
        }
        let mut reads = 0;
        while self.may_take_lines() && reads < READS {
            if self.unread.is_empty() {
                reads += 1;
                if !self.receive(context)? {
                    self.note_line_deadline();
                    return Ok(true);
                }
            } else {
                let unread = std::mem::take(&mut self.unread);
                let used = self.take_lines_from(&unread);
                self.keep_unread(&unread[used..]);
            }
        }
        self.note_line_deadline();
        Ok(false)
    }

    /// Takes in received bytes, into a buffer of the thread; returns whether there were any.
    fn receive(&mut self, context: &mut Context<'_>) -> Result<bool, Gone> {
        with_incoming(|buffer| {
            let read = self.socket.transport.poll_read(context, buffer)?;
            self.awaits_input = read.is_pending();
            let Poll::Ready(length) = read else { return Ok(false) };
            self.shared.metrics.received_bytes.add(length as u64);
            if length == 0 {
                self.refuse_partial_line();
                self.input_ends();
            } else {
                let used = self.take_lines_from(&buffer[..length]);
                self.keep_unread(&buffer[used..length]);
            }
            Ok(true)
        })
    }

    fn keep_unread(&mut self, bytes: &[u8]) {
        self.unread = bytes.to_vec();
    }

    /// Executes lines of `bytes`; returns how many bytes were used up.
    fn take_lines_from(&mut self, bytes: &[u8]) -> usize {
        if self.is_new
            && !self.decoder.is_partial()
            && let Some(refusal) = sniff::first_bytes(bytes)
        {
            self.turn_away(Word::NONE, &refusal);
            return bytes.len();
        }
        let mut input = bytes;
        let mut back = Back { crlf: self.socket.crlf, ..Back::default() };
        let mut decoder: LineDecoder = std::mem::take(&mut self.decoder);
        while self.may_take_lines() {
            let before = input.len();
            let next = decoder.next(&mut input, &mut back);
            let received = before - input.len();
            let mut lines = 0;
            self.socket.crlf = back.crlf;
            // Sent before the line's own answer: a telnet client discards everything between its interrupt and the timing mark.
            self.socket.write_raw(&back.telnet);
            back.telnet.clear();
            match next {
                Next::More => {
                    self.pay_for_bytes(received, 0);
                    break;
                }
                Next::Line(line) => {
                    lines = line.len() + 1 + usize::from(back.crlf);
                    self.line(line);
                }
                Next::TooLong => self.mistake("-", &too_long()),
                Next::Flood => self.turn_away(Word::NONE, &flood()),
                Next::End => self.ending = Some(Ending::EndTyped),
            }
            self.line_deadline = None;
            self.pay_for_bytes(received, lines);
        }
        self.decoder = decoder;
        if self.ending == Some(Ending::EndTyped) {
            self.refuse_partial_line();
        }
        bytes.len() - input.len()
    }

    fn refuse_partial_line(&mut self) {
        if self.decoder.is_partial() {
            self.refuse(Word::NONE, &incomplete());
        }
    }

    /// Refuses a line that is not a command, and closes the connection after too many in a row: such a peer does not speak this
    /// protocol.
    pub(super) fn mistake(&mut self, verb: &str, refusal: &Refusal) {
        self.shared.metrics.answered(Word::find(verb), Err(refusal.code));
        self.answer(|out| reply::err(out, verb, refusal));
        self.errors_in_a_row += 1;
        if self.errors_in_a_row >= self.shared.limits.errors_in_a_row {
            let count = self.errors_in_a_row;
            self.answer(|out| {
                reply::bye(out, format_args!("{count} lines in a row were not understood; connect again and type HELP"))
            });
            self.ending = Some(Ending::Closed(refusal.code));
        }
    }

    fn note_line_deadline(&mut self) {
        if !self.decoder.is_partial() {
            self.line_deadline = None;
        } else if self.line_deadline.is_none() {
            self.line_deadline = clock::now().checked_add(Duration::from_secs(self.shared.limits.half_line_seconds));
        }
    }

    /// Tells the hub how much is buffered here: input that is not executed yet, and answers and events that wait.
    pub(super) fn note_held(&self) {
        let input = self.unread.len() + self.decoder.held();
        self.shared.hub.hold(&self.handle, (input + self.socket.waiting() + self.replies.bytes()) as u64);
    }

    /// Sends everything that waits, as fast as the peer takes it. Meanwhile it counts as buffered. Whoever is dismissed in the middle
    /// of it has as long as for a farewell: a follower may take nothing for an hour.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        self.note_held();
        let (socket, handle) = (&mut self.socket, &self.handle);
        let dismissed = async {
            poll_fn(|context| handle.poll_dismissed(context)).await;
            tokio::time::sleep(Duration::from_secs(FAREWELL_SECONDS)).await;
        };
        tokio::select! {
            biased;
            flushed = socket.flush() => flushed,
            () = dismissed => Err(Gone::Stalled(FAREWELL_SECONDS)),
        }
    }

    /// Waits for a wake, for input that may be taken, for room to send, or for a deadline.
    pub(super) async fn wait(&mut self) -> Result<(), Gone> {
        self.note_held();
        if self.ending.is_some() || self.has_lines() {
            return Ok(());
        }
        let may_read = self.may_take_lines();
        if self.socket.waiting() == 0 && self.reading.has_news(Which::All) {
            return Ok(());
        }
        self.set_timer([self.line_deadline, self.throttled_until, self.socket.stall_deadline()]);
        poll_fn(|context| self.poll(context, may_read)).await?;
        if self.line_deadline.is_some_and(|deadline| deadline <= clock::now()) {
            let seconds = self.shared.limits.half_line_seconds;
            let text = format!("a line was not ended for {seconds} seconds; it was not executed");
            self.turn_away(Word::NONE, &Refusal::new(Code::Timeout, text));
        }
        Ok(())
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>, may_read: bool) -> Poll<Result<(), Gone>> {
        // If the peer takes nothing, the session need not wake for news that it could not send.
        let is_blocked = self.socket.waiting() > 0 && self.replies.in_flight() == 0 && !self.handle.is_dismissed();
        let woken = if is_blocked { self.handle.poll_dismissed(context) } else { self.handle.poll_woken(context) };
        if woken.is_ready() {
            return Poll::Ready(Ok(()));
        }
        // Right after a read that found nothing, there is no need to ask again.
        let asked = std::mem::take(&mut self.awaits_input);
        if may_read
            && !asked
            && let Poll::Ready(ready) = self.socket.transport.poll_readable(context)
        {
            return Poll::Ready(ready.map_err(Gone::from));
        }
        if self.socket.waiting() > 0
            && let Poll::Ready(ready) = self.socket.transport.poll_writable(context)
        {
            return Poll::Ready(ready.map_err(Gone::from));
        }
        match self.timer.as_mut().map(|timer| timer.as_mut().poll(context)) {
            Some(Poll::Ready(())) => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }

    /// Sets a timer for the first deadline. Without a deadline there is no timer, so that silence costs nothing.
    pub(super) fn set_timer<const N: usize>(&mut self, deadlines: [Option<Instant>; N]) {
        match (deadlines.into_iter().flatten().min(), &mut self.timer) {
            (None, timer) => *timer = None,
            (Some(deadline), Some(timer)) if timer.deadline() == deadline => {}
            (Some(deadline), Some(timer)) => timer.as_mut().reset(deadline),
            (Some(deadline), timer @ None) => *timer = Some(Box::pin(tokio::time::sleep_until(deadline))),
        }
    }
}

fn incomplete() -> Refusal {
    Refusal::new(Code::Incomplete, "the input ended within a line; that line was not executed, end it with a line feed")
}

fn too_long() -> Refusal {
    let most = crate::limits::LINE_BYTES;
    Refusal::new(Code::TooLong, format!("a line has at most {most} bytes, its ending included; nothing was done"))
}

fn flood() -> Refusal {
    let text = format!("a line did not end for {FLOOD_BYTES} bytes, so the connection is closed; nothing of it was done");
    Refusal::new(Code::TooLong, text)
}
