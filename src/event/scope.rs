//! What a token is for: its scopes, what a request needs, and whether the one allows the other.
//!
//! Values only. A scope names a channel or a user as its owner typed them: whoever has that name when something is asked is meant.
//! This file must never know a verb.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::names::{Name, fold, is_channel, is_name};

/// One thing that a token with scopes may do. Stored as it is typed: `say:#ops`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// To write there.
    Say(Reach),
    /// To read there: what is said, what was, and who is in it.
    Read(Reach),
    /// To read its account's inbox and private conversations, and to mark them as read.
    Inbox,
}

/// Where a scope applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// `*`: everywhere that the account may.
    All,
    /// `#ops`
    Channel(Name),
    /// `nina`: to write to only.
    User(Name),
}

/// What a text is that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no scope; give say:#channel, say:user, say:*, read:#channel, read:* or inbox")]
pub struct NoScope(String);

/// What a request needs of the token by which its connection has logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs<'a> {
    /// Nothing: it is harmless.
    Nothing,
    /// To write in this channel.
    SayIn(&'a str),
    /// To write to the user of this name.
    SayTo(&'a str),
    /// To read this channel.
    Read(&'a str),
    /// The inbox.
    Inbox,
    /// All that the account may do.
    Everything,
    /// The password: no token is enough.
    Password,
}

/// The rights of a token, as its connections have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// How its owner calls it.
    pub label: Name,
    /// What it is for; `None` for all but what needs the password.
    pub scopes: Option<Arc<[Scope]>>,
}

impl Reach {
    fn is_channel(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Channel(channel) => fold(channel.as_str()) == fold(name),
            Self::User(_) => false,
        }
    }

    fn is_user(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::User(user) => fold(user.as_str()) == fold(name),
            Self::Channel(_) => false,
        }
    }
}

impl Rights {
    /// Whether they are enough.
    pub fn allow(&self, needs: Needs<'_>) -> bool {
        let Some(scopes) = &self.scopes else { return needs != Needs::Password };
        let any = |allows: &dyn Fn(&Scope) -> bool| scopes.iter().any(allows);
        match needs {
            Needs::Nothing => true,
            Needs::SayIn(channel) => any(&|scope| matches!(scope, Scope::Say(reach) if reach.is_channel(channel))),
            Needs::SayTo(user) => any(&|scope| matches!(scope, Scope::Say(reach) if reach.is_user(user))),
            Needs::Read(channel) => any(&|scope| matches!(scope, Scope::Read(reach) if reach.is_channel(channel))),
            Needs::Inbox => any(&|scope| matches!(scope, Scope::Inbox)),
            Needs::Everything | Needs::Password => false,
        }
    }

    /// The scopes, for their owner; `*` where there are none.
    pub fn listed(scopes: Option<&[Scope]>) -> String {
        scopes.map_or("*".to_owned(), |scopes| scopes.iter().map(Scope::to_string).collect::<Vec<_>>().join(" "))
    }
}

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        let wrong = || NoScope(text.to_owned());
        let channel = |word: &str| {
            let name = word.strip_prefix('#').filter(|name| is_channel(name))?;
            Some(Reach::Channel(Name::new(name)))
        };
        match text.split_once(':') {
            None if text == "inbox" => Ok(Self::Inbox),
            Some(("say", "*")) => Ok(Self::Say(Reach::All)),
            Some(("read", "*")) => Ok(Self::Read(Reach::All)),
            Some(("say", word)) if is_name(word) => Ok(Self::Say(Reach::User(Name::new(word)))),
            Some(("say", word)) => channel(word).map(Self::Say).ok_or_else(wrong),
            Some(("read", word)) => channel(word).map(Self::Read).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = NoScope;

    fn try_from(text: String) -> Result<Self, NoScope> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Channel(name) => write!(f, "#{name}"),
            Self::User(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Say(reach) => write!(f, "say:{reach}"),
            Self::Read(reach) => write!(f, "read:{reach}"),
            Self::Inbox => f.write_str("inbox"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Name, Needs, Rights, Scope};

    fn rights(scopes: &[&str]) -> Rights {
        Rights { label: Name::new("x"), scopes: Some(scopes.iter().map(|scope| scope.parse().unwrap()).collect()) }
    }

    #[test]
    fn a_scope_is_what_was_typed() {
        for text in ["say:#ops", "say:nina", "say:*", "read:#ops", "read:*", "inbox"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        for text in ["", "say", "say:", "say:#", "say:3com", "read:nina", "inbox:*", "all", "*"] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }

    #[test]
    fn scopes_allow_what_they_say_and_nothing_else() {
        let ops = rights(&["say:#Ops", "say:nina"]);
        assert!(ops.allow(Needs::SayIn("OPS")) && ops.allow(Needs::SayTo("Nina")) && ops.allow(Needs::Nothing));
        let no = [Needs::SayIn("nina"), Needs::SayTo("ops"), Needs::Read("ops"), Needs::Inbox, Needs::Everything];
        assert!(no.into_iter().all(|needs| !ops.allow(needs)));
        let all = rights(&["say:*", "read:*", "inbox"]);
        assert!(
            [Needs::SayIn("a"), Needs::SayTo("a"), Needs::Read("a"), Needs::Inbox].into_iter().all(|needs| all.allow(needs))
        );
        assert!(!all.allow(Needs::Everything) && !all.allow(Needs::Password));
        let whole = Rights { scopes: None, ..all };
        assert!(whole.allow(Needs::Everything) && !whole.allow(Needs::Password));
    }
}
