//! The person's side: asking and showing. At a terminal, lines can be edited, and events appear above the line being typed.
//! Elsewhere there are plain prompts and lines, so that a script can drive the menu.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use textwrap::{Options, WordSplitter};
use unicode_width::UnicodeWidthStr;

use crate::menu::editor::{self, Draft, Question};
use crate::menu::link::Happening;
use crate::menu::screen::Screen;
use crate::menu::secret;
use crate::menu::window::columns;
use crate::wire::text::visible;

/// How many happenings may wait to be handled; with more, the connection waits.
const QUEUE: usize = 1024;
/// How long it may take until a line that is taken away has ended: it is drawn once more.
const WITHDRAW: Duration = Duration::from_secs(5);
/// How long the editor has to show what came last, before the line is taken away; and how soon it is tried again where the line had
/// not begun to be read.
const AGAIN: Duration = Duration::from_millis(10);

/// Before each further row of a line.
const ROW_INDENT: &str = "  ";

/// What the person did at a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// A line.
    Line(String),
    /// Lines that were pasted at once, blank ones left out.
    Pasted(Vec<String>),
    /// The part of a line that was typed before the question was taken back.
    Withdrawn(String),
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
    prompts: SyncSender<Question>,
    /// Present when lines can be edited.
    screen: Option<Screen>,
    draft: Draft,
    happenings: Receiver<Happening>,
    queue: SyncSender<Happening>,
    colour: bool,
    /// Whether input is a terminal, which shows what is typed and the end of the line.
    echoes: bool,
    /// The question that has not been answered yet.
    asking: Option<String>,
    failure: Arc<OnceLock<io::Error>>,
}

impl Terminal {
    /// Takes the terminal, or standard input and output.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub fn open() -> Result<Self> {
        let (prompts, asked) = sync_channel(1);
        let (queue, happenings) = sync_channel(QUEUE);
        let (typed, draft) = (queue.clone(), Draft::default());
        // When the library believes to be on a build machine, it colours even for a terminal that has no colours.
        let colour = can_move_its_cursor() && anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
        let echoes = io::stdin().is_terminal();
        let screen = if echoes && io::stdout().is_terminal() && can_move_its_cursor() {
            Some(editor::start(&draft, asked, typed)?)
        } else {
            std::thread::spawn(move || read(&asked, &typed));
            None
        };
        Ok(Self { prompts, screen, draft, happenings, queue, colour, echoes, asking: None, failure: Arc::default() })
    }

    /// Why something could not be printed, as soon as that has happened.
    pub fn failure(&self) -> Arc<OnceLock<io::Error>> {
        Arc::clone(&self.failure)
    }

    /// Where connections put their happenings.
    pub fn queue(&self) -> SyncSender<Happening> {
        self.queue.clone()
    }

    /// Shows a line, broken between words where the terminal is narrower. The terminal obeys no byte of it, wherever it came from.
    pub fn show(&mut self, look: Look, line: &str) {
        let style = match look {
            Look::Plain => Style::new(),
            Look::Bold => Style::new().bold(),
            Look::Dim => Style::new().dimmed(),
            Look::Red => AnsiColor::Red.on_default(),
        };
        // A tab is as wide as the terminal likes.
        let line = self.fold(&visible(line).replace('\t', " "));
        let line = if self.colour { format!("{style}{line}{style:#}\n") } else { format!("{line}\n") };
        match (&self.screen, &self.asking) {
            (Some(screen), Some(_)) => screen.show(&line),
            // The line goes below the prompt, and the prompt is repeated: there is no way to print above it.
            (None, Some(prompt)) => self.print(&format!("\n{line}{prompt}")),
            (_, None) => self.print(&line),
        }
    }

    /// The line in rows of the terminal. What follows the first is indented, so that what somebody says does not begin a row like
    /// somebody else's line. A long word stays whole if it may be a link, so that it can be copied.
    fn fold(&self, line: &str) -> String {
        let columns = if self.can_edit() { columns().unwrap_or_default() } else { 0 };
        if columns <= ROW_INDENT.len() || line.width() <= columns {
            return line.to_owned();
        }
        let is_strange = |word: &str| ROW_INDENT.len() + word.width() > columns && !word.bytes().all(is_of_link);
        let options = Options::new(columns).break_words(line.split(' ').any(is_strange));
        textwrap::fill(line, options.word_splitter(WordSplitter::NoHyphenation).subsequent_indent(ROW_INDENT))
    }

    /// Asks a question. If another one is still open, the line being typed there becomes the answer to this one.
    pub fn ask(&mut self, prompt: &str) {
        self.ask_on(prompt, String::new());
    }

    /// The same with what the person has typed of the answer before; it can be edited.
    pub fn ask_on(&mut self, prompt: &str, kept: String) {
        if self.asking.is_some() && self.screen.is_some() {
            return self.show(Look::Plain, prompt);
        }
        if self.asking.is_some() {
            self.print("\n");
        } else if self.prompts.send(Question { prompt: prompt.to_owned(), kept }).is_err() {
            return;
        }
        match &self.screen {
            Some(screen) => screen.set_typing(true),
            None => self.print(prompt),
        }
        self.asking = Some(prompt.to_owned());
    }

    /// Takes back the question that is open. Returns what was typed of its answer, or what ended that just before; `None` where
    /// nothing is asked, or lines cannot be edited. Whatever else has happened is forgotten: it was of a connection that is lost.
    pub fn withdraw(&mut self) -> Option<Typed> {
        let end = Instant::now() + WITHDRAW;
        while self.can_edit() && self.asking.is_some() && Instant::now() < end {
            if let Some(Happening::Typed(typed)) = self.next(Some(Instant::now() + AGAIN)) {
                return Some(typed);
            }
            self.draft.withdraw();
        }
        None
    }

    /// Whether lines can be edited.
    pub fn can_edit(&self) -> bool {
        self.screen.is_some()
    }

    /// Whether a line has been begun at a prompt but not ended.
    pub fn has_unfinished_line(&self) -> bool {
        self.asking.is_some() && self.draft.has_begun()
    }

    /// The next thing that happens; `None` at the deadline.
    pub fn next(&mut self, deadline: Option<Instant>) -> Option<Happening> {
        let happening = match deadline {
            None => self.happenings.recv().ok(),
            Some(deadline) => self.happenings.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok(),
        };
        if matches!(happening, Some(Happening::Typed(_))) && self.asking.take().is_some() {
            match self.screen.as_ref().map(Screen::settle) {
                Some(text) => self.print(&text),
                // Ends the line, as a terminal would have shown it.
                None if !self.echoes => self.print("\n"),
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

    /// Prints text. If nobody is reading, the next question finds that out; that it was lost is told in the end.
    fn print(&self, text: &str) {
        if let Err(error) = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
            self.failure.get_or_init(|| error);
        }
    }
}

/// Whether the terminal can move its cursor. Those that rustyline does not support get plain prompts.
fn can_move_its_cursor() -> bool {
    let term = std::env::var("TERM").unwrap_or_default().to_lowercase();
    !["", "dumb", "cons25", "emacs"].contains(&term.as_str())
}

/// Whether a link may hold this byte (RFC 3986): what looks like somebody's name and `>` is none.
fn is_of_link(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

/// Reads from what is not a terminal, or from a terminal without editing. The prompts are printed already.
fn read(asked: &Receiver<Question>, typed: &SyncSender<Happening>) {
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
