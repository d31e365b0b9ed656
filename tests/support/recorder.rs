//! A proxy that remembers every line of a client, and can lose an answer or the whole connection when a test wants it.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use super::abnf::Grammar;

/// Listens on a port of its own; a connection is carried to where the server is when it begins.
pub struct Recorder {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    /// Where the server is; nowhere: connections are closed at once.
    server: Option<SocketAddr>,
    /// An answer that begins so is swallowed, and its connection is cut.
    swallows: Option<String>,
    open: Vec<TcpStream>,
    sent: Vec<String>,
    received: Vec<String>,
}

impl Recorder {
    /// A proxy to a server.
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let (open, sent, received) = (Vec::new(), Vec::new(), Vec::new());
        let shared = Arc::new(Mutex::new(Shared { server: Some(server), swallows: None, open, sent, received }));
        let own = Arc::clone(&shared);
        thread::spawn(move || listener.incoming().flatten().for_each(|client| carry(&own, client)));
        Self { address, shared }
    }

    /// Where it listens, as the client's argument.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The server is somewhere else now, or nowhere.
    pub fn lead_to(&self, server: Option<SocketAddr>) {
        self.shared().server = server;
    }

    /// The next answer that begins so is swallowed, and its connection is cut.
    pub fn swallow(&self, answer: &str) {
        self.shared().swallows = Some(answer.to_owned());
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.shared().open.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }

    /// The lines that clients have sent since this was last asked. Every one has to be in the grammar.
    pub fn sent(&self) -> Vec<String> {
        let sent = std::mem::take(&mut self.shared().sent);
        for line in &sent {
            assert!(Grammar::load().matches("command-line", line.as_bytes()), "not in the grammar: {line:?}");
        }
        sent
    }

    /// The lines that the server has sent, what was swallowed included.
    pub fn received(&self) -> Vec<String> {
        self.shared().received.clone()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("no thread panics")
}

/// The next line with its ending; `None` at the end. A part of a line is a line too: a client must not send one.
fn line(lines: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line).ok().filter(|&length| length > 0)?;
    Some(line)
}

fn carry(shared: &Arc<Mutex<Shared>>, client: TcpStream) {
    let to = lock(shared).server;
    let Some(Ok(server)) = to.map(TcpStream::connect) else { return };
    let clone = |stream: &TcpStream| stream.try_clone().expect("a socket can be cloned");
    lock(shared).open.extend([clone(&client), clone(&server)]);
    let (mut to_server, mut from_client) = (clone(&server), BufReader::new(clone(&client)));
    let own = Arc::clone(shared);
    thread::spawn(move || {
        while let Some(line) = line(&mut from_client) {
            // Remembered before it is passed on: who has seen its effect finds it here.
            let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(b"\xff")).into_owned();
            lock(&own).sent.push(text);
            if to_server.write_all(&line).is_err() {
                break;
            }
        }
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        back(&shared, &server, &client);
        let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
    });
}

/// Carries what the server says, until one of the two has gone or a line is swallowed.
fn back(shared: &Mutex<Shared>, server: &TcpStream, mut client: &TcpStream) {
    let mut lines = BufReader::new(server);
    while let Some(line) = line(&mut lines) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let mut state = lock(shared);
        let is_swallowed = state.swallows.as_ref().is_some_and(|start| text.starts_with(start));
        state.received.push(text);
        if is_swallowed {
            state.swallows = None;
            return;
        }
        drop(state);
        if client.write_all(&line).is_err() {
            return;
        }
    }
}
