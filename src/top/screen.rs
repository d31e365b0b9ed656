//! What is shown of the servers: a table with a row for each, or one server as a whole; as wide as there is room for.
//!
//! It owns what the person has chosen to see. It must never show half a number: a column that has no room is left out.

use std::fmt::Write;

use ratatui::Frame;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph, Sparkline, Wrap};
use unicode_width::UnicodeWidthStr;

use crate::top::figures::Server;

/// The columns of the table, and which are left out first where there is no room: the highest.
const COLUMNS: [(&str, u8); 14] = [
    ("server", 0),
    ("state", 0),
    ("conns", 1),
    ("users", 4),
    ("cmds/s", 2),
    ("msgs/s", 1),
    ("lines/s", 3),
    ("in/s", 7),
    ("out/s", 6),
    ("p50", 8),
    ("p99", 2),
    ("refused/s", 5),
    ("buffered", 9),
    ("lag", 3),
];
/// From here on a figure that should be small is shown in red.
const SLOW_COMMIT: f64 = 0.25;

/// Columns of the name of a figure, and of the figure with it: two are side by side in 80.
const NAME: usize = 26;
const COLUMN: u16 = 40;
/// From this height on there is room for the course of messages below one server as a whole, in two columns.
const WHOLE: u16 = 20;

/// What is seen.
pub struct View {
    selected: usize,
    /// Whether it is one server as a whole.
    is_whole: bool,
}

fn known(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}

fn count(value: f64) -> String {
    match value {
        ..10.0 if value.fract() != 0.0 => format!("{value:.1}"),
        ..100_000.0 => format!("{value:.0}"),
        _ => scaled(value, 1000.0, &["", "k", "M", "G"]),
    }
}

fn bytes(value: f64) -> String {
    scaled(value, 1024.0, &["B", "K", "M", "G", "T"])
}

fn scaled(value: f64, by: f64, units: &[&str]) -> String {
    let (mut value, mut at) = (value, 0);
    while value >= by && at + 1 < units.len() {
        (value, at) = (value / by, at + 1);
    }
    if at == 0 || value >= 100.0 { format!("{value:.0}{}", units[at]) } else { format!("{value:.1}{}", units[at]) }
}

fn seconds(value: f64) -> String {
    match value {
        f64::INFINITY => ">4s".to_owned(),
        ..0.001 => format!("{:.0}µs", value * 1e6),
        ..1.0 => format!("{:.0}ms", value * 1e3),
        _ => format!("{value:.1}s"),
    }
}

/// How it is, in a word or two.
fn state(server: &Server) -> &'static str {
    match (server.is_gone(), server.gauge("linechat_cut_off"), server.gauge("linechat_ready")) {
        (true, ..) if server.error().is_some() => "no answer",
        (true, ..) => "…",
        (_, Some(1.0), _) => "cut off",
        (_, _, Some(0.0)) => "not ready",
        _ => "ready",
    }
}

fn row(server: &Server) -> [String; COLUMNS.len()] {
    [
        server.name.clone(),
        state(server).to_owned(),
        known(server.gauge("linechat_connections"), count),
        known(server.gauge("linechat_users_online"), count),
        known(server.commands(), count),
        known(server.messages(), count),
        known(server.rate("linechat_deliveries_total"), count),
        known(server.rate("linechat_received_bytes_total"), bytes),
        known(server.rate("linechat_sent_bytes_total"), bytes),
        known(server.commit(0.5), seconds),
        known(server.commit(0.99), seconds),
        known(server.refusals(), count),
        known(server.gauge("linechat_buffered_bytes"), bytes),
        known(server.gauge("linechat_replica_lag"), count),
    ]
}

