//! A lost connection: the next server takes its place where the person named several; otherwise it is reported, and made again
//! if the person wants that. Missed messages are then shown once.

use std::io;
use std::time::{Duration, Instant};

use crate::menu::channel::Channel;
use crate::menu::client::{Again, Answer, Client, Ended, Identity, Lost};
use crate::menu::link::{Happening, Link};
use crate::menu::refusal::reason;
use crate::menu::terminal::{Look, Typed};
use crate::menu::unread::Unread;
use crate::wire::incoming::Item;

/// How many messages are asked for at a time.
pub(super) const PAGE: usize = 1000;
/// The most pages that are asked for in a row: a server that always has more must not keep a person waiting for ever.
pub(super) const PAGES: usize = 100;
/// How often a message is sent while the server says that it is unsure whether the message was stored.
const TRIES: usize = 3;
/// How long a name is waited for: servers that share a journal give up one that has died, and the guests who were there, after
/// 15 seconds and a few more.
const NAME_HELD: Duration = Duration::from_secs(25);
/// The pause between two looks whether it is free.
const NAME_PAUSE: Duration = Duration::from_millis(500);

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

    /// Makes a new connection. Where the person named several servers, it goes to the next one that can be had by itself;
    /// otherwise, or when none can be had, it reports that the connection is lost and asks whether they want another.
    pub(super) fn reconnect(&mut self, lost: &Lost) -> Result<(), Ended> {
        let (before, gone) = (self.who.clone(), self.servers.address().to_owned());
        self.servers.lost();
        if !self.servers.are_many() {
            self.withdraw();
            self.terminal.show(Look::Red, &format!("The connection to the server was lost: {}.", lost.0));
        }
        loop {
            self.next_try()?;
            let restored = match self.open()? {
                Ok(link) => {
                    self.link = link;
                    self.restore(&before, &gone, lost)
                }
                Err(error) => Err(Lost(error.to_string())),
            };
            self.held = None;
            let Err(Lost(why)) = restored else { return Ok(()) };
            // What others said is shown without what the person said, and that was said under this name.
            self.who.clone_from(&before);
            let to = if self.servers.are_many() { format!(" to {}", self.servers.address()) } else { String::new() };
            self.terminal.show(Look::Red, &format!("No connection{to}: {why}."));
        }
    }

    /// Connects where it is time to. A server that nobody vouches for is told nothing before the person has seen its fingerprint
    /// and wants to go on.
    fn open(&mut self) -> Result<io::Result<Link>, Ended> {
        loop {
            let link = match self.servers.open(&self.terminal.queue()) {
                Ok(link) => link,
                Err(error) => return Ok(Err(error)),
            };
            let told = link.notices().map(|line| self.terminal.show(Look::Plain, line)).count();
            if told == 0 || !self.servers.are_many() {
                return Ok(Ok(link));
            }
            // It must not wait for us meanwhile.
            drop(link);
            self.wants_to_reconnect()?;
        }
    }

    /// Waits until it is time for another try: at the next server, where there are several, or when the person wants one.
    fn next_try(&mut self) -> Result<(), Ended> {
        if self.servers.are_many() {
            self.servers.turn();
            if let Some(pause) = self.servers.pause() {
                return self.pause(pause);
            }
        }
        self.wants_to_reconnect()
    }

    fn pause(&mut self, pause: Duration) -> Result<(), Ended> {
        if !pause.is_zero() {
            self.terminal.show(Look::Dim, &format!("None of the servers lets you in; trying again in {} s.", pause.as_secs()));
        }
        loop {
            match self.rest(pause) {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(Ended::Disconnected),
                // The last try had got as far as a connection.
                Err(Lost(_)) => {}
            }
        }
    }

    /// Takes back the question that is open, and keeps what was typed of its answer.
    fn withdraw(&mut self) {
        match self.terminal.withdraw() {
            Some(Typed::Withdrawn(part)) => self.keep(&part),
            Some(typed) => self.ahead.push_back(typed),
            None => {}
        }
    }

    /// Asks whether to make another connection. A line that was being typed is no answer: it is kept for the next prompt.
    fn wants_to_reconnect(&mut self) -> Result<(), Ended> {
        self.withdraw();
        loop {
            if !self.kept.is_empty() {
                self.terminal.show(Look::Dim, "(The line that you were typing is kept; you can go on with it afterwards.)");
            }
            self.terminal.ask("Reconnect? (y/n) ");
            let typed = loop {
                match self.terminal.next(None) {
                    Some(Happening::Typed(typed)) => break typed,
                    None => return Err(Ended::Disconnected),
                    Some(_) => {}
                }
            };
            let line = match typed {
                Typed::Line(line) => line,
                Typed::Pasted(_) => {
                    self.ahead.push_back(typed);
                    continue;
                }
                Typed::NotText => continue,
                Typed::Withdrawn(_) | Typed::Interrupt | Typed::End => return self.gives_up(),
            };
            match line.trim().to_lowercase().as_str() {
                "" | "y" | "yes" => return Ok(()),
                "n" | "no" => return self.gives_up(),
                // It was typed in the same breath as what was typed before.
                _ if self.terminal.can_edit() => self.keep(&line),
                _ => {
                    // The line was being typed when the connection was lost, and cannot be put back. It shows that the person wants
                    // to go on.
                    self.ahead.push_back(Typed::Line(line));
                    return Ok(());
                }
            }
        }
    }

    /// The person wants no connection any more: nothing that they typed is sent, and they see what it was.
    fn gives_up(&mut self) -> Result<(), Ended> {
        self.over = "there is no connection";
        self.drop_typed();
        Err(Ended::Disconnected)
    }

    /// Restores the identity and the channel on a new connection, and shows what was missed.
    fn restore(&mut self, before: &str, gone: &str, lost: &Lost) -> Result<(), Lost> {
        // From here on new messages arrive, but the missed ones are to be shown first.
        self.held = Some(Vec::new());
        self.greet()?;
        if self.servers.are_many() {
            let now = self.servers.address();
            self.terminal.show(Look::Red, &format!("{gone} is gone: {}; now at {now}.", lost.0));
        }
        let unread = self.become_again(gone)?;
        let who = self.who.clone();
        self.terminal.show(Look::Plain, &format!("Connected again. You are {who}."));
        self.show_unread(&unread);
        if unread.inbox > 0 && self.resumes_inbox() {
            self.resume_inbox()?;
        }
        self.resume_others()?;
        self.resume_channel(before)?;
        let held = self.held.take().unwrap_or_default();
        held.iter().for_each(|item| self.event(item));
        Ok(())
    }

    /// Logs in again, or takes the name again; returns how much is unread.
    fn become_again(&mut self, gone: &str) -> Result<Unread, Lost> {
        let answer = match &self.identity {
            Identity::Guest(None) => return Ok(Unread::default()),
            Identity::Guest(Some(name)) => self.name_again(&name.clone(), gone)?,
            Identity::Account { name, password } => self.exchange(&format!("LOGIN {name} {password}"))?,
        };
        match answer {
            Answer::Ok(data, fields) => return Ok(self.is_now(&data, &fields)),
            // An account's messages are never sent under another identity.
            Answer::Err(code, text) if self.is_account() || is_for_now(&code) => return Err(Lost(reason(&code, &text))),
            refused => self.show_refused("You are another guest now", &refused),
        }
        Ok(Unread::default())
    }

    /// Takes a guest's name. The connection that is gone may still have it, until the other servers know that it is.
    fn name_again(&mut self, name: &str, gone: &str) -> Result<Answer, Lost> {
        let began = Instant::now();
        let mut is_told = false;
        loop {
            let answer = self.exchange(&format!("NAME {name}"))?;
            let is_held = matches!(&answer, Answer::Err(code, _) if code == "NAME_TAKEN");
            if !is_held || !self.servers.are_many() || began.elapsed() >= NAME_HELD {
                return Ok(answer);
            }
            if !std::mem::replace(&mut is_told, true) {
                let line = format!("The name {name} is held until the other servers give {gone} up; waiting for it.");
                self.terminal.show(Look::Dim, &line);
            }
            if !self.rest(NAME_PAUSE)? {
                return Ok(answer);
            }
        }
    }

    /// Whether missed private messages are shown, and not only counted: where the client goes elsewhere by itself, nobody has
    /// noticed that there was anything to miss. A guest's inbox is gone with the guest.
    pub(super) fn resumes_inbox(&self) -> bool {
        self.servers.are_many() && self.is_account()
    }

    /// Shows what was sent to the person meanwhile; it stays unread.
    fn resume_inbox(&mut self) -> Result<(), Lost> {
        if let Answer::Ok(data, _) = self.exchange(&format!("INBOX {PAGE}"))? {
            let seen = self.inbox.seen;
            self.show_missed(data.iter().filter(|item| seq(item).is_none_or(|seq| seq > seen)));
            self.inbox.resumes(data.iter().filter_map(seq).max().unwrap_or(0));
        }
        Ok(())
    }

    fn show_missed<'a>(&mut self, missed: impl Iterator<Item = &'a Item>) {
        let held = self.held.take();
        missed.for_each(|item| self.event(item));
        self.held = held;
    }

    /// Joins the channels again in which a guest stayed; an account is in them still.
    fn resume_others(&mut self) -> Result<(), Lost> {
        if self.is_account() {
            return Ok(());
        }
        for Channel { name, key, .. } in self.others.clone() {
            if let Answer::Err(code, text) = self.exchange(format!("JOIN #{name} {key}").trim_end())? {
                if is_for_now(&code) {
                    return Err(Lost(reason(&code, &text)));
                }
                self.others.retain(|other| other.name != name);
                self.terminal.show(Look::Red, &format!("You are not in channel {name} any more: {}.", reason(&code, &text)));
            }
        }
        Ok(())
    }

    /// Joins the channel again, and shows what others have said there meanwhile.
    fn resume_channel(&mut self, before: &str) -> Result<(), Lost> {
        let Some(channel) = self.channel.clone() else { return Ok(()) };
        let name = &channel.name;
        if let Answer::Err(code, text) = self.exchange(format!("JOIN #{name} {}", channel.key).trim_end())? {
            if is_for_now(&code) {
                return Err(Lost(reason(&code, &text)));
            }
            self.loses_channel("you are not in the channel any more");
            self.terminal.show(Look::Red, &format!("You are not in channel {name} any more: {}.", reason(&code, &text)));
            return Ok(());
        }
        let mut since = channel.shown.seen;
        for page in 1..=PAGES {
            let Answer::Ok(data, _) = self.exchange(&format!("HISTORY #{name} {PAGE} since {since}"))? else { break };
            let mine = [before.to_owned(), self.who.clone()];
            let is_mine = |item: &Item| item.split().is_some_and(|([_, _, _, from], _)| mine.iter().any(|me| me == from));
            self.show_missed(data.iter().filter(|item| !is_mine(item)));
            since = data.iter().filter_map(seq).chain(data.last().and_then(gap)).max().unwrap_or(since);
            if let Some(channel) = &mut self.channel {
                channel.shown.resumes(since);
            }
            if data.len() < PAGE && data.last().and_then(gap).is_none() {
                break;
            }
            if page == PAGES {
                self.terminal.show(Look::Red, "More was said meanwhile than is shown here.");
            }
        }
        Ok(())
    }
}

/// Whether a refusal says nothing of the person or the channel, but that this server cannot do anything now.
fn is_for_now(code: &str) -> bool {
    ["UNAVAILABLE", "UNSURE", "SHUTTING_DOWN"].contains(&code)
}

/// The seq of a message.
pub fn seq(item: &Item) -> Option<u64> {
    let ([seq], _) = item.split().filter(|_| item.kind == "MSG")?;
    seq.parse().ok()
}

/// Up to which seq messages are missing.
fn gap(item: &Item) -> Option<u64> {
    let (_, last) = item.split::<2>().filter(|_| item.kind == "GAP")?;
    last.parse().ok()
}
