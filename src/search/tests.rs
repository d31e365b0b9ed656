//! The index against a plain list of messages: whatever is said, retracted and forgotten, both find the same.
//!
//! It must never pass because both find nothing.

use proptest::prelude::{Strategy, any, prop_assert_eq, prop_oneof, proptest};

use crate::event::{Entry, Event, RoomId, Time};
use crate::names::{Name, Seq, UserId, Who};
use crate::search::{Direction, Filter, Index, Place};
use crate::store::Stretch;

const WORDS: [&str; 6] = ["tea", "Tea", "t\u{e9}a", "milk", "c5", "u1"];

#[derive(Debug, Clone)]
enum Step {
    Say {
        room: RoomId,
        from: u64,
        words: Vec<usize>,
        is_heard: bool,
        later: i64,
    },
    Retract(usize),
    /// Everything of a room below the entry with this index, or all.
    Forget(RoomId, Option<usize>),
}

fn room() -> impl Strategy<Value = RoomId> {
    prop_oneof![(1u64..4).prop_map(|id| RoomId::Inbox(UserId(id))), (5u64..7).prop_map(|seq| RoomId::Channel(Seq(seq)))]
}

fn step() -> impl Strategy<Value = Step> {
    let words = proptest::collection::vec(0..WORDS.len(), 1..5);
    let say = (room(), 1u64..4, words, any::<u8>(), -5i64..20);
    prop_oneof![
        8 => say.prop_map(|(room, from, words, heard, later)| Step::Say { room, from, words, is_heard: heard % 4 > 0, later }),
        2 => any::<usize>().prop_map(Step::Retract),
        1 => (room(), proptest::option::of(any::<usize>())).prop_map(|(room, below)| Step::Forget(room, below)),
    ]
}

/// A message, as the list has it.
#[derive(Debug, Clone)]
struct Said {
    seq: Seq,
    room: RoomId,
    from: UserId,
    time: i64,
    words: Vec<String>,
    is_heard: bool,
    is_gone: bool,
}

fn plain(word: &str) -> String {
    word.to_lowercase().replace('\u{e9}', "e")
}

impl Said {
    fn is_in(&self, place: Place) -> bool {
        match (place, self.room) {
            (Place::Channel(channel), room) => room == RoomId::Channel(channel),
            (Place::Inbox(owner), room) => room == RoomId::Inbox(owner) && self.is_heard,
            (Place::SentBy(sender), RoomId::Inbox(_)) => self.from == sender,
            (Place::Between(me, other), RoomId::Inbox(owner)) => {
                (owner, self.from) == (other, me) || (owner, self.from) == (me, other) && (self.is_heard || me == other)
            }
            (Place::SentBy(_) | Place::Between(..), RoomId::Channel(_)) => false,
        }
    }

    fn fits(&self, filter: &Filter) -> bool {
        let has = |phrase: &String| {
            let wanted: Vec<_> = phrase.split(' ').map(plain).collect();
            self.words.windows(wanted.len()).any(|words| words.iter().map(|word| plain(word)).eq(wanted.iter().cloned()))
        };
        !self.is_gone
            && filter.places.iter().any(|place| self.is_in(*place))
            && (filter.from.is_empty() || filter.from.contains(&self.from))
            && !filter.without.contains(&self.from)
            && filter.phrases.iter().all(has)
            && self.seq > filter.after
            && filter.before.is_none_or(|before| self.seq < before)
    }
}

fn taken(index: &mut Index, seq: u64, time: i64, room: RoomId, event: Event) {
    let entry = Entry { seq: Seq(seq), time: Time(time), room: Some(room), via: None, event };
    index.take(&Stretch { entries: vec![entry], upto: Seq(seq), newest: Seq(seq) }).expect("memory is there");
}