/// Lines of a table that is at most so wide, the heads first.
fn lines(servers: &[Server], width: usize) -> Vec<String> {
    let heads = COLUMNS.map(|(head, _)| head.to_owned());
    let rows: Vec<_> = std::iter::once(heads).chain(servers.iter().map(row)).collect();
    let widths: Vec<usize> =
        (0..COLUMNS.len()).map(|at| rows.iter().map(|row| row[at].width()).max().unwrap_or_default()).collect();
    let mut shown: Vec<usize> = (0..COLUMNS.len()).collect();
    // Two spaces lie between columns.
    while shown.iter().map(|at| widths[*at] + 2).sum::<usize>() > width + 2 {
        let Some(last) = shown.iter().copied().filter(|at| COLUMNS[*at].1 > 0).max_by_key(|at| COLUMNS[*at].1) else { break };
        shown.retain(|at| *at != last);
    }
    let line = |row: &[String; COLUMNS.len()]| {
        let mut line = String::new();
        for at in &shown {
            let (text, room) = (&row[*at], widths[*at]);
            let padding = " ".repeat(room - text.width());
            // Words begin in line, numbers end so.
            let _ = if *at < 2 { write!(line, "{text}{padding}  ") } else { write!(line, "{padding}{text}  ") };
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// All columns, for `--once`: whoever reads that cuts it as they like.
pub fn table(servers: &[Server]) -> String {
    lines(servers, usize::MAX / 2).into_iter().map(|line| line + "\n").collect()
}

/// One server as a whole: a name and a value a line.
fn details(server: &Server) -> Vec<Line<'static>> {
    let limit = server.gauge("linechat_buffered_limit_bytes");
    let buffered = known(server.gauge("linechat_buffered_bytes"), bytes);
    let both = |one: Option<f64>, other: Option<f64>, show: fn(f64) -> String| {
        format!("{} / {}", known(one, show), known(other, show))
    };
    let slow = server.commit(0.99).is_some_and(|p99| p99 > SLOW_COMMIT);
    let damaged = server.gauge("linechat_damaged_entries_total").filter(|damaged| *damaged > 0.0);
    let word = |name, of| server.word(name, of).unwrap_or("-").to_owned();
    let rows = [
        ("state", state(server).to_owned(), state(server) != "ready"),
        ("version", word("linechat_build_info", "version"), false),
        ("journal", word("linechat_journal_info", "class"), false),
        ("connections", known(server.gauge("linechat_connections"), count), false),
        ("users online", known(server.gauge("linechat_users_online"), count), false),
        ("accounts / channels", both(server.gauge("linechat_accounts"), server.gauge("linechat_channels"), count), false),
        ("commands a second", known(server.commands(), count), false),
        ("messages a second", known(server.messages(), count), false),
        ("lines delivered a second", known(server.rate("linechat_deliveries_total"), count), false),
        (
            "bytes in / out a second",
            both(server.rate("linechat_received_bytes_total"), server.rate("linechat_sent_bytes_total"), bytes),
            false,
        ),
        ("commit p50 / p99", both(server.commit(0.5), server.commit(0.99), seconds), slow),
        ("catch-up reads a second", known(server.rate("linechat_catch_up_reads_total"), count), false),
        (
            "order / hashes waiting",
            both(server.gauge("linechat_order_queue"), server.gauge("linechat_hashes_waiting"), count),
            false,
        ),
        ("buffered", limit.map_or(buffered.clone(), |limit| format!("{buffered} of {}", bytes(limit))), false),
        ("behind its cluster", known(server.gauge("linechat_replica_lag"), count), false),
        ("index behind", known(server.gauge("linechat_search_lag"), count), false),
        ("damaged entries met", known(damaged, count), damaged.is_some()),
        ("memory", known(server.gauge("process_resident_memory_bytes"), bytes), false),
    ];
    let line = |(name, value, is_bad): (&str, String, bool)| {
        Line::styled(format!("{name:NAME$}{value}"), if is_bad { Color::Red } else { Color::Reset })
    };
    rows.into_iter().map(line).collect()
}

/// What was refused since its start, the most frequent code first.
fn refused(server: &Server) -> String {
    let codes = server.refusals_by_code().into_iter().map(|(code, times)| format!("{code} {}", count(times)));
    let codes = codes.collect::<Vec<_>>().join(", ");
    if codes.is_empty() { codes } else { format!("refused since its start: {codes}") }
}

/// All that is known of a server: in two columns where one would not have room.
fn draw_details(frame: &mut Frame<'_>, server: &Server, area: Rect) {
    let wrapped = |text: String, color: Color| Paragraph::new(text).style(color).wrap(Wrap { trim: true });
    if let Some(why) = server.error() {
        return frame.render_widget(wrapped(why.to_owned(), Color::Red), area);
    }
    let mut first = details(server);
    let is_low = first.len() >= usize::from(area.height) && area.width >= 2 * COLUMN;
    let second = if is_low { first.split_off(first.len().div_ceil(2)) } else { Vec::new() };
    let length = u16::try_from(first.len()).unwrap_or(u16::MAX);
    let [above, below] = Layout::vertical([Constraint::Length(length), Constraint::Min(0)]).areas(area);
    let refused = refused(server);
    if first.len() > usize::from(above.height) || below.is_empty() && !refused.is_empty() {
        first.truncate(usize::from(above.height).saturating_sub(1));
        first.push(Line::styled("… more in a larger window", Modifier::DIM));
    }
    let [left, right] =
        Layout::horizontal([Constraint::Length(if is_low { COLUMN } else { area.width }), Constraint::Min(0)]).areas(above);
    frame.render_widget(Paragraph::new(first), left);
    frame.render_widget(Paragraph::new(second), right);
    frame.render_widget(wrapped(refused, Color::Reset), below);
}

impl View {
    /// One server is seen as a whole, and many in a table.
    pub fn of(servers: &[Server]) -> Self {
        Self { selected: 0, is_whole: servers.len() == 1 }
    }

    /// A key that is not for leaving.
    pub fn press(&mut self, key: KeyCode, count: usize) {
        match key {
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.selected = (self.selected + 1).min(count - 1),
            KeyCode::Enter => self.is_whole = !self.is_whole,
            KeyCode::Esc => self.is_whole = false,
            _ => {}
        }
    }

    /// Draws all of it.
    pub fn draw(&self, frame: &mut Frame<'_>, servers: &[Server]) {
        let keys = if self.is_whole { " q quit  Enter table  ↑↓ server" } else { " q quit  Enter details  ↑↓ choose" };
        // In a low window the course of messages gives way.
        let course = if frame.area().height >= if self.is_whole { WHOLE } else { 12 } { 6 } else { 0 };
        let [head, body, low, foot] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(course), Constraint::Length(1)])
                .areas(frame.area());
        let name = match servers.len() {
            _ if self.is_whole => servers[self.selected].name.clone(),
            1 => "1 server".to_owned(),
            many => format!("{many} servers"),
        };
        frame.render_widget(Line::styled(format!(" linechat top: {name}"), Modifier::BOLD), head);
        if self.is_whole {
            draw_details(frame, &servers[self.selected], body);
        } else {
            self.draw_table(frame, servers, body);
        }
        let shown = if self.is_whole { &servers[self.selected..=self.selected] } else { servers };
        draw_course(frame, shown, low);
        frame.render_widget(Line::styled(keys, Modifier::DIM), foot);
    }

    fn draw_table(&self, frame: &mut Frame<'_>, servers: &[Server], area: Rect) {
        // Those above the chosen one scroll away where there is no room for all.
        let skipped = (self.selected + 2).saturating_sub(usize::from(area.height));
        let style = |number: usize| match number {
            0 => Style::new().add_modifier(Modifier::UNDERLINED),
            number if number == self.selected + 1 => Style::new().add_modifier(Modifier::REVERSED),
            number if state(&servers[number - 1]) == "ready" => Style::new(),
            _ => Style::new().fg(Color::Red),
        };
        let lines = lines(servers, usize::from(area.width)).into_iter().enumerate();
        let lines = lines.filter(|(number, _)| *number == 0 || *number > skipped);
        frame.render_widget(
            Paragraph::new(lines.map(|(number, line)| Line::styled(line, style(number))).collect::<Vec<_>>()),
            area,
        );
    }
}

