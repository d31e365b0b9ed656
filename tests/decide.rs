//! `decide` alone, without a store and a network: random people, held against a model that was written from PROTOCOL.md.
//!
//! `LINECHAT_CASES` says how many cases there are; each is a hundred proposals.

#[path = "decide/access.rs"]
mod access;
#[path = "decide/announcing.rs"]
mod announcing;
#[path = "decide/facts.rs"]
mod facts;
#[path = "decide/governing.rs"]
mod governing;
#[path = "decide/happens.rs"]
mod happens;
#[path = "decide/ignoring.rs"]
mod ignoring;
#[path = "decide/model.rs"]
mod model;
#[path = "decide/order.rs"]
mod order;
#[path = "decide/presence.rs"]
mod presence;
#[path = "support/proposals.rs"]
mod proposals;
#[path = "decide/reading.rs"]
mod reading;

use std::fmt::Write;

use linechat::event::{Answer, Entry, Event, Mark, NodeId, Origin, Proposal, Request, RoomId, SessionId, Time, To};
use linechat::limits::Limits;
use linechat::names::{Name, Seq, UserId};
use linechat::state::Storage;
use proptest::prelude::{any, prop};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use happens::{Line, ends_many, same_lines};
use model::{Model, Verdict};
use order::{Came, Order, words};
use proposals::{Draw, People};

const CASES: u32 = 10_000;
const PROPOSALS: usize = 100;
/// Milliseconds between two proposals, so that a few seconds pass.
const STEP: i64 = 250;

/// Small enough that they are reached. Of three messages in an inbox, each is somebody's share, and of twelve all but the first.
fn limits(announce_members: u64, announce_after_seconds: u64, inbox: u64) -> Limits {
    Limits {
        channels: 4,
        channels_per_user: 3,
        channels_per_address: 2,
        members: 3,
        inbox,
        inbox_bytes: 6 * inbox,
        inbox_per_sender: 2,
        inbox_per_address: 2 + inbox / 10,
        ignored: 2,
        accounts: 3,
        announce_members,
        announce_after_seconds,
        ..Limits::default()
    }
}

