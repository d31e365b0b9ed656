//! A proxy between real clients and a server that holds every line of the server's against the grammar.
//!
//! The servers of a cluster get connections in turn, and what clients say is held back until all servers know what one of them has
//! answered: so clients need not know that there are several, of which each is a moment behind the others.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::abnf::Grammar;
use super::cluster::Places;

/// Listens on a port of its own, and carries connections to the server or in turn to those of a cluster.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    servers: Places,
    /// How many connections there were.
    connections: AtomicUsize,
    /// Connections whose answers are still to be lost.
    losing: AtomicUsize,
    lines: AtomicUsize,
    /// Lines that the grammar does not know.
    strange: Mutex<Vec<String>>,
}

impl Proxy {
    /// A proxy to a server, or to those of a cluster.
    pub fn start(servers: impl Into<Places>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let [connections, losing, lines] = [0; 3].map(AtomicUsize::new);
        let servers = servers.into();
        let shared = Arc::new(Shared { servers, connections, losing, lines, strange: Mutex::default() });
        let own = Arc::clone(&shared);
        thread::spawn(move || listener.incoming().flatten().for_each(|client| carry(&own, client)));
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next `count` connections break when the server has answered everything and before the client sees it.
    pub fn lose_answers(&self, count: usize) {
        self.shared.losing.store(count, Ordering::SeqCst);
    }

    /// Panics if a line was not in the grammar; returns how many there were.
    pub fn check(&self) -> usize {
        let strange = self.shared.strange.lock().expect("no thread panics");
        assert!(strange.is_empty(), "not in the grammar: {strange:#?}");
        self.shared.lines.load(Ordering::SeqCst)
    }
}

/// The way to one of the servers, on which nothing passes before they agree.
struct Settling<'a> {
    servers: &'a Places,
    to: &'a TcpStream,
}

impl Write for Settling<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.servers.settle();
        self.to.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

/// Carries one connection in both directions, in threads that end with it. Where there is no server it is closed at once.
fn carry(shared: &Arc<Shared>, client: TcpStream) {
    shared.servers.settle();
    let number = shared.connections.fetch_add(1, Ordering::SeqCst);
    let Ok(server) = TcpStream::connect(shared.servers.address(number)) else { return };
    let (mut from, to) = (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
    let own = Arc::clone(shared);
    thread::spawn(move || {
        let mut passing = Settling { servers: &own.servers, to: &to };
        let _ = std::io::copy(&mut from, &mut passing);
        let _ = to.shutdown(Shutdown::Write);
    });
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let less_one = |left: usize| left.checked_sub(1);
        if shared.losing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less_one).is_ok() {
            let _ = std::io::copy(&mut &server, &mut std::io::sink());
        } else {
            shared.record(&server, &client);
        }
        let _ = client.shutdown(Shutdown::Both);
    });
}

impl Shared {
    /// Carries what the server says, each line as soon as it is whole, until one of the two has gone.
    fn record(&self, server: &TcpStream, mut client: &TcpStream) {
        let mut lines = BufReader::new(server);
        loop {
            let mut line = Vec::new();
            // A telnet answer is no line; it is carried without waiting for one.
            let ended = match lines.fill_buf() {
                Ok([255, ..]) => (&mut lines).take(3).read_to_end(&mut line).is_err(),
                Ok(_) => lines.read_until(b'\n', &mut line).is_err(),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => true,
            };
            if line.first().is_some_and(|&byte| byte != 255) {
                self.look_at(&line);
            }
            if ended || line.is_empty() || client.write_all(&line).is_err() {
                return;
            }
        }
    }

    fn look_at(&self, line: &[u8]) {
        self.lines.fetch_add(1, Ordering::SeqCst);
        let whole = line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n"));
        if !whole.is_some_and(|line| Grammar::load().matches("server-line", line)) {
            self.strange.lock().expect("no thread panics").push(String::from_utf8_lossy(line).into_owned());
        }
    }
}
