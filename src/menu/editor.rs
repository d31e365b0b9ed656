//! The line being typed, at a terminal where it can be edited: rustyline asks for it in a thread of its own.
//!
//! It owns the line until it ends, and the client may take it away before that: then it is given back as it was. It must never
//! take a pasted line for one that was typed.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Write};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use rustix::process::{Signal, getpid, kill_process};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{ColorMode, Config, Context, Editor, Helper};

use crate::menu::link::Happening;
use crate::menu::screen::Screen;
use crate::menu::terminal::Typed;
use crate::menu::window::{Window, columns, wraps_anew};

/// A question, and what stands in its answer already.
#[derive(Debug)]
pub struct Question {
    /// The prompt.
    pub prompt: String,
    /// What the person typed of it before.
    pub kept: String,
}

#[derive(Debug, Default)]
struct State {
    text: String,
    /// Whether rustyline is reading: only then does it take the signal.
    is_reading: bool,
    is_withdrawn: bool,
}

/// The line being typed, as both threads see it.
#[derive(Debug, Clone, Default)]
pub struct Draft(Arc<Mutex<State>>);

impl Draft {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a line has been begun.
    pub fn has_begun(&self) -> bool {
        !self.state().text.is_empty()
    }

    /// Takes the line away, if it is being read: then [`Typed::Withdrawn`] follows, or what ended the line just before.
    pub fn withdraw(&self) {
        let mut state = self.state();
        if state.is_reading && !state.is_withdrawn {
            state.is_withdrawn = true;
            // Nothing else ends rustyline's reading: while it reads, it takes this signal for its Ctrl-C.
            let _ = kill_process(getpid(), Signal::INT);
        }
    }
}

/// Watches the line being typed, and does nothing else that rustyline's helpers could do.
struct Watch {
    draft: Draft,
    window: RefCell<Window>,
    wraps_anew: bool,
}

impl Hinter for Watch {
    type Hint = String;

    fn hint(&self, line: &str, at: usize, _: &Context<'_>) -> Option<String> {
        let mut state = self.draft.state();
        line.clone_into(&mut state.text);
        state.is_reading = true;
        drop(state);
        let columns = columns().unwrap_or_default();
        if let Some(first) = self.window.borrow_mut().draws(line, at, columns).filter(|_| self.wraps_anew) {
            // If the terminal is gone, rustyline finds that out.
            let _ = io::stdout().write_all(first.as_bytes()).and_then(|()| io::stdout().flush());
        }
        None
    }
}

impl Validator for Watch {
    /// The line is accepted in any case; from here on no signal reaches rustyline.
    fn validate(&self, _: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        self.draft.state().is_reading = false;
        Ok(ValidationResult::Valid(None))
    }
}

impl Highlighter for Watch {
    fn highlight_char(&self, line: &str, _: usize, kind: CmdKind) -> bool {
        kind == CmdKind::Other && self.window.borrow().has_just_wrapped(line)
    }
}

impl Completer for Watch {
    type Candidate = String;
}

impl Helper for Watch {}

/// Begins to ask with editing and history, until nobody asks any more.
///
/// # Errors
/// When the terminal cannot be used.
pub fn start(draft: &Draft, asked: Receiver<Question>, typed: SyncSender<Happening>) -> Result<Screen> {
    // Nothing is coloured here: without colours rustyline would not ask whether a line has to be drawn as a whole.
    let config = Config::builder().auto_add_history(false).color_mode(ColorMode::Forced).build();
    let mut editor = Editor::with_history(config, MemHistory::new()).context("the terminal cannot be used")?;
    let screen = Screen::new(editor.create_external_printer().context("the terminal cannot be used")?);
    editor.set_helper(Some(Watch { draft: draft.clone(), window: RefCell::default(), wraps_anew: wraps_anew() }));
    let (own, draft) = (screen.clone(), draft.clone());
    std::thread::spawn(move || {
        for question in asked {
            let typed_now = edit(&mut editor, &draft, question);
            own.set_typing(false);
            if typed.send(Happening::Typed(typed_now)).is_err() {
                return;
            }
        }
    });
    Ok(screen)
}

/// Asks one question.
fn edit(editor: &mut Editor<Watch, MemHistory>, draft: &Draft, Question { prompt, mut kept }: Question) -> Typed {
    loop {
        if let Some(watch) = editor.helper() {
            watch.window.borrow_mut().begins(&prompt);
        }
        let read = editor.readline_with_initial(&prompt, (&kept, ""));
        kept.clear();
        let State { text, is_withdrawn, .. } = std::mem::take(&mut *draft.state());
        match read {
            Ok(line) => {
                // A full history forgets its oldest line by itself.
                let _ = editor.add_history_entry(line.as_str());
                // Only a paste brings an end of line along.
                let lines = || line.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
                return if line.contains('\n') { Typed::Pasted(lines()) } else { Typed::Line(line) };
            }
            Err(ReadlineError::Interrupted) if is_withdrawn => return Typed::Withdrawn(text),
            Err(ReadlineError::Interrupted) if !text.is_empty() => {}
            Err(ReadlineError::Interrupted) => return Typed::Interrupt,
            Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::InvalidData => return Typed::NotText,
            Err(_) => return Typed::End,
        }
    }
}
