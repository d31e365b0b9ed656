//! Where each setting of a server comes from: the command line, stronger than the environment, stronger than a file.
//!
//! The option `--data-dir` is `LINECHAT_DATA_DIR` in the environment and `data-dir` in the file. There is one list of names, that of
//! `linechat serve`, which is asked for them; what the others give is read as if it had been typed there. It owns what was gathered, and
//! must never judge a value: the command line does.

mod environment;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::cli::Serve;
use crate::config::default_data_dir;
use crate::limits::Limits;

use environment::{Environment, PREFIX};

/// The file that is read if there is one and no other is named.
pub const USUAL_FILE: &str = "/etc/linechat/linechat.toml";
const CONFIG: &str = "config";
pub(super) const LIMIT: &str = "limit";
pub(super) const LIMITS: &str = "limits";

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It was typed.
    CommandLine,
    /// This variable.
    Environment(String),
    /// This line of this file.
    File(PathBuf, usize),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("the command line"),
            Self::Environment(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
        }
    }
}

/// An option that was given somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name, without dashes in front.
    pub option: String,
    /// Its values, as they would be typed; of a switch `true` or `false`.
    pub values: Vec<OsString>,
    /// Where they come from.
    pub origin: Origin,
}

impl Setting {
    /// Which limit it sets, if it sets one.
    pub fn limit(&self) -> Option<&str> {
        let value = (self.option == LIMIT).then(|| self.values.first()).flatten()?;
        Some(value.to_str()?.split_once('=')?.0)
    }

    fn sets_the_same(&self, other: &Self) -> bool {
        self.option == other.option && (self.option != LIMIT || self.limit() == other.limit())
    }
}

/// All that was given, each option once, and each limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    set: Vec<Setting>,
    file: Option<PathBuf>,
    /// Variables that begin like settings and are none.
    unknown: Vec<String>,
}

/// The options of `linechat serve`.
pub(super) fn options() -> Vec<Arg> {
    let command = Serve::augment_args(clap::Command::new("linechat"));
    command.get_arguments().filter(|option| option.get_long().is_some()).cloned().collect()
}

pub(super) fn name(option: &Arg) -> &str {
    option.get_long().expect("invariant: only those with a name are listed")
}

/// The variable that stands for an option.
pub fn variable(option: &str) -> String {
    format!("{PREFIX}{}", option.replace('-', "_").to_uppercase())
}

pub(super) fn is_list(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append)
}

pub(super) fn is_switch(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::SetTrue)
}

impl Settings {
    /// Gathers what was typed, what these variables say, and what stands in the file.
    ///
    /// # Errors
    /// Says which file cannot be read, which name in it or in the environment is unknown, or which value is none, and where.
    pub fn gather(typed: Option<&ArgMatches>, environment: impl Iterator<Item = (OsString, OsString)>) -> Result<Self> {
        let options = options();
        let environment = Environment::new(environment);
        let mut settings = Self { unknown: environment.unknown(&options)?, ..Self::default() };
        settings.add(typed.map(|typed| from_command_line(&options, typed)).unwrap_or_default());
        settings.add(environment.settings(&options)?);
        settings.file = settings.find_file();
        if let Some(path) = settings.file.clone() {
            settings.add(from_file(&options, &path)?);
        }
        settings.check_limits()?;
        Ok(settings)
    }

    /// Adds what is weaker than everything that is here.
    fn add(&mut self, weaker: Vec<Setting>) {
        let new = |setting: &Setting| !self.set.iter().any(|stronger| stronger.sets_the_same(setting));
        let new: Vec<_> = weaker.into_iter().filter(new).collect();
        self.set.extend(new);
    }

    fn find_file(&self) -> Option<PathBuf> {
        match self.get(CONFIG) {
            // Named as nothing: none.
            Some(named) => named.values.last().filter(|path| !path.is_empty()).map(PathBuf::from),
            None => Path::new(USUAL_FILE).exists().then(|| PathBuf::from(USUAL_FILE)),
        }
    }

