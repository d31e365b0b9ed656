//! What appears above the line that is being typed.
//!
//! When rustyline's printer is used at the moment in which a line ends, it may block until the next line is being typed. So a
//! separate thread waits for it, and then prints everything that has arrived meanwhile at once: a burst of lines is one redraw.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustyline::ExternalPrinter;

/// How many bytes of text may wait to be printed; with more, the network waits for the terminal.
const WAITING: usize = 256 * 1024;
/// How long the printer may take to finish its current text when a line has ended.
const IN_HAND: Duration = Duration::from_millis(100);

#[derive(Default)]
struct State {
    waiting: String,
    is_printing: bool,
    /// Whether a line is being typed: only then is the printer sure to make progress.
    is_typing: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// Lines that wait to be shown; a thread shows them.
#[derive(Clone, Default)]
pub struct Screen(Arc<Shared>);

impl Screen {
    /// A screen that prints with this printer.
    pub fn new(mut printer: impl ExternalPrinter + Send + 'static) -> Self {
        let screen = Self::default();
        let own = screen.clone();
        std::thread::spawn(move || {
            loop {
                let text = own.next();
                // If the terminal is gone, the next question finds that out.
                let _ = printer.print(text);
                own.change(|state| state.is_printing = false);
            }
        });
        screen
    }

    fn next(&self) -> String {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = self.0.changed.wait_while(state, |state| state.waiting.is_empty());
        let mut state = waiting.unwrap_or_else(PoisonError::into_inner);
        state.is_printing = true;
        std::mem::take(&mut state.waiting)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.changed.notify_all();
        changed
    }

    /// The person begins to type a line, or has ended one.
    pub fn set_typing(&self, is_typing: bool) {
        self.change(|state| state.is_typing = is_typing);
    }

    /// Shows text above the line being typed.
    pub fn show(&self, text: &str) {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut State| state.is_typing && state.waiting.len() > WAITING;
        let mut state = self.0.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        state.waiting.push_str(text);
        drop(state);
        self.0.changed.notify_all();
    }

    /// Call it when a line has ended: waits for the text that is being printed, and returns the text that has not been started.
    pub fn settle(&self) -> String {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = self.0.changed.wait_timeout_while(state, IN_HAND, |state| state.is_printing);
        let (mut state, _) = settled.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::Screen;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    /// A printer that blocks like rustyline's, until somebody takes its text.
    struct Blocking(SyncSender<String>);

    impl rustyline::ExternalPrinter for Blocking {
        fn print(&mut self, text: String) -> rustyline::Result<()> {
            let _ = self.0.send(text);
            Ok(())
        }
    }

    fn screen() -> (Screen, Receiver<String>) {
        let (sender, printed) = sync_channel(0);
        (Screen::new(Blocking(sender)), printed)
    }

    #[test]
    fn a_blocked_printer_blocks_nobody_and_nothing_is_lost() {
        let (screen, printed) = screen();
        (0..1000).for_each(|number| screen.show(&format!("{number}\n")));
        let back = screen.settle();
        // If the printer's thread has not begun yet, everything comes back.
        let first = if back.starts_with("0\n") { String::new() } else { printed.recv().unwrap() };
        assert_eq!(format!("{first}{back}"), (0..1000).map(|number| format!("{number}\n")).collect::<String>());
        screen.show("more\n");
        assert_eq!(printed.recv().unwrap(), "more\n");
        assert_eq!(screen.settle(), "");
    }
}
