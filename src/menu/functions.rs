//! The menu, and its first six functions.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::menu::channel::{Channel, Shown};
use crate::menu::client::{Again, Answer, Client, Ended, name_of};
use crate::menu::recover::{PAGE, PAGES, seq};
use crate::menu::terminal::{Look, Typed};
use crate::wire::incoming::Item;

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
            let choice = match self.typed("Your option <enter a number>: ")? {
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
                "6" => return self.disconnect(),
                "7" => self.talk()?,
                "8" => self.search()?,
                "" => {}
                other => self.terminal.show(Look::Red, &format!("'{other}' is no option: enter a number from 1 to 8.")),
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
        self.open_channel("CREATE", &typed, Again::No)
    }

    fn join_channel(&mut self) -> Result<(), Ended> {
        let Some(typed) = self.question("Enter the channel id to join: ")? else { return Ok(()) };
        self.open_channel("JOIN", &typed, Again::Yes)
    }

    /// Creates or joins a channel and chats there. A key may follow its name.
    fn open_channel(&mut self, verb: &str, typed: &str, again: Again) -> Result<(), Ended> {
        let (name, key) = typed.trim().split_once(' ').unwrap_or((typed.trim(), ""));
        let (name, key) = (name.strip_prefix('#').unwrap_or(name), key.trim());
        match self.command(format!("{verb} #{name} {key}").trim_end(), again)? {
            Answer::Ok(_, fields) => {
                // The server's spelling: its case may differ from what was typed.
                let name = fields.split(' ').next().and_then(|name| name.strip_prefix('#')).unwrap_or(name);
                self.channel = Some(Channel { name: name.to_owned(), key: key.to_owned(), shown: Shown::default(), read: 0 });
                self.enter(name, verb == "CREATE")?;
                self.chat()
            }
            other => {
                self.show_refused("Not done", &other);
                Ok(())
            }
        }
    }

    fn disconnect(&mut self) -> Result<(), Ended> {
        // The connection ends, whatever the answer is.
        let _ = self.exchange("QUIT");
        self.terminal.show(Look::Plain, "Disconnected. Goodbye!");
        Ok(())
    }
}

/// A time from the server, in the person's time zone: `2019-08-05 17:45`.
pub fn local_time(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(stamp) => stamp.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => time.to_owned(),
    }
}
