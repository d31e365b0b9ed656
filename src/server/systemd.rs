//! What systemd is told of a server that it runs (`Type=notify`), and the watchdog: whether the server can do its work is tried, and not
//! only whether it is there.
//!
//! It owns nothing. Where there is no systemd it does nothing, and it must never fail a server because systemd does not hear.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::event::Request;
use crate::server::decided::decided;
use crate::server::supervisor::Ended;
use crate::session::Shared;

/// The server serves, as this sentence says; or serves again, with what it has read.
pub fn serving(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The server reads its configuration again; [`serving`] ends it.
pub fn reloading() {
    // systemd tells by the time whether this answers its latest wish.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now, NotifyState::Status("reads its configuration again")]),
        Err(error) => tracing::warn!(%error, "systemd is not told of the reload"),
    }
}

/// The server ends, because it was told to.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stops: everybody is told, and answered first")]);
}

/// The server ends, because something in it has failed.
pub fn failed(reason: &str) {
    tell(&[NotifyState::Status(reason)]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd does not hear");
    }
}

/// How often systemd wants to hear that the server works, if it does.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero())
}

/// Tries twice in each interval whether the server works, and tells systemd if it does. If it does not, systemd starts another one.
pub(super) async fn watch(shared: Arc<Shared>, interval: Duration) -> Ended {
    let mut ticks = tokio::time::interval(interval / 2);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Two words are never further apart than half an interval and this.
        match tokio::time::timeout(interval / 3, works(&shared)).await {
            Ok(true) => tell(&[NotifyState::Watchdog]),
            _ => tracing::error!("nothing can be decided or read; if that lasts, systemd starts this server again"),
        }
    }
}

/// Whether proposals are taken, decided and answered, and the state can be read.
async fn works(shared: &Shared) -> bool {
    // What is over anyway: nothing comes of it, most times. In a cluster the order may wait for brokers, and no restart brings them back.
    if shared.membership.is_none() && decided(shared, Request::Lapse).await.is_err() {
        return false;
    }
    drop(shared.state.read().await);
    true
}
