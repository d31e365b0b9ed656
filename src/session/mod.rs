//! A session: the one loop of a connection.
//!
//! One task owns the transport, the line being received, the answers that wait, and the cursors. In each turn it takes its
//! notices, sends what has happened in its rooms, executes the lines that have arrived, and then waits for whatever comes
//! first. It proposes and never decides. Its memory is bounded, and it queues nothing for others. Every wait has a deadline,
//! the session's own or the order's.

mod budgets;
mod ending;
mod follow;
mod life;
mod notable;
mod passwords;
mod present;
mod reading;
mod replies;
pub mod secrets;
mod shared;
mod sniff;
mod socket;
mod staying;
mod throttle;
mod transport;
mod turn;
mod verbs;

use std::fmt::Display;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::Poll;

use tokio::time::{Instant, Sleep};

use crate::code::{Code, Refusal};
use crate::event::{Answer, Completion, Origin, Proposal, Request, Rights, SessionId};
use crate::hub::{Notice, SessionHandle};
use crate::limits::{ENDING_ROOMS, IN_FLIGHT, IN_FLIGHT_BYTES, OUT_BYTES, SAID_A_TOKEN};
use crate::names::{Name, UserId, Who};
use crate::order::NotNow;
use crate::wire::{LineDecoder, Word, reply};

use budgets::Leases;
use present::Present;
use reading::{Reading, Which};
use replies::Replies;
use socket::Socket;
use staying::Followed;
use throttle::Throttle;

pub use budgets::Budgets;
pub use life::{Life, Lives};
pub use notable::Notable;
pub use passwords::Passwords;
pub use shared::Shared;
pub use socket::Gone;
pub use transport::{Failing, Transport};

/// Why the session takes no more input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// QUIT.
    Quit,
    /// The peer has typed the end of its input, as telnet sends it.
    EndTyped,
    /// The peer has closed its side. Everything that it sent was read and executed.
    EndOfInput,
    /// The server closes the connection and has said why.
    Closed(Code),
    /// Somebody has ended the connection, and the peer is still to be told why.
    Dismissed,
}

/// Who a session's user is until the order knows of the connection.
static NOBODY: LazyLock<Who> = LazyLock::new(|| Who { name: Name::guest(UserId(0)), id: UserId(0) });

/// One connection, as its task holds it.
pub struct Session {
    shared: Arc<Shared>,
    life: Arc<Life>,
    /// The address to which the connection is counted.
    address: IpAddr,
    handle: Arc<SessionHandle>,
    socket: Socket,
    decoder: LineDecoder,
    /// Received bytes that are not parsed yet, because the session is throttled or waits for something.
    unread: Vec<u8>,
    /// Whether the last read found nothing, so that the task will be woken when there is something to read.
    awaits_input: bool,
    /// A line with a slow command, which waits until all before it is settled.
    slow: Option<Box<[u8]>>,
    replies: Replies,
    /// The proposal that the session waits for, if it does.
    awaited: Option<u64>,
    /// Its outcome.
    outcome: Option<Result<Answer, Refusal>>,
    reading: Reading,
    /// Identifies the connection: the id from its HELLO.
    connection: UserId,
    /// The user, as the session knows it.
    who: Who,
    is_account: bool,
    /// What it may do, if it has logged in with a token; boxed, because most have not.
    token: Option<Box<Rights>>,
    /// Whether passwords may come over this connection; where it is not encrypted, that is the operator's to say.
    takes_passwords: bool,
    proposals: Vec<Proposal>,
    next_tag: u64,
    throttle: Throttle,
    leases: Leases,
    errors_in_a_row: u64,
    /// Whether no command has been executed yet, so that a peer with another protocol is still to be turned away.
    is_new: bool,
    /// By when the line being received must have ended.
    line_deadline: Option<Instant>,
    /// When the throttle allows the next command.
    throttled_until: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    /// What it FOLLOWs, if anything.
    followed: Option<Box<Followed>>,
    ending: Option<Ending>,
    /// Why it was dismissed, if it was. It is boxed, because a silent connection must not pay for what is rare.
    farewell: Option<Box<Arc<str>>>,
}

impl Session {
    /// A session on an admitted connection, which counts for `address`. It is boxed, because futures that hold it by value get
    /// moved around.
    pub fn new(shared: Arc<Shared>, transport: Box<dyn Transport>, address: IpAddr, handle: Arc<SessionHandle>) -> Box<Self> {
        let (stall, throttle) = (shared.limits.stalled_seconds, Throttle::new(shared.limits.commands_per_second));
        Box::new(Self {
            life: shared.lives.newest(),
            socket: Socket::new(transport, Arc::clone(&handle), Arc::clone(&shared.metrics), stall),
            shared,
            address,
            handle,
            decoder: LineDecoder::default(),
            unread: Vec::new(),
            awaits_input: false,
            slow: None,
            replies: Replies::default(),
            awaited: None,
            outcome: None,
            reading: Reading::default(),
            connection: NOBODY.id,
            who: NOBODY.clone(),
            is_account: false,
            token: None,
            takes_passwords: true,
            proposals: Vec::new(),
            next_tag: 0,
            throttle,
            leases: Leases::default(),
            errors_in_a_row: 0,
            is_new: true,
            line_deadline: None,
            throttled_until: None,
            timer: None,
            followed: None,
            ending: None,
            farewell: None,
        })
    }

