//! Races: at the same moment two people want something that only one can have. One gets it, the other is told so, and everybody
//! sees the same.

mod support;

use std::thread;

use support::client::Client;
use support::race::{
    PASSWORD, ROUNDS, account, at_once, events, lines_until, login, members_and_owner, rounds, seq, shown, unpaced, whoami,
    winner, winners,
};
use support::server::Server;

#[test]
fn of_two_channels_that_look_alike_one_is_created() {
    let server = unpaced(&[]);
    let gather = |_| [server.connect(), server.connect()];
    rounds(gather, |people, number| {
        let names = [format!("#paul{number}"), format!("#pau1{number}")];
        // Some with a key, which is hashed between the question and the creation.
        let key = if number % 10 < 2 { " up-the-ladder" } else { "" };
        let lines = names.each_ref().map(|name| format!("CREATE {name}{key}"));
        let answers = at_once(number, people.each_mut(), lines);
        let first = winner(&answers, "CREATE", "CHANNEL_EXISTS");
        let other = 1 - first;
        people[first].ok(&format!("CLOSE {}", names[first]));
        people[other].ok(&format!("CREATE {}", names[other]));
        people[first].err(&format!("CREATE {}", names[first]), "CHANNEL_EXISTS");
        people[other].ok(&format!("CLOSE {}", names[other]));
    });
}

/// Two people join an orphaned channel; the first `accounts` of them have accounts.
fn an_orphan_is_taken_in_by_one_of_two(accounts: usize) {
    let server = unpaced(&[]);
    let person = |thread: usize, place: usize| {
        if place < accounts { account(&server, &format!("ana{thread}-{place}")) } else { server.connect() }
    };
    let gather = |thread| (server.connect(), [person(thread, 0), person(thread, 1)]);
    rounds(gather, |(founder, people), number| {
        let attic = format!("#attic{number}");
        founder.ok(&format!("CREATE {attic}"));
        founder.ok(&format!("LEAVE {attic}"));
        let (join, topic) = (format!("JOIN {attic}"), format!("TOPIC {attic} mine"));
        let answers = at_once(number, people.each_mut(), [(); 2].map(|()| format!("{join}\n{topic}")));
        let mut told = answers.each_ref().map(|answer| answer.strip_prefix(&format!("OK {join} ")).expect(answer));
        let first = usize::from(told[1] == "1");
        told.sort_unstable();
        assert_eq!(told, ["1", "2"], "one is the first and the other is not");
        let topics = people.each_mut().map(|person| person.answer().pop().expect("an answer"));
        assert_eq!(winner(&topics, "TOPIC", "NOT_ALLOWED"), first, "the first owns it at once, and the other never did");
        let [owner, other] = [first, 1 - first].map(|place| whoami(&mut people[place]));
        let own = |members: usize| format!("{members} {owner}");
        for person in people.iter_mut() {
            assert_eq!(members_and_owner(person, &attic), own(2));
        }
        people[1 - first].err(&topic, "NOT_ALLOWED");
        people[first].ok(&topic);
        // They own it as long as they stay, whoever else comes and goes.
        people[1 - first].ok(&format!("LEAVE {attic}"));
        assert_eq!(members_and_owner(founder, &attic), own(1));
        people[1 - first].ok(&join);
        assert_eq!(members_and_owner(founder, &attic), own(2));
        people[first].ok(&format!("LEAVE {attic}"));
        assert_eq!(members_and_owner(founder, &attic), format!("1 {other}"));
        people[1 - first].ok(&format!("CLOSE {attic}"));
    });
}

#[test]
fn of_two_guests_who_join_an_orphan_one_owns_it() {
    an_orphan_is_taken_in_by_one_of_two(0);
}

#[test]
fn of_a_guest_and_an_account_who_join_an_orphan_one_owns_it() {
    an_orphan_is_taken_in_by_one_of_two(1);
}

#[test]
fn of_two_accounts_that_join_an_orphan_one_owns_it() {
    an_orphan_is_taken_in_by_one_of_two(2);
}

/// Ana with two connections, and Bob, who is in each of her channels.
struct Home {
    ana: String,
    connections: [Client; 2],
    bob: Client,
    bob_is: String,
}

impl Home {
    fn new(server: &Server, thread: usize) -> Self {
        let name = format!("ana{thread}");
        let mut connections = [account(server, &name), login(server, &name)];
        let (mut bob, ana) = (server.connect(), whoami(&mut connections[0]));
        let bob_is = whoami(&mut bob);
        Self { ana, connections, bob, bob_is }
    }

