//! A lost connection: it is reported, and made again if the person wants that; missed messages are then shown once.

use crate::menu::client::{Again, Answer, Client, Ended, Identity, Lost, reason};
use crate::menu::link::{Happening, Link};
use crate::menu::terminal::{Look, Typed};
use crate::wire::incoming::Item;

/// How many messages are asked for at a time.
const PAGE: usize = 1000;
/// The most pages that are asked for in a row: a server that always has more must not keep a person waiting for ever.
pub(super) const PAGES: usize = 100;
/// How often a message is sent while the server says that it is unsure whether the message was stored.
const TRIES: usize = 3;

impl Client {
    /// Sends a message with a key; returns whether it was sent, and shows why if not. The server stores it once: so it may be
    /// sent again over this connection, and for an account also over another.
    pub(super) fn keyed(&mut self, line: &str) -> Result<bool, Ended> {
        let again = if self.is_account() { Again::Yes } else { Again::No };
        for _ in 0..TRIES {
            match self.command(line, again)? {
                Answer::Ok(..) => return Ok(true),
                Answer::Err(code, _) if code == "UNSURE" => {}
                Answer::Unknown => break,
                refused @ Answer::Err(..) => {
                    self.show_refused("Not sent", &refused);
                    return Ok(false);
                }
            }
        }
        let line = "It is not known whether your message was sent: the answer to it was lost.";
        self.terminal.show(Look::Red, line);
        Ok(false)
    }

    /// Reports that the connection is lost, and makes a new one if the person wants it.
    pub(super) fn reconnect(&mut self, lost: &Lost) -> Result<(), Ended> {
        self.terminal.show(Look::Red, &format!("The connection to the server was lost: {}.", lost.0));
        loop {
            self.wants_to_reconnect()?;
            let restored = match Link::open(&self.server, self.link.number + 1, self.terminal.queue()) {
                Ok(link) => {
                    link.notices().for_each(|line| self.terminal.show(Look::Plain, line));
                    self.link = link;
                    self.restore()
                }
                Err(error) => Err(Lost(error.to_string())),
            };
            self.held = None;
            match restored {
                Ok(()) => return Ok(()),
                Err(Lost(why)) => self.terminal.show(Look::Red, &format!("No connection: {why}.")),
            }
        }
    }

    fn wants_to_reconnect(&mut self) -> Result<(), Ended> {
        self.terminal.ask("Reconnect? (y/n) ");
        let typed = loop {
            match self.terminal.next(None) {
                Some(Happening::Typed(typed)) => break typed,
                None => return Err(Ended::Disconnected),
                Some(_) => {}
            }
        };
        match typed {
            Typed::Line(line) => match line.trim().to_lowercase().as_str() {
                "" | "y" | "yes" => Ok(()),
                "n" | "no" => Err(Ended::Disconnected),
                _ => {
                    // The line was being typed when the connection was lost. It is kept, and it shows that the person wants to
                    // go on.
                    self.ahead.push_back(Typed::Line(line));
                    Ok(())
                }
            },
            _ => Err(Ended::Disconnected),
        }
    }

    /// Restores the identity and the channel on a new connection.
    fn restore(&mut self) -> Result<(), Lost> {
        // From here on new messages of the channel arrive, but the missed ones are to be shown first.
        self.held = Some(Vec::new());
        let before = self.who.clone();
        self.greet()?;
        let mut unread = 0;
        let line = match &self.identity {
            Identity::Guest(None) => None,
            Identity::Guest(Some(name)) => Some(format!("NAME {name}")),
            Identity::Account { name, password } => Some(format!("LOGIN {name} {password}")),
        };
        match line.map(|line| self.exchange(&line)).transpose()? {
            Some(Answer::Ok(_, fields)) => unread = self.is_now(&fields),
            // An account's messages are never sent under another identity.
            Some(Answer::Err(code, text)) if self.is_account() => {
                self.who = before;
                return Err(Lost(reason(&code, &text)));
            }
            Some(refused) => self.show_refused("You are another guest now", &refused),
            None => {}
        }
        let who = self.who.clone();
        self.terminal.show(Look::Plain, &format!("Connected again. You are {who}."));
        self.show_unread(unread);
        self.resume_channel(&before)
    }

    /// Joins the channel again, and shows what others have said there meanwhile.
    fn resume_channel(&mut self, before: &str) -> Result<(), Lost> {
        let Some(channel) = self.channel.clone() else { return Ok(()) };
        let name = &channel.name;
        if let Answer::Err(_, text) = self.exchange(format!("JOIN #{name} {}", channel.key).trim_end())? {
            self.channel = None;
            self.terminal.show(Look::Red, &format!("You are not in channel {name} any more: {text}."));
            return Ok(());
        }
        let mut since = channel.seen;
        for page in 1..=PAGES {
            let Answer::Ok(data, _) = self.exchange(&format!("HISTORY #{name} {PAGE} since {since}"))? else { break };
            let mine = [before.to_owned(), self.who.clone()];
            let is_mine = |item: &Item| item.split().is_some_and(|([_, _, _, from], _)| mine.iter().any(|me| me == from));
            let held = self.held.take();
            data.iter().filter(|item| !is_mine(item)).for_each(|item| self.event(item));
            self.held = held;
            since = data.iter().filter_map(seq).max().unwrap_or(since);
            if let Some(channel) = &mut self.channel {
                (channel.seen, channel.resumed) = (since, since);
            }
            if data.len() < PAGE {
                break;
            }
            if page == PAGES {
                self.terminal.show(Look::Red, "More was said meanwhile than is shown here.");
            }
        }
        let held = self.held.take().unwrap_or_default();
        held.iter().for_each(|item| self.event(item));
        Ok(())
    }
}

/// The seq of a message.
pub fn seq(item: &Item) -> Option<u64> {
    let ([seq], _) = item.split().filter(|_| item.kind == "MSG")?;
    seq.parse().ok()
}
