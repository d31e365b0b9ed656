//! Chatting in a channel: typed lines are said there, and what others do appears above the line being typed.

use unicode_width::UnicodeWidthStr;

use crate::menu::charge::{ORDERS, Order};
use crate::menu::client::{Again, Answer, Client, Ended};
use crate::menu::terminal::{Look, Typed};

/// How many columns a channel's heading has.
const HEADING: usize = 60;

/// What a line typed in a channel means.
#[derive(Debug, PartialEq, Eq)]
enum Said<'a> {
    Bye,
    Exit,
    Private(&'a str, &'a str),
    /// A verb of those in charge, and what follows it.
    Order(Order, &'a str),
    Text(&'a str),
    Nothing,
}

fn meaning(line: &str) -> Said<'_> {
    match line.trim() {
        "" => return Said::Nothing,
        "#bye" => return Said::Bye,
        "#exit" => return Said::Exit,
        _ => {}
    }
    // Nobody has a verb's name, so that none of these is a private message.
    let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    if let Some(order) = Order::of(word) {
        return Said::Order(order, rest.trim());
    }
    // Only a line that begins with # is private: "goodbye #bye" is just talk.
    match line.strip_prefix('#').and_then(|rest| rest.split_once(' ')) {
        Some((name, text)) if !name.is_empty() && !text.trim().is_empty() => Said::Private(name, text),
        _ => Said::Text(line),
    }
}

/// A heading as wide as `width` columns, or as its text.
fn heading(text: &str, width: usize) -> String {
    let dashes = width.saturating_sub(text.width() + 2);
    format!("{} {text} {}", "-".repeat(dashes / 2), "-".repeat(dashes - dashes / 2))
}

fn columns() -> usize {
    terminal_size::terminal_size().map_or(HEADING, |(width, _)| HEADING.min(width.0.into()))
}

impl Client {
    /// Shows the channel that the person has just joined.
    pub(super) fn enter(&mut self, name: &str, is_new: bool) -> Result<(), Ended> {
        self.show_heading(&format!("Channel {name}"));
        let recent = if is_new { Vec::new() } else { self.recent(name)? };
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
        self.terminal.show(Look::Bold, &heading(text, columns()));
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
                None => return Ok(()),
                Some(_) => "#bye".to_owned(),
            };
            let said = meaning(&line);
            let is_end = matches!(said, Said::Bye | Said::Exit);
            match said {
                Said::Nothing => {}
                Said::Text(text) => {
                    let say = format!("SAY @{} #{name} {text}", self.new_key());
                    if self.keyed(&say)? {
                        self.mark_read()?;
                    }
                }
                Said::Private(to, text) => {
                    if self.send_to(to, text)? {
                        self.terminal.show(Look::Dim, &format!("(private message sent to {to})"));
                    }
                }
                Said::Order(order, whom) => self.order(order, &name, whom)?,
                Said::Bye => self.end_channel(&format!("LEAVE #{name}"), "You left the channel.")?,
                Said::Exit => self.end_channel(&format!("CLOSE #{name}"), &format!("Channel {name} closed."))?,
            }
            if is_end && self.channel.is_none() {
                return Ok(());
            }
        }
    }

    fn end_channel(&mut self, line: &str, done: &str) -> Result<(), Ended> {
        match self.command(line, Again::Yes)? {
            Answer::Err(code, _) if code == "NOT_ALLOWED" => {
                self.terminal.show(Look::Red, "Only the channel's admin can close it; #bye leaves it.");
            }
            // A channel that has ended, or that the person is not in, is left.
            Answer::Err(code, _) if code != "NO_SUCH_CHANNEL" && code != "NOT_MEMBER" => {
                self.terminal.show(Look::Red, &format!("The server could not do it now ({code}); try again."));
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
    use super::{HEADING, Order, Said, UnicodeWidthStr, heading, meaning};

    #[test]
    fn only_exact_words_are_commands() {
        assert_eq!(meaning("#bye"), Said::Bye);
        assert_eq!(meaning(" #bye "), Said::Bye);
        assert_eq!(meaning("goodbye #bye"), Said::Text("goodbye #bye"));
        assert_eq!(meaning("#byebye"), Said::Text("#byebye"));
        assert_eq!(meaning("#exit"), Said::Exit);
        assert_eq!(meaning("#nina  hi"), Said::Private("nina", " hi"));
        assert_eq!(meaning("#bye nina"), Said::Private("bye", "nina"));
        assert_eq!(meaning("#kick nina  calm down"), Said::Order(Order::Kick, "nina  calm down"));
        assert_eq!(meaning("#unban"), Said::Order(Order::Unban, ""));
        assert_eq!(meaning("#kickers nina"), Said::Private("kickers", "nina"));
        assert_eq!(meaning("say #kick nina"), Said::Text("say #kick nina"));
        assert_eq!(meaning(" #nina hi"), Said::Text(" #nina hi"));
        assert_eq!(meaning("  "), Said::Nothing);
    }

    #[test]
    fn a_heading_is_as_wide_as_any_other() {
        for name in ["23456", "日本語", "é"] {
            assert_eq!(heading(&format!("Channel {name}"), HEADING).width(), HEADING);
        }
    }
}