/// The order, the model, and the people who propose.
struct Bench {
    order: Order,
    model: Model,
    people: People,
    /// Whether the disk is full now and then.
    may_fill: bool,
    /// What was proposed and came of it, for whoever reads a failure.
    told: Vec<(Proposal, Storage, Came)>,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let order = Order { limits: limits.clone(), ..Order::default() };
        let model = Model { limits, ..Model::default() };
        Self { order, model, people: People::default(), may_fill: false, told: Vec::new() }
    }

    fn step(&mut self, draw: Draw, at: usize) -> Result<(), String> {
        let time = Time(1 + STEP * at as i64);
        self.model.now = time;
        let storage = match draw[5] {
            232..246 if self.may_fill => Storage::Marks,
            246.. if self.may_fill => Storage::Nothing,
            _ => Storage::Free,
        };
        let proposal = self.people.propose(draw, &self.order.state);
        let verdict = self.model.judged(&proposal, storage);
        let before = self.order.state.seq();
        let digest = (draw[5] % 32 == 7).then(|| self.order.state.digest());
        let came = self.order.take(&proposal, time, storage);
        self.told.push((proposal.clone(), storage, came.clone()));
        match came {
            Err(refusal) => {
                let code = refusal.code.word();
                if digest.is_some_and(|digest| digest != self.order.state.digest()) || before != self.order.state.seq() {
                    return Err("a refusal changed something".into());
                }
                if verdict.codes.contains(&code) || verdict.codes.contains(&"*") {
                    return Ok(());
                }
                Err(format!("it was refused with {code}, but {verdict:?}"))
            }
            Ok((answer, entries)) => self.accepted(&proposal, (before, time), &verdict, &answer, &entries),
        }
    }

    fn accepted(
        &mut self,
        proposal: &Proposal,
        (before, time): (Seq, Time),
        verdict: &Verdict,
        answer: &Answer,
        entries: &[Entry],
    ) -> Result<(), String> {
        let Some(expected) = &verdict.answer else { return Err(format!("it was accepted, but {verdict:?}")) };
        let (words, number) = words(answer);
        if words != expected.replace('?', &number.to_string()).replace("now", &time.0.to_string()) {
            return Err(format!("it was answered {words}, but {verdict:?}"));
        }
        if entries.iter().zip(1..).any(|(entry, more)| entry.seq.0 != before.0 + more || entry.time != time) {
            return Err(format!("the entries after {before} are not one after another"));
        }
        let is_new = expected.contains('?');
        let is_known = match answer {
            Answer::Who(_) => self.model.ids.iter().any(|id| id.0 >= number),
            _ => number <= before.0,
        };
        if is_new && is_known {
            return Err(format!("{number} is not new"));
        }
        let created = entries.iter().find(|entry| matches!(entry.event, Event::Created { .. }));
        let expected = self.model.happens(proposal, time, created.map_or(number, |entry| entry.seq.0));
        let shown: Vec<_> = entries.iter().filter_map(|entry| self.line(entry)).collect();
        if ends_many(&proposal.request) {
            self.many_went(&shown, &expected)?;
        } else {
            same_lines(&shown, &expected)?;
        }
        if entries.iter().all(|entry| matches!(entry.event, Event::Said { .. } | Event::Acked { .. })) {
            facts::inboxes_agree(&self.order.memory, &self.model, self.told.len())
        } else {
            facts::agree(&self.order, &mut self.model, self.told.len())
        }
    }

    /// The line of an entry, without its first word and its time.
    fn line(&self, entry: &Entry) -> Option<(RoomId, String)> {
        let room = entry.room.filter(|_| entry.event.is_shown())?;
        let (state, mut line) = (&self.order.state, Vec::new());
        let (whose, name);
        let to = match room {
            RoomId::Inbox(owner) => {
                whose = state.user(owner)?;
                To::User(&whose)
            }
            RoomId::Channel(channel) => {
                name = state.channel_name(channel).cloned().or_else(|| self.closed(channel))?;
                To::Channel(&name)
            }
        };
        entry.event.write_line(&mut line, Mark::Event, entry.seq, Time(0), to);
        let line = String::from_utf8(line).expect("a line is text");
        let line = line.trim_start_matches("* ").trim_end_matches('\n').replacen(" 1970-01-01T00:00:00.000Z", "", 1);
        Some((room, line))
    }

    /// The name of a channel that this proposal has closed.
    fn closed(&self, channel: Seq) -> Option<Name> {
        let mut all = self.told.iter().filter_map(|(.., came)| came.as_ref().ok()).flat_map(|(_, entries)| entries);
        all.find_map(|entry| match &entry.event {
            Event::Created { channel: name, .. } if entry.seq == channel => Some(name.clone()),
            _ => None,
        })
    }

    /// A node has ended: all who left are told of, and of each channel that has passed on, whose it is in the end.
    fn many_went(&self, shown: &[(RoomId, String)], expected: &[Line]) -> Result<(), String> {
        let mut left: Vec<_> = shown.iter().filter(|(_, line)| line.starts_with("LEAVE ")).cloned().collect();
        let leave = expected.iter().filter(|line| line.must).map(|line| (line.room, line.text.clone()));
        let mut leave: Vec<_> = leave.collect();
        left.sort();
        leave.sort();
        if self.model.limits.announce_members > self.model.limits.members && left != leave {
            return Err(format!("the members were told {left:?} instead of {leave:?}"));
        }
        for channel in self.model.channels.iter().filter(|channel| channel.owner.is_some()) {
            let room = RoomId::Channel(channel.id);
            let told = shown.iter().rfind(|(of, line)| *of == room && line.starts_with("OWNER "));
            let truth = expected.iter().rfind(|line| line.room == room && line.text.starts_with("OWNER "));
            if told.map(|(_, line)| line) != truth.map(|line| &line.text) {
                return Err(format!("the members were told {told:?} instead of {truth:?}"));
            }
        }
        Ok(())
    }

    /// What some more proposals do is taken back.
    fn takes_back(&mut self, draws: &[Draw]) -> Result<(), String> {
        self.order.state.commit();
        let (digest, people) = (self.order.state.digest(), self.people.clone());
        let (memory, held, lasting) = (self.order.memory.clone(), self.order.held.clone(), self.order.lasting.clone());
        for draw in draws {
            let proposal = self.people.propose(*draw, &self.order.state);
            drop(self.order.take(&proposal, Time(7), Storage::Free));
        }
        self.order.state.rollback();
        self.people = people;
        (self.order.memory, self.order.held, self.order.lasting) = (memory, held, lasting);
        if self.order.state.digest() == digest { Ok(()) } else { Err("the state is not what it was".into()) }
    }

    fn everything_agrees(&mut self) -> Result<(), String> {
        (0..facts::TURNS).try_for_each(|turn| facts::agree(&self.order, &mut self.model, turn))
    }

    /// After a restart nobody is connected, and the rest is as if everybody had gone.
    fn restarts(&mut self) -> Result<(), String> {
        self.order = self.order.restarted();
        let seen = self.model.seen.clone();
        // Nor is it known any more from where channels were created.
        self.model.channels.iter_mut().for_each(|channel| (channel.empty_since, channel.address) = (None, None));
        for node in [NodeId(0), NodeId(1)] {
            let proposal = Proposal::of_node(node, Request::EndNode(node, 0));
            let came = self.order.take(&proposal, Time(1_000), Storage::Free);
            self.told.push((proposal.clone(), Storage::Free, came));
            self.model.happens(&proposal, Time(1_000), 0);
        }
        // Nobody has seen them go.
        self.model.seen = seen;
        self.everything_agrees().map_err(|why| format!("after a restart: {why}"))
    }

    fn run(&mut self, draws: &[Draw]) -> Result<(), String> {
        let (first, second) = draws.first().zip(draws.last()).map_or((0, 0), |(first, last)| (first[4], last[4]));
        self.may_fill = first % 2 == 1;
        for (at, draw) in draws.iter().enumerate() {
            if at == usize::from(first) % PROPOSALS || at == usize::from(second) % PROPOSALS {
                self.takes_back(&draws[at..draws.len().min(at + 1 + usize::from(draw[4] % 16))])?;
            }
            self.step(*draw, at)?;
        }
        self.everything_agrees()?;
        if self.order.reopened().state.digest() != self.order.state.digest() {
            return Err("the entries that hold compaction keys make another state".into());
        }
        // What could not be stored has not lasted.
        if self.may_fill { Ok(()) } else { self.restarts() }
    }

    fn story(&self, why: &str) -> String {
        let mut story = format!("{why}\n");
        for (proposal, storage, came) in &self.told {
            let _ = writeln!(story, "{:?} {:?} {storage:?}\n    {came:?}", proposal.origin.session, proposal.request);
        }
        story
    }
}

