//! A window that changes its width while a line is being typed.
//!
//! Most terminals wrap what they show anew for the new width, and rustyline clears as many rows as the line had at the old one:
//! too many where the window grew, and lines that were received are gone; too few where it shrank, and the prompt is there twice.
//! So the cursor is first brought to where rustyline takes it to be, with nothing of the line left above it.
//!
//! It owns what it knows of the line, and must never write to the terminal itself.

use unicode_width::UnicodeWidthChar;

/// How many columns the terminal has now, if there is one.
pub fn columns() -> Option<usize> {
    terminal_size::terminal_size().map(|(width, _)| width.0.into())
}

/// A row and a column, counted from where the prompt begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    row: usize,
    column: usize,
}

impl Place {
    /// Where text of these parts ends in a window of this width.
    fn after<'a>(parts: impl IntoIterator<Item = &'a str>, columns: usize) -> Self {
        let (mut row, mut column) = (0, 0);
        for c in parts.into_iter().flat_map(str::chars) {
            let width = c.width().unwrap_or(0);
            column += width;
            if column > columns {
                (row, column) = (row + 1, width);
            }
        }
        if column == columns { Self { row: row + 1, column: 0 } } else { Self { row, column } }
    }
}

/// What is known of the line being typed and of the window.
#[derive(Debug, Default)]
pub struct Window {
    prompt: String,
    line: String,
    /// The width for which rustyline has drawn the line; 0 before it has drawn any.
    columns: usize,
}

/// Whether the terminal at hand wraps its lines anew when it gets another width.
pub fn wraps_anew() -> bool {
    let has = |name| std::env::var_os(name).is_some();
    let term = std::env::var("TERM").unwrap_or_default();
    // tmux does, and sets TERM to screen; screen itself, the console and xterm cut rows off instead.
    has("TMUX") || !(term == "linux" || term.starts_with("screen") || has("XTERM_VERSION"))
}

impl Window {
    /// A line begins with this prompt.
    pub fn begins(&mut self, prompt: &str) {
        *self = Self { prompt: prompt.to_owned(), ..Self::default() };
    }

    /// rustyline is about to draw this line, with the cursor before the byte `at`. Returns what the terminal has to be told first.
    pub fn draws(&mut self, line: &str, at: usize, columns: usize) -> Option<String> {
        let before = std::mem::replace(&mut self.columns, columns);
        let is_same = self.line == line;
        if before == 0 || before == columns {
            line.clone_into(&mut self.line);
            return None;
        }
        let end = Place::after([self.prompt.as_str(), &self.line], before);
        let is_drawn_anew = end.row > 0 || end.column >= columns;
        if !is_same || !is_drawn_anew {
            // A key came before the news of the new width did, or they needed no drawing.
            if is_drawn_anew {
                self.columns = before;
            }
            line.clone_into(&mut self.line);
            return None;
        }
        let typed = [self.prompt.as_str(), line.get(..at)?];
        let (cursor, mut now) = (Place::after(typed, before), Place::after(typed, columns));
        if at == line.len() {
            now.row = match (end.column, now.column) {
                // A line that filled its last row had a line feed after it, which stays one.
                (0, 1..) => now.row + 1,
                // One that fills it now has none: the cursor waits at the end of that row.
                (1.., 0) => now.row.saturating_sub(1),
                _ => now.row,
            };
        }
        let up = |rows: usize| if rows > 0 { format!("\x1b[{rows}A") } else { String::new() };
        Some(format!("{}\r\x1b[J{}{}", up(now.row), "\n".repeat(end.row), up(end.row - cursor.row)))
    }

    /// Whether the line has to be drawn as a whole: a row that was full before ended in a line feed, and only rows without one are
    /// wrapped anew.
    pub fn has_just_wrapped(&self, line: &str) -> bool {
        let end = Place::after([self.prompt.as_str(), line], self.columns.max(1));
        end.row > 0 && (1..=2).contains(&end.column)
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Window};

    #[test]
    fn wide_letters_are_not_cut_in_two() {
        let place = |row, column| Place { row, column };
        assert_eq!(Place::after(["> ", "123"], 10), place(0, 5));
        assert_eq!(Place::after(["> ", "12345678"], 10), place(1, 0));
        assert_eq!(Place::after(["> ", "1234567\u{65e5}"], 10), place(1, 2));
    }

    #[test]
    fn the_cursor_is_brought_to_where_the_line_begins() {
        let drawn = |line: &str, at, from, to| {
            let mut window = Window::default();
            window.begins("> ");
            assert_eq!(window.draws(line, at, from), None);
            window.draws(line, at, to)
        };
        let line = "x".repeat(88);
        assert_eq!(drawn(&line, 88, 40, 100).as_deref(), Some("\r\x1b[J\n\n"), "three rows are one");
        assert_eq!(drawn(&line, 88, 100, 40).as_deref(), Some("\x1b[2A\r\x1b[J"), "one row is three");
        assert_eq!(drawn(&line, 0, 40, 100).as_deref(), Some("\r\x1b[J\n\n\x1b[2A"));
        assert_eq!(drawn(&line, 88, 45, 100).as_deref(), Some("\x1b[1A\r\x1b[J\n\n"), "two full rows and a line feed");
        assert_eq!(drawn(&line, 88, 40, 90).as_deref(), Some("\r\x1b[J\n\n"), "it fills the row and has no line feed");
        assert_eq!(drawn("short", 5, 100, 40), None, "rustyline does not draw it anew either");
    }

    #[test]
    fn a_key_that_comes_first_changes_nothing() {
        let mut window = Window::default();
        window.begins("> ");
        let line = "x".repeat(88);
        assert_eq!(window.draws(&line, 88, 40), None);
        assert_eq!(window.draws(&format!("{line}y"), 89, 100), None);
        assert_eq!(window.draws(&format!("{line}y"), 89, 100).as_deref(), Some("\r\x1b[J\n\n"));
    }
}
