//! The words that begin with `#` or `/`: what a typed line means, and what each word does wherever the person is.
//!
//! It owns the table of words. It must never let one that it does not know be said to everybody: a slip of a command is none of
//! their business, and whoever means it doubles the sign.

use crate::menu::charge::Order;
use crate::menu::client::{Again, Client, Ended};
use crate::menu::terminal::Look;

/// A word of the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Leaves the channel, or ends the talk.
    Bye,
    /// Goes back to the menu, and stays in the channel.
    Menu,
    /// Closes the channel.
    Exit,
    Help,
    Who,
    Join,
    Msg,
    Quit,
    Nick,
    /// A verb of those in charge.
    Order(Order),
}

/// What they are typed as, after `#` or `/`; the first of each is the menu's own, the others are those of IRC.
const WORDS: &[(&str, Word)] = &[
    ("bye", Word::Bye),
    ("leave", Word::Bye),
    ("part", Word::Bye),
    ("menu", Word::Menu),
    ("exit", Word::Exit),
    ("close", Word::Exit),
    ("help", Word::Help),
    ("who", Word::Who),
    ("names", Word::Who),
    ("list", Word::Who),
    ("join", Word::Join),
    ("msg", Word::Msg),
    ("query", Word::Msg),
    ("quit", Word::Quit),
    ("nick", Word::Nick),
    ("kick", Word::Order(Order::Kick)),
    ("ban", Word::Order(Order::Ban)),
    ("unban", Word::Order(Order::Unban)),
];

const HELP: &str = "\
#bye         leaves the channel, or ends the talk
#menu        goes back to the menu, as Ctrl-D does; you stay in the channel
#who         shows who is here
#exit        closes your channel for everyone, after a question, as #close does
#nina hello  sends nina a private message, as /msg nina hello does
/join name   goes to another channel; you stay in this one, too
/nick name   takes another name, as a guest
/quit        disconnects from the server
##hello      says #hello, and //hello says /hello
#kick, #ban and #unban with a name are for those in charge of a channel";

