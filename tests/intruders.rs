//! What does not speak this protocol at all: web browsers, TLS, noise, floods, and clients that stop in the middle.

mod support;

use std::sync::LazyLock;

use proptest::prelude::RngExt;
use support::abnf::seeded;
use support::client::Client;
use support::raw::{Raw, server_lines};
use support::server::Server;

const METHODS: [&str; 9] = ["GET", "POST", "PUT", "HEAD", "OPTIONS", "TRACE", "PATCH", "DELETE", "CONNECT"];

/// What an attacker puts where a server might take it for lines.
static BODY: LazyLock<String> =
    LazyLock::new(|| "MSG ana from a web page\r\nSAY #rust from a web page\nMSG 1000 x\r\n".repeat(3));

/// A server, and Ana in #rust, who must hear nothing.
struct House {
    server: Server,
    ana: Client,
}

impl House {
    fn open(options: &[&str]) -> Self {
        let server = Server::start(options);
        let mut ana = server.connect();
        ana.ok("NAME ana");
        ana.ok("CREATE #rust");
        Self { server, ana }
    }

    /// Sends bytes over a connection of its own; returns the lines after HELLO, to the end.
    fn send(&self, pieces: &[&[u8]]) -> Vec<String> {
        let mut raw = Raw::connect(self.server.address());
        pieces.iter().for_each(|piece| raw.write(piece));
        server_lines(&raw.rest())
    }

    /// Sends bytes; they are answered with this one ERR, and the connection is closed.
    fn turns_away(&self, pieces: &[&[u8]], error: &str) {
        let lines = self.send(pieces);
        let shown: Vec<_> = pieces.iter().map(|piece| String::from_utf8_lossy(piece)).collect();
        assert!(lines.len() == 1 && lines[0].starts_with(&format!("ERR {error} - ")), "{shown:?}: {lines:?}");
    }

    fn has_heard_nothing(&mut self) {
        self.ana.send("PING quiet");
        assert_eq!(self.ana.line(), "OK PING quiet");
        assert_eq!(self.ana.ask("INBOX"), ["OK INBOX 0 0"]);
        assert_eq!(self.ana.ask("HISTORY #rust"), ["OK HISTORY 0"]);
        let online = self.ana.ask("LIST");
        assert_eq!((online.len(), online[1].as_str()), (2, "OK LIST 1"));
    }
}

/// One request in several framings, each in pieces as they might arrive.
fn framings(method: &str) -> Vec<Vec<String>> {
    let body = BODY.as_str();
    let length = body.len();
    let headers = format!("Host: localhost:12000\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n");
    vec![
        vec![format!("{method} / HTTP/1.1\r\n{headers}{body}")],
        vec![format!("{method} / HTTP/1.1\r\n{headers}"), body.to_owned()],
        vec![format!("{method} / HTTP/1.0\n\n{body}")],
        vec![format!("{method} http://localhost:12000/ HTTP/1.1\r\n{headers}"), body.to_owned()],
        vec![format!("{}", &method[..2]), format!("{} / HTTP/1.1\r\n", &method[2..]), body.to_owned()],
        vec![format!("\r\n\r\n{method} / HTTP/1.1\r\n\r\n{body}")],
        vec![format!("{} / http/1.1\r\n{body}", method.to_lowercase())],
        vec![format!("{method}\n{body}")],
        vec![format!("{method} /{} HTTP/1.1\r\n\r\n{body}", "x".repeat(3000))],
        vec![format!("{method} / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")],
    ]
}

#[test]
fn nothing_of_a_web_request_is_executed() {
    let mut house = House::open(&[]);
    for method in METHODS {
        for framing in framings(method) {
            let pieces: Vec<&[u8]> = framing.iter().map(String::as_bytes).collect();
            house.turns_away(&pieces, "BAD_SYNTAX");
        }
    }
    house.turns_away(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BODY.as_bytes()], "BAD_SYNTAX");
    house.has_heard_nothing();
}

#[test]
fn nothing_after_a_header_is_executed() {
    let mut house = House::open(&[]);
    for header in ["Host: localhost", "X-Forwarded-For: 127.0.0.1", "content-length: 12", "EHLO:", "Upgrade: websocket"] {
        house.turns_away(&[format!("{header}\r\n{}", BODY.as_str()).as_bytes()], "BAD_SYNTAX");
    }
    house.has_heard_nothing();
}

