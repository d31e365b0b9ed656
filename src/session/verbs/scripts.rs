//! WAIT, FOLLOW and FORMAT: what a script asks for that is to stay short.
//!
//! The first two read what every reader reads, and choose nothing. WAIT finds its answer in the store, and beside it what happens is
//! shown as always: the one is what was asked for, the other what has happened.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::code::{Code, Refusal};
use crate::event::proposal::Key;
use crate::event::{Entry, Mark, Request, RoomId};
use crate::hub::{Room, Title};
use crate::limits::{READ_ENTRIES, WAIT_SECONDS, WAIT_SECONDS_MAX};
use crate::names::{Name, Seq};
use crate::session::Session;
use crate::session::reading::Which;
use crate::session::verbs::Said;
use crate::session::verbs::channels::MEMBERSHIP_BYTES;
use crate::session::verbs::heard::{Heard, Passed};
use crate::store::Start;
use crate::wire::{Place, reply};

/// What comes next in a room: a message, or these seqs of messages that can no longer be had.
enum Next {
    Message(Box<Entry>),
    Gap(Seq, Seq),
}

/// The rooms that are waited for, with where each of them ended when it was looked at.
type Ends = Vec<(Arc<Room>, u64)>;

impl Next {
    /// Up to where somebody has read who has read this.
    fn seq(&self) -> Seq {
        match self {
            Self::Message(entry) => entry.seq,
            Self::Gap(_, last) => *last,
        }
    }
}

fn is_same(one: &Ends, other: &Ends) -> bool {
    let mut both = one.iter().zip(other);
    one.len() == other.len() && both.all(|((room, end), (same, until))| Arc::ptr_eq(room, same) && end == until)
}

impl Session {
    /// Shows one message of the place, or of any that the connection reads: the first after `since`, or the first that comes.
    pub(super) async fn wait_for(&mut self, place: Option<Place<'_>>, since: Option<Seq>, seconds: Option<u64>) -> Said {
        let seconds = seconds.unwrap_or(WAIT_SECONDS);
        if !(1..=WAIT_SECONDS_MAX).contains(&seconds) {
            let text = format!("nobody waits for {seconds} seconds; give 1 to {WAIT_SECONDS_MAX}");
            return Ok(Err(Refusal::new(Code::BadSyntax, text)));
        }
        let until = clock::now() + Duration::from_secs(seconds);
        let now = self.shared.state.read().await.seq();
        let only = match self.room_of(place).await {
            Ok(only) => only,
            Err(refusal) => return Ok(Err(refusal)),
        };
        // Whoever has just become a member reads from then on when this is known here.
        self.follow_to_now().await?;
        let (after, mut looked) = (since.unwrap_or(now), None);
        loop {
            self.take_notices()?;
            let ends = self.reading.live_ends(only);
            if ends.is_empty() {
                let text = "the channel was left, or has ended, while you waited; nothing had come";
                let refusal = self.room_of(place).await.err();
                return Ok(Err(refusal.unwrap_or_else(|| Refusal::new(Code::NotMember, text))));
            }
            // What comes while this looks moves an end, and is looked for then.
            if !looked.as_ref().is_some_and(|looked| is_same(looked, &ends)) {
                match self.first_of(&ends, after).await {
                    Ok(Some((room, next))) => return self.answer_wait(&room, next).await,
                    Ok(None) => looked = Some(ends),
                    Err(refusal) => return Ok(Err(refusal)),
                }
            }
            if let Some(refusal) = self.why_to_stop_waiting() {
                return Ok(Err(refusal));
            }
            if clock::now() >= until {
                return Ok(Err(Refusal::new(Code::Timeout, format!("nothing came within {seconds} seconds"))));
            }
            self.follow(Which::All).await?;
            self.pause(Some(until)).await?;
            tokio::task::coop::consume_budget().await;
        }
    }

    fn why_to_stop_waiting(&self) -> Option<Refusal> {
        if self.shared.stopping.is_cancelled() {
            return Some(Refusal::new(Code::ShuttingDown, "the server is stopping; nothing had come"));
        }
        self.life
            .is_over()
            .then(|| Refusal::new(Code::Unavailable, "this server was cut off from the others; nothing had come"))
    }

    /// The room of a place, if the user may read it; `None` for all rooms.
    async fn room_of(&self, place: Option<Place<'_>>) -> Result<Option<RoomId>, Refusal> {
        Ok(match place {
            None => None,
            Some(Place::Inbox) => Some(RoomId::Inbox(self.who.id)),
            Some(Place::Channel(name)) => Some(RoomId::Channel(self.shared.state.read().await.may_read(self.who.id, name)?)),
        })
    }

