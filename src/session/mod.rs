//! A session: the only loop there is for a connection.
//!
//! One task owns the socket, the line being received, the answers that wait, and the cursors. Each turn it hands out the
//! verdicts that came, sends what happened in its rooms, takes in lines and executes them, and then waits for whatever comes
//! first. It holds bounded memory, queues nothing for others, and never waits without a deadline of its own or the journal's.

mod follow;
mod guard;
mod lines;
mod pace;
mod passwords;
mod replies;
mod seat;
mod socket;
mod turn;
mod verbs;

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::event::{Draft, Event, Guard, Origin, Outcome, Room};
use crate::hub::{Hub, Seated};
use crate::journal::Journal;
use crate::limits::{IN_FLIGHT, IN_FLIGHT_BYTES, Limits, OUT_BYTES};
use crate::wire::{Code, LineDecoder, Refusal, reply};

use pace::Pace;
use replies::Replies;
use seat::Sitting;
use socket::Socket;

pub use lines::render;
pub use passwords::Passwords;
pub use socket::Gone;

/// What all sessions share.
pub struct Shared {
    /// Who is online, and the rooms.
    pub hub: Arc<Hub>,
    /// What lasts.
    pub journal: Arc<dyn Journal>,
    /// Every bound.
    pub limits: Arc<Limits>,
    /// Hashing, a few at a time.
    pub passwords: Passwords,
    /// Cancelled when the server stops; the sessions are then woken.
    pub stopping: CancellationToken,
    /// Sessions, and what they have left to do.
    pub tracker: TaskTracker,
}

/// Why the session takes no more input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// QUIT.
    Quit,
    /// The peer's end of input: what came before it is executed first.
    EndOfInput,
    /// The server closes the connection; it has said why.
    Closed,
}

/// See the module.
pub struct Session {
    shared: Arc<Shared>,
    peer: IpAddr,
    socket: Socket,
    decoder: LineDecoder,
    /// Received, but not looked at yet: the session was paused by its pace or by what it waits for.
    unread: Vec<u8>,
    /// A line whose command must wait for others or for the journal.
    slow: Option<Box<[u8]>>,
    replies: Replies,
    sitting: Sitting,
    drafts: Vec<Draft>,
    next_tag: u64,
    pace: Pace,
    errors_in_a_row: u64,
    /// No command has been executed yet: the guard is up.
    is_new: bool,
    /// When the line being received must have ended.
    line_deadline: Option<Instant>,
    /// When the pace allows the next command.
    paced_until: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    ending: Option<Ending>,
}

impl Session {
    /// A session on a connection that was admitted, boxed because futures that hold it by value are copied about.
    /// `peer` is the address it counts for.
    pub fn new(shared: Arc<Shared>, stream: TcpStream, peer: IpAddr, seated: Seated) -> Box<Self> {
        let limits = &shared.limits;
        let (stall, pace) = (limits.stalled_seconds, Pace::new(limits.commands_per_second));
        let sitting = Sitting::new(Arc::clone(&shared), seated);
        Box::new(Self {
            shared,
            peer,
            socket: Socket::new(stream, stall),
            decoder: LineDecoder::default(),
            unread: Vec::new(),
            slow: None,
            replies: Replies::default(),
            sitting,
            drafts: Vec::new(),
            next_tag: 0,
            pace,
            errors_in_a_row: 0,
            is_new: true,
            line_deadline: None,
            paced_until: None,
            timer: None,
            ending: None,
        })
    }

    /// Speaks with the peer until one of the two has enough, then closes.
    ///
    /// # Errors
    /// [`Gone`], for the log: the peer is not told.
    pub async fn run(mut self: Box<Self>) -> Result<(), Gone> {
        let who = &self.sitting.who;
        self.socket.write(|out| reply::hello(out, who));
        let spoken = self.speak().await;
        let close = {
            // The user is gone for the others before the connection lingers.
            let Self { sitting, socket, .. } = *self;
            drop(sitting);
            Box::pin(socket.close())
        };
        spoken?;
        close.await;
        Ok(())
    }

