//! The menu client: for people who want a menu.
//!
//! It does everything through protocol lines that a person could have typed into `nc`. It imports [`wire`](crate::wire), and
//! [`tls`](crate::tls) for an encrypted connection, and nothing else of the server, lets no byte from the network control the terminal, and takes nothing for done without an OK.

mod address;
mod channel;
mod charge;
mod chat;
mod client;
mod editor;
mod events;
mod functions;
mod link;
mod recover;
mod refusal;
mod screen;
mod script;
mod search;
mod secret;
mod secure;
mod servers;
mod start;
mod talk;
mod terminal;
mod trust;
mod typing;
mod unread;
mod window;
mod words;

use std::io;

use anyhow::{Context, Result};

use client::{Client, Ended};
use terminal::Terminal;

pub use trust::Trust;

/// What is said when standard output is full or closed.
const UNPRINTED: &str = "the output could not be written";

/// The options from the command line.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `HOST` or `HOST:PORT`, or several of them with commas between; asked for when absent.
    pub server: Option<String>,
    /// Whom to trust, for an encrypted connection.
    pub tls: Option<Trust>,
    /// The name to take; asked for when absent.
    pub name: Option<String>,
    /// The account to log in to, instead of taking a name.
    pub login: Option<String>,
    /// Whether to show each line sent and received.
    pub show_protocol: bool,
    /// Commands to run instead of the menu.
    pub commands: Vec<String>,
}

/// How the client ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The person ended it, or every command was answered OK.
    Done,
    /// A command was refused.
    Refused,
    /// There was no connection, or it was lost.
    Disconnected,
}

/// Runs the client to its end.
///
/// # Errors
/// When the terminal cannot be used, or something could not be printed.
pub fn run(options: &Options) -> Result<Outcome> {
    if !options.commands.is_empty() {
        return script::run(options);
    }
    let terminal = Terminal::open()?;
    let failure = terminal.failure();
    let ended = match Client::start(options, terminal) {
        Ok(mut client) => client.menu(),
        Err(ended) => Err(ended),
    };
    if let Some(error) = failure.get() {
        return Err(io::Error::new(error.kind(), error.to_string())).context(UNPRINTED);
    }
    Ok(match ended {
        Ok(()) | Err(Ended::ByPerson) => Outcome::Done,
        Err(Ended::Disconnected) => Outcome::Disconnected,
        Err(Ended::Refused) => Outcome::Refused,
    })
}
