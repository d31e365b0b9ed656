//! A conversation with one user: what was said last, and then each typed line goes to them alone.
//!
//! It must never send a line to anybody else: whom it is with is decided once, by their id.

use crate::menu::client::{Again, Answer, Client, Ended, name_of};
use crate::menu::functions::local_time;
use crate::menu::recover::seq;
use crate::menu::terminal::{Look, Typed};
use crate::menu::words::{Said, Word, meaning};
use crate::wire::incoming::Item;

/// How many of the last messages are shown.
const LAST: usize = 20;

/// Whom the person talks with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talk {
    id: String,
    /// The seq from which on everything that they sent was shown.
    first: u64,
    /// The connection on which that is so.
    link: u64,
}

impl Talk {
    /// Whether somebody is the one whom the person talks with.
    pub fn is_with(&self, who: &str) -> bool {
        who.rsplit_once(':').is_some_and(|(_, id)| id == self.id)
    }

    /// Whether a message is one of theirs that was shown.
    fn has_shown(&self, item: &Item) -> bool {
        let is_theirs = item.split().is_some_and(|([_, _, _, from], _)| self.is_with(from));
        is_theirs && seq(item).is_some_and(|seq| seq >= self.first)
    }
}

impl Client {
    /// Asks for a user and talks with them until the person leaves.
    pub(super) fn talk(&mut self) -> Result<(), Ended> {
        let Some(typed) = self.question("Enter the user's name or id: ")? else { return Ok(()) };
        let (whom, who) = match self.command(&format!("WHOIS {}", typed.trim()), Again::Yes)? {
            Answer::Ok(data, fields) => (data, fields.split(' ').next().unwrap_or_default().to_owned()),
            refused => {
                self.show_refused("Not done", &refused);
                return Ok(());
            }
        };
        let (name, id) = who.split_once(':').unwrap_or((&who, &who));
        self.talk = Some(Talk { id: id.to_owned(), first: 0, link: self.link.number });
        self.begin_talk(name, id, &whom)?;
        let is_elsewhere = loop {
            let line = match self.typed("> ")? {
                Some(Typed::Line(line)) => line,
                Some(Typed::Pasted(lines)) => {
                    for line in lines {
                        if !self.send_to(id, &line)? {
                            self.terminal.show(Look::Red, &format!("This line was not sent: {line}"));
                        }
                    }
                    continue;
                }
                Some(Typed::Interrupt) => {
                    self.terminal.show(Look::Dim, "(Ctrl-C clears the line; #bye or Ctrl-D ends the talk.)");
                    continue;
                }
                _ => break false,
            };
            match meaning(&line) {
                Said::Text(text) => drop(self.send_to(id, text)?),
                Said::Word(Word::Bye | Word::Menu, _) => break false,
                said => {
                    if self.does(&said)? {
                        break true;
                    }
                }
            }
        };
        self.end_talk()?;
        if is_elsewhere { self.chat() } else { Ok(()) }
    }

    /// Shows whom the person talks with, and what was said last.
    fn begin_talk(&mut self, name: &str, id: &str, whom: &[Item]) -> Result<(), Ended> {
        // What they write meanwhile may be in the history, too.
        self.held = Some(Vec::new());
        let said = self.history(&format!("{id} {LAST}"))?;
        let held = self.held.take().unwrap_or_default();
        self.show_heading(&format!("Talk with {name}"));
        self.terminal.show(
            Look::Plain,
            &format!("Type #bye to leave. What you type goes to {name} alone; #help shows what else there is."),
        );
        match whom.iter().find(|item| item.kind == "USER").and_then(Item::split::<3>) {
            Some(([_, "away", _], text)) => self.terminal.show(Look::Dim, &format!("({name} is away: {text})")),
            Some(([_, "offline", since], _)) => {
                self.terminal.show(Look::Dim, &format!("({name} is not here since {}, and finds it later)", local_time(since)));
            }
            _ => {}
        }
        for item in &said {
            if let Some(([_, _, _, from], text)) = item.split().filter(|_| item.kind == "MSG") {
                self.terminal.show(Look::Plain, &format!("{}> {text}", name_of(from)));
            } else if item.kind == "GAP" {
                self.event(item);
            }
        }
        let is_new = |item: &&Item| said.iter().all(|said| seq(said) != seq(item));
        held.iter().filter(is_new).for_each(|item| self.event(item));
        if let Some(talk) = self.talk.as_mut().filter(|_| said.len() >= LAST) {
            talk.first = said.iter().filter_map(seq).min().unwrap_or(0);
        }
        Ok(())
    }

    /// Marks as read what was shown, up to the first message that was not: the mark of an inbox covers all that is older.
    fn end_talk(&mut self) -> Result<(), Ended> {
        let inbox = self.command("INBOX", Again::Yes)?;
        // Another connection has not shown what came between the two.
        let talk = self.talk.take().filter(|talk| talk.link == self.link.number);
        if let (Answer::Ok(data, _), Some(talk)) = (inbox, talk)
            && let Some(seq) = data.iter().take_while(|item| talk.has_shown(item)).filter_map(seq).last()
        {
            self.command(&format!("ACK {seq}"), Again::Yes)?;
        }
        Ok(())
    }
}
