//! The binary: arguments, the log, exit codes. 2 for a command line that cannot be read, 1 for anything else that failed; those of
//! the menu client are its own.

use std::io::{IsTerminal, Write};
use std::num::NonZero;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use linechat::bench;
use linechat::cli::{Cli, Command, LogFormat, Menu, Serve, describe, greeting, set_limits};
use linechat::menu::{self, Outcome};
use linechat::server::Server;

/// 15 % more deliveries a second than with the system's. Without huge pages, which cost a quarter more memory for each
/// silent connection.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Cli { command, serve: bare } = Cli::parse();
    let result = match command {
        None => serve(&bare),
        Some(Command::Serve(arguments)) => serve(&arguments),
        Some(Command::Bench(options)) => bench(&options),
        Some(Command::Menu(arguments)) => return menu(arguments),
        Some(Command::Limits { limits }) => set_limits(&limits).map(|limits| print(&describe(&limits))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn bench(options: &bench::Options) -> Result<()> {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    bench::run(options)
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("linechat: {error:#}");
    ExitCode::FAILURE
}

fn menu(Menu { server, name, login, show_protocol, commands }: Menu) -> ExitCode {
    match menu::run(&menu::Options { server, name, login, show_protocol, commands }) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Refused) => ExitCode::from(1),
        Ok(Outcome::Disconnected) => ExitCode::from(2),
        Err(error) => failed(&error),
    }
}

/// Prints for a person; one who has closed the pipe has read enough.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush());
}

fn serve(arguments: &Serve) -> Result<()> {
    let config = arguments.config()?;
    log_to_stderr(arguments.log_format)?;
    // As many descriptors as the system allows: each connection needs one. Where it refuses, fewer can connect.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let server = Server::start(&config).await?;
        // Not before: until it serves, a signal simply ends the process.
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        print(&greeting(&config, &server.addresses()));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            either(&mut interrupt, &mut terminate).await;
            let _ = stop.send(());
            either(&mut interrupt, &mut terminate).await;
            // What was answered OK is on the disk already; nothing else is owed to a second signal.
            eprintln!("linechat: stopped at once");
            std::process::exit(1);
        });
        let stop = async {
            let _ = stopped.await;
        };
        Ok(server.run(stop).await?)
    });
    // Not waited for: a thread that hashes a password or reads for somebody who has gone.
    runtime.shutdown_background();
    result
}

/// On one core the scheduler of one thread, which moves nothing between threads. On several the queue that the cores share is
/// looked at more often than tokio does by itself: a core's own queue holds 256 tasks, and a busy channel wakes more than that.
fn runtime() -> Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut builder = if cores == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().global_queue_interval(8).build().context("the system gives no threads")
}

async fn either(first: &mut Signal, second: &mut Signal) {
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
    }
}

fn log_to_stderr(format: LogFormat) -> Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(directives) => {
            EnvFilter::try_new(&directives).with_context(|| format!("RUST_LOG={directives:?} is not understood"))?
        }
        Err(_) => EnvFilter::new("info"),
    };
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
