//! The news that a replica tells its node's hub, and what the hub does with it.
//!
//! It owns nothing: the hub does. It must never wait for a session.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::event::{Completion, Entry, RoomId, Time, To};
use crate::hub::handle::Notice;
use crate::hub::ignoring::Ignores;
use crate::hub::room::{Cursor, Room};
use crate::hub::{Hub, SessionHandle};
use crate::names::{Name, Seq, Who};

/// How a room is named in its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Title {
    /// A channel, by its name.
    Channel(Name),
    /// An inbox, by its owner.
    Inbox(Who),
}

impl Title {
    /// The name in a line.
    pub fn to(&self) -> To<'_> {
        match self {
            Self::Channel(name) => To::Channel(name),
            Self::Inbox(who) => To::User(who),
        }
    }
}

/// One thing that the hub is told. Sessions are identified by their numbers on this node.
#[derive(Debug)]
pub enum News {
    /// Something happened in a room.
    Happened(Entry),
    /// The session begins to read the room, after this entry.
    Begins {
        /// The session.
        session: u64,
        /// The entry after which it reads.
        seq: Seq,
        /// The room.
        room: RoomId,
        /// How the room is named.
        title: Title,
    },
    /// The session stops reading the room, after this entry.
    Ends {
        /// The session.
        session: u64,
        /// The room.
        room: RoomId,
        /// The last entry to read.
        seq: Seq,
    },
    /// Whom the session's user does not hear has changed.
    Ignores {
        /// The session.
        session: u64,
        /// What has changed.
        change: Ignores,
        /// The entry with which it has.
        seq: Seq,
    },
    /// The room has ended: everybody reads it up to this entry.
    Closed {
        /// The room.
        room: RoomId,
        /// The last entry to read.
        seq: Seq,
    },
    /// The session has ended.
    Gone {
        /// The session.
        session: u64,
        /// The rooms that it was reading.
        rooms: SmallVec<[RoomId; 2]>,
    },
    /// Somebody has ended the session. The ends of the rooms that it was reading were told before.
    Dismissed {
        /// The session.
        session: u64,
        /// Why.
        reason: Arc<str>,
    },
    /// The operator tells everybody something.
    Noticed {
        /// When.
        time: Time,
        /// What.
        text: Arc<str>,
    },
    /// A user has a new name.
    Renamed {
        /// The user, by the new name.
        who: Who,
    },
    /// This was the newest entry of the batch, shown or not.
    UpTo {
        /// The entry.
        seq: Seq,
    },
    /// A session's proposal is completed. Everything that it changed has been told before. Those without a
    /// [place](Completion::has_place) come last.
    Completed {
        /// The session.
        session: u64,
        /// What its proposal came to.
        completion: Completion,
    },
}

impl Hub {
    /// Takes the news of a batch: adds lines to their rooms, wakes the readers of each touched room once, and then gives the
    /// sessions the completions that come last. Empties `batch`. Call it from one task, with the batches in their order.
    pub fn tell(&self, batch: &mut Vec<News>) {
        let mut touched: Vec<Arc<Room>> = Vec::new();
        let mut completions = batch.drain(..);
        let (mut first, mut upto) = (None, None);
        for news in completions.by_ref() {
            match news {
                News::Happened(entry) => self.happened(&entry, &mut touched),
                News::Begins { session, seq, room, title } => self.begins(session, seq, room, title),
                News::Ends { session, room, seq } => self.ends(session, room, seq),
                News::Ignores { session, change, seq } => {
                    if let Some(handle) = self.handle(session) {
                        handle.give(std::iter::once(Notice::Ignores(change, seq)));
                    }
                }
                News::Closed { room, seq } => self.closed(room, seq),
                News::Gone { session, rooms } => rooms.iter().for_each(|room| drop(self.leave(*room, session))),
                News::Dismissed { session, reason } => {
                    if let Some(handle) = self.handle(session) {
                        handle.dismiss(reason);
                    }
                }
                News::Noticed { time, text } => self.give_all(|| Notice::Told(time, Arc::clone(&text))),
                News::Renamed { who } => self.renamed(who),
                News::UpTo { seq } => upto = Some(seq),
                News::Completed { session, completion } if completion.has_place() => {
                    if let Some(handle) = self.handle(session) {
                        handle.give(std::iter::once(Notice::Completed(completion)));
                    }
                }
                News::Completed { session, completion } => {
                    first = Some((session, completion));
                    break;
                }
            }
        }
        wake(&mut touched);
        self.keep_tails_within_limit();
        let completed = |news| match news {
            News::Completed { session, completion } => (session, completion),
            other => unreachable!("invariant: completions without a place come last, and not {other:?}"),
        };
        let mut completions = first.into_iter().chain(completions.map(completed)).peekable();
        // The completions of one session come one after the other.
        while let Some((session, first)) = completions.next() {
            let more =
                std::iter::from_fn(|| completions.next_if(|(next, _)| *next == session)).map(|(_, completion)| completion);
            if let Some(handle) = self.handle(session) {
                handle.give(std::iter::once(first).chain(more).map(Notice::Completed));
            }
        }
        if let Some(seq) = upto {
            self.has_been_told(seq);
        }
    }

