//! Three people who share a channel and do to each other whatever can be done there, one line at a time, so that they always know
//! what holds: what was answered OK, and at most one line that was not answered. They own their connections and what they know.

use std::io;
use std::net::SocketAddr;

use super::asking::{self, Asking};
use super::chance::Chance;
use super::facts::{ANY, Change, Facts, differences};
use super::line::Line;

const PASSWORDS: [&str; 2] = ["correct horse battery", "staple gun"];
const PEOPLE: usize = 3;
/// How many of the newest tokens are tried.
const SECRETS_TRIED: usize = 6;

/// What of it is shown: nobody is shown what somebody says whom they ignore.
fn visible(facts: &Facts) -> Facts {
    let has = |fact: String| facts.contains_key(&fact);
    let is_seen = |name: &str| match name.split(' ').collect::<Vec<_>>()[..] {
        ["invited", _] => false,
        ["inbox", who, from, _] => !has(format!("ignored {who} {from}")),
        ["said", from, _] => (0..PEOPLE).any(|who| has(format!("member {who}")) && !has(format!("ignored {who} {from}"))),
        _ => true,
    };
    facts.iter().filter(|(name, _)| is_seen(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A line that was sent and not answered.
struct Pending {
    who: usize,
    line: String,
    change: Change,
}

/// The three people.
pub struct Household {
    number: usize,
    chance: Chance,
    lines: Vec<Line>,
    facts: Facts,
    pending: Option<Pending>,
    /// The tokens by which the second and the third log in.
    tokens: Vec<String>,
    /// The first one's other tokens, with their labels.
    secrets: Vec<(String, String)>,
    /// Accounts that there are, or were.
    lodgers: Vec<String>,
    written: usize,
    /// Lines that were answered OK.
    pub oks: usize,
}

impl Household {
    /// Three accounts, of whom the first makes the channel. Nobody kills the server meanwhile.
    pub fn begin(number: usize, seed: u64, address: SocketAddr) -> io::Result<Self> {
        let chance = Chance::new(seed);
        let (lines, facts) = (Vec::new(), asking::defaults());
        let (tokens, secrets, lodgers) = (Vec::new(), Vec::new(), Vec::new());
        let mut it = Self { number, chance, lines, facts, pending: None, tokens, secrets, lodgers, written: 0, oks: 0 };
        for who in 0..PEOPLE {
            let mut line = Line::open(address)?;
            line.ok(&format!("REGISTER {} {}", it.name(who), PASSWORDS[0]))?;
            if who > 0 {
                let (_, told) = line.ok("TOKEN NEW own")?;
                it.tokens.push(told.rsplit(' ').next().unwrap_or_default().to_owned());
            }
            line.ok(&format!("{} {}", if who == 0 { "CREATE" } else { "JOIN" }, it.channel()))?;
            it.lines.push(line);
            it.facts.insert(format!("member {who}"), String::new());
            it.facts.insert(format!("mark {who}"), "0".to_owned());
            it.facts.insert(format!("read {who}"), ANY.to_owned());
        }
        it.facts.insert("owner".to_owned(), "0".to_owned());
        it.facts.insert("password".to_owned(), PASSWORDS[0].to_owned());
        Ok(it)
    }

    fn name(&self, who: usize) -> String {
        format!("home{}{}", self.number, ["ada", "bea", "cy"][who])
    }

    fn channel(&self) -> String {
        format!("#home{}", self.number)
    }

    fn has(&self, fact: &str) -> bool {
        self.facts.contains_key(fact)
    }

    fn owner(&self) -> usize {
        self.facts["owner"].parse().expect("one of three")
    }

    /// After a restart: all of them come back, and everything that was answered OK must hold, with what was not answered or without
    /// it. What can be said again is, so that it is known.
    pub fn returns(&mut self, address: SocketAddr) -> io::Result<()> {
        let names: Vec<_> = (0..PEOPLE).map(|who| self.name(who)).collect();
        self.lines = (0..PEOPLE).map(|_| Line::open(address)).collect::<io::Result<_>>()?;
        for (line, token) in self.lines[1..].iter_mut().zip(&self.tokens) {
            line.ok(&format!("LOGIN {token}"))?;
        }
        let mut after = self.facts.clone();
        let pending = self.pending.take();
        pending.iter().for_each(|pending| pending.change.apply(&mut after, None));
        let passwords = [&self.facts["password"], &after["password"]].map(String::clone);
        let mut password = passwords.iter();
        let password = loop {
            let password = password.next().unwrap_or_else(|| panic!("none of {passwords:?} is the password of {}", names[0]));
            if self.lines[0].ask(&format!("LOGIN {} {password}", names[0]))?.1.starts_with("OK ") {
                break password;
            }
        };
        let channel = self.channel();
        let mut asking = Asking { lines: &mut self.lines, names: &names, channel: &channel, lodgers: &self.lodgers };
        let mut shown = asking.all()?;
        shown.insert("password".to_owned(), password.clone());
        self.may_log_in(address, &shown)?;
        let wrong = differences(&visible(&self.facts), &shown);
        if !wrong.is_empty() {
            let line = pending.as_ref().map(|pending| &pending.line);
            let still_wrong = differences(&visible(&after), &shown);
            assert!(still_wrong.is_empty(), "{channel}, not answered: {line:?}\n{wrong:#?}\n{still_wrong:#?}");
            self.facts = after;
        }
        for (name, value) in self.facts.iter_mut().filter(|(_, value)| *value == ANY) {
            shown.get(name).iter().for_each(|seq| (*seq).clone_into(value));
        }
        match pending {
            Some(Pending { who, line, change }) if line.starts_with("MSG ") || line.starts_with("INVITE ") => {
                self.does(who, line, change).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// The tokens that are held let their owner in, and the others do not.
    fn may_log_in(&self, address: SocketAddr, shown: &Facts) -> io::Result<()> {
        for (label, secret) in self.secrets.iter().rev().take(SECRETS_TRIED) {
            let (_, answer) = Line::open(address)?.ask(&format!("LOGIN {secret}"))?;
            let good = if shown.contains_key(&format!("token {label}")) { "OK LOGIN " } else { "ERR LOGIN_FAILED " };
            assert!(answer.starts_with(good), "the token {label}: {answer}");
        }
        Ok(())
    }

    /// Does one thing after the other until the server has gone.
    pub fn live(&mut self, address: SocketAddr, mut done: impl FnMut()) -> io::Error {
        loop {
            if let Err(error) = self.step(address) {
                return error;
            }
            done();
        }
    }

    fn step(&mut self, address: SocketAddr) -> io::Result<()> {
        let boss = self.owner();
        let other = (boss + 1 + self.chance.below(PEOPLE - 1)) % PEOPLE;
        if !self.has(&format!("member {other}")) && self.chance.below(2) == 0 {
            return self.comes_back(other);
        }
        match self.chance.below(40) {
            0 => self.joins_the_server(address),
            1..10 => self.speaks(),
            10..16 => self.keeps_order(boss, other),
            16..20 => self.own_things(),
            20..24 => self.reads(),
            _ => self.governs(boss, other),
        }
    }

    /// Asks, and notes what holds now. Every line here must be done: nothing stands in its way.
    fn does(&mut self, who: usize, line: String, change: Change) -> io::Result<String> {
        self.pending = Some(Pending { who, line: line.clone(), change });
        let (_, answer) = self.lines[who].ask(&line)?;
        assert!(answer.starts_with("OK "), "{} {line}: {answer}, but {:?}", self.name(who), self.facts);
        let told = answer.split(' ').find(|word| word.parse::<u64>().is_ok()).map(str::to_owned);
        if let Some(pending) = self.pending.take() {
            pending.change.apply(&mut self.facts, told.as_deref());
        }
        self.oks += 1;
        Ok(answer)
    }

    /// Whoever is out and may come in does, and who may not does not.
    fn comes_back(&mut self, who: usize) -> io::Result<()> {
        let may = !self.has(&format!("ban {who}"))
            && (self.facts["option invite-only"] == "off" || self.has(&format!("invited {who}")));
        let line = format!("JOIN {}", self.channel());
        if may {
            let change = Change::default().and(format!("member {who}"), "").and(format!("read {who}"), ANY);
            self.does(who, line, change.without(format!("invited {who}")))?;
            // The OK has a number, and it is no mark.
            self.facts.insert(format!("read {who}"), ANY.to_owned());
            return Ok(());
        }
        let (_, answer) = self.lines[who].ask(&line)?;
        assert!(answer.starts_with("ERR NOT_ALLOWED "), "{} {line}: {answer}, but {:?}", self.name(who), self.facts);
        let history = format!("HISTORY {}", self.channel());
        let (_, answer) = self.lines[who].ask(&history)?;
        assert!(answer.starts_with("ERR NOT_MEMBER "), "who is out reads nothing: {answer}");
        Ok(())
    }

    /// Somebody says something there, or to one of the others.
    fn speaks(&mut self) -> io::Result<()> {
        let (from, to) = (self.chance.below(PEOPLE), self.chance.below(PEOPLE));
        let in_charge = self.owner() == from || self.has(&format!("operator {from}"));
        let is_slow = self.facts["option slow"] != "off" || self.facts["option speak"] != "everyone";
        self.written += 1;
        let text = format!("text-{}", self.written);
        let key = format!("MSG @k{}", self.written);
        if self.chance.below(2) == 0 && self.has(&format!("member {from}")) && (in_charge || !is_slow) {
            let line = format!("{key} {} {text}", self.channel());
            return self.does(from, line, Change::default().and(format!("said {from} {text}"), ANY)).map(drop);
        }
        let line = format!("{key} {} {text}", self.name(to));
        // What somebody says who is ignored never comes.
        let is_ignored = self.has(&format!("ignored {to} {from}"));
        let change =
            if is_ignored { Change::default() } else { Change::default().and(format!("inbox {to} {from} {text}"), ANY) };
        self.does(from, line, change).map(drop)
    }

    fn keeps_order(&mut self, boss: usize, other: usize) -> io::Result<()> {
        let (channel, name) = (self.channel(), self.name(other));
        let out = |change: Change| {
            change.without(format!("member {other}")).without(format!("operator {other}")).without(format!("read {other}"))
        };
        match (self.has(&format!("ban {other}")), self.has(&format!("member {other}")), self.chance.below(3)) {
            (true, _, _) => {
                self.does(boss, format!("UNBAN {channel} {name}"), Change::default().without(format!("ban {other}")))?;
            }
            (false, true, 0) => drop(self.does(boss, format!("KICK {channel} {name} enough"), out(Change::default()))?),
            (false, _, 1) => {
                let reason = format!("reason-{}", self.written);
                let change = out(Change::default().and(format!("ban {other}"), reason.as_str()));
                self.does(boss, format!("BAN {channel} {name} for 3d {reason}"), change)?;
            }
            (false, false, _) => {
                let change = Change::default().and(format!("invited {other}"), "");
                self.does(boss, format!("INVITE {channel} {name}"), change)?;
            }
            (false, true, _) => {}
        }
        Ok(())
    }

    fn governs(&mut self, boss: usize, other: usize) -> io::Result<()> {
        let (channel, name, change) = (self.channel(), self.name(other), Change::default());
        let is_member = self.has(&format!("member {other}"));
        let is_operator = self.has(&format!("operator {other}"));
        match self.chance.below(12) {
            0 if is_member => {
                let change = change.and("owner".to_owned(), other.to_string()).and(format!("operator {boss}"), "");
                self.does(boss, format!("GIVE {channel} {name}"), change)?;
            }
            1..3 if is_member && !is_operator => {
                self.does(boss, format!("OP {channel} {name}"), change.and(format!("operator {other}"), ""))?;
            }
            1..3 if is_operator => {
                self.does(boss, format!("DEOP {channel} {name}"), change.without(format!("operator {other}")))?;
            }
            3 => {
                let topic = format!("topic-{}", self.written);
                self.does(boss, format!("TOPIC {channel} {topic}"), change.and("topic".to_owned(), topic))?;
            }
            4..7 => {
                let said: Vec<_> = self.facts.iter().filter(|(name, seq)| name.starts_with("said ") && *seq != ANY).collect();
                if !said.is_empty() {
                    let (fact, seq) = *self.chance.of(&said);
                    let (fact, line) = (fact.clone(), format!("RETRACT {seq}"));
                    self.does(boss, line, change.without(fact))?;
                }
            }
            _ => {
                let (option, values) = *self.chance.of(&asking::OPTIONS);
                let value = *self.chance.of(values);
                self.does(boss, format!("SET {channel} {option} {value}"), change.and(format!("option {option}"), value))?;
            }
        }
        Ok(())
    }

    /// What is one's own: whom one ignores, tokens, the password.
    fn own_things(&mut self) -> io::Result<()> {
        let (who, whom) = (self.chance.below(PEOPLE), self.chance.below(PEOPLE));
        let (name, fact, change) = (self.name(whom), format!("ignored {who} {whom}"), Change::default());
        match self.chance.below(8) {
            0..3 if who != whom && !self.has(&fact) => drop(self.does(who, format!("IGNORE {name}"), change.and(fact, ""))?),
            0..3 if who != whom => drop(self.does(who, format!("UNIGNORE {name}"), change.without(fact))?),
            3..6 => {
                let label = format!("label-{}", self.written);
                self.written += 1;
                let change = change.and(format!("token {label}"), "say:* inbox");
                let answer = self.does(0, format!("TOKEN NEW {label} say:* inbox"), change)?;
                self.secrets.push((label, answer.rsplit(' ').next().unwrap_or_default().to_owned()));
            }
            6 => {
                let label = self.facts.keys().find_map(|fact| fact.strip_prefix("token ")).map(str::to_owned);
                if let Some(label) = label {
                    self.does(0, format!("TOKEN DROP {label}"), change.without(format!("token {label}")))?;
                }
            }
            7 => {
                let old = self.facts["password"].clone();
                let new = if old == PASSWORDS[0] { PASSWORDS[1] } else { PASSWORDS[0] };
                self.does(0, format!("PASSWD {old} -> {new}"), change.and("password".to_owned(), new))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Somebody marks as read, or takes back what they have said to somebody.
    fn reads(&mut self) -> io::Result<()> {
        let who = self.chance.below(PEOPLE);
        let sent: Vec<_> = self.facts.iter().filter(|(name, seq)| name.starts_with("inbox ") && *seq != ANY).collect();
        match self.chance.below(3) {
            0 if self.has(&format!("member {who}")) => {
                let line = format!("ACK {} *", self.channel());
                self.does(who, line, Change::default().and(format!("read {who}"), ANY))?;
            }
            1 if !sent.is_empty() => {
                let (fact, seq) = *self.chance.of(&sent);
                let from = fact.split(' ').nth(2).and_then(|from| from.parse().ok()).expect("who sent it");
                let (line, change) = (format!("RETRACT {seq}"), Change::default().without(fact.clone()));
                self.does(from, line, change)?;
            }
            2 => {
                let unread = self.facts.keys().filter(|fact| fact.starts_with(&format!("inbox {who} ")));
                let change = unread.fold(Change::default(), |change, fact| change.without(fact.clone()));
                self.does(who, "ACK *".to_owned(), change.and(format!("mark {who}"), ANY))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A guest becomes an account, or an account is no more.
    fn joins_the_server(&mut self, address: SocketAddr) -> io::Result<()> {
        let known = self.facts.keys().find(|fact| fact.starts_with("account ")).cloned();
        self.lines.truncate(PEOPLE);
        self.lines.push(Line::open(address)?);
        if let Some(fact) = known {
            let name = fact.trim_start_matches("account ");
            self.lines[PEOPLE].ok(&format!("LOGIN {name} {}", PASSWORDS[0]))?;
            self.does(PEOPLE, format!("UNREGISTER {}", PASSWORDS[0]), Change::default().without(fact.clone()))?;
        } else {
            self.written += 1;
            let name = format!("lodger{}x{}", self.number, self.written);
            self.lodgers.push(name.clone());
            let change = Change::default().and(format!("account {name}"), "");
            self.does(PEOPLE, format!("REGISTER {name} {}", PASSWORDS[0]), change)?;
        }
        Ok(())
    }
}
