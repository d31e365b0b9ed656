//! The lines of `linechat admin`: what they ask for. It owns nothing, and must never do any of it.

use std::sync::Arc;

use crate::code::{Code, Refusal};
use crate::event::{Act, Age, Barred, Recipient, network};
use crate::limits::{BAN_DAYS, PAGE_LINES, PAGE_LINES_MAX, REASON_BYTES};
use crate::names::{Name, Pattern, UserId, is_channel};
use crate::wire::{one_user, text};

/// A line, understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its verb.
    pub verb: &'static str,
    /// What is wanted.
    pub want: Want,
}

/// What an operator may want. Patterns are as typed; `*` where there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Want {
    /// How the server is.
    Status,
    /// What is counted and measured.
    Metrics,
    /// Who is connected.
    Connections(Pattern),
    /// Who is banned.
    Bans,
    /// Which accounts there are.
    Accounts(Pattern),
    /// Which channels there are.
    Channels(Pattern),
    /// The newest acts.
    Log(usize),
    /// To do this, for this reason.
    Act(Act, Option<Arc<str>>),
    /// To give an account a new password.
    Reset(Recipient, Option<Arc<str>>),
    /// To have a code for REGISTER.
    Invite {
        /// For how long.
        seconds: Option<u64>,
        /// How often.
        uses: u32,
        /// Why.
        reason: Option<Arc<str>>,
    },
}

/// The words of a line that are not used yet.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start_matches(' ');
        let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    /// The next word, which must be there.
    fn need(&mut self, what: &str) -> Result<&'a str, Refusal> {
        self.next().ok_or_else(|| wrong(format!("{what} is missing")))
    }

    /// What follows `word`, if that is next.
    fn named(&mut self, word: &str) -> Option<&'a str> {
        let before = self.0;
        if self.next() == Some(word)
            && let Some(value) = self.next()
        {
            return Some(value);
        }
        self.0 = before;
        None
    }

    /// All that is left, as a reason.
    fn reason(&mut self) -> Result<Option<Arc<str>>, Refusal> {
        let reason = std::mem::take(&mut self.0).trim();
        if reason.len() > REASON_BYTES {
            return Err(Refusal::new(Code::TooLong, format!("a reason has at most {REASON_BYTES} bytes; nothing was done")));
        }
        // The fields of a line are set apart by tabs.
        Ok((!reason.is_empty()).then(|| reason.replace('\t', " ").into()))
    }

    fn pattern(&mut self) -> Pattern {
        let word = self.next().unwrap_or("*");
        Pattern::new(word.strip_prefix('#').unwrap_or(word))
    }

    fn lasts(&mut self) -> Result<Option<u64>, Refusal> {
        // A reason may begin with `for`, too, so whoever wants no end says that first.
        self.named("for").filter(|span| *span != "ever").map(age).transpose()
    }
}

impl Asked {
    /// What a line asks for. IPv6 networks are at least as wide as what counts as one address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(line: &[u8], ipv6_prefix: u64) -> Result<Self, Refusal> {
        let line = text::check(line).map_err(|error| Refusal::new(Code::BadText, error.to_string()))?;
        let mut words = Words(line);
        let verb = words.next().unwrap_or_default().to_ascii_uppercase();
        let banned =
            |word: &str| network(word, ipv6_prefix).map_or_else(|| user(word).map(Barred::User), |it| Ok(Barred::Network(it)));
        let (verb, want) = match &*verb {
            "STATUS" => ("STATUS", Want::Status),
            "METRICS" => ("METRICS", Want::Metrics),
            "CONNECTIONS" => ("CONNECTIONS", Want::Connections(words.pattern())),
            "BANS" => ("BANS", Want::Bans),
            "ACCOUNTS" => ("ACCOUNTS", Want::Accounts(words.pattern())),
            "CHANNELS" => ("CHANNELS", Want::Channels(words.pattern())),
            "LOG" => ("LOG", Want::Log(words.next().map_or(Ok(PAGE_LINES as usize), lines)?)),
            "DISCONNECT" => {
                let who = words.need("a connection or a user")?;
                let act = match who.parse() {
                    Ok(connection) => Act::DisconnectOne(UserId(connection)),
                    Err(_) => Act::Disconnect(user(who)?),
                };
                ("DISCONNECT", Want::Act(act, words.reason()?))
            }
            "BAN" => {
                let who = banned(words.need("an address, a network or an account")?)?;
                let act = Act::Ban(who, words.lasts()?);
                ("BAN", Want::Act(act, words.reason()?))
            }
            "UNBAN" => {
                let act = Act::Unban(banned(words.need("an address, a network or an account")?)?);
                ("UNBAN", Want::Act(act, words.reason()?))
            }
            "RESET" => ("RESET", Want::Reset(user(words.need("an account")?)?, words.reason()?)),
            "REMOVE" => {
                let act = Act::Remove(user(words.need("an account")?)?);
                ("REMOVE", Want::Act(act, words.reason()?))
            }
            "CLOSE" => {
                let act = Act::Close(channel(words.need("a channel")?)?);
                ("CLOSE", Want::Act(act, words.reason()?))
            }
            "GIVE" => {
                let act = Act::Give(channel(words.need("a channel")?)?, user(words.need("a member")?)?);
                ("GIVE", Want::Act(act, words.reason()?))
            }
            "NOTICE" => {
                let text = words.reason()?.ok_or_else(|| wrong("the text is missing".to_owned()))?;
                ("NOTICE", Want::Act(Act::Notice(text), None))
            }
            "INVITE" => {
                let seconds = words.lasts()?;
                let uses = words.named("uses").map_or(Ok(1), uses)?;
                ("INVITE", Want::Invite { seconds, uses, reason: words.reason()? })
            }
            _ => {
                return Err(Refusal::new(
                    Code::UnknownCommand,
                    "that is no command of the operator's; see 'linechat admin --help'",
                ));
            }
        };
        match words.next() {
            None => Ok(Self { verb, want }),
            Some(word) => Err(wrong(format!("'{word}' is too much"))),
        }
    }
}