    /// Serves the peer until one of the two ends the connection, and then closes it.
    ///
    /// # Errors
    /// [`Gone`], for the log: the peer is not told.
    pub async fn run(mut self: Box<Self>) -> Result<(), Gone> {
        let mut present = Present { shared: Arc::clone(&self.shared), session: self.id(), is_gone: false };
        let spoken = match self.come().await {
            Ok(()) => self.speak().await,
            Err(gone) => Err(gone),
        };
        if let Err(Gone::Order | Gone::Node) = spoken {
            self.replies.give_up(&mut self.socket);
            if let Err(Gone::Node) = spoken {
                let text = "this server was cut off from the others and begins anew; connect again";
                self.socket.write(|out| reply::bye(out, text));
            }
            self.socket.send()?;
        }
        // The others see the user go before the peer sees the connection end.
        present.is_gone = spoken.is_ok() && self.order_outcome(Request::Go).await.is_ok();
        drop(present);
        self.shared.notable.disconnected(self.address, &self.who, self.is_account, self.ending, &spoken);
        // A close with unread input would be a reset, which overtakes what was answered last.
        if self.ending != Some(Ending::EndOfInput) && matches!(spoken, Ok(()) | Err(Gone::Order | Gone::Node)) {
            let Self { socket, .. } = *self;
            Box::pin(socket.close()).await;
        }
        spoken
    }

    /// Tells the order of the connection, and greets the peer with the id that it got there.
    async fn come(&mut self) -> Result<(), Gone> {
        match self.order_outcome(Request::Come { address: Some(self.address) }).await? {
            Ok(Answer::Who(who)) => {
                (self.connection, self.who) = (who.id, who);
                let who = &self.who;
                self.socket.write(|out| reply::hello(out, who));
                self.pay_address(1);
            }
            Ok(other) => unreachable!("invariant: who comes is told who they are, and not {other:?}"),
            Err(refusal) => self.turn_away(Word::NONE, &refusal),
        }
        Ok(())
    }

    async fn speak(&mut self) -> Result<(), Gone> {
        while self.ending.is_none() {
            self.take_notices()?;
            self.follow(Which::All).await?;
            poll_fn(|context| Poll::Ready(self.take_lines(context))).await?;
            self.send_proposals().await?;
            if let Some(line) = self.slow.take() {
                self.socket.send()?;
                // Boxed, like everything rare: a silent connection's future must not reserve room for it.
                Box::pin(self.execute_slow(&line)).await?;
            }
            // Lines that are here already are answered in the same send.
            if !self.has_lines() {
                self.socket.send()?;
            }
            if self.shared.stopping.is_cancelled() {
                return if self.shared.failed.is_cancelled() { Err(Gone::Order) } else { Box::pin(self.stop()).await };
            }
            if self.life.is_over() {
                return Err(Gone::Node);
            }
            if self.is_input_over() { Box::pin(self.stay()).await } else { self.wait().await }?;
            tokio::task::coop::consume_budget().await;
        }
        Box::pin(async {
            match self.farewell {
                Some(_) => self.say_goodbye().await,
                None => {
                    self.settle().await?;
                    self.flush().await
                }
            }
        })
        .await
    }

    /// Whether another line may be executed before something else happens.
    fn may_take_lines(&self) -> bool {
        self.ending.is_none()
            && self.slow.is_none()
            && !self.is_input_over()
            && self.throttled_until.is_none()
            && self.replies.in_flight() < IN_FLIGHT
            && self.replies.bytes() < IN_FLIGHT_BYTES
            && self.socket.waiting() < OUT_BYTES
    }

    /// Whether there are lines that may be executed at once.
    fn has_lines(&self) -> bool {
        !self.unread.is_empty() && self.may_take_lines()
    }

    fn answer(&mut self, lines: impl FnOnce(&mut Vec<u8>)) {
        self.replies.answer(&mut self.socket, lines);
    }

    /// Answers that it was done; `fields` is empty or begins with a space.
    fn accept(&mut self, verb: Word, fields: impl Display) {
        self.shared.metrics.answered(verb, Ok(()));
        self.answer(|out| reply::ok(out, verb.name(), fields));
    }

