//! `linechat bench` against a real server: it measures what it says, and notices what is wrong.

mod support;

use std::process::{Command, Output};

use serde_json::Value;
use support::server::Server;
use support::tls::TlsServer;
use support::wait::until;

fn bench(server: &Server, work: &str, options: &[&str]) -> Output {
    let (address, pid) = (server.address().to_string(), server.pid().to_string());
    Command::new(env!("CARGO_BIN_EXE_linechat"))
        .args(["bench", work, &address, "--pid", &pid, "--json", "--seconds", "0.3", "--warm-up", "0.1"])
        .args(options)
        .output()
        .expect("the binary runs")
}

/// What a run measured; it must have been fine.
fn measured(server: &Server, work: &str, options: &[&str]) -> Value {
    let output = bench(server, work, options);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    assert_eq!(report["work"], work);
    report["measured"].clone()
}

#[test]
fn fanout_and_direct_messages_arrive_once_and_in_order() {
    let server = Server::start(&["--limit", "commands-per-second=none", "--limit", "commands-per-address=none"]);
    let fanout = measured(&server, "fanout", &["--connections", "10", "--senders", "2", "--in-flight", "8"]);
    let (messages, deliveries) = (&fanout["messages_a_second_per_s"], &fanout["deliveries_a_second_per_s"]);
    assert!(messages.as_f64() > Some(0.0) && deliveries.as_f64() > messages.as_f64(), "{fanout}");
    assert!(fanout["latency_p50_us"].as_f64() <= fanout["latency_max_us"].as_f64());
    let direct = measured(&server, "direct", &["--connections", "6", "--rate", "200"]);
    assert!(direct["messages_a_second_per_s"].as_f64() > Some(0.0), "{direct}");
}

#[test]
fn no_load_leaves_a_channel_or_a_guest() {
    let server = Server::start(&["--limit", "commands-per-second=none", "--limit", "commands-per-address=none"]);
    for work in ["fanout", "direct", "idle", "connect"] {
        measured(&server, work, &["--connections", "4", "--rate", "100"]);
        let mut last = server.connect();
        assert_eq!(last.ask("CHANNELS"), ["OK CHANNELS 0"], "{work}");
        until("all guests have gone", || (last.ask("LIST").len() == 2).then_some(()));
    }
}

/// The server of one core runs in one thread: another scheduler than the one of all other tests.
#[test]
fn a_server_on_one_core_keeps_up_with_itself() {
    let allowed = rustix::thread::sched_getaffinity(None).expect("the system says where this may run");
    let first = (0..rustix::thread::CpuSet::MAX_CPU).find(|&core| allowed.is_set(core)).expect("it runs somewhere");
    let mut one = rustix::thread::CpuSet::new();
    one.set(first);
    // Of this thread, which its children inherit.
    rustix::thread::sched_setaffinity(None, &one).expect("a thread may stay on one core");
    let server = Server::start(&["--limit", "commands-per-second=none", "--limit", "commands-per-address=none"]);
    let fanout = measured(&server, "fanout", &["--connections", "10", "--senders", "2", "--in-flight", "8"]);
    assert!(fanout["deliveries_a_second_per_s"].as_f64() > Some(0.0), "{fanout}");
}

#[test]
fn crowds_are_counted() {
    let server = Server::start(&[]);
    let connect = measured(&server, "connect", &["--connections", "3"]);
    assert!(connect["visits"].as_f64() > Some(0.0), "{connect}");
    let idle = measured(&server, "idle", &["--connections", "5"]);
    assert!(idle["memory_mib"].as_f64() > Some(1.0), "{idle}");
}

#[test]
fn a_refusal_fails_the_run() {
    let server = Server::start(&["--limit", "members=3"]);
    let output = bench(&server, "fanout", &["--connections", "5"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("was refused: ERR QUOTA JOIN"), "{said}");
    assert!(!bench(&server, "direct", &["--connections", "3"]).status.success(), "three users are no pairs");
}

#[test]
fn a_load_over_tls_trusts_the_given_certificate_and_no_other() {
    let server = TlsServer::start(&["--limit", "commands-per-second=none"]);
    let run = |certificate: &str| {
        let address = format!("localhost:{}", server.address.port());
        Command::new(env!("CARGO_BIN_EXE_linechat"))
            .args(["bench", "fanout", &address, "--connections", "10", "--in-flight", "8"])
            .args(["--seconds", "0.3", "--warm-up", "0.1", "--json", "--tls-ca"])
            .arg(server.dir.path().join(certificate))
            .output()
            .expect("the binary runs")
    };
    let fine = run("cert.pem");
    assert!(fine.status.success(), "{}", String::from_utf8_lossy(&fine.stderr));
    let report: Value = serde_json::from_slice(&fine.stdout).expect("it prints JSON");
    assert!(report["measured"]["deliveries_a_second_per_s"].as_f64() > Some(0.0), "{report}");
    server.change_certificate();
    let refused = run("old-cert.pem");
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && why.contains("invalid peer certificate"), "{why}");
}
