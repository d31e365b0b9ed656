//! The person's side: asking and showing. At a terminal lines can be edited, and what happens appears above the line being
//! typed; elsewhere, plain prompts and lines, so that a script can drive the menu.

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

/// Things that may have happened and are not looked at yet; the connection waits beyond it.
const QUEUE: usize = 1024;

/// What the person did at a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// A line.
    Line(String),
    /// Bytes that are no text.
    NotText,
    /// Ctrl-C at an empty line; elsewhere it takes back what was typed.
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
    /// Where lines can be edited.
    screen: Option<Screen>,
    /// The line being typed is not empty.
    draft: Arc<AtomicBool>,
    happenings: Receiver<Happening>,
    queue: SyncSender<Happening>,
    colour: bool,
    /// A terminal shows what is typed, and the end of its line.
    echoes: bool,
    /// What is being asked, while what is typed has not come.
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
        let draft = Arc::new(AtomicBool::new(false));
        // Where a build machine is suspected, the library colours even for a terminal that has no colours.
        let colour = can_move_its_cursor() && anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
        let echoes = io::stdin().is_terminal();
        let screen = if echoes && io::stdout().is_terminal() && can_move_its_cursor() {
            let config = Config::builder().auto_add_history(false).build();
            let mut editor = Editor::with_history(config, MemHistory::new()).context("the terminal cannot be used")?;
            let screen = Screen::new(editor.create_external_printer().context("the terminal cannot be used")?);
            editor.set_helper(Some(Watch(Arc::clone(&draft))));
            let own = screen.clone();
            std::thread::spawn(move || edit(&mut editor, &own, &asked, &typed));
            Some(screen)
        } else {
            std::thread::spawn(move || read(&asked, &typed));
            None
        };
        Ok(Self { prompts, screen, draft, happenings, queue, colour, echoes, asking: None })
    }

    /// Where connections put what happens.
    pub fn queue(&self) -> SyncSender<Happening> {
        self.queue.clone()
    }

    /// Shows a line. No byte of it is obeyed by the terminal, wherever it came from.
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
            // Below the prompt, and then the prompt again: there is no way above it.
            (None, Some(prompt)) => print(&format!("\n{line}{prompt}")),
            (_, None) => print(&line),
        }
    }

    /// Begins to ask, unless something is being asked already: then what is typed there is the answer.
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

    /// Whether a line has been begun at a prompt and not ended.
    pub fn has_draft(&self) -> bool {
        self.asking.is_some() && self.draft.load(Ordering::SeqCst)
    }

    /// The next thing that happens.
    pub fn next(&mut self, deadline: Option<Instant>) -> Option<Happening> {
        let happening = match deadline {
            None => self.happenings.recv().ok(),
            Some(deadline) => self.happenings.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok(),
        };
        if matches!(happening, Some(Happening::Typed(_))) && self.asking.take().is_some() {
            match &self.screen {
                Some(screen) => print(&screen.settle()),
                // The end of the line that a terminal would have shown.
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

/// What cannot be printed has nobody who would read it; the next question finds that out.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
}

/// The terminals for which rustyline knows that they cannot are asked plainly.
fn can_move_its_cursor() -> bool {
    let term = std::env::var("TERM").unwrap_or_default().to_lowercase();
    !["", "dumb", "cons25", "emacs"].contains(&term.as_str())
}

/// Watches the line being typed. The other things that rustyline's helpers may do are not done.
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
    let draft = editor.helper().map(|watch| Arc::clone(&watch.0)).unwrap_or_default();
    for prompt in asked {
        let typed_now = loop {
            match editor.readline(&prompt) {
                Ok(line) => {
                    // A history that is full forgets its oldest line by itself.
                    let _ = editor.add_history_entry(line.as_str());
                    break Typed::Line(line);
                }
                Err(ReadlineError::Interrupted) if draft.swap(false, Ordering::SeqCst) => {}
                Err(ReadlineError::Interrupted) => break Typed::Interrupt,
                Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::InvalidData => break Typed::NotText,
                Err(_) => break Typed::End,
            }
        };
        draft.store(false, Ordering::SeqCst);
        screen.set_typing(false);
        if typed.send(Happening::Typed(typed_now)).is_err() {
            return;
        }
    }
}

/// The same for what is no terminal, or one that cannot do it. The prompts are printed already.
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
