//! What brokers know of a stream, in their own words: JetStream's requests over a connection that ends with the answer. It must
//! never use the client that the servers use.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::cluster::Brokers;
use super::server::PATIENCE;
use super::wait::until;

/// What a broker answers to a request, `STREAM.INFO.name` for example; `None` when nobody answers.
pub fn try_ask(brokers: &Brokers, request: &str, body: &str) -> Option<Value> {
    publish(brokers, &format!("$JS.API.{request}"), body)
}

/// What is answered to something that is published; `None` when nobody answers.
pub fn publish(brokers: &Brokers, subject: &str, body: &str) -> Option<Value> {
    let mut connection = brokers.addresses().find_map(|address| TcpStream::connect(address).ok())?;
    connection.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let lines = "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\nSUB told 1\r\n";
    connection.write_all(format!("{lines}PUB {subject} told {}\r\n{body}\r\n", body.len()).as_bytes()).ok()?;
    let lines = BufReader::new(connection).lines().map_while(Result::ok);
    // With no_responders, an answer with a header and no body says that nobody is there.
    let told = lines.skip_while(|line| !line.starts_with("MSG told ") && !line.starts_with("HMSG told ")).nth(1)?;
    serde_json::from_str(&told).ok()
}

/// The same, asked until there is an answer without an error.
pub fn ask(brokers: &Brokers, request: &str, body: &str) -> Value {
    until("JetStream answers", || try_ask(brokers, request, body).filter(|told| told.get("error").is_none()))
}

/// How many messages a stream has.
pub fn messages(brokers: &Brokers, stream: &str) -> u64 {
    ask(brokers, &format!("STREAM.INFO.{stream}"), "")["state"]["messages"].as_u64().expect("a number")
}

/// The first and the last place that the stream has.
pub fn ends(brokers: &Brokers, stream: &str) -> (u64, u64) {
    let told = ask(brokers, &format!("STREAM.INFO.{stream}"), "");
    let place = |which: &str| told["state"][which].as_u64().expect("a place");
    (place("first_seq"), place("last_seq"))
}
