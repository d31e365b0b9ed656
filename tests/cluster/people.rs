//! The people of a simulated cluster: each is somewhere, goes elsewhere when that server is gone, and tries again what was not
//! answered. They own nothing but their connections and what they have said; they never judge an answer.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::chance::Chance;
use super::net::Line;
use super::record::What;
use super::ruling::Ruling;
use super::world::World;

/// The password of all accounts.
pub const PASSWORD: &str = "correct horse battery";
/// All channels that there may be. The first is there from the beginning.
pub const CHANNELS: [&str; 3] = ["#ash", "#birch", "#cedar"];
const NAMES: [&str; 3] = ["quill", "wren", "finch"];
/// How often somebody tries at the end, when nothing goes wrong any more.
const TRIES: usize = 400;
/// Every command is answered in this time: nobody knows after ten seconds, and a session that ends says so.
const PATIENCE: Duration = Duration::from_secs(14);

/// The connection has ended.
#[derive(Debug)]
pub struct Ended;

/// What became of a text, as far as its author knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It was answered OK, with this seq.
    Stored(u64),
    /// Each time it was refused, and nothing was done.
    Refused,
    /// It may be stored.
    Unknown,
    /// It was answered OK, and then retracted.
    Retracted(u64),
    /// It was answered OK, and may have been retracted.
    MaybeRetracted(u64),
}

/// Something that somebody said.
#[derive(Debug, Clone)]
pub struct Said {
    /// The text, which nobody else says.
    pub text: String,
    /// What became of it.
    pub fate: Fate,
}

impl Said {
    /// Its seq, if it is stored and was not to be retracted yet.
    fn seq(&self) -> Option<u64> {
        if let Fate::Stored(seq) = self.fate { Some(seq) } else { None }
    }
}

/// Somebody's connection.
struct Talk {
    number: usize,
    line: Line,
}

/// One person at work.
pub struct Person<'a> {
    world: &'a World,
    number: usize,
    account: Option<String>,
    chance: Chance,
    talk: Option<Talk>,
    said: Vec<Said>,
    /// Lines to try again, with the places of their texts in `said`.
    pending: Vec<(String, usize)>,
    /// What holds in the first channel, which the first of them owns.
    ruling: Ruling,
}

impl Talk {
    async fn read(&mut self, world: &World) -> Result<String, Ended> {
        let Ok(read) = timeout(PATIENCE, self.line.read()).await else {
            world.report(format!("connection {}: nothing came in time", self.number));
            return Err(Ended);
        };
        let Some(line) = read else {
            world.recorder.put(self.number, What::Ended, "");
            return Err(Ended);
        };
        world.recorder.put(self.number, What::Got, &line);
        Ok(line)
    }

    /// Asks, and returns the answer after its data.
    async fn ask(&mut self, world: &World, text: &str) -> Result<(Vec<String>, String), Ended> {
        world.recorder.put(self.number, What::Sent, text);
        self.line.send(text);
        let mut data = Vec::new();
        loop {
            let line = self.read(world).await?;
            if line.starts_with("OK ") || line.starts_with("ERR ") {
                return Ok((data, line));
            }
            data.extend(line.strip_prefix("- ").map(str::to_owned));
        }
    }
}

impl<'a> Person<'a> {
    /// Somebody who has not connected yet.
    pub fn new(world: &'a World, number: usize, account: Option<String>, chance: Chance) -> Self {
        Self { world, number, account, chance, talk: None, said: Vec::new(), pending: Vec::new(), ruling: Ruling::default() }
    }

    /// Makes the account and, if they are the first, the first channel, while nothing goes wrong.
    pub async fn register(&mut self) -> Result<(), Ended> {
        let Some(name) = self.account.clone() else { return Ok(()) };
        self.connect().await?;
        let mut lines = vec![format!("REGISTER {name} {PASSWORD}")];
        lines.extend((self.number == 0).then(|| format!("CREATE {}", CHANNELS[0])));
        for line in lines {
            if !self.ask(&line).await?.starts_with("OK ") {
                return Err(Ended);
            }
        }
        self.talk = None;
        Ok(())
    }

    /// Does what chance says until all commands are spent; then says again what may be missing, and looks.
    pub async fn live(mut self) -> Vec<Said> {
        while self.world.spend() {
            let most = *self.chance.of(&[0, 5, 500, 5000]);
            sleep(Duration::from_millis(self.chance.below(most + 1) as u64)).await;
            if self.step().await.is_err() {
                self.talk = None;
            }
        }
        self.world.together(1).await;
        for _ in 0..TRIES {
            if self.last_words().await.is_ok() && self.pending.is_empty() {
                break;
            }
            self.talk = None;
            sleep(Duration::from_millis(500)).await;
        }
        self.world.together(2).await;
        // The server may still learn that it was given up.
        let mut tries = 0;
        while self.last_look().await.is_err() && tries < TRIES {
            (self.talk, tries) = (None, tries + 1);
            sleep(Duration::from_millis(500)).await;
        }
        if !self.pending.is_empty() || tries == TRIES {
            self.world.report(format!("person {} came to no end", self.number));
        }
        self.world.together(3).await;
        self.said
    }

    /// Every keyed line that was not answered is said again.
    async fn last_words(&mut self) -> Result<(), Ended> {
        if self.talk.is_none() {
            self.arrive().await?;
        }
        self.again().await
    }

