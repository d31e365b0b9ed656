//! What those in charge of a channel do to others: put out, keep out, let in again.
//!
//! It never says that something was done without the server's OK. Who may do it is for the server to say.

use crate::menu::channel::is_named;
use crate::menu::client::{Again, Answer, Client, Ended, name_of};
use crate::menu::terminal::Look;
use crate::wire::incoming::Item;

/// What is shown to those in charge when they enter their channel.
pub const ORDERS: &str =
    "#kick and a name puts somebody out, #ban (for 2h, and a reason, if you like) keeps them out, #unban ends that.";

/// An order of somebody in charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Kick,
    Ban,
    Unban,
}

impl Order {
    fn verb(self) -> &'static str {
        match self {
            Self::Kick => "KICK",
            Self::Ban => "BAN",
            Self::Unban => "UNBAN",
        }
    }

    fn form(self) -> &'static str {
        match self {
            Self::Kick => "#kick name reason (the reason may be left out)",
            Self::Ban => "#ban name for 2h reason (the time and the reason may be left out)",
            Self::Unban => "#unban name",
        }
    }

    fn done(self, who: &str) -> String {
        match self {
            Self::Kick => format!("({who} was put out)"),
            Self::Ban => format!("({who} is kept out)"),
            Self::Unban => format!("({who} may come in again)"),
        }
    }
}

impl Client {
    /// Does it in the channel of this name to whom the line names first.
    pub(super) fn order(&mut self, order: Order, name: &str, whom: &str) -> Result<(), Ended> {
        if whom.is_empty() {
            self.terminal.show(Look::Red, &format!("Not done: type {}.", order.form()));
            return Ok(());
        }
        // Not again: they may have come back, or somebody else may have put them out, in the meantime.
        match self.command(&format!("{} #{name} {whom}", order.verb()), Again::No)? {
            Answer::Ok(_, fields) => {
                let who = fields.split(' ').nth(1).map_or(whom, name_of);
                self.terminal.show(Look::Dim, &order.done(who));
            }
            Answer::Err(code, _) if code == "BAD_SYNTAX" => {
                self.terminal.show(Look::Red, &format!("Not done: type {}.", order.form()));
            }
            refused => self.show_refused("Not done", &refused),
        }
        Ok(())
    }

    /// The owner of a channel, if it has one, and its topic.
    pub(super) fn admin_of(&mut self, name: &str) -> Result<(Option<String>, String), Ended> {
        let Answer::Ok(data, _) = self.command(&format!("CHANNELS #{name}"), Again::Yes)? else {
            return Ok((None, String::new()));
        };
        let channels = data.iter().filter(|item| item.kind == "CHANNEL").filter_map(Item::split::<3>);
        let mut found = channels.filter(|([channel, ..], _)| is_named(channel, name));
        Ok(found.next().map_or((None, String::new()), |([.., owner], topic)| {
            (Some(owner).filter(|owner| *owner != "-").map(str::to_owned), topic.to_owned())
        }))
    }

    /// Whether the person is an operator of a channel.
    pub(super) fn is_operator(&mut self, name: &str) -> Result<bool, Ended> {
        let Answer::Ok(data, _) = self.command(&format!("SET #{name}"), Again::Yes)? else { return Ok(false) };
        let mut options = data.iter().filter(|item| item.kind == "OPTION").filter_map(Item::split::<2>);
        Ok(options.any(|([_, option], who)| option == "operator" && who == self.who))
    }
}
