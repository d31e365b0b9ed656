//! From cursors to bytes: sends what has happened in the session's rooms, at the speed of its own socket.
//!
//! A cursor near the end of a room is served from the room's tail; further back, from the store, a page at a time. Nothing is
//! queued for a session meanwhile, and it holds at most one gathering of lines.

use crate::event::{Mark, RoomId};
use crate::hub::{Ears, Subscription};
use crate::limits::{FOLLOW_BYTES, READ_ENTRIES};
use crate::names::Seq;
use crate::session::Session;
use crate::session::reading::{Behind, Which};
use crate::session::socket::Gone;
use crate::store::{Page, Query, Start, What};
use crate::wire::reply;

/// How many gatherings are sent before the session looks at its input again.
const ROUNDS: usize = 16;

impl Session {
    /// Sends news of these rooms until there is no more, the peer takes no more, or it is somebody else's turn.
    pub(super) async fn follow(&mut self, which: Which) -> Result<(), Gone> {
        for _ in 0..ROUNDS {
            if self.socket.is_blocked() || self.socket.waiting() > FOLLOW_BYTES || !self.reading.has_news(which) {
                self.socket.send()?;
                if self.socket.waiting() > 0 || !self.reading.has_news(which) {
                    break;
                }
            }
            let (reading, connection, handle) = (&mut self.reading, self.connection, &self.handle);
            let behind = self.socket.send_gathered(|buffer| reading.gather(which, connection, handle, buffer))?;
            if let Some(behind) = behind {
                Box::pin(self.catch_up(behind)).await?;
            }
            self.reading.drop_ended();
        }
        Ok(())
    }

    /// Sends everything that has happened until now: the answer to PING comes after it.
    pub(super) async fn follow_to_now(&mut self) -> Result<(), Gone> {
        let committed = self.shared.state.read().await.seq();
        while !self.shared.hub.has_told_or_wakes(committed, &self.handle) {
            self.woken().await?;
        }
        self.take_notices()?;
        let ends = self.reading.ends();
        while self.reading.is_before(&ends) {
            self.follow(Which::All).await?;
            self.flush().await?;
            tokio::task::coop::consume_budget().await;
            // Meanwhile the reading of a room may have ended, which is where it is read to.
            self.take_notices()?;
        }
        Ok(())
    }

    /// Sends the rest of the rooms that the session has stopped reading: after the answer to LEAVE, say, nothing of the room is
    /// shown.
    pub(super) async fn follow_to_ends(&mut self) -> Result<(), Gone> {
        self.reading.drop_ended();
        while self.reading.has_news(Which::Ending) {
            self.follow(Which::Ending).await?;
            self.flush().await?;
            tokio::task::coop::consume_budget().await;
        }
        Ok(())
    }

    /// Sends one page from the store to a reader who is behind the tail.
    async fn catch_up(&mut self, Behind { index, floor, lost }: Behind) -> Result<(), Gone> {
        self.flush().await?;
        let (subscription, _) = self.reading.room(index, self.connection);
        let (room, after) = (subscription.room.id, subscription.cursor.seq);
        let query = Query { room, start: Start::After(after), count: READ_ENTRIES, what: What::Everything };
        self.shared.metrics.catch_up_reads.add(1);
        let page = self.shared.page(query).await.map_err(|error| Gone::Store(error.to_string()))?;
        let (subscription, ears) = self.reading.room(index, self.connection);
        let metrics = &self.shared.metrics;
        self.socket.write(|out| {
            let from = out.len();
            write_page(out, subscription, page, floor, lost, ears);
            metrics.delivered(&out[from..]);
        });
        Ok(())
    }
}

/// Appends the lines of a page of a room, all that its reader hears, and moves the cursor on.
fn write_page(out: &mut Vec<u8>, subscription: &mut Subscription, mut page: Page, floor: Seq, lost: Seq, ears: Ears<'_>) {
    let title = subscription.room.title();
    let to = title.to();
    // Entries after the floor are in memory, with the ephemeral ones between them.
    let goal = subscription.end.map_or(floor, |end| floor.min(end.seq));
    let read = page.count();
    page.entries.retain(|entry| entry.seq <= goal);
    page.damaged.retain(|seq| *seq <= goal);
    if let Some((first, last)) = page.gap.filter(|(first, _)| *first <= goal) {
        reply::gap(out, Mark::Event, to, first, last.min(goal));
    }
    for entry in page.in_order() {
        match entry {
            Ok(entry) if !ears.hear(entry) => {}
            Ok(entry) => entry.event.write_line(out, Mark::Event, entry.seq, entry.time, to),
            Err(damaged) => reply::gap(out, Mark::Event, to, damaged, damaged),
        }
    }
    let since = *subscription.behind_since.get_or_insert(subscription.cursor.seq);
    let is_whole = page.count() < read || page.remaining == 0;
    if let Some(last) = page.last().filter(|last| !is_whole && *last < goal) {
        subscription.cursor.seq = last;
        return;
    }
    if lost > since && matches!(subscription.room.id, RoomId::Channel(_)) {
        reply::missed(out, to, Seq(since.0 + 1), goal);
    }
    subscription.behind_since = None;
    subscription.cursor.seq = subscription.cursor.seq.max(goal);
    if let Some(end) = subscription.end.filter(|end| subscription.cursor.seq >= end.seq) {
        subscription.cursor = end;
    }
}
