//! A person at a terminal: the client in a pty of its own, and the screen as that person sees it.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use vt100::{Parser, Screen};

use super::server::PATIENCE;

/// So high that a test's whole conversation is on the screen.
const ROWS: NonZeroU16 = NonZeroU16::new(900).expect("more than none");
const COLUMNS: NonZeroU16 = NonZeroU16::new(100).expect("more than none");

/// Killed when it is dropped.
pub struct Pty {
    child: Child,
    keyboard: File,
    seen: Arc<Seen>,
    /// Rows above this one were dealt with.
    mark: u16,
}

struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    parser: Parser,
    raw: Vec<u8>,
    has_ended: bool,
}

/// `linechat menu` with these arguments, as a command that can be changed.
pub fn menu(arguments: &[&str]) -> Command {
    let mut command = Command::new("setsid");
    command.args(["--ctty", env!("CARGO_BIN_EXE_linechat"), "menu"]).args(arguments);
    command.env("TERM", "xterm-256color").env("TZ", "UTC").env_remove("NO_COLOR").env_remove("COLORTERM");
    command
}

fn size(columns: NonZeroU16) -> Winsize {
    Winsize { ws_row: ROWS.get(), ws_col: columns.get(), ws_xpixel: 0, ws_ypixel: 0 }
}

impl Pty {
    /// Starts [`menu`] at a terminal of its own.
    pub fn start(arguments: &[&str]) -> Self {
        Self::run(menu(arguments))
    }

