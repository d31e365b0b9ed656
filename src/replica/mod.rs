//! The replica: the one loop that turns batches into news for the people of its node.
//!
//! ```text
//!  batch ─▶ decide ─▶ apply ─▶ store ─▶ (commit) ─▶ hub: lines, who reads what, completions
//! ```
//!
//! It owns the state and the store; nobody else writes them. The state is locked from the first decision of a batch until it is
//! committed, so that readers only see changes that are stored. A store failure other than a full disk ends the replica, and
//! with it the process: it is not known then what is on the disk, and the next start will find out.

mod vouching;
mod work;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::RwLock;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::Instant;

use crate::clock::{self, Ages, Clock};
use crate::event::{Batch, NodeId, Request};
use crate::hub::{Hub, News};
use crate::limits::{ENDED_ROOMS_SECONDS, IDS_RESERVED, Limits};
use crate::metrics::Metrics;
use crate::names::UserId;
use crate::order::cluster::{Membership, Standing};
use crate::order::{Batches, OrderError};
use crate::state::{Context, State, Storage};
use crate::store::{Backend, Keep, Presence, Store, StoreError};

pub use vouching::Differs;
use vouching::{Vouching, is_due};
use work::Work;

/// How often to check whether a full disk has room again.
const ROOM_CHECK: Duration = Duration::from_secs(1);
/// How long the store rests between two steps of deleting waste, so that nobody has to wait long.
const TIDY_REST: Duration = Duration::from_millis(5);
/// How long it rests when there is nothing to delete.
const TIDY_LOOK: Duration = Duration::from_secs(2);

/// After how many batches a step is due under a load that leaves no time for rests.
const TIDY_BATCHES: u32 = 64;

/// The state, which sessions read to answer queries.
pub type SharedState = Arc<RwLock<State>>;

/// Where a replica sends the news of a batch.
pub enum Outlet {
    /// Directly to the hub: for a replica that is a task beside the sessions.
    Hub(Arc<Hub>),
    /// To a task that carries it to the hub: for a replica in a thread of its own, from which waking each session would cost
    /// more.
    Channel(mpsc::Sender<Vec<News>>),
}

/// Why a replica takes no more batches.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// The store has failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The order gives no more batches.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// What this replica holds is wrong.
    #[error(transparent)]
    Differs(#[from] Differs),
}

/// Which node a replica is.
pub enum Node {
    /// This one, which has its order to itself.
    Alone(NodeId),
    /// One of many that share an order; which one is known once it has entered.
    Member(Arc<Membership>),
}

/// The state and the store of one node, and the code that applies batches to both.
pub struct Replica<B: Backend> {
    /// Which node it is now, if it is one.
    node: Option<NodeId>,
    membership: Option<Arc<Membership>>,
    vouching: Vouching,
    limits: Arc<Limits>,
    state: SharedState,
    store: Store<B>,
    full_since: Option<Instant>,
    metrics: Arc<Metrics>,
    /// The clock of the newest batch, which goes on while there are no others; `None` before the first.
    clock: Option<Clock>,
    ages: Ages,
    news: Vec<News>,
    completions: Vec<News>,
}

impl<B: Backend> Replica<B> {
    /// A replica of this node with the state from the store.
    ///
    /// # Errors
    /// When the store is damaged or cannot be read.
    pub fn open(node: Node, limits: Arc<Limits>, mut store: Store<B>) -> Result<Self, StoreError> {
        store.leave_rooms_for(Duration::from_secs(ENDED_ROOMS_SECONDS));
        store.keep_only(Keep::of(&limits));
        let mut state = State::default();
        store.load(&mut |entry| state.apply(entry))?;
        let ages = Ages::after(store.newest_time()?);
        if let Node::Alone(_) = node {
            // Set aside on this machine alone, which the others know nothing of.
            state.ids_are_aside(store.ids_aside());
        }
        state.resume(store.last()?, store.presence() == Presence::Forgotten);
        let state = Arc::new(RwLock::new(state));
        let (news, completions) = (Vec::new(), Vec::new());
        let (node, membership) = match node {
            Node::Alone(node) => (Some(node), None),
            Node::Member(membership) => (None, Some(membership)),
        };
        Ok(Self {
            node,
            membership,
            vouching: Vouching::default(),
            limits,
            state,
            store,
            full_since: None,
            metrics: Arc::default(),
            clock: None,
            ages,
            news,
            completions,
        })
    }

