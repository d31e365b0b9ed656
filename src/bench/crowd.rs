//! Loads that say nothing: connections that are only there, and connections that come and go.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::bench::Options;
use crate::bench::dialect::{Dialect, Seen};
use crate::bench::process::Process;
use crate::bench::report::Report;

/// How long one connection may take to enter.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time for a server to give back what connecting took.
const REST: Duration = Duration::from_secs(4);

/// A connection that has entered; `me` is its number.
async fn enter<D: Dialect>(dialect: &D, server: &str, me: usize, lines: &str) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(server).await.with_context(|| format!("connection {me} to {server}"))?;
    stream.set_nodelay(true)?;
    // A small buffer: there may be many thousand of these.
    let mut stream = BufReader::with_capacity(256, stream);
    stream.write_all(lines.as_bytes()).await?;
    read_until_entered(dialect, &mut stream, me).await?;
    Ok(stream)
}

async fn read_until_entered<D: Dialect>(dialect: &D, stream: &mut BufReader<TcpStream>, me: usize) -> Result<()> {
    let entered = async {
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                bail!("connection {me} was closed by the server");
            }
            match dialect.read(line.trim_end()) {
                Seen::Entered => return Ok(()),
                Seen::Refused(why) => bail!("connection {me} was refused: {why}"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, entered).await.with_context(|| format!("connection {me} did not enter in a minute"))?
}

/// Holds connections in one room, and measures what each costs the server.
///
/// # Errors
/// When a connection fails.
pub async fn idle<D: Dialect>(
    dialect: &D,
    server: &str,
    room: &str,
    options: &Options,
    process: Option<Process>,
) -> Result<Report> {
    let first = enter(dialect, server, 0, &dialect.create(room)).await?;
    let before = process.map(Process::usage).transpose()?;
    let (mut held, began) = (vec![first], Instant::now());
    for me in 1..=options.connections {
        held.push(enter(dialect, server, me, &dialect.enter(me, Some(room))).await?);
    }
    let entered = began.elapsed();
    tokio::time::sleep(REST).await;
    let quiet = process.map(Process::usage).transpose()?;
    tokio::time::sleep(Duration::from_secs_f64(options.seconds)).await;
    let after = process.map(Process::usage).transpose()?;
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
pub async fn connect<D: Dialect>(
    dialect: &D,
    server: &str,
    room: &str,
    options: &Options,
    process: Option<Process>,
) -> Result<Report> {
    let keeper = enter(dialect, server, 0, &dialect.create(room)).await?;
    let before = process.map(Process::usage).transpose()?;
    let (began, time) = (Instant::now(), Duration::from_secs_f64(options.seconds));
    let numbers = std::cell::Cell::new(0);
    let visit = || async {
        let mut visits = 0u64;
        while began.elapsed() < time {
            numbers.set(numbers.get() + 1);
            let me = numbers.get();
            let mut stream =
                enter(dialect, server, me, &format!("{}{}", dialect.enter(me, Some(room)), dialect.leave())).await?;
            let mut line = String::new();
            while stream.read_line(&mut line).await? > 0 {
                line.clear();
            }
            visits += 1;
        }
        Ok::<_, anyhow::Error>(visits)
    };
    let visits: u64 = try_join_all((0..options.connections).map(|_| visit())).await?.into_iter().sum();
    let (seconds, after) = (began.elapsed().as_secs_f64(), process.map(Process::usage).transpose()?);
    drop(keeper);
    let mut report = Report::new(options);
    report.add("visits", visits as f64, "");
    report.add("visits a second", visits as f64 / seconds, "1/s");
    if let (Some(before), Some(after)) = (before, after) {
        report.add("processor each", after.since(&before).cpu_seconds / visits as f64 * 1e6, "µs");
    }
    Ok(report)
}
