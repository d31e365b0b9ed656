//! The publisher: enters the order, makes batches of the proposals of this server's people, and sends each until it has come
//! back.
//!
//! It owns the batches that are under way, and the numbers. It must never send other proposals under a number that may be
//! stored, and never forget that somebody has gone. What cannot be ordered in time is refused: nobody waits for ever.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::code::{Code, Refusal};
use crate::event::{NodeId, Proposal, Request, Slot};
use crate::limits::{BATCH_BYTES, BATCH_PROPOSALS};
use crate::order::cluster::Refuse;
use crate::order::cluster::broker::{Ack, Broker, SendError};
use crate::order::cluster::follower::Pulse;
use crate::order::cluster::frame::{self, is_sound};
use crate::order::cluster::life::{Life, Sent};
use crate::order::cluster::membership::{Membership, Standing};
use crate::order::queue::Queued;

/// A node of which nothing was heard for this long may be given up by the others.
pub const LEASE: Duration = Duration::from_secs(15);
/// A node with nothing to send renews its lease with an empty batch this often: three times in a lease.
const RENEWAL: Duration = Duration::from_secs(5);
/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(100);
/// Without progress for this long, what has not been sent is refused.
const CUT_OFF: Duration = Duration::from_millis(1800);
/// Without progress for this long, everything under way is sent again: a leader's death takes the brokers 4 to 9 s.
const AGAIN: Duration = Duration::from_secs(3);
/// Without a new frame for this long, its own included, it turns to another broker: this one may be cut off from the others, and answer
/// and beat all the same. Twice in a lease, so that most are back in time.
const ELSEWHERE: Duration = Duration::from_secs(6);
/// How long a proposal may be under way before its session is told that nobody knows; this hides most deaths of a leader.
const UNSURE: Duration = Duration::from_secs(10);
/// How long a broker may take to accept a frame for sending, which is not to store it.
const SENDING: Duration = Duration::from_secs(2);
/// How long it waits for its entry before it sends another: the first time and at most.
const ENTRY: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(30));
/// How long a server that is stopped waits for the order to note that it has left; otherwise the others give it up.
const LEAVING: Duration = Duration::from_secs(2);
/// About how many bytes a proposal takes besides its text.
const PROPOSAL_BYTES: usize = 256;

/// Sends this server's batches.
pub struct Publisher<B: Broker> {
    pub(super) broker: Arc<B>,
    pub(super) queue: Queued,
    pub(super) membership: Arc<Membership>,
    pub(super) refuse: Refuse,
    pub(super) pulse: Arc<Pulse>,
    /// Cancelled when it has left.
    pub(super) left: CancellationToken,
}

/// Why a life has ended.
#[derive(PartialEq, Eq)]
enum End {
    /// The order says that the node has ended.
    Ended,
    /// The server is closing.
    Closed,
}

impl<B: Broker> Publisher<B> {
    /// Runs until the order is closed.
    ///
    /// # Errors
    /// Why the server may not enter, for its operator.
    pub async fn run(mut self) -> Result<(), String> {
        let mut standing = self.membership.standing();
        while let Some(node) = self.enter(&mut standing).await {
            tracing::info!(node = node.0, "this server is a node of the cluster");
            if self.live(node, &mut standing).await == End::Closed {
                break;
            }
            tracing::warn!(node = node.0, "the cluster has given this node up: its people have to connect again");
        }
        self.left.cancel();
        match &*standing.borrow() {
            Standing::Refused(why) => Err(why.clone()),
            _ => Ok(()),
        }
    }

