//! The table of verbs. HELP, the parser's messages and "did you mean" come from it, and tests check it against the grammar.
//!
//! It owns no state, and must never say what a verb does not do.

use crate::code::Code;
use crate::wire::parse::{Parsed, verbs as parse};

/// One verb.
#[derive(Debug)]
pub struct Verb {
    /// In capitals, as OK and ERR name it.
    pub name: &'static str,
    /// Its form; brackets mark what may be left out.
    pub syntax: &'static str,
    /// One line that may be typed.
    pub example: &'static str,
    /// What it does, short enough for HELP to fit on a screen of 80 columns.
    pub brief: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Who may use it.
    pub by: By,
    /// What its OK says after the verb.
    pub answer: &'static str,
    /// The codes it may be refused with, besides those for any line ([`ANY`]).
    pub codes: &'static [Code],
    /// Parses its arguments; the input begins right after the verb.
    pub(super) parse: for<'a> fn(&'a str) -> Parsed<'a>,
}

impl Verb {
    /// The words of all codes that a line of this verb may be refused with.
    pub fn refusals(&self) -> String {
        let codes = self.codes.iter().chain(ANY).filter(|code| **code != Code::UnknownCommand);
        codes.map(|code| code.word()).collect::<Vec<_>>().join(" ")
    }
}

/// Who may use a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Everybody.
    Anyone,
    /// A connection that has not logged in.
    Guest,
    /// The members of the channel.
    Member,
    /// The owner of the channel and its operators.
    Operator,
    /// The owner of the channel.
    Owner,
    /// A connection that has logged in.
    Account,
}

impl By {
    /// The words for HELP.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Anyone => "everybody",
            Self::Guest => "guests",
            Self::Member => "the channel's members",
            Self::Operator => "the channel's owner and operators",
            Self::Owner => "the channel's owner",
            Self::Account => "accounts",
        }
    }
}

/// The codes that any line may be refused with.
pub const ANY: &[Code] = &[
    Code::UnknownCommand,
    Code::BadSyntax,
    Code::BadText,
    Code::TooLong,
    Code::Incomplete,
    Code::Quota,
    Code::Timeout,
    Code::Unsure,
    Code::Unavailable,
    Code::ShuttingDown,
    Code::Internal,
];

