//! Cursor to bytes: what happened in the session's rooms since it last looked, at the speed of its own socket.
//!
//! Near the end of a room it copies from the room's tail; further back it reads the journal a page at a time. Nothing is
//! queued for it meanwhile, and it holds at most one gathering of lines.

use std::sync::Arc;

use crate::event::{Entry, Event, Room};
use crate::hub::{Attached, Channel, Closing, Read};
use crate::journal::{Query, Span};
use crate::limits::{FOLLOW_BYTES, READ_ENTRIES};
use crate::names::UserId;
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
            self.tell_closed();
        }
        Ok(())
    }

    /// Tells the end of the channels that are closed and read to their end.
    fn tell_closed(&mut self) {
        for channel in self.sitting.take_closed() {
            let closing = channel.closing().filter(|closing| closing.by != Some(self.sitting.seat.session));
            if let Some(Closing { who, time, .. }) = closing {
                self.socket.write(|out| reply::closed(out, &channel.name, who, *time));
            }
        }
    }

    /// Sends all that has happened until now: an answer to PING comes after it.
    pub(super) async fn follow_to_now(&mut self) -> Result<(), Gone> {
        let ends = self.sitting.ends();
        while self.sitting.is_before(&ends) {
            self.follow().await?;
            self.socket.flush().await?;
        }
        self.tell_closed();
        Ok(())
    }

    /// Sends one page from the journal to a reader who is behind the tail.
    async fn catch_up(&mut self, which: Which) -> Result<(), Gone> {
        self.socket.flush().await?;
        let attached = self.sitting.attached(which);
        let (room, after) = (attached.room.id, attached.cursor.seq);
        let query = Query { room, span: Span::After(after), count: READ_ENTRIES };
        let mut page = match self.shared.journal.read(query).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, ?room, "the journal cannot be read");
                return Err(Gone::Journal);
            }
        };
        // The journal may be ahead of the hub: what is not applied yet comes by the tail, and must not come twice.
        let applied = self.shared.hub.applied();
        page.entries.retain(|entry| entry.seq <= applied);
        let last = page.entries.last().map(|entry| entry.seq).or(page.gap.map(|(_, last)| last));
        let sitting = &mut self.sitting;
        let (socket, who) = (&mut self.socket, &sitting.who);
        let name = match which {
            Which::Inbox => To::User(who),
            Which::Channel(index) => To::Channel(&sitting.follows[index].channel.name),
        };
        socket.write(|out| {
            if let Some((first, last)) = page.gap {
                reply::gap(out, Mark::Event, name, first, last);
            }
            let others = page.entries.iter().filter(|entry| !came_by(entry, sitting.connection));
            others.for_each(|entry| message(out, Mark::Event, name, entry));
        });
        // Where the page was empty the tail has every message after the cursor, and the next reading goes on from there.
        self.sitting.attached_mut(which).cursor.seq = last.unwrap_or(after);
        Ok(())
    }
}

/// Whether the message came by this connection, where its OK was its echo.
fn came_by(entry: &Entry, connection: UserId) -> bool {
    matches!(entry.event, Event::Said { via, .. } if via == connection)
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

    /// Where each room ends now.
    fn ends(&self) -> Vec<(Room, u64)> {
        let follows = self.follows.iter().map(|follow| &follow.attached);
        std::iter::once(&self.inbox).chain(follows).map(|attached| (attached.room.id, attached.room.end_now())).collect()
    }

    /// Whether a room that is still read has not been read up to there.
    fn is_before(&self, ends: &[(Room, u64)]) -> bool {
        let reached =
            |attached: &Attached| ends.iter().all(|(room, end)| *room != attached.room.id || attached.cursor.position >= *end);
        !reached(&self.inbox) || !self.follows.iter().all(|follow| reached(&follow.attached))
    }

    /// Copies news from the rooms to `buffer`, beginning where the last time ended, so that a busy room starves no other. Returns
    /// the room whose news must be read from the journal first.
    fn gather(&mut self, buffer: &mut Vec<u8>) -> Option<Which> {
        let (session, rooms) = (self.seat.session, self.follows.len() + 1);
        for step in 0..rooms {
            let place = (self.next_room + step) % rooms;
            let which = place.checked_sub(1).map_or(Which::Inbox, Which::Channel);
            let Attached { room, cursor, .. } = self.attached_mut(which);
            let is_behind = room.has_more(cursor) && room.read(cursor, session, FOLLOW_BYTES, buffer) == Read::Behind;
            if is_behind || buffer.len() >= FOLLOW_BYTES {
                self.next_room = place + 1;
                return is_behind.then_some(which);
            }
        }
        None
    }

    /// Stops following channels that are closed and read to their end; returns those.
    fn take_closed(&mut self) -> Vec<Arc<Channel>> {
        let done = |follow: &super::seat::Follow| {
            let Attached { room, cursor, .. } = &follow.attached;
            room.is_closed() && !room.has_more(cursor)
        };
        let mut closed = Vec::new();
        while let Some(index) = self.follows.iter().position(done) {
            closed.push(self.drop_follow(index));
        }
        closed
    }
}
