//! The binary: arguments, the log, and exit codes. The exit code is 2 for a command line that cannot be read and 1 for any
//! other failure; the menu client has its own.

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

/// Delivers 15 % more lines a second than the system's allocator. Huge pages are off: they cost a quarter more memory for each
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

/// Prints for a person. An error means that they closed the pipe and have read enough.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush());
}

fn serve(arguments: &Serve) -> Result<()> {
    let config = arguments.config()?;
    log_to_stderr(arguments.log_format)?;
    // As many descriptors as the system allows: each connection needs one. If it refuses, fewer can connect.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let server = Server::start(&config).await?;
        // Not earlier: until the server serves, a signal simply ends the process.
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        print(&greeting(&config, &server.addresses()));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            either(&mut interrupt, &mut terminate).await;
            let _ = stop.send(());
            either(&mut interrupt, &mut terminate).await;
            // Whatever was answered OK is on the disk already, so a second signal may end everything.
            eprintln!("linechat: stopped at once");
            std::process::exit(1);
        });
        let stop = async {
            let _ = stopped.await;
        };
        Ok(server.run(stop).await?)
    });
    // Does not wait for threads that still hash a password or read for somebody who has gone.
    runtime.shutdown_background();
    result
}

/// On one core this is the single-threaded scheduler, which moves nothing between threads. On several cores the shared queue is
/// checked more often than tokio does by default: a core's own queue holds 256 tasks, and a busy channel wakes more than that.
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