    /// Starts a command, which has to take its terminal with `setsid --ctty`.
    pub fn run(mut command: Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pty is free");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("a pty can be opened");
        tcsetwinsize(&master, size(COLUMNS)).expect("a pty has a size");
        let name = ptsname(&master, Vec::new()).expect("a pty has a name");
        let slave = || {
            File::from(open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).expect("it opens"))
        };
        let child = command.stdin(slave()).stdout(slave()).stderr(slave()).spawn().expect("setsid is installed");
        // The command holds the other ends: reading only ends when they are gone.
        drop(command);
        let keyboard = File::from(master);
        let output = keyboard.try_clone().expect("a file can be cloned");
        let state = State { parser: Parser::new(ROWS, COLUMNS, 0), raw: Vec::new(), has_ended: false };
        let seen = Arc::new(Seen { state: Mutex::new(state), changed: Condvar::new() });
        let own = Arc::clone(&seen);
        thread::spawn(move || own.watch(output));
        Self { child, keyboard, seen, mark: 0 }
    }

    /// Presses keys.
    pub fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Types a line; what is looked for from now on comes after it.
    pub fn enters(&mut self, line: &str) {
        self.ends_the_line(&format!("{line}\r"));
    }

    /// Presses keys of which the last ends the line at the cursor.
    pub fn ends_the_line(&mut self, keys: &str) {
        let (row, _) = self.state().parser.screen().cursor_position();
        self.mark = row + 1;
        self.types(keys);
    }

    /// Waits for a prompt of this text at the cursor, with nothing typed after it, and types a line there.
    pub fn answers(&mut self, prompt: &str, line: &str) {
        self.asks(prompt);
        self.enters(line);
    }

    /// Waits for a prompt of this text at the cursor, with nothing typed after it.
    pub fn asks(&mut self, prompt: &str) {
        let mark = self.mark;
        self.until(&format!("the prompt {prompt:?}"), |state| {
            let screen = state.parser.screen();
            let (row, column) = screen.cursor_position();
            let (first, line) = whole(&state.parser).pop()?;
            let typed = usize::from(row - first) * usize::from(screen.size().1.get()) + usize::from(column);
            (row >= mark && line.trim_end() == prompt.trim_end() && typed == prompt.chars().count()).then_some(())
        });
    }

    /// Waits for a line that holds this text; returns it.
    pub fn sees(&mut self, text: &str) -> String {
        let mark = self.mark;
        let (row, line) = self.until(&format!("{text:?}"), |state| {
            whole(&state.parser).into_iter().find(|(row, line)| *row >= mark && line.contains(text))
        });
        let cursor = self.state().parser.screen().cursor_position().0;
        self.mark = (row + 1).min(cursor);
        line
    }

    /// Waits for the line at the cursor to be this.
    pub fn sees_at_the_cursor(&mut self, wanted: &str) {
        self.until(&format!("at the cursor: {wanted:?}"), |state| {
            whole(&state.parser).pop().is_some_and(|(_, line)| line == wanted).then_some(())
        });
    }

    /// All lines that are on the screen, wrapped ones as one.
    pub fn screen(&self) -> Vec<String> {
        whole(&self.state().parser).into_iter().map(|(_, line)| line).collect()
    }

    /// What is made of the screen.
    pub fn picture<T>(&self, of: impl FnOnce(&Screen) -> T) -> T {
        of(self.state().parser.screen())
    }

    /// All bytes that the terminal was given.
    pub fn raw(&self) -> Vec<u8> {
        self.state().raw.clone()
    }

    /// The window gets another width, and wraps what it shows anew, as most terminals do.
    pub fn resizes(&mut self, columns: u16) {
        let columns = NonZeroU16::new(columns).expect("more than none");
        let seen = Arc::clone(&self.seen);
        let mut state = seen.state.lock().expect("no thread panics");
        let shown = lines(&state.parser);
        let (row, column) = state.parser.screen().cursor_position();
        let (first, last) = shown.last().expect("there is a row at the cursor");
        let at = (row - first) * state.parser.screen().size().1.get() + column;
        let mut parser = Parser::new(ROWS, columns, 0);
        shown.iter().take(shown.len() - 1).for_each(|(_, line)| parser.process(format!("{line}\r\n").as_bytes()));
        self.mark = parser.screen().cursor_position().0;
        parser.process(last.as_bytes());
        if usize::from(at) < last.chars().count() {
            let (row, column) = (self.mark + at / columns, at % columns);
            parser.process(format!("\x1b[{};{}H", row + 1, column + 1).as_bytes());
        }
        state.parser = parser;
        tcsetwinsize(&self.keyboard, size(columns)).expect("a pty has a size");
    }

    /// The window gets another width, and cuts off what it has no room for, as xterm and the console do.
    pub fn is_cut(&mut self, columns: u16) {
        self.is_sized(ROWS.get(), columns);
    }

    /// The same with another height, too.
    pub fn is_sized(&mut self, rows: u16, columns: u16) {
        let [high, wide] = [rows, columns].map(|size| NonZeroU16::new(size).expect("more than none"));
        self.state().parser.screen_mut().set_size(high, wide);
        let size = Winsize { ws_row: rows, ..size(wide) };
        tcsetwinsize(&self.keyboard, size).expect("a pty has a size");
    }

    /// Waits until the client has ended and all was read; its exit code.
    pub fn ends(&mut self) -> i32 {
        self.until("the end", |state| state.has_ended.then_some(()));
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status.code().unwrap_or(-1);
            }
            assert!(began.elapsed() < PATIENCE, "the client does not end");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.seen.state.lock().expect("no thread panics")
    }

    fn until<T>(&self, what: &str, mut look: impl FnMut(&State) -> Option<T>) -> T {
        let (began, mut state) = (Instant::now(), self.state());
        loop {
            if let Some(found) = look(&state) {
                return found;
            }
            let left = PATIENCE.saturating_sub(began.elapsed());
            let is_over = left.is_zero() || state.has_ended;
            assert!(!is_over, "waited in vain for {what}; from row {}:\n{}", self.mark, state.parser.screen().contents());
            state = self.seen.changed.wait_timeout(state, left).expect("no thread panics").0;
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Seen {
    fn watch(&self, mut output: File) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            // The end of a pty is an error.
            let length = output.read(&mut buffer).unwrap_or(0);
            let mut state = self.state.lock().expect("no thread panics");
            state.parser.process(&buffer[..length]);
            state.raw.extend_from_slice(&buffer[..length]);
            state.has_ended = length == 0;
            self.changed.notify_all();
            if length == 0 {
                return;
            }
        }
    }
}

/// The lines of a screen with their first rows.
fn lines(parser: &Parser) -> Vec<(u16, String)> {
    let screen = parser.screen();
    let mut lines: Vec<(u16, String)> = Vec::new();
    let mut is_continued = false;
    for (row, text) in (0..).zip(screen.rows(0, screen.size().1.get())).take(usize::from(screen.cursor_position().0) + 1) {
        match lines.last_mut().filter(|_| is_continued) {
            Some((_, line)) => line.push_str(&text),
            None => lines.push((row, text)),
        }
        is_continued = screen.row_wrapped(row);
    }
    lines
}

/// The same, and what the menu has broken between words as it was.
fn whole(parser: &Parser) -> Vec<(u16, String)> {
    let columns = usize::from(parser.screen().size().1.get());
    let mut whole: Vec<(u16, String)> = Vec::new();
    let mut width = 0;
    for (row, line) in lines(parser) {
        let goes_on = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ') && width + first_word(rest) >= columns);
        width = line.trim_end().chars().count().checked_sub(1).map_or(0, |last| last % columns + 1);
        match (whole.last_mut(), goes_on) {
            (Some((_, before)), Some(rest)) => *before = format!("{} {rest}", before.trim_end()),
            _ => whole.push((row, line)),
        }
    }
    whole
}

/// How long the first word is.
fn first_word(text: &str) -> usize {
    text.split(' ').next().unwrap_or_default().chars().count()
}
