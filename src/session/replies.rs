//! The order of answers: one OK or ERR for each command, in the order of the commands, though messages wait for what they come to.
//!
//! While nothing waits, an answer goes straight to the socket. It holds at most the proposals in flight and the short answers
//! between them, both of which the session bounds.

use std::collections::VecDeque;

use crate::code::{Code, Refusal};
use crate::event::{Answer, Completion};
use crate::session::socket::Socket;
use crate::wire::reply;

/// An answer in its turn.
#[derive(Debug)]
enum Due {
    /// It comes when the proposal with this tag is completed; `bytes` of text wait for that.
    Later { tag: u64, verb: &'static str, bytes: usize },
    /// It is known.
    Known(Vec<u8>),
}

/// Answers that have not been sent, the oldest first.
#[derive(Debug, Default)]
pub struct Replies {
    queue: VecDeque<Due>,
    in_flight: usize,
    bytes: usize,
}

impl Replies {
    /// Proposals that are not completed.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Bytes of their texts, and of the answers that wait behind them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// An answer that is known: sent now, or after those that wait.
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

    /// An answer of `verb` that waits for what the proposal `tag` comes to, which holds `bytes` of text.
    pub fn await_completion(&mut self, tag: u64, verb: &'static str, bytes: usize) {
        self.in_flight += 1;
        self.bytes += bytes;
        self.queue.push_back(Due::Later { tag, verb, bytes });
    }

    /// Nothing that waits will ever be completed, and what it came to is not known.
    pub fn give_up(&mut self, socket: &mut Socket) {
        for due in self.queue.drain(..) {
            match due {
                Due::Later { verb, .. } => socket.write(|out| reply::err(out, verb, &unsure())),
                Due::Known(lines) => socket.write(|out| out.extend_from_slice(&lines)),
            }
        }
        (self.in_flight, self.bytes) = (0, 0);
    }

    /// What the oldest proposal that waits came to: its answer, and the known ones behind it, are sent.
    pub fn complete(&mut self, socket: &mut Socket, completion: Completion) {
        match self.queue.pop_front() {
            Some(Due::Later { tag, verb, bytes }) if tag == completion.tag => {
                self.in_flight -= 1;
                self.bytes -= bytes;
                socket.write(|out| answer(out, verb, &completion.result));
            }
            other => unreachable!("invariant: proposals complete in their order, got {completion:?} for {other:?}"),
        }
        while let Some(Due::Known(_)) = self.queue.front()
            && let Some(Due::Known(lines)) = self.queue.pop_front()
        {
            self.bytes -= lines.len();
            socket.write(|out| out.extend_from_slice(&lines));
        }
    }
}

/// What a proposal is answered with that may or may not have been ordered and stored.
pub fn unsure() -> Refusal {
    Refusal::new(Code::Unsure, "the server failed before it could say; it may be stored: send it again with the same @key")
}

fn answer(out: &mut Vec<u8>, verb: &'static str, result: &Result<Answer, Refusal>) {
    match result {
        Ok(Answer::Said { seq, time, dup }) => reply::ok_said(out, verb, *seq, *time, *dup),
        Ok(Answer::Acked(seq)) => reply::ok(out, verb, format_args!(" {seq}")),
        Ok(other) => unreachable!("invariant: {verb} comes to a seq, and not {other:?}"),
        Err(refusal) => reply::err(out, verb, refusal),
    }
}