    async fn last_look(&mut self) -> Result<(), Ended> {
        if self.talk.is_none() {
            self.arrive().await?;
        }
        // To join is one of the order: what was retracted before is not shown after it, whatever server this is.
        self.ask(&format!("JOIN {}", CHANNELS[0])).await?;
        self.ask(&format!("HISTORY {} 1000", CHANNELS[0])).await?;
        if self.number == 0 {
            let mut lines = self.data(&format!("SET {}", CHANNELS[0])).await?;
            lines.extend(self.data(&format!("BANS {}", CHANNELS[0])).await?);
            self.ruling.differences(&lines).into_iter().for_each(|wrong| self.world.report(wrong));
        }
        self.ask("PING is that all").await.map(drop)
    }

    async fn again(&mut self) -> Result<(), Ended> {
        for (line, place) in std::mem::take(&mut self.pending) {
            self.say(line, place).await?;
        }
        Ok(())
    }

    async fn ask(&mut self, text: &str) -> Result<String, Ended> {
        self.talk.as_mut().ok_or(Ended)?.ask(self.world, text).await.map(|(_, answer)| answer)
    }

    async fn data(&mut self, text: &str) -> Result<Vec<String>, Ended> {
        self.talk.as_mut().ok_or(Ended)?.ask(self.world, text).await.map(|(data, _)| data)
    }

    async fn connect(&mut self) -> Result<(), Ended> {
        let Some(node) = self.world.node(&mut self.chance) else {
            sleep(Duration::from_millis(200)).await;
            return Err(Ended);
        };
        let number = self.world.number();
        let line = node.connect(number, self.account.as_deref().unwrap_or("guest"), &mut self.chance);
        let mut talk = Talk { number, line };
        let hello = talk.read(self.world).await?;
        if !hello.starts_with("* HELLO") {
            return Err(Ended);
        }
        self.talk = Some(talk);
        Ok(())
    }

    async fn arrive(&mut self) -> Result<(), Ended> {
        self.connect().await?;
        if let Some(name) = self.account.clone()
            && !self.ask(&format!("LOGIN {name} {PASSWORD}")).await?.starts_with("OK")
        {
            return Err(Ended);
        }
        // They may be kept out of it.
        let joined = self.ask(&format!("JOIN {}", CHANNELS[0])).await?;
        if !joined.starts_with("OK") && !joined.starts_with("ERR NOT_ALLOWED") {
            return Err(Ended);
        }
        if self.account.is_some() { self.again().await } else { Ok(()) }
    }

    async fn step(&mut self) -> Result<(), Ended> {
        if self.talk.is_none() {
            return self.arrive().await;
        }
        if self.number == 0 && self.chance.below(4) == 0 {
            return self.rules().await;
        }
        match self.chance.below(46) {
            40..42 if self.account.is_some() => {
                let line = Ruling::ignores(&mut self.chance);
                self.ask(line).await?;
            }
            42..46 => self.takes_back().await?,
            0 => self.talk = None,
            1 => {
                self.ask("QUIT").await?;
                self.talk = None;
            }
            2..5 if self.account.is_none() => drop(self.ask(&format!("NAME {}", self.chance.clone().of(&NAMES))).await?),
            5 => drop(self.ask(&format!("CREATE {}", self.chance.clone().of(&CHANNELS))).await?),
            6 => drop(self.ask("ACK *").await?),
            7..10 => {
                let query = *self.chance.of(&["LIST", "INBOX", "CHANNELS", "PING hi", "HISTORY #ash 5", "LIST #ash"]);
                self.ask(query).await?;
            }
            _ => {
                let place = self.said.len();
                let text = format!("said-{}-{place}", self.number);
                let to = match self.chance.below(4) {
                    0 => "acc0",
                    1 => *self.chance.of(&CHANNELS),
                    _ => CHANNELS[0],
                };
                let key = self.account.as_ref().map(|_| format!("@k{place} ")).unwrap_or_default();
                self.said.push(Said { text: text.clone(), fate: Fate::Refused });
                self.say(format!("MSG {key}{to} {text}"), place).await?;
            }
        }
        Ok(())
    }

    /// Does something to the first channel, and notes whether it holds.
    async fn rules(&mut self) -> Result<(), Ended> {
        let (line, change) = Ruling::next(&mut self.chance);
        let answer = self.ask(&line).await;
        self.ruling.note(&change, answer.as_deref().ok());
        answer.map(drop)
    }

    /// Retracts something.
    async fn takes_back(&mut self) -> Result<(), Ended> {
        let stored: Vec<_> = self.said.iter().enumerate().filter_map(|(place, said)| Some((place, said.seq()?))).collect();
        if stored.is_empty() {
            return Ok(());
        }
        let (place, seq) = *self.chance.of(&stored);
        let answer = self.ask(&format!("RETRACT {seq}")).await;
        let words: Vec<_> = answer.iter().flat_map(|answer| answer.split(' ')).collect();
        self.said[place].fate = match words[..] {
            ["OK", ..] => Fate::Retracted(seq),
            ["ERR", "UNSURE", ..] | [] => Fate::MaybeRetracted(seq),
            _ => Fate::Stored(seq),
        };
        answer.map(drop)
    }

    /// Says something, and notes what became of it.
    async fn say(&mut self, line: String, place: usize) -> Result<(), Ended> {
        let answer = self.ask(&line).await;
        let said = &mut self.said[place];
        let words: Vec<_> = answer.iter().flat_map(|answer| answer.split(' ')).collect();
        let is_final = match words[..] {
            ["OK", _, seq, ..] => {
                said.fate = Fate::Stored(seq.parse().expect("a seq"));
                true
            }
            ["ERR", "UNAVAILABLE", ..] => false,
            ["ERR", "UNSURE", ..] | [] => {
                said.fate = Fate::Unknown;
                false
            }
            _ => true,
        };
        // Guests have no key by which to say it again.
        if !is_final && self.account.is_some() {
            self.pending.push((line, place));
        }
        answer.map(drop)
    }
}
