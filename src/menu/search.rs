//! Searching what the person may read.
//!
//! It owns nothing beside the client, and must never show a line that the server has not sent.

use crate::menu::client::{Again, Answer, Client, Ended, name_of};
use crate::menu::functions::local_time;
use crate::menu::recover::seq;
use crate::menu::terminal::Look;
use crate::wire::incoming::Item;

impl Client {
    /// Asks where and for what to search, and shows what is found: the newest first, as it comes.
    pub(super) fn search(&mut self) -> Result<(), Ended> {
        let Some(place) = self.question("Enter the channel or user to search in (empty for all): ")? else { return Ok(()) };
        let Some(words) = self.question("Enter the words to search for: ")? else { return Ok(()) };
        let place = match place.trim() {
            "" => "*",
            place => place,
        };
        // What was typed as a place must not become words.
        if place.contains([' ', '\t']) {
            self.terminal.show(Look::Red, &format!("Not done: '{place}' is no channel and no user."));
            return Ok(());
        }
        if words.trim().is_empty() {
            self.terminal.show(Look::Red, "Not done: there is no word to search for.");
            return Ok(());
        }
        let (data, counts) = match self.command(&format!("SEARCH {place} {}", words.trim()), Again::Yes)? {
            Answer::Ok(data, counts) => (data, counts),
            refused => {
                self.show_refused("Not done", &refused);
                return Ok(());
            }
        };
        let heading = if data.is_empty() { "Nothing was found." } else { "Found:" };
        self.terminal.show(Look::Bold, heading);
        data.iter().for_each(|item| self.show_found(item));
        let oldest = data.iter().filter_map(seq).min().filter(|_| counts.ends_with(" more"));
        if let Some(oldest) = oldest {
            self.terminal.show(Look::Bold, &format!("There are older ones: add before:{oldest} to the words."));
        }
        Ok(())
    }

    fn show_found(&mut self, item: &Item) {
        let Some(([_, time, to, from], text)) = item.split().filter(|_| item.kind == "MSG") else { return };
        let place = if to.starts_with('#') { format!("in {to}") } else { format!("to {}", name_of(to)) };
        let line = format!("{}: {text} (from: {}, {place})", local_time(time), name_of(from));
        self.terminal.show(Look::Plain, &line);
    }
}
