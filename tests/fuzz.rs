//! The fuzz targets in everyday tests: each on its corpus, which holds what fuzzing has found worth keeping, and on random
//! bytes. `scripts/fuzz` fuzzes them for as long as it is told to.

#[path = "support/json.rs"]
#[allow(dead_code, reason = "the schema is for others")]
mod json;
#[path = "support/pipe.rs"]
mod pipe;
#[path = "support/store.rs"]
mod store;
#[path = "fuzz/targets/mod.rs"]
mod targets;

use std::fs;
use std::path::Path;

use linechat::wire::verbs::VERBS;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

/// What lines are made of.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "MSG ", "MSG ana hi", "MSG 1000 hi", "SAY #a ", "SAY #a hi", "@key ", "LIST", "LIST #a a* 3 after ", "INBOX", "INBOX 3",
    "ACK *", "ACK ", "ACK #a ", "CREATE #a", "CREATE #b key", "JOIN #a", "JOIN #b key last 5", "LEAVE #a", "CHANNELS",
    "CHANNELS * 1 after #a", "TOPIC #a", "TOPIC #a t", "HISTORY #a 9", "HISTORY ana", "HISTORY #a unread", "HISTORY #a before ",
    "HISTORY #a 3 since ", "SEARCH #a hi", "SEARCH * \"hi hi\" from:ana ", "SEARCH ana ", "before:", "since:", "limit:",
    "RETRACT ", "OP #a ana", "DEOP #a ana", "GIVE #a ana", "INVITE #a ana", "KICK #a ana why", "BAN #a ana for 2h", "BAN #a ",
    "UNBAN #a ", "BANS #a", "SET #a", "SET #a slow ", "SET #a keep ", "SET #a speak operators", "SET #a key k", "CLOSE #a",
    "NAME ana", "REGISTER ana correct horse battery", "LOGIN ana correct horse battery", "LOGIN lct_",
    "PASSWD correct horse battery -> battery staple", "TOKEN NEW t say:#a read:#a inbox for 2h", "TOKEN LIST", "TOKEN DROP t",
    "UNREGISTER correct horse battery", "WHOAMI", "WHOIS ana", "AWAY", "AWAY at lunch", "IGNORE ana", "UNIGNORE ana", "IGNORES",
    "WAIT inbox 1", "WAIT #a since ", "WAIT", "FOLLOW #a", "FOLLOW inbox since ", "FORMAT json", "FORMAT text", "HELP",
    "PING x", "CAPS", "QUIT",
];

/// Numbers, times and addresses, some of them beyond what there is room for.
#[rustfmt::skip]
const NUMBERS: &[&str] = &[
    "0", "1", "8", "9", "10", "12", "1000", "9223372036854775807", "9223372036854775808", "18446744073709551615",
    "18446744073709551616", "99999999999999999999", "2h", "9w", "99999999999w", "2026-11-22T13:00Z", "2026-02-30", "for 2h ",
    "192.0.2.0/24", "2001:db8::/129", "ana:1000",
];

/// What ends lines, and what terminals and strangers send between them.
const MARKS: &[&[u8]] = &[
    b"\n",
    b"\n",
    b"\n",
    b"\r\n",
    b"\r",
    b" ",
    b"\"",
    b"\xff\xfd\x06",
    b"\xff\xf4",
    b"\xff\xfa",
    b"\xff\xf0",
    b"\x03",
    b"\x04",
    b"\x08",
    "\u{202e}".as_bytes(),
    "é".as_bytes(),
];

/// With which there is something to ask for: an account, a channel, and messages in both inbox and channel.
const BEFORE: &str = "REGISTER ana correct horse battery\nCREATE #a\nMSG ana hi\nSAY #a hi\n";

/// Random bytes, often with whole lines, and with the words and marks that lines are made of.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => select(WORDS).prop_map(|word| format!("{word}\n").into_bytes()),
        8 => (select(WORDS), select(NUMBERS)).prop_map(|(word, number)| format!("{word}{number}\n").into_bytes()),
        3 => select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
        2 => select(MARKS).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 1..8),
        1 => (any::<u8>(), 1usize..5000).prop_map(|(byte, count)| vec![byte; count]),
    ];
    let before = prop_oneof![Just(""), Just(BEFORE)];
    (before, vec(piece, 0..60)).prop_map(|(before, pieces)| [before.as_bytes(), &pieces.concat()].concat())
}

fn run(name: &str, cases: u32, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let kept: Vec<_> = fs::read_dir(&corpus).expect("there is a corpus").map(|entry| entry.expect("an entry").path()).collect();
    assert!(!kept.is_empty(), "{} holds something", corpus.display());
    for path in kept {
        eprintln!("{}", path.display());
        check(&fs::read(&path).expect("it can be read"));
    }
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    TestRunner::new(config)
        .run(&bytes(), |bytes| {
            check(&bytes);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn bytes_become_the_same_lines_however_they_are_cut() {
    run("framing", 2_000, targets::framing::check);
}

#[test]
fn a_line_is_a_command_or_cleanly_refused() {
    run("parser", 5_000, targets::parser::check);
}

#[test]
fn text_passes_whole_or_not_at_all() {
    run("text", 5_000, targets::text::check);
}

#[test]
fn a_damaged_store_says_nothing_wrong() {
    run("recovery", 60, targets::recovery::check);
}

#[test]
fn a_session_answers_each_line_once_and_shows_nothing_unclean() {
    run("session", 300, targets::session::check);
}

#[test]
fn nor_with_a_store_on_a_disk() {
    run("stored", 60, targets::session::check_on_disk);
}

#[test]
fn every_verb_is_among_the_words() {
    let missing = VERBS.iter().filter(|verb| !WORDS.iter().any(|word| word.split(' ').next() == Some(verb.name)));
    assert_eq!(missing.map(|verb| verb.name).collect::<Vec<_>>(), [""; 0]);
}

/// libFuzzer's targets are built only by `scripts/fuzz`. What the files that they share with everyday tests need must be there.
#[test]
fn the_fuzz_targets_have_the_crates_that_they_need() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(root.join(file)).expect("it can be read");
    let names = |manifest: &str| -> Vec<String> {
        let sections =
            manifest.split("\n[").filter(|section| section.starts_with("dependencies") || section.starts_with("dev-dep"));
        let lines = sections.flat_map(str::lines).filter_map(|line| Some(line.split_once(" = ")?.0.to_owned()));
        lines.collect()
    };
    let (all, there) = (names(&read("Cargo.toml")), names(&read("tests/fuzz/Cargo.toml")));
    assert!(all.len() > 40 && there.len() > 5, "{all:?} {there:?}");
    for file in ["tests/support/json.rs", "tests/support/pipe.rs", "tests/support/store.rs", "tests/fuzz/targets/mod.rs"] {
        let source = read(file);
        for name in &all {
            let used = [format!(" {}::", name.replace('-', "_")), format!("({}::", name.replace('-', "_"))];
            assert!(there.contains(name) || !used.iter().any(|path| source.contains(path)), "{file} uses {name}");
        }
    }
}
