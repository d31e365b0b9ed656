//! The client's state: the connection, the person's identity on it, the channel they are in, and the lines that they typed
//! ahead.
//!
//! Everything that happens comes through one queue. There are two ways to wait for it: for an answer, and for the person.
//! Either way, events are shown as they arrive. A lost connection is reported, and made again if the person wants that.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::menu::channel::{Channel, Shown};
use crate::menu::link::{Happening, Link, without_password};
use crate::menu::servers::Servers;
use crate::menu::talk::Talk;
use crate::menu::terminal::{Look, Terminal, Typed};
use crate::wire::incoming::Item;
use crate::wire::{Incoming, Rejected, incoming, parse};

/// How long a server that owes an answer may be silent before the connection counts as lost.
const ANSWER: Duration = Duration::from_secs(20);
/// The longest line that the protocol allows, in bytes, its ending included.
const LINE_BYTES: usize = 4096;
/// The most that one answer may hold, in bytes: what the largest lists take many times over.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Why the client ends before its menu does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The person ended it.
    ByPerson,
    /// There is no connection, and the person does not want one.
    Disconnected,
    /// A script may not have the name that it was given, and nobody is there to choose another.
    Refused,
}

/// The connection is lost, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost(pub String);

/// Whether a line may be sent again when the connection was lost before its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Yes: the second time it changes nothing.
    Yes,
    /// No: nobody knows whether it took effect the first time.
    No,
}

/// The outcome of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done: the lines of data, and what OK said after the verb.
    Ok(Vec<Item>, String),
    /// Refused: the code and the text.
    Err(String, String),
    /// The connection was lost before the answer came, and is back.
    Unknown,
}

/// Who the person is, and how to become that again.
#[derive(Debug, Clone)]
pub(super) enum Identity {
    /// A guest, with the name that they took, if any.
    Guest(Option<String>),
    Account {
        name: String,
        password: String,
    },
}

/// One run of the menu client: what it is connected to, and what it knows.
pub struct Client {
    pub(super) terminal: Terminal,
    pub(super) link: Link,
    pub(super) servers: Servers,
    show_protocol: bool,
    pub(super) identity: Identity,
    /// `name:id`.
    pub(super) who: String,
    pub(super) channel: Option<Channel>,
    /// The other channels in which the person stays, having turned away from them.
    pub(super) others: Vec<Channel>,
    /// Whom the person talks with, outside a channel.
    pub(super) talk: Option<Talk>,
    /// How far the person's inbox was shown as messages came.
    pub(super) inbox: Shown,
    /// What is said while missed messages are being fetched.
    pub(super) held: Option<Vec<Item>>,
    pub(super) ahead: VecDeque<Typed>,
    /// What was typed of a line when the connection was lost: the next prompt begins with it.
    pub(super) kept: String,
    /// Whether the line being typed was meant for a channel that has ended.
    pub(super) is_stale: bool,
    /// Why what was typed for the last channel cannot be said there any more.
    pub(super) over: &'static str,
    keys: u64,
    key_prefix: u64,
}

/// The name of `name:id`; a network, which may be banned like a user, as it is.
pub fn name_of(who: &str) -> &str {
    let user = who.split_once(':').filter(|(_, id)| id.bytes().all(|byte| byte.is_ascii_digit()));
    user.map_or(who, |(name, _)| name)
}

impl Client {
    /// A client for a connection on which nothing was said yet.
    pub(super) fn over(link: Link, servers: Servers, terminal: Terminal, show_protocol: bool) -> Self {
        Self {
            terminal,
            link,
            servers,
            show_protocol,
            identity: Identity::Guest(None),
            who: String::new(),
            channel: None,
            others: Vec::new(),
            talk: None,
            inbox: Shown::default(),
            held: None,
            ahead: VecDeque::new(),
            kept: String::new(),
            is_stale: false,
            over: "",
            keys: 0,
            // Unpredictable, so that the keys of two clients of one account never meet.
            key_prefix: RandomState::new().hash_one(std::process::id()),
        }
    }

    /// Waits for the HELLO of a new connection.
    pub(super) fn greet(&mut self) -> Result<(), Lost> {
        match self.line(Instant::now() + ANSWER)? {
            Some(Incoming::Event(item)) if item.kind == "HELLO" => {
                let who = item.split::<3>().map(|([_, _, who], _)| who.to_owned());
                self.who = who.ok_or_else(|| Lost("the server's greeting is not understood".into()))?;
                Ok(())
            }
            Some(Incoming::Err { text, .. }) => Err(Lost(text)),
            _ => Err(Lost("what answers there is no linechat server".into())),
        }
    }

