//! Being watched: what is counted, who is told whether the server works, and what a real Prometheus makes of it.

#[path = "metrics/prometheus.rs"]
mod prometheus;
mod support;

use std::io::Read;
use std::net::TcpStream;

use support::admin::done;
use support::client::Client;
use support::cluster::{Brokers, Cluster, answer};
use support::server::{PATIENCE, Server, data_dir};
use support::tls::certify;
use support::wait::until;
use support::watched::{WATCHED, get, sample, samples, try_ask, watched_at};

const PASSWORD: &str = "correct horse battery";

/// Ana and Bob at a server, in a channel.
fn two_in_a_channel(server: &Server) -> (Client, Client) {
    let (mut ana, mut bob) = (server.connect(), server.connect());
    ana.ok(&format!("REGISTER ana {PASSWORD}"));
    ana.ok("CREATE #rust");
    bob.ok("JOIN #rust");
    ana.event("JOIN ");
    (ana, bob)
}

#[test]
fn what_people_do_is_counted() {
    let server = Server::start(&[&WATCHED[..], &["--limit", "connections-per-address=3"]].concat());
    let watched = watched_at(&server);
    let (mut ana, mut bob) = two_in_a_channel(&server);
    let before = get(watched, "/metrics").body;
    for number in 0..5 {
        ana.ok(&format!("SAY #rust number {number}"));
        bob.event("MSG ");
    }
    bob.err("SAY #go hi", "NO_SUCH_CHANNEL");
    bob.err("MSG ana", "BAD_SYNTAX");
    bob.err("LOGIN ana wrong horse battery", "LOGIN_FAILED");
    bob.err("NICK bob", "UNKNOWN_COMMAND");
    bob.ok("PING");
    let third = server.connect();
    assert!(Client::connect_silently(server.address()).line().starts_with("ERR QUOTA"));

    let after = get(watched, "/metrics").body;
    let (before, after) = (samples(&before), samples(&after));
    let more = |name: &str| after.get(name).unwrap_or_else(|| panic!("{name}")) - before.get(name).unwrap_or(&0.0);
    let commands = |verb, result| more(&format!("linechat_commands_total{{verb=\"{verb}\",result=\"{result}\"}}"));
    assert_eq!(commands("SAY", "ok"), 5.0);
    assert_eq!(commands("SAY", "no_such_channel"), 1.0);
    assert_eq!(commands("MSG", "bad_syntax"), 1.0);
    assert_eq!(commands("LOGIN", "login_failed"), 1.0);
    assert_eq!(commands("-", "unknown_command"), 1.0);
    assert_eq!(commands("PING", "ok"), 1.0);
    assert_eq!(more("linechat_deliveries_total"), 5.0, "to Bob; Ana has her OK");
    assert_eq!(more("linechat_connections_total"), 1.0);
    assert_eq!(more("linechat_turned_away_total{reason=\"quota\"}"), 1.0);
    assert!(more("linechat_received_bytes_total") >= 5.0 * "SAY #rust number 0\n".len() as f64);
    assert!(more("linechat_sent_bytes_total") >= 10.0 * "* MSG #rust".len() as f64);
    assert!(more("linechat_batch_entries_sum") >= 5.0 && more("linechat_batch_entries_count") >= 5.0);
    assert_eq!(more("linechat_commit_seconds_count"), 5.0, "nobody waits for the disk when somebody comes");
    assert!(more("linechat_commit_seconds_sum") > 0.0);
    let bounds: Vec<_> = after.keys().filter_map(|name| name.strip_prefix("linechat_commit_seconds_bucket{le=\"")).collect();
    assert!(bounds.len() > 10 && bounds.iter().all(|bound| *bound == "+Inf\"}" || !bound.contains("e+")), "{bounds:?}");
    assert_eq!(more("linechat_commit_seconds_bucket{le=\"+Inf\"}"), more("linechat_commit_seconds_count"));
    for (name, value) in [
        ("linechat_connections", 3.0),
        ("linechat_users_online", 3.0),
        ("linechat_accounts", 1.0),
        ("linechat_channels", 1.0),
        ("linechat_ready", 1.0),
        ("linechat_order_queue", 0.0),
        ("linechat_damaged_entries_total", 0.0),
        ("linechat_journal_info{class=\"fsync\"}", 1.0),
        (concat!("linechat_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert_eq!(after.get(name), Some(&value), "{name}");
    }
    assert!(after["process_resident_memory_bytes"] > 1e6 && after["process_open_fds"] > 5.0);
    drop((ana, bob, third));
    until("they have gone", || (sample(watched, "linechat_connections") == 0.0).then_some(()));
    until("the index has all", || (sample(watched, "linechat_search_lag") == 0.0).then_some(()));
}

#[test]
fn a_reader_who_is_behind_and_damage_are_counted() {
    let mut server = Server::start(&WATCHED);
    let (mut ana, bob) = two_in_a_channel(&server);
    let said: Vec<_> = (0..3).map(|number| ana.ok(&format!("SAY #rust number {number}"))).collect();
    let seq = said[1].split(' ').nth(2).expect("it has a seq");
    drop((ana, bob));
    server.kill();
    let store = rusqlite::Connection::open(server.dir().join("journal.db")).expect("it opens");
    let sql = "UPDATE entries SET event = replace(event, 'number', 'numbex') WHERE seq = ?";
    assert_eq!(store.execute(sql, [seq]).expect("it can be damaged"), 1);
    drop(store);
    server.restart();
    let watched = watched_at(&server);
    let mut ana = server.connect();
    ana.ok(&format!("LOGIN ana {PASSWORD}"));
    assert_eq!(sample(watched, "linechat_catch_up_reads_total"), 0.0);
    // What was said before the server started is not in memory.
    ana.send("FOLLOW #rust since 1");
    while !ana.line().ends_with(" number 2") {}
    assert_eq!(sample(watched, "linechat_catch_up_reads_total"), 1.0);
    assert_eq!(sample(watched, "linechat_damaged_entries_total"), 1.0);
}

#[test]
fn http_is_answered_in_few_words_and_little_time() {
    let server = Server::start(&WATCHED);
    let watched = watched_at(&server);
    // They say nothing, and take all the places.
    let silent: Vec<_> = (0..16).map(|_| TcpStream::connect(watched).expect("it listens")).collect();
    let metrics = get(watched, "/metrics");
    assert_eq!(metrics.status, 200);
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"), "{}", metrics.head);
    for mut silent in silent {
        silent.set_read_timeout(Some(PATIENCE)).expect("a deadline can be set");
        let mut rest = String::new();
        let closed = silent.read_to_string(&mut rest);
        assert!(closed.is_ok(), "whoever says nothing is not waited for: {closed:?} {rest}");
    }
    let head = try_ask(watched, "HEAD", "/metrics").expect("it answers");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!((get(watched, "/healthz").status, get(watched, "/readyz").body.as_str()), (200, "ready\n"));
    let other = get(watched, "/");
    assert!(other.status == 404 && other.body.contains("/metrics, /healthz and /readyz"), "{other:?}");
    let post = try_ask(watched, "POST", "/metrics").expect("it answers");
    assert!(post.status == 405 && post.head.contains("allow: get, head"), "{post:?}");
    // The operator is told the same over their own socket.
    let told = done(&server, &["metrics"]);
    let names = |text: &str| -> Vec<String> { samples(text).into_keys().map(str::to_owned).collect() };
    assert_eq!(names(&told), names(&metrics.body));
}

#[test]
fn a_server_that_stops_is_not_ready_and_a_taken_port_is_said() {
    let mut server = Server::start(&WATCHED);
    let watched = watched_at(&server);
    let taken = std::process::Command::new(env!("CARGO_BIN_EXE_linechat"))
        .args(["serve", "--listen", "127.0.0.1:0", "--journal", "memory", "--metrics-listen", &watched.to_string()])
        .output()
        .expect("the binary runs");
    let why = String::from_utf8_lossy(&taken.stderr).into_owned();
    assert!(!taken.status.success() && why.contains("give another --metrics-listen ADDR:PORT"), "{why}");
    // Who keeps their side open is waited for a little.
    let mut ana = server.connect();
    server.signal("TERM");
    ana.event("SHUTDOWN");
    let page = get(watched, "/readyz");
    assert_eq!((page.status, page.body.as_str()), (503, "stopping\n"));
    assert_eq!(get(watched, "/healthz").status, 200);
    assert_eq!(sample(watched, "linechat_ready"), 0.0);
    drop(ana);
    assert!(server.wait().success());
    assert!(try_ask(watched, "GET", "/healthz").is_none());
}

#[test]
fn a_server_that_is_cut_off_says_so_on_a_cluster() {
    let Some(mut brokers) = Brokers::start(1) else { return };
    let folder = data_dir();
    certify(folder.path());
    let file = |name: &str| folder.path().join(name).to_str().expect("its path is UTF-8").to_owned();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let tls = ["--tls-listen", "127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key];
    let server = Cluster::join(&brokers, "watched", "ash", &[&WATCHED[..], &tls].concat());
    let watched = watched_at(&server);
    let mut ana = server.connect();
    ana.ok("CREATE #rust");
    ana.ok("SAY #rust hi");
    assert_eq!(get(watched, "/readyz").status, 200);
    let page = get(watched, "/metrics");
    prometheus::assert_names_are_in(&page.body, true);
    prometheus::assert_table_is_theirs(&page.body);
    assert_eq!(samples(&page.body)["linechat_cut_off"], 0.0);
    until("it has taken all", || (sample(watched, "linechat_replica_lag") == 0.0).then_some(()));
    brokers.kill(0);
    until("it is cut off", || answer(&mut ana, "CAPS").ends_with(" cluster=cut-off").then_some(()));
    let page = get(watched, "/readyz");
    assert_eq!((page.status, page.body.as_str()), (503, "cut off from the cluster\n"));
    assert_eq!((sample(watched, "linechat_cut_off"), sample(watched, "linechat_ready")), (1.0, 0.0));
    assert_eq!(get(watched, "/healthz").status, 200);
}
