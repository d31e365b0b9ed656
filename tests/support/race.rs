//! Races: commands of several connections, written at the same moment, again and again on one server.

use std::thread;

use super::client::Client;
use super::server::Server;

/// How often a race is run.
pub const ROUNDS: usize = 200;
/// Races of one kind that are run at the same time, each with connections of its own.
const AT_ONCE: usize = 4;
/// The password of all accounts.
pub const PASSWORD: &str = "correct horse battery";

/// A server that paces nobody and takes any number of passwords and channels from an address, with these limits.
pub fn unpaced(limits: &[&str]) -> Server {
    let none = ["passwords-per-minute=none", "passwords-per-address=none", "passwords-per-account=none"];
    let keys = ["channel-keys-per-minute=none", "channel-keys-per-address=none", "channel-keys-per-channel=none"];
    let others = ["commands-per-second=none", "commands-per-address=none", "channels-per-address=none"];
    let limits = none.iter().chain(&keys).chain(&others).chain(limits);
    Server::start(&limits.flat_map(|limit| ["--limit", limit]).collect::<Vec<_>>())
}

/// A new account.
pub fn account(server: &Server, name: &str) -> Client {
    let mut client = server.connect();
    client.ok(&format!("REGISTER {name} {PASSWORD}"));
    client
}

/// A connection of an account.
pub fn login(server: &Server, name: &str) -> Client {
    let mut client = server.connect();
    client.ok(&format!("LOGIN {name} {PASSWORD}"));
    client
}

/// Who this is, as `name:id`.
pub fn whoami(client: &mut Client) -> String {
    client.ok("WHOAMI").split(' ').nth(2).expect("it says who").to_owned()
}

/// The members and the owner of a channel, as CHANNELS says them: `2 ana:1000`.
pub fn members_and_owner(client: &mut Client, channel: &str) -> String {
    let start = format!("- CHANNEL {channel} ");
    let channels = client.ask("CHANNELS");
    let found = channels.iter().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{channel}: {channels:?}"));
    found.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Runs a race [`ROUNDS`] times. Each of several threads gathers who takes part (it is given its number), and then calls
/// `round` with them, with numbers that no other round has.
pub fn rounds<T>(gather: impl Fn(usize) -> T + Sync, round: impl Fn(&mut T, usize) + Sync) {
    thread::scope(|scope| {
        for thread in 0..AT_ONCE {
            let (gather, round) = (&gather, &round);
            scope.spawn(move || {
                let mut who = gather(thread);
                let first = thread * ROUNDS / AT_ONCE;
                (first..(thread + 1) * ROUNDS / AT_ONCE).for_each(|number| round(&mut who, number));
            });
        }
    });
}

/// Has everybody say their line at the same moment, and returns the last lines of their answers. Who is first changes with
/// `turn`.
pub fn at_once<const N: usize>(turn: usize, people: [&mut Client; N], lines: [String; N]) -> [String; N] {
    for step in 0..N {
        let place = (turn + step) % N;
        people[place].send(&lines[place]);
    }
    people.map(|person| person.answer().pop().expect("an answer has a last line"))
}

/// The places of those whose answer is this OK; all others are refused with this code.
pub fn winners(answers: &[String], ok: &str, code: &str) -> Vec<usize> {
    let won = |answer: &String| answer.starts_with(&format!("OK {ok} "));
    let lost = |answer: &String| answer.starts_with(&format!("ERR {code} "));
    assert!(answers.iter().all(|answer| won(answer) || lost(answer)), "all are {ok} or {code}: {answers:?}");
    (0..answers.len()).filter(|&place| won(&answers[place])).collect()
}

/// The place of the only one whose answer is this OK; all others are refused with this code.
pub fn winner(answers: &[String], ok: &str, code: &str) -> usize {
    let winners = winners(answers, ok, code);
    assert_eq!(winners.len(), 1, "one and no other: {answers:?}");
    winners[0]
}

/// The lines up to one that begins so, events included.
pub fn lines_until(client: &mut Client, start: &str) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| !line.starts_with(start)) {
        lines.push(client.line());
    }
    lines
}

/// What was shown to this connection since it last read, up to now.
pub fn shown(client: &mut Client) -> Vec<String> {
    client.send("PING and now");
    let mut lines = lines_until(client, "OK PING and now");
    lines.pop();
    lines
}

/// The channel's events among these lines, without `*` and time: `TOPIC #rust ana:1000 lunch`.
pub fn events(lines: &[String], channel: &str) -> Vec<String> {
    let words = lines.iter().map(|line| line.split(' ').collect::<Vec<_>>());
    let of_it = words.filter(|words| words[0] == "*" && words.get(2) == Some(&channel));
    let timeless = |mut words: Vec<&str>| {
        words.remove(if words[1] == "NAME" { 5 } else { 4 });
        words[1..].join(" ")
    };
    of_it.map(timeless).collect()
}

/// The seq of `OK MSG`, `OK SAY` or `* MSG`.
pub fn seq(line: &str) -> u64 {
    line.split(' ').nth(2).and_then(|seq| seq.parse().ok()).unwrap_or_else(|| panic!("this has no seq: {line}"))
}
