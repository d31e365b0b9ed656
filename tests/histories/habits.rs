//! What somebody does next, by chance and by what they remember of what they did. It owns no connection, sends nothing, and must
//! never judge an answer.

use super::chance::Chance;

/// The password of all accounts.
pub const PASSWORD: &str = "correct horse battery";
/// All channels that there may be.
pub const CHANNELS: [&str; 5] = ["#ash", "#birch", "#cedar", "#douglas", "#elm"];
const NAMES: [&str; 6] = ["quill", "wren", "finch", "heron", "stork", "crane"];
/// What an account asks for when nobody does anything any more.
const LAST_LOOK: [&str; 9] = ["INBOX 1000", "CHANNELS", "LIST", "IGNORES", "INBOX 1", "ACK *", "INBOX", "CHANNELS", "QUIT"];
/// What a stranger asks for then, of each channel.
const LAST_LOOK_AT: [&str; 6] = ["JOIN #", "HISTORY # 1000", "TOPIC #", "SET #", "LIST #", "LEAVE #"];
/// What is set in channels. Most of it lets people in and lets them speak, or there would be little to see.
const SETTINGS: [&str; 10] = [
    "guests off",
    "guests on",
    "guests on",
    "invite-only on",
    "invite-only off",
    "invite-only off",
    "speak operators",
    "speak everyone",
    "speak everyone",
    "keep",
];

/// What a stranger asks for when nobody does anything any more.
pub fn looks() -> impl Iterator<Item = String> {
    CHANNELS.iter().flat_map(|channel| LAST_LOOK_AT.map(|text| text.replace('#', channel)))
}

/// What an account asks for then: it may come into channels that take no strangers.
pub fn last_words(account: &str) -> impl Iterator<Item = String> {
    let login = std::iter::once(format!("LOGIN {account} {PASSWORD}"));
    let reads = CHANNELS.iter().flat_map(|channel| ["SET #", "HISTORY # 1000"].map(|text| text.replace('#', channel)));
    login.chain(reads).chain(LAST_LOOK.map(str::to_owned))
}

/// Who is in a channel by this line, written as the arguments of what one does to them there.
pub fn heard(line: &str) -> Option<String> {
    let words: Vec<_> = line.split(' ').collect();
    let (channel, who) = match words[..] {
        ["*", "JOIN", channel, who, ..] => (channel, who),
        ["*", "MSG", _, _, channel, who, ..] if channel.starts_with('#') => (channel, who),
        _ => return None,
    };
    Some(format!("{channel} {}", who.rsplit(':').next()?))
}

/// Somebody's memory, and their chance.
pub struct Habits {
    /// Their number, from which their texts are made.
    pub number: usize,
    /// The account that they log in to, or `None` for a guest.
    pub account: Option<String>,
    /// What they decide by.
    pub chance: Chance,
    /// Keyed lines whose answer did not come.
    pending: Vec<String>,
    /// A keyed line that was answered.
    answered: Option<String>,
    /// Channels that they believe they are in.
    rooms: Vec<String>,
    /// Seqs of what they have said.
    said: Vec<String>,
    /// Whom they have banned: the channel, and the user.
    banned: Vec<String>,
    ignored: Vec<String>,
    written: usize,
    /// Whether their connection stays when their input ends.
    pub follows: bool,
}

impl Habits {
    /// Somebody who has done nothing yet.
    pub fn new(number: usize, account: Option<String>, chance: Chance) -> Self {
        Self {
            number,
            account,
            chance,
            pending: Vec::new(),
            answered: None,
            rooms: Vec::new(),
            said: Vec::new(),
            banned: Vec::new(),
            ignored: Vec::new(),
            written: 0,
            follows: false,
        }
    }

    /// They are connected again: what an account tries again, because its answer did not come. A guest is somebody new.
    pub fn arrives(&mut self) -> Vec<String> {
        self.follows = false;
        if self.account.is_none() {
            self.pending.clear();
            self.answered = None;
            self.rooms.clear();
        }
        self.pending.clone()
    }

    /// Everything that they sent was answered, this last.
    pub fn is_answered(&mut self, answer: &str) {
        self.answered = self.pending.pop().or(self.answered.take());
        self.pending.clear();
        match answer.split(' ').collect::<Vec<_>>()[..] {
            ["OK", "JOIN" | "CREATE", room, ..] => self.rooms.push(room.to_owned()),
            ["OK", "FOLLOW", room] => {
                self.rooms.push(room.to_owned());
                self.follows = true;
            }
            ["OK", "BAN", channel, who] => self.banned.push(format!("{channel} {who}")),
            ["OK", "IGNORE", who] => self.ignored.extend(who.rsplit(':').next().map(str::to_owned)),
            ["OK", "MSG", seq, ..] => self.said.push(seq.to_owned()),
            ["OK", "LEAVE" | "CLOSE", room] => self.rooms.retain(|known| known != room),
            _ => (),
        }
    }

    /// A channel: mostly one that they believe they are in.
    fn channel(&mut self) -> String {
        if self.rooms.is_empty() || self.chance.below(8) == 0 {
            return (*self.chance.of(&CHANNELS)).to_owned();
        }
        self.chance.of(&self.rooms).clone()
    }

