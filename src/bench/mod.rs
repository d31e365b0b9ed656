//! `linechat bench`: load for a running server. It checks what it receives: a message that is lost, doubled or out of order
//! fails the run. While it measures it takes a core for itself. It uses nothing of the server.

pub mod connection;
pub mod crowd;
pub mod dialect;
pub mod flight;
pub mod load;
pub mod process;
pub mod report;
pub mod target;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use dialect::{Dialect, Linechat};
use load::{Pattern, Plan, Rhythm, Watched};
use report::Report;
use target::Target;

/// What has become of all that was sent.
const TIDIED: &str =
    "tidied up: the guests have gone and the channel is closed; within ten minutes the journal gives up what they said";

/// What to do to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Work {
    /// Everybody in one channel, some of them send.
    Fanout,
    /// Users in pairs who write to each other.
    Direct,
    /// Connections in one channel that say nothing.
    Idle,
    /// Connect, HELLO, JOIN, QUIT, again and again.
    Connect,
}

/// How to load it.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// What to do to the server.
    #[arg(value_enum)]
    pub work: Work,
    /// The server, or more of one cluster with commas between, which take turns; start it with '--limit NAME=none' for commands-per-second, commands-per-address, stored-per-address and
    /// connections-per-address.
    #[arg(value_name = "HOST:PORT", default_value = "127.0.0.1:12000")]
    pub server: String,
    /// Speaks TLS to the server, and trusts only the certificate in this file.
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Connections.
    #[arg(long, default_value_t = 100)]
    pub connections: usize,
    /// Connections that send, for fanout.
    #[arg(long, default_value_t = 4)]
    pub senders: usize,
    /// Messages in flight of all senders together (closed loop).
    #[arg(long, default_value_t = 64, conflicts_with = "rate")]
    pub in_flight: usize,
    /// Messages a second of all senders together (open loop); latencies count from when a message was due.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Bytes of a message.
    #[arg(long, default_value_t = 64)]
    pub size: usize,
    /// Seconds to measure.
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Seconds to run before.
    #[arg(long, default_value_t = 1.0)]
    pub warm_up: f64,
    /// The server's process, or several with commas between, to show their processor time and memory.
    #[arg(long, value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Other processes at work, such as the brokers of a cluster, to show their processor time.
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub beside: Vec<u32>,
    /// Prints JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Loads the server and prints what was measured.
///
/// # Errors
/// When the load could not be run, or what was received was not what was sent.
pub fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("the system gives no runtime")?;
    let report = runtime.block_on(async {
        let progress = report::progress(options);
        let report = measure(options).await;
        progress.finish_and_clear();
        report
    })?;
    let text = if options.json { report.json().to_string() } else { format!("{}\n{TIDIED}", report.table()) };
    let mut output = io::stdout();
    writeln!(output, "{text}").and_then(|()| output.flush()).context("the output could not be written")
}

/// What a message may have at most, wherever it goes.
const TEXT_BYTES: usize = 3600;

async fn measure(options: &Options) -> Result<Report> {
    anyhow::ensure!(options.size <= TEXT_BYTES, "--size must be {TEXT_BYTES} or less, which is what a message may have");
    // Different for each run, so that names and channels of an earlier one are not in the way.
    let run = format!("{:x}", std::process::id());
    let room = format!("#bench-{run}");
    let dialect = Linechat { run };
    let server = &Target::new(&options.server, options.tls_ca.as_deref())?;
    match options.work {
        Work::Idle => crowd::idle(dialect, server, &room, options).await,
        Work::Connect => crowd::connect(&dialect, server, &room, options).await,
        Work::Fanout | Work::Direct => {
            let measured = load::run(dialect, server, &room, plan::<Linechat>(options)?, Watched::of(options)).await?;
            Ok(Report::of_load(options, &measured))
        }
    }
}

/// The plan of a load with these options, by the rules of a protocol.
///
/// # Errors
/// When the numbers do not fit together; says which.
pub fn plan<D: Dialect>(options: &Options) -> Result<Plan> {
    let Options { connections, in_flight, rate, size, .. } = *options;
    let (pattern, senders) = match options.work {
        Work::Direct if D::SENDERS_LISTEN => (Pattern::Pairs, connections),
        Work::Direct => (Pattern::Pairs, connections / 2),
        _ => (Pattern::Fanout, options.senders),
    };
    anyhow::ensure!(connections >= 2, "--connections must be 2 or more");
    anyhow::ensure!(options.work != Work::Direct || connections % 2 == 0, "--connections must be even for direct");
    anyhow::ensure!((1..=connections).contains(&senders), "--senders must be 1 to --connections");
    let rhythm = match rate {
        Some(rate) => Rhythm::Open(rate / senders as f64),
        None => Rhythm::Closed((in_flight / senders).max(1)),
    };
    let (time, warm_up) = (Duration::from_secs_f64(options.seconds), Duration::from_secs_f64(options.warm_up));
    Ok(Plan { connections, senders, pattern, rhythm, size, time, warm_up })
}
