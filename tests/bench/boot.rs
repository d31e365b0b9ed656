//! How long a server takes to serve again, and what memory it has then, after it was killed with 1,000,000 messages stored.
//!
//! `cargo bench --bench boot`. Serving means that a message was answered OK. `LINECHAT_BOOT_MESSAGES` stores another number;
//! `-- --json` ends with a line for scripts.

#[path = "../support/store.rs"]
mod store;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::time::Instant;

use serde_json::json;
use support::server::Server;

const RUNS: u32 = 5;

fn main() {
    // `cargo test --benches` runs this too, and only to see that it works.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    let default = if is_test { 10_000 } else { 1_000_000 };
    let count = std::env::var("LINECHAT_BOOT_MESSAGES").map_or(default, |count| count.parse().expect("a number"));
    let mut server = Server::start(&[]);
    server.kill();
    let began = Instant::now();
    store::fill(server.dir(), count);
    let size = fs::metadata(server.dir().join("journal.db")).expect("the store").len();
    println!("{count} messages, {} MiB, stored in {:.2?}", size >> 20, began.elapsed());
    server.restart();
    let (mut times, mut rss) = (Vec::new(), 0.0);
    for run in 1..=RUNS {
        let mut client = server.connect();
        for number in 0..1000 {
            client.ok(&format!("MSG {} {number}", client.id()));
        }
        server.kill();
        if run == RUNS {
            // As root: the store comes from the disk and not from the system's cache.
            let _ = fs::write("/proc/sys/vm/drop_caches", "3");
        }
        let began = Instant::now();
        server.restart();
        let mut client = server.connect();
        client.ok(&format!("MSG {} hi", client.id()));
        let taken = began.elapsed();
        let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap_or_default();
        let memory = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("VmRSS: unknown");
        let cache = if run == RUNS { ", nothing cached" } else { "" };
        println!("after kill -9: serving in {taken:.3?}, {}{cache}", memory.replace('\t', " "));
        times.push(taken.as_secs_f64() * 1000.0);
        rss = memory.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(f64::NAN);
    }
    if std::env::args().any(|argument| argument == "--json") {
        // The last run is another measurement: it reads the store from the disk.
        let uncached = times.pop();
        times.sort_by(f64::total_cmp);
        let measured =
            json!({ "serving_ms": times[times.len() / 2], "serving_uncached_ms": uncached, "memory_mib": rss / 1024.0 });
        println!("{}", json!({ "work": "boot", "measured": measured }));
    }
}
