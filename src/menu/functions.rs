//! The menu, and its first six functions.
//!
//! It owns nothing beside the client. It must never do anything that a person could not type as a line.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::menu::channel::{Channel, Shown, is_named};
use crate::menu::client::{Again, Answer, Client, Ended, name_of};
use crate::menu::recover::{PAGE, PAGES, seq};
use crate::menu::terminal::{Look, Typed};
use crate::menu::words::{Said, Word, meaning};
use crate::wire::incoming::Item;
use crate::wire::parse;

const OPTIONS: &str = "Options Available:
1. Get user list
2. Send a message
3. Get my messages
4. Create a new channel
5. Chat in a channel with your friends
6. Disconnect from server
7. Talk with one user
8. Search messages
";
const EMPTY: &str = "Not sent: the message is empty.";

impl Client {
    /// Shows the menu and does what the person chooses, until they leave.
    pub fn menu(&mut self) -> Result<(), Ended> {
        loop {
            self.show_menu();
            let choice = match self.answer("Your option <enter a number>: ")? {
                Some(Typed::Line(line)) => line,
                None => continue,
                Some(_) => "6".to_owned(),
            };
            match choice.trim() {
                "1" => self.user_list()?,
                "2" => self.send_message()?,
                "3" => self.my_messages()?,
                "4" => self.create_channel()?,
                "5" => self.join_channel()?,
                "6" => {
                    self.disconnect();
                    return Ok(());
                }
                "7" => self.talk()?,
                "8" => self.search()?,
                "" => {}
                word if word.starts_with(['#', '/']) => self.word(word)?,
                other => self.terminal.show(Look::Red, &format!("'{other}' is no option: enter a number from 1 to 8.")),
            }
        }
    }

    /// Does what a word means at the menu.
    fn word(&mut self, typed: &str) -> Result<(), Ended> {
        match meaning(typed) {
            Said::Word(Word::Who, _) => self.user_list(),
            said => {
                if self.does(&said)? {
                    self.chat()?;
                }
                Ok(())
            }
        }
    }

    fn show_menu(&mut self) {
        let id = self.who.rsplit(':').next().unwrap_or_default().to_owned();
        self.terminal.show(Look::Plain, "");
        self.terminal.show(Look::Bold, "****** TCP CHAT ******");
        self.terminal.show(Look::Plain, "-----------------------");
        self.terminal.show(Look::Plain, &format!("Client id: {id}"));
        OPTIONS.lines().for_each(|line| self.terminal.show(Look::Plain, line));
        self.terminal.show(Look::Plain, "");
    }

    fn user_list(&mut self) -> Result<(), Ended> {
        match self.list("LIST")? {
            Ok(users) => self.terminal.show(Look::Plain, &format!("Users in server: {}", users.join(", "))),
            Err(refused) => self.show_refused("Not done", &refused),
        }
        Ok(())
    }

    /// All users of a LIST, page by page, as `name:id` and why they are away; or the answer to a page that cannot be had.
    pub(super) fn list(&mut self, list: &str) -> Result<Result<Vec<String>, Answer>, Ended> {
        let (mut users, mut line): (Vec<String>, _) = (Vec::new(), list.to_owned());
        for _ in 0..PAGES {
            let (data, counts) = match self.command(&line, Again::Yes)? {
                Answer::Ok(data, counts) => (data, counts),
                other => return Ok(Err(other)),
            };
            let page = || data.iter().filter(|item| item.kind == "USER").filter_map(Item::split::<3>);
            users.extend(page().map(|([who, state, _], text)| match state {
                "away" => format!("{who} (away: {text})"),
                _ => who.to_owned(),
            }));
            match page().next_back().filter(|_| counts.ends_with(" more")) {
                Some(([last, ..], _)) => line = format!("{list} after {last}"),
                None => break,
            }
        }
        Ok(Ok(users))
    }

    fn send_message(&mut self) -> Result<(), Ended> {
        let Some(text) = self.question("Enter your message: ")? else { return Ok(()) };
        if text.trim().is_empty() {
            self.terminal.show(Look::Red, EMPTY);
            return Ok(());
        }
        let Some(to) = self.question("Enter recipient id: ")? else { return Ok(()) };
        if self.send_to(to.trim(), &text)? {
            self.terminal.show(Look::Plain, "Message sent!");
        }
        Ok(())
    }

    /// Sends a message; returns whether it was sent, and shows why if not.
    pub(super) fn send_to(&mut self, target: &str, text: &str) -> Result<bool, Ended> {
        if text.trim().is_empty() {
            self.terminal.show(Look::Red, EMPTY);
            return Ok(false);
        }
        // What was typed as a recipient must not become another part of the line.
        if target.is_empty() || target.contains([' ', '\t']) || target.starts_with('@') {
            self.terminal.show(Look::Red, &format!("Not sent: '{target}' is no id and no name."));
            return Ok(false);
        }
        let line = format!("MSG @{} {target} {text}", self.new_key());
        self.keyed(&line)
    }