    /// The same, which counts its batches here.
    pub fn counted_in(self, metrics: &Arc<Metrics>) -> Self {
        Self { metrics: Arc::clone(metrics), ..self }
    }

    /// The state, for reading.
    pub fn state(&self) -> SharedState {
        Arc::clone(&self.state)
    }

    /// The digests of the state and of the store. They are equal for replicas that have taken the same batches.
    ///
    /// # Errors
    /// When the store is damaged or cannot be read.
    pub async fn digests(&self) -> Result<(u64, u64), StoreError> {
        Ok((self.state.read().await.digest(), self.store.digest()?))
    }

    /// Takes batches and tells the news of each, until there are no more batches or nobody listens. Then the store is closed.
    ///
    /// # Errors
    /// When the store fails, or the order does. Then it is not closed in order: nothing more is written to a store that has
    /// failed.
    pub async fn run(mut self, mut batches: impl Batches, tell: Outlet) -> Result<(), ReplicaError> {
        // One timer for all rounds, polled only when needed: a timer for each batch would make a message a tenth more
        // expensive.
        let mut batches_since = 0;
        let mut tidying = std::pin::pin!(tokio::time::sleep(TIDY_REST));
        loop {
            let mut next = std::pin::pin!(batches.next());
            // An order may be in the middle of something that takes longer than a rest, and must not begin it again each time.
            let batch = loop {
                tokio::select! {
                    biased;
                    batch = &mut next => break batch,
                    () = &mut tidying, if self.store.is_untidy() || self.metrics.is_full() => {
                        self.look_for_room();
                        let rest = if self.tidy()? { TIDY_REST } else { TIDY_LOOK };
                        tidying.as_mut().reset(clock::now() + rest);
                        batches_since = 0;
                    }
                }
            };
            let Some(batch) = batch? else { break };
            batches_since += 1;
            if batches_since >= TIDY_BATCHES && self.store.is_untidy() {
                batches_since = 0;
                self.tidy()?;
            }
            self.hear(&batch).await?;
            let news = self.take(batch).await?;
            match &tell {
                Outlet::Hub(hub) => hub.tell(news),
                Outlet::Channel(channel) => {
                    let sent = match channel.try_send(std::mem::take(news)) {
                        Err(TrySendError::Full(news)) => channel.send(news).await.is_ok(),
                        sent => sent.is_ok(),
                    };
                    if !sent {
                        break;
                    }
                }
            }
        }
        self.store.close();
        Ok(())
    }

    /// Hears what other nodes say of their states.
    async fn hear(&mut self, batch: &Batch) -> Result<(), Differs> {
        let Some(slot) = batch.slot else { return Ok(()) };
        {
            let state = self.state.read().await;
            self.vouching.keep_only(|node| state.node(node).is_some());
            if state.node(slot.node).is_none() {
                return Ok(());
            }
        }
        self.vouching.read(slot, self.node == Some(slot.node))?;
        for proposal in &batch.proposals {
            if let Request::Vouch { place, digest } = proposal.request
                && self.node != Some(proposal.origin.session.node)
            {
                self.vouching.other(proposal.origin.session.node, place, digest)?;
            }
        }
        Ok(())
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        match self.tidy_and_trim() {
            Err(StoreError::Full) => Ok(false),
            other => other,
        }
    }

    fn tidy_and_trim(&mut self) -> Result<bool, StoreError> {
        let more = self.store.tidy()?;
        let Some(clock) = self.clock else { return Ok(more) };
        Ok(self.store.trim(self.ages.time(clock.time()))? || more)
    }

    /// Decides, applies and stores a batch. Returns the news for this node's hub, which the caller takes out of the vector.
    ///
    /// # Errors
    /// When the store fails; then it is not known whether anything of the batch is stored.
    pub async fn take(&mut self, batch: Batch) -> Result<&mut Vec<News>, StoreError> {
        self.clock = Some(Clock::Running { from: clock::now(), at: batch.time });
        self.look_for_room();
        let state = self.state();
        let mut state = match state.try_write() {
            Ok(state) => state,
            Err(_) => state.write().await,
        };
        let storage = if self.full_since.is_some() { Storage::Marks } else { Storage::Free };
        let mut done = self.transaction(&mut state, &batch, storage);
        if self.membership.is_some() {
            // A node that took less because its own disk is full would not stay equal to the others.
            return done.map(|()| &mut self.news);
        }
        if let Err(StoreError::Full) = done {
            self.full_since = Some(clock::now());
            if !self.metrics.is_full() {
                self.metrics.set_full(true);
                tracing::error!("the disk is full: nobody can say anything until there is room in the data directory");
            }
            self.store.give_reserve();
            // Again, now without messages.
            done = self.transaction(&mut state, &batch, Storage::Marks);
        }
        if let Err(StoreError::Full) = done {
            // No room even for read marks: again, without anything that must be stored.
            self.set_ids_aside(&mut state, &batch);
            done = self.transaction(&mut state, &batch, Storage::Nothing);
        }
        done.map(|()| &mut self.news)
    }

