//! A server on a disk that is full: it starts, lets people in, reads and marks, and refuses what it cannot keep.

mod support;

use std::collections::BTreeSet;
use std::fs;

use support::admin::done;
use support::client::Client;
use support::server::Server;
use support::small::Small;
use support::wait::until;
use support::watched::{WATCHED, get, sample, watched_at};

const LIMITS: [&str; 2] = ["--limit", "passwords-per-minute=none"];

fn login(server: &Server) -> Client {
    let mut ana = server.connect();
    ana.ok("LOGIN ana correct horse battery");
    ana
}

#[test]
fn a_server_starts_on_a_full_disk_and_refuses_only_what_it_cannot_keep() {
    let Some(disk) = Small::mount() else { return };
    let data = disk.path().join("data");
    let mut server = Server::start_in(&data, &LIMITS);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    ana.ok("REGISTER ana correct horse battery");
    ana.ok("CREATE #rust");
    let said: Vec<_> = (0..3).map(|number| bob.ok(&format!("MSG ana {number}"))).collect();
    server.kill();
    disk.fill();
    server.restart();
    let mut ana = login(&server);
    assert_eq!(ana.ask("INBOX").pop().as_deref(), Some("OK INBOX 3 0"));
    let second = said[1].split(' ').nth(2).expect("it has a seq");
    assert_eq!(ana.ok(&format!("ACK {second}")), format!("OK ACK {second}"));
    ana.err("SAY #rust is there room?", "STORE_FULL");
    ana.err("TOPIC #rust Full", "STORE_FULL");
    // Guests need no room of their own.
    let mut carol = server.connect();
    carol.ok("NAME carol");
    carol.ok("JOIN #rust");
    carol.err("MSG ana hello", "STORE_FULL");
    carol.err("CREATE #tea", "STORE_FULL");
    carol.ok("LEAVE #rust");
    assert!(carol.ask("LIST").last().is_some_and(|line| line.starts_with("OK LIST ")));
    // As soon as there is room, everything goes on by itself.
    fs::remove_file(disk.path().join("filled")).expect("it can be removed");
    until("there is room", || carol.ask("MSG ana hello").pop().filter(|line| line.starts_with("OK MSG ")));
    ana.ok("SAY #rust there is room");
    server.kill();
    server.restart();
    assert_eq!(login(&server).ask("INBOX").pop().as_deref(), Some("OK INBOX 2 0"), "one unread, and Carol's");
}

/// Whoever has to mend it is told once, and sees it wherever they look.
#[test]
fn the_operator_is_told() {
    let Some(disk) = Small::mount_of(32) else { return };
    let server = Server::start_logging_in(&disk.path().join("data"), &WATCHED);
    let mut ana = server.connect();
    ana.ok("CREATE #rust");
    disk.fill();
    let long = "x".repeat(3500);
    (0..10).for_each(|_| drop(ana.ask(&format!("SAY #rust {long}"))));
    ana.err(&format!("SAY #rust {long}"), "STORE_FULL");
    let ready = || get(watched_at(&server), "/readyz");
    assert_eq!((ready().status, ready().body.trim_end()), (503, "the disk is full"));
    assert_eq!(sample(watched_at(&server), "linechat_disk_full"), 1.0);
    assert!(done(&server, &["status"]).lines().any(|line| line.starts_with("disk ") && line.ends_with(" full")));
    let told = |what| server.log().matches(what).count();
    assert_eq!(told(" ERROR linechat::replica: the disk is full: nobody can say anything until there is room"), 1);
    // What was given back for marks is taken again: that is no room.
    let taken = || disk.path().join("data/reserve").metadata().ok().filter(|reserve| reserve.len() == 8 << 20).map(drop);
    until("the reserve is there again", || ana.ask("PING").pop().and_then(|_| taken()));
    assert_eq!((ready().status, told("the disk is full: "), told("there is room on the disk again")), (503, 1, 0));
    fs::remove_file(disk.path().join("filled")).expect("it can be removed");
    until("nobody has to speak for it", || (ready().status == 200).then_some(()));
    assert_eq!(told(" WARN linechat::replica: there is room on the disk again"), 1);
    ana.ok(&format!("SAY #rust {long}"));
}

/// Somebody else takes every byte, and takes even the room that the server gives back for its marks.
#[test]
fn newcomers_are_let_in_and_read_when_not_a_byte_is_left() {
    let Some(disk) = Small::mount() else { return };
    let data = disk.path().join("data");
    // They leave faster than a busy machine notices, and all come from one address.
    let limits = [&LIMITS[..], &["--limit", "connections-per-address=none"]].concat();
    let mut server = Server::start_in(&data, &limits);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    ana.ok("REGISTER ana correct horse battery");
    bob.ok("MSG ana hello");
    disk.fill();
    bob.err(&format!("MSG ana {}", "x".repeat(3500)), "STORE_FULL");
    until("nothing that must be stored is taken any more", || {
        disk.fill();
        let answer = ana.ask("ACK *").pop()?;
        answer.starts_with("ERR STORE_FULL ").then_some(())
    });
    // More of them than there are ids left, and they are all somebody else.
    let mut ids = BTreeSet::new();
    for number in 0..5000 {
        assert!(ids.insert(server.connect().id()), "the {number}th");
    }
    assert!(ids.last() > Some(&(1000 + 4096)), "{:?}", ids.last());
    assert_eq!(login(&server).ask("INBOX").pop().as_deref(), Some("OK INBOX 1 0"));
    let aside = fs::read(data.join("ids")).expect("it was made while there was room");
    assert!(aside.iter().any(|byte| *byte != 0), "there was no room for them anywhere else");
    // Not even a crash makes an id another's.
    for _ in 0..2 {
        server.kill();
        server.restart();
        assert!((0..10).all(|_| ids.insert(server.connect().id())));
        assert_eq!(login(&server).ask("INBOX").pop().as_deref(), Some("OK INBOX 1 0"));
    }
}
