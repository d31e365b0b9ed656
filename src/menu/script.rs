//! `linechat menu -c 'MSG nina hi'`: commands without a menu. The server's lines are printed as they arrive.
//!
//! It owns the connection for as long as it takes. It must never print a password.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::menu::link::{Happening, Link, without_password};
use crate::menu::servers::Servers;
use crate::menu::{Options, Outcome, UNPRINTED, secret};
use crate::wire::{Command, Incoming, incoming, parse};

/// How long an answer may take, beyond the time for which a command was asked to wait.
const ANSWER: Duration = Duration::from_secs(30);
/// How long the server may take to say goodbye.
const LEAVE: Duration = Duration::from_secs(2);
/// How many received lines may wait to be printed; with more, the connection waits.
const QUEUE: usize = 64;

/// Why the commands were not run to their end.
enum Failed {
    /// What the server says cannot be written.
    Output(io::Error),
    /// There is no connection, or no password for it.
    Link(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Link(error)
    }
}

/// Runs the commands of the options, one after the other.
///
/// # Errors
/// When what the server says cannot be written.
pub fn run(options: &Options) -> Result<Outcome> {
    match talk(options) {
        Ok(outcome) => Ok(outcome),
        Err(Failed::Output(error)) => Err(error).context(UNPRINTED),
        Err(Failed::Link(error)) => {
            complain(&error.to_string());
            Ok(Outcome::Disconnected)
        }
    }
}

/// Tells what went wrong. Where stderr is closed, the exit code has to do.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "linechat: {text}");
}

fn print(line: &str) -> Result<(), Failed> {
    let mut output = io::stdout();
    writeln!(output, "{line}").and_then(|()| output.flush()).map_err(Failed::Output)
}

fn talk(options: &Options) -> Result<Outcome, Failed> {
    let named = options.server.as_deref().unwrap_or("localhost");
    let mut servers = Servers::new(named, options.tls.as_ref()).map_err(io::Error::other)?;
    let login =
        options.login.as_ref().map(|name| password(name).map(|password| format!("LOGIN {name} {password}"))).transpose()?;
    let name = options.name.as_ref().map(|name| format!("NAME {name}"));
    let (queue, happenings) = sync_channel(QUEUE);
    let reached = servers.reach(&queue, |address, error| complain(&format!("no connection to {address}: {error}")));
    let Some(mut link) = reached else { return Ok(Outcome::Disconnected) };
    // Not among the lines of the server, which a script reads.
    link.notices().for_each(|line| drop(writeln!(io::stderr(), "{line}")));
    let mut outcome = Outcome::Done;
    // All commands depend on the identity: if it is refused, none is run.
    for line in login.iter().chain(&name) {
        if !exchange(&mut link, &happenings, line, options.show_protocol)? {
            return Ok(Outcome::Refused);
        }
    }
    for line in options.commands.iter().flat_map(|command| command.lines()) {
        // An empty line is not a command: it gets no answer.
        if !line.trim().is_empty() && !exchange(&mut link, &happenings, line, options.show_protocol)? {
            outcome = Outcome::Refused;
        }
    }
    let mut lines = options.commands.iter().flat_map(|command| command.lines());
    let last = lines.rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    if matches!(parse(last.as_bytes()), Ok(Some(Command::Follow { .. }))) && outcome == Outcome::Done {
        follow(&happenings, options.show_protocol)?;
    }
    quit(&mut link, &happenings);
    Ok(outcome)
}

/// Prints what comes until the connection ends, which is a failure: whoever has read enough ends this program.
fn follow(happenings: &Receiver<Happening>, show_protocol: bool) -> Result<(), Failed> {
    loop {
        match happenings.recv() {
            Ok(Happening::Line(_, text)) => print(&marked(&text, show_protocol))?,
            Ok(Happening::Lost(_, why)) => return Err(io::Error::other(format!("the connection was lost: {why}")).into()),
            Ok(Happening::Typed(_)) => {}
            Err(_) => return Ok(()),
        }
    }
}

/// Takes leave: a connection that only ends keeps a guest's name for a while, as if they might come back.
fn quit(link: &mut Link, happenings: &Receiver<Happening>) {
    if link.send("QUIT").is_ok() {
        while let Ok(Happening::Line(..) | Happening::Typed(_)) = happenings.recv_timeout(LEAVE) {}
    }
}

fn marked(line: &str, show_protocol: bool) -> String {
    format!("{}{line}", if show_protocol { "<-- " } else { "" })
}

/// Whether this line is an answer, and then whether it is OK; also as JSON, which a script may have asked for.
fn answer(line: &str) -> Option<bool> {
    match incoming::read(line) {
        Some(Incoming::Ok { .. }) => Some(true),
        Some(Incoming::Err { .. }) => Some(false),
        _ if line.starts_with(r#"{"ok":"#) => Some(true),
        _ => line.starts_with(r#"{"err":"#).then_some(false),
    }
}

fn password(name: &str) -> io::Result<String> {
    if io::stdin().is_terminal() {
        let password = secret::ask(&format!("Password of {name}: "))?;
        return password.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no password was given"));
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// How long the answer to this line may take.
fn patience(line: &str) -> Duration {
    let waits = parse(line.as_bytes()).ok().flatten().and_then(|command| command.waits());
    waits.map_or(ANSWER, |seconds| ANSWER + Duration::from_secs(seconds))
}

/// Sends a line and prints everything up to its answer; returns whether that was OK.
fn exchange(link: &mut Link, happenings: &Receiver<Happening>, line: &str, show_protocol: bool) -> Result<bool, Failed> {
    if show_protocol {
        print(&format!("--> {}", without_password(line)))?;
    }
    link.send(line)?;
    let patience = patience(line);
    loop {
        match happenings.recv_timeout(patience) {
            Ok(Happening::Line(_, text)) => {
                print(&marked(&text, show_protocol))?;
                if let Some(is_ok) = answer(&text) {
                    return Ok(is_ok);
                }
            }
            Ok(Happening::Lost(_, why)) => return Err(io::Error::other(format!("the connection was lost: {why}")).into()),
            Ok(Happening::Typed(_)) => {}
            Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not answer").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ANSWER, Duration, patience};

    #[test]
    fn a_command_that_waits_is_given_its_time() {
        for (line, seconds) in [("WAIT", 60), ("WAIT inbox", 60), ("wait #ops since 42 3600", 3600), ("PING", 0), ("WIAT", 0)] {
            assert_eq!(patience(line), ANSWER + Duration::from_secs(seconds), "{line}");
        }
    }
}
