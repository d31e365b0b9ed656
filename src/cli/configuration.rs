//! `linechat config`: how a server is, or can be, configured, as the file that would say so.
//!
//! It owns no state, and must never list options or limits by itself: the command line and the limits' table are asked for them.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, Subcommand};
use toml::Value;

use crate::cli::Serve;
use crate::cli::settings::{LIMIT, LIMITS, Setting, Settings, is_list, is_switch, name, options};
use crate::config::{Config, PlainPasswords};
use crate::limits::{Limits, NONE};

/// Columns of the comments in a file.
const COLUMNS: usize = 100;

/// What there is to do about the configuration.
#[derive(Debug, Clone, Subcommand)]
pub enum Configuration {
    /// Shows each setting, and where its value comes from, as a file that says the same.
    Print(Serve),
    /// Tries whether a server would start with these settings, its certificate, addresses and data directory, and says what is wrong with
    /// the first that it would refuse. No journal is opened.
    Check(Serve),
    /// Writes a file in which every setting is explained, with its usual value, for /etc/linechat/linechat.toml.
    Default,
}

/// What `linechat config print` shows: the file that would say the same, with the origin of each value.
pub fn print(settings: &Settings, config: &Config) -> String {
    let mut text = match settings.file() {
        Some(path) => format!("# the file that was read: {}\n", path.display()),
        None => String::from("# no file was read\n"),
    };
    settings.unknown().iter().for_each(|variable| text += &format!("# {}\n", no_setting(variable)));
    for option in options() {
        let key = name(&option);
        if key == "config" || key == LIMIT {
            continue;
        }
        let (value, origin) = match settings.get(key) {
            Some(setting) => (Some(given(&option, setting)), setting.origin.to_string()),
            None => (usual(&option).or_else(|| worked_out(key, config)), "default".to_owned()),
        };
        let _ = match value {
            Some(value) => writeln!(text, "{key} = {value}  # {origin}"),
            None => writeln!(text, "# {key} is not set"),
        };
    }
    let _ = writeln!(text, "\n[{LIMITS}]");
    for row in config.limits.rows().into_iter().filter(|row| row.range.is_some()) {
        let setting = settings.set().iter().find(|setting| setting.limit() == Some(row.name));
        let origin = setting.map_or_else(|| "default".to_owned(), |setting| setting.origin.to_string());
        let _ = writeln!(text, "{} = {}  # {origin}", row.name, limit(row.value));
    }
    text
}

/// What `linechat config check` prints when there was nothing to refuse.
pub fn checked(settings: &Settings, notes: &[String]) -> String {
    let file = settings.file().map_or_else(|| "no file was read".to_owned(), |file| file.display().to_string());
    let mut text = format!(
        "a server would start with these settings ({file}); its addresses, certificate and data directory were tried, and no journal or \
         cluster\n"
    );
    let unknown = settings.unknown().iter().map(|variable| no_setting(variable));
    unknown.chain(notes.iter().cloned()).for_each(|note| text += &format!("but note: {note}\n"));
    text
}

/// What is said of a variable that begins like a setting's.
pub fn no_setting(variable: &str) -> String {
    format!("{variable} is no setting, and changes nothing; 'linechat config default' lists them")
}

/// What `linechat config default` writes.
pub fn default() -> String {
    let mut text = comment(
        "How linechat serves. What stands here may be left out; the value shown is the usual one. For a setting such as data-dir, the \
         variable LINECHAT_DATA_DIR is stronger than this file, and the option --data-dir is stronger than both. 'linechat config check' \
         says whether a server would start, and 'linechat config print' where each value comes from. At SIGHUP the server reads this file \
         again, and says what takes a restart.",
    );
    for option in options() {
        let key = name(&option);
        if key == "config" || key == LIMIT {
            continue;
        }
        let help = option.get_help().map(ToString::to_string).unwrap_or_default();
        text += "\n";
        text += &comment(&format!("{help}{}.", words(&option)));
        let example = || {
            let word = option.get_possible_values().first().map(|value| value.get_name().to_owned());
            let place = option.get_value_names().and_then(|names| names.first()).map_or("VALUE", |name| name.as_str());
            shown(&option, [word.as_deref().unwrap_or(place.trim_end_matches(",..."))].into_iter())
        };
        let _ = writeln!(text, "#{key} = {}", usual(&option).unwrap_or_else(example));
    }
    let _ = writeln!(text, "\n# What is refused, and when. 'none' switches a limit off where that is said.\n[{LIMITS}]");
    for row in Limits::default().rows() {
        let Some((min, max)) = row.range else { continue };
        let or_none = if row.may_be_none { " or \"none\"" } else { "" };
        let _ = write!(text, "\n{}", comment(&format!("{} ({min} to {max} {}{or_none})", row.reason, row.unit)));
        let _ = writeln!(text, "#{} = {}", row.name, limit(row.value));
    }
    text
}