    fn refuse(&mut self, verb: Word, refusal: &Refusal) {
        self.shared.metrics.answered(verb, Err(refusal.code));
        self.answer(|out| reply::err(out, verb.name(), refusal));
    }

    /// Closes the connection after telling the peer why.
    fn turn_away(&mut self, verb: Word, refusal: &Refusal) {
        self.refuse(verb, refusal);
        self.ending = Some(Ending::Closed(refusal.code));
    }

    /// # Errors
    /// [`Gone::Overrun`] if the session was told more than it may leave unread, or was left behind in too many rooms: its peer
    /// takes nothing while another connection of the same account comes and goes.
    fn take_notices(&mut self) -> Result<(), Gone> {
        let is_behind = self.reading.ending() > ENDING_ROOMS;
        let Some(notices) = self.handle.take_notices_unless(is_behind) else { return Err(Gone::Overrun) };
        let mut notices = notices.into_iter();
        while let Some(notice) = notices.next() {
            match notice {
                // What follows comes after its OK: a room that is joined and at once closed begins before it ends.
                Notice::Completed(Completion { tag, result, told }) if self.awaited == Some(tag) => {
                    self.awaited = None;
                    self.outcome = Some(result);
                    self.pay(told);
                    if notices.len() > 0 {
                        self.handle.put_back(notices);
                    }
                    break;
                }
                Notice::Completed(completion) => {
                    self.pay(completion.told / SAID_A_TOKEN);
                    if let Some(text) = self.replies.complete(&mut self.socket, &completion) {
                        self.regain_storage(text);
                    }
                }
                Notice::Begins(subscription) => self.reading.begin(subscription),
                Notice::Ignores(change, seq) => self.reading.ignore(&change, seq),
                Notice::Ends(room, at) => {
                    self.handle.has_ended();
                    self.reading.end(room, at);
                }
                Notice::Told(time, text) => self.socket.write(|out| reply::notice(out, time, &text)),
                Notice::Dismissed(reason) => {
                    self.farewell = Some(Box::new(reason));
                    self.ending = Some(Ending::Dismissed);
                }
            }
        }
        Ok(())
    }

    fn id(&self) -> SessionId {
        SessionId { node: self.life.node, number: self.handle.number }
    }

    fn proposal(&self, request: Request) -> Proposal {
        Proposal { origin: Origin { session: self.id(), tag: self.next_tag }, request }
    }

    /// Adds a proposal to the ones that go to the order after the current lines; returns its tag.
    fn propose(&mut self, request: Request) -> u64 {
        self.next_tag += 1;
        self.proposals.push(self.proposal(request));
        self.next_tag
    }

    async fn send_proposals(&mut self) -> Result<(), Gone> {
        if self.proposals.is_empty() {
            return Ok(());
        }
        match self.shared.order.try_propose(std::mem::take(&mut self.proposals)) {
            Ok(()) => Ok(()),
            Err(NotNow::Full(proposals)) => self.shared.order.propose(proposals).await.map_err(|_| Gone::Order),
            Err(NotNow::Closed) => Err(Gone::Order),
        }
    }

    /// Waits until all commands so far are answered.
    async fn settle(&mut self) -> Result<(), Gone> {
        self.send_proposals().await?;
        loop {
            self.take_notices()?;
            if self.replies.in_flight() == 0 {
                return Ok(());
            }
            self.woken().await?;
        }
    }

    /// Proposes something and waits for its outcome; everything before it must be settled. On return, rooms whose reading it
    /// has ended have been shown to their ends.
    async fn ask(&mut self, request: Request) -> Result<Result<Answer, Refusal>, Gone> {
        let outcome = self.order_outcome(request).await?;
        self.follow_to_ends().await?;
        Ok(outcome)
    }

    /// Not an `async fn`: its future would reserve room for the request in every silent connection.
    fn order_outcome(&mut self, request: Request) -> impl Future<Output = Result<Result<Answer, Refusal>, Gone>> {
        debug_assert_eq!(self.replies.in_flight(), 0, "invariant: slow verbs begin when nothing waits");
        self.awaited = Some(self.propose(request));
        self.outcome()
    }

    /// Waits for the outcome of the one proposal that is under way.
    async fn outcome(&mut self) -> Result<Result<Answer, Refusal>, Gone> {
        self.send_proposals().await?;
        loop {
            self.take_notices()?;
            match self.outcome.take() {
                Some(outcome) => return Ok(outcome),
                None => self.woken().await?,
            }
        }
    }

    async fn woken(&self) -> Result<(), Gone> {
        poll_fn(|context| self.handle.poll_woken(context)).await;
        if self.shared.failed.is_cancelled() {
            return Err(Gone::Order);
        }
        if self.life.is_over() { Err(Gone::Node) } else { Ok(()) }
    }
}
