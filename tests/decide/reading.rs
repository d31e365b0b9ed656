//! The part of the model that says how far a channel is read, and who may take back what was said.

use linechat::event::RoomId;
use linechat::names::{Seq, UserId};
use linechat::state::Storage;

use crate::governing::Rank;
use crate::model::{Model, User, Verdict, full, verdict};

impl Model {
    /// Up to where a member has read a channel.
    pub fn read_in(&self, channel: Seq, user: UserId) -> Option<Seq> {
        self.reads.iter().find(|(whose, _)| *whose == (channel, user)).map(|(_, read)| *read)
    }

    /// Up to where they would have read it after an ACK.
    pub fn acked_in(&self, channel: Seq, user: UserId, seq: Seq) -> Seq {
        let said = self.messages.iter().filter(|message| message.room == RoomId::Channel(channel)).map(|message| message.seq);
        said.max().unwrap_or_default().min(seq).max(self.read_in(channel, user).unwrap_or_default())
    }

    /// An account's mark in a channel that they are in.
    pub fn marking(&self, user: &User, name: &str, seq: Seq, storage: Storage) -> Verdict {
        let Some(channel) = self.channel(name) else { return verdict(vec!["NO_SUCH_CHANNEL"], String::new) };
        let mark = self.acked_in(channel.id, user.id, seq);
        let moves = Some(mark) != self.read_in(channel.id, user.id);
        let mut codes = full(moves && storage == Storage::Nothing);
        codes.extend((!channel.has(user.id)).then_some("NOT_MEMBER"));
        codes.extend(user.hash.is_none().then_some("NOT_ALLOWED"));
        verdict(codes, || format!("#{} {mark}", channel.name))
    }

    /// Whoever has said it, or runs its channel, may take it back while its room is there.
    pub fn retracting(&self, user: &User, (seq, room, from): (Seq, RoomId, UserId), is_full: bool) -> Verdict {
        let channel = |id| self.channels.iter().find(|channel| channel.id == id);
        let denied = match room {
            RoomId::Inbox(owner) if self.user(owner).is_some() && from == user.id => vec![],
            RoomId::Inbox(_) => vec!["NOT_ALLOWED"],
            RoomId::Channel(id) => match channel(id) {
                Some(_) if from == user.id => vec![],
                Some(channel) if channel.needs(user.id, Rank::Operator).is_empty() => vec![],
                // Whether somebody else's message is there is told to nobody.
                _ => vec!["NOT_ALLOWED"],
            },
        };
        let mut codes = full(is_full);
        codes.extend(denied);
        verdict(codes, || seq.to_string())
    }
}
