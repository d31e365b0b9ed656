//! The person's side: asking and showing. At a terminal, lines can be edited, and events appear above the line being typed.
//! Elsewhere there are plain prompts and lines, so that a script can drive the menu.

use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, Result};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};

use crate::menu::link::Happening;
use crate::menu::screen::Screen;
use crate::menu::secret;
use crate::wire::text::visible;

/// How many happenings may wait to be handled; with more, the connection waits.
const QUEUE: usize = 1024;

/// What the person did at a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// A line.
    Line(String),
    /// Bytes that are not UTF-8.
    NotText,
    /// Ctrl-C at an empty line; at any other it clears the line.
    Interrupt,
    /// Ctrl-D at an empty line, or the end of a script.
    End,
}

/// How a line is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// As it is.
    Plain,
    /// A heading.
    Bold,
    /// The protocol's own lines.
    Dim,
    /// A mistake.
    Red,
}

/// Where the person types and reads: a terminal, or a pipe.
pub struct Terminal {
    prompts: SyncSender<String>,
    /// Present when lines can be edited.
    screen: Option<Screen>,
    /// Whether the line being typed is not empty.
    has_begun: Arc<AtomicBool>,
    happenings: Receiver<Happening>,
    queue: SyncSender<Happening>,
    colour: bool,
    /// Whether input is a terminal, which shows what is typed and the end of the line.
    echoes: bool,
    /// The question that has not been answered yet.
    asking: Option<String>,
}

impl Terminal {
    /// Takes the terminal, or standard input and output.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub fn open() -> Result<Self> {
        let (prompts, asked) = sync_channel(1);
        let (queue, happenings) = sync_channel(QUEUE);
        let typed = queue.clone();
        let has_begun = Arc::new(AtomicBool::new(false));
        // When the library believes to be on a build machine, it colours even for a terminal that has no colours.
        let colour = can_move_its_cursor() && anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
        let echoes = io::stdin().is_terminal();
        let screen = if echoes && io::stdout().is_terminal() && can_move_its_cursor() {
            let config = Config::builder().auto_add_history(false).build();
            let mut editor = Editor::with_history(config, MemHistory::new()).context("the terminal cannot be used")?;
            let screen = Screen::new(editor.create_external_printer().context("the terminal cannot be used")?);
            editor.set_helper(Some(Watch(Arc::clone(&has_begun))));
            let own = screen.clone();
            std::thread::spawn(move || edit(&mut editor, &own, &asked, &typed));
            Some(screen)
        } else {
            std::thread::spawn(move || read(&asked, &typed));
            None
        };
        Ok(Self { prompts, screen, has_begun, happenings, queue, colour, echoes, asking: None })
    }

    /// Where connections put their happenings.
    pub fn queue(&self) -> SyncSender<Happening> {
        self.queue.clone()
    }

    /// Shows a line. The terminal obeys no byte of it, wherever it came from.
    pub fn show(&mut self, look: Look, line: &str) {
        let style = match look {
            Look::Plain => Style::new(),
            Look::Bold => Style::new().bold(),
            Look::Dim => Style::new().dimmed(),
            Look::Red => AnsiColor::Red.on_default(),
        };
        let line = visible(line);
        let line = if self.colour { format!("{style}{line}{style:#}\n") } else { format!("{line}\n") };
        match (&self.screen, &self.asking) {
            (Some(screen), Some(_)) => screen.show(&line),
            // The line goes below the prompt, and the prompt is repeated: there is no way to print above it.
            (None, Some(prompt)) => print(&format!("\n{line}{prompt}")),
            (_, None) => print(&line),
        }
    }

    /// Asks a question. If another one is still open, the line being typed there becomes the answer to this one.
    pub fn ask(&mut self, prompt: &str) {
        if self.asking.is_some() && self.screen.is_some() {
            return self.show(Look::Plain, prompt);
        }
        if self.asking.is_some() {
            print("\n");
        } else if self.prompts.send(prompt.to_owned()).is_err() {
            return;
        }
        match &self.screen {
            Some(screen) => screen.set_typing(true),
            None => print(prompt),
        }
        self.asking = Some(prompt.to_owned());
    }

    /// Whether a line has been begun at a prompt but not ended.
    pub fn has_unfinished_line(&self) -> bool {
        self.asking.is_some() && self.has_begun.load(Ordering::SeqCst)
    }

    /// The next thing that happens; `None` at the deadline.
    pub fn next(&mut self, deadline: Option<Instant>) -> Option<Happening> {
        let happening = match deadline {
            None => self.happenings.recv().ok(),
            Some(deadline) => self.happenings.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok(),
        };
        if matches!(happening, Some(Happening::Typed(_))) && self.asking.take().is_some() {
            match &self.screen {
                Some(screen) => print(&screen.settle()),
                // Ends the line, as a terminal would have shown it.
                None if !self.echoes => print("\n"),
                None => {}
            }
        }
        happening
    }

    /// A password, typed without echo; `None` at the end of input.
    pub fn password(&mut self, prompt: &str) -> Option<String> {
        if self.echoes {
            return secret::ask(prompt).ok().flatten();
        }
        self.ask(prompt);
        loop {
            match self.next(None)? {
                Happening::Typed(Typed::Line(line)) => return Some(line),
                Happening::Typed(_) => return None,
                _ => {}
            }
        }
    }
}

