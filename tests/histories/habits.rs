//! What somebody does next, by chance and by what they remember of what they did. It owns no connection, sends nothing, and must
//! never judge an answer.

use super::chance::Chance;

/// The password of all accounts.
pub const PASSWORD: &str = "correct horse battery";
/// All channels that there may be.
pub const CHANNELS: [&str; 5] = ["#ash", "#birch", "#cedar", "#douglas", "#elm"];
const NAMES: [&str; 6] = ["quill", "wren", "finch", "heron", "stork", "crane"];
/// What an account asks for when nobody does anything any more.
pub const LAST_LOOK: [&str; 8] = ["INBOX 1000", "CHANNELS", "LIST", "INBOX 1", "ACK *", "INBOX", "CHANNELS", "QUIT"];
/// What a stranger asks for then, of each channel.
pub const LAST_LOOK_AT: [&str; 5] = ["JOIN #", "HISTORY # 1000", "TOPIC #", "LIST #", "LEAVE #"];

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
    written: usize,
}

impl Habits {
    /// Somebody who has done nothing yet.
    pub fn new(number: usize, account: Option<String>, chance: Chance) -> Self {
        Self { number, account, chance, pending: Vec::new(), answered: None, rooms: Vec::new(), written: 0 }
    }

    /// They are connected again: what an account tries again, because its answer did not come. A guest is somebody new.
    pub fn arrives(&mut self) -> Vec<String> {
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
        let target = if self.chance.below(3) == 0 {
            // The newest are those who are most likely still there.
            let back = self.chance.below(known.len().min(12));
            known[known.len() - 1 - back].clone()
        } else {
            self.channel()
        };
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

    /// A command that is no message.
    pub fn command(&mut self) -> String {
        let (any, channel) = (*self.chance.of(&CHANNELS), self.channel());
        let guest = self.account.is_none();
        match self.chance.below(100) {
            0..22 => format!("JOIN {channel}"),
            22..30 => format!("LEAVE {channel}"),
            30..39 => format!("CREATE {any}"),
            39..42 => format!("CLOSE {channel}"),
            42..48 => {
                self.written += 1;
                format!("TOPIC {channel} t{}-{}", self.number, self.written)
            }
            48..52 => format!("TOPIC {channel}"),
            52..60 => format!("HISTORY {channel} {}", 1 + self.chance.below(40)),
            60..70 => format!("INBOX {}", 1 + self.chance.below(12)),
            70..75 => "ACK *".to_owned(),
            75..80 => format!("ACK {}", self.chance.below(600)),
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
}
