//! The people of a simulation: each has one connection at a time, and does what chance says until all commands are spent. They own
//! nothing but their connections; they must never judge an answer, only record it.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::chance::Chance;
use super::net::Line;
use super::record::What;
use super::world::World;

/// The password of all accounts.
pub const PASSWORD: &str = "correct horse battery";
/// All channels that there may be.
pub const CHANNELS: [&str; 5] = ["#ash", "#birch", "#cedar", "#douglas", "#elm"];
const NAMES: [&str; 6] = ["quill", "wren", "finch", "heron", "stork", "crane"];
/// Longer than anything may take in the roughest network.
const PATIENCE: Duration = Duration::from_secs(1200);

/// The connection has ended.
#[derive(Debug)]
pub struct Ended;

/// Somebody's connection, with the answers that are due.
pub struct Talk {
    number: usize,
    line: Line,
    unanswered: usize,
}

impl Talk {
    /// Connects and reads the HELLO.
    pub async fn open(world: &World, who: &str, chance: &mut Chance) -> Result<Self, Ended> {
        let (number, line) = world.connect(who, chance).await;
        let mut talk = Self { number, line, unanswered: 0 };
        talk.read(world).await.map(|_| talk)
    }

    /// Sends a line.
    pub fn send(&mut self, world: &World, text: &str) {
        world.recorder.put(self.number, What::Sent, text);
        self.unanswered += 1;
        self.line.send(text);
    }

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

    /// Reads until everything is answered; the last answer.
    pub async fn answers(&mut self, world: &World) -> Result<String, Ended> {
        let mut last = String::new();
        while self.unanswered > 0 {
            last = self.read(world).await?;
            self.unanswered -= usize::from(last.starts_with("OK ") || last.starts_with("ERR "));
        }
        Ok(last)
    }

    /// Sends a line and reads until it is answered.
    pub async fn ask(&mut self, world: &World, text: &str) -> Result<String, Ended> {
        self.send(world, text);
        self.answers(world).await
    }

    /// Reads to the end of the connection.
    async fn until_the_end(mut self, world: &World) {
        while self.read(world).await.is_ok() {}
    }
}

/// One person at work.
pub struct Person<'a> {
    /// Everything around them.
    pub world: &'a World,
    /// Their number, from which their texts are made.
    pub number: usize,
    /// Their account, unless they are a guest.
    pub account: Option<String>,
    /// What they decide by.
    pub chance: Chance,
    talk: Option<Talk>,
    /// Keyed lines whose answer did not come.
    pending: Vec<String>,
    /// A keyed line that was answered.
    answered: Option<String>,
    /// Channels that they believe they are in.
    rooms: Vec<String>,
    written: usize,
}

impl<'a> Person<'a> {
    /// Somebody who has not connected yet.
    pub fn new(world: &'a World, number: usize, account: Option<String>, chance: Chance) -> Self {
        let (talk, pending, answered, rooms) = (None, Vec::new(), None, Vec::new());
        Self { world, number, account, chance, talk, pending, answered, rooms, written: 0 }
    }

    /// Does what chance says until all commands are spent; then takes the last look.
    pub async fn live(mut self) {
        while self.world.spend() {
            self.rest().await;
            if self.step().await.is_err() {
                self.talk = None;
            }
        }
        self.world.together(1).await;
        if let Some(talk) = &mut self.talk {
            // What is asked here finds a server that does not end, and to which nobody writes.
            for text in ["PING all is quiet", "INBOX 1000"] {
                if talk.ask(self.world, text).await.is_err() {
                    break;
                }
            }
        }
        // Nobody goes before all have looked, so that nobody's going is seen by half of them.
        self.world.together(2).await;
        if let Some(talk) = self.talk {
            talk.line.cut();
        }
    }

    /// Mostly not at all, sometimes for long.
    async fn rest(&mut self) {
        let most = *self.chance.of(&[0, 0, 5, 50, 500]);
        sleep(Duration::from_millis(self.chance.below(most + 1) as u64)).await;
    }

    async fn step(&mut self) -> Result<(), Ended> {
        let Some(talk) = &mut self.talk else { return self.arrive().await };
        match self.chance.below(100) {
            0..2 => self.cut(),
            2 => {
                talk.ask(self.world, "QUIT").await?;
                self.talk = None;
            }
            3 => {
                // The end of the input is no end of the answers.
                if let Some(talk) = self.talk.take() {
                    talk.line.end_writing();
                    talk.until_the_end(self.world).await;
                }
            }
            4..10 => {
                for _ in 0..=self.chance.below(12) {
                    if self.world.spend() {
                        self.say();
                    }
                    // Some go in the middle of it, and never learn what was stored.
                    if self.chance.below(60) == 0 {
                        self.cut();
                        return Ok(());
                    }
                }
                self.settle().await?;
            }
            10..12 => {
                // They read nothing while the others go on.
                sleep(Duration::from_millis(self.chance.below(8000) as u64)).await;
                self.ask("PING what was it").await?;
            }
            12..60 => {
                self.say();
                self.settle().await?;
            }
            _ => {
                let text = self.command();
                self.ask(&text).await?;
            }
        }
        Ok(())
    }