/// Every verb, in the order in which HELP shows them.
#[rustfmt::skip]
pub static VERBS: &[Verb] = &[
    Verb { name: "LIST", syntax: "LIST [#channel] [pattern] [n] [after user]", example: "LIST", by: By::Anyone, answer: "<n> [more]",
        brief: "who is online",
        summary: "shows who is online, or the members of a channel, a page at a time; in a pattern * and ? stand for others",
        codes: &[Code::BadName, Code::NoSuchUser, Code::NoSuchChannel, Code::NotMember], parse: parse::list },
    Verb { name: "MSG", syntax: "MSG [@key] target text", example: "MSG bob hello", by: By::Anyone, answer: "<seq> <time> [dup]",
        brief: "write to somebody, or to a #channel",
        summary: "sends text to a user (id, name or name:id) or to a #channel; with @key a retry is safe",
        codes: &[Code::BadName, Code::NoSuchUser, Code::NoSuchChannel, Code::NotMember, Code::KeyReused, Code::InboxFull, Code::RateLimited, Code::StoreFull],
        parse: parse::msg },
    Verb { name: "SAY", syntax: "SAY [@key] #channel text", example: "SAY #rust hi all", by: By::Member, answer: "<seq> <time> [dup]",
        brief: "say something in a channel",
        summary: "sends text to a channel",
        codes: &[Code::BadName, Code::NoSuchChannel, Code::NotMember, Code::KeyReused, Code::RateLimited, Code::StoreFull], parse: parse::say },
    Verb { name: "INBOX", syntax: "INBOX [n]", example: "INBOX", by: By::Anyone, answer: "<shown> <remaining>",
        brief: "your unread messages",
        summary: "shows your unread messages, oldest first, and removes none",
        codes: &[], parse: parse::inbox },
    Verb { name: "ACK", syntax: "ACK [#channel] seq|*", example: "ACK *", by: By::Anyone, answer: "[#channel] <seq>",
        brief: "mark messages as read",
        summary: "marks your messages, or a channel's for your account, as read, up to and including seq; * for all",
        codes: &[Code::BadName, Code::NoSuchChannel, Code::NotMember, Code::NotAllowed, Code::StoreFull], parse: parse::ack },
    Verb { name: "CREATE", syntax: "CREATE #channel [key]", example: "CREATE #rust", by: By::Anyone, answer: "<#channel>",
        brief: "make a channel, and be in it",
        summary: "creates a channel, makes you its owner and joins you; with a key, others need it to join",
        codes: &[Code::BadName, Code::ChannelExists, Code::RateLimited, Code::StoreFull], parse: parse::create },
    Verb { name: "JOIN", syntax: "JOIN #channel [key] [last n]", example: "JOIN #rust", by: By::Anyone, answer: "<#channel> <members>",
        brief: "join a channel",
        summary: "joins a channel; what is said there follows, and the last messages come first if you like",
        codes: &[Code::BadName, Code::NoSuchChannel, Code::NotAllowed, Code::RateLimited, Code::StoreFull], parse: parse::join },
    Verb { name: "LEAVE", syntax: "LEAVE #channel", example: "LEAVE #rust", by: By::Member, answer: "<#channel>",
        brief: "leave a channel",
        summary: "leaves a channel",
        codes: &[Code::BadName, Code::NoSuchChannel, Code::NotMember, Code::StoreFull], parse: parse::leave },
    Verb { name: "CHANNELS", syntax: "CHANNELS [pattern] [n] [after #channel]", example: "CHANNELS", by: By::Anyone, answer: "<n> [more]",
        brief: "the channels there are",
        summary: "shows the channels, their members, owners and topics, a page at a time",
        codes: &[Code::BadName], parse: parse::channels },
    Verb { name: "TOPIC", syntax: "TOPIC #channel [text]", example: "TOPIC #rust The borrow checker", by: By::Member, answer: "<#channel> [topic]",
        brief: "show or set a channel's topic",
        summary: "shows a channel's topic; with text its owner or an operator sets it",
        codes: &[Code::BadName, Code::NoSuchChannel, Code::NotMember, Code::NotAllowed, Code::RateLimited, Code::StoreFull], parse: parse::topic },
    Verb { name: "HISTORY", syntax: "HISTORY target [n] [unread|before when|since when]", example: "HISTORY #rust 20 since 2h", by: By::Anyone, answer: "<n>",
        brief: "what was said",
        summary: "shows what was said in a channel, or between you and a user, oldest first: the newest, the unread, or those before or since a seq, an age such as 2h, or a time such as 2026-11-22T13:00Z",
        codes: &[Code::BadName, Code::NoSuchUser, Code::NoSuchChannel, Code::NotMember], parse: parse::history },
    Verb { name: "SEARCH", syntax: "SEARCH target words", example: "SEARCH #rust borrow checker", by: By::Anyone, answer: "<n> [more]",
        brief: "find messages",
        summary: "finds messages in a channel, with a user, or with * everywhere, the newest first; takes \"a phrase\", from:, before:, since: and limit:",
        codes: &[Code::BadName, Code::NoSuchUser, Code::NoSuchChannel, Code::NotMember], parse: parse::search },
    Verb { name: "RETRACT", syntax: "RETRACT seq", example: "RETRACT 42", by: By::Anyone, answer: "<seq>",
        brief: "take a message back",
        summary: "takes a message of yours back, or one in a channel that you run; its text is deleted",
        codes: &[Code::NotAllowed, Code::StoreFull], parse: parse::retract },
    Verb { name: "OP", syntax: "OP #channel user", example: "OP #rust bob", by: By::Owner, answer: "<#channel> <name:id>",
        brief: "make an operator",
        summary: "makes a member an operator of your channel, who may kick, ban, invite, set its topic and options",
        codes: &[Code::BadName, Code::NoSuchUser, Code::NoSuchChannel, Code::NotMember, Code::NotAllowed, Code::StoreFull], parse: parse::op },
    Verb { name: "DEOP", syntax: "DEOP #channel user", example: "DEOP #rust bob", by: By::Owner, answer: "<#channel> <name:id>",
        brief: "make them an operator no longer",
        summary: "takes that back; an operator may step down by it, too",
        codes: &[Code::BadName, Code::NoSuchUser, Code::NoSuchChannel, Code::NotMember, Code::NotAllowed, Code::StoreFull], parse: parse::deop },
    Verb { name: "GIVE", syntax: "GIVE #channel user", example: "GIVE #rust bob", by: By::Owner, answer: "<#channel> <name:id>",
        brief: "make somebody else the owner",
        summary: "makes another member the channel's owner; you stay as an operator",
        codes: &[Code::BadName, Code::NoSuchUser, Code::NoSuchChannel, Code::NotMember, Code::NotAllowed, Code::StoreFull], parse: parse::give },
    Verb { name: "INVITE", syntax: "INVITE #channel user", example: "INVITE #rust bob", by: By::Operator, answer: "<#channel> <name:id>",
        brief: "let somebody into a channel",
        summary: "tells a user of the channel, and lets them in once although it has a key or takes only who is invited",
        codes: &[Code::BadName, Code::NoSuchUser, Code::NoSuchChannel, Code::NotMember, Code::NotAllowed, Code::StoreFull], parse: parse::invite },
    Verb { name: "KICK", syntax: "KICK #channel user [reason]", example: "KICK #rust bob please calm down", by: By::Operator, answer: "<#channel> <name:id>",
        brief: "put somebody out of a channel",
        summary: "puts a member out of the channel, who may come back",
        codes: &[Code::BadName, Code::NoSuchUser, Code::NoSuchChannel, Code::NotMember, Code::NotAllowed, Code::StoreFull], parse: parse::kick },
    Verb { name: "BAN", syntax: "BAN #channel who [for 2h] [reason]", example: "BAN #rust bob for 2h flooding", by: By::Operator, answer: "<#channel> <who>",
        brief: "keep somebody out of a channel",
        summary: "keeps a user or an address (192.0.2.0/24) out of the channel, for a time or for good",
        codes: &[Code::BadName, Code::NoSuchUser, Code::NoSuchChannel, Code::NotMember, Code::NotAllowed, Code::StoreFull], parse: parse::ban },
    Verb { name: "UNBAN", syntax: "UNBAN #channel who", example: "UNBAN #rust bob", by: By::Operator, answer: "<#channel> <who>",
        brief: "let them come again",
        summary: "ends a ban",
        codes: &[Code::BadName, Code::NoSuchUser, Code::NoSuchChannel, Code::NotMember, Code::NotAllowed, Code::StoreFull], parse: parse::unban },
    Verb { name: "BANS", syntax: "BANS #channel", example: "BANS #rust", by: By::Operator, answer: "<n>",
        brief: "who is kept out of a channel",
        summary: "shows who is banned from the channel, by whom, until when and why",
        codes: &[Code::BadName, Code::NoSuchChannel, Code::NotMember, Code::NotAllowed], parse: parse::bans },
    Verb { name: "SET", syntax: "SET #channel [option [value]]", example: "SET #rust slow 30", by: By::Operator, answer: "<#channel> [option value]",
        brief: "show or set a channel's options",
        summary: "shows a channel's options, or sets one: key (a word), invite-only, hidden and guests (on), slow (seconds), speak (everyone, operators) or keep (30d, or a number); off ends it",
        codes: &[Code::BadName, Code::NoSuchChannel, Code::NotMember, Code::NotAllowed, Code::RateLimited, Code::StoreFull], parse: parse::set },
    Verb { name: "CLOSE", syntax: "CLOSE #channel", example: "CLOSE #rust", by: By::Owner, answer: "<#channel>",
        brief: "end your channel",
        summary: "ends a channel and tells everyone in it",
        codes: &[Code::BadName, Code::NoSuchChannel, Code::NotMember, Code::NotAllowed, Code::StoreFull], parse: parse::close },
    Verb { name: "NAME", syntax: "NAME name", example: "NAME nina", by: By::Guest, answer: "<name:id>",
        brief: "choose a name",
        summary: "gives you a name for this connection",
        codes: &[Code::BadName, Code::NameTaken, Code::NotAllowed], parse: parse::name_verb },
    Verb { name: "REGISTER", syntax: "REGISTER [@code] name password", example: "REGISTER nina correct horse battery", by: By::Guest, answer: "<name:id>",
        brief: "keep your name and messages",
        summary: "makes you an account: your name, inbox and channels last; the password may hold spaces, and some servers want an invite's code",
        codes: &[Code::BadName, Code::NameTaken, Code::NotAllowed, Code::RateLimited, Code::StoreFull], parse: parse::register },
    Verb { name: "LOGIN", syntax: "LOGIN name password|token", example: "LOGIN nina correct horse battery", by: By::Guest, answer: "<name:id> <unread>",
        brief: "come back to your account",
        summary: "makes this connection your account's; its channels are listed and follow",
        codes: &[Code::BadName, Code::LoginFailed, Code::NotAllowed, Code::RateLimited], parse: parse::login },
    Verb { name: "PASSWD", syntax: "PASSWD old -> new", example: "PASSWD correct horse battery -> a new one", by: By::Account, answer: "<name:id> <ended>",
        brief: "change your password",
        summary: "changes your password and ends your other connections; the old one and the new one are set apart by ->",
        codes: &[Code::LoginFailed, Code::NotAllowed, Code::RateLimited, Code::StoreFull], parse: parse::passwd },
    Verb { name: "TOKEN", syntax: "TOKEN NEW label [scope...] [for 90d]|LIST|DROP label", example: "TOKEN NEW deploy say:#ops for 90d", by: By::Account, answer: "<label> <token>|<n>|<label>",
        brief: "for scripts",
        summary: "makes a token with which a script logs in, shown once; a scope is say:#ops, say:nina, read:#ops or inbox, and without one it may do all but change your account",
        codes: &[Code::NotAllowed, Code::RateLimited, Code::StoreFull], parse: parse::token },
    Verb { name: "UNREGISTER", syntax: "UNREGISTER password", example: "UNREGISTER correct horse battery", by: By::Account, answer: "<name:id>",
        brief: "end your account",
        summary: "removes your account with its inbox and tokens; what you said stays, under your id",
        codes: &[Code::LoginFailed, Code::NotAllowed, Code::RateLimited, Code::StoreFull], parse: parse::unregister },
    Verb { name: "WHOAMI", syntax: "WHOAMI", example: "WHOAMI", by: By::Anyone, answer: "<name:id> guest|account",
        brief: "your name and id",
        summary: "shows your name and id",
        codes: &[], parse: parse::whoami },
    Verb { name: "WHOIS", syntax: "WHOIS user", example: "WHOIS bob", by: By::Anyone, answer: "<name:id> guest|account",
        brief: "about somebody",
        summary: "shows whether a user is online or when they were last, and the channels that you share",
        codes: &[Code::BadName, Code::NoSuchUser], parse: parse::whois },
    Verb { name: "AWAY", syntax: "AWAY [text]", example: "AWAY back at two", by: By::Anyone, answer: "[text]",
        brief: "you are away, or back",
        summary: "says that you are away, which whoever writes to you is told once; without a text you are back",
        codes: &[], parse: parse::away },
    Verb { name: "IGNORE", syntax: "IGNORE user", example: "IGNORE bob", by: By::Anyone, answer: "<name:id>",
        brief: "hear no more of somebody",
        summary: "hides what a user says from you, without their knowing",
        codes: &[Code::BadName, Code::NoSuchUser, Code::NotAllowed, Code::RateLimited, Code::StoreFull], parse: parse::ignore },
    Verb { name: "UNIGNORE", syntax: "UNIGNORE user", example: "UNIGNORE bob", by: By::Anyone, answer: "<name:id>",
        brief: "hear somebody again",
        summary: "ends that",
        codes: &[Code::BadName, Code::NoSuchUser, Code::StoreFull], parse: parse::unignore },
    Verb { name: "IGNORES", syntax: "IGNORES", example: "IGNORES", by: By::Anyone, answer: "<n>",
        brief: "whom you ignore",
        summary: "shows whom you ignore",
        codes: &[], parse: parse::ignores },
    Verb { name: "WAIT", syntax: "WAIT [#channel|inbox] [since seq] [seconds]", example: "WAIT inbox 60", by: By::Anyone, answer: "<seq>",
        brief: "wait for one message",
        summary: "waits for one message, for 60 seconds or as many as you say",
        codes: &[Code::BadName, Code::NoSuchChannel, Code::NotMember], parse: parse::wait },
    Verb { name: "FOLLOW", syntax: "FOLLOW #channel|inbox [since seq]", example: "FOLLOW #rust", by: By::Anyone, answer: "<#channel>|inbox",
        brief: "read what is said until you go",
        summary: "shows what is said from now on, or since a seq, until you close the connection",
        codes: &[Code::BadName, Code::NoSuchChannel, Code::NotAllowed, Code::RateLimited, Code::StoreFull], parse: parse::follow },
    Verb { name: "FORMAT", syntax: "FORMAT json|text", example: "FORMAT json", by: By::Anyone, answer: "json|text",
        brief: "lines as JSON",
        summary: "makes each later line of the server a JSON object, or text again",
        codes: &[], parse: parse::format },
    Verb { name: "HELP", syntax: "HELP [verb|ALL]", example: "HELP MSG", by: By::Anyone, answer: "[verb]",
        brief: "all commands, or one",
        summary: "shows what a chat takes, all commands, or one of them",
        codes: &[], parse: parse::help },
    Verb { name: "PING", syntax: "PING [text]", example: "PING", by: By::Anyone, answer: "[text]",
        brief: "is the server there?",
        summary: "answers; everything that happened before is shown before the answer",
        codes: &[], parse: parse::ping },
    Verb { name: "CAPS", syntax: "CAPS", example: "CAPS", by: By::Anyone, answer: "<name=value>...",
        brief: "what this server can, for scripts",
        summary: "shows what this server does and promises, for scripts",
        codes: &[], parse: parse::caps },
    Verb { name: "QUIT", syntax: "QUIT", example: "QUIT", by: By::Anyone, answer: "bye",
        brief: "leave the server",
        summary: "answers everything that you sent, then closes the connection",
        codes: &[], parse: parse::quit },
];

