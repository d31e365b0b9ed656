//! Conversations of several people over real TCP, in `tests/transcripts`, held against a server that has just started.
//!
//! To add one, write only what people type (`ana> NAME ana`), then run `LINECHAT_RECORD=NAME cargo test --test transcripts`, which
//! writes down what they receive, in the files whose names hold NAME, and read what it wrote.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::cluster::Brokers;
use support::conversation::{Planned, hold, hold_at, options, record};
use support::host::Place;
use support::transcript::Transcript;

const FOLDER: &str = "tests/transcripts";

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).expect("there is the folder").map(|entry| entry.expect("it can be read").path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "txt")).collect();
    files.sort();
    files
}

fn planned(file: &Path) -> Planned {
    let name = file.file_name().expect("it is a file").to_string_lossy().into_owned();
    let text = fs::read_to_string(file).expect("it is text");
    Planned { name, transcript: Transcript::parse(&text), options: options(&text) }
}

#[test]
fn every_conversation_goes_as_it_is_noted() {
    if let Ok(wanted) = std::env::var("LINECHAT_RECORD") {
        for file in files(FOLDER).into_iter().filter(|file| file.to_string_lossy().contains(&wanted)) {
            let text = fs::read_to_string(&file).expect("it is text");
            fs::write(&file, record(&text)).expect("it can be written");
        }
    }
    let failures = hold(files(FOLDER).iter().map(|file| planned(file)).collect());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(files(FOLDER).len() >= 20);
}

/// Also where somebody follows after the end of their input.
#[test]
fn a_conversation_that_is_recorded_goes_so_again() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join("waiting-and-following.txt");
    let text = record(&fs::read_to_string(&file).expect("it is text"));
    let recorded = Planned { transcript: Transcript::parse(&text), ..planned(&file) };
    assert_eq!(hold(vec![recorded]), Vec::<String>::new(), "{text}");
}

/// Whoever is at another server of a cluster sees the same. Only CAPS differs.
#[test]
fn every_conversation_goes_so_on_a_cluster() {
    let Some(brokers) = Brokers::start(1) else { return };
    let mut all: Vec<_> = files(FOLDER).iter().map(|file| planned(file)).collect();
    for step in all.iter_mut().flat_map(|planned| &mut planned.transcript.steps) {
        if step.line.starts_with("OK CAPS ") {
            step.line = step.line.replace("durable=fsync", "durable=process") + " cluster=reached";
        }
    }
    let failures = hold_at(Place::Cluster(&brokers), all);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// One conversation that is not as the server has it, and how the failure says so.
fn failure(text: &str) -> String {
    let transcript = Transcript::parse(text);
    hold(vec![Planned { name: "x.txt".into(), transcript, options: options(text) }]).concat()
}

#[test]
fn a_conversation_that_goes_otherwise_is_found() {
    let wrong = failure("ana> NAME ana\nana< OK NAME bob:1000\n");
    assert_eq!(wrong, "x.txt, line 2: ana should receive\n  OK NAME bob:1000\nand received\n  OK NAME ana:1000");
    let more = failure("ana> PING 1\nbob> PING\nbob< OK PING\nana> PING 2\nana< OK PING 1\n");
    assert_eq!(more, "x.txt, at the end, ana: was not expected to receive\n  OK PING 2");
    let closed = failure("ana> QUIT\nana< OK QUIT bye\nana< OK PING\n");
    assert_eq!(closed, "x.txt, line 3: ana found the connection closed");
    let open = failure("ana> PING\nana< OK PING\nana>>\nana<<\n");
    assert_eq!(open, "");
}
