//! Why the server did not do something, in the words of the menu: nobody who chooses options should have to know its commands.
//!
//! It goes by the code, which is stable, and takes of the text only what no command is in. It owns nothing.

use crate::menu::client::{Answer, Client};
use crate::menu::terminal::Look;
use crate::wire::verbs;

impl Client {
    /// Shows why something was not done.
    pub(super) fn show_refused(&mut self, what: &str, answer: &Answer) {
        let line = match answer {
            Answer::Ok(..) => return,
            Answer::Unknown => "The connection was lost before the answer came: it is not known whether it was done.".into(),
            Answer::Err(code, text) => format!("{what}: {}.", reason(code, text)),
        };
        self.terminal.show(Look::Red, &line);
    }
}

/// The text of an ERR, for people at a menu.
pub fn reason(code: &str, text: &str) -> String {
    let wait = text.strip_prefix("retry-ms=").filter(|_| code == "RATE_LIMITED").and_then(|text| text.split_once(' '));
    let wait = wait.and_then(|(ms, text)| Some((ms.parse::<u64>().ok()?, text)));
    let (ms, text) = wait.map_or((None, text), |(ms, text)| (Some(ms), text));
    // What is wrong, and then what to do about it.
    let mut parts = text.split("; ").map(without_asides).filter(|part| !is_for_programs(part));
    let is_told = !is_for_programs(&without_asides(text.split("; ").next().unwrap_or_default()));
    let wrong = parts.next().filter(|_| is_told).unwrap_or_else(|| meaning(code).to_owned());
    let own = advice(code, &wrong).map(str::to_owned);
    let wait = ms.map(|ms| format!("try again in {} s", ms.div_ceil(1000)));
    let rest = wait.or(own).map_or_else(|| parts.collect(), |advice| vec![advice]);
    std::iter::once(wrong).chain(rest).collect::<Vec<_>>().join("; ")
}

/// A text without the names of limits and commands that it has in brackets.
fn without_asides(text: &str) -> String {
    match text.rsplit_once(" (") {
        Some((before, aside)) if aside.starts_with("limit ") || is_for_programs(aside) => before.to_owned(),
        _ => text.to_owned(),
    }
}

/// Whether one of the server's commands is in a text.
fn is_for_programs(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_ascii_alphabetic());
    text.starts_with("usage: ") || words.any(|word| verbs::VERBS.iter().any(|verb| verb.name == word))
}

/// What to do about it here, where the server can only name a command, or nothing at all.
fn advice(code: &str, wrong: &str) -> Option<&'static str> {
    Some(match code {
        "NO_SUCH_USER" => "option 1 shows who is online",
        "NO_SUCH_CHANNEL" => "option 4 makes it",
        "CHANNEL_EXISTS" if wrong.ends_with(" exists already") => "option 5 joins it",
        "NOT_MEMBER" => "option 5 joins it",
        "NAME_TAKEN" => "choose another; if it is yours, start with --login",
        "NOT_ALLOWED" if wrong.ends_with(" needs a key") => "type it after the channel's name",
        _ => return None,
    })
}

const NOT_UNDERSTOOD: &str = "what was typed is not understood (a channel is typed #tea, and somebody by their name or id)";

/// What is wrong, where the server only says it in commands.
fn meaning(code: &str) -> &'static str {
    match code {
        "NO_SUCH_USER" => "there is nobody of that name or id",
        "NO_SUCH_CHANNEL" => "there is no such channel",
        "CHANNEL_EXISTS" => "there is a channel of that name, or of one that looks like it",
        "NOT_MEMBER" => "you are not in that channel",
        "NAME_TAKEN" => "somebody has that name, or one that looks like it",
        "NOT_ALLOWED" => "you may not do that here",
        "QUOTA" => "there are as many as there may be",
        "RATE_LIMITED" => "too often",
        "UNAVAILABLE" | "SHUTTING_DOWN" | "INTERNAL" => "the server cannot do it now",
        _ => NOT_UNDERSTOOD,
    }
}

#[cfg(test)]
mod tests {
    use super::{NOT_UNDERSTOOD, reason};

    #[test]
    fn a_time_to_wait_is_said_in_seconds() {
        assert_eq!(reason("RATE_LIMITED", "retry-ms=4001 too many tries"), "too many tries; try again in 5 s");
        let slow = "retry-ms=900 in #den one speaks every 30 seconds (SET #den slow)";
        assert_eq!(reason("RATE_LIMITED", slow), "in #den one speaks every 30 seconds; try again in 1 s");
        assert_eq!(reason("BAD_TEXT", "retry-ms=4001 too many tries"), "retry-ms=4001 too many tries");
    }

    #[test]
    fn commands_are_no_advice_at_a_menu() {
        let told = [
            (
                "NO_SUCH_USER there is no user bob, or the guest has gone; LIST shows who is online",
                "there is no user bob, or the guest has gone; option 1 shows who is online",
            ),
            (
                "NO_SUCH_CHANNEL there is no channel #a; CHANNELS shows them, CREATE #a makes it",
                "there is no channel #a; option 4 makes it",
            ),
            ("CHANNEL_EXISTS #a exists already; type JOIN #a", "#a exists already; option 5 joins it"),
            (
                "CHANNEL_EXISTS #a looks like another channel; choose another name",
                "#a looks like another channel; choose another name",
            ),
            ("QUOTA you are in 9 channels (limit channels-per-user); LEAVE one first", "you are in 9 channels"),
            ("LOGIN_FAILED the name or the password is wrong", "the name or the password is wrong"),
            ("BAD_SYNTAX usage: KICK #channel user [reason], for example: KICK #a bob", NOT_UNDERSTOOD),
            ("NEW_CODE nobody knows it; SAY it", "nobody knows it"),
        ];
        for (refusal, line) in told {
            let (code, text) = refusal.split_once(' ').unwrap();
            assert_eq!(reason(code, text), line);
        }
    }
}
