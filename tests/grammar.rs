//! The grammar is the norm: the parser accepts what it describes and nothing else, and the server's lines are of it.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use abnf::types::Node;
use linechat::event::{Absence, Ban, Event, Kept, Mark, Outcast, Setting, Time, To};
use linechat::limits::{LINE_BYTES, Limits, NAME_CHARS};
use linechat::names::{Name, Seq, UserId, Who};
use linechat::wire::{Code, Command, Refusal, parse, reply, verbs::VERBS};
use proptest::{prelude::RngExt, test_runner::TestRng};
use support::abnf::{Grammar, LINECHAT, seeded};
use support::diagrams;

/// The rules and strings that a definition mentions.
fn mentions(node: &Node, out: &mut BTreeSet<String>) {
    match node {
        Node::Rulename(name) => drop(out.insert(name.clone())),
        Node::String(text) => drop(out.insert(text.value().to_owned())),
        Node::Alternatives(nodes) | Node::Concatenation(nodes) => nodes.iter().for_each(|node| mentions(node, out)),
        Node::Repetition { node, .. } | Node::Group(node) | Node::Optional(node) => mentions(node, out),
        Node::TerminalValues(_) | Node::Prose(_) => {}
    }
}

fn mentioned(rule: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    mentions(Grammar::load().definition(rule), &mut out);
    out
}

#[test]
fn the_matcher_is_exact() {
    let grammar = Grammar::parse(
        "greedy = *%x61 %x61\nshort = (\"a\" / \"ab\") \"c\"\nboth = *(\"a\" / \"ab\" / \"b\") %s\"b\"\nsome = 2*3(\"x\" / \"yz\")\n\
         either = [\"a\"] *\"b\" [\"a\"]\nthree = 3%x30-39\npair = *2(%x61 / \"ab\") \"b\"\n",
    );
    let cases = [
        ("greedy", "aaa", true),
        ("greedy", "", false),
        ("short", "abc", true),
        ("short", "AC", true),
        ("both", "ab", true),
        ("both", "abab", true),
        ("both", "abaB", false),
        ("some", "yzx", true),
        ("some", "x", false),
        ("some", "xxxx", false),
        ("some", "yzyzyz", true),
        ("either", "", true),
        ("either", "abba", true),
        ("either", "abbaa", false),
        ("three", "12", false),
        ("three", "123", true),
        ("pair", "abb", true),
        ("pair", "aabb", true),
        ("pair", "aaab", false),
    ];
    for (rule, text, expected) in cases {
        assert_eq!(grammar.matches(rule, text.as_bytes()), expected, "{rule}: {text}");
    }
}

#[test]
fn every_rule_is_used_and_says_each_thing_once() {
    let mut used = BTreeSet::from(["command-line".to_owned(), "server-line".to_owned()]);
    for rule in Grammar::load().source() {
        mentions(rule.node(), &mut used);
    }
    for rule in Grammar::load().source() {
        assert!(used.contains(rule.name()), "nothing uses {}", rule.name());
    }
    assert!(LINECHAT.is_ascii() && LINECHAT.lines().all(|line| line.len() <= 128));
}

#[test]
fn each_verb_has_its_rule_its_answer_and_its_word() {
    let verbs: BTreeSet<String> = VERBS.iter().map(|verb| verb.name.to_owned()).collect();
    let small: BTreeSet<String> = verbs.iter().map(|verb| verb.to_lowercase()).collect();
    assert_eq!(mentioned("command"), small);
    assert_eq!(mentioned("answer"), small.iter().map(|verb| format!("ok-{verb}")).collect());
    assert_eq!(mentioned("verb"), verbs);
    for verb in VERBS {
        assert!(mentioned(&verb.name.to_lowercase()).contains(verb.name), "{}", verb.name);
        assert!(mentioned(&format!("ok-{}", verb.name.to_lowercase())).contains(verb.name), "{}", verb.name);
        for line in [verb.example.to_owned(), verb.example.replace(verb.name, &verb.name.to_lowercase())] {
            assert!(Grammar::load().matches(&verb.name.to_lowercase(), line.as_bytes()), "{line}");
            assert_eq!(parse(line.as_bytes()).unwrap().unwrap().verb(), verb.name);
        }
    }
}

#[test]
fn each_code_is_in_the_grammar_and_no_other() {
    let codes: BTreeSet<String> = Code::ALL.iter().map(|code| code.word().to_owned()).collect();
    let own = ["unknown", "limited"].map(mentioned);
    let special = own.iter().flatten().filter(|word| codes.contains(*word)).cloned();
    assert_eq!(mentioned("code").into_iter().chain(special).collect::<BTreeSet<_>>(), codes);
}

