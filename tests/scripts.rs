//! The shell scripts of `scripts/protocol`, run with real netcats through a proxy that knows the grammar: against one server, and
//! against a cluster.

mod support;

use std::path::Path;
use std::process::{Command, Output};

use support::cluster::{Brokers, Cluster, Places};
use support::proxy::Proxy;
use support::server::Server;

/// Passwords are tried from one address by all scripts together, which is what that limit is against.
const OPTIONS: &[&str] = &["--limit", "passwords-per-address=none"];

fn run(script: &str, netcat: &str, arguments: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/protocol").join(script);
    Command::new(script).args(arguments).env("NC", netcat).output().expect("the script runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Runs all scripts twice against one server or one cluster: they must not mind what an earlier run has left.
fn protocol_tests(netcat: &str, servers: impl Into<Places>) {
    let proxy = Proxy::start(servers);
    let port = proxy.address().port().to_string();
    for _ in 0..2 {
        let output = run("run", netcat, &["127.0.0.1", &port]);
        assert!(output.status.success(), "{netcat}:\n{}", said(&output));
        assert!(said(&output).contains("\n9 passed, 0 failed\n"), "{}", said(&output));
    }
    assert!(proxy.check() > 6_000, "the scripts received {} lines", proxy.check());
}

fn at_one_server(netcat: &str) {
    let server = Server::start(OPTIONS);
    protocol_tests(netcat, server.address());
}

fn kill_9(netcat: &str) {
    let output = run("kill9.sh", netcat, &[env!("CARGO_BIN_EXE_linechat")]);
    assert!(output.status.success(), "{netcat}:\n{}", said(&output));
    assert!(said(&output).contains("4000 are stored, each once"), "{}", said(&output));
}

#[test]
fn the_protocol_tests_pass_with_the_netcat_of_openbsd() {
    if support::clients::is_installed("nc.openbsd", "netcat-openbsd") {
        at_one_server("nc.openbsd -N");
    }
}

/// Each script's people are at three servers.
#[test]
fn the_protocol_tests_pass_on_a_cluster() {
    if support::clients::is_installed("nc.openbsd", "netcat-openbsd")
        && let Some(brokers) = Brokers::start(1)
    {
        let cluster = Cluster::start(&brokers, "scripts", OPTIONS);
        protocol_tests("nc.openbsd -N", cluster.places());
    }
}

#[test]
fn the_protocol_tests_pass_with_ncat() {
    if support::clients::is_installed("ncat", "ncat") {
        at_one_server("ncat");
    }
}

#[test]
fn the_protocol_tests_pass_with_busybox() {
    if support::clients::is_installed("busybox", "busybox") {
        at_one_server("busybox nc");
    }
}

#[test]
fn kill_9_loses_nothing_that_a_script_was_promised() {
    if support::clients::is_installed("nc.openbsd", "netcat-openbsd") {
        kill_9("nc.openbsd -N");
    }
    if support::clients::is_installed("ncat", "ncat") {
        kill_9("ncat");
    }
}
