//! The operator's log, on stderr: lines for people, or one JSON object a line for programs.
//!
//! It owns the one subscriber of the process. It must never decide what is worth a line: whoever logs does.

use std::io::{IsTerminal, Write};
use std::panic;
use std::sync::OnceLock;

use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::LogFormat;

/// The log, of which it can be changed what is logged.
pub struct Log {
    change: Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>,
}

/// What cannot be used as a filter, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0} '{1}' is not understood ({2}); give error, warn, info or debug, or directives as in RUST_LOG")]
pub struct FilterError(&'static str, String, String);

static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Tells what went wrong, in the way of the log. Where stderr is closed, the exit code has to do.
pub fn last_words(words: &str) {
    match FORMAT.get() {
        Some(LogFormat::Json) => tracing::error!("{words}"),
        _ => drop(writeln!(std::io::stderr(), "linechat: {words}")),
    }
}

impl Log {
    /// Begins to log. `filter` is what `--log` says; without it RUST_LOG is heard, and without that, `usual`.
    ///
    /// # Errors
    /// When the filter is not understood.
    pub fn begin(format: LogFormat, filter: Option<&str>, usual: &str) -> Result<Self, FilterError> {
        let filter = parse(filter, usual)?;
        let _ = FORMAT.set(format);
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let builder = fmt().with_env_filter(filter).with_ansi(colour).with_span_events(FmtSpan::NONE);
        // A log that cannot be written is no reason to stop, and telling stderr that stderr is closed would end the thread.
        let builder = builder.with_writer(std::io::stderr).log_internal_errors(false);
        let change: Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync> = match format {
            LogFormat::Text => {
                let builder = builder.with_filter_reloading();
                let handle = builder.reload_handle();
                builder.init();
                Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
            }
            LogFormat::Json => {
                let builder = builder.json().flatten_event(true).with_filter_reloading();
                let handle = builder.reload_handle();
                builder.init();
                // What nobody foresaw is a line like the others.
                panic::set_hook(Box::new(|panic| {
                    let place = panic.location().map(ToString::to_string);
                    tracing::error!(place, backtrace = %std::backtrace::Backtrace::capture(), "panicked: {}", panic.payload_as_str().unwrap_or_default());
                }));
                Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
            }
        };
        Ok(Self { change })
    }

    /// Logs by another filter from here on, chosen as in [`Log::begin`].
    ///
    /// # Errors
    /// When it is not understood: then all stays as it was.
    pub fn change(&self, filter: Option<&str>, usual: &str) -> Result<(), FilterError> {
        (self.change)(parse(filter, usual)?).map_err(|why| FilterError("--log", filter.unwrap_or(usual).to_owned(), why))
    }
}

/// Whether this could be a filter.
///
/// # Errors
/// When it is not understood.
pub fn check(filter: Option<&str>) -> Result<(), FilterError> {
    parse(filter, "info").map(drop)
}

fn parse(filter: Option<&str>, usual: &str) -> Result<EnvFilter, FilterError> {
    let variable = std::env::var("RUST_LOG").ok();
    let (from, directives) = match (filter, &variable) {
        (None, Some(directives)) => ("RUST_LOG", &**directives),
        (filter, _) => ("--log", filter.unwrap_or(usual)),
    };
    EnvFilter::try_new(directives).map_err(|error| FilterError(from, directives.to_owned(), error.to_string()))
}
