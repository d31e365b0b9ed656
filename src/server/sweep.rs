//! The work of every second: giving back the memory of quiet rooms, shedding load, ending orphaned channels, and announcing and
//! noting who is here for long.
//!
//! It owns what it has seen from one second to the next. It must never decide: what is over is proposed, and decided in the
//! order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;
use crate::event::{Proposal, Request};
use crate::limits::{IN_FLIGHT, LIST_LINES, NONE};
use crate::names::Seq;
use crate::server::shedding;
use crate::server::supervisor::Ended;
use crate::session::Shared;

const SECOND: Duration = Duration::from_secs(1);
/// Seconds between two sweeps of the budgets.
const BUDGETS: u64 = 60;
/// Seconds between two looks for accounts that have been here for long.
const NOTING: u64 = 600;
/// How many times an orphaned channel is looked at before it ends; fewer if it ends within that many seconds.
const LOOKS: u64 = 60;

/// Runs until the order is closed.
pub async fn run(shared: Arc<Shared>) -> Ended {
    let mut ticks = tokio::time::interval(SECOND);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let lasts = shared.limits.empty_channel_seconds;
    let every = (lasts / LOOKS).max(1);
    let mut orphaned = HashMap::new();
    for second in 0u64.. {
        ticks.tick().await;
        shared.hub.sweep_tails();
        shedding::shed(&shared).await;
        if second % BUDGETS == 0 {
            shared.passwords.sweep();
            shared.budgets.sweep();
        }
        if second % NOTING == 0 {
            note_accounts(&shared).await.map_err(|error| error.to_string())?;
            succeed_absent(&shared).await.map_err(|error| error.to_string())?;
        }
        if lasts != NONE && second % every == 0 {
            end_orphaned(&shared, &mut orphaned, Duration::from_secs(lasts)).await.map_err(|error| error.to_string())?;
        }
        end_lapsed(&shared).await.map_err(|error| error.to_string())?;
        announce(&shared).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Proposes the end of connections whose tokens have expired. Whether they have is decided by the order's time.
async fn end_lapsed(shared: &Shared) -> Result<(), crate::order::Closed> {
    let node = shared.lives.newest().node;
    let lapsed = shared.state.read().await.lapsed(shared.clock.time());
    if !lapsed.iter().any(|session| session.node == node) {
        return Ok(());
    }
    shared.order.propose(vec![Proposal::of_node(node, Request::Lapse)]).await
}

/// Proposes to announce the accounts that have been here for a while. Whether they have is decided by the order's time.
async fn announce(shared: &Shared) -> Result<(), crate::order::Closed> {
    let node = shared.lives.newest().node;
    let due = shared.state.read().await.to_be_announced(node, shared.clock.time(), &shared.limits, IN_FLIGHT);
    if due.is_empty() {
        return Ok(());
    }
    shared.order.propose(due.into_iter().map(|session| Proposal::of_node(node, Request::Announce(session))).collect()).await
}

/// Proposes to note that accounts are here which have been for long, or of which nothing is noted yet. It looks at a few at a time,
/// so that nobody waits long for the state.
async fn note_accounts(shared: &Shared) -> Result<(), crate::order::Closed> {
    let node = shared.lives.newest().node;
    let (now, mut after) = (shared.clock.time(), None);
    loop {
        let (accounts, until) = shared.state.read().await.to_be_noted(after, now, LIST_LINES);
        let see = |account| Proposal::of_node(node, Request::See(account));
        if !accounts.is_empty() {
            shared.order.propose(accounts.into_iter().map(see).collect()).await?;
        }
        match until {
            Some(_) => after = until,
            None => return Ok(()),
        }
    }
}

/// Proposes to give channels to others whose owners have been away for long, a few at a time, too.
async fn succeed_absent(shared: &Shared) -> Result<(), crate::order::Closed> {
    let node = shared.lives.newest().node;
    let (now, days, mut after) = (shared.clock.time(), shared.limits.owner_away_days, Seq(0));
    loop {
        let (absent, until) = shared.state.read().await.absent_owners(after, now, days, LIST_LINES);
        let succeed = |(channel, owner)| Proposal::of_node(node, Request::Succeed(channel, owner));
        if !absent.is_empty() {
            shared.order.propose(absent.into_iter().map(succeed).collect()).await?;
        }
        let Some(until) = until else { return Ok(()) };
        after = until;
    }
}

/// Proposes the end of channels that have been orphaned for long enough. Time is measured from when this node first saw them
/// so, and not by the time of day: setting the clock forward ends nothing early. `seen` has the orphaned channels of the last
/// call, and since when.
async fn end_orphaned(
    shared: &Shared,
    seen: &mut HashMap<(Seq, Seq), Instant>,
    lasts: Duration,
) -> Result<(), crate::order::Closed> {
    let now = clock::now();
    let orphaned = shared.state.read().await.orphaned_channels();
    *seen = orphaned.into_iter().map(|channel| (channel, seen.get(&channel).copied().unwrap_or(now))).collect();
    let node = shared.lives.newest().node;
    // Whatever there is more of is over at the next look, too.
    let over = seen.iter().filter(|(_, since)| now.duration_since(**since) >= lasts).take(IN_FLIGHT);
    let expire = |(channel, since)| Proposal::of_node(node, Request::Expire(channel, since));
    let proposals: Vec<_> = over.map(|(channel, _)| expire(*channel)).collect();
    if proposals.is_empty() {
        return Ok(());
    }
    tracing::debug!(channels = proposals.len(), "channels that have neither owner nor members are to end");
    shared.order.propose(proposals).await
}
