//! The client's state: the connection, who one is on it, the channel one is in, and what was typed ahead.
//!
//! There is one queue of what happens, and two ways to wait on it: for an answer, and for the person. In both, events are shown
//! as they come, and a lost connection is said and mended if the person wants it.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::menu::Options;
use crate::menu::link::{Happening, Link, parse, with_port};
use crate::menu::terminal::{Look, Terminal, Typed};
use crate::wire::Incoming;
use crate::wire::incoming::Item;

/// How long an answer may take before the connection counts as lost.
const ANSWER: Duration = Duration::from_secs(30);

/// Why the client ends before its menu does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The person ended it.
    ByPerson,
    /// There is no connection, and none is wanted.
    Disconnected,
}

/// The connection is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

/// Whether a line may be sent again after the connection was lost on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It changes nothing the second time.
    Yes,
    /// Nobody knows what the first time did.
    No,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done: the lines of data, and what OK said after the verb.
    Ok(Vec<Item>, String),
    /// Refused: the code and the text.
    Err(String, String),
    /// The connection was lost before the answer came, and is back.
    Unknown,
}

/// Who one is, and how to become that again.
enum Identity {
    Guest,
    Account { name: String, password: String },
}

/// The channel one is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Without its `#`.
    pub name: String,
    /// The newest message that was shown.
    pub seen: u64,
}

/// See the module.
pub struct Client {
    pub(super) terminal: Terminal,
    link: Link,
    server: String,
    show_protocol: bool,
    identity: Identity,
    /// `name:id`.
    pub(super) who: String,
    pub(super) channel: Option<Channel>,
    ahead: VecDeque<Typed>,
    keys: u64,
    key_prefix: u64,
}

/// The name of `name:id`.
pub fn name_of(who: &str) -> &str {
    who.split_once(':').map_or(who, |(name, _)| name)
}

impl Client {
    /// Connects and becomes somebody, asking for what the options leave open.
    pub fn start(options: &Options, mut terminal: Terminal) -> Result<Self, Ended> {
        let (server, link) = connect(options, &mut terminal)?;
        // Unpredictable, so that the keys of two clients of one account never meet.
        let key_prefix = RandomState::new().hash_one(std::process::id());
        let mut client = Self {
            terminal,
            link,
            server,
            show_protocol: options.show_protocol,
            identity: Identity::Guest,
            who: String::new(),
            channel: None,
            ahead: VecDeque::new(),
            keys: 0,
            key_prefix,
        };
        client.greet().map_err(|Lost| Ended::Disconnected)?;
        match &options.login {
            Some(name) => client.log_in(name)?,
            None => client.take_name(options.name.as_deref())?,
        }
        let peer = client.link.peer();
        let (name, id) = client.who.split_once(':').unwrap_or((&client.who, ""));
        let lines =
            [format!("Successfully connected to server: {peer}"), format!("Client Name: {name}"), format!("Client ID: {id}")];
        lines.iter().for_each(|line| client.terminal.show(Look::Plain, line));
        Ok(client)
    }

    /// Waits for the HELLO of a new connection.
    fn greet(&mut self) -> Result<(), Lost> {
        let deadline = Instant::now() + ANSWER;
        loop {
            match self.line(deadline)? {
                Some(Incoming::Event(item)) if item.kind == "HELLO" => {
                    self.who = item.split::<3>().map(|([_, _, who], _)| who.to_owned()).ok_or(Lost)?;
                    return Ok(());
                }
                Some(Incoming::Err { text, .. }) => {
                    self.terminal.show(Look::Red, &text);
                    return Err(Lost);
                }
                _ => {}
            }
        }
    }

    fn take_name(&mut self, given: Option<&str>) -> Result<(), Ended> {
        let mut name = given.map(str::to_owned);
        loop {
            let wanted = match name.take() {
                Some(name) => name,
                None => self.question("Enter a username: ")?,
            };
            match self.command(&format!("NAME {}", wanted.trim()), Again::Yes)? {
                Answer::Ok(_, who) => {
                    self.who = who;
                    return Ok(());
                }
                other => self.show_refused(&other),
            }
        }
    }