    /// Ana creates a channel, Bob joins, and her two connections send one line each about it at the same moment. Returns their
    /// answers, and what Bob is shown.
    fn at_once(&mut self, number: usize, channel: &str, lines: [&str; 2]) -> ([String; 2], Vec<String>) {
        self.connections[number / 2 % 2].ok(&format!("CREATE {channel}"));
        self.bob.ok(&format!("JOIN {channel}"));
        let answers = at_once(number, self.connections.each_mut(), lines.map(str::to_owned));
        (answers, events(&shown(&mut self.bob), channel))
    }

    /// What Bob is shown when Ana leaves the channel to him.
    fn left(&self, channel: &str) -> [String; 2] {
        [format!("LEAVE {channel} {}", self.ana), format!("OWNER {channel} {}", self.bob_is)]
    }
}

#[test]
fn a_topic_is_set_before_its_owner_leaves_or_not_at_all() {
    let server = unpaced(&[]);
    rounds(
        |thread| Home::new(&server, thread),
        |home, number| {
            let den = format!("#den{number}");
            let ([left, set], told) = home.at_once(number, &den, [&format!("LEAVE {den}"), &format!("TOPIC {den} mine")]);
            assert_eq!(left, format!("OK LEAVE {den}"));
            let (mut expected, mut topic) = (home.left(&den).to_vec(), format!("OK TOPIC {den}"));
            if set.starts_with("OK ") {
                expected.insert(0, format!("TOPIC {den} {} mine", home.ana));
                topic += " mine";
            } else {
                assert!(set.starts_with("ERR NOT_MEMBER TOPIC ") || set.starts_with("ERR NOT_ALLOWED TOPIC "), "{set}");
            }
            assert_eq!(told, expected, "after {set}");
            assert_eq!(home.bob.ok(&format!("TOPIC {den}")), topic, "after {set}");
            home.bob.ok(&format!("CLOSE {den}"));
        },
    );
}

#[test]
fn a_channel_is_closed_by_its_owner_or_left_by_them_and_never_both() {
    let server = unpaced(&[]);
    rounds(
        |thread| Home::new(&server, thread),
        |home, number| {
            let den = format!("#den{number}");
            let ([left, closed], told) = home.at_once(number, &den, [&format!("LEAVE {den}"), &format!("CLOSE {den}")]);
            if left.starts_with("OK ") {
                assert!(closed.starts_with("ERR NOT_MEMBER CLOSE "), "{left}, {closed}");
                assert_eq!(told, home.left(&den));
                home.bob.ok(&format!("CLOSE {den}"));
            } else {
                assert!(left.starts_with("ERR NO_SUCH_CHANNEL LEAVE ") && closed.starts_with("OK "), "{left}, {closed}");
                assert_eq!(told, [format!("CLOSE {den} {}", home.ana)]);
                home.bob.err(&format!("JOIN {den}"), "NO_SUCH_CHANNEL");
            }
        },
    );
}

#[test]
fn an_account_leaves_once() {
    let server = unpaced(&[]);
    rounds(
        |thread| Home::new(&server, thread),
        |home, number| {
            let den = format!("#den{number}");
            let leave = format!("LEAVE {den}");
            let (answers, told) = home.at_once(number, &den, [&leave, &leave]);
            winner(&answers, "LEAVE", "NOT_MEMBER");
            assert_eq!(told, home.left(&den));
            home.bob.ok(&format!("CLOSE {den}"));
        },
    );
}

/// People who write while a guest becomes Ana: to the guest, to the guest's channel, to Ana, and to her channel.
struct Visit {
    ana: String,
    porch: String,
    house: String,
    writers: [Client; 4],
}

impl Visit {
    fn new(server: &Server, thread: usize) -> Self {
        let [name, porch, house] = [format!("ana{thread}"), format!("#porch{thread}"), format!("#house{thread}")];
        let mut writers = [(); 4].map(|()| server.connect());
        let mut ana = account(server, &name);
        ana.ok(&format!("CREATE {house}"));
        writers[1].ok(&format!("CREATE {porch}"));
        writers[3].ok(&format!("JOIN {house}"));
        Self { ana: whoami(&mut ana), porch, house, writers }
    }

