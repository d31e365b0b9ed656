//! The binary: arguments, the log, and exit codes. The exit code is 2 for a command line that cannot be read and 1 for any
//! other failure; the menu client has its own.

use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use linechat::bench;
use linechat::care;
use linechat::cli::admin::{Admin, Done};
use linechat::cli::configuration::{self, Configuration};
use linechat::cli::explain;
use linechat::cli::pages;
use linechat::cli::settings::{Origin, Settings};
use linechat::cli::{Certify, Cli, Command, Copy, Menu, Serve, describe, greeting, host_name, set_limits};
use linechat::clock::Clock;
use linechat::config::{Config, LogFormat, TLS_PORT, default_data_dir};
use linechat::limits::Limits;
use linechat::log::{self, Log};
use linechat::menu::{self, Outcome, Trust};
use linechat::server::copy::{self, Copied};
use linechat::server::{Handed, Manners, Server, StartError, rehearse, systemd};
use linechat::tls::{self, Made};
use linechat::top;

/// Delivers 15 % more lines a second than the system's allocator. Huge pages are off: they cost a quarter more memory for each
/// silent connection.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is logged if nothing else is asked for.
const LOGGED: &str = "info";
/// The settings that hold for new connections once they are read again; everything else takes a restart.
const RELOADED: [&str; 3] = ["plain-passwords", "proxy-from", "log"];
/// These too, of a server that speaks TLS.
const OF_THE_CERTIFICATE: [&str; 2] = ["tls-cert", "tls-key"];
/// What is said when reading the configuration again comes to nothing.
const NOT_READ: &str = "the configuration could not be read again, and all stays as it was";
/// What is said when standard output is full or closed.
const UNPRINTED: &str = "the output could not be written";

