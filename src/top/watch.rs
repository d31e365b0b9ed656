//! Looking at all servers, every second and at once. It owns the thread in which this is done; the terminal never waits for a server.

use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::top::figures::Look;
use crate::top::source::Source;

/// From one look to the next.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the terminal has, after a signal, to be left in good order.
const PATIENCE: Duration = Duration::from_millis(500);

/// What one round of looks has found, in the order of the servers: metrics, or why there are none.
pub type Looks = Vec<Result<Look, String>>;

/// What the terminal is told.
pub enum News {
    /// How the servers are.
    Looks(Looks),
    /// A signal has come.
    End,
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("the system gives no threads")
}

async fn look(sources: &[Source]) -> Looks {
    let one = async |source: &Source| match source.read().await {
        Ok(text) => Ok(Look::new(Instant::now(), &text)),
        Err(error) => Err(format!("{error:#}")),
    };
    join_all(sources.iter().map(one)).await
}

/// Two rounds, a second apart: what happens in a second is known then.
pub fn twice(sources: Vec<Source>) -> Result<[Looks; 2]> {
    Ok(runtime()?.block_on(async {
        let first = look(&sources).await;
        sleep(PAUSE).await;
        [first, look(&sources).await]
    }))
}

/// Looks again and again, and tells what it finds, until nobody is there to be told or a signal ends it.
pub fn begin(sources: Vec<Source>, tell: SyncSender<News>) -> Result<()> {
    let runtime = runtime()?;
    let (mut terminate, mut hangup, mut interrupt) = {
        let _entered = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?)
    };
    let work = async move {
        let mut rounds = interval(PAUSE);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let looking = async {
            loop {
                rounds.tick().await;
                if tell.send(News::Looks(look(&sources).await)).is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = looking => return,
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = tell.try_send(News::End);
        sleep(PATIENCE).await;
        // A terminal that is gone is read without end, and nobody hears that it is over.
        let _ = ratatui::try_restore();
        std::process::exit(0);
    };
    std::thread::Builder::new().name("watch".to_owned()).spawn(move || runtime.block_on(work))?;
    Ok(())
}