    fn my_messages(&mut self) -> Result<(), Ended> {
        let mut is_first = true;
        for _ in 0..PAGES {
            let (data, counts) = match self.command("INBOX", Again::Yes)? {
                Answer::Ok(data, counts) => (data, counts),
                other => {
                    self.show_refused("Not done", &other);
                    return Ok(());
                }
            };
            if std::mem::take(&mut is_first) {
                let heading = if data.is_empty() { "You have no new messages." } else { "My messages:" };
                self.terminal.show(Look::Bold, heading);
            }
            let last = data.iter().filter_map(|item| self.show_message(item)).last();
            // Only messages that were shown count as read.
            if let Some(seq) = last
                && let refused @ (Answer::Err(..) | Answer::Unknown) = self.command(&format!("ACK {seq}"), Again::Yes)?
            {
                self.show_refused("Not done", &refused);
                return Ok(());
            }
            if last.is_none() || counts.ends_with(" 0") {
                return Ok(());
            }
        }
        self.terminal.show(Look::Bold, "There are more; option 3 shows them.");
        Ok(())
    }

    /// Takes what is unread now for counted, so that it is not taken for missed later.
    pub(super) fn mark_inbox(&mut self) -> Result<(), Ended> {
        if let Answer::Ok(data, _) = self.command(&format!("INBOX {PAGE}"), Again::Yes)? {
            let newest = data.iter().filter_map(seq).max().unwrap_or(0);
            self.inbox.seen = self.inbox.seen.max(newest);
        }
        Ok(())
    }

    fn show_message(&mut self, item: &Item) -> Option<u64> {
        if item.kind == "GAP" {
            self.terminal.show(Look::Red, "Some messages can no longer be had.");
        }
        let ([seq, time, _, from], text) = item.split().filter(|_| item.kind == "MSG")?;
        let line = format!("{}: {text} (from: {})", local_time(time), name_of(from));
        self.terminal.show(Look::Plain, &line);
        seq.parse().ok()
    }

    fn create_channel(&mut self) -> Result<(), Ended> {
        let Some(typed) = self.question("Enter the new channel id: ")? else { return Ok(()) };
        let words: Vec<_> = typed.split_whitespace().collect();
        // "my room" would be the channel #my with a password, which nobody would know of.
        if let [name, key] = words[..]
            && parse(format!("CREATE #{} {key}", bare(name)).as_bytes()).is_ok()
        {
            let name = bare(name);
            if !self.is_sure(&format!("Create channel {name}, which only lets in who knows the password '{key}'?"))? {
                self.terminal
                    .show(Look::Plain, &format!("Nothing was created. A channel's id is one word, such as {name}-{key}."));
                return Ok(());
            }
        }
        self.open_channel("CREATE", &typed, Again::No)
    }

    fn join_channel(&mut self) -> Result<(), Ended> {
        let Some(typed) = self.question("Enter the channel id to join: ")? else { return Ok(()) };
        self.open_channel("JOIN", &typed, Again::Yes)
    }

    /// Creates or joins a channel and chats there.
    fn open_channel(&mut self, verb: &str, typed: &str, again: Again) -> Result<(), Ended> {
        if self.go_into(verb, typed, again)? { self.chat() } else { Ok(()) }
    }

    /// Creates or joins a channel, in which the person is then; a key may follow its name. Returns whether they are.
    pub(super) fn go_into(&mut self, verb: &str, typed: &str, again: Again) -> Result<bool, Ended> {
        let words: Vec<_> = typed.split_whitespace().collect();
        let (name, key) = match words[..] {
            [name] => (bare(name), ""),
            [name, key] => (bare(name), key),
            [] => ("", ""),
            _ => {
                self.terminal.show(Look::Red, "Not done: a channel's id is one word; only its password may follow.");
                return Ok(false);
            }
        };
        if name.is_empty() {
            self.terminal.show(Look::Red, "Not done: a channel has an id, such as 23456 or den.");
            return Ok(false);
        }
        match self.command(format!("{verb} #{name} {key}").trim_end(), again)? {
            Answer::Ok(_, fields) => {
                // The server's spelling: its case may differ from what was typed.
                let name = fields.split(' ').next().and_then(|name| name.strip_prefix('#')).unwrap_or(name);
                self.leave_behind(name)?;
                self.others.retain(|other| !is_named(name, &other.name));
                self.channel = Some(Channel { name: name.to_owned(), key: key.to_owned(), shown: Shown::default(), read: 0 });
                self.enter(name, verb == "CREATE")?;
                Ok(true)
            }
            other => {
                self.show_refused("Not done", &other);
                Ok(false)
            }
        }
    }

    /// The person turns to the channel of this name; they stay in the one where they are.
    fn leave_behind(&mut self, name: &str) -> Result<(), Ended> {
        self.mark_read()?;
        if let Some(channel) = self.channel.take().filter(|channel| !is_named(name, &channel.name)) {
            let left = channel.name.clone();
            self.others.push(channel);
            self.terminal.show(Look::Dim, &format!("(You stay in channel {left}, too; /join {left} goes back.)"));
        }
        Ok(())
    }

    pub(super) fn disconnect(&mut self) {
        // The connection ends, whatever the answer is.
        let _ = self.exchange("QUIT");
        self.terminal.show(Look::Plain, "Disconnected. Goodbye!");
    }
}

/// The name of a channel that may be typed with its `#`.
fn bare(channel: &str) -> &str {
    channel.strip_prefix('#').unwrap_or(channel)
}

/// A time from the server, in the person's time zone: `2019-08-05 17:45`.
pub fn local_time(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(stamp) => stamp.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => time.to_owned(),
    }
}
