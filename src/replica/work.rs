//! One batch at work: decided, applied and put into the store, and what of it the people of this node are told.
//!
//! It owns nothing: whatever it has changed is committed, or taken back, by its replica.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::code::{Code, Refusal};
use crate::event::{Batch, Completion, Entry, Event, Ignored, NodeId, Proposal, Request, RoomId, SessionId, Time, Unignored};
use crate::hub::{Ignores, News, Title};
use crate::names::{Seq, UserId, Who};
use crate::order::cluster::{Membership, Standing};
use crate::state::{Context, Decision, State, decide};
use crate::store::{Backend, Store, StoreError};

/// A batch that is being decided.
pub struct Work<'a> {
    pub node: Option<NodeId>,
    pub membership: Option<&'a Membership>,
    pub time: Time,
    pub news: &'a mut Vec<News>,
    pub completions: &'a mut Vec<News>,
}

/// A connection that ends, and the rooms that it has read.
type Gone = (u64, SmallVec<[RoomId; 2]>);

/// Which of this node's sessions stop reading which room: these, or everybody who reads it.
#[derive(Default)]
struct Ends {
    room: Option<RoomId>,
    sessions: SmallVec<[u64; 1]>,
    is_close: bool,
}

impl Work<'_> {
    pub fn batch<B: Backend>(
        &mut self,
        state: &mut State,
        store: &mut Store<B>,
        context: Context<'_>,
        batch: &Batch,
    ) -> Result<(), StoreError> {
        if let Some(slot) = batch.slot {
            let Some(event) = state.takes(slot, self.time) else {
                tracing::debug!(?slot, "a batch that does not count");
                return Ok(());
            };
            let entry = Entry { seq: Seq(state.seq().0 + 1), time: self.time, room: None, via: None, event };
            self.happens(state, store, entry)?;
        }
        batch.proposals.iter().try_for_each(|proposal| self.proposal(state, store, context, proposal))
    }

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
                let via = state.connection(proposal.via());
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
            Decision::Refused(refusal) => {
                self.may_not_enter(&proposal.request, &refusal);
                Err(refusal)
            }
        };
        if self.is_here(&origin.session) && origin.session.number != 0 {
            let completion = Completion { tag: origin.tag, result, told };
            let news = if completion.has_place() { &mut *self.news } else { &mut *self.completions };
            news.push(News::Completed { session: origin.session.number, completion });
        }
        Ok(())
    }

    /// If this server may not enter, whoever runs it must know why. An entry that another has overtaken is none of that.
    fn may_not_enter(&self, request: &Request, refusal: &Refusal) {
        if let (Some(membership), Request::Enter { incarnation, token, .. }) = (self.membership, request)
            && membership.is_own(*incarnation, *token)
            && refusal.code != Code::Unavailable
        {
            membership.stands(Standing::Refused(refusal.text.to_string()));
        }
    }

    fn happens<B: Backend>(&mut self, state: &mut State, store: &mut Store<B>, entry: Entry) -> Result<(), StoreError> {
        // Before the event it is known whose connections end; everything else is known after it.
        let gone = self.who_goes(state, &entry);
        store.put(&entry)?;
        state.apply(&entry);
        // Whoever joins reads from their own JOIN on, so that an account's other connections are shown it.
        self.who_begins(state, &entry);
        self.who_ignores(state, &entry);
        let (seq, room, ends) = (entry.seq, entry.room, self.who_ends(state, &entry));
        let dismissed = match &entry.event {
            Event::Dismissed { reason, .. } => Some(Arc::clone(reason)),
            _ => None,
        };
        if let Event::Noticed { text } = &entry.event {
            self.news.push(News::Noticed { time: entry.time, text: Arc::clone(text) });
        }
        if entry.event.concerns_the_hub() {
            self.news.push(News::Happened(entry));
        }
        for session in ends.sessions {
            self.news.extend(ends.room.map(|room| News::Ends { session, room, seq }));
        }
        if ends.is_close {
            self.news.extend(room.map(|room| News::Closed { room, seq }));
        }
        for (session, rooms) in gone {
            match &dismissed {
                // It is there still, and is shown what came before.
                Some(reason) => {
                    self.news.extend(rooms.into_iter().map(|room| News::Ends { session, room, seq }));
                    self.news.push(News::Dismissed { session, reason: Arc::clone(reason) });
                }
                None => self.news.push(News::Gone { session, rooms }),
            }
        }
        Ok(())
    }

    fn is_here(&self, session: &SessionId) -> bool {
        self.node == Some(session.node)
    }

    /// This node's connections of a user.
    fn sessions<'s>(&self, state: &'s State, user: UserId) -> impl Iterator<Item = SessionId> + use<'s> {
        let node = self.node;
        state.sessions_of_user(user).filter(move |session| node == Some(session.node))
    }

    /// Those of them that are shown what happens in the channel.
    fn readers<'s>(&self, state: &'s State, user: UserId, channel: Seq) -> impl Iterator<Item = u64> + use<'s> {
        let is_shown = move |session: &SessionId| state.is_shown(*session, RoomId::Channel(channel));
        self.sessions(state, user).filter(is_shown).map(|session| session.number)
    }

    /// This node's connections that end with an entry, and the rooms that they read until then: memberships that end have ended
    /// before.
    fn who_goes(&self, state: &State, entry: &Entry) -> SmallVec<[Gone; 1]> {
        let of = |session: &SessionId| {
            let user = state.user_of(*session)?;
            let rooms = std::iter::once(RoomId::Inbox(user)).chain(state.channels_of(user).map(RoomId::Channel));
            Some((session.number, rooms.filter(|room| state.is_shown(*session, *room)).collect()))
        };
        match &entry.event {
            Event::Went { session, .. } | Event::Dismissed { session, .. } if self.is_here(session) => {
                of(session).into_iter().collect()
            }
            Event::NodeEnded { node, .. } if self.node == Some(*node) => {
                state.all_sessions_of(*node).iter().filter_map(of).collect()
            }
            _ => SmallVec::new(),
        }
    }

    /// Tells which sessions begin to read a room with an entry.
    fn who_begins(&mut self, state: &State, entry: &Entry) {
        let after = Seq(entry.seq.0 - 1);
        match (&entry.event, entry.room) {
            (Event::Came { session, who, .. }, _) if self.is_here(session) => {
                self.inbox_begins(session.number, after, who.clone());
            }
            (Event::Named { who, .. } | Event::Registered { who, .. }, _) => self.news.push(News::Renamed { who: who.clone() }),
            (Event::Joined { who, .. }, Some(RoomId::Channel(channel))) => {
                for session in self.readers(state, who.id, channel) {
                    self.channel_begins(state, session, after, channel);
                }
            }
            (Event::LoggedIn { session, account, .. }, _) if self.is_here(session) => {
                let is_shown = |room| state.is_shown(*session, room);
                if let Some(who) = state.user(*account).filter(|who| is_shown(RoomId::Inbox(who.id))) {
                    self.inbox_begins(session.number, after, who);
                }
                for channel in state.channels_of(*account).filter(|channel| is_shown(RoomId::Channel(*channel))) {
                    self.channel_begins(state, session.number, after, channel);
                }
            }
            _ => {}
        }
    }

    /// Tells the sessions of a user who ignores somebody from an entry on, or hears them again.
    fn who_ignores(&mut self, state: &State, entry: &Entry) {
        let seq = entry.seq;
        let (user, change) = match &entry.event {
            Event::Ignored(Ignored { by, who, .. }) => (*by, Ignores::Also(who.id)),
            Event::Unignored(Unignored { by, id, .. }) => (*by, Ignores::NotAnyMore(*id)),
            Event::LoggedIn { session, account, .. } if self.is_here(session) => {
                let change = Ignores::Only(state.ignored_by(*account).collect());
                return self.news.push(News::Ignores { session: session.number, change, seq });
            }
            _ => return,
        };
        let sessions = self.sessions(state, user).map(|session| session.number);
        self.news.extend(sessions.map(|session| News::Ignores { session, change: change.clone(), seq }));
    }

    /// Which sessions stop reading a room with an entry.
    fn who_ends(&self, state: &State, entry: &Entry) -> Ends {
        match &entry.event {
            Event::Left { who, .. } | Event::Kicked { who, .. } => {
                let sessions =
                    entry.room.and_then(RoomId::channel).map(|channel| self.readers(state, who.id, channel).collect());
                Ends { room: entry.room, sessions: sessions.unwrap_or_default(), is_close: false }
            }
            Event::LoggedIn { session, guest, .. } if self.is_here(session) => {
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
