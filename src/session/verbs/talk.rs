//! MSG, SAY and ACK: they are proposed, and the next line is taken before they are completed.
//!
//! They own nothing, and must never decide who may speak.

use crate::code::{Code, Refusal};
use crate::event::{Recipient, Request};
use crate::names::{Name, Seq};
use crate::session::Session;
use crate::wire::{Target, Word};

impl Session {
    pub(super) fn msg(&mut self, key: Option<&str>, target: Target<'_>, text: &str) {
        self.send(const { Word::of("MSG") }, key, target.into(), text);
    }

    pub(super) fn say(&mut self, key: Option<&str>, channel: &str, text: &str) {
        self.send(const { Word::of("SAY") }, key, Recipient::Channel(channel.into()), text);
    }

    fn send(&mut self, verb: Word, key: Option<&str>, to: Recipient, text: &str) {
        if let Err(refusal) = self.check_length(text).and_then(|()| self.pay_storage(text.len())) {
            return self.refuse(verb, &refusal);
        }
        let tag = self.propose(Request::Say { to, key: key.map(Into::into), text: text.into() });
        self.replies.await_completion(tag, verb, text.len());
    }

    /// Checks that a text is not too long: lines that carry it must fit, too.
    pub(super) fn check_length(&self, text: &str) -> Result<(), Refusal> {
        let (length, most) = (text.len() as u64, self.shared.limits.text_bytes);
        if length <= most {
            return Ok(());
        }
        Err(Refusal::new(Code::TooLong, format!("the text has {length} bytes and may have {most}; nothing was stored")))
    }

    pub(super) fn ack(&mut self, upto: Option<Seq>) {
        let tag = self.propose(Request::Ack(upto.unwrap_or(Seq(u64::MAX))));
        self.replies.await_completion(tag, const { Word::of("ACK") }, 0);
    }

    pub(super) fn ack_in(&mut self, channel: &str, upto: Option<Seq>) {
        let tag = self.propose(Request::AckIn(Name::new(channel), upto.unwrap_or(Seq(u64::MAX))));
        self.replies.await_completion(tag, const { Word::of("ACK") }, 0);
    }
}
