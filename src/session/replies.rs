//! The order of answers: one OK or ERR for each command, in the order of the commands, though messages wait for their commit.
//!
//! While nothing waits, an answer goes straight to the socket. It holds at most the drafts in flight and the short answers
//! between them, both of which the session bounds.

use std::collections::VecDeque;

use crate::event::Outcome;
use crate::hub::Verdict;
use crate::session::lines::stamp;
use crate::session::socket::Socket;
use crate::wire::{Code, Refusal, reply};

/// A verb whose OK waits for the journal while the next line is parsed already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// MSG or SAY, whichever was typed.
    Said(&'static str),
    /// ACK.
    Ack,
}

#[derive(Debug)]
enum Answer {
    Due { tag: u64, asked: Asked, bytes: usize },
    Ready(Vec<u8>),
}

/// See the module.
#[derive(Debug, Default)]
pub struct Replies {
    queue: VecDeque<Answer>,
    in_flight: usize,
    bytes: usize,
}

impl Replies {
    /// Drafts whose verdict has not come.
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
            self.queue.push_back(Answer::Ready(ready));
        }
    }

    /// An answer that waits for the verdict on the draft `tag`, which holds `bytes` of text.
    pub fn await_verdict(&mut self, tag: u64, asked: Asked, bytes: usize) {
        self.in_flight += 1;
        self.bytes += bytes;
        self.queue.push_back(Answer::Due { tag, asked, bytes });
    }

    /// The verdict on the oldest draft that waits: its answer, and the known ones behind it, are sent.
    pub fn verdict(&mut self, socket: &mut Socket, verdict: &Verdict) {
        match self.queue.pop_front() {
            Some(Answer::Due { tag, asked, bytes }) if tag == verdict.tag => {
                self.in_flight -= 1;
                self.bytes -= bytes;
                socket.write(|out| answer(out, asked, &verdict.outcome));
            }
            other => unreachable!("invariant: verdicts come in the order of the drafts, got {verdict:?} for {other:?}"),
        }
        while let Some(Answer::Ready(_)) = self.queue.front()
            && let Some(Answer::Ready(lines)) = self.queue.pop_front()
        {
            self.bytes -= lines.len();
            socket.write(|out| out.extend_from_slice(&lines));
        }
    }
}

fn answer(out: &mut Vec<u8>, asked: Asked, outcome: &Outcome) {
    let verb = match asked {
        Asked::Said(verb) => verb,
        Asked::Ack => "ACK",
    };
    match (asked, outcome) {
        (Asked::Said(verb), Outcome::Committed(entry)) => reply::ok_said(out, verb, entry.seq, &stamp(entry.time), false),
        (Asked::Said(verb), Outcome::Duplicate { seq, time }) => reply::ok_said(out, verb, *seq, &stamp(*time), true),
        (Asked::Ack, Outcome::Committed(entry)) => match entry.event {
            crate::event::Event::Acked { upto, .. } => reply::ok(out, verb, format_args!(" {upto}")),
            _ => unreachable!("invariant: the entry of an ACK is a mark"),
        },
        (Asked::Ack, Outcome::Unmoved(seq)) => reply::ok(out, verb, format_args!(" {seq}")),
        (_, outcome) => reply::err(out, verb, &refusal(outcome)),
    }
}

/// What a draft that was not stored is refused with.
pub fn refusal(outcome: &Outcome) -> Refusal {
    match outcome {
        Outcome::KeyReused(seq) => {
            Refusal::new(Code::KeyReused, format!("you used this key for another message, {seq}; nothing was stored"))
        }
        Outcome::Full => Refusal::new(Code::InboxFull, "their inbox is full of unread messages; nothing was stored, try later"),
        Outcome::StoreFull => Refusal::new(Code::StoreFull, "the server's disk is full; nothing was stored, try later"),
        Outcome::Occupied => Refusal::new(Code::NameTaken, "somebody was faster; nothing was stored"),
        Outcome::Committed(_) | Outcome::Duplicate { .. } | Outcome::Unmoved(_) => {
            unreachable!("invariant: this is no refusal: {outcome:?}")
        }
    }
}
