//! TLS: its own port, any client that speaks it, certificates that change while people talk, and passwords that stay out of the
//! open.

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use socket2::{Domain, Socket, Type};
use support::client::Client;
use support::clients::{TLS_CLIENTS, TlsClient, is_installed};
use support::raw::to_the_end;
use support::server::{PATIENCE, Server, data_dir};
use support::tls::{self, TlsServer, certify, linechat};
use support::wait::until;
use tempfile::TempDir;

/// A peer that says nothing yet.
fn silent(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream
}

#[test]
fn people_on_both_ports_talk_to_each_other() {
    let server = TlsServer::start(&[]);
    let (mut ana, mut bob) = (server.connect(), Client::connect(server.plain));
    ana.ok("NAME ana");
    ana.ok("CREATE #rust");
    bob.ok("JOIN #rust");
    assert!(ana.line().expect("bob comes").starts_with("* JOIN #rust "));
    bob.ok("SAY #rust hi");
    assert!(ana.line().expect("bob says it").ends_with(" hi"));
    ana.ok("SAY #rust hello");
    assert!(bob.event("MSG").ends_with(" ana:1000 hello"));
    // Several lines in one record, and one line in several: records are no lines.
    ana.send_records(&[b"PING 1\nPING 2\nPI", b"N", b"G 3\n"]);
    let answers: Vec<_> = std::iter::from_fn(|| ana.line()).take(3).collect();
    assert_eq!(answers, ["OK PING 1", "OK PING 2", "OK PING 3"]);
    ana.send("PING last\nPING never");
    ana.send_records(&[b"PING half"]);
    ana.end_input();
    let answers: Vec<_> = std::iter::from_fn(|| ana.line()).collect();
    assert_eq!(answers[..2], ["OK PING last", "OK PING never"]);
    assert!(answers.len() == 3 && answers[2].starts_with("ERR INCOMPLETE - "), "{answers:?}");
}

/// The end of the input is TLS's own, and what comes after it goes the other way.
#[test]
fn who_follows_is_shown_on_after_the_end_of_the_input() {
    let server = TlsServer::start(&[]);
    let (mut tail, mut ana) = (server.connect(), Client::connect(server.plain));
    ana.ok("CREATE #rust");
    tail.send("FOLLOW #rust");
    tail.end_input();
    assert_eq!(tail.line().as_deref(), Some("OK FOLLOW #rust"));
    for number in 0..3 {
        ana.ok(&format!("SAY #rust {number}"));
        assert!(tail.line().expect("it is shown").ends_with(&format!(" {number}")));
    }
    ana.ok("CLOSE #rust");
    assert!(tail.line().expect("it is shown").starts_with("* CLOSE #rust "));
    assert_eq!(tail.line(), None);
}

#[test]
fn who_reads_late_gets_every_byte_in_order() {
    const MESSAGES: usize = 1200;
    let server = TlsServer::start(&["--journal", "memory"]);
    // So small that the server soon cannot send any more, and has to hold back half a record.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("its buffer can be small");
    socket.connect(&server.address.into()).expect("the server accepts");
    let mut late = tls::TlsClient::over(socket.into(), &server.dir.path().join("cert.pem")).expect("it trusts the server");
    let mut ana = Client::connect(server.plain);
    ana.ok("CREATE #rust");
    late.ok("JOIN #rust");
    let text = |number: usize| format!("{number} {}", "é".repeat(900 + number % 800));
    for number in 0..MESSAGES {
        ana.ok(&format!("SAY #rust {}", text(number)));
    }
    for number in 0..MESSAGES {
        let line = late.line().expect("a message");
        assert_eq!(line.splitn(7, ' ').nth(6), Some(text(number).as_str()), "message {number}");
    }
    late.ok("PING");
}

/// What a person sees who pipes a few commands into that, in the folder of the server's certificate.
fn piped(server: &TlsServer, into: &str) -> String {
    let into = into.replace("12001", &server.address.port().to_string());
    let command = format!(r"printf 'NAME nina\nLIST\nQUIT\n' | {into}");
    let mut shell = Command::new("bash");
    shell.args(["-c", &command]).current_dir(server.dir.path()).stdin(Stdio::null());
    String::from_utf8_lossy(&shell.output().expect("bash runs").stdout).into_owned()
}

