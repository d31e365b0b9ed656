//! Chatting in a channel: typed lines are said there, and what others do appears above the line being typed.
//!
//! It owns nothing beside the client. It must never say aloud what was meant as a command.

use unicode_width::UnicodeWidthStr;

use crate::menu::channel::is_named;
use crate::menu::charge::ORDERS;
use crate::menu::client::{Again, Answer, Client, Ended};
use crate::menu::terminal::{Look, Typed};
use crate::menu::unread::Recent;
use crate::menu::window::columns;
use crate::menu::words::{Said, Word, meaning};

/// How many columns a channel's heading has.
const HEADING: usize = 60;
const NOT_YOURS: &str = "Only the channel's admin can close it; #bye leaves it.";
/// What keys do that elsewhere end programs.
const STAYING: &str = "Ctrl-C clears the line; Ctrl-D shows the menu, while you stay here.";

/// A heading as wide as `width` columns, or as its text.
fn heading(text: &str, width: usize) -> String {
    let dashes = width.saturating_sub(text.width() + 2);
    format!("{} {text} {}", "-".repeat(dashes / 2), "-".repeat(dashes - dashes / 2))
}

impl Client {
    /// Shows the channel that the person has just joined.
    pub(super) fn enter(&mut self, name: &str, is_new: bool) -> Result<(), Ended> {
        self.show_heading(&format!("Channel {name}"));
        let recent = if is_new { Recent::default() } else { self.recent(name)? };
        let users = self.list(&format!("LIST #{name}"))?.unwrap_or_default();
        let (admin, topic) = self.admin_of(name)?;
        let is_admin = admin.as_deref() == Some(self.who.as_str());
        let is_in_charge = is_admin || self.is_operator(name)?;
        self.terminal.show(Look::Plain, &format!("Admin: {}", admin.as_deref().unwrap_or("nobody")));
        if !topic.is_empty() {
            self.terminal.show(Look::Plain, &format!("Topic: {topic}"));
        }
        let close = if is_admin { ", #exit to close the channel" } else { "" };
        self.terminal.show(Look::Plain, &format!("Type #bye to leave{close}, #name and a text for a private message."));
        self.terminal.show(Look::Plain, &format!("#help shows more. {STAYING}"));
        if is_in_charge {
            self.terminal.show(Look::Plain, ORDERS);
        }
        if users.len() > 1 {
            self.terminal.show(Look::Plain, &format!("In the channel: {}", users.join(", ")));
        } else {
            self.terminal.show(Look::Plain, "Waiting for other users to join....");
        }
        if is_new { Ok(()) } else { self.show_recent(&recent) }
    }

    pub(super) fn show_heading(&mut self, text: &str) {
        self.terminal.show(Look::Bold, &heading(text, columns().map_or(HEADING, |columns| HEADING.min(columns))));
    }

    /// Chats until the person leaves or the channel ends, and then returns to the menu.
    pub(super) fn chat(&mut self) -> Result<(), Ended> {
        loop {
            let Some(channel) = &self.channel else {
                // It ended while an answer was waited for: what was typed since then was meant for it.
                self.drop_typed();
                return Ok(());
            };
            let name = channel.name.clone();
            let line = match self.typed("> ")? {
                Some(Typed::Line(line)) => line,
                Some(Typed::Pasted(lines)) => {
                    self.say_all(lines)?;
                    continue;
                }
                Some(Typed::End) => return self.go_back(),
                Some(_) => {
                    self.terminal.show(Look::Dim, &format!("({STAYING} #bye leaves.)"));
                    continue;
                }
                None => return Ok(()),
            };
            match meaning(&line) {
                Said::Text(text) => drop(self.say(text)?),
                Said::Word(Word::Order(order), whom) => self.order(order, &name, whom)?,
                Said::Word(Word::Menu, _) => return self.go_back(),
                Said::Word(Word::Who, _) => self.show_members(&name)?,
                Said::Word(Word::Bye, channel) if !channel.is_empty() && !is_named(channel, &name) => {
                    self.terminal.show(Look::Red, &format!("Not done: here you are in {name}; #bye leaves it."));
                }
                Said::Word(end @ (Word::Bye | Word::Exit), _) => {
                    match end {
                        Word::Exit => self.close(&name)?,
                        _ => self.end_channel(&format!("LEAVE #{name}"), "You left the channel.")?,
                    }
                    if self.channel.is_none() {
                        return Ok(());
                    }
                }
                said => drop(self.does(&said)?),
            }
        }
    }

