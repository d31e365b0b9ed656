//! The people of a history: each is a thread with one connection at a time, and does what chance says until all commands are
//! spent. They own nothing but their connections; they must never judge an answer, only record it.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use socket2::{Domain, Socket, Type};

use super::habits::{CHANNELS, Habits, PASSWORD, heard};
use super::record::{Recorder, What};
use crate::support::server::PATIENCE;
use crate::support::wait::until;

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

/// A connection that may end at any moment.
pub struct Line {
    number: usize,
    stream: TcpStream,
    lines: BufReader<TcpStream>,
    unanswered: usize,
    /// Whom they last heard of, and where.
    heard: Option<String>,
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
        let mut line = Self { number, stream, lines, unanswered: 0, heard: None };
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
        self.heard = heard(&line).or(self.heard.take());
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
    habits: Habits,
    /// Whether they read only now and then, and through a small window.
    slow: bool,
    line: Option<Line>,
}

impl<'a> Person<'a> {
    /// Somebody who has not connected yet.
    pub fn new(world: &'a World, habits: Habits, slow: bool) -> Self {
        Self { world, habits, slow, line: None }
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
        match self.habits.chance.below(100) {
            0..2 => {
                self.world.recorder.put(line.number, What::Cut, "");
                self.line = None;
            }
            2 => {
                line.ask(self.world, "QUIT")?;
                self.line = None;
            }
            3..9 => {
                let most = if self.slow { 40 } else { 12 };
                for _ in 0..=self.habits.chance.below(most) {
                    if self.spend(1) {
                        self.say()?;
                    }
                    // Some go in the middle of it, and never learn what was stored.
                    if self.habits.chance.below(60) == 0 {
                        self.world.recorder.put(self.line.as_ref().map_or(0, |line| line.number), What::Cut, "");
                        self.line = None;
                        return Ok(());
                    }
                }
                self.settle()?;
            }
            9..14 if self.slow => {
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
                let text = self.habits.command(&self.world.known.lock().expect("nobody panics with it"), line.heard.as_deref());
                self.ask(&text)?;
            }
        }
        Ok(())
    }

    fn dead(&self) -> bool {
        self.world.address.lock().expect("nobody panics with it").is_none()
    }

    fn ask(&mut self, text: &str) -> io::Result<()> {
        let answer = self.line.as_mut().expect("it is connected").ask(self.world, text)?;
        self.habits.is_answered(&answer);
        Ok(())
    }

    /// Reads all answers.
    fn settle(&mut self) -> io::Result<()> {
        let answer = self.line.as_mut().expect("it is connected").answers(self.world)?;
        self.habits.is_answered(&answer);
        Ok(())
    }

    /// Connects, logs in, and tries again what was not answered.
    fn arrive(&mut self) -> io::Result<()> {
        let name = self.habits.account.clone();
        let mut line = Line::open(self.world, name.as_deref().unwrap_or("guest"), self.slow)?;
        let again = self.habits.arrives();
        if let Some(name) = name {
            line.ask(self.world, &format!("LOGIN {name} {PASSWORD}"))?;
            for text in again {
                line.ask(self.world, &text)?;
            }
            self.line = Some(line);
            return self.settle();
        }
        let who = line.ask(self.world, "WHOAMI")?;
        self.line = Some(line);
        if let Some(who) = who.split(' ').nth(2).and_then(|who| who.split(':').next_back()) {
            self.world.known.lock().expect("nobody panics with it").push(who.to_owned());
        }
        let channel = *self.habits.chance.of(&CHANNELS);
        self.ask(&format!("JOIN {channel}"))
    }

    /// Writes something to somebody.
    fn say(&mut self) -> io::Result<()> {
        let text = self.habits.message(&self.world.known.lock().expect("nobody panics with it"));
        self.line.as_mut().expect("it is connected").send(self.world, &text)
    }
}
