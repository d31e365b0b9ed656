//! One order in memory: the state, what was stored, and proposals that are decided one after the other.

use std::collections::BTreeMap;
use std::convert::Infallible;

use linechat::code::Refusal;
use linechat::event::{Answer, Compaction, Entry, Event, Proposal, RoomId, Time};
use linechat::limits::{KEYS_REMEMBERED, KEYS_REMEMBERED_GUEST, Limits};
use linechat::names::{Seq, UserId};
use linechat::state::archive::content;
use linechat::state::{Archive, Context, Decision, Inbox, Sharer, State, Storage, Used, decide};

/// What was stored, as lists.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// The messages of each inbox and their bytes, the oldest first.
    inboxes: BTreeMap<UserId, Vec<(Seq, u64)>>,
    marks: BTreeMap<UserId, Seq>,
    /// The newest message of each channel.
    newest: BTreeMap<Seq, Seq>,
    /// How much of the shares of each inbox is used.
    shares: BTreeMap<UserId, BTreeMap<Sharer, u64>>,
    /// The keys that each sender used, the oldest first; and nothing where a guest became an account, whose keys then are as old
    /// as if there were more.
    keys: BTreeMap<UserId, Vec<Option<(String, Used)>>>,
}

impl Memory {
    fn put(&mut self, entry: &Entry) {
        let &Entry { seq, time, room, .. } = entry;
        match (&entry.event, room) {
            (Event::Said { from, key, text, share }, Some(room)) => {
                if let RoomId::Channel(channel) = room {
                    self.newest.insert(channel, seq);
                }
                if let RoomId::Inbox(owner) = room {
                    self.inboxes.entry(owner).or_default().push((seq, text.len() as u64));
                    let near = share.and_then(|share| share.near).map(Sharer::Near);
                    for sharer in share.map(|_| Sharer::User(from.id)).into_iter().chain(near) {
                        *self.shares.entry(owner).or_default().entry(sharer).or_default() += 1;
                    }
                }
                if let Some(key) = key {
                    let used = Used { seq, time, content: content(room, text) };
                    self.keys.entry(from.id).or_default().push(Some((key.to_string(), used)));
                }
            }
            (Event::Unheard { from, key: Some(key), text }, Some(room)) => {
                let used = Used { seq, time, content: content(room, text) };
                self.keys.entry(from.id).or_default().push(Some((key.to_string(), used)));
            }
            (Event::Retracted { seq, .. }, Some(RoomId::Inbox(owner))) => {
                let messages = self.inboxes.entry(owner).or_default();
                messages.iter_mut().filter(|(message, _)| message == seq).for_each(|(_, bytes)| *bytes = 0);
            }
            (Event::Acked { by, upto }, _) => {
                self.marks.insert(*by, *upto);
                self.shares.remove(by);
            }
            (Event::Registered { who, .. }, _) => {
                if let Some(keys) = self.keys.get_mut(&who.id) {
                    keys.resize(keys.len() + KEYS_REMEMBERED - KEYS_REMEMBERED_GUEST, None);
                }
            }
            _ => {}
        }
    }

    /// What an inbox holds.
    pub fn holds(&self, owner: UserId) -> Inbox {
        let messages = self.inboxes.get(&owner).map_or(&[][..], Vec::as_slice);
        let read = self.marks.get(&owner).copied().unwrap_or_default();
        let read_count = messages.partition_point(|(seq, _)| *seq <= read);
        let newest = messages.last().copied().unwrap_or_default().0;
        let unread_bytes = messages[read_count..].iter().map(|(_, bytes)| bytes).sum();
        Inbox { count: messages.len() as u64, newest, read_count: read_count as u64, read, unread_bytes }
    }
}

impl Archive for Memory {
    type Error = Infallible;

    fn inbox(&mut self, owner: UserId) -> Result<Inbox, Infallible> {
        Ok(self.holds(owner))
    }

    fn newest_in(&mut self, channel: Seq) -> Result<Seq, Infallible> {
        Ok(self.newest.get(&channel).copied().unwrap_or_default())
    }

    fn newest_until(&mut self, owner: UserId, seq: Seq) -> Result<Seq, Infallible> {
        let messages = self.inboxes.get(&owner).map_or(&[][..], Vec::as_slice);
        let until = messages.partition_point(|(message, _)| *message <= seq);
        Ok(messages[..until].last().copied().unwrap_or_default().0)
    }

    fn share(&mut self, owner: UserId, sharer: Sharer) -> Result<u64, Infallible> {
        Ok(self.shares.get(&owner).and_then(|shares| shares.get(&sharer)).copied().unwrap_or_default())
    }

    fn used(&mut self, sender: UserId, key: &str, window: usize) -> Result<Option<Used>, Infallible> {
        let used = self.keys.get(&sender).map_or(&[][..], Vec::as_slice);
        let mut last = used.iter().rev().take(window).flatten();
        Ok(last.find(|(other, _)| other == key).map(|(_, used)| *used))
    }
}

/// The newest entry of each compaction key.
#[derive(Debug, Clone, Default)]
pub struct Held(BTreeMap<String, Entry>);

impl Held {
    fn put(&mut self, entry: &Entry) {
        let Compaction { hold, free } = entry.event.compaction(entry.room.and_then(RoomId::channel));
        if let Some(free) = free {
            let below = format!("{free}/");
            self.0.retain(|key, _| *key != free && !key.starts_with(&below));
        }
        if let Some(key) = hold {
            self.0.insert(key, entry.clone());
        }
    }

