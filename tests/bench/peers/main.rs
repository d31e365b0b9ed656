//! The same load on other servers: IRC daemons, Redis, NATS and Mosquitto, by the engine of `linechat bench`.
//! `scripts/bench-peers` runs it.
//!
//! `cargo bench --bench peers -- redis fanout 127.0.0.1:6379 --connections 104 --json`

mod floor;
mod irc;
mod jetstream;
mod mqtt;
mod nats;
mod redis;
mod stream_readers;
mod streams;

use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use linechat::bench::Work;
use linechat::bench::dialect::Dialect;
use linechat::bench::report::Report;
use linechat::bench::target::Target;
use linechat::bench::{Options, crowd, load, plan};
use stream_readers::StreamReaders;

#[derive(Debug, Parser)]
struct Arguments {
    /// Whose protocol.
    #[arg(value_enum)]
    peer: Peer,
    #[command(flatten)]
    options: Options,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Peer {
    Irc,
    Redis,
    Streams,
    StreamReaders,
    Nats,
    Jetstream,
    Mqtt,
    Floor,
}

async fn measure<D: Dialect + 'static>(dialect: D, options: &Options) -> Result<Report> {
    let server = &Target::new(&options.server, options.tls_ca.as_deref())?;
    let room = "#bench";
    match options.work {
        Work::Idle => crowd::idle(dialect, server, room, options).await,
        Work::Connect => crowd::connect(&dialect, server, room, options).await,
        Work::Fanout | Work::Direct => Ok(Report::of_load(
            options,
            &load::run(dialect, server, room, plan::<D>(options)?, load::Watched::of(options)).await?,
        )),
    }
}

fn main() -> Result<()> {
    let Arguments { peer, options, bench: _ } = Arguments::parse();
    rlimit::increase_nofile_limit(u64::MAX)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let limit = Duration::from_secs_f64(options.seconds + options.warm_up + 180.0);
        tokio::time::timeout(limit, async {
            match peer {
                Peer::Irc => measure(irc::Irc { joins: options.work != Work::Direct }, &options).await,
                Peer::Redis => measure(redis::Redis, &options).await,
                Peer::Streams => measure(streams::Streams, &options).await,
                Peer::StreamReaders => {
                    let senders = plan::<StreamReaders>(&options)?.senders;
                    measure(StreamReaders { senders }, &options).await
                }
                Peer::Nats => measure(nats::Nats, &options).await,
                Peer::Jetstream => measure(jetstream::JetStream, &options).await,
                Peer::Mqtt => measure(mqtt::Mqtt, &options).await,
                Peer::Floor => measure(floor::Floor, &options).await,
            }
        })
        .await?
    })?;
    println!("{}", if options.json { report.json().to_string() } else { report.table() });
    Ok(())
}