    /// Everything that happened before is shown before the answer, as before that of PING.
    async fn answer_wait(&mut self, room: &Room, next: Next) -> Said {
        self.follow_to_now().await?;
        if !self.reading.goes_on(room.id) {
            let text = "you are not in the channel any more; JOIN it again";
            return Ok(Err(Refusal::new(Code::NotMember, text)));
        }
        let (title, seq) = (room.title(), next.seq());
        self.socket.write(|out| match next {
            Next::Message(entry) => entry.event.write_line(out, Mark::Data, entry.seq, entry.time, title.to()),
            Next::Gap(first, last) => reply::gap(out, Mark::Data, title.to(), first, last),
        });
        Ok(Ok(seq.to_string()))
    }

    /// The first of what comes after this entry in the rooms. The order is one for all rooms: whoever goes on after what is
    /// found here misses nothing in another of them.
    async fn first_of(&mut self, rooms: &Ends, after: Seq) -> Result<Option<(Arc<Room>, Next)>, Refusal> {
        loop {
            // All rooms are read up to here at least.
            let upto = self.shared.state.read().await.seq();
            let mut first: Option<(Arc<Room>, Next)> = None;
            for (room, _) in rooms {
                let next = self.next_in(room.id, after).await?;
                let is_first = |next: &Next| first.as_ref().is_none_or(|(_, first)| next.seq() < first.seq());
                if let Some(next) = next.filter(is_first) {
                    first = Some((Arc::clone(room), next));
                }
            }
            match first {
                Some((_, next)) if next.seq() > upto && rooms.len() > 1 => {}
                first => return Ok(first),
            }
        }
    }

    /// What comes after this entry in a room, of what its reader may hear, and beside what this connection has said itself.
    async fn next_in(&mut self, room: RoomId, mut after: Seq) -> Result<Option<Next>, Refusal> {
        let (mut count, mut passed) = (1, Passed::default());
        loop {
            let Heard { page, until } = self.hear(room, Start::After(after), count, &mut passed).await?;
            if let Some((first, last)) = page.gap {
                return Ok(Some(Next::Gap(first, last)));
            }
            let is_own = |entry: &Entry| entry.via == Some(self.connection);
            let next = page.in_order().find(|entry| !entry.is_ok_and(is_own));
            match (next, until) {
                (Some(Ok(entry)), _) => return Ok(Some(Next::Message(Box::new(entry.clone())))),
                (Some(Err(damaged)), _) => return Ok(Some(Next::Gap(damaged, damaged))),
                (None, Some(until)) if page.remaining > 0 => match passed.gap(until) {
                    Some((first, last)) => return Ok(Some(Next::Gap(first, last))),
                    None => after = until,
                },
                (None, _) => return Ok(None),
            }
            count = READ_ENTRIES;
        }
    }

    /// Stays for a room, which a stranger joins, and shows what came after `since` as if it happened now.
    pub(super) async fn follow_on(&mut self, place: Place<'_>, since: Option<Seq>) -> Said {
        let mut found = self.room_of(Some(place)).await;
        if let (Err(Refusal { code: Code::NotMember, .. }), Place::Channel(name)) = (&found, place) {
            if let Err(refusal) = self.ask_paid(Request::Join(Name::new(name), Key::Missing), MEMBERSHIP_BYTES).await? {
                return Ok(Err(refusal));
            }
            found = self.room_of(Some(place)).await;
        }
        let room = match found {
            Ok(room) => room.expect("invariant: a place is one room"),
            Err(refusal) => return Ok(Err(refusal)),
        };
        if !self.reading.goes_on(room) {
            // Another connection of the account has just joined: nothing is shown of the channel before this is known here.
            self.follow_to_now().await?;
        }
        self.follows(room);
        if let Some(since) = since {
            self.reading.go_back(room, since);
        }
        let name = self.reading.live_ends(Some(room)).first().map(|(room, _)| room.title());
        Ok(Ok(match name {
            Some(Title::Channel(name)) => format!("#{name}"),
            _ => place.to_string(),
        }))
    }

    /// From its own OK on, lines are shown in this format.
    pub(super) fn format(&mut self, json: bool) -> Said {
        self.socket.json = json;
        Ok(Ok(if json { "json" } else { "text" }.to_owned()))
    }
}
