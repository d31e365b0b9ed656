//! A large store after a crash: served again without reading it all, in memory that does not grow with it.
//!
//! How long that takes is measured by `cargo bench --bench boot`; here it is only what takes the time that is looked at.

#[path = "support/store.rs"]
mod store;
mod support;

use std::fs;

use support::server::Server;

const MESSAGES: u64 = 100_000;

/// A number from one of the system's files about a process, in which it stands after `name`.
fn number(pid: u32, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).expect("the process is there");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the system counts this");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Bytes read and kilobytes of memory of a server that has started and answered a message.
fn cost(server: &Server) -> (u64, u64) {
    let mut client = server.connect();
    client.ok(&format!("MSG {} hi", client.id()));
    (number(server.pid(), "io", "rchar:"), number(server.pid(), "status", "VmRSS:"))
}

#[test]
fn starting_after_a_crash_costs_no_more_than_looking_at_each_page_three_times() {
    let mut server = Server::start(&[]);
    let (small_read, small_memory) = cost(&server);
    server.kill();
    store::fill(server.dir(), MESSAGES);
    server.restart();
    // The crash: something is in the write-ahead log that is in no other file.
    let mut client = server.connect();
    let sent = client.ok(&format!("MSG {} kept?", client.id()));
    server.kill();
    let size = fs::metadata(server.dir().join("journal.db")).expect("the store").len();
    let log = fs::metadata(server.dir().join("journal.db-wal")).expect("the log of a crash").len();
    assert!(size > MESSAGES * 64 && log > 0, "{size} and {log} bytes");
    server.restart();
    let (read, memory) = cost(&server);
    // Once from end to end for the sake of the disk, once for how the pages hang together and once for their rows.
    let more = read.saturating_sub(small_read);
    assert!(
        more <= 3 * size + 3 * log + (1 << 20),
        "{more} bytes were read for a store of {size}: more than each page three times"
    );
    let grown = memory.saturating_sub(small_memory);
    assert!(grown < 16 * 1024, "{grown} KiB more for {MESSAGES} messages");
    let seq = |ok: &str| ok.split(' ').nth(2).and_then(|seq| seq.parse::<u64>().ok()).expect("OK MSG has a seq");
    let mut client = server.connect();
    let next = client.ok(&format!("MSG {} on", client.id()));
    assert!(seq(&next) > seq(&sent), "{next} after {sent}");
}