#[test]
fn what_the_grammar_makes_is_parsed_and_printed_back() {
    let (grammar, mut rng) = (Grammar::load(), seeded(1));
    for verb in VERBS {
        for _ in 0..1000 {
            let line = grammar.generate(&verb.name.to_lowercase(), &mut rng);
            let shown = String::from_utf8_lossy(&line);
            let command = parse(&line).unwrap_or_else(|error| panic!("{shown}: {error:?}")).expect("not blank");
            assert_eq!(command.verb(), verb.name, "{shown}");
            let printed = command.to_string();
            assert_eq!(parse(printed.as_bytes()), Ok(Some(command)), "{shown} printed as {printed}");
        }
    }
}

#[test]
fn numbers_and_keys_are_understood() {
    let key = format!("MSG @{} 007 x", "k".repeat(64));
    let target = linechat::wire::Target::Id(UserId(7));
    assert_eq!(parse(key.as_bytes()), Ok(Some(Command::Msg { key: Some(&key[5..69]), target, text: "x" })));
    assert_eq!(
        parse(b"ack 9999999999999999999"),
        Ok(Some(Command::Ack { channel: None, upto: Some(Seq(9_999_999_999_999_999_999)) }))
    );
}

/// A line that is a command or nearly one, of this grammar or of the right one.
fn line(grammar: &Grammar, rng: &mut TestRng) -> Vec<u8> {
    let grammar = if rng.random() { grammar } else { Grammar::load() };
    let mut line = match rng.random_range(0..10) {
        0 => VERBS[rng.random_range(0..VERBS.len())].example.into(),
        1 => grammar.generate("server-line", rng),
        2 => (0..rng.random_range(0..40)).map(|_| rng.random()).collect(),
        3 => {
            let unicode = (0..rng.random_range(0..20)).map(|_| rng.random::<char>()).collect::<String>();
            format!("{} {unicode}", VERBS[rng.random_range(0..VERBS.len())].example).into()
        }
        _ => grammar.generate("command-line", rng),
    };
    let changes = [0, 0, 1, 1, 1, 2, 3][rng.random_range(0..7)];
    (0..changes).for_each(|_| mutate(grammar, rng, &mut line));
    line
}

/// One slip: a byte flipped, put in or left out, two words swapped, a word doubled or joined, or another line's tail.
fn mutate(grammar: &Grammar, rng: &mut TestRng, line: &mut Vec<u8>) {
    const TELLING: &[u8] = b" \t#@:*-_.0aZ~\x00\x1f\x7f\x80\x9f\xa0\xa8\xbf\xc2\xe2\xed\xf4\xff";
    let at = rng.random_range(0..=line.len());
    let telling = TELLING[rng.random_range(0..TELLING.len())];
    match rng.random_range(0..7) {
        0 if at < line.len() => line[at] ^= 1 << rng.random_range(0..8),
        1 if at < line.len() => line[at] = telling,
        2 if at < line.len() => drop(line.remove(at)),
        3 => line.insert(at, telling),
        4 => {
            line.truncate(at);
            let other = grammar.generate("command-line", rng);
            line.extend_from_slice(&other[rng.random_range(0..=other.len())..]);
        }
        _ => {
            let mut words: Vec<Vec<u8>> = line.split(|&byte| byte == b' ').map(<[u8]>::to_vec).collect();
            let (one, two) = (rng.random_range(0..words.len()), rng.random_range(0..words.len()));
            match rng.random_range(0..3) {
                0 => words.swap(one, two),
                1 => words.insert(one, words[two].clone()),
                _ => drop(words.remove(one)),
            }
            *line = words.join(&b' ');
        }
    }
}

/// How many lines of each verb (or none) were accepted and rejected; the first on which grammar and parser differ is an error.
fn compare(grammar: &Grammar, seed: u64, lines: usize) -> Result<BTreeMap<(String, bool), usize>, String> {
    let (mut rng, mut counts) = (seeded(seed), BTreeMap::new());
    for _ in 0..lines {
        let line = line(grammar, &mut rng);
        let parsed = parse(&line);
        if grammar.matches("command-line", &line) != parsed.is_ok() {
            return Err(format!("{:?} is parsed to {parsed:?}", String::from_utf8_lossy(&line)));
        }
        let verb = match &parsed {
            Ok(command) => command.map_or("blank", |command| command.verb()).to_owned(),
            Err(rejected) => rejected.verb.clone().into_owned(),
        };
        *counts.entry((verb, parsed.is_ok())).or_default() += 1;
    }
    Ok(counts)
}