fn cases(announce_members: u64, announce_after_seconds: u64, inbox: u64, cases: u32) {
    let draws = prop::collection::vec(any::<Draw>(), 1..2 * PROPOSALS);
    let config = Config { cases, max_shrink_iters: 50_000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let checked = runner.run(&draws, |draws| {
        let mut bench = Bench::new(limits(announce_members, announce_after_seconds, inbox));
        bench.run(&draws).map_err(|why| TestCaseError::fail(bench.story(&why)))
    });
    match checked {
        Ok(()) => {}
        Err(TestError::Fail(why, draws)) => panic!("{why}\nmade of {draws:?}"),
        Err(other) => panic!("{other}"),
    }
}

fn how_many() -> u32 {
    std::env::var("LINECHAT_CASES").ok().map_or(CASES, |cases| cases.parse().expect("LINECHAT_CASES is a number"))
}

#[test]
fn what_is_decided_is_what_the_protocol_says() {
    cases(100, 1, 3, how_many() / 2);
}

#[test]
fn and_so_it_is_where_large_channels_hear_of_nobody() {
    cases(2, 0, 12, how_many() / 2);
}

#[test]
fn the_last_keys_are_remembered() {
    use linechat::event::Recipient;
    use linechat::limits::{KEYS_REMEMBERED, KEYS_REMEMBERED_GUEST, NONE};
    let mut order = Order { limits: Limits { inbox: NONE, ..Limits::default() }, ..Order::default() };
    let session = SessionId { node: NodeId(0), number: 1 };
    let mut take = |request| {
        let proposal = Proposal { origin: Origin { session, tag: 0 }, request };
        order.take(&proposal, Time(1), Storage::Free).map(|(answer, _)| words(&answer).0)
    };
    let me = take(Request::Come { address: None }).expect("anybody may come");
    assert_eq!(me, "guest-1000:1000");
    let say = |key: usize, text: &str| Request::Say {
        to: Recipient::Id(UserId(1000)),
        key: Some(format!("k{key}").into()),
        text: text.into(),
    };
    for (window, from) in [(KEYS_REMEMBERED_GUEST, 0), (KEYS_REMEMBERED, 1_000)] {
        let first = take(say(from, "a")).expect("it is stored");
        for key in from + 1..from + window {
            take(say(key, "a")).expect("it is stored");
        }
        assert_eq!(take(say(from, "a")), Ok(format!("{first} dup")));
        assert_eq!(take(say(from, "b")).expect_err("it is another text").code.word(), "KEY_REUSED");
        take(say(from + window, "a")).expect("it is stored");
        assert!(!take(say(from, "b")).expect("the key is forgotten").ends_with("dup"));
        // An account has more of them.
        drop(take(Request::Register(Name::new("ana"), "$hash$1".into(), None)));
    }
}

/// A store of an older server may hold accounts whose names would not be given to both today, or to anybody.
#[test]
fn names_from_before_the_rules_keep_working() {
    use linechat::names::Who;
    let mut order = Order::default();
    let older = ["paul", "pauI", "root", "B0B", "Bob"];
    for (name, id) in older.iter().zip(10..) {
        let who = Who { name: Name::new(name), id: UserId(id) };
        let seq = Seq(order.state.seq().0 + 1);
        let event = Event::Registered { who, password: format!("$hash${id}").into() };
        order.state.apply(&Entry { seq, time: Time(1), room: None, via: None, event });
    }
    order.state.commit();
    let mut take = |number: u64, request| {
        let origin = Origin { session: SessionId { node: NodeId(0), number }, tag: 0 };
        let came = order.take(&Proposal { origin, request }, Time(2), Storage::Free);
        came.map(|(answer, _)| words(&answer).0).map_err(|refusal| refusal.code.word())
    };
    for (number, name) in (1..).zip(older) {
        take(number, Request::Come { address: None }).expect("anybody may come");
        let hash = format!("$hash${}", number + 9);
        assert_eq!(take(number, Request::LogIn(Name::new(name), hash.into())), Ok(format!("{name}:{} 0", number + 9)));
    }
    take(9, Request::Come { address: None }).expect("anybody may come");
    for name in ["paul", "PAUI", "bob", "b0b"] {
        assert_eq!(take(9, Request::Name(Name::new(name))), Err("NAME_TAKEN"), "{name}");
    }
    assert_eq!(take(9, Request::Name(Name::new("Root"))), Err("BAD_NAME"));
}

/// What was read long ago may be damaged by now; whoever marks it again does not stumble over that.
#[test]
fn what_is_marked_already_is_not_looked_up_again() {
    use linechat::state::archive::Sharer;
    use linechat::state::{Archive, Context, Decision, Inbox, Used, decide};
    struct Damaged;
    impl Archive for Damaged {
        type Error = &'static str;
        fn inbox(&mut self, _: UserId) -> Result<Inbox, Self::Error> {
            Ok(Inbox { count: 3, newest: Seq(9), read_count: 2, read: Seq(5), unread_bytes: 1 })
        }
        fn newest_in(&mut self, _: Seq) -> Result<Seq, Self::Error> {
            Err("damaged")
        }
        fn newest_until(&mut self, _: UserId, _: Seq) -> Result<Seq, Self::Error> {
            Err("damaged")
        }
        fn share(&mut self, _: UserId, _: Sharer) -> Result<u64, Self::Error> {
            Ok(0)
        }
        fn used(&mut self, _: UserId, _: &str, _: usize) -> Result<Option<Used>, Self::Error> {
            Err("damaged")
        }
    }
    let mut order = Order::default();
    let origin = Origin { session: SessionId { node: NodeId(0), number: 1 }, tag: 0 };
    order
        .take(&Proposal { origin, request: Request::Come { address: None } }, Time(1), Storage::Free)
        .expect("anybody may come");
    let context = Context { time: Time(2), limits: &Limits::default(), storage: Storage::Free };
    let ack = |seq| decide(&order.state, &Proposal { origin, request: Request::Ack(Seq(seq)) }, context, &mut Damaged);
    for seq in [0, 4, 5] {
        assert_eq!(ack(seq), Ok(Decision::Accepted(Default::default(), Answer::Acked(Seq(5)))));
    }
    assert_eq!(ack(6), Err("damaged"));
}