    /// Whether the person is an account, whose keys and inbox outlive the connection.
    pub(super) fn is_account(&self) -> bool {
        matches!(self.identity, Identity::Account { .. })
    }

    /// A key that no message of this user has had before.
    pub(super) fn new_key(&mut self) -> String {
        self.keys += 1;
        format!("menu-{:016x}-{}", self.key_prefix, self.keys)
    }

    /// Sends a line and waits for its answer. If the connection is lost meanwhile and the person wants it back, the line is
    /// sent again if `again` allows it.
    pub(super) fn command(&mut self, line: &str, again: Again) -> Result<Answer, Ended> {
        loop {
            match self.exchange(line) {
                // It is certain that nothing was done, and another server does it.
                Ok(Answer::Err(code, text)) if code == "SHUTTING_DOWN" && self.servers.are_many() => {
                    self.reconnect(&Lost(text))?;
                    continue;
                }
                Ok(answer) => return Ok(answer),
                Err(lost) => self.reconnect(&lost)?,
            }
            if again == Again::No {
                return Ok(Answer::Unknown);
            }
        }
    }

    /// Sends a line and waits for its answer. A line that the protocol does not allow is refused here and never sent.
    pub(super) fn exchange(&mut self, line: &str) -> Result<Answer, Lost> {
        if line.len() >= LINE_BYTES {
            let text = format!("the line would have {} bytes; at most {LINE_BYTES} can be sent", line.len() + 1);
            return Ok(Answer::Err("TOO_LONG".into(), text));
        }
        if let Err(Rejected { refusal, .. }) = parse(line.as_bytes()) {
            return Ok(Answer::Err(refusal.code.to_string(), refusal.text.into_owned()));
        }
        if self.show_protocol {
            self.terminal.show(Look::Dim, &format!("--> {}", without_password(line)));
        }
        self.link.send(line).map_err(|error| Lost(error.to_string()))?;
        let (mut data, mut bytes) = (Vec::new(), 0);
        loop {
            match self.line(Instant::now() + ANSWER)? {
                Some(Incoming::Data(item)) => {
                    bytes += item.kind.len() + item.fields.len() + size_of::<Item>();
                    if bytes > ANSWER_BYTES {
                        return Err(Lost("the server sent an answer without end".into()));
                    }
                    data.push(item);
                }
                Some(Incoming::Ok { fields, .. }) => return Ok(Answer::Ok(data, fields)),
                Some(Incoming::Err { code, text, .. }) => return Ok(Answer::Err(code, text)),
                Some(Incoming::Event(item)) => self.event(&item),
                None => {}
            }
        }
    }

    /// The next line from the server; whatever is typed meanwhile waits.
    fn line(&mut self, deadline: Instant) -> Result<Option<Incoming>, Lost> {
        loop {
            match self.terminal.next(Some(deadline)) {
                None => return Err(Lost("the server does not answer".into())),
                Some(Happening::Line(number, line)) if number == self.link.number => return Ok(self.read(&line)),
                Some(Happening::Lost(number, why)) if number == self.link.number => return Err(Lost(why)),
                Some(Happening::Typed(typed)) => self.ahead.push_back(typed),
                Some(_) => {}
            }
        }
    }

    pub(super) fn read(&mut self, line: &str) -> Option<Incoming> {
        if self.show_protocol {
            self.terminal.show(Look::Dim, &format!("<-- {}", without_password(line)));
        }
        incoming::read(line)
    }

    /// Lets time pass, with whatever happens in it; whether all of it has passed and the person has not had enough.
    pub(super) fn rest(&mut self, time: Duration) -> Result<bool, Lost> {
        let end = Instant::now() + time;
        // Whoever has always more to say does not make it longer.
        while Instant::now() < end {
            match self.terminal.next(Some(end)) {
                None => break,
                Some(Happening::Typed(typed)) => {
                    let is_enough = matches!(typed, Typed::Interrupt | Typed::End);
                    self.ahead.push_back(typed);
                    if is_enough {
                        return Ok(false);
                    }
                }
                Some(Happening::Line(number, line)) if number == self.link.number => {
                    if let Some(Incoming::Event(item)) = self.read(&line) {
                        self.event(&item);
                    }
                }
                Some(Happening::Lost(number, why)) if number == self.link.number => return Err(Lost(why)),
                Some(_) => {}
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn a_network_has_no_name() {
        assert_eq!(["nina:8763", "fe80::1", "2001:db8::/32"].map(name_of), ["nina", "fe80::1", "2001:db8::/32"]);
    }
}