#[test]
fn grammar_and_parser_agree_on_100_000_lines() {
    let counts = compare(Grammar::load(), 2, 100_000).unwrap();
    let total = |ok: bool| counts.iter().filter(|((_, accepted), _)| *accepted == ok).map(|(_, count)| count).sum::<usize>();
    assert!(total(true) > 30_000 && total(false) > 30_000, "{} accepted, {} rejected", total(true), total(false));
    for verb in VERBS {
        for ok in [true, false] {
            let count = counts.get(&(verb.name.to_owned(), ok)).copied().unwrap_or_default();
            assert!(count > 100, "{} was {} only {count} times", verb.name, if ok { "accepted" } else { "rejected" });
        }
    }
    assert!(counts[&("blank".to_owned(), true)] > 300);
}

#[test]
fn the_comparison_notices_small_mistakes_of_the_grammar() {
    let mistakes = [
        ("*31name-char", "*32name-char"),
        ("*63VCHAR", "*62VCHAR"),
        ("1*4DIGIT", "1*5DIGIT"),
        ("seq             = 1*19DIGIT", "seq             = 1*20DIGIT"),
        ("\"since\"", "%s\"since\""),
        ("%x80-A7 / %xAF-BF", "%x80-A8 / %xAF-BF"),
        ("%x80-A5 / %xAA-BF", "%x80-A5 / %xAB-BF"),
        ("%xED %x80-9F", "%xED %x80-BF"),
        ("%xC2 %xA0-BF", "%xC2 %x9F-BF"),
        ("list            = \"LIST\" [spaces", "list            = \"LIST\" [SP"),
        ("password        = text", "password        = visible *char"),
        ("*(SP / HTAB) visible *char", "1*char"),
        ("\"SAY\" [spaces key]", "\"SAY\" [SP key]"),
        ("ALPHA / DIGIT / \"_\" / \"-\" / \".\" / wide", "ALPHA / DIGIT / \"_\" / \"-\" / wide"),
        ("command-line    = *SP", "command-line    = *(SP / HTAB)"),
        ("%s\"QUIT\"", "%s\"QUIT\""),
    ];
    for (right, wrong) in mistakes {
        assert!(LINECHAT.contains(right), "{right} is not in the grammar any more");
        let mistaken = Grammar::parse(&LINECHAT.replace(right, wrong));
        assert_eq!(compare(&mistaken, 3, 40_000).is_err(), right != wrong, "{right} as {wrong}");
    }
}

/// The longest name there can be: each character takes four bytes.
fn longest_name() -> Name {
    let name = "\u{1e7e0}".repeat(NAME_CHARS);
    assert!(linechat::names::check_chosen(&name).is_ok(), "it may be taken");
    Name::new(&name)
}

fn each_line(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.strip_suffix(b"\n").expect("ends in LF").split(|&byte| byte == b'\n').collect()
}

fn said(who: &Who, text: &str) -> Event {
    Event::Said { from: who.clone(), key: None, text: text.into(), share: None }
}

fn ban(who: &Who, is_user: bool, text: &str) -> Ban {
    let net: ipnet::IpNet = "2001:db8:1:2:3:4:5:0/120".parse().unwrap();
    let outcast = if is_user { Outcast::User(who.id) } else { Outcast::Net(net) };
    let (since, until) = (Time(1_795_352_401_007), is_user.then_some(Time(1_795_352_409_007)));
    Ban { outcast, who: is_user.then(|| who.clone()), from: None, by: who.clone(), since, until, reason: Some(text.into()) }
}

fn settings() -> Vec<Setting> {
    let keep = [Kept::All, Kept::Seconds(3 * 86_400), Kept::Messages(1000)].map(Setting::Keep);
    let switches = [true, false].map(|is| [Setting::InviteOnly(is), Setting::OperatorsSpeak(is), Setting::Guests(is)]);
    let others = [Setting::Key(Some("$hash".into())), Setting::Slow(0), Setting::Slow(30), Setting::Hidden(true)];
    switches.into_iter().flatten().chain(keep).chain(others).collect()
}