    fn log_in(&mut self, name: &str) -> Result<(), Ended> {
        loop {
            let password = self.terminal.password(&format!("Password of {name}: ")).ok_or(Ended::ByPerson)?;
            let identity = Identity::Account { name: name.to_owned(), password };
            match self.become_again(&identity)? {
                Answer::Ok(..) => {
                    self.identity = identity;
                    return Ok(());
                }
                other => self.show_refused(&other),
            }
        }
    }

    fn become_again(&mut self, identity: &Identity) -> Result<Answer, Ended> {
        let line = match identity {
            Identity::Account { name, password } => format!("LOGIN {name} {password}"),
            Identity::Guest => format!("NAME {}", name_of(&self.who)),
        };
        let answer = self.command(&line, Again::No)?;
        if let Answer::Ok(_, fields) = &answer {
            self.who = fields.split(' ').next().unwrap_or_default().to_owned();
        }
        Ok(answer)
    }

    /// Whether one is an account, whose keys and inbox outlive the connection.
    pub(super) fn is_account(&self) -> bool {
        matches!(self.identity, Identity::Account { .. })
    }

    /// A key that no message of this user had before.
    pub(super) fn new_key(&mut self) -> String {
        self.keys += 1;
        format!("menu-{:016x}-{}", self.key_prefix, self.keys)
    }

    /// Sends a line and waits for its answer. When the connection is lost meanwhile and the person wants it back, the line is
    /// sent again if it may be.
    pub(super) fn command(&mut self, line: &str, again: Again) -> Result<Answer, Ended> {
        loop {
            match self.exchange(line) {
                Ok(answer) => return Ok(answer),
                Err(Lost) => self.reconnect()?,
            }
            if again == Again::No {
                return Ok(Answer::Unknown);
            }
        }
    }

    fn exchange(&mut self, line: &str) -> Result<Answer, Lost> {
        if self.show_protocol {
            // A password is typed without echo, and not echoed here either.
            let shown = match line.splitn(3, ' ').collect::<Vec<_>>()[..] {
                ["LOGIN", name, _] => format!("LOGIN {name} ***"),
                _ => line.to_owned(),
            };
            self.terminal.show(Look::Dim, &format!("--> {shown}"));
        }
        self.link.send(line).map_err(|_| Lost)?;
        let (deadline, mut data) = (Instant::now() + ANSWER, Vec::new());
        loop {
            match self.line(deadline)? {
                Some(Incoming::Data(item)) => data.push(item),
                Some(Incoming::Ok { fields, .. }) => return Ok(Answer::Ok(data, fields)),
                Some(Incoming::Err { code, text, .. }) => return Ok(Answer::Err(code, text)),
                Some(Incoming::Event(item)) => self.event(&item),
                None => {}
            }
        }
    }

    /// The next line of the server; what is typed meanwhile waits.
    fn line(&mut self, deadline: Instant) -> Result<Option<Incoming>, Lost> {
        loop {
            match self.terminal.next(Some(deadline)) {
                None => return Err(Lost),
                Some(Happening::Line(number, line)) if number == self.link.number => return Ok(self.read(&line)),
                Some(Happening::Lost(number)) if number == self.link.number => return Err(Lost),
                Some(Happening::Typed(typed)) => self.ahead.push_back(typed),
                Some(_) => {}
            }
        }
    }

    fn read(&mut self, line: &str) -> Option<Incoming> {
        if self.show_protocol {
            self.terminal.show(Look::Dim, &format!("<-- {line}"));
        }
        parse(line)
    }

    /// Waits for what the person types; `None` when the channel that one was in has ended meanwhile.
    pub(super) fn typed(&mut self, prompt: &str) -> Result<Option<Typed>, Ended> {
        if let Some(typed) = self.ahead.pop_front() {
            return Ok(Some(typed));
        }
        let was_in = self.channel.is_some();
        self.terminal.ask(prompt);
        loop {
            match self.terminal.next(None) {
                None => return Err(Ended::ByPerson),
                Some(Happening::Typed(typed)) => return Ok(Some(typed)),
                Some(Happening::Lost(number)) if number == self.link.number => {
                    self.reconnect()?;
                    if let Some(typed) = self.ahead.pop_front() {
                        return Ok(Some(typed));
                    }
                    self.terminal.ask(prompt);
                }
                Some(Happening::Line(number, line)) if number == self.link.number => {
                    if let Some(Incoming::Event(item)) = self.read(&line) {
                        self.event(&item);
                    }
                }
                Some(_) => {}
            }
            if was_in && self.channel.is_none() {
                return Ok(None);
            }
        }
    }