    /// One after another, so that it is known where a wrong one stands.
    fn check_limits(&self) -> Result<()> {
        for setting in self.set.iter().filter(|setting| setting.option == LIMIT) {
            for value in &setting.values {
                Limits::default().set(&value.to_string_lossy()).with_context(|| setting.origin.to_string())?;
            }
        }
        Ok(())
    }

    /// The file that was read, if there was one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Variables that begin as settings do and are none, nor like any: they may be another program's.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The limits that were given, as they would be typed.
    pub fn limits(&self) -> Vec<String> {
        let limits = self.set.iter().filter(|setting| setting.option == LIMIT);
        limits.flat_map(|setting| &setting.values).map(|value| value.to_string_lossy().into_owned()).collect()
    }

    /// Everything that was given.
    pub fn set(&self) -> &[Setting] {
        &self.set
    }

    /// What was given for an option that is no limit.
    pub fn get(&self, option: &str) -> Option<&Setting> {
        self.set.iter().find(|setting| setting.option == option)
    }

    /// How to serve.
    ///
    /// # Errors
    /// Says which value is wrong, and where it comes from.
    pub fn serve(&self) -> Result<Serve> {
        let command = Serve::augment_args(clap::Command::new("linechat"));
        let matches = command.try_get_matches_from(self.command_line()).map_err(|error| self.explain(&error))?;
        Ok(Serve::from_arg_matches(&matches)?)
    }

    /// What would have to be typed to say all of it.
    fn command_line(&self) -> impl Iterator<Item = OsString> {
        let options = options();
        let words = self.set.iter().flat_map(move |setting| {
            let switch = options.iter().any(|option| name(option) == setting.option && is_switch(option));
            let word = |value: &OsString| match switch {
                true => (value == "true").then(|| format!("--{}", setting.option).into()),
                false => {
                    let mut word = OsString::from(format!("--{}=", setting.option));
                    word.push(value);
                    Some(word)
                }
            };
            setting.values.iter().filter_map(word).collect::<Vec<_>>()
        });
        std::iter::once(OsString::from("linechat")).chain(words)
    }

    fn explain(&self, error: &clap::Error) -> anyhow::Error {
        let text = error.to_string();
        // The value, and what would have been taken instead; how to ask for help is of no use here.
        let words: Vec<_> = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
        let words = words.join(" ");
        let words = words.trim_start_matches("error: ");
        let of = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(shown)) => shown.trim_start_matches('-').split([' ', '=']).next(),
            _ => None,
        };
        match of.and_then(|option| self.get(option)) {
            Some(setting) => anyhow!("{}: {words}", setting.origin),
            None => anyhow!("{words}"),
        }
    }
}

/// Where a server keeps its data: `given`, or what its environment and its file say, or the usual place.
///
/// # Errors
/// When the file cannot be read, or there is no place at all.
pub fn data_dir(given: Option<&Path>) -> Result<PathBuf> {
    let usual = || default_data_dir(|name| std::env::var(name).ok());
    let dir = match given {
        Some(dir) => Some(dir.to_owned()),
        None => path_of("data-dir")?.or_else(usual),
    };
    dir.context("there is no home directory to keep data in; give --data-dir DIR")
}

/// The path that environment or file give for an option.
///
/// # Errors
/// When the file cannot be read.
pub fn path_of(option: &str) -> Result<Option<PathBuf>> {
    let settings = Settings::gather(None, std::env::vars_os())?;
    Ok(settings.get(option).and_then(|setting| setting.values.last()).map(PathBuf::from))
}

fn from_command_line(options: &[Arg], typed: &ArgMatches) -> Vec<Setting> {
    let mut set = Vec::new();
    for option in options {
        let id = option.get_id().as_str();
        if typed.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        let values: Vec<OsString> = match is_switch(option) {
            true => vec!["true".into()],
            false => typed.get_raw(id).into_iter().flatten().map(OsStr::to_owned).collect(),
        };
        add_each(&mut set, name(option), values, &Origin::CommandLine);
    }
    set
}