/// The verb called `word`, in capitals or not.
pub fn find(word: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name.len() == word.len() && verb.name.eq_ignore_ascii_case(word))
}

/// The verb that `word` probably meant: at most two typing slips away, and fewer than half its letters.
pub fn similar(word: &str) -> Option<&'static Verb> {
    let longest = VERBS.iter().map(|verb| verb.name.len()).max()?;
    if word.len() > longest + 2 {
        return None;
    }
    let word = word.to_ascii_uppercase();
    let near = |verb: &&Verb| (strsim::osa_distance(&word, verb.name), verb.name.len());
    let nearest = VERBS.iter().min_by_key(near)?;
    let (slips, length) = near(&nearest);
    (slips <= 2 && slips * 2 < length).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::{VERBS, find, similar};
    use crate::names::{NameError, check_chosen};
    use crate::wire::parse;

    #[test]
    fn every_example_parses_to_its_verb_and_back() {
        for verb in VERBS {
            let command = parse(verb.example.as_bytes()).unwrap().unwrap();
            assert_eq!(command.verb(), verb.name);
            assert_eq!(command.to_string(), verb.example);
            assert!(format!("- HELP {:25}  {}", verb.syntax, verb.brief).chars().count() < 80, "{}", verb.name);
            assert!(verb.syntax.starts_with(verb.name) && find(&verb.name.to_lowercase()).is_some());
        }
    }

    #[test]
    fn nobody_is_called_like_a_verb() {
        for verb in VERBS {
            assert_eq!(check_chosen(verb.name), Err(NameError::Reserved), "{}", verb.name);
        }
    }

    #[test]
    fn slips_are_understood() {
        let meant = |word| similar(word).map(|verb| verb.name);
        assert_eq!((meant("sya"), meant("mgs"), meant("jion")), (Some("SAY"), Some("MSG"), Some("JOIN")));
        assert_eq!((meant("hello"), meant("x")), (None, None));
    }
}