    fn has_been_told(&self, seq: Seq) {
        let mut told = self.told();
        told.upto = seq;
        if !told.waiting.is_empty() {
            std::mem::take(&mut told.waiting).values().for_each(|session| session.wake());
        }
    }

    fn happened(&self, entry: &Entry, touched: &mut Vec<Arc<Room>>) {
        if let Some(id) = entry.room
            && let Some(room) = self.rooms().get(&id)
        {
            if room.push(&self.tails.bytes, entry) {
                self.tails.list(room);
            }
            if !touched.last().is_some_and(|last| Arc::ptr_eq(last, room)) {
                touched.push(Arc::clone(room));
            }
        }
    }

    fn begins(&self, session: u64, seq: Seq, id: RoomId, title: Title) {
        let Some(handle) = self.handle(session) else { return };
        let mut rooms = self.rooms();
        let room = Arc::clone(rooms.entry(id).or_insert_with(|| Arc::new(Room::new(id, title, seq))));
        drop(rooms);
        if let Some(subscription) = room.attach(&handle, seq) {
            handle.give(std::iter::once(Notice::Begins(subscription)));
        }
    }

    /// Removes the session from the readers of the room; a room without readers is dropped.
    fn leave(&self, id: RoomId, session: u64) -> Option<(Arc<SessionHandle>, Cursor)> {
        let mut rooms = self.rooms();
        let room = Arc::clone(rooms.get(&id)?);
        let (left, is_empty) = room.detach(session);
        if is_empty {
            rooms.remove(&id);
        }
        left
    }

    fn ends(&self, session: u64, room: RoomId, seq: Seq) {
        if let Some((handle, Cursor { position, .. })) = self.leave(room, session) {
            handle.give(std::iter::once(Notice::Ends(room, Cursor { position, seq })));
        }
    }

    fn closed(&self, id: RoomId, seq: Seq) {
        let Some(room) = self.rooms().remove(&id) else { return };
        let (readers, Cursor { position, .. }) = room.detach_all();
        for handle in readers {
            handle.give(std::iter::once(Notice::Ends(id, Cursor { position, seq })));
        }
    }

    fn renamed(&self, who: Who) {
        if let Some(room) = self.rooms().get(&RoomId::Inbox(who.id)) {
            room.retitle(Title::Inbox(who));
        }
    }
}

fn wake(touched: &mut Vec<Arc<Room>>) {
    // By identity, too: a channel that all had left and one has joined again is another room in the same batch. Not by that
    // alone: where a room lies in memory is chance, and in a simulation that decides nothing.
    touched.sort_unstable_by_key(|room| (room.id, Arc::as_ptr(room)));
    touched.dedup_by_key(|room| Arc::as_ptr(room));
    touched.iter().for_each(|room| room.wake());
}
