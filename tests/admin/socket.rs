//! The operator's socket: whose it is, who takes it away, and what it speaks.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;

use super::support::admin::{admin, admin_with, done};
use super::support::server::{PATIENCE, Server, data_dir};
use super::support::wait::until;

#[test]
fn the_socket_is_its_owners_alone_and_one_servers() {
    let server = Server::start(&[]);
    let socket = server.dir().join("admin.sock");
    let mode = socket.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let path = socket.to_str().expect("its path is text");
    let other = data_dir();
    let second = Command::new(env!("CARGO_BIN_EXE_linechat"))
        .args(["serve", "--listen", "127.0.0.1:0", "--admin-socket", path, "--data-dir"])
        .arg(other.path())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && said.contains("another server listens on"), "{said}");
    done(&server, &["status"]);
}

#[test]
fn a_socket_that_a_dead_server_has_left_is_replaced_and_one_that_ends_takes_it_along() {
    let mut server = Server::start(&[]);
    let socket = server.dir().join("admin.sock");
    server.kill();
    assert!(socket.exists());
    let came = admin(&server, &["status"]);
    assert!(came.code == 2 && came.err.contains("no server answers at") && came.err.contains("is it running"), "{came:?}");
    server.restart();
    done(&server, &["status"]);
    server.signal("TERM");
    server.wait();
    assert!(!socket.exists());
}

#[test]
fn a_server_in_memory_has_a_socket_where_it_is_told_to() {
    let server = Server::start(&["--journal", "memory"]);
    assert!(!server.dir().join("admin.sock").exists());
    let folder = data_dir();
    let path = folder.path().join("here.sock");
    let path = path.to_str().expect("its path is text");
    let _server = Server::start(&["--journal", "memory", "--admin-socket", path]);
    let came = admin_with(&["--admin-socket", path], &["status"]);
    assert!(came.code == 0 && came.out.contains("memory"), "{came:?}");
}

/// Its lines are lines, for whoever has no `linechat` at hand.
#[test]
fn the_socket_speaks_lines_and_bounds_them() {
    let server = Server::start(&[]);
    let open = || UnixStream::connect(server.dir().join("admin.sock")).expect("it is there");
    let ask = |mut stream: &UnixStream, line: &[u8]| {
        let mut answer = String::new();
        stream.write_all(line).and_then(|()| BufReader::new(stream).read_line(&mut answer)).expect("it answers");
        answer
    };
    let first = open();
    first.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    assert_eq!(ask(&first, b"bans\n"), "OK BANS 0\n");
    assert!(ask(&first, b"frob\n").starts_with("ERR UNKNOWN_COMMAND - "));
    assert!(ask(&first, b"notice \x1b[2J\n").starts_with("ERR BAD_TEXT - "));
    assert!(ask(&first, &[b'x'; 5000]).starts_with("ERR TOO_LONG - "));
    drop(first);
    // The place of one that has gone is free a moment later.
    let place = || {
        let (stream, mut answer) = (open(), String::new());
        let asked = (&stream).write_all(b"bans\n").and_then(|()| BufReader::new(&stream).read_line(&mut answer));
        (asked.is_ok() && answer == "OK BANS 0\n").then_some(stream)
    };
    let many: Vec<_> = (0..8).map(|_| until("there is a place", place)).collect();
    assert!(ask(&open(), b"").starts_with("ERR QUOTA - there are 8 connections"), "one too many");
    drop(many);
    until("their places are free", || (admin(&server, &["status"]).code == 0).then_some(()));
}