fn wrong(text: String) -> Refusal {
    Refusal::new(Code::BadSyntax, format!("{text}; see 'linechat admin --help'"))
}

fn user(word: &str) -> Result<Recipient, Refusal> {
    let no_user = || wrong(format!("'{word}' is no user; give a name, an id, or name:id"));
    one_user(word).map(Recipient::from).ok_or_else(no_user)
}

fn channel(word: &str) -> Result<Name, Refusal> {
    let name = word.strip_prefix('#').filter(|name| is_channel(name));
    name.map(Name::new).ok_or_else(|| wrong(format!("'{word}' is no channel; give one with its #")))
}

fn age(word: &str) -> Result<u64, Refusal> {
    let parsed = word.parse().ok().map(|Age(seconds)| seconds).filter(|seconds| (1..=BAN_DAYS * 24 * 3600).contains(seconds));
    parsed.ok_or_else(|| wrong(format!("'{word}' is no span of time; give 30s, 5m, 2h, 3d or 1w, up to {BAN_DAYS}d")))
}

fn uses(word: &str) -> Result<u32, Refusal> {
    let uses = word.parse().ok().filter(|uses| (1..=1_000_000).contains(uses));
    uses.ok_or_else(|| wrong(format!("'{word}' is no number of uses; give 1 to 1000000")))
}

fn lines(word: &str) -> Result<usize, Refusal> {
    let lines = word.parse().ok().filter(|lines| (1..=PAGE_LINES_MAX).contains(lines)).and_then(|lines| lines.try_into().ok());
    lines.ok_or_else(|| wrong(format!("'{word}' is no number of lines; give 1 to {PAGE_LINES_MAX}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{Act, Asked, Barred, Recipient, UserId, Want};

    fn want(line: &str) -> Result<Want, String> {
        Asked::parse(line.as_bytes(), 64).map(|asked| asked.want).map_err(|refusal| refusal.text.into_owned())
    }

    fn ban(line: &str) -> (String, Option<u64>, Option<String>) {
        match want(line) {
            Ok(Want::Act(Act::Ban(Barred::Network(network), seconds), reason)) => {
                (network.to_string(), seconds, reason.map(|reason| reason.to_string()))
            }
            Ok(Want::Act(Act::Ban(Barred::User(user), seconds), reason)) => {
                (user.to_string(), seconds, reason.map(|reason| reason.to_string()))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_ban_is_of_an_address_or_of_a_user() {
        let reason = |text: &str| Some(text.to_owned());
        assert_eq!(ban("ban 192.0.2.7 for 2h too loud"), ("192.0.2.7/32".into(), Some(7200), reason("too loud")));
        assert_eq!(ban("BAN ::ffff:192.0.2.7"), ("192.0.2.7/32".into(), None, None));
        assert_eq!(ban("BAN 192.0.2.7/24 for ever for fun"), ("192.0.2.0/24".into(), None, reason("for fun")));
        assert_eq!(ban("BAN 2001:db8::1"), ("2001:db8::/64".into(), None, None));
        assert_eq!(ban("BAN 2001:db8::1/127"), ("2001:db8::/64".into(), None, None));
        assert_eq!(ban("BAN 2001:db8::1/32"), ("2001:db8::/32".into(), None, None));
        assert_eq!(ban("BAN nina:1000 for 1w"), ("nina:1000".into(), Some(604_800), None));
    }

    #[test]
    fn a_number_is_a_connection_and_a_name_a_user() {
        assert_eq!(want("DISCONNECT 1003"), Ok(Want::Act(Act::DisconnectOne(UserId(1003)), None)));
        assert_eq!(want("DISCONNECT nina"), Ok(Want::Act(Act::Disconnect(Recipient::Name("nina".into())), None)));
    }

    proptest! {
        #[test]
        fn whatever_is_typed_is_understood_or_refused(verb in "BAN|DISCONNECT|INVITE|GIVE|LOG|CLOSE|RESET", rest in any::<Vec<u8>>()) {
            let _ = Asked::parse(&[verb.as_bytes(), b" ", &rest].concat(), 64);
        }

        #[test]
        fn a_span_is_a_number_and_a_unit(word in "[0-9]{0,7}[smhdwy\u{e9}]?") {
            let _ = Asked::parse(format!("BAN nina for {word} x").as_bytes(), 64);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, text) in [
            ("", "that is no command"),
            ("FROB", "that is no command"),
            ("BAN", "an address, a network or an account is missing"),
            ("BAN #ops", "'#ops' is no user"),
            ("BAN nina for 2y", "'2y' is no span of time"),
            ("CLOSE ops", "'ops' is no channel"),
            ("INVITE uses 0", "'0' is no number of uses"),
            ("STATUS please", "'please' is too much"),
            ("LOG 0", "'0' is no number of lines"),
        ] {
            let refusal = want(line).unwrap_err();
            assert!(refusal.starts_with(text), "{line}: {refusal}");
        }
    }
}
