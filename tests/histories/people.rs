//! The people of a history: each is a thread with one connection at a time, and does what chance says until all commands are
//! spent. They own nothing but their connections; they must never judge an answer, only record it.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use socket2::{Domain, Socket, Type};

pub use super::chance::Chance;
use super::record::{Recorder, What};
use crate::support::server::PATIENCE;
use crate::support::wait::until;

/// The password of all accounts.
pub const PASSWORD: &str = "correct horse battery";
/// All channels that there may be.
pub const CHANNELS: [&str; 5] = ["#ash", "#birch", "#cedar", "#douglas", "#elm"];
const NAMES: [&str; 6] = ["quill", "wren", "finch", "heron", "stork", "crane"];

/// What all people share.
pub struct World {
    /// Where everything is recorded.
    pub recorder: Recorder,
    /// Where the server listens now; `None` while it is dead.
    pub address: Mutex<Option<SocketAddr>>,
    /// Commands that may still be sent.
    pub left: AtomicUsize,
    /// Connections so far.
    pub connections: AtomicUsize,
    /// Users that somebody can write to.
    pub known: Mutex<Vec<String>>,
    /// How many people there are, and how often somebody has come to the end of a part.
    pub people: usize,
    /// See [`World::together`].
    pub done: AtomicUsize,
}

impl World {
    /// Waits until everybody has come this far: to the end of their commands, and to the end of their last look.
    fn together(&self, part: usize) {
        self.done.fetch_add(1, Ordering::Relaxed);
        until("everybody is done", || (self.done.load(Ordering::Relaxed) >= part * self.people).then_some(()));
    }
}

/// Who somebody is.
#[derive(Debug, Clone)]
pub struct Role {
    /// Their number, from which their texts are made.
    pub number: usize,
    /// The account that they log in to, or `None` for a guest.
    pub account: Option<String>,
    /// Whether they read only now and then, and through a small window.
    pub slow: bool,
}

/// A connection that may end at any moment.
pub struct Line {
    number: usize,
    stream: TcpStream,
    lines: BufReader<TcpStream>,
    unanswered: usize,
}

impl Line {
    /// Connects and reads the HELLO.
    pub fn open(world: &World, who: &str, slow: bool) -> io::Result<Self> {
        let address = until("the server is up", || *world.address.lock().expect("nobody panics with it"));
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if slow {
            socket.set_recv_buffer_size(2048)?;
        }
        socket.connect(&address.into())?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let number = 1 + world.connections.fetch_add(1, Ordering::Relaxed);
        world.recorder.put(number, What::Opened, who);
        let lines = BufReader::with_capacity(if slow { 512 } else { 8192 }, stream.try_clone()?);
        let mut line = Self { number, stream, lines, unanswered: 0 };
        line.read(world)?;
        Ok(line)
    }

    /// Sends a line.
    pub fn send(&mut self, world: &World, text: &str) -> io::Result<()> {
        world.recorder.put(self.number, What::Sent, text);
        self.unanswered += 1;
        self.stream.write_all(format!("{text}\n").as_bytes()).inspect_err(|error| self.ended(world, error))
    }

    /// Reads one line.
    fn read(&mut self, world: &World) -> io::Result<String> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).inspect_err(|error| self.ended(world, error))?;
        // A line that a kill has cut off was never received.
        if read == 0 || line.pop() != Some('\n') {
            world.recorder.put(self.number, What::Ended, "");
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        world.recorder.put(self.number, What::Got, &line);
        Ok(line)
    }

    fn ended(&self, world: &World, error: &io::Error) {
        assert!(error.kind() != io::ErrorKind::WouldBlock, "connection {}: nothing came in time", self.number);
        world.recorder.put(self.number, What::Ended, "");
    }

    /// Reads until everything is answered; the last answer.
    pub fn answers(&mut self, world: &World) -> io::Result<String> {
        let mut last = String::new();
        while self.unanswered > 0 {
            last = self.read(world)?;
            self.unanswered -= usize::from(last.starts_with("OK ") || last.starts_with("ERR "));
        }
        Ok(last)
    }

    /// Sends a line and reads until it is answered.
    pub fn ask(&mut self, world: &World, text: &str) -> io::Result<String> {
        self.send(world, text)?;
        self.answers(world)
    }
}

/// One person at work.
pub struct Person<'a> {
    world: &'a World,
    role: Role,
    chance: Chance,
    line: Option<Line>,
    /// Keyed lines whose answer did not come.
    pending: Vec<String>,
    /// A keyed line that was answered.
    answered: Option<String>,
    /// Channels that it believes it is in.
    rooms: Vec<String>,
    written: usize,
}

impl<'a> Person<'a> {
    /// Somebody who has not connected yet.
    pub fn new(world: &'a World, role: Role, chance: Chance) -> Self {
        Self { world, role, chance, line: None, pending: Vec::new(), answered: None, rooms: Vec::new(), written: 0 }
    }

    /// Does what chance says until all commands are spent; then takes the last look.
    pub fn live(mut self) {
        while self.spend(1) {
            // An end of the connection is recorded where it was seen; what was not answered is tried again.
            if self.step().is_err() {
                self.line = None;
            }
        }
        self.world.together(1);
        if let Some(line) = &mut self.line {
            // What is asked here finds a server that nobody kills and nobody writes to.
            let _ = ["PING all is quiet", "INBOX 1000"].map(|text| line.ask(self.world, text));
        }
        // Nobody goes before all have looked, so that nobody's going is seen by half of them.
        self.world.together(2);
        if let Some(line) = self.line {
            self.world.recorder.put(line.number, What::Cut, "");
        }
    }

