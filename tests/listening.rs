//! When a server listens: nobody can connect until it can serve them.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use rusqlite::Connection;
use socket2::{Domain, Socket, Type};
use support::client::Client;
use support::server::{Server, data_dir};
use support::wait::until;

/// Killed when it is dropped.
struct Starting(Child);

impl Drop for Starting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody listens on and that the system gives to nobody else: a server can still bind it.
fn port() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there is a socket");
    socket.set_reuse_address(true).expect("it can be shared");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("there is a port");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("it has an address");
    (socket, address)
}

#[test]
fn nobody_can_connect_before_the_store_is_read() {
    let directory = data_dir();
    let mut server = Server::start_in(directory.path(), &[]);
    server.connect().ok("REGISTER ana correct horse battery");
    server.signal("TERM");
    assert!(server.wait().success());
    // Somebody has the database to themselves, and the server must wait until it may read it.
    let journal = directory.path().join("journal.db");
    let other = Connection::open(&journal).expect("the database opens");
    other.execute_batch("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; SELECT count(*) FROM entries;").expect("it is free");
    let (_reserved, address) = port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_linechat"));
    command.args(["serve", "--listen", &address.to_string(), "--data-dir"]).arg(directory.path()).stdout(Stdio::piped());
    let mut starting = Starting(command.spawn().expect("the binary runs"));
    let descriptors = format!("/proc/{}/fd", starting.0.id());
    until("the server is at its store", || {
        let open = fs::read_dir(&descriptors).ok()?.filter_map(|descriptor| fs::read_link(descriptor.ok()?.path()).ok());
        open.into_iter().any(|file| file == journal).then_some(())
    });
    let refused = TcpStream::connect(address).expect_err("nobody is let in, not even to wait");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    drop(other);
    let mut greeting = String::new();
    let stdout = starting.0.stdout.take().expect("stdout is piped");
    BufReader::new(stdout).read_line(&mut greeting).expect("it greets");
    assert!(greeting.contains(&address.to_string()), "{greeting}");
    assert!(Client::connect(address).ok("LOGIN ana correct horse battery").starts_with("OK LOGIN ana:"));
}
