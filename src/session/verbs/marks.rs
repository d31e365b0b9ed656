//! What is unread in channels, and RETRACT: what the session finds out about messages before it proposes, or tells of them.

use std::time::Duration;

use crate::event::{Event, Request, RoomId};
use crate::limits::UNREAD_SECONDS;
use crate::names::{Name, Seq};
use crate::session::Session;
use crate::session::verbs::heard::unreadable;
use crate::session::verbs::history::messages;
use crate::session::verbs::{Said, done};
use crate::state::not_yours;
use crate::store::Start;
use crate::wire::reply;

/// A channel in which something is unread.
struct Unread {
    channel: Seq,
    name: Name,
    /// The mark.
    read: Seq,
    /// Up to where it is counted: what follows is shown as it happens.
    upto: Seq,
    /// How many messages there are between the two.
    count: u64,
}

impl Session {
    /// Sends `- UNREAD …` for each channel in which others have said something that the user has not read.
    pub(super) async fn show_unread(&mut self) {
        let channels: Vec<_> = {
            let (state, me) = (self.shared.state.read().await, self.who.id);
            let mark = |channel| Some((channel, state.channel_name(channel)?.clone(), state.read_in(channel, me)?));
            state.channels_of(me).filter_map(mark).collect()
        };
        let mut unread = Vec::new();
        for (channel, name, read) in channels {
            let room = RoomId::Channel(channel);
            let Some(upto) = self.reading.cursor_in(room) else { continue };
            let (Some(all), Some(later)) = (self.count_after(room, read).await, self.count_after(room, upto).await) else {
                continue;
            };
            if all > later {
                unread.push(Unread { channel, name, read, upto, count: all - later });
            }
        }
        self.leave_out_own(&mut unread).await;
        for Unread { name, read, count, .. } in unread.iter().filter(|unread| unread.count > 0) {
            self.socket.write(|out| reply::unread(out, name, *count, *read));
        }
    }

    /// How many messages of a room there are after a seq; `None` if they cannot be read.
    async fn count_after(&self, room: RoomId, after: Seq) -> Option<u64> {
        self.read(messages(room, Start::After(after), 0)).await.ok().map(|page| page.remaining)
    }

    /// What one has said oneself is not unread, nor what those have said whom one ignores; and what was retracted is not there. Nobody waits long to log in because the index is
    /// being made: then these count, too.
    async fn leave_out_own(&self, unread: &mut [Unread]) {
        if unread.is_empty() {
            return;
        }
        let me = self.who.id;
        let others: Vec<_> = self.shared.state.read().await.ignored_by(me).chain([me]).collect();
        let spans: Vec<_> = unread.iter().map(|unread| (unread.channel, unread.read, Seq(unread.upto.0 + 1))).collect();
        let counting = self.shared.search.ask(move |index| {
            spans.into_iter().map(|(channel, after, before)| index.uncounted(channel, &others, after, before)).collect()
        });
        let counted: Result<Result<Vec<u64>, _>, _> = tokio::time::timeout(Duration::from_secs(UNREAD_SECONDS), counting).await;
        if let Ok(Ok(own)) = counted {
            unread.iter_mut().zip(own).for_each(|(unread, own)| unread.count = unread.count.saturating_sub(own));
        }
    }

    /// Where the message is, and whose, is looked up here: what a server has given up or damaged must not decide anything.
    pub(super) async fn retract(&mut self, seq: Seq) -> Said {
        let Ok(mut entries) = self.shared.reader.entries(vec![seq]).await else { return Ok(Err(unreadable())) };
        let found = entries.pop().and_then(|entry| match entry.event {
            Event::Said { from, text, .. } => Some((entry.room?, from.id, text.len() as u64, true)),
            Event::Unheard { from, text, .. } if !text.is_empty() => Some((entry.room?, from.id, 0, false)),
            _ => None,
        });
        let Some((room, from, bytes, was_heard)) = found else { return Ok(Err(not_yours(seq))) };
        let request = Request::Unsay { seq, room, from, bytes, was_heard };
        // Whoever may not is told so at once, as of a seq that is nowhere: not even by how long it takes is one told from the other.
        match self.preview(request.clone()).await {
            Some(refusal) => Ok(Err(refusal)),
            None => done(self.ask(request).await?),
        }
    }
}
