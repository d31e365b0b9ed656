//! `linechat copy`: a journal on a disk becomes that of a cluster, and comes back. Everything that was said is there, and whoever
//! had an account has it.

mod support;

use std::fs::File;
use std::path::Path;
use std::process::Command;

use support::client::Client;
use support::cluster::{Brokers, Cluster, LIMITS};
use support::server::{PATIENCE, Server, data_dir};
use tempfile::TempDir;

/// Runs `linechat copy` with these arguments: whether it succeeds, and what it says.
fn copy(from: &str, to: &str, options: &[&str]) -> (bool, String) {
    let mut command = Command::new("timeout");
    command.args([&PATIENCE.as_secs().to_string(), env!("CARGO_BIN_EXE_linechat"), "copy", "--from", from, "--to", to]);
    let output = command.args(options).env_remove("RUST_LOG").output().expect("the binary runs");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.success(), String::from_utf8_lossy(&said).trim_start_matches("linechat: ").trim_end().to_owned())
}

fn disk(directory: &Path) -> String {
    format!("disk:{}", directory.display())
}

/// Everything that ana may read: her inbox, and the channel.
fn all_of(ana: &mut Client) -> Vec<String> {
    ["INBOX 1000", "HISTORY #rust 1000", "TOPIC #rust"].iter().flat_map(|line| ana.ask(line)).collect()
}

fn log_in(server: &Server) -> Client {
    let mut ana = server.connect();
    ana.ok("LOGIN ana correct-horse");
    ana
}

/// A server that has been talked at: its directory, and what ana reads there.
fn spoken() -> (Server, Vec<String>) {
    let mut server = Server::start(&LIMITS);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    ana.ok("REGISTER ana correct-horse");
    ana.ok("CREATE #rust");
    ana.ok("TOPIC #rust the borrow checker");
    bob.ok("JOIN #rust");
    bob.ok("CREATE #bobs");
    for number in 0..300 {
        bob.ok(&format!("SAY #rust @key{number} line {number}"));
        bob.ok(&format!("MSG ana letter {number}"));
    }
    ana.ok("ACK *");
    bob.ok("MSG ana unread");
    // Whoever is only a guest is gone with the server, as at every stop.
    drop(bob);
    server.signal("TERM");
    server.wait();
    server.restart();
    let before = all_of(&mut log_in(&server));
    server.signal("TERM");
    server.wait();
    (server, before)
}

#[test]
fn a_journal_moves_to_a_cluster_and_back() {
    let Some(brokers) = Brokers::start(1) else { return };
    let (alone, before) = spoken();
    let nats = format!("nats:{}", brokers.urls());
    let (done, said) = copy(&disk(alone.dir()), &nats, &["--nats-stream", "moved"]);
    assert!(done && said.starts_with("copied 6") && said.ends_with(" entries, and read each back"), "{said}");
    let (done, said) = copy(&disk(alone.dir()), &nats, &["--nats-stream", "moved"]);
    assert!(!done && said.starts_with("the stream moved is in use already"), "{said}");
    let mut cluster = Cluster::start(&brokers, "moved", &LIMITS);
    for node in &cluster.nodes {
        assert_eq!(all_of(&mut log_in(node)), before);
        cluster.settle();
    }
    let mut guest = cluster.nodes[2].connect();
    assert!(guest.ask("LIST").iter().all(|line| !line.contains(" guest-1001")), "an id is given out once");
    guest.ok("MSG ana by the cluster");
    cluster.settle();
    let wrong = TempDir::new().expect("a directory");
    let (done, said) = copy(&nats, &disk(wrong.path()), &["--nats-stream", "moved", "--limit", "inbox=7"]);
    assert!(!done && said.ends_with("give the same --limit options to copy as to them"), "{said}");
    let back = TempDir::new().expect("a directory");
    let (done, said) = copy(&nats, &disk(back.path()), &["--nats-stream", "moved"]);
    assert!(!wrong.path().join("journal.db").exists(), "a part is not taken for the whole");
    assert!(done && said.contains("3 servers of the cluster are still there"), "{said}");
    let (done, said) = copy(&nats, &disk(back.path()), &["--nats-stream", "moved"]);
    assert!(!done && said.contains("there is a journal in ") && said.contains(" already"), "{said}");
    let mut node = cluster.nodes.pop().expect("three servers");
    node.signal("TERM");
    node.wait();
    let (done, said) = copy(&disk(node.dir()), &nats, &["--nats-stream", "again"]);
    assert!(!done && said.contains("holds the copy of a cluster's server"), "{said}");
    node.restart();
    assert_eq!(all_of(&mut log_in(&node)).len(), before.len() + 1, "it is what it was");
    drop(node);
    cluster.nodes.clear();
    let server = Server::start_in(back.path(), &LIMITS);
    let mut ana = log_in(&server);
    let after = all_of(&mut ana);
    assert_eq!(after.len(), before.len() + 1);
    assert!(after.iter().any(|line| line.ends_with(" by the cluster")), "{after:?}");
    assert!(ana.ask("LIST").iter().filter(|line| line.starts_with("- ")).count() == 1, "nobody of the cluster is here");
    ana.ok("SAY #rust and on");
    assert!(ana.ask("HISTORY #rust 1").concat().contains(" and on"));
}

#[test]
fn what_cannot_be_copied_is_said() {
    let Some(brokers) = Brokers::start(1) else { return };
    let nats = format!("nats:{}", brokers.urls());
    let server = Server::start(&[]);
    let empty = data_dir();
    let refused = |from: &str, to: &str| {
        let (done, said) = copy(from, to, &[]);
        assert!(!done, "{said}");
        said
    };
    let said = refused(&disk(server.dir()), &nats);
    assert!(said.contains("is in use"), "{said}");
    let said = refused(&disk(empty.path()), &nats);
    assert!(said.starts_with("there is no journal in "), "{said}");
    // Whatever somebody begins there meanwhile would be lost.
    let lock = File::create(empty.path().join("lock")).expect("a file");
    lock.try_lock().expect("nobody has it");
    let said = refused(&nats, &disk(empty.path()));
    assert!(said.contains(" is in use by another linechat server; stop it, "), "{said}");
    drop(lock);
    let said = refused(&disk(empty.path()), &disk(empty.path()));
    assert!(said.starts_with("a journal is copied from a disk to a stream, or back"), "{said}");
    let said = refused("elsewhere", &nats);
    assert!(said.contains("give disk:DIR, such as disk:/var/lib/linechat, or nats:URL"), "{said}");
}