    /// All four write again and again, until `is_over` and a little longer. Returns the seqs of the messages that were answered
    /// OK.
    fn write(&mut self, number: usize, guest: u64, is_over: impl Fn() -> bool) -> [Vec<u64>; 4] {
        let mut stored = [(); 4].map(|()| Vec::new());
        let (mut time, mut left) = (0, 3);
        while left > 0 {
            left -= usize::from(is_over());
            let key = format!("@r{number}-{time}");
            let targets = [&guest.to_string(), &self.porch, &self.ana, &self.house];
            let lines = targets.map(|target| format!("MSG {key} {target} {time}"));
            let answers = at_once(time, self.writers.each_mut(), lines);
            for (place, answer) in answers.iter().enumerate() {
                if answer.starts_with("OK MSG ") {
                    stored[place].push(seq(answer));
                } else {
                    assert!(place == 0 && answer.starts_with("ERR NO_SUCH_USER MSG "), "{answer}");
                }
            }
            time += 1;
        }
        stored
    }
}

/// The seqs of the messages to `to` that a connection was shown.
fn live(lines: &[String], to: &str) -> Vec<u64> {
    lines.iter().filter(|line| line.starts_with("* MSG ") && line.split(' ').nth(4) == Some(to)).map(|line| seq(line)).collect()
}

#[test]
fn no_message_is_lost_or_shown_twice_while_a_guest_logs_in() {
    let server = unpaced(&[]);
    rounds(
        |thread| Visit::new(&server, thread),
        |visit, number| {
            let mut guest = server.connect();
            let (id, was) = (guest.id(), whoami(&mut guest));
            guest.ok(&format!("JOIN {}", visit.porch));
            let name = visit.ana.split(':').next().expect("a name").to_owned();
            let (mut lines, stored) = thread::scope(|scope| {
                let entering = scope.spawn(|| {
                    guest.send(&format!("LOGIN {name} {PASSWORD}"));
                    lines_until(&mut guest, "OK LOGIN ")
                });
                let stored = visit.write(number, id, || entering.is_finished());
                (entering.join().expect("the guest is let in"), stored)
            });
            let entered = lines.len();
            let unread = lines[entered - 1].strip_prefix(&format!("OK LOGIN {} ", visit.ana)).expect("it is Ana");
            let unread: usize = unread.parse().expect("a number");
            lines.extend(shown(&mut guest));
            let [to_guest, to_porch, to_ana, to_house] = stored;
            assert_eq!(live(&lines, &was), to_guest, "all that the guest was sent, once each");
            assert!(to_porch.starts_with(&live(&lines, &visit.porch)), "what was said there until the guest had gone");
            assert_eq!(live(&lines[entered..], &visit.porch), [0; 0], "and nothing after that");
            assert_eq!(live(&lines, &visit.ana), to_ana[unread..], "what was sent to Ana is counted or shown");
            assert!(to_house.ends_with(&live(&lines, &visit.house)), "what is said there from then on");
            guest.ok("ACK *");
            guest.ok("QUIT");
        },
    );
}

#[test]
fn a_name_is_a_guests_or_an_accounts() {
    let server = unpaced(&[]);
    let gather = |thread| ([server.connect(), server.connect()], format!("away{thread}"));
    rounds(gather, |([ana, bob], away), number| {
        let wanted = [format!("paul{number}"), format!("Paul{number}"), format!("pau1{number}")][number % 3].clone();
        // The password is hashed before the name is requested: until then Ana takes the name and gives it back, again and
        // again.
        let (mut answers, registered) = thread::scope(|scope| {
            let asking = scope.spawn(|| bob.ask(&format!("REGISTER paul{number} {PASSWORD}")).pop().expect("an answer"));
            let mut answers = Vec::new();
            while !asking.is_finished() {
                answers.push(ana.ask(&format!("NAME {wanted}")).pop().expect("an answer"));
                ana.ok(&format!("NAME {away}"));
            }
            (answers, asking.join().expect("there is an answer"))
        });
        answers.push(ana.ask(&format!("NAME {wanted}")).pop().expect("an answer"));
        let last = answers.last().expect("she has asked").clone();
        winner(&[registered.replace(" REGISTER ", " NAME "), last], "NAME", "NAME_TAKEN");
        let given = winners(&answers, "NAME", "NAME_TAKEN");
        assert!(given.iter().enumerate().all(|(count, place)| count == *place), "once it is taken it is taken: {answers:?}");
        if registered.starts_with("OK ") {
            *bob = server.connect();
        } else {
            assert_eq!(given.len(), answers.len(), "Bob has not taken it");
        }
    });
}

#[test]
fn the_last_channel_is_created_by_one() {
    one_creates_the_last("channels=1");
}