    /// The state that these entries make. `newest` is the seq of the newest entry that there was.
    fn load(&self, newest: Seq, forgets_ids: bool) -> State {
        let mut entries: Vec<_> = self.0.values().collect();
        entries.sort_by_key(|entry| entry.seq);
        let mut state = State::default();
        entries.into_iter().for_each(|entry| state.apply(entry));
        state.resume(newest, forgets_ids);
        state
    }
}

/// What an answer says, as words; and the number that may be new in it.
pub fn words(answer: &Answer) -> (String, u64) {
    match answer {
        Answer::Done => ("done".into(), 0),
        Answer::Who(who) => (who.to_string(), who.id.0),
        Answer::LoggedIn(who, unread) => (format!("{who} {unread}"), 0),
        Answer::Channel(name) => (format!("#{name}"), 0),
        Answer::About(name, what) => (format!("#{name} {what}"), 0),
        Answer::Joined(name, members) => (format!("#{name} {members}"), 0),
        Answer::Said { seq, time, dup: true } => (format!("{seq} {} dup", time.0), seq.0),
        Answer::Said { seq, time, dup: false } => (format!("{seq} {}", time.0), seq.0),
        Answer::SaidAway { seq, time, absence: it } => {
            (format!("{seq} {} away {} {} {}", time.0, it.who, it.since.0, it.text), seq.0)
        }
        Answer::Acked(seq) => (seq.to_string(), 0),
        Answer::AckedIn(name, seq) => (format!("#{name} {seq}"), 0),
        Answer::Text(text) => (text.to_string(), 0),
    }
}

/// The outcome of a proposal: its answer and what happened, or why it was refused.
pub type Came = Result<(Answer, Vec<Entry>), Refusal>;

/// To register gains nothing in a channel that is slow.
#[test]
fn whoever_registers_has_spoken_when_the_guest_had() {
    use linechat::code::Code;
    use linechat::event::proposal::Key;
    use linechat::event::{NodeId, Origin, Recipient, Request, SessionId, Setting};
    use linechat::names::Name;

    let (mut order, rust) = (Order::default(), Name::new("rust"));
    let mut take = |number, time, request| {
        let origin = Origin { session: SessionId { node: NodeId(0), number }, tag: 0 };
        let came = order.take(&Proposal { origin, request }, Time(time), Storage::Free);
        assert_eq!(order.held.load(order.state.seq(), false).digest(), order.state.digest(), "it is loaded as it is");
        came.map(drop).map_err(|refusal| refusal.code)
    };
    let says = || Request::Say { to: Recipient::Channel("rust".into()), key: None, text: "hi".into() };
    for (number, request) in [(1, Request::Create(rust.clone(), None)), (2, Request::Join(rust.clone(), Key::Missing))] {
        assert_eq!(take(number, 0, Request::Come { address: None }), Ok(()));
        assert_eq!(take(number, 0, request), Ok(()));
    }
    assert_eq!(take(1, 0, Request::Set(rust, Setting::Slow(30))), Ok(()));
    assert_eq!(take(2, 40_000, says()), Ok(()));
    assert_eq!(take(2, 41_000, Request::Register(Name::new("bob"), "$hash$1".into(), None)), Ok(()));
    assert_eq!(take(2, 69_999, says()), Err(Code::RateLimited));
    assert_eq!(take(2, 70_000, says()), Ok(()), "nor does it lose anything");
}

/// See the module.
#[derive(Default)]
pub struct Order {
    /// The state after all decisions so far.
    pub state: State,
    /// What was stored.
    pub memory: Memory,
    /// The bounds.
    pub limits: Limits,
    /// The compaction keys of a store that keeps presence.
    pub held: Held,
    /// The compaction keys of a store that does not.
    pub lasting: Held,
    /// How many lines the last decision came to for members of channels.
    pub told: u64,
}

impl Order {
    /// The same order, loaded from a store that keeps presence.
    pub fn reopened(&self) -> Self {
        Self { state: self.held.load(self.state.seq(), false), ..self.with_the_same_past() }
    }

    /// The same order after everybody has gone, loaded from the durable entries.
    pub fn restarted(&self) -> Self {
        Self { state: self.lasting.load(self.state.seq(), true), ..self.with_the_same_past() }
    }

    fn with_the_same_past(&self) -> Self {
        Self { memory: self.memory.clone(), limits: self.limits.clone(), ..Self::default() }
    }

    /// Decides a proposal, and applies and keeps what happens, as a replica does.
    ///
    /// # Errors
    /// The refusal.
    pub fn take(&mut self, proposal: &Proposal, time: Time, storage: Storage) -> Came {
        let Self { state, memory, limits, held, lasting, told } = self;
        *told = 0;
        let Ok(decision) = decide(state, proposal, Context { time, limits, storage }, memory);
        match decision {
            Decision::Refused(refusal) => Err(refusal),
            Decision::Accepted(events, answer) => {
                let via = state.connection(proposal.via());
                let mut entries = Vec::with_capacity(events.len());
                for (room, event) in events {
                    let entry = Entry { seq: Seq(state.seq().0 + 1), time, room, via, event };
                    memory.put(&entry);
                    held.put(&entry);
                    if entry.event.lasts() {
                        lasting.put(&entry);
                    }
                    state.apply(&entry);
                    *told += if entry.event.is_shown() { state.told_in(room) } else { 0 };
                    entries.push(entry);
                }
                Ok((answer, entries))
            }
        }
    }
}