fn events_of_a_channel(who: &Who, channel: &Name, text: &str) -> Vec<Event> {
    let (seq, time, reason) = (Seq(1), Time(0), Some("disconnected".into()));
    vec![
        Event::Joined { who: who.clone(), since: time, rank: seq, lasts: true, shown: true },
        Event::Left { who: who.clone(), reason: None, lasts: true, shown: true },
        Event::Left { who: who.clone(), reason, lasts: false, shown: true },
        Event::Online { who: who.clone() },
        Event::Offline { who: who.clone() },
        Event::Renamed { old: who.clone(), new: who.clone() },
        Event::Owner { who: Some(who.clone()), lasts: true, shown: true },
        Event::Topic { who: who.clone(), text: text.into() },
        Event::Operator { who: who.clone(), by: who.clone(), is: true, lasts: true, shown: true },
        Event::Operator { who: who.clone(), by: who.clone(), is: false, lasts: true, shown: true },
        Event::Invited { who: who.clone(), by: who.clone(), channel: channel.clone(), lasts: true, shown: true },
        Event::Kicked { who: who.clone(), by: who.clone(), reason: None, lasts: true },
        Event::Kicked { who: who.clone(), by: who.clone(), reason: Some(text.into()), lasts: true },
        Event::Banned(Box::new(ban(who, true, text))),
        Event::Banned(Box::new(ban(who, false, text))),
        Event::Unbanned { outcast: Outcast::User(who.id), whom: who.to_string().into(), by: Some(who.clone()) },
        Event::Closed { who: who.clone() },
    ]
}

/// Every function of `reply`, and the line of every event that has one, with these values.
fn written(who: &Who, channel: &Name, text: &str, number: u64) -> Vec<u8> {
    let out = &mut Vec::new();
    let (seq, time, to) = (Seq(number), Time(1_795_352_401_007), [To::Channel(channel), To::User(who)]);
    reply::hello(out, who);
    for (mark, to) in [(Mark::Data, to[0]), (Mark::Data, to[1]), (Mark::Event, to[0]), (Mark::Event, to[1])] {
        said(who, text).write_line(out, mark, seq, time, to);
        reply::gap(out, mark, to, Seq(0), seq);
    }
    for (verb, dup) in [("MSG", true), ("MSG", false), ("SAY", true), ("SAY", false)] {
        reply::ok_said(out, verb, seq, time, dup);
    }
    for &code in Code::ALL.iter().filter(|&&code| code != Code::RateLimited) {
        reply::err(out, "-", &Refusal::new(code, text.trim_start().to_owned()));
        VERBS.iter().for_each(|verb| reply::err(out, verb.name, &Refusal::new(code, "no")));
    }
    reply::err(out, "LOGIN", &Refusal::new(Code::RateLimited, format!("retry-ms={number} {}", text.trim_start())));
    for (text, owner, state) in [(None, None, "online"), (Some(text), Some(who), "away"), (None, None, "offline")] {
        reply::channel(out, channel, 20_000, owner, text);
        reply::user(out, who, state, time, text);
    }
    reply::ignored(out, who, time);
    reply::away(out, &Absence { who: who.clone(), since: time, text: text.into() });
    for event in events_of_a_channel(who, channel, text) {
        event.write_line(out, Mark::Event, seq, time, To::Channel(channel));
    }
    for setting in settings() {
        reply::option(out, channel, setting.option(), &setting.to_string());
        let set = Event::Set { who: who.clone(), setting };
        set.write_line(out, Mark::Event, seq, time, To::Channel(channel));
    }
    reply::option(out, channel, "owner", &who.to_string());
    reply::ban(out, channel, &ban(who, true, text).fields());
    let invitation = Event::Invitation { who: who.clone(), by: who.clone(), channel: channel.clone() };
    invitation.write_line(out, Mark::Event, seq, time, To::User(who));
    reply::missed(out, To::Channel(channel), Seq(0), seq);
    reply::help(out, text);
    reply::shutdown(out);
    reply::bye(out, text.trim_start());
    reply::ok(out, "PING", format_args!(" {text}"));
    reply::ok(out, "TOPIC", format_args!(" #{channel} {text}"));
    std::mem::take(out)
}

#[test]
fn every_line_of_reply_is_a_server_line_that_fits() {
    let text_bytes = usize::try_from(Limits::default().text_bytes).unwrap();
    let texts = ["x", "  two  spaces ", "\t.", "ERR INTERNAL - x", "* MSG 1", "dup", "שלום 👩‍👩‍👧", &"x".repeat(text_bytes)];
    for (name, number) in [(Name::new("a"), 0), (Name::guest(UserId(1000)), 42), (longest_name(), i64::MAX as u64)] {
        let who = Who { name: name.clone(), id: UserId(number) };
        for text in texts {
            for line in each_line(&written(&who, &name, text, number)) {
                assert!(Grammar::load().matches("server-line", line), "{:?}", String::from_utf8_lossy(line));
                assert!(line.len() + 2 <= LINE_BYTES, "{} bytes", line.len() + 2);
            }
        }
    }
}