#[test]
fn clients_that_people_have_can_talk_and_notice_another_server() {
    let (server, other) = (TlsServer::start(&[]), TlsServer::start(&[]));
    std::fs::copy(other.dir.path().join("cert.pem"), server.dir.path().join("cert.pem")).expect("it can be copied");
    for TlsClient { program, trusting, checking } in TLS_CLIENTS {
        if !is_installed(program, program) {
            continue;
        }
        for (server, command) in [(&server, trusting), (&other, trusting), (&other, checking)] {
            let said = piped(server, command);
            assert!(said.contains("OK NAME nina:") && said.contains("\n- USER nina:"), "{command}: {said}");
            assert!(said.ends_with("\nOK QUIT bye\n"), "{command}: {said}");
        }
        assert_eq!(piped(&server, checking), "", "{program} trusts the other's certificate, and not this one's");
    }
}

#[test]
fn who_speaks_plainly_to_it_is_told_and_nothing_is_executed() {
    let server = TlsServer::start(&[]);
    let mut nina = silent(server.address);
    nina.write_all(b"CREATE #rust\nQUIT\n").expect("it can be sent");
    nina.shutdown(std::net::Shutdown::Write).expect("its side can be ended");
    let told = String::from_utf8(to_the_end(&nina)).expect("it is text");
    assert!(told.starts_with("ERR BAD_SYNTAX - this port speaks TLS; ") && told.lines().count() == 1, "{told}");
    // What begins like TLS and is not gets no conversation either.
    let mut garbage = silent(server.address);
    garbage.write_all(&[0x16, 3, 1, 0, 4, b'L', b'I', b'S', b'T']).expect("it can be sent");
    assert!(!to_the_end(&garbage).starts_with(b"* HELLO"));
    let mut ana = Client::connect(server.plain);
    assert_eq!(ana.ask("CHANNELS"), ["OK CHANNELS 0"]);
    assert_eq!(ana.ask("LIST").len(), 2, "nobody else was ever there");
}

#[test]
fn a_port_cannot_be_talked_out_of_its_encryption_or_into_it() {
    let server = TlsServer::start(&[]);
    let mut open = Client::connect(server.plain);
    open.err("STARTTLS", "UNKNOWN_COMMAND");
    open.ok("CAPS");
    if is_installed("openssl", "openssl") {
        let version = |version: &str| {
            let command = format!("openssl s_client -quiet -cipher DEFAULT@SECLEVEL=0 {version} -connect localhost:12001");
            piped(&server, &command).contains("OK QUIT bye")
        };
        let spoken = ["-tls1", "-tls1_1", "-tls1_2", "-tls1_3"].map(version);
        assert_eq!(spoken, [false, false, true, true]);
        let plain = format!("openssl s_client -quiet -connect {} 2>&1", server.plain);
        assert!(!piped(&server, &plain).contains("OK "), "the plain port turns TLS away");
    }
}

#[test]
fn a_stopping_server_takes_its_leave_and_waits_for_no_handshake() {
    let mut server = TlsServer::start(&["--limit", "shutdown-seconds=3600", "--limit", "tls-handshake-seconds=86400"]);
    let silent = silent(server.address);
    // Accepted later than the silent one, which is therefore there.
    let mut ana = server.connect();
    ana.ok("PING");
    server.signal("TERM");
    assert!(ana.line().expect("a last line").starts_with("* SHUTDOWN "));
    assert_eq!(ana.line(), None, "an end that TLS announces");
    assert!(server.wait().success());
    assert_eq!(to_the_end(&silent), b"");
}

#[test]
fn a_handshake_ends_in_time_and_counts_as_a_connection_until_then() {
    let server = TlsServer::start(&["--limit", "tls-handshake-seconds=1", "--limit", "connections=1"]);
    // The server has accepted the slow one when the next one finds no room.
    let slow = until("the slow peer counts", || {
        let mut slow = silent(server.address);
        slow.write_all(&[0x16, 3, 1]).expect("it can be sent");
        let mut first = [0; 12];
        silent(server.plain).read_exact(&mut first).expect("a line comes");
        (first == *b"ERR QUOTA - ").then_some(slow)
    });
    assert_eq!(to_the_end(&slow), b"", "it is closed without a word");
    until("its place is free", || {
        let told = String::from_utf8(to_the_end(&silent(server.address))).expect("it is text");
        // Whoever waits for a greeting does not know what this port is.
        told.starts_with("ERR BAD_SYNTAX - this port speaks TLS; ").then_some(())
    });
    until("its place is free", || tls::TlsClient::over(silent(server.address), &server.dir.path().join("cert.pem")).ok());
}

