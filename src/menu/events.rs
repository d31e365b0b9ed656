//! What happens, in words for people. What an event changes for the person is changed here, too: they may be put out of the
//! channel in which they are, or it may end.
//!
//! It owns nothing, and sends nothing: an event is no reason to say something to the server.

use crate::menu::channel::is_named;
use crate::menu::client::{Client, name_of};
use crate::menu::functions::local_time;
use crate::menu::terminal::Look;
use crate::wire::incoming::Item;

impl Client {
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
            Some(_) => self.is_here(to),
            None => self.resumes_inbox() || self.talk.is_some(),
        }
    }

    /// Whether a channel is the one that the person is in.
    pub(super) fn is_here(&self, channel: &str) -> bool {
        self.channel.as_ref().is_some_and(|own| is_named(channel, &own.name))
    }

    /// Where it happened, in front of a line about that: nothing in the channel that the person is in.
    fn place(&self, channel: &str) -> String {
        if self.is_here(channel) { String::new() } else { format!("[{}] ", channel.trim_start_matches('#')) }
    }

    fn describe(&mut self, item: &Item) -> Option<(Look, String)> {
        match item.kind.as_str() {
            "MSG" => self.describe_message(item),
            "SHUTDOWN" | "BYE" => Some((Look::Red, format!("The server says: {}", item.fields))),
            "NOTICE" => {
                let ([_], text) = item.split()?;
                Some((Look::Bold, format!("The operator says: {text}")))
            }
            "GAP" => Some((Look::Red, "Some messages can no longer be had.".to_owned())),
            "MISSED" => Some((Look::Dim, "Some comings and goings are not shown.".to_owned())),
            "AWAY" => {
                let ([who, _], text) = item.split()?;
                Some((Look::Dim, format!("({} is away: {text})", name_of(who))))
            }
            "CLOSE" => {
                let ([channel], _) = item.split()?;
                self.is_out_of(channel, "the channel is closed");
                Some((Look::Bold, format!("Channel {} closed by admin.", channel.trim_start_matches('#'))))
            }
            "LEAVE" => self.describe_leave(item),
            "OP" | "DEOP" | "INVITE" | "KICK" | "BAN" | "UNBAN" => self.describe_order(item),
            _ => self.describe_member(item).map(|line| (Look::Dim, line)),
        }
    }

    fn describe_message(&mut self, item: &Item) -> Option<(Look, String)> {
        let ([seq, _, to, from], text) = item.split()?;
        let is_busy = self.talk.is_some() || self.channel.is_some();
        let is_talk = self.talk.as_ref().is_some_and(|talk| talk.is_with(from));
        let (from, seq) = (name_of(from), seq.parse().unwrap_or(u64::MAX));
        match (to.strip_prefix('#'), &mut self.channel) {
            (Some(to), Some(channel)) if is_named(to, &channel.name) => {
                channel.shown.takes(seq).then(|| (Look::Plain, format!("{from}> {text}")))
            }
            (Some(to), _) => Some((Look::Plain, format!("[{to}] {from}> {text}"))),
            (None, _) if !self.inbox.takes(seq) => None,
            (None, _) if is_talk => Some((Look::Plain, format!("{from}> {text}"))),
            (None, _) if is_busy => Some((Look::Bold, format!("(private) {from}> {text}"))),
            (None, _) => Some((Look::Bold, format!("New message from {from}: {text} (option 3 shows your messages)"))),
        }
    }

    /// What somebody in charge of a channel has done to somebody. Whoever is put out is back at the menu.
    fn describe_order(&mut self, item: &Item) -> Option<(Look, String)> {
        let ([channel, who, by, _], rest) = item.split()?;
        let (is_me, place) = (who == self.who, self.place(channel));
        let (who, by) = (name_of(who), name_of(by));
        let line = match (item.kind.as_str(), is_me) {
            ("OP", true) => format!("{by} made you an operator: #kick, #ban and #unban are yours now."),
            ("OP", false) => format!("{by} made {who} an operator."),
            ("DEOP", true) => format!("{by} took it back that you are an operator."),
            ("DEOP", false) => format!("{by} took it back that {who} is an operator."),
            ("INVITE", true) => return Some((Look::Bold, format!("{by} invites you to {channel}; option 5 joins it."))),
            ("INVITE", false) => format!("{by} invites {who}."),
            ("KICK", true) => format!("You were put out of the channel by {by}{}", because(rest)),
            ("KICK", false) => format!("{who} was put out by {by}{}", because(rest)),
            ("BAN", _) => {
                let (until, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                let until = if until == "-" { "for good".to_owned() } else { format!("until {}", local_time(until)) };
                format!("{by} keeps {} out {until}{}", if is_me { "you" } else { who }, because(reason))
            }
            _ => format!("{by} lets {who} in again."),
        };
        if is_me && item.kind == "KICK" {
            self.is_out_of(channel, "you are not in the channel any more");
        }
        Some((if is_me { Look::Bold } else { Look::Dim }, format!("{place}{line}")))
    }

    /// That somebody left. Whoever left by another connection of theirs has left here, too.
    fn describe_leave(&mut self, item: &Item) -> Option<(Look, String)> {
        let ([channel, who, _], why) = item.split()?;
        let place = self.place(channel);
        if who != self.who || why == "offline" {
            return Some((Look::Dim, format!("{place}{} left the channel.", name_of(who))));
        }
        self.is_out_of(channel, "you are not in the channel any more");
        Some((Look::Bold, format!("{place}You left the channel by another connection of yours.")))
    }

    /// What a member of the channel has done, other than talking.
    fn describe_member(&self, item: &Item) -> Option<String> {
        let ([channel, who], rest) = item.split()?;
        if item.kind == "RETRACT" {
            let (by, _) = rest.split_once(' ')?;
            let place = if channel.starts_with('#') { self.place(channel) } else { String::new() };
            return Some(format!("{place}{} took a message back.", name_of(by)));
        }
        let place = self.place(channel);
        let is_me = who == self.who;
        let who = name_of(who);
        let line = match item.kind.as_str() {
            // They came by another connection of theirs.
            "JOIN" if is_me => return None,
            "JOIN" => format!("{who} joined"),
            "OWNER" if is_me => "You are the admin now; #exit closes the channel.".to_owned(),
            "OWNER" => format!("{who} is the admin now."),
            "NAME" => format!("{who} is called {} now.", name_of(rest)),
            "TOPIC" => format!("{who} set the topic: {}", rest.split_once(' ')?.1),
            "SET" => {
                let (option, value) = rest.split_once(' ')?.1.split_once(' ')?;
                format!("{who} set {option} to {value}.")
            }
            _ => return None,
        };
        Some(format!("{place}{line}"))
    }
}

/// The end of a sentence: a reason, if one was given.
fn because(reason: &str) -> String {
    match reason {
        "" => ".".to_owned(),
        reason if reason.ends_with(['.', '!', '?']) => format!(": {reason}"),
        reason => format!(": {reason}."),
    }
}

#[cfg(test)]
mod tests {
    use super::because;

    #[test]
    fn a_reason_ends_the_sentence_once() {
        assert_eq!(["", "calm down", "calm down!"].map(because), [".", ": calm down.", ": calm down!"]);
    }
}
