//! The load: connections that enter, send, receive, and check. One thread, so that it can be pinned to one core.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

use crate::bench::Options;
use crate::bench::connection::Connection;
use crate::bench::dialect::{Dialect, Seen};
use crate::bench::flight::{Flights, Had};
use crate::bench::process::{Processes, Usage};
use crate::bench::target::Target;

/// How long the last messages may take to land.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the server may take to end the room.
pub(super) const TIDYING: Duration = Duration::from_secs(5);
/// Connections that enter at the same time.
const ENTERING: usize = 200;

/// Who talks to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// All connections in one room.
    Fanout,
    /// Each sender to a receiver of its own: to its neighbour, and back, where senders listen.
    Pairs,
}

/// When a sender sends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rhythm {
    /// Whenever fewer than so many of its messages are in flight.
    Closed(usize),
    /// So many a second, whatever happens; latencies count from when they were due.
    Open(f64),
}

/// A run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many connections.
    pub connections: usize,
    /// How many send, the first ones.
    pub senders: usize,
    /// Who talks to whom.
    pub pattern: Pattern,
    /// When.
    pub rhythm: Rhythm,
    /// Bytes of a message's text.
    pub size: usize,
    /// How long to measure.
    pub time: Duration,
    /// How long to run before.
    pub warm_up: Duration,
}

/// What a run measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// How long.
    pub seconds: f64,
    /// Messages that everybody has got.
    pub messages: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// Latencies of deliveries in nanoseconds.
    pub latencies: hdrhistogram::Histogram<u64>,
    /// How long each message took until everybody had it, in nanoseconds.
    pub completions: hdrhistogram::Histogram<u64>,
    /// How late each message was sent, in nanoseconds.
    pub delays: hdrhistogram::Histogram<u64>,
    /// What the watched processes used meanwhile: the servers, and those beside them.
    pub usage: [Option<Usage>; 2],
}

/// The processes that are watched while the load runs: the servers, and those beside them.
#[derive(Debug)]
pub struct Watched([Processes; 2]);

impl Watched {
    /// Those that the options name.
    pub fn of(options: &Options) -> Self {
        Self([&options.pid, &options.beside].map(|pids| Processes(pids.clone())))
    }

    fn usage(&self) -> Result<[Option<Usage>; 2]> {
        let [servers, beside] = &self.0;
        Ok([servers.usage()?, beside.usage()?])
    }
}

/// A load that goes on: its connections are read, and what servers demand is answered.
pub(super) struct Run<D> {
    dialect: D,
    plan: Plan,
    room: String,
    flights: Flights,
}

/// Waits, right to microseconds: a timer alone would be late by up to a millisecond, which would count as the server's.
async fn wait_until(due: Instant) {
    const TIMER: Duration = Duration::from_millis(2);
    if due.saturating_duration_since(Instant::now()) > TIMER {
        tokio::time::sleep_until((due - TIMER).into()).await;
    }
    while Instant::now() < due {
        tokio::task::yield_now().await;
    }
}

/// Keeps the load's thread from sleeping. Clients are on other machines, as a rule: where each thing that is sent to them has
/// to wake another core of the same machine, a tenth of what is measured is that.
async fn stay_awake() {
    loop {
        tokio::task::yield_now().await;
    }
}

/// Runs the plan against a server.
///
/// # Errors
/// When a connection fails, something is refused, or a message is lost, doubled or reordered.
pub async fn run<D: Dialect + 'static>(
    dialect: D,
    server: &Target,
    room: &str,
    plan: Plan,
    watched: Watched,
) -> Result<Measured> {
    let audience = match plan.pattern {
        _ if !D::DELIVERS => 1,
        Pattern::Fanout if !D::SENDERS_LISTEN => plan.connections - plan.senders,
        Pattern::Fanout if D::ECHOES => plan.connections,
        Pattern::Fanout => plan.connections - 1,
        Pattern::Pairs => 1,
    };
    let run = Run::new(dialect, room, plan, &vec![audience as u32; plan.senders]);
    LocalSet::new().run_until(run.measure(server, &watched)).await
}