#[test]
fn handshakes_are_counted_for_an_address_and_connections_go_on() {
    let server = TlsServer::start(&["--limit", "tls-handshakes-per-address=2"]);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    for _ in 0..3 {
        assert_eq!(to_the_end(&silent(server.address)), b"", "closed without a word, and without a handshake");
    }
    ana.ok("CREATE #rust");
    bob.ok("JOIN #rust");
    // Where nothing is encrypted, and at another address, they do not count.
    Client::connect(server.plain).ok("JOIN #rust");
    let mut carol = Client::connect_from_silently(Ipv4Addr::new(127, 0, 1, 1), server.address);
    carol.write(b"HELP\n");
    assert!(carol.line().contains(" this port speaks TLS; "));
}

#[test]
fn a_certificate_is_replaced_without_dropping_anyone() {
    let server = TlsServer::start(&[]);
    let mut early = server.connect();
    let first = server.fingerprint();
    assert_eq!(early.fingerprint(), first);

    server.change_certificate();
    assert_ne!(server.fingerprint(), first);
    assert_eq!(server.connect().fingerprint(), server.fingerprint());
    early.ok("PING still here");

    // A key that is not the certificate's: the server goes on with what it has, and says why.
    let file = |name: &str| server.dir.path().join(name);
    std::fs::copy(file("old-key.pem"), file("key.pem")).expect("it can be copied");
    server.signal("HUP");
    let log = until("the log says so", || Some(server.log()).filter(|log| log.contains("all stays as it was")));
    assert!(log.contains("cannot be used together"), "{log}");
    server.connect().ok("PING the one before");
    early.ok("PING still here");
}

