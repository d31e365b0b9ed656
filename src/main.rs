//! The binary: arguments, the log, and exit codes. The exit code is 2 for a command line that cannot be read and 1 for any
//! other failure; the menu client has its own.

use std::io::{IsTerminal, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use linechat::bench;
use linechat::cli::admin::{Admin, Done};
use linechat::cli::{Certify, Cli, Command, Copy, LogFormat, Menu, Serve, describe, greeting, host_name, set_limits};
use linechat::config::{Config, TLS_PORT, default_data_dir};
use linechat::menu::{self, Outcome, Trust};
use linechat::server::Server;
use linechat::server::copy::{self, Copied};
use linechat::tls::{self, Certificates, Made};

/// Delivers 15 % more lines a second than the system's allocator. Huge pages are off: they cost a quarter more memory for each
/// silent connection.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Cli { command, serve: bare } = Cli::parse();
    let result = match command {
        None => serve(&bare),
        Some(Command::Serve(arguments)) => serve(&arguments),
        Some(Command::Tls(Certify::SelfSigned { names, out })) => self_signed(names, &out),
        Some(Command::Copy(arguments)) => copy(&arguments),
        Some(Command::Bench(options)) => bench(&options),
        Some(Command::Menu(arguments)) => return menu(arguments),
        Some(Command::Admin(arguments)) => return admin(&arguments),
        Some(Command::Care(care)) => {
            return log_to_stderr(LogFormat::Text, "warn").map_or_else(|e| failed(&e), |()| care.run());
        }
        Some(Command::Limits { limits }) => set_limits(&limits).map(|limits| print(&describe(&limits))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn admin(arguments: &Admin) -> ExitCode {
    match arguments.run() {
        Ok(Done { text, code }) => {
            print(&text);
            ExitCode::from(code)
        }
        Err(error) => {
            eprintln!("linechat: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn bench(options: &bench::Options) -> Result<()> {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    bench::run(options)
}

fn copy(arguments: &Copy) -> Result<()> {
    let config = arguments.config()?;
    log_to_stderr(LogFormat::Text, "warn")?;
    let Copied { checked, servers } = runtime()?.block_on(copy::run(&config))?;
    let mut said = format!("copied {} entries, and read each back\n", checked.entries);
    if !checked.damaged.is_empty() {
        said += &format!("{} of them are damaged, here as there; the first is {}\n", checked.damaged.len(), checked.damaged[0]);
    }
    if servers > 0 {
        said += &format!("{servers} servers of the cluster are still there: what they take from now on is not in the copy\n");
    }
    print(&said);
    Ok(())
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("linechat: {error:#}");
    ExitCode::FAILURE
}

fn menu(Menu { tls, tls_ca, server, name, login, show_protocol, commands }: Menu) -> ExitCode {
    let known_hosts = default_data_dir(|name| std::env::var(name).ok()).map(|dir| dir.join("known-hosts"));
    let tls = tls.then_some(Trust { authority: tls_ca, known_hosts });
    match menu::run(&menu::Options { server, tls, name, login, show_protocol, commands }) {
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
    log_to_stderr(arguments.log_format, "info")?;
    // As many descriptors as the system allows: each connection needs one. If it refuses, fewer can connect.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let server = Server::start(&config).await?;
        // Not earlier: until the server serves, a signal simply ends the process.
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        print(&greeting(&config, &server.addresses(), &server.tls_addresses()));
        warn_in_the_open(&config);
        if let Some(certificates) = server.certificates() {
            tokio::spawn(reload_at(signal(SignalKind::hangup())?, certificates));
        }
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

fn self_signed(names: Vec<String>, out: &Path) -> Result<()> {
    let own = || {
        let host = host_name();
        let usual = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        std::iter::once(host).filter(|host| !host.is_empty() && host != "localhost").chain(usual).collect()
    };
    let names: Vec<String> = if names.is_empty() { own() } else { names };
    let Made { certificate, key, fingerprint } = tls::make(&names, out)?;
    let (certificate, key) = (certificate.display(), key.display());
    print(&format!(
        "made {certificate} and {key} for {}\n\
         SHA-256 fingerprint: {fingerprint}\n\
         people who connect with 'linechat menu --tls' are shown it; tell it to them in another way, so that they can compare\n\
         start the server with: linechat serve --tls-listen 0.0.0.0:{TLS_PORT} --tls-cert {certificate} --tls-key {key}\n",
        names.join(", ")
    ));
    Ok(())
}

/// Whoever lets a network in should know who can read along.
fn warn_in_the_open(config: &Config) {
    if config.tls.is_none() && config.listen.iter().any(|address| !address.ip().is_loopback()) {
        tracing::warn!(
            "lines and passwords cross the network as they are, for anyone on the way to read; for TLS make a certificate with \
             'linechat tls self-signed', and give --tls-listen 0.0.0.0:{TLS_PORT} --tls-cert cert.pem --tls-key key.pem"
        );
    }
}

/// Reads the certificate again whenever it is told to. Nobody is dropped, whatever comes of it.
async fn reload_at(mut hangup: Signal, certificates: Arc<Certificates>) {
    while hangup.recv().await.is_some() {
        let certificates = Arc::clone(&certificates);
        match tokio::task::spawn_blocking(move || certificates.reload()).await {
            Ok(Ok(fingerprint)) => tracing::info!(%fingerprint, "new connections get the certificate that was read again"),
            Ok(Err(error)) => tracing::error!(%error, "the certificate stays as it was"),
            Err(error) => tracing::error!(%error, "the certificate stays as it was"),
        }
    }
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

/// Without RUST_LOG, what is at least this important is logged.
fn log_to_stderr(format: LogFormat, usual: &str) -> Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(directives) => {
            EnvFilter::try_new(&directives).with_context(|| format!("RUST_LOG={directives:?} is not understood"))?
        }
        Err(_) => EnvFilter::new(usual),
    };
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