    fn spend(&self, count: usize) -> bool {
        let take = |left: usize| left.checked_sub(count);
        self.world.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn step(&mut self) -> io::Result<()> {
        let Some(line) = &mut self.line else { return self.arrive() };
        match self.chance.below(100) {
            0..2 => {
                self.world.recorder.put(line.number, What::Cut, "");
                self.line = None;
            }
            2 => {
                line.ask(self.world, "QUIT")?;
                self.line = None;
            }
            3..9 => {
                let most = if self.role.slow { 40 } else { 12 };
                for _ in 0..=self.chance.below(most) {
                    if self.spend(1) {
                        self.say()?;
                    }
                    // Some go in the middle of it, and never learn what was stored.
                    if self.chance.below(60) == 0 {
                        self.world.recorder.put(self.line.as_ref().map_or(0, |line| line.number), What::Cut, "");
                        self.line = None;
                        return Ok(());
                    }
                }
                self.settle()?;
            }
            9..14 if self.role.slow => {
                // It reads nothing until the others have done much more.
                let goal = self.world.left.load(Ordering::Relaxed).saturating_sub(100);
                let moved = || self.world.left.load(Ordering::Relaxed) <= goal || self.dead();
                until("the others go on", || moved().then_some(()));
                self.ask("PING what was it")?;
            }
            9..60 => {
                self.say()?;
                self.settle()?;
            }
            _ => {
                let text = self.command();
                self.ask(&text)?;
            }
        }
        Ok(())
    }

    fn dead(&self) -> bool {
        self.world.address.lock().expect("nobody panics with it").is_none()
    }

    fn ask(&mut self, text: &str) -> io::Result<String> {
        let answer = self.line.as_mut().expect("it is connected").ask(self.world, text)?;
        match answer.split(' ').collect::<Vec<_>>()[..] {
            ["OK", "JOIN" | "CREATE", room, ..] => self.rooms.push(room.to_owned()),
            ["OK", "LEAVE" | "CLOSE", room] => self.rooms.retain(|known| known != room),
            _ => (),
        }
        Ok(answer)
    }

    /// A channel: mostly one that it believes it is in.
    fn channel(&mut self) -> String {
        if self.rooms.is_empty() || self.chance.below(8) == 0 {
            return (*self.chance.of(&CHANNELS)).to_owned();
        }
        self.chance.of(&self.rooms).clone()
    }

    /// Reads all answers; then nothing is pending.
    fn settle(&mut self) -> io::Result<()> {
        self.line.as_mut().expect("it is connected").answers(self.world)?;
        if let Some(line) = self.pending.pop() {
            self.answered = Some(line);
        }
        self.pending.clear();
        Ok(())
    }

    /// Connects, logs in, and tries again what was not answered.
    fn arrive(&mut self) -> io::Result<()> {
        let name = self.role.account.clone();
        let mut line = Line::open(self.world, name.as_deref().unwrap_or("guest"), self.role.slow)?;
        if let Some(name) = name {
            line.ask(self.world, &format!("LOGIN {name} {PASSWORD}"))?;
            for again in self.pending.clone() {
                line.ask(self.world, &again)?;
            }
            self.line = Some(line);
        } else {
            let who = line.ask(self.world, "WHOAMI")?;
            self.answered = None;
            self.rooms.clear();
            self.line = Some(line);
            if let Some(who) = who.split(' ').nth(2).and_then(|who| who.split(':').next_back()) {
                self.world.known.lock().expect("nobody panics with it").push(who.to_owned());
            }
            self.ask(&format!("JOIN {}", self.chance.clone().of(&CHANNELS)))?;
        }
        self.pending.clear();
        Ok(())
    }

    /// Writes something to somebody, with a key more often than not.
    fn say(&mut self) -> io::Result<()> {
        if self.chance.below(8) == 0
            && let Some(again) = &self.answered
        {
            let again = again.clone();
            return self.line.as_mut().expect("it is connected").send(self.world, &again);
        }
        let person = self.chance.below(3) == 0;
        let target = if person {
            let known = self.world.known.lock().expect("nobody panics with it");
            // The newest are those who are most likely still there.
            let back = self.chance.below(known.len().min(12));
            known[known.len() - 1 - back].clone()
        } else {
            self.channel()
        };
        let keyed = self.chance.below(4) != 0;
        self.written += 1;
        let (number, written) = (self.role.number, self.written);
        let key = if keyed { format!("@k{number}-{written} ") } else { String::new() };
        let length = if self.chance.below(5) == 0 { 200 + self.chance.below(2500) } else { self.chance.below(20) };
        let text = format!("MSG {key}{target} m{number}-{written} {}", "x".repeat(length)).trim_end().to_owned();
        if keyed {
            self.pending.push(text.clone());
        }
        self.line.as_mut().expect("it is connected").send(self.world, &text)
    }

    /// A command that is no message.
    fn command(&mut self) -> String {
        let (any, channel) = (*self.chance.of(&CHANNELS), self.channel());
        let guest = self.role.account.is_none();
        match self.chance.below(100) {
            0..22 => format!("JOIN {channel}"),
            22..30 => format!("LEAVE {channel}"),
            30..39 => format!("CREATE {any}"),
            39..42 => format!("CLOSE {channel}"),
            42..48 => {
                self.written += 1;
                format!("TOPIC {channel} t{}-{}", self.role.number, self.written)
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
                let name = format!("late{}", self.role.number);
                self.role.account = Some(name.clone());
                format!("REGISTER {name} {PASSWORD}")
            }
            _ => format!("PING {}", self.written),
        }
    }
}
