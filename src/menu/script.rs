//! `linechat menu -c 'MSG nina hi'`: commands without a menu. What the server writes is printed as it comes.

use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::menu::link::{parse, with_port};
use crate::menu::{Options, Outcome};
use crate::wire::Incoming;
use crate::wire::text::visible;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Runs the commands of the options, one after the other.
pub fn run(options: &Options) -> Outcome {
    match talk(options) {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("linechat: {error}");
            Outcome::Disconnected
        }
    }
}

fn talk(options: &Options) -> io::Result<Outcome> {
    let server = with_port(options.server.as_deref().unwrap_or("localhost"));
    let named = |error: io::Error| io::Error::new(error.kind(), format!("no connection to {server}: {error}"));
    let mut stream = TcpStream::connect(&server).map_err(named)?;
    stream.set_read_timeout(Some(ANSWER))?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut outcome = Outcome::Done;
    let name = options.name.as_ref().map(|name| format!("NAME {name}"));
    let login =
        options.login.as_ref().map(|name| password(name).map(|password| format!("LOGIN {name} {password}"))).transpose()?;
    for line in login.iter().chain(&name).chain(&options.commands) {
        stream.write_all(format!("{line}\n").as_bytes())?;
        let is_asked = !line.trim().is_empty();
        if is_asked && !answer(&mut lines)? {
            outcome = Outcome::Refused;
            // Who one is matters to all that follows.
            if Some(line) == login.as_ref() || Some(line) == name.as_ref() {
                break;
            }
        }
    }
    Ok(outcome)
}

fn password(name: &str) -> io::Result<String> {
    if io::stdin().is_terminal() {
        return rpassword::prompt_password(format!("Password of {name}: "));
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Prints lines up to the answer; whether that was OK.
fn answer(lines: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection before its answer"));
        }
        let text = String::from_utf8_lossy(&line);
        let text = visible(text.trim_end_matches(['\r', '\n']));
        writeln!(io::stdout(), "{text}")?;
        match parse(&text) {
            Some(Incoming::Ok { .. }) => return Ok(true),
            Some(Incoming::Err { .. }) => return Ok(false),
            _ => {}
        }
    }
}