    /// Asks a question outside a channel.
    pub(super) fn question(&mut self, prompt: &str) -> Result<String, Ended> {
        match self.typed(prompt)? {
            Some(Typed::Line(line)) => Ok(line),
            _ => Err(Ended::ByPerson),
        }
    }

    /// The connection is lost: says so, and makes a new one if the person wants it.
    fn reconnect(&mut self) -> Result<(), Ended> {
        self.terminal.show(Look::Red, "The connection to the server was lost.");
        loop {
            self.terminal.ask("Reconnect? (y/n) ");
            let typed = loop {
                match self.terminal.next(None) {
                    Some(Happening::Typed(typed)) => break typed,
                    None => return Err(Ended::Disconnected),
                    Some(_) => {}
                }
            };
            match typed {
                Typed::Line(line) if ["", "y", "yes"].contains(&line.trim().to_lowercase().as_str()) => {}
                Typed::Line(line) if !["n", "no"].contains(&line.trim().to_lowercase().as_str()) => {
                    // It was being typed when the connection went: it is not lost, and says that one wants to go on.
                    self.ahead.push_back(Typed::Line(line));
                }
                _ => return Err(Ended::Disconnected),
            }
            match Link::open(&self.server, self.link.number + 1, self.terminal.queue()) {
                Ok(link) => {
                    self.link = link;
                    if self.restore()? {
                        return Ok(());
                    }
                }
                Err(error) => self.terminal.show(Look::Red, &format!("No connection: {error}.")),
            }
        }
    }

    /// Becomes who one was, where one was, on a new connection; false when that is lost too.
    fn restore(&mut self) -> Result<bool, Ended> {
        let before = self.who.clone();
        if self.greet().is_err() {
            return Ok(false);
        }
        let guest = std::mem::replace(&mut self.who, before);
        let identity = std::mem::replace(&mut self.identity, Identity::Guest);
        let answer = self.become_again(&identity);
        self.identity = identity;
        match answer? {
            Answer::Ok(..) => {}
            other => {
                self.who = guest;
                self.show_refused(&other);
            }
        }
        let who = self.who.clone();
        self.terminal.show(Look::Plain, &format!("Connected again. You are {who}."));
        self.resume_channel()?;
        Ok(true)
    }

    /// Shows why something was not done.
    pub(super) fn show_refused(&mut self, answer: &Answer) {
        match answer {
            Answer::Err(_, text) => self.terminal.show(Look::Red, &format!("Not done: {text}.")),
            Answer::Unknown => self
                .terminal
                .show(Look::Red, "The connection was lost before the answer came: it is not known whether it was done."),
            Answer::Ok(..) => {}
        }
    }
}

/// Connects to the server that was given, or asks for one until it answers.
fn connect(options: &Options, terminal: &mut Terminal) -> Result<(String, Link), Ended> {
    loop {
        let server = match &options.server {
            Some(server) => with_port(server),
            None => {
                let host = simple(terminal, "Enter the server IP Address: ")?;
                let port = simple(terminal, "Enter the server port: ")?;
                let host = if host.is_empty() { "localhost".to_owned() } else { host };
                with_port(&if port.is_empty() { host } else { format!("{host}:{port}") })
            }
        };
        match Link::open(&server, 0, terminal.queue()) {
            Ok(link) => return Ok((server, link)),
            Err(error) => terminal.show(Look::Red, &format!("Cannot connect to {server}: {error}.")),
        }
        if options.server.is_some() {
            return Err(Ended::Disconnected);
        }
    }
}

/// Asks before there is a connection.
fn simple(terminal: &mut Terminal, prompt: &str) -> Result<String, Ended> {
    terminal.ask(prompt);
    match terminal.next(None) {
        Some(Happening::Typed(Typed::Line(line))) => Ok(line.trim().to_owned()),
        _ => Err(Ended::ByPerson),
    }
}