impl<D: Dialect + 'static> Run<D> {
    /// Nobody has entered. `audiences` says how many receive a message of each sender.
    pub(super) fn new(dialect: D, room: &str, plan: Plan, audiences: &[u32]) -> Rc<Self> {
        Rc::new(Self { dialect, plan, room: room.to_owned(), flights: Flights::new(audiences) })
    }

    async fn measure(self: Rc<Self>, server: &Target, watched: &Watched) -> Result<Measured> {
        let mut connections = vec![Rc::clone(&self).enter_first(server).await?];
        connections.extend(Rc::clone(&self).enter_others(server).await?);
        tokio::task::spawn_local(stay_awake());
        let mut sending = Vec::new();
        let start = Instant::now();
        let end = start + self.plan.warm_up + self.plan.time;
        for (me, connection) in connections.iter().take(self.plan.senders).enumerate() {
            sending.push(tokio::task::spawn_local(Rc::clone(&self).send(me, Rc::clone(connection), end)));
        }
        tokio::time::sleep(self.plan.warm_up).await;
        let (began, before) = (Instant::now(), watched.usage()?);
        self.flights.measure(true);
        tokio::time::sleep_until(end.into()).await;
        self.flights.measure(false);
        let (seconds, after) = (began.elapsed().as_secs_f64(), watched.usage()?);
        for task in sending {
            tokio::time::timeout(PATIENCE, task).await.context("the last messages did not land in a minute")???;
        }
        self.check()?;
        for sender in (0..self.plan.senders).filter(|_| D::ANSWERS) {
            let deadline = Instant::now() + PATIENCE;
            while self.flights.accounts(sender).0 < self.flights.accounts(sender).1 && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let (accepted, sent) = self.flights.accounts(sender);
            if accepted != sent {
                bail!("sender {sender} sent {sent} messages and was answered {accepted}");
            }
        }
        self.tidy(&connections[0]).await;
        Ok(Measured {
            seconds,
            messages: self.flights.messages.get(),
            deliveries: self.flights.deliveries.get(),
            latencies: self.flights.latencies(),
            completions: self.flights.completions(),
            delays: self.flights.delays(),
            usage: [0, 1].map(|at| Some(after[at]?.since(&before[at]?))),
        })
    }

    /// # Errors
    /// When something was refused, or a connection or a message was lost.
    pub(super) fn check(&self) -> Result<()> {
        self.flights.failure().map_or(Ok(()), |why| bail!(why))
    }

    /// Ends the room, after everything was checked: the server's journal is left as it was found.
    pub(super) async fn tidy(&self, first: &Connection) {
        let deadline = Instant::now() + TIDYING;
        let is_asked = first.write(&self.dialect.end(&self.room)).await.is_ok();
        // A connection that has ended counts as a failure.
        while is_asked && self.flights.failure().is_none() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Connection 0 makes the room.
    pub(super) async fn enter_first(self: Rc<Self>, server: &Target) -> Result<Rc<Connection>> {
        let lines = match self.plan.pattern {
            Pattern::Fanout => self.dialect.create(&self.room),
            Pattern::Pairs => self.dialect.enter(0, None),
        };
        let first = self.enter(0, server.clone(), lines).await;
        server.settle().await;
        first
    }

    /// Then all others enter, some at a time.
    pub(super) async fn enter_others(self: Rc<Self>, server: &Target) -> Result<Vec<Rc<Connection>>> {
        let room = (self.plan.pattern == Pattern::Fanout).then_some(self.room.as_str());
        let room_of = |me| room.filter(|_| D::SENDERS_LISTEN || me >= self.plan.senders);
        let turns = Rc::new(Semaphore::new(ENTERING));
        let entering: Vec<_> = (1..self.plan.connections)
            .map(|me| {
                let (this, turns, server) = (Rc::clone(&self), Rc::clone(&turns), server.clone());
                let lines = self.dialect.enter(me, room_of(me));
                tokio::task::spawn_local(async move {
                    let _turn = turns.acquire().await?;
                    this.enter(me, server, lines).await
                })
            })
            .collect();
        let mut connections = Vec::with_capacity(entering.len());
        for task in entering {
            connections.push(task.await??);
        }
        server.settle().await;
        Ok(connections)
    }

    async fn enter(self: Rc<Self>, me: usize, server: Target, lines: Vec<u8>) -> Result<Rc<Connection>> {
        let connection = Rc::new(Connection::enter(&self.dialect, &server, me, &lines).await?);
        tokio::task::spawn_local(self.receive(me, Rc::clone(&connection)));
        Ok(connection)
    }

    /// Reads and checks until the connection ends.
    async fn receive(self: Rc<Self>, me: usize, connection: Rc<Connection>) {
        let mut had = match self.plan.pattern {
            Pattern::Fanout => Had::new(0, self.plan.senders),
            Pattern::Pairs => Had::new(self.partner(me), 1),
        };
        let mut open = true;
        while open {
            let mut demand = None;
            let mut now = None;
            let read = connection.read(&self.dialect, |seen| {
                let now = *now.get_or_insert_with(|| self.flights.now());
                match seen {
                    Seen::Message(text) => self.flights.land(text.trim_ascii_end(), &mut had, now),
                    Seen::Accepted if me < self.plan.senders => self.accepted(me, now),
                    Seen::Refused(why) => {
                        self.flights.fail(format!("the server refused: {}", String::from_utf8_lossy(why).trim_end()))
                    }
                    Seen::Demand(answer) => demand = Some(answer),
                    _ => {}
                }
            });
            open = read.await.unwrap_or(false);
            if let Some(answer) = demand {
                open &= connection.write(&answer).await.is_ok();
            }
        }
        // Who ends a run itself reads no further.
        self.flights.fail(format!("the server closed connection {me}"));
    }

    /// The other one of a pair.
    fn partner(&self, me: usize) -> usize {
        if D::SENDERS_LISTEN { me ^ 1 } else { (me + self.plan.senders) % self.plan.connections }
    }

    fn accepted(&self, me: usize, now: u64) {
        self.flights.accept(me);
        if !D::DELIVERS {
            // Answers come in the order of what they answer.
            self.flights.land_oldest(me, now);
        }
    }

    /// Sends until `end`, then waits until everything has landed.
    async fn send(self: Rc<Self>, me: usize, connection: Rc<Connection>, end: Instant) -> Result<()> {
        let mut due = Instant::now();
        if let Rhythm::Open(rate) = self.plan.rhythm {
            // People do not send in step: the senders take turns, so that a server gets no batches as a gift.
            due += Duration::from_secs_f64(me as f64 / self.plan.senders as f64 / rate);
            wait_until(due.min(end)).await;
        }
        let mut batch = Vec::new();
        while self.flights.failure().is_none() && Instant::now() < end {
            match self.plan.rhythm {
                Rhythm::Closed(window) => {
                    while self.flights.in_flight(me) < window {
                        self.add(me, Instant::now(), &mut batch);
                    }
                }
                Rhythm::Open(rate) => {
                    while due <= Instant::now() {
                        self.add(me, due, &mut batch);
                        due += Duration::from_secs_f64(1.0 / rate);
                    }
                }
            }
            connection.write(&batch).await?;
            batch.clear();
            match self.plan.rhythm {
                Rhythm::Closed(_) => drop(tokio::time::timeout_at(end.into(), self.flights.landed(me)).await),
                Rhythm::Open(_) => wait_until(due.min(end)).await,
            }
        }
        while self.flights.failure().is_none() && self.flights.in_flight(me) > 0 {
            self.flights.landed(me).await;
        }
        Ok(())
    }

    fn add(&self, me: usize, due: Instant, batch: &mut Vec<u8>) {
        self.flights.take_off(me, due, self.plan.size, |text| match self.plan.pattern {
            Pattern::Fanout => self.dialect.say(batch, &self.room, text),
            Pattern::Pairs => self.dialect.tell(batch, self.partner(me), text),
        });
    }
}
