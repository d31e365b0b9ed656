//! A password, typed at a terminal that does not show it.
//!
//! It owns the terminal's echo while it asks, and must never leave it off.

use std::io::{self, BufRead, Write};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

const CTRL_C: u8 = 3;

/// The terminal's settings before; dropping this restores them.
struct Before(Termios);

impl Drop for Before {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to restore.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Returns no password, and ends the line on the screen.
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
    // Ctrl-C only ends the line: a signal would leave the terminal without echo.
    hidden.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
    // Set before the prompt is shown: the first letters of a quick typist would be visible otherwise.
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
