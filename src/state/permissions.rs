//! Who may do what in a channel: the one table of it, from which decisions, queries and the page of the protocol are made.
//!
//! Everybody has one [`Rank`] in a channel, and each [`Rule`] names the lowest that may. Nothing here changes anything.

use std::fmt::Write;

use crate::code::Code;

/// What somebody is to a channel, from those with the least rights to those with the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// They are kept out.
    Banned,
    /// A guest who is not in it.
    Guest,
    /// An account that is not in it.
    Account,
    /// Somebody who is not in it, and was invited.
    Invited,
    /// A member.
    Member,
    /// A member who runs it together with its owner.
    Operator,
    /// Its owner.
    Owner,
}

/// What can be done in a channel, and needs a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// JOIN.
    Join,
    /// To read what is said there: LIST, HISTORY, SEARCH, TOPIC and SET without a value, and all that is live.
    Read,
    /// MSG and SAY.
    Say,
    /// LEAVE.
    Leave,
    /// To set its topic.
    Topic,
    /// To set an option, but for how long it is kept.
    Set,
    /// INVITE.
    Invite,
    /// KICK somebody of a lower rank.
    Kick,
    /// BAN somebody of a lower rank, UNBAN, BANS.
    Ban,
    /// RETRACT what another has said.
    Retract,
    /// OP, and DEOP of another.
    Op,
    /// GIVE.
    Give,
    /// To set how long it is kept.
    Keep,
    /// CLOSE.
    Close,
}

/// A state of a channel that asks for more than usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// It takes no guests.
    NoGuests,
    /// It has a key, and the right one was not given.
    Key,
    /// It takes only who is invited.
    InviteOnly,
    /// Only those in charge speak.
    OperatorsSpeak,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// What is done.
    pub act: Act,
    /// In which channels the rule holds; without a mode in all.
    pub mode: Option<Mode>,
    /// The lowest rank that may.
    pub least: Rank,
    /// An example of it, with `#it` for the channel and `bob` for another.
    pub example: &'static str,
}

/// Every rule. Where several hold, all of them must allow it.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    Rule { act: Act::Join, mode: None, least: Rank::Guest, example: "JOIN #it" },
    Rule { act: Act::Join, mode: Some(Mode::NoGuests), least: Rank::Account, example: "JOIN #it" },
    Rule { act: Act::Join, mode: Some(Mode::Key), least: Rank::Invited, example: "JOIN #it" },
    Rule { act: Act::Join, mode: Some(Mode::InviteOnly), least: Rank::Invited, example: "JOIN #it" },
    Rule { act: Act::Read, mode: None, least: Rank::Member, example: "HISTORY #it" },
    Rule { act: Act::Say, mode: None, least: Rank::Member, example: "SAY #it hello" },
    Rule { act: Act::Say, mode: Some(Mode::OperatorsSpeak), least: Rank::Operator, example: "SAY #it hello" },
    Rule { act: Act::Leave, mode: None, least: Rank::Member, example: "LEAVE #it" },
    Rule { act: Act::Topic, mode: None, least: Rank::Operator, example: "TOPIC #it news" },
    Rule { act: Act::Set, mode: None, least: Rank::Operator, example: "SET #it slow 30" },
    Rule { act: Act::Invite, mode: None, least: Rank::Operator, example: "INVITE #it cara" },
    Rule { act: Act::Kick, mode: None, least: Rank::Operator, example: "KICK #it bob" },
    Rule { act: Act::Ban, mode: None, least: Rank::Operator, example: "BAN #it bob" },
    Rule { act: Act::Retract, mode: None, least: Rank::Operator, example: "RETRACT 42" },
    Rule { act: Act::Op, mode: None, least: Rank::Owner, example: "OP #it bob" },
    Rule { act: Act::Give, mode: None, least: Rank::Owner, example: "GIVE #it bob" },
    Rule { act: Act::Keep, mode: None, least: Rank::Owner, example: "SET #it keep 30d" },
    Rule { act: Act::Close, mode: None, least: Rank::Owner, example: "CLOSE #it" },
];

/// The ranks, in their order, with the words for them.
pub const RANKS: [(Rank, &str); 7] = [
    (Rank::Banned, "banned"),
    (Rank::Guest, "guest"),
    (Rank::Account, "account"),
    (Rank::Invited, "invited"),
    (Rank::Member, "member"),
    (Rank::Operator, "operator"),
    (Rank::Owner, "owner"),
];

impl Mode {
    /// The words for it.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::NoGuests => "guests off",
            Self::Key => "with a key, not given",
            Self::InviteOnly => "invite-only on",
            Self::OperatorsSpeak => "speak operators",
        }
    }
}

impl Rule {
    /// What somebody of this rank is told, if the rule does not let them.
    pub fn refuses(&self, rank: Rank) -> Option<Code> {
        // By a seq nobody finds out in which channel it is: whoever is not in that is told the same as of a seq that is nowhere.
        let may_know = self.act != Act::Retract;
        let is_outside = rank < Rank::Member && self.least >= Rank::Member;
        let code = if is_outside && may_know { Code::NotMember } else { Code::NotAllowed };
        (rank < self.least).then_some(code)
    }
}

/// The rule that keeps somebody of this rank from an act in a channel with these modes, and the code for it.
pub fn refusal(act: Act, modes: &[Mode], rank: Rank) -> Option<(&'static Rule, Code)> {
    let holds = |rule: &&Rule| rule.act == act && rule.mode.is_none_or(|mode| modes.contains(&mode));
    RULES.iter().filter(holds).find_map(|rule| Some((rule, rule.refuses(rank)?)))
}

/// The table as a page of Markdown shows it.
pub fn page() -> String {
    let mut page = format!("| | {} |\n|---|", RANKS.map(|(_, words)| words).join(" | "));
    page += &"---|".repeat(RANKS.len());
    page.push('\n');
    for rule in RULES {
        let mode = rule.mode.map(|mode| format!(" ({})", mode.describe())).unwrap_or_default();
        let cells = RANKS.map(|(rank, _)| rule.refuses(rank).map_or("yes", |code| code.word()));
        writeln!(page, "| `{}`{mode} | {} |", rule.example, cells.join(" | ")).expect("invariant: memory takes everything");
    }
    page
}
