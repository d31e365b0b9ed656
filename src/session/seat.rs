//! Who the session is: its user, its seat in the hub, and its cursors in the inbox and the channels.
//!
//! Only the session's task touches it. Dropping it, however the session ends, gives everything back to the hub.

use std::sync::Arc;

use crate::event::{Change, Draft, Event, Guard, Room};
use crate::hub::{Attached, Channel, Cursor, Room as HubRoom, Seat, Seated, Succession};
use crate::names::{UserId, Who};
use crate::session::Shared;

/// A channel that the session reads.
#[derive(Debug)]
pub struct Follow {
    /// The channel.
    pub channel: Arc<Channel>,
    /// Its room, and how far the session has read.
    pub attached: Attached,
}

/// See the module.
pub struct Sitting {
    shared: Arc<Shared>,
    /// How the hub wakes the session.
    pub seat: Arc<Seat>,
    /// What the connection is called: the id that its HELLO gave.
    pub connection: UserId,
    /// The user.
    pub who: Who,
    /// Whether the user is an account.
    pub is_account: bool,
    /// The user's inbox.
    pub inbox: Attached,
    /// The user's channels.
    pub follows: Vec<Follow>,
    /// The room whose news is looked at first: 0 is the inbox.
    pub next_room: usize,
}

impl Sitting {
    pub fn new(shared: Arc<Shared>, Seated { who, seat, inbox }: Seated) -> Self {
        Self { shared, seat, connection: who.id, who, is_account: false, inbox, follows: Vec::new(), next_room: 0 }
    }

    /// The channel of this name, if the session reads it.
    pub fn follow(&self, name: &str) -> Option<&Follow> {
        let exact = self.follows.iter().find(|follow| follow.channel.name.as_str() == name);
        exact.or_else(|| {
            let folded = crate::names::fold(name);
            self.follows.iter().find(|follow| crate::names::fold(follow.channel.name.as_str()) == folded)
        })
    }

    /// Follows the channels that the user has joined, and no longer those that the user has left.
    pub fn reconcile(&mut self) {
        let channels = self.shared.hub.channels_of(self.who.id);
        let is_left = |follow: &mut Follow| {
            // A closed channel is read to its end first.
            !follow.attached.room.is_closed() && !channels.iter().any(|channel| channel.id == follow.channel.id)
        };
        self.follows.extract_if(.., is_left).for_each(|follow| HubRoom::detach(&follow.attached));
        for channel in channels {
            if self.follows.iter().all(|follow| follow.channel.id != channel.id)
                && let Some(membership) = channel.membership(self.who.id)
            {
                self.attach(channel, membership.from);
            }
        }
    }

    /// Follows a channel from `from` on.
    fn attach(&mut self, channel: Arc<Channel>, from: Cursor) {
        let attached = channel.room.attach(Arc::clone(&self.seat), from);
        // Most follow one channel, and there are many thousands of them.
        self.follows.reserve_exact(1);
        self.follows.push(Follow { channel, attached });
    }

    /// Stops following the channel at `index`, and returns it.
    pub fn drop_follow(&mut self, index: usize) -> Arc<Channel> {
        let Follow { channel, attached } = self.follows.remove(index);
        HubRoom::detach(&attached);
        channel
    }

    /// Ends the guest and becomes the account.
    pub fn become_account(&mut self, who: Who) {
        self.stand_up();
        let (inbox, channels) = self.shared.hub.sit_as_account(&self.seat, &who);
        (self.who, self.is_account, self.inbox) = (who, true, inbox);
        for channel in channels {
            let now = self.shared.hub.cursor_now(&channel);
            self.attach(channel, now);
        }
    }

    /// Gives back all but the seat. What accounts come to own by it is made durable.
    fn stand_up(&mut self) {
        HubRoom::detach(&self.inbox);
        self.follows.drain(..).for_each(|follow| HubRoom::detach(&follow.attached));
        let successions = self.shared.hub.depart(&self.seat, &self.who);
        self.shared.make_durable(successions);
    }
}

impl Drop for Sitting {
    fn drop(&mut self) {
        self.stand_up();
        self.shared.hub.stand_up(&self.seat);
    }
}

impl Shared {
    /// Has the journal remember what the hub has passed on by itself.
    pub fn make_durable(self: &Arc<Self>, successions: Vec<Succession>) {
        if successions.is_empty() {
            return;
        }
        let shared = Arc::clone(self);
        let drafts = successions.into_iter().map(|Succession { channel, id, who }| Draft {
            room: Some(Room::Channel(id)),
            event: Event::Channel { channel, who, change: Change::Owner },
            guard: Guard::None,
            origin: None,
        });
        let drafts = drafts.collect();
        self.tracker.spawn(async move {
            if shared.journal.append(drafts).await.is_err() {
                tracing::warn!("a channel's new owner is forgotten at the next start: the journal is closed");
            }
        });
    }
}
