//! The forms of the server's lines: for each type, its fields in their order, and what each of them is.
//!
//! [`json`](super::json) makes objects from lines by this table. `grammar/linechat.abnf` is the norm: a test holds that every
//! line of it has its form here, and that `grammar/linechat.schema.json` is made of them. A new type of line gets one line here.

use crate::wire::json::is_number;

/// The first word of a line, and so the first name of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum First {
    /// `OK`
    Ok,
    /// `ERR`
    Err,
    /// `-`
    Data,
    /// `*`
    Event,
}

/// What a field is, and so what it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Digits: a number.
    Number,
    /// A time: a string.
    Time,
    /// A time, or `-` for never: null.
    Until,
    /// `#rust`: a string.
    Channel,
    /// `nina:8763`: an object of `name` and `id`.
    User,
    /// `nina:8763`, or `-` for nobody: null.
    Owner,
    /// A channel or a user.
    Room,
    /// A user, or an address: a string.
    Who,
    /// A word: a string.
    Word,
    /// A verb, or `-` for none: null.
    Verb,
    /// The word that is the field's name: true.
    Flag,
    /// `retry-ms=` and digits: a number.
    Retry,
    /// Words of the form `name=value` to the end: an object, with numbers where they are.
    Pairs,
    /// All that is left of the line: a string.
    Text,
}

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Whether it may be missing. Then whatever is there and cannot be this one is the next.
    pub is_optional: bool,
}

/// The form of one type of line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Its first word.
    pub first: First,
    /// Its second.
    pub word: &'static str,
    /// What follows.
    pub fields: &'static [Field],
}

impl First {
    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Err => "ERR",
            Self::Data => "-",
            Self::Event => "*",
        }
    }

    /// The name in an object.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Err => "err",
            Self::Data => "data",
            Self::Event => "event",
        }
    }

    /// The first of this word; what a server writes begins with one of the four.
    pub(super) fn find(word: &[u8]) -> Self {
        match word {
            b"OK" => Self::Ok,
            b"ERR" => Self::Err,
            b"-" => Self::Data,
            _ => Self::Event,
        }
    }
}

impl Field {
    /// Whether a word that is there can be this field.
    pub(super) fn may_be(&self, word: &[u8]) -> bool {
        match self.kind {
            Kind::Number => is_number(word),
            Kind::Channel => word.starts_with(b"#"),
            Kind::Flag => word == self.name.as_bytes(),
            Kind::Retry => word.starts_with(RETRY),
            _ => true,
        }
    }
}

/// What the time to wait begins with.
pub(super) const RETRY: &[u8] = b"retry-ms=";

const fn is(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_optional: false }
}

const fn maybe(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_optional: true }
}

const fn ok(word: &'static str, fields: &'static [Field]) -> Form {
    Form { first: First::Ok, word, fields }
}

const fn data(word: &'static str, fields: &'static [Field]) -> Form {
    Form { first: First::Data, word, fields }
}

const fn event(word: &'static str, fields: &'static [Field]) -> Form {
    Form { first: First::Event, word, fields }
}

const SEQ: Field = is("seq", Kind::Number);
const TIME: Field = is("time", Kind::Time);
const CHANNEL: Field = is("channel", Kind::Channel);
const USER: Field = is("user", Kind::User);
const WHO: Field = is("who", Kind::Who);
const COUNT: Field = is("count", Kind::Number);
const MORE: Field = maybe("more", Kind::Flag);
const TEXT: Field = is("text", Kind::Text);
const VERB: Field = is("verb", Kind::Verb);
const MESSAGE: &[Field] = &[SEQ, TIME, is("to", Kind::Room), is("from", Kind::User), TEXT];
const GAP: &[Field] = &[is("room", Kind::Room), is("first", Kind::Number), is("last", Kind::Number)];
const SAID: &[Field] = &[SEQ, TIME, maybe("dup", Kind::Flag)];

/// Any `ERR` but those that have a form of their own.
pub const REFUSED: &[Field] = &[VERB, TEXT];