#[test]
fn a_pair_is_made_once_and_only_its_owner_reads_the_key() {
    let dir = TempDir::new().expect("a temporary directory");
    let out = dir.path().join("new");
    let shown = out.to_str().expect("its path is UTF-8");
    let output = linechat(&["tls", "self-signed", "--name", "chat.example", "--name", "192.0.2.7", "--out", shown]);
    let said = String::from_utf8(output.stdout).expect("it is text");
    assert!(output.status.success() && said.contains(" for chat.example, 192.0.2.7\n"), "{said}");
    let start = format!("linechat serve --tls-listen 0.0.0.0:12001 --tls-cert {shown}/cert.pem --tls-key {shown}/key.pem\n");
    assert!(said.ends_with(&start), "{said}");
    let (cert, key) = (out.join("cert.pem"), out.join("key.pem"));
    assert_eq!(key.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
    if is_installed("openssl", "openssl") {
        let show = ["x509", "-noout", "-fingerprint", "-sha256", "-ext", "subjectAltName", "-in"];
        let output = Command::new("openssl").args(show).arg(&cert).output().expect("openssl runs");
        let seen = String::from_utf8(output.stdout).expect("it is text");
        let print = seen.lines().find_map(|line| line.split_once("Fingerprint=")).expect("openssl shows it").1;
        assert!(said.contains(&format!("SHA-256 fingerprint: {print}\n")), "{said}{seen}");
        assert!(seen.contains("DNS:chat.example, IP Address:192.0.2.7"), "{seen}");
    }
    let before = std::fs::read(&key).expect("it can be read");
    std::fs::remove_file(&cert).expect("it can be removed");
    let output = linechat(&["tls", "self-signed", "--out", shown]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("key.pem is there already and is not overwritten"), "{output:?}");
    assert!(!output.status.success() && !cert.exists() && std::fs::read(&key).expect("it can be read") == before);
}

#[test]
fn files_that_cannot_be_used_are_named_before_anything_is_touched() {
    let dir = data_dir();
    certify(dir.path());
    let other = TempDir::new().expect("a temporary directory");
    certify(other.path());
    let path = |dir: &TempDir, name: &str| dir.path().join(name).to_str().expect("its path is UTF-8").to_owned();
    let (cert, key, data) = (path(&dir, "cert.pem"), path(&dir, "key.pem"), path(&dir, "data"));
    for (cert, key, why) in [
        (&path(&dir, "none.pem"), &key, "none.pem"),
        (&key, &key, "there is no certificate in "),
        (&cert, &cert, "give --tls-key the PEM file"),
        (&cert, &path(&other, "key.pem"), "cannot be used together"),
    ] {
        let tls = ["--tls-listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key];
        let output = linechat(&[&["serve", "--listen", "127.0.0.1:0", "--data-dir", &data], &tls[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(why) && said.lines().count() == 1, "{why}: {said}");
        assert!(!dir.path().join("data").exists(), "the store is opened later");
    }
}

#[test]
fn a_password_in_the_open_is_refused_before_it_is_looked_at() {
    let server = TlsServer::start(&["--plain-passwords", "refuse", "--limit", "passwords-per-address=2"]);
    let mut open = Client::connect(server.plain);
    // More of them than could be hashed, or counted.
    for _ in 0..10 {
        let refusal = open.err("REGISTER ana correct horse battery", "NOT_ALLOWED");
        assert!(refusal.contains("not encrypted"), "{refusal}");
        open.err("LOGIN ana correct horse battery", "NOT_ALLOWED");
    }
    open.ok("NAME ben");
    let mut ana = server.connect();
    ana.ok("REGISTER ana correct horse battery");
    server.connect().ok("LOGIN ana correct horse battery");
    open.err("LOGIN ana correct horse battery", "NOT_ALLOWED");

    // A tunnel ends on this machine, so that a password from here is taken unless that is refused as well.
    let server = TlsServer::start(&[]);
    Client::connect(server.plain).ok("REGISTER ana correct horse battery");
    // Without TLS there is no better way.
    let server = Server::start(&["--plain-passwords", "refuse"]);
    server.connect().err("REGISTER ana correct horse battery", "NOT_ALLOWED");
}

/// The machine's own address on its network, if it has one. No packet is sent.
fn own_address() -> Option<std::net::IpAddr> {
    let probe = UdpSocket::bind("0.0.0.0:0").expect("a port is free");
    let own = probe.connect("192.0.2.1:9").and_then(|()| probe.local_addr()).ok()?.ip();
    (!own.is_loopback()).then_some(own)
}

#[test]
fn beyond_this_machine_passwords_need_tls_where_there_is_tls() {
    let Some(own) = own_address() else { return eprintln!("SKIPPED: this machine is on no network") };
    let free =
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|listener| listener.local_addr()).expect("a port is free");
    let listen = format!("0.0.0.0:{}", free.port());
    for (more, refused) in [(&[][..], true), (&["--plain-passwords", "allow"], false)] {
        let server = TlsServer::start(&[&["--listen", &listen], more].concat());
        let mut far = Client::connect(SocketAddr::new(own, free.port()));
        let answer = far.ask("REGISTER ana correct horse battery").pop().expect("an answer");
        assert_eq!(answer.starts_with("ERR NOT_ALLOWED REGISTER "), refused, "{answer}");
        assert!(!server.log().contains("cross the network as they are"), "there is TLS");
    }
}

#[test]
fn who_lets_the_network_in_without_tls_is_warned_once() {
    let serve = |listen: &str| {
        let dir = data_dir();
        let mut child = Command::new(env!("CARGO_BIN_EXE_linechat"))
            .args(["serve", "--listen", "127.0.0.1:0", "--listen", listen, "--data-dir"])
            .arg(dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut greeting = [0; 1];
        child.stdout.as_mut().expect("stdout is piped").read_exact(&mut greeting).expect("it greets");
        // It serves before it greets, so that it ends properly; what it logged at the start is then all there.
        let ended = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
        assert!(ended.success());
        String::from_utf8(child.wait_with_output().expect("it ends").stderr).expect("a log is text")
    };
    let log = serve("0.0.0.0:0");
    assert_eq!(log.lines().filter(|line| line.contains("linechat tls self-signed")).count(), 1, "{log}");
    assert!(!serve("127.0.0.1:0").contains("self-signed"));
}

/// Kilobytes of memory that a process has.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn an_idle_connection_is_small() {
    const EACH: usize = 300;
    let server = TlsServer::start(&["--limit", "connections-per-address=none", "--limit", "tls-handshakes-per-address=none"]);
    let crowd = || (0..EACH).map(|_| server.connect()).collect::<Vec<_>>();
    // The first ones pay for what all share.
    let _warm = crowd();
    let before = resident(server.pid());
    let _crowd = crowd();
    let each = (resident(server.pid()).saturating_sub(before)) as f64 / EACH as f64;
    println!("{each:.1} KiB for an idle connection");
    assert!(each <= 16.0, "{each:.1} KiB");
}
