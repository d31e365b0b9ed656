//! A larger store: nothing is held in memory that grows with it. LINECHAT_MESSAGES=1000000 asks for more, and shows how long each takes
//! (`--no-capture`).

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::support::server::data_dir;
use crate::text;

/// How much memory each may take beyond what an empty store does, in KiB: SQLite's caches, and the lines of one batch.
const MEMORY: u64 = 40 * 1024;

/// Runs `linechat` with these arguments; what it says, and the most memory that it had, in KiB.
fn measured(arguments: &[&str]) -> (String, u64) {
    let began = Instant::now();
    let python = "import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)";
    let output = Command::new("python3").args(["-c", python, env!("CARGO_BIN_EXE_linechat")]).args(arguments).output();
    let output = output.expect("python3 runs");
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {said}{error}");
    let memory = error.lines().last().and_then(|line| line.parse().ok()).expect("a number");
    println!("{:8.1} s {:6} KiB  {}  {}", began.elapsed().as_secs_f64(), memory, arguments[0], said.trim());
    (said.into_owned(), memory)
}

/// All that can be done with a store, one after another; the memory that each took.
fn all(data: &Path, messages: u64) -> Vec<u64> {
    let place = data_dir();
    let [backup, lines, restored, imported] = ["backup", "lines", "restored", "imported"].map(|name| place.path().join(name));
    let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    let runs: [&[&str]; 7] = [
        &["backup", text(&backup), "--data-dir", text(data)],
        &["check", "--data-dir", text(data)],
        &["export", "--jsonl", text(&lines), "--data-dir", text(data)],
        &["restore", text(&backup), "--data-dir", text(&restored)],
        &["import", text(&lines), "--data-dir", text(&imported)],
        &["compact", "--data-dir", text(&imported)],
        &["check", "--data-dir", text(&imported)],
    ];
    let (said, memory): (Vec<_>, Vec<_>) = runs.iter().map(|run| measured(run)).unzip();
    let entries = messages + 101;
    for at in [1, 6] {
        assert!(said[at].contains(&format!(" is sound: {entries} entries, 101 rooms")), "{}", said[at]);
    }
    println!("{} bytes of backup, {} of lines, {} compacted", size(&backup), size(&lines), size(&imported.join("journal.db")));
    memory
}

#[test]
fn it_takes_no_more_memory() {
    if !crate::support::clients::is_installed("python3", "python3") {
        return;
    }
    let messages = std::env::var("LINECHAT_MESSAGES").ok().and_then(|messages| messages.parse().ok()).unwrap_or(20_000);
    let [small, large] = [100, messages].map(|messages| {
        let data = data_dir();
        crate::store::fill(data.path(), messages);
        all(data.path(), messages)
    });
    for (at, (small, large)) in small.into_iter().zip(large).enumerate() {
        assert!(large < small + MEMORY, "{at}: {large} KiB, and {small} KiB of a small store");
    }
}