    /// Sends an entry until one has come back; `None` when the server may not enter, or is closed.
    async fn enter(&mut self, standing: &mut watch::Receiver<Standing>) -> Option<NodeId> {
        let (mut wait, mut turned) = (ENTRY.0, clock::now());
        loop {
            // Whoever is refused must not take anybody's place.
            if let Standing::Refused(_) = *standing.borrow() {
                return None;
            }
            self.look_elsewhere(&mut turned).await;
            // A stream that is not heard may be shorter than what was read of it, and must not grow then.
            let until = if self.pulse.silence() > CUT_OFF {
                clock::now() + TICK
            } else {
                self.send_entry().await;
                let until = clock::now() + wait;
                wait = (2 * wait).min(ENTRY.1);
                until
            };
            loop {
                let stands = standing.borrow_and_update().clone();
                match stands {
                    Standing::Inside { node, .. } => return Some(node),
                    Standing::Refused(_) => return None,
                    Standing::Outside => {}
                }
                tokio::select! {
                    biased;
                    changed = standing.changed() => changed.ok()?,
                    () = tokio::time::sleep_until(until) => break,
                    proposals = self.queue.recv() => self.refuse_all(proposals?, &mut Vec::new()),
                }
            }
        }
    }

    async fn send_entry(&self) {
        let entry = Proposal::of_node(NodeId(0), self.membership.next_entry());
        let ack = self.hand_over(self.encode(NodeId(0), 0, vec![entry])).await;
        if let Err(error) = ack {
            tracing::debug!(%error, "the entry could not be sent; trying again");
        }
    }

