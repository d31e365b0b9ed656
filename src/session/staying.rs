//! Staying: a connection that FOLLOWs goes on when its input has ended, for as long as there is something that it follows.
//!
//! It owns the list of what is followed. What is shown is what every member is shown; this must never choose among it.

use std::future::{Future, poll_fn};
use std::task::Poll;

use tokio::time::Instant;

use crate::event::RoomId;
use crate::session::reading::Which;
use crate::session::socket::Gone;
use crate::session::{Ending, Session};

/// What a connection FOLLOWs.
#[derive(Debug, Default)]
pub struct Followed {
    /// The rooms, each once. There are no more than a user can be in, and the inbox.
    rooms: Vec<RoomId>,
    /// Whether the input has ended.
    is_input_over: bool,
}

impl Session {
    /// The connection follows this room from now on: it stays for it, and its reader may pause for longer.
    pub(super) fn follows(&mut self, room: RoomId) {
        let followed = self.followed.get_or_insert_default();
        followed.rooms.retain(|other| *other != room && self.reading.goes_on(*other));
        followed.rooms.push(room);
        self.socket.allow_pauses(self.shared.limits.follower_stalled_seconds);
    }

    /// Whether the connection has outlived its input.
    pub(super) fn is_input_over(&self) -> bool {
        self.followed.as_ref().is_some_and(|followed| followed.is_input_over)
    }

    /// The peer has closed its side, and everything that it sent is executed.
    pub(super) fn input_ends(&mut self) {
        match &mut self.followed {
            Some(followed) => followed.is_input_over = true,
            None => self.ending = Some(Ending::EndOfInput),
        }
    }

    /// Waits for news, where the input is over. Where nothing is followed any more, there is nothing to stay for.
    pub(super) async fn stay(&mut self) -> Result<(), Gone> {
        let rooms = self.followed.iter().flat_map(|followed| &followed.rooms);
        if !rooms.into_iter().any(|room| self.reading.goes_on(*room)) && !self.reading.has_news(Which::Ending) {
            self.ending = Some(Ending::EndOfInput);
            return Ok(());
        }
        self.pause(None).await
    }

    /// Waits for a wake, for room to send, or until then. It takes no input, and so notices only by the connection's failure
    /// that the peer is gone: that a peer closes its side means that it sends nothing more, and may well be reading.
    pub(super) async fn pause(&mut self, until: Option<Instant>) -> Result<(), Gone> {
        self.note_held();
        if self.socket.waiting() == 0 && self.reading.has_news(Which::All) {
            return Ok(());
        }
        self.set_timer([until, self.socket.stall_deadline()]);
        if self.socket.waiting() > 0 {
            return poll_fn(|context| self.poll(context, false)).await;
        }
        let Self { socket, handle, timer, .. } = self;
        let mut failing = socket.transport.gone();
        poll_fn(|context| {
            if let Poll::Ready(error) = failing.as_mut().poll(context) {
                return Poll::Ready(Err(Gone::Failed(error)));
            }
            if handle.poll_woken(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            timer.as_mut().map_or(Poll::Pending, |timer| timer.as_mut().poll(context)).map(Ok)
        })
        .await
    }
}
