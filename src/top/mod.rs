//! `linechat top`: how the servers are, looked at again and again, at a terminal.
//!
//! It owns what it has read of each server, and the terminal while it runs. It is a client of what every server tells those who watch
//! it, and must never ask for more. Whatever way it ends, the terminal is left as it was found.

mod figures;
mod screen;
mod source;
mod watch;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use figures::Server;
use screen::View;
use source::Source;
use watch::News;

pub use source::unanswered;

/// How long a key waits at most until it is heard.
const KEYS: Duration = Duration::from_millis(50);
/// Rounds of looks that may wait to be shown; with more, the servers are not looked at.
const QUEUE: usize = 2;

/// Which servers to look at, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where servers tell their metrics over HTTP.
    pub urls: Vec<String>,
    /// The operator's socket of the server to ask when there are no addresses.
    pub socket: PathBuf,
    /// Whether one table is all that is wanted.
    pub once: bool,
}

/// Looks at the servers until the person has seen enough. Returns what is to be printed.
///
/// # Errors
/// When an address is none, or there is no terminal; says what to do. With `once` also when no server answers.
pub fn run(options: &Options) -> Result<String> {
    let sources = match &options.urls[..] {
        [] => vec![Source::Socket(options.socket.clone())],
        urls => urls.iter().map(|url| Source::at(url)).collect::<Result<_>>()?,
    };
    let mut servers: Vec<_> = sources.iter().map(|source| Server::new(source.to_string())).collect();
    if options.once {
        for looks in watch::twice(sources)? {
            servers.iter_mut().zip(looks).for_each(|(server, look)| server.add(look));
        }
        if let Some(why) = servers.iter().find_map(|server| server.error()).filter(|_| servers.iter().all(Server::is_gone)) {
            bail!("{why}");
        }
        return Ok(screen::table(&servers));
    }
    if !io::stdout().is_terminal() {
        bail!("this is no terminal; for one table, give --once");
    }
    let (tell, told) = sync_channel(QUEUE);
    watch::begin(sources, tell)?;
    let mut terminal = Terminal::take()?;
    show(&mut terminal.0, &told, servers)?;
    Ok(String::new())
}

/// The terminal, which is given back when this is dropped; also after a panic, by ratatui's hook.
struct Terminal(DefaultTerminal);

impl Terminal {
    fn take() -> Result<Self> {
        Ok(Self(ratatui::try_init().context("the terminal cannot be drawn on; for one table, give --once")?))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Draws whenever there is something new, until the person or a signal ends it.
fn show(terminal: &mut DefaultTerminal, told: &Receiver<News>, mut servers: Vec<Server>) -> Result<()> {
    let mut view = View::of(&servers);
    let mut is_new = true;
    loop {
        if is_new {
            terminal.draw(|frame| view.draw(frame, &servers)).context("the terminal is gone")?;
        }
        is_new = match told.try_recv() {
            Ok(News::Looks(looks)) => {
                servers.iter_mut().zip(looks).for_each(|(server, look)| server.add(look));
                true
            }
            Ok(News::End) | Err(TryRecvError::Disconnected) => return Ok(()),
            Err(TryRecvError::Empty) => false,
        };
        if event::poll(KEYS).context("the terminal is gone")? {
            match event::read().context("the terminal is gone")? {
                Event::Key(key) if is_quit(key) => return Ok(()),
                Event::Key(key) => view.press(key.code, servers.len()),
                _ => {}
            }
            is_new = true;
        }
    }
}

fn is_quit(KeyEvent { code, modifiers, kind, .. }: KeyEvent) -> bool {
    let is_interrupt = modifiers.contains(KeyModifiers::CONTROL) && matches!(code, KeyCode::Char('c' | 'd'));
    kind == KeyEventKind::Press && (code == KeyCode::Char('q') || is_interrupt)
}
