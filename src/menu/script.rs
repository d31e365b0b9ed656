//! `linechat menu -c 'MSG nina hi'`: commands without a menu. The server's lines are printed as they arrive.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::menu::link::{Happening, Link, without_password};
use crate::menu::servers::Servers;
use crate::menu::{Options, Outcome, UNPRINTED, secret};
use crate::wire::{Incoming, incoming, parse};

/// How long an answer may take, beyond the time for which a command was asked to wait.
const ANSWER: Duration = Duration::from_secs(30);
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
    Ok(outcome)
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
    let mark = if show_protocol { "<-- " } else { "" };
    let patience = patience(line);
    loop {
        match happenings.recv_timeout(patience) {
            Ok(Happening::Line(_, text)) => {
                print(&format!("{mark}{text}"))?;
                match incoming::read(&text) {
                    Some(Incoming::Ok { .. }) => return Ok(true),
                    Some(Incoming::Err { .. }) => return Ok(false),
                    _ => {}
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
