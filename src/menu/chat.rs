//! Chatting in a channel: typed lines are said there, and what others do appears above the line being typed.

use unicode_width::UnicodeWidthStr;

use crate::menu::client::{Again, Answer, Client, Ended, name_of};
use crate::menu::recover::seq;
use crate::menu::terminal::{Look, Typed};
use crate::wire::incoming::Item;

/// How many columns a channel's heading has.
const HEADING: usize = 60;

/// What a line typed in a channel means.
#[derive(Debug, PartialEq, Eq)]
enum Said<'a> {
    Bye,
    Exit,
    Private(&'a str, &'a str),
    Text(&'a str),
    Nothing,
}

/// Whether a channel, with or without its `#`, is the one of this name.
fn is_named(channel: &str, name: &str) -> bool {
    channel.strip_prefix('#').unwrap_or(channel).to_lowercase() == name.to_lowercase()
}

fn meaning(line: &str) -> Said<'_> {
    match line.trim() {
        "" => return Said::Nothing,
        "#bye" => return Said::Bye,
        "#exit" => return Said::Exit,
        _ => {}
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
        self.terminal.show(Look::Bold, &heading(&format!("Channel {name}"), columns()));
        // Messages after this one may be missed when the connection is lost.
        if !is_new
            && let Answer::Ok(data, _) = self.command(&format!("HISTORY #{name} 1"), Again::Yes)?
            && let Some(channel) = &mut self.channel
        {
            channel.shown.seen = data.iter().filter_map(seq).max().unwrap_or(0).max(channel.shown.seen);
        }
        let users = self.list(&format!("LIST #{name}"))?.unwrap_or_default();
        let (admin, topic) = self.admin_of(name)?;
        self.terminal.show(Look::Plain, &format!("Admin: {}", admin.as_deref().unwrap_or("nobody")));
        if !topic.is_empty() {
            self.terminal.show(Look::Plain, &format!("Topic: {topic}"));
        }
        let is_admin = admin.as_deref() == Some(self.who.as_str());
        let close = if is_admin { ", #exit to close the channel" } else { "" };
        self.terminal.show(Look::Plain, &format!("Type #bye to leave{close}, #name and a text for a private message."));
        if users.len() > 1 {
            self.terminal.show(Look::Plain, &format!("In the channel: {}", users.join(", ")));
        } else {
            self.terminal.show(Look::Plain, "Waiting for other users to join....");
        }
        Ok(())
    }

    /// The owner of a channel, if it has one, and its topic.
    fn admin_of(&mut self, name: &str) -> Result<(Option<String>, String), Ended> {
        let Answer::Ok(data, _) = self.command(&format!("CHANNELS #{name}"), Again::Yes)? else {
            return Ok((None, String::new()));
        };
        let channels = data.iter().filter(|item| item.kind == "CHANNEL").filter_map(Item::split::<3>);
        let mut found = channels.filter(|([channel, ..], _)| is_named(channel, name));
        Ok(found.next().map_or((None, String::new()), |([.., owner], topic)| {
            (Some(owner).filter(|owner| *owner != "-").map(str::to_owned), topic.to_owned())
        }))
    }

    /// Chats until the person leaves or the channel ends, and then returns to the menu.
    pub(super) fn chat(&mut self) -> Result<(), Ended> {
        while let Some(channel) = &self.channel {
            let name = channel.name.clone();
            let line = match self.typed("> ")? {
                Some(Typed::Line(line)) => line,
                None => return Ok(()),
                Some(_) => "#bye".to_owned(),
            };
            match meaning(&line) {
                Said::Nothing => {}
                Said::Text(text) => {
                    let say = format!("SAY @{} #{name} {text}", self.new_key());
                    self.keyed(&say)?;
                }
                Said::Private(to, text) => {
                    if self.send_to(to, text)? {
                        self.terminal.show(Look::Dim, &format!("(private message sent to {to})"));
                    }
                }
                Said::Bye => self.end_channel(&format!("LEAVE #{name}"), "You left the channel.")?,
                Said::Exit => self.end_channel(&format!("CLOSE #{name}"), &format!("Channel {name} closed."))?,
            }
        }
        Ok(())
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

    /// Shows an event.
    pub(super) fn event(&mut self, item: &Item) {
        let is_fetched = self.is_fetched(item);
        if let Some(held) = self.held.as_mut().filter(|_| is_fetched) {
            return held.push(item.clone());
        }
        let Some((look, line)) = self.describe(item) else { return };
        self.terminal.show(look, &line);
    }

    /// Whether an event is a message that is shown as missed where it was missed.
    fn is_fetched(&self, item: &Item) -> bool {
        let Some(([_, _, to], _)) = item.split().filter(|_| item.kind == "MSG") else { return false };
        match to.strip_prefix('#') {
            Some(_) => self.channel.as_ref().is_some_and(|channel| is_named(to, &channel.name)),
            None => self.resumes_inbox(),
        }
    }

    fn describe(&mut self, item: &Item) -> Option<(Look, String)> {
        let plain = |line| Some((Look::Plain, line));
        match item.kind.as_str() {
            "MSG" => {
                let ([seq, _, to, from], text) = item.split()?;
                let (from, seq) = (name_of(from), seq.parse().unwrap_or(u64::MAX));
                match (to.strip_prefix('#'), &mut self.channel) {
                    (Some(to), Some(channel)) if is_named(to, &channel.name) => {
                        if !channel.shown.takes(seq) {
                            return None;
                        }
                        plain(format!("{from}> {text}"))
                    }
                    (Some(to), _) => plain(format!("[{to}] {from}> {text}")),
                    (None, _) if !self.inbox.takes(seq) => None,
                    (None, Some(_)) => Some((Look::Bold, format!("(private) {from}> {text}"))),
                    (None, None) => {
                        Some((Look::Bold, format!("New message from {from}: {text} (option 3 shows your messages)")))
                    }
                }
            }
            "SHUTDOWN" | "BYE" => Some((Look::Red, format!("The server says: {}", item.fields))),
            "GAP" => Some((Look::Red, "Some messages can no longer be had.".to_owned())),
            "MISSED" => Some((Look::Dim, "Some comings and goings are not shown.".to_owned())),
            "CLOSE" => {
                let ([channel], _) = item.split()?;
                let channel = channel.trim_start_matches('#');
                if self.channel.as_ref().is_some_and(|own| is_named(channel, &own.name)) {
                    self.channel = None;
                }
                Some((Look::Bold, format!("Channel {channel} closed by admin.")))
            }
            _ => self.describe_member(item).map(|line| (Look::Dim, line)),
        }
    }

    /// What a member of the channel has done, other than talking.
    fn describe_member(&self, item: &Item) -> Option<String> {
        let ([channel, who], rest) = item.split()?;
        let channel = channel.trim_start_matches('#');
        let is_me = who == self.who;
        let who = name_of(who);
        let is_here = self.channel.as_ref().is_some_and(|own| is_named(channel, &own.name));
        let place = if is_here { String::new() } else { format!("[{channel}] ") };
        let line = match item.kind.as_str() {
            "JOIN" => format!("{who} joined"),
            "LEAVE" => format!("{who} left the channel."),
            "OWNER" if is_me => "You are the admin now; #exit closes the channel.".to_owned(),
            "OWNER" => format!("{who} is the admin now."),
            "NAME" => format!("{who} is called {} now.", name_of(rest)),
            "TOPIC" => format!("{who} set the topic: {}", rest.split_once(' ')?.1),
            _ => return None,
        };
        Some(format!("{place}{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{HEADING, Said, UnicodeWidthStr, heading, meaning};

    #[test]
    fn only_exact_words_are_commands() {
        assert_eq!(meaning("#bye"), Said::Bye);
        assert_eq!(meaning(" #bye "), Said::Bye);
        assert_eq!(meaning("goodbye #bye"), Said::Text("goodbye #bye"));
        assert_eq!(meaning("#byebye"), Said::Text("#byebye"));
        assert_eq!(meaning("#exit"), Said::Exit);
        assert_eq!(meaning("#nina  hi"), Said::Private("nina", " hi"));
        assert_eq!(meaning("#bye nina"), Said::Private("bye", "nina"));
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
