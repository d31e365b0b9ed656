//! What is done once a second: giving back the memory of what has fallen quiet, and ending channels that nobody has.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Change, Draft, Event, Guard};
use crate::limits::NONE;
use crate::session::Shared;

const SECOND: Duration = Duration::from_secs(1);
/// Seconds between two looks at who has not tried a password lately.
const ATTEMPTS: u64 = 60;
/// Looks at a forsaken channel before it ends, unless it ends sooner than in so many seconds.
const LOOKS: u64 = 60;

/// Never ends.
pub async fn run(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(SECOND);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let lasts = shared.limits.empty_channel_seconds;
    let every = (lasts / LOOKS).max(1);
    for second in 0u64.. {
        ticks.tick().await;
        shared.hub.sweep_tails();
        if second % ATTEMPTS == 0 {
            shared.passwords.sweep();
        }
        if lasts != NONE && second % every == 0 {
            end_forsaken(&shared, lasts / every).await;
        }
    }
}

async fn end_forsaken(shared: &Shared, looks: u64) {
    let channels = shared.hub.forsaken_channels(looks);
    let drafts = channels.into_iter().map(|channel| Draft {
        room: Some(channel.room.id),
        event: Event::Channel { channel: channel.name.clone(), who: channel.founder.clone(), change: Change::Closed },
        guard: Guard::None,
        origin: None,
    });
    let drafts: Vec<_> = drafts.collect();
    if !drafts.is_empty() {
        tracing::info!(channels = drafts.len(), "channels end that have neither owner nor member");
        // A closed journal means that the server is ending.
        let _ = shared.journal.append(drafts).await;
    }
}