#[test]
fn the_last_channel_of_an_address_is_created_by_one() {
    one_creates_the_last("channels-per-address=1");
}

/// Eight create a channel at once, where this limit leaves room for one.
fn one_creates_the_last(limit: &str) {
    let server = unpaced(&[limit]);
    let mut people = [(); 8].map(|()| server.connect());
    for round in 0..ROUNDS {
        let lines = std::array::from_fn(|place| format!("CREATE #room{round}-{place}"));
        let answers = at_once(round, people.each_mut(), lines);
        let place = winner(&answers, "CREATE", "QUOTA");
        assert_eq!(people[(place + 1) % 8].ok("CHANNELS"), "OK CHANNELS 1");
        people[place].ok(&format!("CLOSE #room{round}-{place}"));
    }
}

#[test]
fn the_last_channel_of_a_user_is_joined_by_one_connection() {
    let server = unpaced(&["channels-per-user=1"]);
    let gather = |thread: usize| {
        let rooms = [0, 1].map(|place| format!("#room{thread}-{place}"));
        let owners = rooms.each_ref().map(|room| {
            let mut owner = server.connect();
            owner.ok(&format!("CREATE {room}"));
            owner
        });
        let name = format!("ana{thread}");
        (rooms, owners, [account(&server, &name), login(&server, &name)])
    };
    rounds(gather, |(rooms, owners, connections), number| {
        let answers = at_once(number, connections.each_mut(), rooms.each_ref().map(|room| format!("JOIN {room}")));
        let place = winner(&answers, "JOIN", "QUOTA");
        assert_eq!(owners[place].ok(&format!("LIST {}", rooms[place])), "OK LIST 2");
        assert_eq!(owners[1 - place].ok(&format!("LIST {}", rooms[1 - place])), "OK LIST 1");
        connections[number / 2 % 2].ok(&format!("LEAVE {}", rooms[place]));
    });
}

#[test]
fn as_many_members_join_as_there_is_room_for() {
    for (members, accounts) in [(2, 0), (2, 3), (4, 6)] {
        let server = unpaced(&[&format!("members={members}")]);
        let mut owner = server.connect();
        owner.ok("CREATE #room");
        let person = |place| if place < accounts { account(&server, &format!("ana{place}")) } else { server.connect() };
        let mut people: [Client; 6] = std::array::from_fn(person);
        for round in 0..ROUNDS {
            let answers = at_once(round, people.each_mut(), [(); 6].map(|()| "JOIN #room".to_owned()));
            let joined = winners(&answers, "JOIN", "QUOTA");
            assert_eq!(joined.len(), members - 1, "{answers:?}");
            assert_eq!(owner.ok("LIST #room"), format!("OK LIST {members}"));
            joined.into_iter().for_each(|place| drop(people[place].ok("LEAVE #room")));
        }
    }
}

#[test]
fn as_many_messages_are_stored_as_the_inbox_has_room_for() {
    let server = unpaced(&["inbox=3"]);
    let mut ana = account(&server, "ana");
    let mut people = [(); 8].map(|()| server.connect());
    for round in 0..ROUNDS {
        let lines = std::array::from_fn(|place| format!("MSG @r{round} ana {place}"));
        let answers = at_once(round, people.each_mut(), lines);
        assert_eq!(winners(&answers, "MSG", "INBOX_FULL").len(), 3, "{answers:?}");
        assert_eq!(ana.ok("INBOX"), "OK INBOX 3 0");
        ana.ok("ACK *");
    }
}

#[test]
fn a_channel_that_somebody_joins_while_its_owner_leaves_has_an_owner() {
    let server = unpaced(&[]);
    let gather = |thread: usize| {
        let owners = [server.connect(), account(&server, &format!("ana{thread}"))];
        (owners, account(&server, &format!("bob{thread}")))
    };
    rounds(gather, |(owners, bob), number| {
        let (owner, nest) = (&mut owners[number / 2 % 2], format!("#nest{number}"));
        owner.ok(&format!("CREATE {nest}"));
        let [left, joined] = at_once(number, [&mut *owner, &mut *bob], [format!("LEAVE {nest}"), format!("JOIN {nest}")]);
        assert!(left.starts_with("OK LEAVE ") && joined.starts_with("OK JOIN "), "{left}, {joined}");
        let expected = format!("1 {}", whoami(bob));
        assert_eq!(members_and_owner(owner, &nest), expected);
        bob.ok(&format!("TOPIC {nest} his now"));
        bob.ok(&format!("CLOSE {nest}"));
    });
}