fn play(index: &mut Index, steps: Vec<Step>) -> Vec<Said> {
    let (mut list, mut time, mut seq): (Vec<Said>, i64, u64) = (Vec::new(), 0, 100);
    for step in steps {
        seq += 2;
        match step {
            Step::Say { room, from, words, is_heard, later } => {
                time += later;
                let words: Vec<_> = words.into_iter().map(|word| WORDS[word].to_owned()).collect();
                let (text, who) = (words.join(" - ").into(), Who { name: Name::new("x"), id: UserId(from) });
                let is_heard = is_heard || room.channel().is_some();
                let event = match is_heard {
                    true => Event::Said { from: who, key: None, text, share: None },
                    false => Event::Unheard { from: who, key: None, text },
                };
                taken(index, seq, time, room, event);
                list.push(Said { seq: Seq(seq), room, from: UserId(from), time, words, is_heard, is_gone: false });
            }
            Step::Retract(at) if !list.is_empty() => {
                let at = at % list.len();
                list[at].is_gone = true;
                let who = Who { name: Name::new("x"), id: UserId(1) };
                taken(index, seq, time, list[at].room, Event::Retracted { who, seq: list[at].seq, shown: true, bytes: None });
            }
            Step::Retract(_) => {}
            Step::Forget(room, below) => {
                let floor = below.filter(|_| !list.is_empty()).map(|at| list[at % list.len()].seq);
                while !index.forget(room, floor, 2).expect("memory is there") {}
                list.retain(|said| said.room != room || floor.is_some_and(|floor| said.seq >= floor));
            }
        }
    }
    list
}

proptest! {
    #[test]
    fn the_index_finds_what_a_list_finds(
        steps in proptest::collection::vec(step(), 1..60),
        words in proptest::collection::vec(0..WORDS.len(), 0..3),
        is_phrase in any::<bool>(),
        from in proptest::collection::vec(1u64..4, 0..2),
        without in proptest::collection::vec(1u64..4, 0..2),
        (after, before) in (0u64..200, proptest::option::of(0u64..300)),
    ) {
        let mut index = Index::open(None).expect("memory is there");
        let list = play(&mut index, steps);
        let words: Vec<_> = words.into_iter().map(|word| WORDS[word].to_owned()).collect();
        let phrases = if is_phrase && !words.is_empty() { vec![words.join(" ")] } else { words };
        let ids = |ids: Vec<u64>| ids.into_iter().map(UserId).collect::<Vec<_>>();
        let rest = Filter { from: ids(from), without: ids(without), phrases, ..Filter::default() };
        for places in [
            vec![Place::Channel(Seq(5))],
            vec![Place::Between(UserId(1), UserId(2))],
            vec![Place::Between(UserId(2), UserId(1))],
            vec![Place::Between(UserId(3), UserId(3))],
            vec![Place::Inbox(UserId(2)), Place::SentBy(UserId(2)), Place::Channel(Seq(6))],
        ] {
            let filter = Filter { places, after: Seq(after), before: before.map(Seq), ..rest.clone() };
            let expected: Vec<_> = list.iter().filter(|said| said.fits(&filter)).map(|said| said.seq).collect();
            prop_assert_eq!(&index.find(&filter, Direction::Forward, 1000).expect("memory is there"), &expected);
            let newest: Vec<_> = expected.iter().rev().take(3).copied().collect();
            prop_assert_eq!(index.find(&filter, Direction::Backward, 3).expect("memory is there"), newest);
        }
        let uncounted = list.iter().filter(|said| said.room == RoomId::Channel(Seq(5)) && said.seq > Seq(after));
        let uncounted = uncounted.filter(|said| said.is_gone || said.from == UserId(1)).count() as u64;
        prop_assert_eq!(index.uncounted(Seq(5), &[UserId(1)], Seq(after), Seq(1 << 40)).expect("memory is there"), uncounted);
    }

    /// A time stands for the first message that is as new, also where the clock goes back.
    #[test]
    fn a_time_stands_for_one_place(steps in proptest::collection::vec(step(), 1..60), time in -50i64..300) {
        let mut index = Index::open(None).expect("memory is there");
        let steps = steps.into_iter().filter(|step| matches!(step, Step::Say { .. })).collect();
        let list = play(&mut index, steps);
        let begins = index.begins(Time(time)).expect("memory is there");
        let first = list.iter().find(|said| said.time >= time).map(|said| said.seq);
        let after: Vec<_> = list.iter().filter(|said| said.seq >= begins).map(|said| said.seq).next().into_iter().collect();
        prop_assert_eq!(after, first.into_iter().collect::<Vec<_>>());
        let filter = Filter { places: vec![Place::Channel(Seq(5))], since: Some(Time(time)), ..Filter::default() };
        let since = list.iter().filter(|said| said.room == RoomId::Channel(Seq(5)) && first.is_some_and(|first| said.seq >= first));
        let found = index.find(&filter, Direction::Forward, 1000).expect("memory is there");
        prop_assert_eq!(found, since.map(|said| said.seq).collect::<Vec<_>>());
    }
}