/// Prints text. If that fails, nobody is reading; the next question finds that out.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
}

/// Whether the terminal can move its cursor. Those that rustyline does not support get plain prompts.
fn can_move_its_cursor() -> bool {
    let term = std::env::var("TERM").unwrap_or_default().to_lowercase();
    !["", "dumb", "cons25", "emacs"].contains(&term.as_str())
}

/// Watches the line being typed, and does nothing else that rustyline's helpers could do.
struct Watch(Arc<AtomicBool>);

impl Hinter for Watch {
    type Hint = String;

    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.0.store(!line.is_empty(), Ordering::SeqCst);
        None
    }
}

impl Completer for Watch {
    type Candidate = String;
}

impl Highlighter for Watch {}
impl Validator for Watch {}
impl Helper for Watch {}

/// Asks with editing and history until nobody asks any more.
fn edit(editor: &mut Editor<Watch, MemHistory>, screen: &Screen, asked: &Receiver<String>, typed: &SyncSender<Happening>) {
    let has_begun = editor.helper().map(|watch| Arc::clone(&watch.0)).unwrap_or_default();
    for prompt in asked {
        let typed_now = loop {
            match editor.readline(&prompt) {
                Ok(line) => {
                    // A full history forgets its oldest line by itself.
                    let _ = editor.add_history_entry(line.as_str());
                    break Typed::Line(line);
                }
                Err(ReadlineError::Interrupted) if has_begun.swap(false, Ordering::SeqCst) => {}
                Err(ReadlineError::Interrupted) => break Typed::Interrupt,
                Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::InvalidData => break Typed::NotText,
                Err(_) => break Typed::End,
            }
        };
        has_begun.store(false, Ordering::SeqCst);
        screen.set_typing(false);
        if typed.send(Happening::Typed(typed_now)).is_err() {
            return;
        }
    }
}

/// The same for input that is not a terminal, or for a terminal without editing. The prompts are printed already.
fn read(asked: &Receiver<String>, typed: &SyncSender<Happening>) {
    for _ in asked {
        let mut line = Vec::new();
        let typed_now = match io::stdin().lock().read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => Typed::End,
            Ok(_) => match String::from_utf8(line) {
                Ok(line) => {
                    Typed::Line(line.strip_suffix('\n').map_or(line.as_str(), |line| line.trim_end_matches('\r')).into())
                }
                Err(_) => Typed::NotText,
            },
        };
        if typed.send(Happening::Typed(typed_now)).is_err() {
            return;
        }
    }
}