fn main() -> ExitCode {
    let read = Cli::command().try_get_matches().and_then(|typed| Ok((Cli::from_arg_matches(&typed)?, typed)));
    let (Cli { command, serve: _ }, typed) = match read {
        Ok(read) => read,
        Err(said) => return told(&said),
    };
    let result = match command {
        None => serve(typed),
        Some(Command::Serve(_)) => serve(innermost(typed)),
        Some(Command::Config(what)) => configuration(&what, &innermost(typed)),
        Some(Command::Tls(Certify::SelfSigned { names, out })) => self_signed(names, &out),
        Some(Command::Copy(arguments)) => copy(&arguments),
        Some(Command::Bench(options)) => bench(&options),
        Some(Command::Top(arguments)) => arguments.options().and_then(|options| print(&top::run(&options)?)),
        Some(Command::Menu(arguments)) => return menu(arguments),
        Some(Command::Admin(arguments)) => return admin(&arguments),
        Some(Command::Care(care)) => {
            // RUST_LOG may be meant for another program: no backup fails for it.
            let begun =
                Log::begin(LogFormat::Text, None, "warn").or_else(|_| Log::begin(LogFormat::Text, Some("warn"), "warn"));
            return begun.map_or_else(|error| failed(&error.into()), |_| care.run());
        }
        Some(Command::Cheat) => print(&explain::cheat()),
        Some(Command::Explain { word }) => explain::explain(&word).and_then(|text| print(&text)),
        Some(Command::Completions { shell }) => print(&pages::completions(shell)),
        Some(Command::Man { dir }) => man(&dir),
        Some(Command::Limits { limits }) => limits_here(limits).and_then(|limits| print(&describe(&limits))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn admin(arguments: &Admin) -> ExitCode {
    match arguments.run() {
        Ok(Done::Answered(text)) => print(&text).map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS),
        Ok(Done::Refused(text)) => {
            log::last_words(&text);
            ExitCode::FAILURE
        }
        Err(error) => {
            log::last_words(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Help and versions are asked for, and printed as any other output is; what cannot be read is told.
fn told(said: &clap::Error) -> ExitCode {
    let is_asked_for = !said.use_stderr();
    match said.print().and_then(|()| std::io::stdout().flush()) {
        Err(error) if is_asked_for => failed(&anyhow::Error::new(error).context(UNPRINTED)),
        _ if is_asked_for => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
    }
}

fn bench(options: &bench::Options) -> Result<()> {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    bench::run(options)
}

fn copy(arguments: &Copy) -> Result<()> {
    let config = arguments.config()?;
    Log::begin(LogFormat::Text, None, "warn")?;
    care::remove_at_a_signal().context("the system gives no threads")?;
    let Copied { checked, servers } = runtime()?.block_on(copy::run(&config))?;
    let mut said = format!("copied {} entries, and read each back\n", checked.entries);
    if !checked.damaged.is_empty() {
        said += &format!("{} of them are damaged, here as there; the first is {}\n", checked.damaged.len(), checked.damaged[0]);
    }
    if servers > 0 {
        said += &format!("{servers} servers of the cluster are still there: what they take from now on is not in the copy\n");
    }
    print(&said)
}

fn man(dir: &Path) -> Result<()> {
    let count = pages::manual(dir)?;
    print(&format!("wrote {count} pages into {0}; to read one: man {0}/linechat.1\n", dir.display()))
}

fn failed(error: &anyhow::Error) -> ExitCode {
    // Whoever has read enough, as with | head, need not be told.
    let has_read_enough = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
    if !error.to_string().contains(UNPRINTED) || !error.root_cause().downcast_ref().is_some_and(has_read_enough) {
        log::last_words(&format!("{error:#}"));
    }
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

/// Prints what was asked for; whoever asked must hear of it when it did not arrive.
fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()).context(UNPRINTED)
}

/// The options of the command that was typed, within `linechat config print` as well.
fn innermost(typed: ArgMatches) -> ArgMatches {
    match typed.subcommand() {
        Some((_, typed)) => innermost(typed.clone()),
        None => typed,
    }
}

/// What was typed, the environment and the file say how to serve.
fn settings(typed: &ArgMatches) -> Result<(Settings, Serve, Config)> {
    let settings = Settings::gather(Some(typed), std::env::vars_os())?;
    let serve = settings.serve()?;
    let config = serve.configuration()?;
    let (checked, log) = (log::check(serve.log.as_deref()), settings.get("log"));
    match log.filter(|setting| setting.origin != Origin::CommandLine) {
        Some(setting) => checked.with_context(|| setting.origin.to_string())?,
        None => checked?,
    }
    Ok((settings, serve, config))
}

/// The limits that a server would have here, were these typed.
fn limits_here(typed: Vec<String>) -> Result<Limits> {
    let settings = Settings::gather(None, std::env::vars_os())?;
    set_limits(&[settings.limits(), typed].concat())
}

fn configuration(what: &Configuration, typed: &ArgMatches) -> Result<()> {
    match what {
        Configuration::Default => print(&configuration::default()),
        Configuration::Print(_) => {
            let (settings, _, config) = settings(typed)?;
            print(&configuration::print(&settings, &config))
        }
        Configuration::Check(_) => {
            let (settings, _, config) = settings(typed)?;
            print(&configuration::checked(&settings, &rehearse(&config)?))
        }
    }
}

fn serve(typed: ArgMatches) -> Result<()> {
    let handed = Handed::take().map_err(StartError::Handed)?;
    let (settings, serve, config) = settings(&typed)?;
    let log = Log::begin(serve.log_format, serve.log.as_deref(), LOGGED)?;
    settings.unknown().iter().for_each(|variable| tracing::warn!("{}", configuration::no_setting(variable)));
    // As many descriptors as the system allows: each connection needs one. If it refuses, fewer can connect.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let server = Server::start(&config, handed).await?;
        // Not earlier: until the server serves, a signal simply ends the process.
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let hangup = signal(SignalKind::hangup())?;
        let (plain, tls, metrics) = (server.addresses(), server.tls_addresses(), server.metrics_address());
        let list = |addresses: &[SocketAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = list(&plain), tls_listen = list(&tls), "serving");
        // For whoever has typed the command; a program reads the log. It serves whether or not anybody reads it.
        if serve.log_format == LogFormat::Text {
            let _ = print(&greeting(&config, &plain, &tls, metrics));
        }
        if config.tls.is_none() {
            warn_in_the_open(&plain);
        }
        warn_of_certificate(&server.manners());
        let status = format!("serves on {}", list(&[plain, tls].concat()));
        systemd::serving(&status);
        tokio::spawn(reload_at(hangup, Reload { typed, started: settings, log, manners: server.manners(), status }));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            either(&mut interrupt, &mut terminate).await;
            systemd::stopping();
            let _ = stop.send(());
            either(&mut interrupt, &mut terminate).await;
            // Whatever was answered OK is on the disk already, so a second signal may end everything.
            log::last_words("stopped at once");
            std::process::exit(1);
        });
        let stop = async {
            let _ = stopped.await;
        };
        Ok(server.run(stop).await.inspect_err(|failure| systemd::failed(&failure.to_string()))?)
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
    let Made { certificate, key, fingerprint } = tls::make(&names, out, Clock::System.seconds())?;
    let (certificate, key) = (certificate.display(), key.display());
    print(&format!(
        "made {certificate} and {key} for {}\n\
         SHA-256 fingerprint: {fingerprint}\n\
         people who connect with 'linechat menu --tls' are shown it; tell it to them in another way, so that they can compare\n\
         start the server with: linechat serve --tls-listen 0.0.0.0:{TLS_PORT} --tls-cert {certificate} --tls-key {key}\n",
        names.join(", ")
    ))
}

/// Whoever lets a network in should know who can read along.
fn warn_in_the_open(addresses: &[SocketAddr]) {
    if addresses.iter().any(|address| !address.ip().is_loopback()) {
        tracing::warn!(
            "lines and passwords cross the network as they are, for anyone on the way to read; for TLS make a certificate with \
             'linechat tls self-signed', and give --tls-listen 0.0.0.0:{TLS_PORT} --tls-cert cert.pem --tls-key key.pem"
        );
    }
}

/// It is served all the same: whoever compares fingerprints may not mind.
fn warn_of_certificate(manners: &Manners) {
    if let Some(doubt) = manners.doubt(Clock::System.seconds()) {
        tracing::warn!("{doubt}");
    }
}

/// What is read again, and what takes it over.
struct Reload {
    typed: ArgMatches,
    /// What the server has started with.
    started: Settings,
    log: Log,
    manners: Arc<Manners>,
    /// What systemd is told when it is done.
    status: String,
}

impl Reload {
    /// Nobody is dropped, whatever comes of it, and what cannot be used changes nothing.
    fn reload(&self, last: &Settings) -> Result<Settings> {
        let (now, serve, config) = settings(&self.typed)?;
        let fingerprint = self.manners.change(&config)?;
        self.log.change(serve.log.as_deref(), LOGGED)?;
        warn_of_certificate(&self.manners);
        let holds = |what: &str| RELOADED.contains(&what) || fingerprint.is_some() && OF_THE_CERTIFICATE.contains(&what);
        for (what, setting) in configuration::changes(last, &now).filter(|(what, _)| holds(what)) {
            let from = setting.map_or_else(|| "nowhere".to_owned(), |setting| setting.origin.to_string());
            tracing::info!(%what, %from, "the setting was read again");
        }
        // Told each time: it is still so.
        for (what, _) in configuration::changes(&self.started, &now).filter(|(what, _)| !holds(what)) {
            tracing::warn!(%what, "the setting has changed, which takes a restart");
        }
        tracing::info!(fingerprint, "the configuration was read again");
        Ok(now)
    }
}

/// Reads the configuration and the certificate again whenever it is told to.
async fn reload_at(mut hangup: Signal, reload: Reload) {
    let reload = Arc::new(reload);
    let mut last = reload.started.clone();
    while hangup.recv().await.is_some() {
        systemd::reloading();
        let (reloading, before) = (Arc::clone(&reload), last.clone());
        match tokio::task::spawn_blocking(move || reloading.reload(&before)).await {
            Ok(Ok(now)) => last = now,
            Ok(Err(error)) => tracing::error!(error = format!("{error:#}"), "{NOT_READ}"),
            Err(error) => tracing::error!(%error, "{NOT_READ}"),
        }
        systemd::serving(&reload.status);
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
