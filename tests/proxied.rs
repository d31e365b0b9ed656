//! Behind a proxy: everybody is who they are and not the proxy, by the PROXY protocol; and nobody but the proxy can say so.

mod support;

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use proxy_header::{ProxiedAddress, ProxyHeader, SslInfo, Tlv};
use rustix::io::FdFlags;

use support::client::{Client, stream_from};
use support::clients::installed;
use support::raw::to_the_end;
use support::server::{PATIENCE, Server, data_dir};
use support::tls::{TlsClient, TlsServer, certify};
use support::wait::until;

const FROM: [&str; 2] = ["--proxy-from", "127.0.0.0/31"];
const PASSWORD: &str = "correct horse battery";

fn header(source: &str, tlvs: &[Tlv<'_>]) -> Vec<u8> {
    let source: SocketAddr = source.parse().expect("an address");
    let to = if source.is_ipv4() { "192.0.2.1:12000" } else { "[2001:db8::1]:12000" };
    let address = ProxiedAddress::stream(source, to.parse().expect("an address"));
    let mut bytes = Vec::new();
    ProxyHeader::with_tlvs(Some(address), tlvs.iter().cloned()).encode_v2(&mut bytes).expect("it is short");
    bytes
}

/// A connection of the proxy on 127.0.0.1, which sends this first.
fn through(server: &Server, first: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.write_all(first).expect("it is sent");
    stream
}

fn client(server: &Server, source: &str, tlvs: &[Tlv<'_>]) -> Client {
    Client::over(through(server, &header(source, tlvs)))
}

/// All that comes, to the end.
fn rest(stream: TcpStream) -> String {
    String::from_utf8(to_the_end(stream)).expect("it is text")
}

#[test]
fn limits_count_who_is_behind_the_proxy() {
    let server = Server::start(&[&FROM[..], &["--limit", "connections-per-address=1"]].concat());
    let mut ana = client(&server, "198.51.100.7:4001", &[]);
    let mut bob = client(&server, "198.51.100.8:4001", &[]);
    ana.ok("PING");
    bob.ok("PING");
    let refused = rest(through(&server, &header("198.51.100.7:4002", &[])));
    assert!(refused.starts_with("ERR QUOTA - 198.51.100.7 has its 1 connections "), "{refused}");
    // What follows the header in the same packet belongs to the client.
    let carol = through(&server, &[&header("[2001:db8::7]:4001", &[])[..], b"NAME carol\nQUIT\n"].concat());
    let answers = rest(carol);
    assert!(answers.contains("OK NAME carol:") && answers.contains("OK QUIT"), "{answers}");
    bob.ok("QUIT");
    until("his place is free", || {
        let again = rest(through(&server, &[&header("198.51.100.8:9", &[])[..], b"QUIT\n"].concat()));
        again.contains("OK QUIT").then_some(())
    });
}

#[test]
fn a_health_check_is_the_proxys_own() {
    let server = Server::start(&FROM);
    let mut local = Vec::new();
    ProxyHeader::with_local().encode_v2(&mut local).expect("it is short");
    let answers = rest(through(&server, &[&local[..], b"PING\nQUIT\n"].concat()));
    assert!(answers.contains("OK PING\n"), "{answers}");
    // One that only connects, too.
    drop(TcpStream::connect(server.address()).expect("the server accepts"));
    client(&server, "198.51.100.7:1", &[]).ok("PING");
}

#[test]
fn a_proxy_that_says_nothing_or_nonsense_is_closed_unanswered() {
    let server = Server::start(&FROM);
    let whole = header("198.51.100.7:1", &[Tlv::Netns("blue".into())]);
    let mut wrong: Vec<Vec<u8>> = vec![
        b"MSG ana hello, as if there were no proxy\n".to_vec(),
        b"PROXY TCP4 198.51.100.7 192.0.2.1 1 12000\r\nPING\n".to_vec(),
        Vec::new(),
    ];
    // A header that ends early is waited for; one that says that it is longer than any is not.
    wrong.extend([1, 12, 16, whole.len() - 1].map(|length| whole[..length].to_vec()));
    wrong.push([&whole[..14], &[0xff, 0xff], &[0; 300]].concat());
    // Another version, another command, a family that there is not, and addresses that do not fit.
    for (at, byte) in [(0, b'x'), (12, 0x31), (12, 0x2f), (13, 0x51), (15, 3)] {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        wrong.push(bytes);
    }
    let streams: Vec<_> = wrong.iter().map(|bytes| (bytes, through(&server, bytes))).collect();
    for (bytes, stream) in streams {
        assert_eq!(rest(stream), "", "{bytes:?}");
    }
    client(&server, "198.51.100.7:1", &[]).ok("PING");
}

/// Otherwise anybody could pass for anybody.
#[test]
fn nobody_else_is_believed() {
    let server = Server::start(&[&FROM[..], &["--limit", "connections-per-address=1"]].concat());
    let elsewhere = Ipv4Addr::new(127, 0, 0, 2);
    let mut mallory = Client::connect_from(elsewhere, server.address());
    mallory.ok("PING");
    mallory.write(&header("198.51.100.7:1", &[]));
    // Its bytes are lines like any others, and no commands.
    mallory.send("");
    assert!(mallory.line().starts_with("ERR "), "it is no line");
    client(&server, "198.51.100.7:1", &[]).ok("PING");
}

#[test]
fn a_password_may_come_through_a_proxy_that_speaks_tls_with_the_client() {
    let server = Server::start(&[&FROM[..], &["--plain-passwords", "loopback"]].concat());
    let encrypted = [Tlv::Ssl(SslInfo::new(true, false, false, 0))];
    let plain = [Tlv::Ssl(SslInfo::new(false, false, false, 0))];
    client(&server, "198.51.100.7:1", &encrypted).ok(&format!("REGISTER ana {PASSWORD}"));
    for tlvs in [&plain[..], &[]] {
        client(&server, "198.51.100.7:1", tlvs).err(&format!("LOGIN ana {PASSWORD}"), "NOT_ALLOWED");
    }
    client(&server, "127.0.0.9:1", &[]).ok(&format!("LOGIN ana {PASSWORD}"));
}

/// Killed when it is dropped.
struct Haproxy(Child);

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// HAProxy as the operator's page sets it up, with other ports: with TLS, and passing it through.
fn haproxy(program: &Path, dir: &Path, server: SocketAddr, tls_server: SocketAddr) -> (Haproxy, SocketAddr, SocketAddr) {
    let page =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/package/OPERATING.md")).expect("it can be read");
    let (_, rest) = page.split_once("```haproxy\n").expect("it has a configuration for HAProxy");
    let config = rest.split("```").next().expect("it ends");
    let ports = |word: &str| -> Vec<&str> {
        let lines = config.lines().filter(|line| line.trim_start().starts_with(word));
        lines.filter_map(|line| line.split(':').nth(1)?.split(' ').next()).collect()
    };
    assert!(ports("bind").iter().all(|port| !ports("server").contains(port)), "haproxy takes linechat's own port");
    // It inherits them: nobody else can take their ports meanwhile.
    let doors = [0; 2].map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free"));
    doors.iter().for_each(|door| rustix::io::fcntl_setfd(door, FdFlags::empty()).expect("it can be inherited"));
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let pair = [cert, key].map(|file| fs::read_to_string(file).expect("it was made")).concat();
    fs::write(dir.join("both.pem"), pair).expect("it can be written");
    let config = config
        .replace("/etc/haproxy/linechat.pem", &dir.join("both.pem").display().to_string())
        .replace("bind :12001 ssl", &format!("bind fd@{} ssl", doors[0].as_raw_fd()))
        .replace("bind :12002", &format!("bind fd@{}", doors[1].as_raw_fd()))
        .replace("127.0.0.1:12000", &server.to_string())
        .replace("127.0.0.1:12003", &tls_server.to_string());
    fs::write(dir.join("haproxy.cfg"), config).expect("it can be written");
    let log = fs::File::create(dir.join("haproxy.log")).expect("it can be made");
    let mut command = Command::new(program);
    command.arg("-f").arg(dir.join("haproxy.cfg")).args(["-db"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("haproxy runs");
    let [outer, passed] = doors.map(|door| door.local_addr().expect("it listens"));
    (Haproxy(child), outer, passed)
}

#[test]
fn haproxy_hands_people_on_as_readme_sets_it_up() {
    let Some(program) = installed("haproxy", "haproxy") else { return };
    let server = TlsServer::start(&["--proxy-from", "127.0.0.1", "--limit", "connections-per-address=1"]);
    let dir = data_dir();
    certify(dir.path());
    let (mut proxy, outer, passed) = haproxy(&program, dir.path(), server.plain, server.address);
    until("haproxy listens", || {
        let log = || fs::read_to_string(dir.path().join("haproxy.log")).unwrap_or_default();
        assert!(proxy.0.try_wait().expect("it is ours").is_none(), "{}", log());
        [outer, passed].iter().all(|port| TcpStream::connect(port).is_ok()).then_some(())
    });
    for (port, certificate) in [(outer, dir.path()), (passed, server.dir.path())] {
        let from = |host| {
            let stream = stream_from(Ipv4Addr::new(127, 0, 0, host), port);
            TlsClient::silently_over(stream, &certificate.join("cert.pem")).expect("it is a certificate")
        };
        let let_in = |host| {
            until("there is room for one", || {
                let mut person = from(host);
                person.first_line()?.starts_with("* HELLO ").then_some(person)
            })
        };
        let (mut ana, mut bob) = (let_in(7), let_in(8));
        assert_eq!(ana.ask("PING"), "OK PING");
        assert!(bob.ask(&format!("REGISTER bob{} {PASSWORD}", port.port())).starts_with("OK REGISTER "));
        // Where TLS goes through, it is closed before there is anything to say it with.
        let refused = from(7).first_line();
        assert_eq!(refused.is_some(), port == outer, "{refused:?}");
        assert!(refused.is_none_or(|line| line.starts_with("ERR QUOTA - 127.0.0.7 has its 1 connections ")));
    }
}

/// Whether passwords may come over the open from elsewhere is decided by the TLS that there is, and not by that which a restart would bring.
#[test]
fn what_is_read_again_opens_or_closes_nothing_by_itself() {
    let dir = data_dir();
    certify(dir.path());
    let path = |name: &str| dir.path().join(name).to_str().expect("its path is UTF-8").to_owned();
    let (file, cert, key) = (path("linechat.toml"), path("cert.pem"), path("key.pem"));
    let without = "proxy-from = [\"127.0.0.1\"]\n";
    let with = format!("{without}tls-listen = [\"127.0.0.1:0\"]\ntls-cert = \"{cert}\"\ntls-key = \"{key}\"\n");
    for (before, after, code) in [(without, &*with, "LOGIN_FAILED"), (&*with, without, "NOT_ALLOWED")] {
        fs::write(&file, before).expect("it can be written");
        let server = Server::start_logging(&["--config", &file]);
        let asks = |source| client(&server, source, &[]).err("LOGIN ana correct horse battery", code);
        asks("198.51.100.7:4001");
        fs::write(&file, after).expect("it can be written");
        server.signal("HUP");
        until("it is read again", || server.log().contains("the configuration was read again").then_some(()));
        asks("198.51.100.8:4001");
        let log = server.log();
        let said = |of: &str, what: &str| log.lines().any(|line| line.contains(of) && line.ends_with(what));
        for what in ["tls-listen", "tls-cert", "tls-key"] {
            assert!(said("the setting has changed, which takes a restart", &format!("what={what}")), "{what}: {log}");
        }
        assert!(!log.contains("the setting was read again"), "{log}");
    }
}
