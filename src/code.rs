//! The codes of `ERR`: stable words for scripts, each with its meaning and whether to retry.
//!
//! A table only. No word in it may ever change its meaning.

use std::borrow::Cow;
use std::fmt;

/// Whether sending the same line again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Not until the line, or what it refers to, has changed.
    No,
    /// Yes, later; the text says when, if that is known.
    Later,
    /// Yes, with the same `@key`, so that it is not stored twice.
    SameKey,
}

macro_rules! codes {
    ($($variant:ident $word:literal $retry:ident $meaning:literal;)*) => {
        /// The second word of an `ERR` line. Codes are never renamed within a version of the protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// All codes, in the order in which the protocol's document lists them.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The word on the wire.
            pub const fn word(self) -> &'static str {
                match self { $(Code::$variant => $word,)* }
            }

            /// What it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning,)* }
            }

            /// Whether sending the same line again can help.
            pub const fn retry(self) -> Retry {
                match self { $(Code::$variant => Retry::$retry,)* }
            }
        }
    };
}

codes! {
    UnknownCommand "UNKNOWN_COMMAND" No "The first word is no command.";
    BadSyntax "BAD_SYNTAX" No "The command's arguments are not of its form, or the line is another protocol's.";
    BadText "BAD_TEXT" No "The line holds a control character, a character that turns the writing direction, or invalid UTF-8.";
    TooLong "TOO_LONG" No "The line or its text is longer than allowed.";
    Incomplete "INCOMPLETE" No "The input ended within a line; that line was not executed.";
    BadName "BAD_NAME" No "A name is not of the allowed form, or may not be chosen.";
    NameTaken "NAME_TAKEN" No "Somebody has the name, or one that looks like it.";
    NoSuchUser "NO_SUCH_USER" No "There is no such user, or the guest has gone.";
    NoSuchChannel "NO_SUCH_CHANNEL" No "There is no such channel.";
    ChannelExists "CHANNEL_EXISTS" No "There is a channel of that name, or of one that looks like it.";
    NotMember "NOT_MEMBER" No "Only members of the channel may do that; JOIN it first.";
    NotAllowed "NOT_ALLOWED" No "You may not do that here.";
    LoginFailed "LOGIN_FAILED" No "The name or the password is wrong; which of the two is not said.";
    KeyReused "KEY_REUSED" No "The @key was used for another message; nothing was stored.";
    InboxFull "INBOX_FULL" Later "The inbox holds as many unread messages as it may, or as many of yours.";
    Quota "QUOTA" No "A limit on how many there may be was reached; the text names it.";
    RateLimited "RATE_LIMITED" Later "Too often; the text begins with retry-ms=N, the time to wait.";
    Timeout "TIMEOUT" Later "What was waited for did not come in time; where that is the rest of a line, the connection closes.";
    StoreFull "STORE_FULL" Later "The server's disk, or the journal that it shares with others, is full; nothing was stored. Reading and ACK go on.";
    Unsure "UNSURE" SameKey "It is not known whether the change was stored.";
    Unavailable "UNAVAILABLE" Later "The server lacks something for a moment; nothing was stored.";
    ShuttingDown "SHUTTING_DOWN" Later "The server is stopping; nothing was stored.";
    Internal "INTERNAL" Later "The server failed; its log says why.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why a command was not done: a code, and a text for the person who sent it. The connection stays open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For scripts.
    pub code: Code,
    /// For people: what was wrong, with which value, and what to do.
    pub text: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with this code and text.
    pub fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, text: text.into() }
    }
}
