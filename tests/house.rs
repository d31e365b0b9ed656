//! The house rules: who may import whom, how long a file and a function may be, and that every verb is everywhere it must be.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use linechat::wire::verbs::VERBS;
use support::abnf::Grammar;

/// What each module may import of the crate. Arrows go one way: whoever is missing on the right must stay missing.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("code", &[]),
    ("names", &["limits"]),
    ("event", &["code", "names"]),
    ("clock", &["event", "limits"]),
    ("state", &["event", "code", "names", "limits"]),
    ("order", &["wire", "event", "code", "clock", "names", "limits"]),
    ("store", &["state", "event", "names", "limits", "clock"]),
    ("search", &["store", "event", "names", "limits", "clock"]),
    ("hub", &["event", "names", "limits"]),
    ("replica", &["order", "state", "store", "hub", "event", "code", "clock", "names", "limits", "metrics"]),
    ("wire", &["event", "code", "names", "limits"]),
    // Who counts, and who shows what was counted; nobody decides by it.
    ("metrics", &["wire", "code"]),
    ("session", &["wire", "hub", "order", "state", "store", "search", "event", "code", "clock", "names", "limits", "metrics"]),
    ("tls", &[]),
    ("menu", &["wire", "tls"]),
    ("bench", &["wire"]),
    ("top", &[]),
    ("config", &["limits"]),
    ("log", &["config"]),
    ("care", &["store", "names", "limits"]),
    (
        "server",
        &[
            "config", "care", "session", "replica", "hub", "order", "state", "store", "search", "wire", "event", "code",
            "clock", "names", "limits", "tls", "metrics",
        ],
    ),
    ("cli", &["config", "care", "wire", "code", "names", "limits", "bench", "top"]),
];

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;

fn sources(dir: &str) -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).expect("the folder can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source is text");
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), &mut found);
    assert!(!found.is_empty(), "{dir} has sources");
    found
}

/// The module of `src` that a file belongs to.
fn module(path: &Path) -> String {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let first = path.strip_prefix(src).expect("it lies in src").components().next().expect("it has a name");
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn arrows_point_one_way() {
    let rules: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let mut seen = 0;
    for (path, text) in sources("src") {
        let from = module(&path);
        if from == "lib" || from == "main" {
            continue;
        }
        let allowed = rules.get(from.as_str()).unwrap_or_else(|| panic!("src/{from} has no rule in tests/house.rs"));
        for (number, line) in code(&text) {
            for to in line.split("crate::").skip(1) {
                let to: String = to.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                seen += 1;
                assert!(to == from || allowed.contains(&to.as_str()), "{}:{}: {from} imports {to}", path.display(), number + 1);
            }
            assert!(!line.contains("linechat::"), "{}:{}: the crate names itself", path.display(), number + 1);
        }
    }
    assert!(seen > 100, "imports were found at all: {seen}");
}

#[test]
fn files_say_their_duty_and_stay_short() {
    for (path, text) in sources("src").into_iter().chain(sources("tests")) {
        let shown = path.display();
        assert!(text.starts_with("//!"), "{shown} does not begin with its duty");
        let lines = text.lines().count();
        assert!(lines <= FILE_LINES, "{shown} has {lines} lines");
        for (number, line) in code(&text) {
            assert!(!(line.trim_start().starts_with("use ") && line.contains("::*")), "{shown}:{}", number + 1);
        }
    }
}

#[test]
fn functions_stay_short() {
    let mut seen = 0;
    for (path, text) in sources("src").into_iter().chain(sources("tests")) {
        let lines: Vec<_> = text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let body = line.trim_start();
            let is_function =
                ["fn ", "pub fn ", "async fn ", "pub async fn ", "pub(super) fn ", "pub(super) async fn ", "const fn "];
            if !is_function.iter().any(|head| body.starts_with(head)) {
                continue;
            }
            let indent = &line[..line.len() - body.len()];
            let end = lines[start..]
                .iter()
                .position(|line| *line == format!("{indent}}}") || (line.starts_with(body) && line.ends_with('}')));
            let length = end.unwrap_or(0);
            seen += 1;
            assert!(length <= FUNCTION_LINES, "{}:{}: {length} lines", path.display(), start + 1);
        }
    }
    assert!(seen > 300, "functions were found at all: {seen}");
}

#[test]
fn every_verb_has_a_grammar_rule_and_a_transcript() {
    let transcripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut typed = String::new();
    for entry in fs::read_dir(transcripts).expect("there are transcripts") {
        typed += &fs::read_to_string(entry.expect("an entry can be read").path()).expect("a transcript is text");
    }
    for verb in VERBS {
        let rule = verb.name.to_lowercase();
        assert!(Grammar::load().matches(&rule, verb.example.as_bytes()), "{rule} has no rule of its name");
        let in_transcript =
            typed.lines().any(|line| line.split_once("> ").is_some_and(|(_, line)| line.split(' ').next() == Some(verb.name)));
        assert!(in_transcript, "no transcript types {}", verb.name);
    }
}

/// What people see and what is stored goes by one clock, which tests and simulations can move. The clients measure for themselves.
#[test]
fn only_the_clock_asks_for_the_time() {
    for (path, text) in sources("src") {
        if ["clock", "menu", "bench", "top", "main"].contains(&module(&path).as_str()) {
            continue;
        }
        for (number, line) in code(&text) {
            for word in ["Instant::now", "SystemTime", "Timestamp::now", ".elapsed()", "DefaultClock"] {
                assert!(!line.contains(word), "{}:{}: {word}; see src/clock.rs", path.display(), number + 1);
            }
        }
    }
}

/// Replicas decide alike whatever process they run in: nothing in a decision may depend on a hasher or on the order of a map.
#[test]
fn decisions_depend_on_nothing_but_their_input() {
    for (path, text) in sources("src") {
        if !["state", "event", "names"].contains(&module(&path).as_str()) {
            continue;
        }
        for (number, line) in code(&text) {
            for word in
                ["HashMap", "HashSet", "RandomState", "DefaultHasher", "Mutex", "RwLock", "Atomic", "rand::", "std::env"]
            {
                assert!(!line.contains(word), "{}:{}: {word}", path.display(), number + 1);
            }
        }
    }
}

#[test]
fn nothing_waits_without_bound() {
    for (path, text) in sources("src") {
        for (number, line) in code(&text) {
            for word in ["unbounded_channel", "unsafe ", "todo!", "unimplemented!", "dbg!"] {
                assert!(!line.contains(word), "{}:{}: {word}", path.display(), number + 1);
            }
        }
    }
}
