//! The person's side: asking and showing. At a terminal lines can be edited, and what happens appears above the line being
//! typed; elsewhere, plain prompts and lines, so that a script can drive the menu.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor, ExternalPrinter};

use crate::menu::link::Happening;

/// Things that may have happened and are not looked at yet; the connection waits beyond it.
const QUEUE: usize = 1024;

/// What the person did at a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// A line.
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D, or the end of a script.
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

/// See the module.
pub struct Terminal {
    prompts: SyncSender<String>,
    printer: Option<Box<dyn ExternalPrinter + Send>>,
    happenings: Receiver<Happening>,
    queue: SyncSender<Happening>,
    colour: bool,
    /// A prompt is shown, and what is typed has not come.
    pub is_asking: bool,
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
        let colour = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
        let mut printer: Option<Box<dyn ExternalPrinter + Send>> = None;
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            let mut editor = Editor::<(), MemHistory>::with_history(Config::default(), MemHistory::new())
                .context("the terminal cannot be used")?;
            printer = Some(Box::new(editor.create_external_printer().context("the terminal cannot be used")?));
            std::thread::spawn(move || edit(&mut editor, &asked, &typed));
        } else {
            std::thread::spawn(move || read(&asked, &typed));
        }
        Ok(Self { prompts, printer, happenings, queue, colour, is_asking: false })
    }

    /// Where connections put what happens.
    pub fn queue(&self) -> SyncSender<Happening> {
        self.queue.clone()
    }

    /// Shows a line.
    pub fn show(&mut self, look: Look, line: &str) {
        let style = match look {
            Look::Plain => Style::new(),
            Look::Bold => Style::new().bold(),
            Look::Dim => Style::new().dimmed(),
            Look::Red => AnsiColor::Red.on_default(),
        };
        let line = if self.colour { format!("{style}{line}{style:#}\n") } else { format!("{line}\n") };
        // A terminal that is gone shows nothing; the next question finds that out.
        let _ = match &mut self.printer {
            Some(printer) if self.is_asking => printer.print(line).map_err(drop),
            _ => io::stdout().write_all(line.as_bytes()).and_then(|()| io::stdout().flush()).map_err(drop),
        };
    }

    /// Begins to ask, unless something is being asked already: then what is typed there is the answer.
    pub fn ask(&mut self, prompt: &str) {
        if self.is_asking {
            self.show(Look::Plain, prompt);
        } else if self.prompts.send(prompt.to_owned()).is_ok() {
            self.is_asking = true;
        }
    }

    /// The next thing that happens.
    pub fn next(&mut self, deadline: Option<std::time::Instant>) -> Option<Happening> {
        let happening = match deadline {
            None => self.happenings.recv().ok(),
            Some(deadline) => self.happenings.recv_timeout(deadline.saturating_duration_since(std::time::Instant::now())).ok(),
        };
        self.is_asking &= !matches!(happening, Some(Happening::Typed(_)));
        happening
    }

    /// A password, typed without echo; `None` at the end of input.
    pub fn password(&mut self, prompt: &str) -> Option<String> {
        if self.printer.is_some() {
            return rpassword::prompt_password(prompt).ok();
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

/// Asks with editing and history until nobody asks any more.
fn edit(editor: &mut Editor<(), MemHistory>, asked: &Receiver<String>, typed: &SyncSender<Happening>) {
    for prompt in asked {
        let typed_now = match editor.readline(&prompt) {
            Ok(line) => {
                // A history that is full forgets its oldest line by itself.
                let _ = editor.add_history_entry(line.as_str());
                Typed::Line(line)
            }
            Err(ReadlineError::Interrupted) => Typed::Interrupt,
            Err(_) => Typed::End,
        };
        if typed.send(Happening::Typed(typed_now)).is_err() {
            return;
        }
    }
}

/// The same for what is no terminal.
fn read(asked: &Receiver<String>, typed: &SyncSender<Happening>) {
    let mut lines = io::stdin().lock().lines();
    for prompt in asked {
        let _ = io::stdout().write_all(prompt.as_bytes()).and_then(|()| io::stdout().flush());
        let typed_now = match lines.next() {
            Some(Ok(line)) => {
                // The end of the line that a terminal would have echoed.
                let _ = io::stdout().write_all(b"\n");
                Typed::Line(line)
            }
            _ => Typed::End,
        };
        if typed.send(Happening::Typed(typed_now)).is_err() {
            return;
        }
    }
}