    /// Looks now and then whether a disk that was full has room again.
    fn look_for_room(&mut self) {
        if self.full_since.is_some_and(|since| clock::since(since) >= ROOM_CHECK) {
            self.full_since = if self.store.take_reserve() { None } else { Some(clock::now()) };
        }
        // What was given back fits again at once: that is no room, and would be told each second.
        if self.metrics.is_full() && self.full_since.is_none() && self.store.has_room() {
            tracing::warn!("there is room on the disk again");
            self.metrics.set_full(false);
        }
    }

    /// Whoever may only read must get in, and needs an id that nobody else ever gets. So more ids are set aside in the one place
    /// of a full disk that is left.
    fn set_ids_aside(&mut self, state: &mut State, batch: &Batch) {
        let newcomers = batch.proposals.iter().filter(|proposal| matches!(proposal.request, Request::Come { .. })).count();
        let Some(upto) = state.ids_short(newcomers as u64) else { return };
        let below = UserId(upto.0 + IDS_RESERVED);
        if self.store.set_ids_aside(below) {
            state.ids_are_aside(below);
        }
    }

    /// Applies and stores all of the batch, or nothing of it.
    fn transaction(&mut self, state: &mut State, batch: &Batch, storage: Storage) -> Result<(), StoreError> {
        let (news, completions) = (&mut self.news, &mut self.completions);
        news.clear();
        completions.clear();
        let (before, order) = (state.seq(), state.order());
        let time = if batch.slot.is_some() { state.time_after(batch.time) } else { batch.time };
        let membership = self.membership.as_deref();
        let mut work = Work { node: self.node, membership, time, news, completions };
        let context = Context { time, limits: &self.limits, storage };
        let done = work.batch(state, &mut self.store, context, batch).and_then(|()| must_know(membership, state));
        let (decided, began) = (done.is_ok(), self.store.lasts().then(clock::now));
        match done.and_then(|()| self.store.commit()) {
            // Nothing that must be stored was decided: what the store wanted to note beside it can wait.
            Err(StoreError::Full) if storage == Storage::Nothing && decided => self.store.rollback(),
            Err(error) => {
                self.store.rollback();
                state.rollback();
                return Err(error);
            }
            Ok(()) => {}
        }
        let took = began.map(clock::since);
        state.commit();
        if let Some(membership) = &self.membership {
            membership.uses(state.features());
            self.node = stands(membership, state, self.node);
            if let Some(place) = is_due(order, state.order(), self.limits.digest_batches) {
                let digest = state.digest();
                self.vouching.own(place, digest);
                membership.vouches(place, digest);
            }
        }
        if state.seq() > before {
            self.metrics.committed(state.seq().0 - before.0, took);
            self.news.push(News::UpTo { seq: state.seq() });
        }
        self.news.append(&mut self.completions);
        Ok(())
    }
}

/// Refuses to decide by features that this server does not know: it would decide otherwise than the others. Whoever was taken for dead
/// while they were upgraded, and reads on, comes here.
fn must_know(membership: Option<&Membership>, state: &State) -> Result<(), StoreError> {
    let (used, known) = (state.features(), membership.map_or(u8::MAX, |membership| membership.features().known));
    if used <= known {
        return Ok(());
    }
    Err(StoreError::Failed(format!(
        "the servers of this cluster use features of linechat up to level {used}, and this one knows them up to level {known}; upgrade \
         this server"
    )))
}

/// Tells the server where it stands, and returns which node it is; until now it was `before`.
fn stands(membership: &Membership, state: &State, before: Option<NodeId>) -> Option<NodeId> {
    let Some((node, row)) = state.nodes().find(|(_, row)| &*row.name == membership.name()) else {
        membership.stands(Standing::Outside);
        return None;
    };
    if membership.is_own(row.incarnation, row.token) {
        membership.stands(Standing::Inside { node, number: row.number });
        return Some(node);
    }
    membership.stands(membership.is_overtaken(before.is_some(), row.incarnation, row.token));
    None
}
