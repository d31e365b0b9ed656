//! A password, typed at a terminal that does not show it.

use std::io::{self, BufRead, Write};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

const CTRL_C: u8 = 3;

/// The terminal as it was, which it is again at the end.
struct Before(Termios);

impl Drop for Before {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// No password: the line that was begun is ended as any other.
fn without() -> io::Result<Option<String>> {
    io::stdout().write_all(b"\n")?;
    Ok(None)
}

/// Asks at the terminal that is standard input; `None` for Ctrl-C and for Ctrl-D at an empty line.
///
/// # Errors
/// When the terminal is gone, or what was typed is not UTF-8.
pub fn ask(prompt: &str) -> io::Result<Option<String>> {
    let before = Before(tcgetattr(io::stdin())?);
    let mut hidden = before.0.clone();
    hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    hidden.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON);
    // A signal would leave the terminal as it is now; so Ctrl-C only ends the line.
    hidden.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
    // Before the prompt: who is quick would see the first letters otherwise.
    tcsetattr(io::stdin(), OptionalActions::Now, &hidden)?;
    io::stdout().write_all(prompt.as_bytes()).and_then(|()| io::stdout().flush())?;
    let mut line = Vec::new();
    loop {
        let mut input = io::stdin().lock();
        let part = input.fill_buf()?;
        let (length, last) = (part.len(), part.last().copied());
        line.extend_from_slice(part);
        input.consume(length);
        match last {
            Some(b'\n') => break,
            Some(CTRL_C) => return without(),
            None if line.is_empty() => return without(),
            None => break,
            Some(_) => {}
        }
    }
    let text = String::from_utf8(line).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a password is UTF-8"))?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}
