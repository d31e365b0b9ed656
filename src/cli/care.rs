//! The command line of the store's care: `linechat backup`, `restore`, `check`, `export`, `import` and `compact`, and what they say at the end.
//! It owns nothing. It must never touch a store itself.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use crate::care::{self, Backed, Compacted, Exported, Imported, LeftOut, Restored, To};
use crate::cli::settings::data_dir;

/// Where the journal is.
#[derive(Debug, Clone, Args)]
pub struct Data {
    /// The data directory of the server [default: that of 'linechat serve'].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// What there is to do for a journal.
#[derive(Debug, Clone, Subcommand)]
pub enum Care {
    /// Makes a backup of the journal, also while its server runs: one file, which 'linechat restore' takes.
    Backup {
        /// The file to make.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Replaces a file of that name.
        #[arg(long)]
        force: bool,
        /// Where the journal is.
        #[command(flatten)]
        data: Data,
    },
    /// Puts a backup in the place of a journal, while no server runs there; the backup is checked before.
    Restore {
        /// The backup, which stays as it is.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Puts it in the place of a journal that is there, and keeps that one as replaced.db beside it.
        #[arg(long)]
        force: bool,
        /// Where the journal is to be.
        #[command(flatten)]
        data: Data,
    },
    /// Checks every entry of a journal or a backup, and all that leads from one to another. Exit code 0: sound, 1: damaged, 2: not checked.
    Check {
        /// A backup to check instead of the journal.
        #[arg(value_name = "FILE", conflicts_with = "data_dir")]
        file: Option<PathBuf>,
        /// Where the journal is.
        #[command(flatten)]
        data: Data,
    },
    /// Writes all that a journal holds as JSON, for 'linechat import'. With it go the hashes of passwords and tokens, or nobody could log in.
    Export {
        /// The file to make, one JSON object a line; without a name, or with -, the standard output.
        #[arg(long, value_name = "FILE", required = true, num_args = 0..=1, default_missing_value = "-")]
        jsonl: PathBuf,
        /// A backup to export instead of the journal.
        #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
        from: Option<PathBuf>,
        /// Leaves out what is damaged, which otherwise ends it, and says how much that is.
        #[arg(long)]
        skip_damaged: bool,
        /// Replaces a file of that name.
        #[arg(long)]
        force: bool,
        /// Where the journal is.
        #[command(flatten)]
        data: Data,
    },
    /// Makes a journal of what was exported, in a directory that has none.
    Import {
        /// The file; - for the standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Where the journal is to be.
        #[command(flatten)]
        data: Data,
    },
    /// Writes the journal of a server that does not run anew, without the room that deleted entries have left.
    Compact {
        /// Where the journal is.
        #[command(flatten)]
        data: Data,
    },
}

/// How it ended.
enum End {
    /// Done; this is said of it.
    Said(String),
    /// The same, where the output is taken by something else.
    Aside(String),
    /// A store was checked, and found damaged.
    Damaged(String),
}

impl Data {
    fn directory(&self) -> Result<PathBuf> {
        data_dir(self.data_dir.as_deref())
    }
}

impl Care {
    /// Does it, and says how it ended.
    pub fn run(&self) -> ExitCode {
        let is_check = matches!(self, Self::Check { .. });
        let failed = if is_check { ExitCode::from(2) } else { ExitCode::FAILURE };
        let (said, code) = match self.end() {
            Ok(End::Said(said)) => (print(&mut io::stdout(), &said), ExitCode::SUCCESS),
            Ok(End::Aside(said)) => (print(&mut io::stderr(), &said), ExitCode::SUCCESS),
            Ok(End::Damaged(said)) => (print(&mut io::stdout(), &said), ExitCode::FAILURE),
            Err(error) => (print(&mut io::stderr(), &format!("linechat: {error:#}\n")), failed),
        };
        // Whoever closes a pipe has read enough; a disk that is full has not taken it.
        if said.is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe) { failed } else { code }
    }

