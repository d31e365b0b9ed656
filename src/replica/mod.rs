//! The replica: the one loop that turns batches into news for the people of its node.
//!
//! ```text
//!  batch ─▶ decide ─▶ apply ─▶ store ─▶ (commit) ─▶ hub: lines, who reads what, completions
//! ```
//!
//! It owns the state and the store; nobody else writes them. The state is locked from the first decision of a batch until it is
//! committed, so that readers only see changes that are stored. A store failure other than a full disk ends the replica, and
//! with it the process: it is not known then what is on the disk, and the next start will find out.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::RwLock;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::Instant;

use crate::clock::{self, Ages, Clock};
use crate::event::{Batch, Completion, Entry, Event, NodeId, Proposal, Request, RoomId, SessionId, Time};
use crate::hub::{Hub, News, Title};
use crate::limits::{ENDED_ROOMS_SECONDS, IDS_RESERVED, Limits};
use crate::names::{Seq, UserId, Who};
use crate::order::Batches;
use crate::state::{Context, Decision, State, Storage, decide};
use crate::store::{Backend, Keep, Presence, Store, StoreError};

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

/// The state and the store of one node, and the code that applies batches to both.
pub struct Replica<B: Backend> {
    node: NodeId,
    limits: Arc<Limits>,
    state: SharedState,
    store: Store<B>,
    full_since: Option<Instant>,
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
    pub fn open(node: NodeId, limits: Arc<Limits>, mut store: Store<B>) -> Result<Self, StoreError> {
        store.leave_rooms_for(Duration::from_secs(ENDED_ROOMS_SECONDS));
        store.keep_only(Keep::of(&limits));
        let mut state = State::default();
        store.load(&mut |entry| state.apply(entry))?;
        let ages = Ages::after(store.newest_time()?);
        state.ids_are_aside(store.ids_aside());
        state.resume(store.last()?, store.presence() == Presence::Forgotten);
        let state = Arc::new(RwLock::new(state));
        let (news, completions) = (Vec::new(), Vec::new());
        Ok(Self { node, limits, state, store, full_since: None, clock: None, ages, news, completions })
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
    /// When the store fails. Then it is not closed in order: nothing more is written to a store that has failed.
    pub async fn run(mut self, mut batches: impl Batches, tell: Outlet) -> Result<(), StoreError> {
        // One timer for all rounds, polled only when needed: a timer for each batch would make a message a tenth more
        // expensive.
        let mut batches_since = 0;
        let mut tidying = std::pin::pin!(tokio::time::sleep(TIDY_REST));
        loop {
            let batch = tokio::select! {
                biased;
                batch = batches.next() => batch,
                () = &mut tidying, if self.store.is_untidy() => {
                    let rest = if self.tidy()? { TIDY_REST } else { TIDY_LOOK };
                    tidying.as_mut().reset(clock::now() + rest);
                    batches_since = 0;
                    continue;
                }
            };
            let Some(batch) = batch else { break };
            batches_since += 1;
            if batches_since >= TIDY_BATCHES && self.store.is_untidy() {
                batches_since = 0;
                self.tidy()?;
            }
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
        if self.full_since.is_some_and(|since| clock::since(since) >= ROOM_CHECK) {
            self.full_since = if self.store.take_reserve() { None } else { Some(clock::now()) };
        }
        let state = self.state();
        let mut state = match state.try_write() {
            Ok(state) => state,
            Err(_) => state.write().await,
        };
        let storage = if self.full_since.is_some() { Storage::Marks } else { Storage::Free };
        let mut done = self.transaction(&mut state, &batch, storage);
        if let Err(StoreError::Full) = done {
            self.full_since = Some(clock::now());
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
        let before = state.seq();
        let mut work = Work { node: self.node, time: batch.time, news, completions };
        let context = Context { time: batch.time, limits: &self.limits, storage };
        let done = batch.proposals.iter().try_for_each(|proposal| work.proposal(state, &mut self.store, context, proposal));
        let decided = done.is_ok();
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
        state.commit();
        if state.seq() > before {
            self.news.push(News::UpTo { seq: state.seq() });
        }
        self.news.append(&mut self.completions);
        Ok(())
    }
}

/// A batch that is being decided.
struct Work<'a> {
    node: NodeId,
    time: Time,
    news: &'a mut Vec<News>,
    completions: &'a mut Vec<News>,
}

/// Which of this node's sessions stop reading which room: these, or everybody who reads it.
#[derive(Default)]
struct Ends {
    room: Option<RoomId>,
    sessions: SmallVec<[u64; 1]>,
    is_close: bool,
}

impl Work<'_> {
    fn proposal<B: Backend>(
        &mut self,
        state: &mut State,
        store: &mut Store<B>,
        context: Context<'_>,
        proposal: &Proposal,
    ) -> Result<(), StoreError> {
        let origin = proposal.origin;
        let mut told = 0;
        let result = match decide(state, proposal, context, store)? {
            Decision::Accepted(events, answer) => {
                let via = state.connection(origin.session);
                for (room, event) in events {
                    let is_shown = event.is_shown();
                    let entry = Entry { seq: Seq(state.seq().0 + 1), time: self.time, room, via, event };
                    self.happens(state, store, entry)?;
                    if is_shown {
                        told += state.told_in(room);
                    }
                }
                Ok(answer)
            }
            Decision::Refused(refusal) => Err(refusal),
        };
        if origin.session.node == self.node && origin.session.number != 0 {
            let completion = Completion { tag: origin.tag, result, told };
            let news = if completion.has_place() { &mut *self.news } else { &mut *self.completions };
            news.push(News::Completed { session: origin.session.number, completion });
        }
        Ok(())
    }

    fn happens<B: Backend>(&mut self, state: &mut State, store: &mut Store<B>, entry: Entry) -> Result<(), StoreError> {
        // Before the event it is known whose connections end; everything else is known after it.
        let gone = self.who_goes(state, &entry);
        store.put(&entry)?;
        state.apply(&entry);
        // Whoever joins reads from their own JOIN on, so that an account's other connections are shown it.
        self.who_begins(state, &entry);
        let (seq, room, ends) = (entry.seq, entry.room, self.who_ends(state, &entry));
        if entry.event.is_shown() {
            self.news.push(News::Happened(entry));
        }
        for session in ends.sessions {
            self.news.extend(ends.room.map(|room| News::Ends { session, room, seq }));
        }
        if ends.is_close {
            self.news.extend(room.map(|room| News::Closed { room, seq }));
        }
        for (session, user) in gone {
            let rooms = std::iter::once(RoomId::Inbox(user)).chain(state.channels_of(user).map(RoomId::Channel));
            self.news.push(News::Gone { session, rooms: rooms.collect() });
        }
        Ok(())
    }

    /// This node's connections of a user.
    fn sessions<'s>(&self, state: &'s State, user: UserId) -> impl Iterator<Item = u64> + use<'s> {
        let node = self.node;
        state.sessions_of_user(user).filter(move |session| session.node == node).map(|session| session.number)
    }

    /// This node's connections that end with an entry, and their users.
    fn who_goes(&self, state: &State, entry: &Entry) -> SmallVec<[(u64, UserId); 1]> {
        let of = |session: &SessionId| Some((session.number, state.user_of(*session)?));
        match &entry.event {
            Event::Went { session, .. } if session.node == self.node => of(session).into_iter().collect(),
            Event::NodeEnded { node, .. } if *node == self.node => state.all_sessions_of(*node).iter().filter_map(of).collect(),
            _ => SmallVec::new(),
        }
    }

    /// Tells which sessions begin to read a room with an entry.
    fn who_begins(&mut self, state: &State, entry: &Entry) {
        let after = Seq(entry.seq.0 - 1);
        match (&entry.event, entry.room) {
            (Event::Came { session, who, .. }, _) if session.node == self.node => {
                self.inbox_begins(session.number, after, who.clone());
            }
            (Event::Named { who, .. } | Event::Registered { who, .. }, _) => self.news.push(News::Renamed { who: who.clone() }),
            (Event::Joined { who, .. }, Some(RoomId::Channel(channel))) => {
                for session in self.sessions(state, who.id) {
                    self.channel_begins(state, session, after, channel);
                }
            }
            (Event::LoggedIn { session, account, .. }, _) if session.node == self.node => {
                if let Some(who) = state.user(*account) {
                    self.inbox_begins(session.number, after, who);
                }
                for channel in state.channels_of(*account) {
                    self.channel_begins(state, session.number, after, channel);
                }
            }
            _ => {}
        }
    }

    /// Which sessions stop reading a room with an entry.
    fn who_ends(&self, state: &State, entry: &Entry) -> Ends {
        match &entry.event {
            Event::Left { who, .. } => {
                Ends { room: entry.room, sessions: self.sessions(state, who.id).collect(), is_close: false }
            }
            Event::LoggedIn { session, guest, .. } if session.node == self.node => {
                let sessions = SmallVec::from_buf([session.number]);
                Ends { room: Some(RoomId::Inbox(*guest)), sessions, is_close: false }
            }
            event => Ends { is_close: matches!(event, Event::Closed { .. }), ..Ends::default() },
        }
    }

    fn inbox_begins(&mut self, session: u64, seq: Seq, who: Who) {
        self.news.push(News::Begins { session, seq, room: RoomId::Inbox(who.id), title: Title::Inbox(who) });
    }

    fn channel_begins(&mut self, state: &State, session: u64, seq: Seq, channel: Seq) {
        if let Some(name) = state.channel_name(channel) {
            let title = Title::Channel(name.clone());
            self.news.push(News::Begins { session, seq, room: RoomId::Channel(channel), title });
        }
    }
}