/// What is not as it was before: each option or limit by name, with what is said now, if anything.
pub fn changes(before: &Settings, now: &Settings) -> impl Iterator<Item = (String, Option<Setting>)> {
    let missing = |of: &Settings, setting: &Setting| {
        !of.set().iter().any(|other| (&other.option, &other.values) == (&setting.option, &setting.values))
    };
    let new = now.set().iter().filter(|setting| missing(before, setting));
    let new: Vec<_> = new.map(|setting| (title(setting), Some(setting.clone()))).collect();
    let gone = before.set().iter().filter(|setting| missing(now, setting)).map(|setting| (title(setting), None));
    let gone: Vec<_> = gone.filter(|(title, _)| !new.iter().any(|(new, _)| new == title)).collect();
    new.into_iter().chain(gone)
}

fn title(setting: &Setting) -> String {
    setting.limit().map_or_else(|| setting.option.clone(), |limit| format!("the limit {limit}"))
}

/// What was given, in TOML.
fn given(option: &Arg, setting: &Setting) -> String {
    let values: Vec<_> = setting.values.iter().map(|value| value.to_string_lossy()).collect();
    shown(option, values.iter().map(AsRef::as_ref))
}

/// What the option is if nothing is given, in TOML.
fn usual(option: &Arg) -> Option<String> {
    let defaults: Vec<_> = option.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    (!defaults.is_empty()).then(|| shown(option, defaults.iter().map(AsRef::as_ref)))
}

fn shown<'v>(option: &Arg, mut values: impl Iterator<Item = &'v str>) -> String {
    match option {
        _ if is_switch(option) => Value::Boolean(values.next() == Some("true")),
        _ if is_list(option) => Value::Array(values.map(|value| Value::String(value.to_owned())).collect()),
        _ => Value::String(values.last().unwrap_or_default().to_owned()),
    }
    .to_string()
}

/// What comes out of other settings if nothing is given.
fn worked_out(key: &str, config: &Config) -> Option<String> {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let value = match key {
        "data-dir" => path(&config.data_dir),
        "admin-socket" => path(config.admin_socket.as_deref()?),
        "node" => config.cluster.as_ref()?.node.clone(),
        "plain-passwords" => match PlainPasswords::usual(config.tls.is_some()) {
            PlainPasswords::Allow => "allow",
            PlainPasswords::Loopback => "loopback",
            PlainPasswords::Refuse => "refuse",
        }
        .to_owned(),
        _ => return None,
    };
    Some(Value::String(value).to_string())
}

fn limit(value: u64) -> String {
    if value == NONE { "\"none\"".to_owned() } else { value.to_string() }
}

/// The words that an option takes, if it takes only some.
fn words(option: &Arg) -> String {
    let possible: Vec<_> = option.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if possible.is_empty() || is_switch(option) { String::new() } else { format!(" ({})", possible.join(", ")) }
}

fn comment(text: &str) -> String {
    let mut lines = vec![String::from("#")];
    for word in text.split_whitespace() {
        if lines.last().is_some_and(|line| line.chars().count() + word.chars().count() >= COLUMNS) {
            lines.push(String::from("#"));
        }
        let line = lines.last_mut().expect("there is a line");
        line.push(' ');
        line.push_str(word);
    }
    lines.join("\n") + "\n"
}