#[test]
fn the_longest_message_and_the_longest_command_for_it_fit() {
    let who = Who { name: longest_name(), id: UserId(9_999_999_999_999_999_999) };
    let text = "x".repeat(usize::try_from(Limits::default().text_bytes).unwrap());
    let mut line = Vec::new();
    said(&who, &text).write_line(&mut line, Mark::Event, Seq(9_999_999_999_999_999_999), Time(0), To::User(&who));
    assert_eq!(line.len() + "\r".len(), 3951);
    let command = format!("MSG @{} {who} {text}\r\n", "k".repeat(64));
    assert!(parse(command.trim_end().as_bytes()).is_ok() && command.len() == 3821, "{}", command.len());
}

#[test]
fn a_malformed_line_is_no_server_line() {
    let lines = "OK|OK |OK LIST|OK LIST x|OK LIST 1 |OK LIST 01|OK MSG 1 2026-11-22T13:00:01Z|OK MSG 1 2026-13-22T13:00:01.007Z|\
        OK MSG 1 2026-11-22T13:00:01.007Z dupe|OK JOIN rust 1|OK WHOAMI ana:1 admin|OK NAME ana|OK QUIT|OK CAPS|OK CAPS a = b|\
        ok LIST 1|ERR NO_SUCH_CODE - x|ERR INTERNAL|ERR INTERNAL -|ERR INTERNAL - |ERR INTERNAL SYA x|ERR UNKNOWN_COMMAND a b|\
        ERR RATE_LIMITED LOGIN soon|ERR BAD_TEXT MSG a\u{7}|* MSG 1 2026-11-22T13:00:01.007Z #rust ana:1|\
        * MSG 1 2026-11-22T13:00:01.007Z #rust ana:1 |* MSG 1 2026-11-22T13:00:01.007Z #rust ana x|* USER ana:1 online|\
        * MSG 1 2026-11-22T24:00:01.007Z #rust ana:1 x|- JOIN #rust ana:1 2026-11-22T13:00:01.007Z|* WHAT x|+ OK|*|-||\
        * JOIN #rust ana:1 2026-11-22T13:00:01.007Z |- CHANNEL #rust 1|* LEAVE #rust ana:1 2026-11-22T13:00:01.007Z bored|* BYE";
    for line in lines.split('|') {
        assert_eq!(Grammar::load().matches("server-line", line.as_bytes()), line == "ERR UNKNOWN_COMMAND a b", "{line:?}");
    }
}

#[test]
fn generated_server_lines_are_text_of_known_beginnings() {
    let (mut rng, mut seen) = (seeded(4), BTreeSet::new());
    for _ in 0..20_000 {
        let line = Grammar::load().generate("server-line", &mut rng);
        let text = linechat::wire::text::check(&line).expect("it may be shown to anybody");
        let words: Vec<&str> = text.split(' ').collect();
        assert!(words.len() > 1 && words[..2].iter().all(|word| !word.is_empty()), "{text}");
        assert!(Grammar::load().matches("server-line", &line), "{text}");
        seen.insert(words[..2].join(" "));
    }
    let beginnings = VERBS.len() + Code::ALL.len() + 10 + 22;
    assert_eq!(seen.len(), beginnings, "every kind of line was made: {seen:?}");
}

#[test]
fn the_diagrams_show_the_grammar() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("grammar/railroad");
    let verbs: Vec<String> = VERBS.iter().map(|verb| verb.name.to_lowercase()).collect();
    let drawn = diagrams::draw_all(Grammar::load(), verbs.iter().map(String::as_str));
    if std::env::var("RAILROAD").is_ok_and(|wish| wish == "draw") {
        fs::create_dir_all(&folder).unwrap();
        drawn.iter().for_each(|(rule, svg)| fs::write(folder.join(format!("{rule}.svg")), svg).unwrap());
    }
    for (rule, svg) in &drawn {
        let kept = fs::read_to_string(folder.join(format!("{rule}.svg"))).unwrap_or_default();
        assert!(kept == *svg, "grammar/railroad/{rule}.svg is not of this grammar: run scripts/railroad");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), drawn.len(), "every diagram is of a rule");
}