    /// Writes something to somebody, with a key more often than not.
    pub fn message(&mut self, known: &[String]) -> String {
        if self.chance.below(8) == 0
            && let Some(again) = &self.answered
        {
            return again.clone();
        }
        let target = if self.chance.below(3) == 0 { self.somebody(known) } else { self.channel() };
        let keyed = self.chance.below(4) != 0;
        self.written += 1;
        let (number, written) = (self.number, self.written);
        let key = if keyed { format!("@k{number}-{written} ") } else { String::new() };
        let length = if self.chance.below(5) == 0 { 200 + self.chance.below(2500) } else { self.chance.below(20) };
        let text = format!("MSG {key}{target} m{number}-{written} {}", "x".repeat(length)).trim_end().to_owned();
        if keyed {
            self.pending.push(text.clone());
        }
        text
    }

    fn somebody(&mut self, known: &[String]) -> String {
        // The newest are those who are most likely still there.
        let back = self.chance.below(known.len().min(12));
        known[known.len() - 1 - back].clone()
    }

    /// A command that is no message.
    pub fn command(&mut self, known: &[String], heard: Option<&str>) -> String {
        match self.chance.below(12) {
            0..3 => return self.governs(known, heard),
            3 => return self.minds(known, heard),
            _ => (),
        }
        let (any, channel) = (*self.chance.of(&CHANNELS), self.channel());
        let guest = self.account.is_none();
        match self.chance.below(100) {
            0..19 => format!("JOIN {channel}"),
            19..30 => format!("LEAVE {channel}"),
            30..39 => format!("CREATE {any}"),
            39..42 => format!("CLOSE {channel}"),
            42..48 => {
                self.written += 1;
                format!("TOPIC {channel} t{}-{}", self.number, self.written)
            }
            48..52 => format!("TOPIC {channel}"),
            52..56 => format!("HISTORY {channel} {}", 1 + self.chance.below(40)),
            56..58 => format!("HISTORY {channel} unread"),
            58..60 => format!("HISTORY {channel} {} since {}", 1 + self.chance.below(40), self.chance.below(600)),
            60..70 => format!("INBOX {}", 1 + self.chance.below(12)),
            70..75 => "ACK *".to_owned(),
            75..78 => format!("ACK {}", self.chance.below(600)),
            78..80 => format!("ACK {channel} *"),
            80..84 => "LIST".to_owned(),
            84..88 => format!("LIST {channel}"),
            88..93 => "CHANNELS".to_owned(),
            93..96 if guest => format!("NAME {}", self.chance.of(&NAMES)),
            96 if guest && self.chance.below(3) == 0 => {
                let name = format!("late{}", self.number);
                self.account = Some(name.clone());
                format!("REGISTER {name} {PASSWORD}")
            }
            _ => format!("PING {}", self.written),
        }
    }

    /// A command for those in charge of a channel; mostly of one that was theirs in the beginning, if there is one.
    fn governs(&mut self, known: &[String], heard: Option<&str>) -> String {
        let first = self.account.as_ref().and_then(|name| CHANNELS.get(name.strip_prefix("acc")?.parse::<usize>().ok()?));
        let channel = match first {
            Some(first) if self.chance.below(4) != 0 => (*first).to_owned(),
            _ => self.channel(),
        };
        let is_near = |heard: &&str| first.is_none_or(|first| heard.starts_with(first));
        let them = match heard.filter(is_near) {
            Some(heard) if self.chance.below(4) != 0 => heard.to_owned(),
            _ => format!("{channel} {}", self.somebody(known)),
        };
        match self.chance.below(24) {
            0..4 => format!("KICK {them} enough"),
            4..7 => format!("BAN {them} for good"),
            7..11 if !self.banned.is_empty() => format!("UNBAN {}", self.banned.swap_remove(0)),
            7 => format!("BANS {channel}"),
            8..13 => format!("OP {them}"),
            13..15 => format!("DEOP {them}"),
            15 => format!("GIVE {them}"),
            16..18 => format!("INVITE {channel} {}", self.somebody(known)),
            18..20 => format!("SET {channel}"),
            _ => match *self.chance.of(&SETTINGS) {
                "keep" => format!("SET {channel} keep {}", 1000 + self.chance.below(1000)),
                setting => format!("SET {channel} {setting}"),
            },
        }
    }

    /// What somebody does for themselves.
    fn minds(&mut self, known: &[String], heard: Option<&str>) -> String {
        let channel = self.channel();
        if !self.ignored.is_empty() && self.chance.below(3) == 0 {
            return format!("UNIGNORE {}", self.ignored.swap_remove(0));
        }
        match self.chance.below(20) {
            0..4 => {
                let heard = heard.and_then(|heard| heard.split(' ').nth(1)).filter(|_| self.chance.below(2) == 0);
                format!("IGNORE {}", heard.map_or_else(|| self.somebody(known), str::to_owned))
            }
            4 => format!("UNIGNORE {}", self.somebody(known)),
            5 => "IGNORES".to_owned(),
            6 => format!("AWAY until {}", self.written),
            7 => "AWAY".to_owned(),
            8 => format!("WAIT {channel} since {} 1", self.chance.below(100)),
            9 => format!("WAIT inbox since {} 1", self.chance.below(100)),
            10 => format!("JOIN {channel} last {}", 1 + self.chance.below(9)),
            11 => format!("FOLLOW {channel}"),
            _ if self.said.is_empty() => "AWAY".to_owned(),
            _ => format!("RETRACT {}", self.chance.clone().of(&self.said)),
        }
    }
}
