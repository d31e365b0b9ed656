//! The operator's log, on stderr: lines for people, or one JSON object a line for programs.
//!
//! It owns the one subscriber of the process. It must never decide what is worth a line: whoever logs does.

use std::backtrace::Backtrace;
use std::io::{IsTerminal, Write};
use std::panic;
use std::sync::OnceLock;

use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::LogFormat;

/// What is a level; any other word of its own would be taken as the name of a part of the program, and all else not be logged.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// From here on two words are so much alike that one may be meant by the other.
const ALIKE: f64 = 0.7;

/// The log, of which it can be changed what is logged.
pub struct Log {
    filter: Handle<Targets, Registry>,
}

/// What cannot be used as a filter, and why.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} '{1}' is not understood ({2}); give error, warn, info or debug, or a level for each part, as in info,async_nats=error"
)]
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
        let (filtering, filter) = reload::Layer::new(parse(filter, usual)?);
        let _ = FORMAT.set(format);
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        // A log that cannot be written is no reason to stop, and telling stderr that stderr is closed would end the thread.
        let lines = fmt::layer().with_ansi(colour).with_writer(std::io::stderr).log_internal_errors(false);
        let lines = match format {
            LogFormat::Text => lines.boxed(),
            // The list of spans would say again what the span says: they do not lie in each other.
            LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
        };
        tracing_subscriber::registry().with(filtering).with(lines).init();
        if format == LogFormat::Json {
            // What nobody foresaw is a line like the others.
            panic::set_hook(Box::new(|panic| {
                let place = panic.location().map(ToString::to_string);
                let (backtrace, what) = (Backtrace::capture(), panic.payload_as_str().unwrap_or_default());
                tracing::error!(place, %backtrace, "panicked: {what}");
            }));
        }
        Ok(Self { filter })
    }

    /// Logs by another filter from here on, chosen as in [`Log::begin`].
    ///
    /// # Errors
    /// When it is not understood: then all stays as it was.
    pub fn change(&self, filter: Option<&str>, usual: &str) -> Result<(), FilterError> {
        let failed = |error: reload::Error| FilterError("--log", filter.unwrap_or(usual).to_owned(), error.to_string());
        self.filter.reload(parse(filter, usual)?).map_err(failed)
    }
}

/// Whether this could be a filter.
///
/// # Errors
/// When it is not understood.
pub fn check(filter: Option<&str>) -> Result<(), FilterError> {
    parse(filter, "info").map(drop)
}

fn parse(filter: Option<&str>, usual: &str) -> Result<Targets, FilterError> {
    let variable = std::env::var("RUST_LOG").ok().filter(|directives| !directives.is_empty());
    let (from, directives) = match (filter, &variable) {
        (None, Some(directives)) => ("RUST_LOG", &**directives),
        (filter, _) => ("--log", filter.unwrap_or(usual)),
    };
    let wrong = |why| FilterError(from, directives.to_owned(), why);
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let words = words(directives).map(str::trim).filter(|word| !word.is_empty());
    let (of_spans, mut words): (Vec<_>, Vec<_>) = words.partition(|word| word.contains(['[', ']', '{', '}']));
    // RUST_LOG is for all programs of a machine, and may name spans and parts of others.
    match of_spans.first() {
        Some(word) if from == "--log" => {
            return Err(wrong(format!("'{word}' names a span; only parts can be chosen, as in async_nats=error")));
        }
        Some(_) if words.is_empty() => words.push(usual),
        _ => {}
    }
    // What has this mark says itself which level it wants.
    let mut bare = words.iter().filter(|word| !word.contains('='));
    let strange = bare.find(|word| !is_level(word)).filter(|_| from == "--log" || words.len() == 1);
    if let Some(word) = strange.copied().or(words.is_empty().then_some("")) {
        return Err(wrong(no_level(word)));
    }
    words.join(",").parse().map_err(|error: ParseError| wrong(error.to_string()))
}

/// What stands between commas, but for those in the brackets of a span.
fn words(directives: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    directives.split(move |c| {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

fn no_level(word: &str) -> String {
    let near = LEVELS.map(|level| (strsim::jaro_winkler(&word.to_ascii_lowercase(), level), level)).into_iter();
    let near = near.filter(|(likeness, _)| *likeness > ALIKE).max_by(|(one, _), (other, _)| one.total_cmp(other));
    let meant = near.map(|(_, level)| format!("; is '{level}' meant?")).unwrap_or_default();
    format!("'{word}' is no level{meant}")
}

#[cfg(test)]
mod tests {
    use super::{check, no_level};

    #[test]
    fn a_word_of_its_own_is_a_level() {
        for filter in ["warn", "OFF", "info,hyper::client=debug", "info,", "warn, hyper::client=off"] {
            check(Some(filter)).unwrap_or_else(|error| panic!("{filter}: {error}"));
        }
        for filter in [
            "warning",
            "verbose",
            "3",
            "",
            ",",
            "hyper::client",
            "warn,debugging",
            "hyper=loud",
            "[session{node=1}]=trace,error",
        ] {
            check(Some(filter)).expect_err(filter);
        }
    }

    #[test]
    fn a_misspelt_level_is_told_with_the_one_that_is_meant() {
        assert_eq!(no_level("warning"), "'warning' is no level; is 'warn' meant?");
        assert_eq!(no_level("Debugging"), "'Debugging' is no level; is 'debug' meant?");
        assert_eq!(no_level("information"), "'information' is no level; is 'info' meant?");
        assert_eq!(no_level("err"), "'err' is no level; is 'error' meant?");
        assert_eq!(no_level("verbose"), "'verbose' is no level");
        assert_eq!(no_level("3"), "'3' is no level");
    }
}
