//! What the person types: lines are taken in their order, and each for what it was meant for when it was typed.
//!
//! It owns the lines that were typed ahead. It must never take a line that was meant for a channel, or that was pasted, for an
//! answer to something else, and never drops one in silence.

use crate::menu::channel::is_named;
use crate::menu::client::{Client, Ended, Lost};
use crate::menu::link::Happening;
use crate::menu::terminal::{Look, Typed};
use crate::wire::Incoming;

impl Client {
    /// Waits for the person to type something; `None` when their channel has ended meanwhile.
    pub(super) fn typed(&mut self, prompt: &str) -> Result<Option<Typed>, Ended> {
        let was_in = self.channel.is_some();
        loop {
            if let Some(typed) = self.ahead.pop_front().and_then(|typed| self.take(typed)) {
                return Ok(Some(typed));
            }
            if !self.ahead.is_empty() {
                continue;
            }
            let kept = std::mem::take(&mut self.kept);
            self.terminal.ask_on(prompt, kept);
            self.happens()?;
            if was_in && self.channel.is_none() {
                self.is_stale = self.terminal.has_unfinished_line();
                self.drop_typed();
                return Ok(None);
            }
        }
    }

    /// The person is in no channel any more, without having left it.
    pub(super) fn loses_channel(&mut self, over: &'static str) {
        (self.channel, self.over) = (None, over);
    }

    /// The person is not in this channel any more; they may be looking at another.
    pub(super) fn is_out_of(&mut self, channel: &str, over: &'static str) {
        self.others.retain(|other| !is_named(channel, &other.name));
        if self.is_here(channel) {
            self.loses_channel(over);
        }
    }

    /// What was typed ahead was meant for a channel that has ended.
    pub(super) fn drop_typed(&mut self) {
        let kept = Some(std::mem::take(&mut self.kept)).filter(|kept| !kept.is_empty()).map(Typed::Line);
        let dropped: Vec<_> = self.ahead.drain(..).chain(kept).collect();
        dropped.iter().for_each(|typed| self.show_stale(typed));
    }

    /// Keeps the part of a line that was typed when the connection was lost.
    pub(super) fn keep(&mut self, part: &str) {
        if std::mem::take(&mut self.is_stale) && !part.is_empty() {
            return self.show_stale(&Typed::Line(part.to_owned()));
        }
        self.kept.push_str(part);
    }

    /// Tells the person that a line was not sent: it was meant for a channel that has ended, and is never taken for something
    /// else.
    pub(super) fn show_stale(&mut self, typed: &Typed) {
        let lines = match typed {
            Typed::Line(line) => std::slice::from_ref(line),
            Typed::Pasted(lines) => lines,
            _ => &[],
        };
        lines.iter().for_each(|line| self.terminal.show(Look::Red, &format!("Not sent, {}: {line}", self.over)));
    }

    /// Waits until something was typed, the connection was made again, or the person's channel has ended.
    fn happens(&mut self) -> Result<(), Ended> {
        let was_in = self.channel.is_some();
        loop {
            match self.terminal.next(None) {
                None => return Err(Ended::ByPerson),
                Some(Happening::Typed(typed)) => {
                    self.ahead.push_back(typed);
                    return Ok(());
                }
                Some(Happening::Lost(number, why)) if number == self.link.number => return self.reconnect(&Lost(why)),
                Some(Happening::Line(number, line)) if number == self.link.number => {
                    if let Some(Incoming::Event(item)) = self.read(&line) {
                        self.event(&item);
                    }
                }
                Some(_) => {}
            }
            if was_in && self.channel.is_none() {
                return Ok(());
            }
        }
    }

    /// What was typed, if it can be used.
    fn take(&mut self, typed: Typed) -> Option<Typed> {
        let is_stale = std::mem::take(&mut self.is_stale);
        match typed {
            stale @ (Typed::Line(_) | Typed::Pasted(_)) if is_stale => {
                self.show_stale(&stale);
                None
            }
            Typed::NotText => {
                self.terminal.show(Look::Red, "Not done: what was typed is not UTF-8.");
                None
            }
            other => Some(other),
        }
    }

    /// Asks outside a channel for one line. Several that were pasted are no answer.
    pub(super) fn answer(&mut self, prompt: &str) -> Result<Option<Typed>, Ended> {
        loop {
            match self.typed(prompt)? {
                Some(Typed::Pasted(lines)) if lines.len() < 2 => return Ok(Some(Typed::Line(lines.concat()))),
                Some(Typed::Pasted(lines)) => {
                    let line =
                        format!("Nothing was done with the {} lines that were pasted: this takes one line.", lines.len());
                    self.terminal.show(Look::Red, &line);
                }
                other => return Ok(other),
            }
        }
    }

    /// Asks a question outside a channel; `None` when the person does not want to answer.
    pub(super) fn question(&mut self, prompt: &str) -> Result<Option<String>, Ended> {
        match self.answer(prompt)? {
            Some(Typed::Line(line)) => Ok(Some(line)),
            _ => Ok(None),
        }
    }

    /// Asks whether to do something that cannot be taken back; only a yes is one.
    pub(super) fn is_sure(&mut self, question: &str) -> Result<bool, Ended> {
        let typed = self.answer(&format!("{question} (y/n) "))?;
        Ok(matches!(typed, Some(Typed::Line(line)) if ["y", "yes"].contains(&line.trim().to_lowercase().as_str())))
    }
}
