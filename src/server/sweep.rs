//! What is done once a second: giving back the memory of what has fallen quiet, and ending channels that nobody has.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;
use crate::event::{Origin, Proposal, Request, SessionId};
use crate::limits::NONE;
use crate::names::Seq;
use crate::server::supervisor::Ended;
use crate::session::Shared;

const SECOND: Duration = Duration::from_secs(1);
/// Seconds between two looks at who has not tried a password lately.
const ATTEMPTS: u64 = 60;
/// Looks at an orphaned channel before it ends, unless it ends sooner than in so many seconds.
const LOOKS: u64 = 60;

/// Never ends, but for an order that is closed.
pub async fn run(shared: Arc<Shared>) -> Ended {
    let mut ticks = tokio::time::interval(SECOND);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let lasts = shared.limits.empty_channel_seconds;
    let every = (lasts / LOOKS).max(1);
    let mut orphaned = HashMap::new();
    for second in 0u64.. {
        ticks.tick().await;
        shared.hub.sweep_tails();
        if second % ATTEMPTS == 0 {
            shared.passwords.sweep();
        }
        if lasts != NONE && second % every == 0 {
            end_orphaned(&shared, &mut orphaned, Duration::from_secs(lasts)).await.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// Proposes the end of the channels that have had neither owner nor members for long enough, by this node's own clock: a clock
/// that is set forward ends nothing early. `seen` are those of the last time, and since when.
async fn end_orphaned(
    shared: &Shared,
    seen: &mut HashMap<(Seq, Seq), Instant>,
    lasts: Duration,
) -> Result<(), crate::order::Closed> {
    let now = clock::now();
    let orphaned = shared.state.read().await.orphaned_channels();
    *seen = orphaned.into_iter().map(|channel| (channel, seen.get(&channel).copied().unwrap_or(now))).collect();
    let node = SessionId { node: shared.node, number: 0 };
    let over = seen.iter().filter(|(_, since)| now.duration_since(**since) >= lasts);
    let proposals: Vec<_> = over
        .map(|(&(channel, since), _)| Proposal {
            origin: Origin { session: node, tag: 0 },
            request: Request::Expire(channel, since),
        })
        .collect();
    if proposals.is_empty() {
        return Ok(());
    }
    tracing::info!(channels = proposals.len(), "channels end that have neither owner nor members");
    shared.order.propose(proposals).await
}