/// Messages of each second, the newest on the right.
fn draw_course(frame: &mut Frame<'_>, servers: &[Server], area: Rect) {
    let length = servers.iter().map(|server| server.course.len()).max().unwrap_or(0).min(usize::from(area.width));
    let at = |back: usize| -> u64 {
        servers.iter().filter_map(|server| server.course.get(server.course.len().checked_sub(back)?)).sum()
    };
    let course: Vec<u64> = (1..=length).rev().map(at).collect();
    let most = course.iter().max().copied().unwrap_or(0);
    let title = format!(" messages a second, at most {most} ");
    let bars = Sparkline::default().data(course).style(Color::Green).block(Block::new().borders(Borders::TOP).title(title));
    frame.render_widget(bars, area);
}

#[cfg(test)]
mod tests {
    use super::{Server, bytes, count, lines, seconds};

    #[test]
    fn figures_are_short() {
        let counts = [0.0, 0.5, 12.4, 99_999.0, 123_456.0, 2_500_000.0].map(count);
        assert_eq!(counts, ["0", "0.5", "12", "99999", "123k", "2.5M"]);
        assert_eq!([0.0, 1023.0, 1536.0, 1e12].map(bytes), ["0B", "1023B", "1.5K", "931G"]);
        assert_eq!([0.000_05, 0.004, 4.0, f64::INFINITY].map(seconds), ["50µs", "4ms", "4.0s", ">4s"]);
    }

    #[test]
    fn a_narrow_table_has_fewer_columns_and_no_cut_ones() {
        let servers = [Server::new("127.0.0.1:9090".to_owned()), Server::new("ash:9090".to_owned())];
        let heads = |width| lines(&servers, width).remove(0).split_whitespace().collect::<Vec<_>>().join(" ");
        let all = "server state conns users cmds/s msgs/s lines/s in/s out/s p50 p99 refused/s buffered lag";
        assert_eq!((heads(200), heads(40)), (all.to_owned(), "server state conns msgs/s".to_owned()));
        for width in 24..130 {
            assert!(lines(&servers, width).iter().all(|line| line.chars().count() <= width), "{width}");
        }
    }
}
