//! Cursor to bytes: what happened in the session's rooms since it last looked, at the speed of its own socket.
//!
//! Near the end of a room it copies from the room's tail; further back it reads the journal a page at a time. Nothing is
//! queued for it meanwhile, and it holds at most one gathering of lines.

use crate::event::{Entry, Event};
use crate::hub::{Attached, Read};
use crate::journal::{Query, Span};
use crate::limits::{FOLLOW_BYTES, READ_ENTRIES};
use crate::session::Session;
use crate::session::lines::stamp;
use crate::session::seat::Sitting;
use crate::session::socket::Gone;
use crate::wire::reply::{self, Mark, To};

/// Gatherings that are sent before the session looks at its input again.
const ROUNDS: usize = 16;

/// The inbox, or the channel at this index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Inbox,
    Channel(usize),
}

impl Session {
    /// Sends what happened, until there is no more, the peer takes no more, or it is somebody else's turn.
    pub(super) async fn follow(&mut self) -> Result<(), Gone> {
        for _ in 0..ROUNDS {
            if self.socket.is_blocked() || self.socket.waiting() > FOLLOW_BYTES || !self.sitting.has_news() {
                self.socket.send()?;
                if self.socket.waiting() > 0 || !self.sitting.has_news() {
                    break;
                }
            }
            let sitting = &mut self.sitting;
            let behind = self.socket.send_gathered(|buffer| sitting.gather(buffer))?;
            if let Some(which) = behind {
                Box::pin(self.catch_up(which)).await?;
            }
            self.sitting.drop_closed();
        }
        Ok(())
    }

    /// Sends one page from the journal to a reader who is behind the tail.
    async fn catch_up(&mut self, which: Which) -> Result<(), Gone> {
        self.socket.flush().await?;
        let attached = self.sitting.attached(which);
        let (room, after) = (attached.room.id, attached.cursor.seq);
        let query = Query { room, span: Span::After(after), count: READ_ENTRIES };
        let page = match self.shared.journal.read(query).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, ?room, "the journal cannot be read");
                return Err(Gone::Journal);
            }
        };
        let last = page.entries.last().map(|entry| entry.seq).or(page.gap.map(|(_, last)| last));
        let sitting = &mut self.sitting;
        let me = (!sitting.is_account).then_some(sitting.who.id);
        let (socket, who) = (&mut self.socket, &sitting.who);
        let name = match which {
            Which::Inbox => To::User(who),
            Which::Channel(index) => To::Channel(&sitting.follows[index].channel.name),
        };
        socket.write(|out| {
            if let Some((first, last)) = page.gap {
                reply::gap(out, Mark::Event, name, first, last);
            }
            // A guest has one connection, so that what the guest said was said here and answered here.
            let others = page.entries.iter().filter(|entry| author(entry) != me || me.is_none());
            others.for_each(|entry| message(out, Mark::Event, name, entry));
        });
        // Where the page was empty the tail has every message after the cursor, and the next reading goes on from there.
        self.sitting.attached_mut(which).cursor.seq = last.unwrap_or(after);
        Ok(())
    }
}

fn author(entry: &Entry) -> Option<crate::names::UserId> {
    match &entry.event {
        Event::Said { from, .. } => Some(from.id),
        _ => None,
    }
}

/// The line of a message of the journal.
pub fn message(out: &mut Vec<u8>, mark: Mark, to: To<'_>, entry: &Entry) {
    if let Event::Said { from, text, .. } = &entry.event {
        reply::message(out, mark, entry.seq, &stamp(entry.time), to, from, text);
    }
}

impl Sitting {
    fn attached(&self, which: Which) -> &Attached {
        match which {
            Which::Inbox => &self.inbox,
            Which::Channel(index) => &self.follows[index].attached,
        }
    }

    fn attached_mut(&mut self, which: Which) -> &mut Attached {
        match which {
            Which::Inbox => &mut self.inbox,
            Which::Channel(index) => &mut self.follows[index].attached,
        }
    }

    /// Whether there is something to read in any room. Costs no lock.
    pub fn has_news(&self) -> bool {
        let news = |attached: &Attached| attached.room.has_more(&attached.cursor);
        news(&self.inbox) || self.follows.iter().any(|follow| news(&follow.attached) || follow.attached.room.is_closed())
    }

    /// Copies news from all rooms to `buffer`; returns the room whose news must be read from the journal first.
    fn gather(&mut self, buffer: &mut Vec<u8>) -> Option<Which> {
        let session = self.seat.session;
        let channels = (0..self.follows.len()).map(Which::Channel);
        for which in std::iter::once(Which::Inbox).chain(channels) {
            let Attached { room, cursor, .. } = self.attached_mut(which);
            if room.has_more(cursor) && room.read(cursor, session, FOLLOW_BYTES, buffer) == Read::Behind {
                return Some(which);
            }
            if buffer.len() >= FOLLOW_BYTES {
                break;
            }
        }
        None
    }

    /// Stops following channels that are closed and read to their end.
    fn drop_closed(&mut self) {
        let done = |follow: &super::seat::Follow| {
            let Attached { room, cursor, .. } = &follow.attached;
            room.is_closed() && !room.has_more(cursor)
        };
        while let Some(index) = self.follows.iter().position(done) {
            self.drop_follow(index);
        }
    }
}