    async fn speak(&mut self) -> Result<(), Gone> {
        while self.ending.is_none() {
            self.take_verdicts();
            self.follow().await?;
            poll_fn(|context| Poll::Ready(self.take_lines(context))).await?;
            self.append().await?;
            if let Some(line) = self.slow.take() {
                // Boxed, like all that is rare: a silent connection's future must not reserve room for it.
                Box::pin(self.execute_slow(&line)).await?;
            }
            self.socket.send()?;
            if self.shared.stopping.is_cancelled() {
                return Box::pin(self.stop()).await;
            }
            self.wait().await?;
            tokio::task::coop::consume_budget().await;
        }
        Box::pin(async {
            self.settle().await?;
            self.socket.flush().await
        })
        .await
    }

    /// The server stops: what was received is answered, then the peer is told. A peer that never pauses is cut off in time.
    async fn stop(&mut self) -> Result<(), Gone> {
        let deadline = Instant::now() + Duration::from_secs(self.shared.limits.shutdown_seconds) / 2;
        loop {
            self.paced_until = None;
            let took_all = poll_fn(|context| Poll::Ready(self.take_lines(context))).await?;
            if let Some(line) = self.slow.take() {
                self.execute_slow(&line).await?;
            }
            self.settle().await?;
            self.socket.flush().await?;
            if took_all || self.ending.is_some() || Instant::now() >= deadline {
                break;
            }
        }
        self.socket.write(reply::shutdown);
        self.socket.flush().await
    }

    /// Whether another line may be executed before something else happens.
    fn may_take_lines(&self) -> bool {
        self.ending.is_none()
            && self.slow.is_none()
            && self.paced_until.is_none()
            && self.replies.in_flight() < IN_FLIGHT
            && self.replies.bytes() < IN_FLIGHT_BYTES
            && self.socket.waiting() < OUT_BYTES
    }

    fn answer(&mut self, lines: impl FnOnce(&mut Vec<u8>)) {
        self.replies.answer(&mut self.socket, lines);
    }

    fn refuse(&mut self, verb: &str, refusal: &Refusal) {
        self.answer(|out| reply::err(out, verb, refusal));
    }

    /// Closes the connection after telling the peer why.
    fn turn_away(&mut self, verb: &str, refusal: &Refusal) {
        self.refuse(verb, refusal);
        self.ending = Some(Ending::Closed);
    }

    fn take_verdicts(&mut self) {
        for verdict in self.sitting.seat.take_verdicts() {
            self.replies.verdict(&mut self.socket, &verdict);
        }
        if self.sitting.seat.take_moved() {
            self.sitting.reconcile();
        }
    }

    /// Adds a draft to those that go to the journal after the lines at hand; returns its tag.
    fn draft(&mut self, room: Option<Room>, event: Event, guard: Guard) -> u64 {
        self.next_tag += 1;
        let origin = Origin { session: self.sitting.seat.session, tag: self.next_tag };
        self.drafts.push(Draft { room, event, guard, origin: Some(origin) });
        self.next_tag
    }

    async fn append(&mut self) -> Result<(), Gone> {
        if self.drafts.is_empty() {
            return Ok(());
        }
        self.shared.journal.append(std::mem::take(&mut self.drafts)).await.map_err(|_| Gone::Journal)
    }

    /// Waits until everything that was asked so far is answered.
    async fn settle(&mut self) -> Result<(), Gone> {
        self.append().await?;
        while self.replies.in_flight() > 0 {
            self.woken().await;
            self.take_verdicts();
        }
        Ok(())
    }

    /// Gives the drafts to the journal and waits for their outcomes; all that was asked before is settled.
    async fn ask(&mut self, drafts: Vec<(Option<Room>, Event, Guard)>) -> Result<Vec<Outcome>, Gone> {
        debug_assert_eq!(self.replies.in_flight(), 0, "invariant: slow verbs begin when nothing waits");
        let count = drafts.len();
        for (room, event, guard) in drafts {
            self.draft(room, event, guard);
        }
        self.append().await?;
        let mut verdicts = Vec::new();
        while verdicts.len() < count {
            self.woken().await;
            verdicts.extend(self.sitting.seat.take_verdicts());
        }
        if self.sitting.seat.take_moved() {
            self.sitting.reconcile();
        }
        Ok(verdicts.into_iter().map(|verdict| verdict.outcome).collect())
    }

    async fn woken(&self) {
        poll_fn(|context| self.sitting.seat.poll_take(context)).await;
    }
}

fn incomplete() -> Refusal {
    Refusal::new(Code::Incomplete, "the input ended within a line; that line was not executed, end it with a line feed")
}