/// Limits are settings each of their own.
fn add_each(set: &mut Vec<Setting>, option: &str, values: Vec<OsString>, origin: &Origin) {
    let setting = |values| Setting { option: option.to_owned(), values, origin: origin.clone() };
    if option == LIMIT {
        set.extend(values.into_iter().map(|value| setting(vec![value])));
    } else {
        set.push(setting(values));
    }
}

fn from_file(options: &[Arg], path: &Path) -> Result<Vec<Setting>> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!(
            "the configuration cannot be read from {}; name another with --config FILE, or none with --config ''",
            path.display()
        )
    })?;
    let at = |start: usize| Origin::File(path.to_owned(), text[..start.min(text.len())].matches('\n').count() + 1);
    let table = DeTable::parse(&text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        anyhow!("{}: {}", at(start), error.message())
    })?;
    let mut set = Vec::new();
    for (key, value) in table.get_ref() {
        let origin = at(key.span().start);
        let key: &str = key.get_ref();
        if key == LIMITS {
            let limits = value.get_ref().as_table().with_context(|| format!("{origin}: limits is a table; write [limits]"))?;
            for (limit, value) in limits {
                let origin = at(limit.span().start);
                let limit: &str = limit.get_ref();
                check_limit(limit).with_context(|| origin.to_string())?;
                let value = scalar(limit, value).with_context(|| origin.to_string())?;
                add_each(&mut set, LIMIT, vec![format!("{limit}={value}").into()], &origin);
            }
            continue;
        }
        let values = option_of(options, key).and_then(|option| values(option, value)).with_context(|| origin.to_string())?;
        add_each(&mut set, key, values, &origin);
    }
    Ok(set)
}

fn option_of<'o>(options: &'o [Arg], key: &str) -> Result<&'o Arg> {
    let may_stand = |option: &&Arg| !matches!(name(option), CONFIG | LIMIT);
    match options.iter().filter(may_stand).find(|option| name(option) == key) {
        Some(option) => Ok(option),
        None => {
            let names = options.iter().filter(may_stand).map(name).chain([LIMITS]);
            bail!("there is no setting '{key}'{}; 'linechat config default' lists them", nearest(key, names))
        }
    }
}

fn check_limit(limit: &str) -> Result<()> {
    let rows = Limits::default().rows();
    let names = || rows.iter().filter(|row| row.range.is_some()).map(|row| row.name);
    if rows.iter().any(|row| row.name == limit) {
        return Ok(());
    }
    bail!("there is no limit '{limit}'{}; 'linechat limits' lists them", nearest(limit, names()))
}

/// What is probably meant, as a question; nothing, if nothing is like it.
pub fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> String {
    let near = names.map(|name| (strsim::jaro_winkler(typed, name), name)).filter(|(likeness, _)| *likeness > 0.8);
    near.max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| format!(" (is '{name}' meant?)"))
        .unwrap_or_default()
}

fn values(option: &Arg, value: &Spanned<DeValue<'_>>) -> Result<Vec<OsString>> {
    let key = name(option);
    match value.get_ref() {
        DeValue::Array(values) if is_list(option) => {
            values.iter().map(|value| Ok(scalar(key, value)?.into())).collect::<Result<_>>()
        }
        DeValue::Array(_) => bail!("{key} is one value; write {key} = \"…\""),
        DeValue::Boolean(_) if is_switch(option) => Ok(vec![scalar(key, value)?.into()]),
        _ if is_switch(option) => bail!("{key} is true or false"),
        _ => Ok(vec![scalar(key, value)?.into()]),
    }
}

fn scalar(key: &str, value: &Spanned<DeValue<'_>>) -> Result<String> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Boolean(is) => Ok(is.to_string()),
        other => bail!("{key} is a text or a number, and not a {}", other.type_str()),
    }
}