/// A ClientHello as openssl sends it, with a server name that would be lines.
fn client_hello() -> Vec<u8> {
    let name = format!("\n{}\n", BODY.as_str());
    let name = name.as_bytes();
    let length = |bytes: usize| u16::try_from(bytes).expect("it fits").to_be_bytes();
    let extension = [&[0, 0][..], &length(name.len() + 5), &length(name.len() + 3), &[0], &length(name.len()), name].concat();
    let ciphers = [0x13, 0x02, 0x13, 0x03, 0x13, 0x01, 0xc0, 0x2c, 0xc0, 0x30, 0x00, 0xff];
    let body = [
        &[3, 3][..],
        &[0x5a; 32],
        &[32],
        &[0xa5; 32],
        &length(ciphers.len()),
        &ciphers,
        &[1, 0],
        &length(extension.len()),
        &extension,
    ]
    .concat();
    let handshake = [&[1, 0][..], &length(body.len()), &body].concat();
    [&[0x16, 3, 1][..], &length(handshake.len()), &handshake].concat()
}

#[test]
fn nothing_of_a_tls_handshake_is_executed() {
    let mut house = House::open(&[]);
    let hello = client_hello();
    house.turns_away(&[&hello], "BAD_SYNTAX");
    house.turns_away(&[&hello[..1], &hello[1..]], "BAD_SYNTAX");
    house.turns_away(&[&[hello.clone(), BODY.clone().into_bytes()].concat()], "BAD_SYNTAX");
    house.has_heard_nothing();
}

#[test]
fn such_words_are_only_mistakes_after_a_command() {
    let house = House::open(&[]);
    let mut bob = house.server.connect();
    bob.ok("PING");
    bob.err("GET / HTTP/1.1", "UNKNOWN_COMMAND");
    bob.err("Host: localhost", "UNKNOWN_COMMAND");
    bob.err("\u{16}\u{3}\u{1}", "BAD_TEXT");
    bob.ok("MSG ana GET / HTTP/1.1");
}

#[test]
fn noise_is_answered_with_lines_and_disturbs_nobody() {
    let mut house = House::open(&[
        "--limit",
        "errors-in-a-row=none",
        "--limit",
        "commands-per-second=none",
        "--limit",
        "commands-per-address=none",
    ]);
    let mut bob = house.server.connect();
    bob.ok("NAME bob");
    let (mut rng, mut answered) = (seeded(12000), 0);
    for connection in 0..8 {
        let mut noise: Vec<u8> = (0..128 * 1024).map(|_| rng.random::<u8>()).collect();
        if connection % 2 == 1 {
            // What a cat on a keyboard types.
            noise.iter_mut().for_each(|byte| *byte = if *byte < 6 { b'\n' } else { b' ' + *byte % 95 });
        }
        let mut raw = Raw::connect(house.server.address());
        let writing = raw.write_beside(noise);
        bob.ok("PING");
        let ended = writing.join();
        raw.end_input();
        // Noise may hold an end of input; then the rest of it is not taken.
        answered += server_lines(&raw.rest()).len();
        drop(ended);
    }
    bob.ok("QUIT");
    bob.rest();
    house.has_heard_nothing();
    assert!(answered > 1000, "{answered}");
}

#[test]
fn a_line_without_end_is_told_once_and_closed() {
    let mut house = House::open(&[]);
    let flood = [b"MSG ana ".to_vec(), b"x".repeat(4096 + 64 * 1024)].concat();
    house.turns_away(&[&flood], "TOO_LONG");
    house.turns_away(&[&b"\x00".repeat(80_000)], "TOO_LONG");
    house.has_heard_nothing();
    // One that ends in time is only a mistake.
    let lines = house.send(&[&b"x".repeat(60_000), b"\nPING\nQUIT\n"]);
    assert!(lines[0].starts_with("ERR TOO_LONG - "), "{lines:?}");
    assert_eq!(lines[1..], ["OK PING", "OK QUIT bye"]);
}

#[test]
fn a_line_that_stays_half_received_is_told_and_closed() {
    let mut house = House::open(&["--limit", "half-line-seconds=1"]);
    house.turns_away(&[b"MSG ana half a li"], "TIMEOUT");
    house.turns_away(&[b"\xff\xfa\x18 a subnegotiation without end"], "TIMEOUT");
    house.turns_away(&[b"\xff"], "TIMEOUT");
    let lines = house.send(&[b"PING\nMSG ana half a li"]);
    assert!(lines[0] == "OK PING" && lines[1].starts_with("ERR TIMEOUT - ") && lines.len() == 2, "{lines:?}");
    // Ana has said nothing for longer than that, and that is nobody's business.
    house.has_heard_nothing();
}
