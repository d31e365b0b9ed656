//! What is made from the command line itself: what shells complete, and the pages of the manual.
//!
//! It owns nothing. It must never say anything of an option by itself: the command line is asked.

use std::path::Path;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Cli;

const NAME: &str = "linechat";

/// The script that lets this shell complete what is typed after `linechat`.
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Writes a page for the program and for each of its commands into this directory, which is made if there is none. Returns the number
/// of pages.
///
/// # Errors
/// When the directory cannot be made, or a page not be written.
pub fn manual(dir: &Path) -> Result<usize> {
    let cannot = || format!("the manual cannot be written to {}", dir.display());
    std::fs::create_dir_all(dir).with_context(cannot)?;
    // `linechat help` says what the pages say.
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    pages(&command, dir).with_context(cannot)
}

fn pages(command: &Command, dir: &Path) -> std::io::Result<usize> {
    let page = Man::new(command.clone()).source(concat!("linechat ", env!("CARGO_PKG_VERSION"))).manual("linechat");
    page.generate_to(dir)?;
    command.get_subcommands().try_fold(1, |count, command| Ok(count + pages(command, dir)?))
}