/// What a typed line means.
#[derive(Debug, PartialEq, Eq)]
pub enum Said<'a> {
    Nothing,
    Text(&'a str),
    /// To whom, and what.
    Private(&'a str, &'a str),
    /// A word, and what follows it.
    Word(Word, &'a str),
    /// A word that is none, or that has more after it than it takes.
    Unknown(&'a str),
}

impl Word {
    fn of(typed: &str) -> Option<Self> {
        let name = typed.strip_prefix(['#', '/'])?;
        WORDS.iter().find(|(word, _)| *word == name).map(|(_, word)| *word)
    }

    /// Whether it can be meant with this after it.
    fn takes(self, rest: &str) -> bool {
        match self {
            Self::Menu | Self::Exit | Self::Who => rest.is_empty(),
            // A channel, as people type it elsewhere.
            Self::Bye => rest.is_empty() || (rest.starts_with('#') && !rest.contains(' ')),
            Self::Help | Self::Join | Self::Msg | Self::Quit | Self::Nick | Self::Order(_) => true,
        }
    }
}

/// What a line means. Only one that begins with a sign can be something else than talk: "goodbye #bye" is just that.
pub fn meaning(line: &str) -> Said<'_> {
    let trimmed = line.trim();
    let (first, rest) = trimmed.split_once(char::is_whitespace).unwrap_or((trimmed, ""));
    let (word, rest) = (Word::of(first), rest.trim());
    if let Some(word) = word.filter(|word| word.takes(rest)) {
        return Said::Word(word, rest);
    }
    let Some(sign) = line.chars().next().filter(|sign| ['#', '/'].contains(sign)) else {
        return if trimmed.is_empty() { Said::Nothing } else { Said::Text(line) };
    };
    let after = &line[1..];
    if after.starts_with(sign) {
        return Said::Text(after);
    }
    match after.split_once(' ').filter(|_| sign == '#' && word.is_none()) {
        Some((name, text)) if !name.is_empty() && !text.trim().is_empty() => Said::Private(name, text),
        _ => Said::Unknown(first),
    }
}

/// What the person is told who typed a word that is none.
fn unknown(typed: &str) -> String {
    let (sign, name) = typed.split_at(1);
    let aloud = format!("{sign}{typed} would say it aloud, #help shows all words");
    if Word::of(typed).is_some() {
        return format!("Nothing was sent: {typed} stands alone; {aloud}.");
    }
    let lower = name.to_lowercase();
    let slips = |word: &&(&str, Word)| if lower.starts_with(word.0) { 1 } else { strsim::osa_distance(&lower, word.0) };
    let nearest = WORDS.iter().min_by_key(slips).filter(|word| slips(word) <= 2 && slips(word) * 2 <= word.0.len());
    // It may be somebody who is there.
    let is_name = sign == "#" && !name.is_empty();
    let private = if is_name { format!("With a text after it, it would go to {name} alone; ") } else { String::new() };
    let told = match nearest {
        Some((word, _)) => format!("; did you mean {sign}{word}?"),
        None => if is_name { "." } else { ";" }.to_owned(),
    };
    format!("Nothing was sent: there is no {typed}{told} {private}{aloud}.")
}

impl Client {
    /// Does what means the same wherever the person is; whether they are in another channel now.
    pub(super) fn does(&mut self, said: &Said<'_>) -> Result<bool, Ended> {
        match *said {
            Said::Private(to, text) => self.send_privately(to, text)?,
            Said::Word(Word::Msg, rest) => match rest.split_once(' ') {
                Some((to, text)) => self.send_privately(to, text)?,
                None => self.terminal.show(Look::Red, "Not done: type /msg, a name, and what to tell them."),
            },
            Said::Word(Word::Join, rest) => return self.go_into("JOIN", rest, Again::Yes),
            Said::Word(Word::Nick, _) if self.is_account() => {
                self.terminal.show(Look::Red, "Not done: an account keeps its name; guests may take another.");
            }
            Said::Word(Word::Nick, name) => {
                if self.takes_name(name)? {
                    let who = self.who.clone();
                    self.terminal.show(Look::Plain, &format!("You are {who} now."));
                }
            }
            Said::Word(Word::Quit, _) => {
                self.disconnect();
                return Err(Ended::ByPerson);
            }
            Said::Word(Word::Help, _) => HELP.lines().for_each(|line| self.terminal.show(Look::Plain, line)),
            Said::Word(..) => self.terminal.show(Look::Red, "Not done: you are in no channel here."),
            Said::Unknown(word) => self.terminal.show(Look::Red, &unknown(word)),
            Said::Text(_) | Said::Nothing => {}
        }
        Ok(false)
    }

    fn send_privately(&mut self, to: &str, text: &str) -> Result<(), Ended> {
        if self.send_to(to, text)? {
            self.terminal.show(Look::Dim, &format!("(private message sent to {to})"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Order, Said, WORDS, Word, meaning, unknown};

    #[test]
    fn only_exact_words_are_commands() {
        for bye in ["#bye", " #bye ", "/part", "/leave #den"] {
            assert!(matches!(meaning(bye), Said::Word(Word::Bye, _)), "{bye}");
        }
        assert_eq!(meaning("#exit"), Said::Word(Word::Exit, ""));
        assert_eq!(meaning("#kick nina  calm down"), Said::Word(Word::Order(Order::Kick), "nina  calm down"));
        assert_eq!(meaning("#unban"), Said::Word(Word::Order(Order::Unban), ""));
        assert_eq!(meaning("/join  #den key"), Said::Word(Word::Join, "#den key"));
        assert_eq!(meaning("  "), Said::Nothing);
        for talk in ["goodbye #bye", "bye", "say #kick nina", " #nina hi", "a/b"] {
            assert_eq!(meaning(talk), Said::Text(talk));
        }
        assert_eq!((meaning("##bye"), meaning("//quit now")), (Said::Text("#bye"), Said::Text("/quit now")));
        assert_eq!(
            (meaning("#nina  hi"), meaning("#kickers nina")),
            (Said::Private("nina", " hi"), Said::Private("kickers", "nina"))
        );
        for (wrong, word) in
            [("#bye nina", "#bye"), ("#byebye", "#byebye"), ("#Bye", "#Bye"), ("/etc/x is", "/etc/x"), ("#", "#")]
        {
            assert_eq!(meaning(wrong), Said::Unknown(word));
        }
    }

    #[test]
    fn the_nearest_word_is_named_and_so_is_the_way_to_say_it_aloud() {
        for (typed, nearest) in
            [("#bye2", "#bye"), ("#byebye", "#bye"), ("#Exit", "#exit"), ("/qiut", "/quit"), ("#hlep", "#help")]
        {
            let told = unknown(typed);
            let sign = &typed[..1];
            assert!(told.contains(&format!("; did you mean {nearest}?")), "{told}");
            assert!(told.contains(&format!(" {sign}{typed} would say it aloud")), "{told}");
        }
        assert!(unknown("#bobby").contains("it would go to bobby alone; ##bobby would say it aloud"));
        assert!(unknown("#bye").contains("#bye stands alone"));
        assert!(unknown("/").starts_with("Nothing was sent: there is no /; "));
    }

    #[test]
    fn no_word_is_there_twice() {
        assert!(WORDS.iter().enumerate().all(|(at, (word, _))| WORDS[..at].iter().all(|(other, _)| other != word)));
    }
}
