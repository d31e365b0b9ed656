//! Real clusters: servers over nats-servers, which are cut off, stand still, begin anew and forget. Nothing here may
//! depend on how long that takes.

mod support;

use std::process::Command;

use support::client::Client;
use support::cluster::{Brokers, Cluster, LIMITS, answer, history, witness};
use support::jetstream::ends;
use support::server::{PATIENCE, Server, data_dir};
use support::wait::until;

#[test]
fn a_name_and_a_channel_that_three_want_at_once_have_one_owner() {
    let Some(brokers) = Brokers::start(1) else { return };
    let cluster = Cluster::start(&brokers, "race", &LIMITS);
    for round in 0..20 {
        for (line, code) in [(format!("NAME wren{round}"), "NAME_TAKEN"), (format!("CREATE #wren{round}"), "CHANNEL_EXISTS")] {
            let mut people: Vec<_> = cluster.nodes.iter().map(|node| node.connect()).collect();
            people.iter_mut().for_each(|person| person.send(&line));
            let answers: Vec<_> = people.iter_mut().map(|person| person.answer().concat()).collect();
            let taken = answers.iter().filter(|answer| answer.starts_with("OK ")).count();
            let refused = answers.iter().filter(|answer| answer.starts_with(&format!("ERR {code} "))).count();
            assert_eq!((taken, refused), (1, 2), "{answers:?}");
        }
    }
}

#[test]
fn without_brokers_reading_goes_on_and_nothing_is_taken() {
    let Some(mut brokers) = Brokers::start(1) else { return };
    let cluster = Cluster::start(&brokers, "lost", &LIMITS);
    let (mut ana, mut bob) = (cluster.nodes[0].connect(), cluster.nodes[1].connect());
    ana.ok("NAME ana");
    ana.ok("CREATE #rust");
    ana.ok("SAY #rust before");
    cluster.settle();
    bob.ok("JOIN #rust");
    brokers.kill(0);
    // What is on its way when the broker dies is answered in its time; what comes later, at once.
    let mut said = 0;
    let refused = until("it is refused", || {
        said += 1;
        let text = format!("meanwhile-{said}");
        answer(&mut ana, &format!("SAY #rust {text}")).starts_with("ERR UNAVAILABLE SAY ").then_some(text)
    });
    assert_eq!(ana.ok("HISTORY #rust"), "OK HISTORY 1");
    until("the other server knows", || answer(&mut bob, "CAPS").ends_with(" cluster=cut-off").then_some(()));
    assert_eq!(bob.ok("LIST #rust"), "OK LIST 2");
    bob.err("NAME bob", "UNAVAILABLE");
    brokers.start_one(0);
    until("it is taken", || answer(&mut bob, "SAY #rust after").starts_with("OK SAY ").then_some(()));
    until("it is shown", || ana.event("MSG ").ends_with(" after").then_some(()));
    until("it says so", || answer(&mut ana, "CAPS").ends_with(" cluster=reached").then_some(()));
    let kept = ana.ask("HISTORY #rust").concat();
    assert!(kept.contains(" before") && kept.contains(" after") && !kept.contains(&refused), "{refused}: {kept}");
}

#[test]
fn a_server_that_is_silent_for_longer_than_its_lease_is_given_up_and_begins_anew() {
    let Some(brokers) = Brokers::start(1) else { return };
    let cluster = Cluster::start(&brokers, "silent", &LIMITS);
    let (mut ana, mut bob) = (cluster.nodes[0].connect(), cluster.nodes[1].connect());
    ana.ok("NAME ana");
    ana.ok("CREATE #rust");
    cluster.settle();
    bob.ok("JOIN #rust");
    cluster.nodes[0].signal("STOP");
    let gone = bob.event("LEAVE ");
    assert!(gone.contains(" ana:") && gone.ends_with(" disconnected"), "{gone}");
    bob.ok("NAME ana");
    ana.send("SAY #rust I am still here");
    cluster.nodes[0].signal("CONT");
    let told: Vec<_> = ana.rest();
    assert!(told.last().is_some_and(|line| line.starts_with("* BYE this server was cut off")), "{told:?}");
    assert!(!told.iter().any(|line| line.starts_with("OK ")), "{told:?}");
    until("it knows", || {
        let mut client = Client::connect_silently(cluster.nodes[0].address());
        client.line().starts_with("* HELLO ").then_some(())?;
        client.ask("LIST").iter().any(|line| line.contains(" ana:")).then_some(())
    });
}

