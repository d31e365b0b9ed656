//! The order of answers: one OK or ERR for each command, in the order of the commands, although messages wait for their
//! completions.
//!
//! While nothing waits, an answer goes straight to the socket. The queue holds at most the proposals in flight and the short
//! answers between them; the session bounds both.

use std::collections::VecDeque;

use crate::code::{Code, Refusal};
use crate::event::{Answer, Completion};
use crate::session::socket::Socket;
use crate::wire::{Word, reply};

/// An answer in the queue.
#[derive(Debug)]
enum Due {
    /// It is known when the proposal with this tag is completed; the proposal holds `bytes` bytes of text.
    Later { tag: u64, verb: Word, bytes: usize },
    /// The lines of an answer that is known.
    Known(Vec<u8>),
}

/// Answers that are not known yet, and those behind them, the oldest first.
#[derive(Debug, Default)]
pub struct Replies {
    queue: VecDeque<Due>,
    in_flight: usize,
    bytes: usize,
}

impl Replies {
    /// How many proposals are not completed.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many bytes their texts and the answers behind them have.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an answer that is known: it is sent now, or after the ones that wait.
    pub fn answer(&mut self, socket: &mut Socket, lines: impl FnOnce(&mut Vec<u8>)) {
        if self.queue.is_empty() {
            socket.write(lines);
        } else {
            let mut ready = Vec::new();
            lines(&mut ready);
            self.bytes += ready.len();
            self.queue.push_back(Due::Known(ready));
        }
    }

    /// Adds an answer to `verb` that waits for the proposal `tag`, which holds `bytes` bytes of text.
    pub fn await_completion(&mut self, tag: u64, verb: Word, bytes: usize) {
        self.in_flight += 1;
        self.bytes += bytes;
        self.queue.push_back(Due::Later { tag, verb, bytes });
    }

    /// Answers everything that waits with [`unsure`]: it will never be completed, and its outcome is not known.
    pub fn give_up(&mut self, socket: &mut Socket) {
        for due in self.queue.drain(..) {
            match due {
                Due::Later { verb, .. } => {
                    socket.metrics.answered(verb, Err(Code::Unsure));
                    socket.write(|out| reply::err(out, verb.name(), &unsure()));
                }
                Due::Known(lines) => socket.write(|out| out.extend_from_slice(&lines)),
            }
        }
        (self.in_flight, self.bytes) = (0, 0);
    }

    /// Completes a proposal: its answer, and the known ones behind it, are sent once nothing before it waits. Most complete in
    /// their order; not those that are refused before they are ordered. A proposal that does not wait was answered before, when
    /// nobody knew what would come of it. Returns how many bytes of text it had, if they were not stored, or had been before.
    pub fn complete(&mut self, socket: &mut Socket, completion: &Completion) -> Option<usize> {
        let is_stored = matches!(completion.result, Ok(Answer::Said { dup: false, .. } | Answer::SaidAway { .. }));
        let is_it = |due: &Due| matches!(due, Due::Later { tag, .. } if *tag == completion.tag);
        let at = self.queue.iter().position(is_it)?;
        let Due::Later { verb, bytes, .. } = self.queue[at] else { return None };
        self.in_flight -= 1;
        self.bytes -= bytes;
        socket.metrics.answered(verb, completion.result.as_ref().map(drop).map_err(|refusal| refusal.code));
        if at > 0 {
            let mut lines = Vec::new();
            answer(&mut lines, verb.name(), &completion.result);
            self.bytes += lines.len();
            self.queue[at] = Due::Known(lines);
        } else {
            self.queue.pop_front();
            socket.write(|out| answer(out, verb.name(), &completion.result));
            while let Some(Due::Known(lines)) = self.queue.pop_front_if(|due| matches!(due, Due::Known(_))) {
                self.bytes -= lines.len();
                socket.write(|out| out.extend_from_slice(&lines));
            }
        }
        (bytes > 0 && !is_stored).then_some(bytes)
    }
}

/// The refusal for a proposal that may or may not have been ordered and stored.
pub fn unsure() -> Refusal {
    Refusal::new(Code::Unsure, "the server failed before it could say; it may be stored: send it again with the same @key")
}

fn answer(out: &mut Vec<u8>, verb: &'static str, result: &Result<Answer, Refusal>) {
    match result {
        Ok(Answer::Said { seq, time, dup }) => reply::ok_said(out, verb, *seq, *time, *dup),
        Ok(Answer::SaidAway { seq, time, absence }) => {
            reply::away(out, absence);
            reply::ok_said(out, verb, *seq, *time, false);
        }
        Ok(Answer::Acked(seq)) => reply::ok(out, verb, format_args!(" {seq}")),
        Ok(Answer::AckedIn(channel, seq)) => reply::ok(out, verb, format_args!(" #{channel} {seq}")),
        Ok(other) => unreachable!("invariant: {verb} comes to a seq, and not {other:?}"),
        Err(refusal) => reply::err(out, verb, refusal),
    }
}
