//! A server as systemd runs it: what it tells, that it takes the sockets that it is handed, and that the watchdog notices a server that
//! is there and cannot work. The test is systemd.

mod support;

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus, Stdio};

use rusqlite::Connection;
use support::client::Client;
use support::server::{PATIENCE, data_dir};
use support::tls::{TlsClient, certify};
use support::wait::until;
use tempfile::TempDir;

/// Puts the sockets where systemd does, from 3 on, and becomes the server, whose process number stays that of the shell.
const HAND_OVER: &str = r#"
case $HANDED in
1) exec 3<&0 ;;
2) exec 3<&0 4<&1 ;;
esac
[ -z "$HANDED" ] || export LISTEN_FDS="$HANDED" LISTEN_PID=$$
exec "$0" "$@" </dev/null >"$OUTPUT"
"#;

/// A server that systemd runs. Killed when it is dropped.
struct Unit {
    child: Child,
    dir: TempDir,
    told: UnixDatagram,
}

impl Unit {
    /// Starts it with these options and variables, and hands over these sockets.
    fn start(dir: TempDir, options: &[&str], variables: &[(&str, &str)], sockets: &[&TcpListener]) -> Self {
        let notify = dir.path().join("notify");
        let told = UnixDatagram::bind(&notify).expect("a socket can be made");
        told.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let handed = |place: usize| match sockets.get(place) {
            Some(socket) => Stdio::from(OwnedFd::from(socket.try_clone().expect("a socket can be cloned"))),
            None => Stdio::null(),
        };
        let count = if sockets.is_empty() { String::new() } else { sockets.len().to_string() };
        let log = File::create(dir.path().join("log")).expect("a log can be written");
        let child = Command::new("sh")
            .args(["-c", HAND_OVER, env!("CARGO_BIN_EXE_linechat"), "serve", "--data-dir"])
            .arg(dir.path().join("data"))
            .args(options)
            .env("NOTIFY_SOCKET", &notify)
            .env("HANDED", count)
            .env("OUTPUT", dir.path().join("greeting"))
            .envs(variables.iter().copied())
            .stdin(handed(0))
            .stdout(handed(1))
            .stderr(log)
            .spawn()
            .expect("the shell runs");
        Self { child, dir, told }
    }

    /// The next thing that it tells, with its lines apart.
    fn told(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let length = self.told.recv(&mut buffer).expect("it tells something");
        let text = std::str::from_utf8(&buffer[..length]).expect("it tells text");
        text.lines().map(str::to_owned).collect()
    }

    /// The address that its status shows, once it is ready.
    fn ready(&self) -> SocketAddr {
        let told = self.told();
        let status = told[1].strip_prefix("STATUS=serves on ").expect("it says where");
        assert_eq!(told[0], "READY=1");
        status.split(',').next().and_then(|address| address.parse().ok()).expect("it is an address")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).expect("its log can be read")
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().expect("kill runs").success());
    }

    fn wait(&mut self) -> ExitStatus {
        until("it ends", || self.child.try_wait().expect("it can be waited for"))
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listener() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).expect("there is a port")
}

fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("it has an address")
}

#[test]
fn it_tells_when_it_serves_reloads_and_stops() {
    let mut unit = Unit::start(data_dir(), &["--listen", "127.0.0.1:0"], &[], &[]);
    let address = unit.ready();
    let mut ana = Client::connect(address);
    ana.ok("PING");
    unit.signal("HUP");
    let told = unit.told();
    assert_eq!((told[0].as_str(), told[2].as_str()), ("RELOADING=1", "STATUS=reads its configuration again"));
    let now = told[1].strip_prefix("MONOTONIC_USEC=").and_then(|now| now.parse::<u64>().ok());
    assert!(now.is_some_and(|now| now > 0), "{told:?}");
    assert_eq!(unit.ready(), address);
    // Nobody was dropped.
    ana.ok("PING");
    unit.signal("TERM");
    assert_eq!(unit.told()[0], "STOPPING=1");
    assert!(unit.wait().success());
    assert!(ana.rest()[0].starts_with("* SHUTDOWN "));
}

#[test]
fn sockets_that_are_handed_over_take_the_place_of_addresses() {
    let dir = data_dir();
    certify(dir.path());
    let (plain, tls) = (listener(), listener());
    // Whoever comes before there is a server waits.
    let early = Client::connect_silently(address(&plain));
    let file = |name: &str| dir.path().join(name).to_str().expect("its path is text").to_owned();
    let (certificate, key) = (file("cert.pem"), file("key.pem"));
    // Where nothing can be bound.
    let options = ["--listen", "192.0.2.1:1", "--tls-listen", "192.0.2.1:2", "--tls-cert", &certificate, "--tls-key", &key];
    let unit = Unit::start(dir, &options, &[("LISTEN_FDNAMES", "linechat.socket:tls")], &[&plain, &tls]);
    assert_eq!(unit.ready(), address(&plain));
    let mut early = early;
    assert!(early.line().starts_with("* HELLO "));
    Client::connect(address(&plain)).ok("PING");
    let stream = std::net::TcpStream::connect(address(&tls)).expect("it accepts");
    let mut ana = TlsClient::over(stream, &unit.dir.path().join("cert.pem")).expect("it speaks TLS there");
    ana.ok("PING");
}

#[test]
fn a_socket_for_tls_needs_a_certificate_and_every_socket_tcp() {
    let (one, options) = (listener(), ["--listen", "127.0.0.1:0"]);
    let mut unit = Unit::start(data_dir(), &options, &[("LISTEN_FDNAMES", "tls")], &[&one]);
    assert_eq!(unit.wait().code(), Some(1));
    assert!(unit.log().contains("hands over a socket for TLS, but there is no certificate"), "{}", unit.log());
    // The second is no socket at all.
    let mut unit = Unit::start(data_dir(), &options, &[("HANDED", "2")], &[&one]);
    assert_eq!(unit.wait().code(), Some(1));
    assert!(unit.log().contains("a socket that systemd hands over cannot be used"), "{}", unit.log());
}

#[test]
fn the_watchdog_hears_nothing_while_nothing_can_be_decided() {
    let variables = [("WATCHDOG_USEC", "300000")];
    let unit = Unit::start(data_dir(), &["--listen", "127.0.0.1:0"], &variables, &[]);
    let address = unit.ready();
    let alive = ["WATCHDOG=1"];
    assert_eq!([unit.told(), unit.told(), unit.told()], [alive, alive, alive]);
    // Somebody has the database to themselves, and the server waits until it may write.
    let other = Connection::open(unit.dir.path().join("data/journal.db")).expect("the database opens");
    until("it is free", || other.execute_batch("BEGIN IMMEDIATE").ok());
    let mut ana = Client::connect_silently(address);
    unit.told.set_nonblocking(true).expect("it can be asked");
    until("nothing comes from one complaint to the next", || {
        while unit.told.recv(&mut [0; 4096]).is_ok() {}
        let complaints = || unit.log().matches("nothing can be decided or read").count();
        let before = complaints();
        until("it complains", || (complaints() > before).then_some(()));
        unit.told.recv(&mut [0; 4096]).is_err().then_some(())
    });
    other.execute_batch("ROLLBACK").expect("it ends");
    unit.told.set_nonblocking(false).expect("it can be waited for");
    assert_eq!(unit.told(), alive);
    assert!(ana.line().starts_with("* HELLO "));
}