#[test]
fn a_server_that_cannot_be_a_node_says_why() {
    let Some(brokers) = Brokers::start(1) else { return };
    let _cluster = Cluster::start(&brokers, "why", &[]);
    let urls = brokers.urls();
    let refused = |directory: &std::path::Path, options: &[&str]| {
        let mut command = Command::new("timeout");
        command.args([&PATIENCE.as_secs().to_string(), env!("CARGO_BIN_EXE_linechat"), "serve", "--listen", "127.0.0.1:0"]);
        command.arg("--data-dir").arg(directory).args(options).env("RUST_LOG", "off");
        let output = command.output().expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        said.trim_start_matches("linechat: ").trim_end().to_owned()
    };
    let own = data_dir();
    let node = |stream: &'static str| {
        ["--journal", "nats", "--nats", &urls, "--nats-stream", stream, "--node", "other"].map(str::to_owned)
    };
    let with = |stream, more: &[&str]| {
        let options: Vec<_> = node(stream).into_iter().chain(more.iter().map(|&it| it.to_owned())).collect();
        refused(own.path(), &options.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(
        with("why", &["--limit", "inbox=7"]),
        "the cluster refuses this server: other has other limits than node0; give all servers of a cluster the same --limit \
         options (one that has died is forgotten after a minute)"
    );
    let shown = own.path().display();
    assert_eq!(
        with("another", &[]),
        format!(
            "{shown} holds a copy of another cluster's journal, and not a copy of this cluster's; give a --data-dir that is empty or this \
             server's own"
        )
    );
    assert_eq!(
        with("huge", &["--limit", "stream=1125899906842624"]),
        "the stream huge cannot be made: the NATS servers have no room for 1125899906842624 bytes; give --limit stream=BYTES with \
         fewer, or them a larger disk"
    );
    assert_eq!(
        refused(own.path(), &["--journal", "nats"]),
        "--journal nats needs to know where the NATS servers are; give --nats nats://HOST:4222"
    );
    assert_eq!(
        refused(own.path(), &["--nats", &urls]),
        "--nats is for a journal that is shared by many servers; give --journal nats too"
    );
    assert_eq!(
        refused(own.path(), &["--journal", "nats", "--nats", "http://[", "--node", "other"]),
        "'http://[' is not the address of a NATS server; give --nats nats://HOST:4222"
    );
}

/// They would end each other again and again.
#[test]
fn of_two_servers_with_one_name_one_ends() {
    let Some(brokers) = Brokers::start(1) else { return };
    let mut pair = [0; 2].map(|_| Cluster::join(&brokers, "twins", "same", &[]));
    let ended = until("one of them ends", || pair.iter_mut().position(Server::has_ended));
    assert_eq!(pair[ended].wait().code(), Some(1));
    let other = 1 - ended;
    until("the other serves", || {
        let mut client = Client::connect_silently(pair[other].address());
        client.try_line().filter(|line| line.starts_with("* HELLO ")).map(drop)
    });
    assert!(!pair[other].has_ended());
}

#[test]
fn a_snapshot_brings_a_server_up_to_date_and_lets_the_stream_be_forgotten() {
    let Some(brokers) = Brokers::start(1) else { return };
    let options = [&LIMITS[..], &["--limit", "snapshot-batches=40"]].concat();
    let mut cluster = Cluster::start(&brokers, "snap", &options);
    let mut ana = cluster.nodes[0].connect();
    ana.ok("NAME ana");
    ana.ok("CREATE #kill");
    cluster.settle();
    let mut absent = cluster.nodes.pop().expect("three servers");
    absent.signal("TERM");
    absent.wait();
    let mut said = 0;
    until("two snapshots are there", || {
        for _ in 0..20 {
            ana.ok(&format!("SAY #kill said-{said}"));
            said += 1;
        }
        (ends(&brokers, "snap").0 > 60).then_some(())
    });
    cluster.settle();
    let all = history(&mut witness(cluster.nodes[1].address()));
    assert_eq!(all.len(), said);
    // One that was away for longer than the stream goes back, and one that knows nothing.
    absent.restart();
    let new = Cluster::join(&brokers, "snap", "node3", &options);
    for server in [&absent, &new] {
        assert_eq!(history(&mut witness(server.address())), all);
        let mut client = server.connect();
        assert!(client.ask("LIST").iter().any(|line| line.contains(" ana:")), "who is there is in a snapshot, too");
    }
    ana.ok("SAY #kill and it goes on");
    cluster.nodes.extend([absent, new]);
    cluster.settle();
    let histories: Vec<_> = cluster.nodes.iter().map(|node| history(&mut witness(node.address()))).collect();
    assert!(histories.iter().all(|history| history.len() == said + 1 && *history == histories[0]));
}

/// Whoever holds something else than the others ends, and begins again with what they hold.
#[test]
fn a_copy_that_is_not_equal_to_the_others_is_set_aside() {
    let Some(brokers) = Brokers::start(1) else { return };
    let options = [&LIMITS[..], &["--limit", "digest-batches=20"]].concat();
    let mut cluster = Cluster::start(&brokers, "wrong", &options);
    let mut ana = cluster.nodes[0].connect();
    ana.ok("CREATE #kill");
    ana.ok("TOPIC #kill what is right");
    cluster.settle();
    let mut wrong = cluster.nodes.pop().expect("three servers");
    wrong.signal("TERM");
    wrong.wait();
    let copy = rusqlite::Connection::open(wrong.dir().join("journal.db")).expect("there is a copy");
    assert_eq!(copy.execute("DELETE FROM state WHERE key LIKE 'c/%/t'", []), Ok(1));
    drop(copy);
    wrong.restart();
    for number in 0..60 {
        ana.ok(&format!("SAY #kill said-{number}"));
    }
    assert_eq!(wrong.wait().code(), Some(1));
    assert!(wrong.dir().join("wrong.db").exists());
    wrong.restart();
    let mut client = wrong.connect();
    client.ok("JOIN #kill");
    let topic = client.ask("TOPIC #kill").concat();
    assert!(topic.contains("what is right"), "{topic}");
    assert_eq!(history(&mut witness(wrong.address())).len(), 60);
    // The others never doubted.
    ana.ok("SAY #kill it goes on");
}

/// A stream of a megabyte, of which nothing is forgotten.
#[test]
fn a_stream_that_is_nearly_full_takes_no_messages_and_goes_on_otherwise() {
    let Some(brokers) = Brokers::start(1) else { return };
    let options = [&LIMITS[..], &["--limit", "stream=1048576", "--limit", "snapshot-batches=none"]].concat();
    let cluster = Cluster::start(&brokers, "full", &options);
    let (mut ana, mut bob) = (cluster.nodes[0].connect(), cluster.nodes[1].connect());
    ana.ok("REGISTER ana correct-horse");
    cluster.settle();
    let text = "x".repeat(3000);
    let mut taken = 0;
    let refused = until("it is full", || {
        let answer = answer(&mut bob, &format!("MSG ana {text}"));
        taken += usize::from(answer.starts_with("OK "));
        answer.strip_prefix("ERR ").map(str::to_owned)
    });
    assert_eq!(refused, "STORE_FULL MSG the servers' common journal is nearly full; nothing was stored, try later");
    bob.err("CREATE #more", "STORE_FULL");
    bob.ok("NAME bob");
    cluster.settle();
    assert_eq!(ana.ask("INBOX 1000").iter().filter(|line| line.ends_with(&text)).count(), taken);
    ana.ok("ACK *");
    assert_eq!(ana.ok("INBOX"), "OK INBOX 0 0");
}

#[test]
fn a_stream_that_fills_up_is_forgotten_in_time() {
    let Some(brokers) = Brokers::start(1) else { return };
    let options = [&LIMITS[..], &["--limit", "stream=1048576"]].concat();
    let cluster = Cluster::start(&brokers, "filling", &options);
    let mut ana = cluster.nodes[0].connect();
    ana.ok("CREATE #kill");
    let text = "x".repeat(3000);
    // Three times what the stream holds.
    for number in 0..1000 {
        until("it is taken", || answer(&mut ana, &format!("SAY #kill {text} said-{number}")).starts_with("OK ").then_some(()));
    }
    assert!(ends(&brokers, "filling").0 > 600);
    cluster.settle();
    let said: Vec<_> = history(&mut witness(cluster.nodes[2].address())).into_iter().map(|(_, text)| text).collect();
    assert!(said.iter().cloned().eq((0..1000).map(|number| format!("said-{number}"))), "{}", said.len());
}