    fn end(&self) -> Result<End> {
        // A check begins nothing, and whoever ends it, such as systemd, sees that it was a signal.
        if !matches!(self, Self::Check { .. }) {
            care::remove_at_a_signal().context("the system gives no threads")?;
        }
        Ok(match self {
            Self::Backup { file, .. } if is_dash(file) => {
                bail!("a backup needs a file; give the name of one, or 'linechat export --jsonl' for a pipe")
            }
            Self::Backup { file, force, data } => {
                let Backed { entries, bytes } = care::back_up(&data.directory()?, file, *force)?;
                End::Said(format!("backed up {} to {}, {bytes} bytes\n", count(entries, "entry", "entries"), file.display()))
            }
            Self::Restore { file, force, data } => {
                let directory = data.directory()?;
                let Restored { entries, aside } = care::restore(file, &directory, *force)?;
                let aside = aside.map(|aside| format!("; what was there is kept as {}", aside.display())).unwrap_or_default();
                End::Said(format!("restored {} to {}{aside}\n", count(entries, "entry", "entries"), directory.display()))
            }
            Self::Check { file, data } => {
                let place = file.clone().map_or_else(|| data.directory(), Ok)?;
                check(&place)?
            }
            Self::Export { jsonl, from, skip_damaged, force, data } => {
                let place = from.clone().map_or_else(|| data.directory(), Ok)?;
                let to = if is_dash(jsonl) { To::Output } else { To::File(jsonl, *force) };
                let exported = care::export(&place, to, *skip_damaged)?;
                let said = exported_to(jsonl, &exported);
                if is_dash(jsonl) { End::Aside(said) } else { End::Said(said) }
            }
            Self::Import { file, data } => {
                let directory = data.directory()?;
                let Imported { entries } = care::import((!is_dash(file)).then_some(file), &directory)?;
                End::Said(format!("imported {} to {}\n", count(entries, "entry", "entries"), directory.display()))
            }
            Self::Compact { data } => {
                let Compacted { before, after } = care::compact(&data.directory()?)?;
                End::Said(format!("compacted the journal: it had {before} bytes and has {after}\n"))
            }
        })
    }
}

fn check(place: &Path) -> Result<End> {
    let found = care::check(place, &mut io::stdout().lock())?;
    let entries = count(found.entries, "entry", "entries");
    if found.harms == 0 {
        let (rooms, keys) = (count(found.rooms, "room", "rooms"), count(found.keys, "key", "keys"));
        return Ok(End::Said(format!("{} is sound: {entries}, {rooms} and {keys} were checked\n", place.display())));
    }
    let is_backup = place.is_file();
    let (restored, from) = match is_backup {
        true => ("take another backup", format!(" --from {}", place.display())),
        false => ("restore a backup with 'linechat restore FILE --force'", String::new()),
    };
    // Where nothing can be read there is nothing to keep.
    let kept = match found.entries {
        0 => String::new(),
        _ => format!(
            ", or keep what is sound: 'linechat export --skip-damaged --jsonl FILE{from}', then 'linechat import FILE' into an \
             empty --data-dir"
        ),
    };
    let lines = count(found.harms, "line", "lines");
    Ok(End::Damaged(format!("{} is damaged: {lines} above, {entries} checked; {restored}{kept}\n", place.display())))
}

fn exported_to(jsonl: &Path, Exported { entries, left_out }: &Exported) -> String {
    let left_out = left_out.as_ref().map(|LeftOut { places, entries, first }| {
        let (places, entries) = (count(*places, "damaged place", "damaged places"), count(*entries, "entry", "entries"));
        format!("left out: {places} with {entries} at most, and readers are not told of them; the first: {first}\n")
    });
    format!(
        "{}exported {}{}; with them go all messages as they were typed, and the hashes of passwords and tokens\n",
        left_out.unwrap_or_default(),
        count(*entries, "entry", "entries"),
        if is_dash(jsonl) { String::new() } else { format!(" to {}", jsonl.display()) },
    )
}

/// So many of something.
fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn is_dash(path: &Path) -> bool {
    path == Path::new("-")
}

fn print(to: &mut dyn Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes()).and_then(|()| to.flush())
}
