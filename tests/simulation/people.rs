//! The people of a simulation: each has one connection at a time, and does what chance says until all commands are spent. They own
//! nothing but their connections; they must never judge an answer, only record it.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::chance::Chance;
use super::habits::{CHANNELS, Habits, PASSWORD, heard, last_words, looks};
use super::net::Line;
use super::record::What;
use super::world::World;

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
    /// Whom they last heard of, and where.
    heard: Option<String>,
}

impl Talk {
    /// Connects and reads the HELLO.
    pub async fn open(world: &World, who: &str, chance: &mut Chance) -> Result<Self, Ended> {
        let (number, line) = world.connect(who, chance).await;
        let mut talk = Self { number, line, unanswered: 0, heard: None };
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
        self.heard = heard(&line).or(self.heard.take());
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
    habits: Habits,
    talk: Option<Talk>,
}

impl<'a> Person<'a> {
    /// Somebody who has not connected yet.
    pub fn new(world: &'a World, habits: Habits) -> Self {
        Self { world, habits, talk: None }
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
        let most = *self.habits.chance.of(&[0, 0, 5, 50, 500]);
        sleep(Duration::from_millis(self.habits.chance.below(most + 1) as u64)).await;
    }

    async fn step(&mut self) -> Result<(), Ended> {
        let Some(talk) = &mut self.talk else { return self.arrive().await };
        match self.habits.chance.below(100) {
            0..2 => self.cut(),
            2 => {
                talk.ask(self.world, "QUIT").await?;
                self.talk = None;
            }
            3 => {
                // The end of the input is no end of the answers, nor of what is followed.
                if self.habits.follows {
                    self.cut();
                } else if let Some(talk) = self.talk.take() {
                    talk.line.end_writing();
                    talk.until_the_end(self.world).await;
                }
            }
            4..10 => {
                for _ in 0..=self.habits.chance.below(12) {
                    if self.world.spend() {
                        self.say();
                    }
                    // Some go in the middle of it, and never learn what was stored.
                    if self.habits.chance.below(60) == 0 {
                        self.cut();
                        return Ok(());
                    }
                }
                self.settle().await?;
            }
            10..12 => {
                // They read nothing while the others go on.
                sleep(Duration::from_millis(self.habits.chance.below(8000) as u64)).await;
                self.ask("PING what was it").await?;
            }
            12..60 => {
                self.say();
                self.settle().await?;
            }
            _ => {
                let text = self.habits.command(&self.world.known(), talk.heard.as_deref());
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

    async fn ask(&mut self, text: &str) -> Result<(), Ended> {
        let answer = self.talk.as_mut().ok_or(Ended)?.ask(self.world, text).await?;
        self.habits.is_answered(&answer);
        Ok(())
    }

    /// Reads all answers.
    async fn settle(&mut self) -> Result<(), Ended> {
        let answer = self.talk.as_mut().ok_or(Ended)?.answers(self.world).await?;
        self.habits.is_answered(&answer);
        Ok(())
    }

    /// Connects, logs in, and tries again what was not answered.
    async fn arrive(&mut self) -> Result<(), Ended> {
        let name = self.habits.account.clone();
        let mut talk = Talk::open(self.world, name.as_deref().unwrap_or("guest"), &mut self.habits.chance).await?;
        let again = self.habits.arrives();
        if let Some(name) = name {
            talk.ask(self.world, &format!("LOGIN {name} {PASSWORD}")).await?;
            for text in again {
                talk.ask(self.world, &text).await?;
            }
            self.talk = Some(talk);
            return self.settle().await;
        }
        let who = talk.ask(self.world, "WHOAMI").await?;
        self.talk = Some(talk);
        if let Some(who) = who.split(' ').nth(2).and_then(|who| who.split(':').next_back()) {
            self.world.known().push(who.to_owned());
        }
        let channel = *self.habits.chance.of(&CHANNELS);
        self.ask(&format!("JOIN {channel}")).await
    }

    /// Writes something to somebody.
    fn say(&mut self) {
        let Some(talk) = &mut self.talk else { return };
        talk.send(self.world, &self.habits.message(&self.world.known()));
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
    for text in looks() {
        witness.ask(world, &text).await?;
    }
    witness.ask(world, "QUIT").await?;
    for account in accounts {
        let mut talk = Talk::open(world, account, chance).await?;
        for text in last_words(account) {
            talk.ask(world, &text).await?;
        }
    }
    Ok(())
}