    fn cut(&mut self) {
        if let Some(talk) = self.talk.take() {
            talk.line.cut();
        }
    }

    async fn ask(&mut self, text: &str) -> Result<String, Ended> {
        let answer = self.talk.as_mut().ok_or(Ended)?.ask(self.world, text).await?;
        match answer.split(' ').collect::<Vec<_>>()[..] {
            ["OK", "JOIN" | "CREATE", room, ..] => self.rooms.push(room.to_owned()),
            ["OK", "LEAVE" | "CLOSE", room] => self.rooms.retain(|known| known != room),
            _ => (),
        }
        Ok(answer)
    }

    /// A channel: mostly one that they believe they are in.
    fn channel(&mut self) -> String {
        if self.rooms.is_empty() || self.chance.below(8) == 0 {
            return (*self.chance.of(&CHANNELS)).to_owned();
        }
        self.chance.of(&self.rooms).clone()
    }

    /// Reads all answers; then nothing is pending.
    async fn settle(&mut self) -> Result<(), Ended> {
        self.talk.as_mut().ok_or(Ended)?.answers(self.world).await?;
        self.answered = self.pending.pop().or(self.answered.take());
        self.pending.clear();
        Ok(())
    }

    /// Connects, logs in, and tries again what was not answered.
    async fn arrive(&mut self) -> Result<(), Ended> {
        let name = self.account.clone();
        let mut talk = Talk::open(self.world, name.as_deref().unwrap_or("guest"), &mut self.chance).await?;
        if let Some(name) = name {
            talk.ask(self.world, &format!("LOGIN {name} {PASSWORD}")).await?;
            for again in self.pending.clone() {
                talk.ask(self.world, &again).await?;
            }
            self.talk = Some(talk);
        } else {
            let who = talk.ask(self.world, "WHOAMI").await?;
            self.answered = None;
            self.rooms.clear();
            self.talk = Some(talk);
            if let Some(who) = who.split(' ').nth(2).and_then(|who| who.split(':').next_back()) {
                self.world.is_known(who);
            }
            let channel = *self.chance.of(&CHANNELS);
            self.ask(&format!("JOIN {channel}")).await?;
        }
        self.pending.clear();
        Ok(())
    }

    /// Writes something to somebody, with a key more often than not.
    fn say(&mut self) {
        let Some(talk) = &mut self.talk else { return };
        if self.chance.below(8) == 0
            && let Some(again) = &self.answered
        {
            return talk.send(self.world, again);
        }
        let target = if self.chance.below(3) == 0 { self.world.somebody(&mut self.chance) } else { self.channel() };
        let keyed = self.chance.below(4) != 0;
        self.written += 1;
        let (number, written) = (self.number, self.written);
        let key = if keyed { format!("@k{number}-{written} ") } else { String::new() };
        let length = if self.chance.below(5) == 0 { 200 + self.chance.below(2500) } else { self.chance.below(20) };
        let text = format!("MSG {key}{target} m{number}-{written} {}", "x".repeat(length)).trim_end().to_owned();
        if keyed {
            self.pending.push(text.clone());
        }
        if let Some(talk) = &mut self.talk {
            talk.send(self.world, &text);
        }
    }

    /// A command that is no message.
    fn command(&mut self) -> String {
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

/// What is kept, asked for when nobody does anything any more.
pub async fn last_look(world: &World, accounts: &[String], chance: &mut Chance) -> Result<(), Ended> {
    let mut witness = Talk::open(world, "witness", chance).await?;
    let began = Instant::now();
    while !witness.ask(world, "LIST").await?.ends_with("LIST 1") {
        if began.elapsed() > PATIENCE {
            world.report("the guests never go".to_owned());
            break;
        }
        sleep(Duration::from_millis(200)).await;
    }
    witness.ask(world, "CHANNELS").await?;
    for channel in CHANNELS {
        for text in ["JOIN #", "HISTORY # 1000", "TOPIC #", "LIST #", "LEAVE #"] {
            witness.ask(world, &text.replace('#', channel)).await?;
        }
    }
    witness.ask(world, "QUIT").await?;
    for account in accounts {
        let mut talk = Talk::open(world, account, chance).await?;
        let login = format!("LOGIN {account} {PASSWORD}");
        for text in [&login, "INBOX 1000", "CHANNELS", "LIST", "INBOX 1", "ACK *", "INBOX", "CHANNELS", "QUIT"] {
            talk.ask(world, text).await?;
        }
    }
    Ok(())
}