/// Every form but [`REFUSED`]. What is written most stands first.
pub static FORMS: &[Form] = &[
    event("MSG", MESSAGE),
    data("MSG", MESSAGE),
    ok("MSG", SAID),
    ok("SAY", SAID),
    ok("LIST", &[COUNT, MORE]),
    ok("INBOX", &[is("shown", Kind::Number), is("remaining", Kind::Number)]),
    ok("ACK", &[maybe("channel", Kind::Channel), SEQ]),
    ok("CREATE", &[CHANNEL]),
    ok("JOIN", &[CHANNEL, is("members", Kind::Number)]),
    ok("LEAVE", &[CHANNEL]),
    ok("CHANNELS", &[COUNT, MORE]),
    ok("TOPIC", &[CHANNEL, maybe("topic", Kind::Text)]),
    ok("HISTORY", &[COUNT]),
    ok("SEARCH", &[COUNT, MORE]),
    ok("RETRACT", &[SEQ]),
    ok("OP", &[CHANNEL, USER]),
    ok("DEOP", &[CHANNEL, USER]),
    ok("GIVE", &[CHANNEL, USER]),
    ok("INVITE", &[CHANNEL, USER]),
    ok("KICK", &[CHANNEL, USER]),
    ok("BAN", &[CHANNEL, WHO]),
    ok("UNBAN", &[CHANNEL, WHO]),
    ok("BANS", &[COUNT]),
    ok("SET", &[CHANNEL, maybe("option", Kind::Word), maybe("value", Kind::Word)]),
    ok("CLOSE", &[CHANNEL]),
    ok("NAME", &[USER]),
    ok("REGISTER", &[USER]),
    ok("LOGIN", &[USER, is("unread", Kind::Number)]),
    ok("PASSWD", &[USER, is("ended", Kind::Number)]),
    ok("TOKEN", &[maybe("count", Kind::Number), maybe("label", Kind::Word), maybe("secret", Kind::Word)]),
    ok("UNREGISTER", &[USER]),
    ok("WHOAMI", &[USER, is("kind", Kind::Word)]),
    ok("WHOIS", &[USER, is("kind", Kind::Word)]),
    ok("AWAY", &[maybe("text", Kind::Text)]),
    ok("IGNORE", &[USER]),
    ok("UNIGNORE", &[USER]),
    ok("IGNORES", &[COUNT]),
    ok("WAIT", &[SEQ]),
    ok("FOLLOW", &[is("place", Kind::Word)]),
    ok("FORMAT", &[is("format", Kind::Word)]),
    ok("HELP", &[maybe("verb", Kind::Word)]),
    ok("PING", &[maybe("text", Kind::Text)]),
    ok("CAPS", &[is("caps", Kind::Pairs)]),
    ok("QUIT", &[TEXT]),
    Form { first: First::Err, word: "RATE_LIMITED", fields: &[VERB, is("retry_ms", Kind::Retry), TEXT] },
    data("USER", &[USER, is("state", Kind::Word), is("since", Kind::Time), maybe("text", Kind::Text)]),
    data("IGNORED", &[USER, is("since", Kind::Time)]),
    data("CHANNEL", &[CHANNEL, is("members", Kind::Number), is("owner", Kind::Owner), maybe("topic", Kind::Text)]),
    data("UNREAD", &[CHANNEL, COUNT, SEQ]),
    data("GAP", GAP),
    data("TOKEN", &[is("label", Kind::Word), is("since", Kind::Time), is("until", Kind::Until), is("scopes", Kind::Text)]),
    data("HELP", &[TEXT]),
    event("HELLO", &[is("software", Kind::Word), is("protocol", Kind::Number), USER, TEXT]),
    event("JOIN", &[CHANNEL, USER, TIME]),
    event("LEAVE", &[CHANNEL, USER, TIME, maybe("reason", Kind::Word)]),
    event("NAME", &[CHANNEL, is("old", Kind::User), is("new", Kind::User), TIME]),
    event("OWNER", &[CHANNEL, USER, TIME]),
    event("TOPIC", &[CHANNEL, USER, TIME, is("topic", Kind::Text)]),
    event("CLOSE", &[CHANNEL, USER, TIME]),
    event("RETRACT", &[is("room", Kind::Room), SEQ, USER, TIME]),
    event("GAP", GAP),
    event("MISSED", &[CHANNEL, is("first", Kind::Number), is("last", Kind::Number)]),
    event("NOTICE", &[TIME, TEXT]),
    event("AWAY", &[USER, is("since", Kind::Time), TEXT]),
    event("SHUTDOWN", &[TEXT]),
    event("BYE", &[TEXT]),
];

/// The fields of a line with these first two words; none for a type that is not known.
pub(super) fn fields(first: First, word: &[u8]) -> &'static [Field] {
    let form = FORMS.iter().find(|form| form.first == first && form.word.as_bytes() == word);
    form.map_or(if first == First::Err { REFUSED } else { &[] }, |form| form.fields)
}
