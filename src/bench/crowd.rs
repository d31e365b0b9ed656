//! Loads that say nothing: connections that are only there, and connections that come and go.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::try_join_all;
use tokio::task::LocalSet;

use crate::bench::Options;
use crate::bench::connection::Connection;
use crate::bench::dialect::Dialect;
use crate::bench::load::{Pattern, Plan, Rhythm, Run, TIDYING};
use crate::bench::process::Processes;
use crate::bench::report::Report;
use crate::bench::target::Target;

/// Time for a server to give back what connecting took.
const REST: Duration = Duration::from_secs(4);

/// Holds connections in one room, and measures what each costs the server.
///
/// # Errors
/// When a connection fails.
pub async fn idle<D: Dialect + 'static>(dialect: D, server: &Target, room: &str, options: &Options) -> Result<Report> {
    let processes = Processes(options.pid.clone());
    // The first makes the room and is not counted.
    let plan = Plan {
        connections: options.connections + 1,
        senders: 0,
        pattern: Pattern::Fanout,
        rhythm: Rhythm::Closed(0),
        size: 0,
        time: Duration::ZERO,
        warm_up: Duration::ZERO,
    };
    let run = Run::new(dialect, room, plan, &[]);
    let hold = async {
        let first = Rc::clone(&run).enter_first(server).await?;
        let (before, began) = (processes.usage()?, Instant::now());
        let _held = Rc::clone(&run).enter_others(server).await?;
        let entered = began.elapsed();
        tokio::time::sleep(REST).await;
        let quiet = processes.usage()?;
        tokio::time::sleep(Duration::from_secs_f64(options.seconds)).await;
        let after = processes.usage()?;
        run.check()?;
        run.tidy(&first).await;
        Ok::<_, anyhow::Error>((entered, before, quiet, after))
    };
    let (entered, before, quiet, after) = LocalSet::new().run_until(hold).await?;
    let mut report = Report::new(options);
    report.add("connections", options.connections as f64, "");
    report.add("entered", options.connections as f64 / entered.as_secs_f64(), "1/s");
    if let (Some(before), Some(quiet), Some(after)) = (before, quiet, after) {
        let grown = after.rss_kib.saturating_sub(before.rss_kib) as f64;
        report.add("memory each", grown / options.connections as f64, "KiB");
        report.add("memory", after.rss_kib as f64 / 1024.0, "MiB");
        report.add("processor while idle", after.since(&quiet).cpu_seconds / options.seconds * 100.0, "%");
    }
    Ok(report)
}

/// Connects, enters the room and leaves, one after the other, some at a time.
///
/// # Errors
/// When a connection fails.
pub async fn connect<D: Dialect>(dialect: &D, server: &Target, room: &str, options: &Options) -> Result<Report> {
    let processes = Processes(options.pid.clone());
    let keeper = Connection::enter(dialect, server, 0, &dialect.create(room)).await?;
    server.settle().await;
    let before = processes.usage()?;
    let (began, time) = (Instant::now(), Duration::from_secs_f64(options.seconds));
    let numbers = std::cell::Cell::new(0);
    let visit = || async {
        let mut visits = 0u64;
        while began.elapsed() < time {
            numbers.set(numbers.get() + 1);
            let me = numbers.get();
            let connection = Connection::enter(dialect, server, me, &dialect.visit(me, room)).await?;
            while connection.read(dialect, |_| {}).await? {}
            visits += 1;
        }
        Ok::<_, anyhow::Error>(visits)
    };
    let visits: u64 = try_join_all((0..options.connections).map(|_| visit())).await?.into_iter().sum();
    let (seconds, after) = (began.elapsed().as_secs_f64(), processes.usage()?);
    keeper.write(&dialect.end(room)).await?;
    let ended = async { while keeper.read(dialect, |_| {}).await.unwrap_or(false) {} };
    let _ = tokio::time::timeout(TIDYING, ended).await;
    let mut report = Report::new(options);
    report.add("visits", visits as f64, "");
    report.add("visits a second", visits as f64 / seconds, "1/s");
    if let (Some(before), Some(after)) = (before, after) {
        report.add("processor each", after.since(&before).cpu_seconds / visits as f64 * 1e6, "µs");
    }
    Ok(report)
}
