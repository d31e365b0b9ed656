//! SEARCH, and HISTORY of what two people have said to each other: the index finds the messages, the store shows them.
//!
//! Where somebody may look is decided here, from what they are a member of now. Whatever the index says, nothing is shown that the
//! store does not have.

use crate::code::Refusal;
use crate::event::{Entry, Event, Mark, RoomId, Time};
use crate::hub::Title;
use crate::limits::{READ_ENTRIES, SEARCH_LINES, SEARCH_ROUNDS, SEARCH_TOKENS};
use crate::names::Seq;
use crate::search::{Direction, Filter, Place};
use crate::session::Session;
use crate::session::socket::Gone;
use crate::session::verbs::Said;
use crate::session::verbs::heard::unreadable;
use crate::session::verbs::history::{messages, unavailable};
use crate::store::Start;
use crate::wire::{Span, Target, Wanted, When, wanted};

impl Session {
    pub(super) async fn search(&mut self, target: Option<Target<'_>>, words: &str) -> Said {
        self.pay(SEARCH_TOKENS);
        let filter = match wanted(words) {
            Ok(wanted) => self.filter(target, &wanted).await.map(|filter| (filter, wanted.limit)),
            Err(refusal) => Err(refusal),
        };
        let (mut filter, limit) = match filter {
            Ok((filter, limit)) => (filter, limit.unwrap_or(SEARCH_LINES) as usize),
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (mut shown, mut more) = (0, true);
        for _ in 0..SEARCH_ROUNDS {
            let (wanted, most) = (filter.clone(), limit - shown);
            let found = self.shared.search.ask(move |index| index.find(&wanted, Direction::Backward, most + 1)).await;
            let mut seqs = match found {
                Ok(seqs) => seqs,
                Err(not_now) => return Ok(Err(unavailable(&not_now))),
            };
            more = seqs.len() > most;
            seqs.truncate(most);
            filter.before = seqs.last().copied().or(filter.before);
            shown += match self.show_found(seqs).await? {
                Ok(shown) => shown,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if !more || shown == limit {
                break;
            }
        }
        Ok(Ok(format!("{shown}{}", if more { " more" } else { "" })))
    }

    /// What is looked for, where this user may look.
    async fn filter(&self, target: Option<Target<'_>>, wanted: &Wanted<'_>) -> Result<Filter, Refusal> {
        let (state, me) = (self.shared.state.read().await, self.who.id);
        let places = match target {
            Some(Target::Channel(channel)) => vec![Place::Channel(state.may_read(me, channel)?)],
            Some(user) => vec![Place::Between(me, state.person(&user.into())?.id)],
            None => {
                [Place::Inbox(me), Place::SentBy(me)].into_iter().chain(state.channels_of(me).map(Place::Channel)).collect()
            }
        };
        let from = match wanted.from {
            // Guests who have gone are known by their ids.
            Some(Target::Id(id)) => vec![id],
            Some(user) => vec![state.person(&user.into())?.id],
            None => Vec::new(),
        };
        let mut filter = Filter { places, from, without: state.ignored_by(me).collect(), ..Filter::default() };
        filter.phrases = wanted.phrases.iter().map(|phrase| (*phrase).to_owned()).collect();
        self.narrow(&mut filter, wanted.since, wanted.before);
        Ok(filter)
    }

    fn narrow(&self, filter: &mut Filter, since: Option<When>, before: Option<When>) {
        match since.map(|when| self.time(when)) {
            Some(Ok(time)) => filter.since = Some(time),
            Some(Err(seq)) => filter.after = filter.after.max(seq),
            None => {}
        }
        match before.map(|when| self.time(when)) {
            Some(Ok(time)) => filter.until = Some(time),
            Some(Err(seq)) => filter.before = Some(seq),
            None => {}
        }
    }

    /// The time that is meant, or the seq.
    pub(super) fn time(&self, when: When) -> Result<Time, Seq> {
        match when {
            When::Seq(seq) => Err(seq),
            When::Time(time) => Ok(time),
            When::Age(age) => {
                let milliseconds = i64::try_from(age.0.saturating_mul(1000)).unwrap_or(i64::MAX);
                Ok(Time(self.shared.clock.time().0.saturating_sub(milliseconds)))
            }
        }
    }

    /// Shows what the user and another have said to each other.
    pub(super) async fn conversation(&mut self, user: Target<'_>, count: usize, span: Span) -> Said {
        self.pay(SEARCH_TOKENS);
        let me = self.who.id;
        let (other, without) = {
            let state = self.shared.state.read().await;
            match state.person(&user.into()) {
                Ok(other) => (other.id, state.ignored_by(me).collect()),
                Err(refusal) => return Ok(Err(refusal)),
            }
        };
        let mut filter = Filter { places: vec![Place::Between(me, other)], without, ..Filter::default() };
        let direction = match span {
            Span::Newest | Span::Before(_) => Direction::Backward,
            Span::Since(_) | Span::Unread => Direction::Forward,
        };
        match span {
            Span::Newest => {}
            Span::Before(when) => self.narrow(&mut filter, None, Some(when)),
            Span::Since(when) => self.narrow(&mut filter, Some(when), None),
            Span::Unread => match self.read(messages(RoomId::Inbox(me), Start::Unread, 1)).await {
                Ok(page) => match page.first() {
                    Some(Seq(first)) => (filter.from, filter.after) = (vec![other], Seq(first - 1)),
                    None => return Ok(Ok("0".to_owned())),
                },
                Err(refusal) => return Ok(Err(refusal)),
            },
        }
        let found = self.shared.search.ask(move |index| index.find(&filter, direction, count)).await;
        let mut seqs = match found {
            Ok(seqs) => seqs,
            Err(not_now) => return Ok(Err(unavailable(&not_now))),
        };
        seqs.sort_unstable();
        Ok(self.show_found(seqs).await?.map(|shown| shown.to_string()))
    }

    /// Shows messages with these seqs, in this order; returns how many are still there.
    async fn show_found(&mut self, seqs: Vec<Seq>) -> Result<Result<usize, Refusal>, Gone> {
        let mut shown = 0;
        for seqs in seqs.chunks(READ_ENTRIES) {
            let Ok(entries) = self.shared.reader.entries(seqs.to_vec()).await else { return Ok(Err(unreadable())) };
            for Entry { seq, time, room, event, .. } in entries {
                let (Some(said), Some(title)) = (as_said(event), self.title(room).await) else { continue };
                self.socket.write(|out| said.write_line(out, Mark::Data, seq, time, title.to()));
                shown += 1;
            }
            self.flush().await?;
        }
        Ok(Ok(shown))
    }

    /// How a room is named now, if it is still there.
    async fn title(&self, room: Option<RoomId>) -> Option<Title> {
        match room? {
            RoomId::Inbox(owner) if owner == self.who.id => Some(Title::Inbox(self.who.clone())),
            RoomId::Inbox(owner) => self.shared.state.read().await.user(owner).map(Title::Inbox),
            RoomId::Channel(channel) => self.shared.state.read().await.channel_name(channel).cloned().map(Title::Channel),
        }
    }
}

/// What is found as whoever may find it sees it: to its sender, what nobody has heard is a message like any other. `None` of what
/// was retracted.
fn as_said(event: Event) -> Option<Event> {
    match event {
        Event::Unheard { from, key, text } if !text.is_empty() => Some(Event::Said { from, key, text, share: None }),
        said @ Event::Said { .. } => Some(said),
        _ => None,
    }
}