    /// Says something in the channel; whether it was said.
    fn say(&mut self, text: &str) -> Result<bool, Ended> {
        let Some(name) = self.channel.as_ref().map(|channel| channel.name.clone()) else { return Ok(false) };
        let line = format!("SAY @{} #{name} {text}", self.new_key());
        let is_said = self.keyed(&line)?;
        if is_said {
            self.mark_read()?;
        }
        Ok(is_said)
    }

    /// Says lines that were pasted, each as it is: nothing in them is a word of the menu. What cannot be said is shown.
    fn say_all(&mut self, lines: Vec<String>) -> Result<(), Ended> {
        for line in lines {
            if self.channel.is_none() {
                self.show_stale(&Typed::Line(line));
            } else if !self.say(&line)? {
                self.terminal.show(Look::Red, &format!("This line was not said: {line}"));
            }
        }
        Ok(())
    }

    fn show_members(&mut self, name: &str) -> Result<(), Ended> {
        match self.list(&format!("LIST #{name}"))? {
            Ok(users) => self.terminal.show(Look::Plain, &format!("In the channel: {}", users.join(", "))),
            Err(refused) => self.show_refused("Not done", &refused),
        }
        Ok(())
    }

    /// Goes back to the menu; the person stays in the channel.
    fn go_back(&mut self) -> Result<(), Ended> {
        self.mark_read()?;
        if let Some(channel) = self.channel.take() {
            let name = channel.name.clone();
            self.others.push(channel);
            self.terminal.show(
                Look::Plain,
                &format!("You are still in channel {name}, and see here what is said there; option 5 goes back."),
            );
        }
        Ok(())
    }

    /// Closes the channel, if it is the person's and they mean it: nobody gets it back.
    fn close(&mut self, name: &str) -> Result<(), Ended> {
        let (admin, _) = self.admin_of(name)?;
        if self.channel.is_none() {
            // It has ended meanwhile.
        } else if admin.is_some_and(|admin| admin != self.who) {
            self.terminal.show(Look::Red, NOT_YOURS);
        } else if self.is_sure(&format!("Close channel {name} for everyone, and delete all that was said in it?"))? {
            self.end_channel(&format!("CLOSE #{name}"), &format!("Channel {name} closed."))?;
        } else if self.channel.is_some() {
            self.terminal.show(Look::Plain, &format!("Channel {name} stays open."));
        }
        Ok(())
    }

    fn end_channel(&mut self, line: &str, done: &str) -> Result<(), Ended> {
        match self.command(line, Again::Yes)? {
            Answer::Err(code, _) if code == "NOT_ALLOWED" => {
                self.terminal.show(Look::Red, NOT_YOURS);
            }
            // A channel that has ended, or that the person is not in, is left.
            Answer::Err(code, text) if code != "NO_SUCH_CHANNEL" && code != "NOT_MEMBER" => {
                self.show_refused("Not done", &Answer::Err(code, text));
            }
            _ => {
                self.channel = None;
                self.terminal.show(Look::Plain, done);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{HEADING, UnicodeWidthStr, heading};

    #[test]
    fn a_heading_is_as_wide_as_any_other() {
        for name in ["23456", "日本語", "é"] {
            assert_eq!(heading(&format!("Channel {name}"), HEADING).width(), HEADING);
        }
    }
}
