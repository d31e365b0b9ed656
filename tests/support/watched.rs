//! A server as those see it who watch it: over HTTP, with the least that there is to know of HTTP.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::server::{PATIENCE, Server};

/// The option that lets a test watch a server.
pub const WATCHED: [&str; 2] = ["--metrics-listen", "127.0.0.1:0"];

/// An answer over HTTP.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Where a server's metrics are.
pub fn watched_at(server: &Server) -> SocketAddr {
    let line = server.greeting().lines().find_map(|line| line.strip_prefix("its metrics are at http://"));
    let address = line.and_then(|line| line.strip_suffix("/metrics")).expect("it was started to be watched");
    address.parse().expect("it is an address")
}

/// Asks for a page; `None` where nobody answers.
pub fn try_ask(address: SocketAddr, method: &str, path: &str) -> Option<Page> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline can be set");
    stream.write_all(format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Page { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

/// The same of somebody who answers.
pub fn get(address: SocketAddr, path: &str) -> Page {
    try_ask(address, "GET", path).unwrap_or_else(|| panic!("{path} was not answered"))
}

/// The samples of a text with metrics, each by its name and labels as they stand there.
pub fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line| {
        let (name, value) = str::rsplit_once(line, ' ').unwrap_or_else(|| panic!("{line:?} is a sample"));
        (name, value.parse().unwrap_or_else(|_| panic!("{line:?} has a value")))
    };
    lines.map(sample).collect()
}

/// One of them, now.
pub fn sample(address: SocketAddr, name: &str) -> f64 {
    let page = get(address, "/metrics");
    *samples(&page.body).get(name).unwrap_or_else(|| panic!("{name} in {}", page.body))
}
