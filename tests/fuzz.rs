//! The fuzz targets in everyday tests: each on its corpus, which holds what fuzzing has found worth keeping, and on random
//! bytes. `scripts/fuzz` fuzzes them for as long as it is told to.

#[path = "support/pipe.rs"]
mod pipe;
#[path = "support/store.rs"]
mod store;
#[path = "fuzz/targets/mod.rs"]
mod targets;

use std::fs;
use std::path::Path;

use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};

/// What lines are made of.
const WORDS: &[&[u8]] = &[
    b"MSG ",
    b"SAY #a ",
    b"JOIN #a",
    b"CREATE #a",
    b"NAME ana",
    b"LIST",
    b"INBOX",
    b"HISTORY #a 9",
    b"ACK *",
    b"PING x",
    b"QUIT",
    b"HELP",
    b"@key ",
    b"LEAVE #a",
    b"TOPIC #a t",
    b"\n",
    b"\n",
    b"\n",
    b"\r\n",
    b"\r",
    b" ",
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

/// Random bytes, often with the words and marks that lines are made of.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let word = proptest::sample::select(WORDS).prop_map(<[u8]>::to_vec);
    let piece = prop_oneof![4 => word, 1 => proptest::collection::vec(any::<u8>(), 1..8), 1 => (any::<u8>(), 1usize..5000).prop_map(|(byte, count)| vec![byte; count])];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
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
    for file in ["tests/support/pipe.rs", "tests/support/store.rs", "tests/fuzz/targets/mod.rs"] {
        let source = read(file);
        for name in &all {
            let used = [format!(" {}::", name.replace('-', "_")), format!("({}::", name.replace('-', "_"))];
            assert!(there.contains(name) || !used.iter().any(|path| source.contains(path)), "{file} uses {name}");
        }
    }
}