    async fn live(&mut self, node: NodeId, standing: &mut watch::Receiver<Standing>) -> End {
        let mut life = Life::begin(node);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let may_send = life.may_send(self.queue.len()) && !self.is_cut_off(&life);
            tokio::select! {
                biased;
                changed = standing.changed() => {
                    if changed.is_err() || !life.stands(&standing.borrow_and_update()) {
                        self.unsure(&mut life, Duration::ZERO);
                        return End::Ended;
                    }
                }
                Some((number, acked)) = life.acks.next() => life.acked(number, acked),
                proposals = self.queue.recv(), if may_send => match proposals {
                    Some(proposals) => self.send_batch(&mut life, proposals).await,
                    None => {
                        self.leave(&mut life, standing).await;
                        return End::Closed;
                    }
                },
                _ = ticks.tick() => if !self.look_after(&mut life).await {
                    return End::Closed;
                },
            }
        }
    }

    /// Whether nothing can be ordered now.
    fn is_cut_off(&self, life: &Life) -> bool {
        let waits = !life.under_way.is_empty() && clock::since(life.progress) > CUT_OFF;
        waits || !self.broker.is_connected() || self.pulse.silence() > CUT_OFF
    }

    /// Does what is due; whether it goes on. A server that is closed while it is cut off cannot tell anybody.
    async fn look_after(&mut self, life: &mut Life) -> bool {
        self.unsure(life, UNSURE);
        let now = clock::now();
        let is_stuck = !life.under_way.is_empty() && now.duration_since(life.progress.max(life.sent)) > AGAIN;
        // What is sent while nobody is there would all arrive later.
        let is_due = life.again_at.is_some_and(|at| at <= now) || is_stuck;
        // Nor must a stream grow that is shorter than what was read of it.
        if is_due && self.broker.is_connected() && self.pulse.silence() <= CUT_OFF {
            life.again_at = None;
            self.send_again(life).await;
        }
        let is_cut_off = self.is_cut_off(life);
        self.membership.cut_off(is_cut_off);
        if is_cut_off {
            self.look_elsewhere(&mut life.turned).await;
            loop {
                match self.queue.try_recv() {
                    Ok(proposals) => self.refuse_all(proposals, &mut life.gone),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => {
                        self.unsure(life, Duration::ZERO);
                        return false;
                    }
                }
            }
        } else if life.may_send(usize::MAX) && !life.gone.is_empty() {
            let some = life.gone.len().min(BATCH_PROPOSALS);
            let gone = life.gone.drain(..some).collect();
            self.send(life, gone).await;
        } else if life.under_way.is_empty() && now.duration_since(life.sent) >= RENEWAL {
            self.send(life, Vec::new()).await;
        }
        true
    }

    /// Turns to another broker when nothing comes of this one; `turned` is when it did so last.
    async fn look_elsewhere(&self, turned: &mut Instant) {
        if self.broker.is_connected() && self.pulse.no_frame() > ELSEWHERE && clock::since(*turned) > ELSEWHERE {
            tracing::info!("nothing comes of this broker; turning to another");
            *turned = clock::now();
            self.broker.turn_to_another().await;
        }
    }

    /// Sends these proposals and whatever else waits.
    async fn send_batch(&mut self, life: &mut Life, mut proposals: Vec<Proposal>) {
        let size = |proposals: &[Proposal]| proposals.iter().map(size).sum::<usize>();
        let mut bytes = size(&proposals);
        while proposals.len() < BATCH_PROPOSALS
            && bytes < BATCH_BYTES
            && let Ok(more) = self.queue.try_recv()
        {
            bytes += size(&more);
            proposals.extend(more);
        }
        // Those of an earlier life came to an end with it.
        let (own, others): (Vec<_>, Vec<_>) =
            proposals.into_iter().partition(|proposal| proposal.origin.session.node == life.node);
        self.refuse_all(others, &mut Vec::new());
        // Servers that are not upgraded yet would not know what to do with these.
        let (own, unknown): (Vec<_>, Vec<_>) =
            own.into_iter().partition(|proposal| self.membership.is_known_to_all(&proposal.request));
        unknown.iter().for_each(|proposal| (self.refuse)(proposal.origin, not_yet()));
        let is_full = self.broker.is_nearly_full();
        let (full, own): (Vec<_>, Vec<_>) = own.into_iter().partition(|proposal| is_full && proposal.request.adds());
        full.iter().for_each(|proposal| (self.refuse)(proposal.origin, stream_full()));
        // A batch with one of these would be malformed for everyone, and would never come back.
        let (own, unsound): (Vec<_>, Vec<_>) =
            own.into_iter().partition(|proposal| is_sound(proposal.origin.session.number, &proposal.request));
        for proposal in unsound {
            tracing::error!(session = proposal.origin.session.number, "a session has proposed what no other server would take");
            let text = "the server has taken something for well-formed that is not; nothing was done";
            (self.refuse)(proposal.origin, Refusal::new(Code::Internal, text));
        }
        // More than this would be malformed.
        let mut own = own.into_iter();
        loop {
            let some: Vec<_> = own.by_ref().take(BATCH_PROPOSALS).collect();
            if some.is_empty() {
                break;
            }
            self.send(life, some).await;
        }
    }

    async fn send(&self, life: &mut Life, proposals: Vec<Proposal>) {
        let origins = proposals.iter().map(|proposal| proposal.origin).filter(|origin| origin.session.number != 0).collect();
        let gone = proposals.iter().filter(|proposal| proposal.request == Request::Go).cloned().collect();
        let (number, now) = (life.next, clock::now());
        life.next += 1;
        if life.under_way.is_empty() {
            life.progress = now;
        }
        let frame = self.encode(life.node, number, proposals);
        life.under_way.push_back(Sent { number, frame, origins, gone, at: now, unknown: 0, is_told_unsure: false });
        self.send_from(life, life.under_way.len() - 1).await;
    }

    /// Goes back to the first batch that has not come back; if it is certain that none is stored, all are withdrawn.
    async fn send_again(&self, life: &mut Life) {
        let Some(first) = life.under_way.front() else { return };
        if life.under_way.iter().all(|sent| sent.unknown == 0) {
            life.next = first.number;
            for sent in life.under_way.drain(..) {
                life.gone.extend(sent.gone);
                let untold = sent.origins.into_iter().filter(|_| !sent.is_told_unsure);
                untold.for_each(|origin| (self.refuse)(origin, unavailable()));
            }
            return;
        }
        self.send_from(life, 0).await;
    }

    async fn send_from(&self, life: &mut Life, at: usize) {
        life.sent = clock::now();
        for at in at..life.under_way.len() {
            let Sent { number, frame, .. } = &life.under_way[at];
            let number = *number;
            match self.hand_over(frame.clone()).await {
                Ok(ack) => {
                    life.under_way[at].unknown += 1;
                    life.acks.push(Box::pin(async move { (number, ack.await) }));
                }
                Err(SendError::Unknown(_)) => {
                    life.under_way[at].unknown += 1;
                    life.goes_back();
                }
                Err(SendError::NotStored(_)) => life.goes_back(),
            }
        }
    }

    fn encode(&self, node: NodeId, number: u64, proposals: Vec<Proposal>) -> Bytes {
        let slot = Slot { stream: self.broker.stream(), node, number, seen: self.pulse.read(), ..Slot::default() };
        frame::encode(slot, proposals, self.membership.features())
    }

    async fn hand_over(&self, frame: Bytes) -> Result<Ack, SendError> {
        let late = |_| Err(SendError::Unknown("the broker does not take it".to_owned()));
        timeout(SENDING, self.broker.send(frame)).await.unwrap_or_else(late)
    }

    /// Tells those whose proposals have been under way for too long that nobody knows.
    fn unsure(&self, life: &mut Life, most: Duration) {
        for sent in life.under_way.iter_mut().filter(|sent| !sent.is_told_unsure && clock::since(sent.at) >= most) {
            sent.is_told_unsure = true;
            sent.origins.iter().for_each(|origin| (self.refuse)(*origin, unsure()));
        }
    }

    /// Refuses proposals that were not sent. Of those who go, `gone` keeps that they have.
    fn refuse_all(&self, proposals: Vec<Proposal>, gone: &mut Vec<Proposal>) {
        for proposal in proposals {
            if proposal.origin.session.number != 0 {
                (self.refuse)(proposal.origin, unavailable());
            }
            if proposal.request == Request::Go {
                gone.push(proposal);
            }
        }
    }

    /// Everything under way comes back first, if it does in time.
    async fn leave(&mut self, life: &mut Life, standing: &mut watch::Receiver<Standing>) {
        let leaving = async {
            let gone = Proposal::of_node(life.node, Request::EndNode(life.node, life.next));
            self.send(life, vec![gone]).await;
            let mut ticks = interval(TICK);
            while life.stands(&standing.borrow_and_update()) {
                tokio::select! {
                    biased;
                    changed = standing.changed() => if changed.is_err() { break },
                    Some((number, acked)) = life.acks.next() => life.acked(number, acked),
                    _ = ticks.tick() => if life.again_at.take().is_some() { self.send_again(life).await },
                }
            }
        };
        if timeout(LEAVING, leaving).await.is_err() {
            tracing::warn!(
                "the cluster has not noted that this node leaves; the others will give it up when its lease is over"
            );
        }
        self.unsure(life, Duration::ZERO);
    }
}

/// About how many bytes it takes in a frame.
fn size(proposal: &Proposal) -> usize {
    let text = match &proposal.request {
        Request::Say { text, .. } | Request::Topic(_, text) => text.len(),
        _ => 0,
    };
    PROPOSAL_BYTES + text
}

fn unavailable() -> Refusal {
    Refusal::new(Code::Unavailable, "this server cannot reach the others now; nothing was done, try again later")
}

fn stream_full() -> Refusal {
    Refusal::new(Code::StoreFull, "the servers' common journal is nearly full; nothing was stored, try later")
}

fn not_yet() -> Refusal {
    Refusal::new(Code::Unavailable, "not every server of this cluster knows this yet; try again when all are upgraded")
}

fn unsure() -> Refusal {
    let text =
        "the servers could not agree in time; it may be done, now or later: look first, or send it again with the same @key";
    Refusal::new(Code::Unsure, text)
}
