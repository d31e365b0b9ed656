//! Asks a server for all that may hold among three people in a channel. It owns nothing, and does not know what to expect; but whom
//! somebody ignores they must not be shown.

use std::io;

use super::facts::Facts;
use super::line::Line;

/// What is set in the channel, each with its values; the first is what it begins with.
pub const OPTIONS: [(&str, &[&str]); 6] = [
    ("invite-only", &["off", "on"]),
    ("slow", &["off", "3600", "7200"]),
    ("speak", &["everyone", "operators"]),
    ("hidden", &["off", "on"]),
    ("keep", &["off", "1000", "30d"]),
    ("guests", &["on", "off"]),
];

/// What holds in a channel in which nothing was set.
pub fn defaults() -> Facts {
    OPTIONS.iter().map(|(option, values)| (format!("option {option}"), values[0].to_owned())).collect()
}

/// Whom to ask, and about what.
pub struct Asking<'a> {
    /// The three connections; the first may ask for tokens.
    pub lines: &'a mut [Line],
    /// Their names.
    pub names: &'a [String],
    /// Their channel.
    pub channel: &'a str,
    /// Accounts that there are, or were.
    pub lodgers: &'a [String],
}

impl Asking<'_> {
    fn who(&self, word: &str) -> usize {
        let name = word.split(':').next().unwrap_or_default();
        self.names.iter().position(|known| known == name).unwrap_or_else(|| panic!("{word} is none of them"))
    }

    /// All that is shown to any of them.
    pub fn all(&mut self) -> io::Result<Facts> {
        let mut facts = Facts::new();
        for who in 0..self.names.len() {
            self.own(who, &mut facts)?;
            self.channel(who, &mut facts)?;
        }
        let owner: usize = facts["owner"].parse().expect("somebody owns it");
        for line in self.lines[owner].ok(&format!("BANS {}", self.channel))?.0 {
            let words: Vec<_> = line.split(' ').collect();
            facts.insert(format!("ban {}", self.who(words[2])), words[6].to_owned());
        }
        for line in self.lines[owner].ok(&format!("LIST {}", self.channel))?.0 {
            facts.insert(format!("member {}", self.who(line.split(' ').nth(1).unwrap_or_default())), String::new());
        }
        let (_, topic) = self.lines[owner].ok(&format!("TOPIC {}", self.channel))?;
        facts.extend(topic.split(' ').nth(3).map(|topic| ("topic".to_owned(), topic.to_owned())));
        for line in self.lines[0].ok("TOKEN LIST")?.0 {
            let words: Vec<_> = line.splitn(5, ' ').collect();
            facts.insert(format!("token {}", words[1]), words[4].to_owned());
        }
        for lodger in self.lodgers {
            let (_, answer) = self.lines[0].ask(&format!("WHOIS {lodger}"))?;
            if answer.starts_with("OK ") {
                facts.insert(format!("account {lodger}"), String::new());
            }
        }
        Ok(facts)
    }

    fn own(&mut self, who: usize, facts: &mut Facts) -> io::Result<()> {
        for line in self.lines[who].ok("IGNORES")?.0 {
            let whom = self.who(line.split(' ').nth(1).unwrap_or_default());
            facts.insert(format!("ignored {who} {whom}"), String::new());
        }
        for line in self.lines[who].ok("INBOX 1000")?.0 {
            let (from, seq, text) = self.message(&line);
            self.must_hear(who, from, &line, facts);
            facts.insert(format!("inbox {who} {from} {text}"), seq);
        }
        // A mark never goes back, so that this tells only where it is.
        let (_, mark) = self.lines[who].ok("ACK 0")?;
        facts.extend(mark.strip_prefix("OK ACK ").map(|mark| (format!("mark {who}"), mark.to_owned())));
        Ok(())
    }

    /// What one of them is shown of the channel, if they are in it.
    fn channel(&mut self, who: usize, facts: &mut Facts) -> io::Result<()> {
        let (options, answer) = self.lines[who].ask(&format!("SET {}", self.channel))?;
        if answer.starts_with("ERR NOT_MEMBER ") {
            return Ok(());
        }
        for line in options {
            let words: Vec<_> = line.split(' ').collect();
            match words[2] {
                "key" => continue,
                "owner" => facts.insert("owner".to_owned(), self.who(words[3]).to_string()),
                "operator" => facts.insert(format!("operator {}", self.who(words[3])), String::new()),
                option => facts.insert(format!("option {option}"), words[3].to_owned()),
            };
        }
        for line in self.lines[who].ok(&format!("HISTORY {} 1000", self.channel))?.0 {
            let (from, seq, text) = self.message(&line);
            self.must_hear(who, from, &line, facts);
            facts.insert(format!("said {from} {text}"), seq);
        }
        let (_, mark) = self.lines[who].ok(&format!("ACK {} 0", self.channel))?;
        facts.extend(mark.rsplit(' ').next().map(|mark| (format!("read {who}"), mark.to_owned())));
        Ok(())
    }

    /// Who said it, its seq, and its text.
    fn message(&self, line: &str) -> (usize, String, String) {
        let words: Vec<_> = line.splitn(6, ' ').collect();
        (self.who(words[4]), words[1].to_owned(), words[5].to_owned())
    }

    fn must_hear(&self, who: usize, from: usize, line: &str, facts: &Facts) {
        assert!(!facts.contains_key(&format!("ignored {who} {from}")), "{} ignores who said: {line}", self.names[who]);
    }
}
