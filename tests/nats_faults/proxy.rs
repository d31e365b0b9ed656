//! A proxy between servers and one broker, on which acknowledgements get lost, come late or come twice, and frames are sent
//! twice. It understands as much of NATS's protocol as it needs to tell these from everything else, which it carries as it is.
//! It owns its connections, and must never let a client know of another way to the brokers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::chance::Chance;
use super::support::server::PATIENCE;

/// The longest line or message that is carried: a NATS server takes a MiB.
const LONGEST: u64 = 2 << 20;
/// How much is late at the same time at most; what comes when there is more is in time.
const LATE: usize = 64;
/// How late it is at most: later than the client waits for an acknowledgement, which is 2 s.
const LATENESS: usize = 4000;

/// Where brokers are asked for a message that is stored.
const ASK: &str = "$JS.API.STREAM.MSG.GET.";
/// Of so many such questions one is lost.
const ASKED_FOR_ONE_LOST: usize = 3;

/// How often what has happened.
#[derive(Debug, Default)]
pub struct Counts {
    /// Frames that were sent.
    pub frames: AtomicUsize,
    /// Frames that were sent twice, at once or later.
    pub doubled: AtomicUsize,
    /// Acknowledgements that came.
    pub acks: AtomicUsize,
    /// Those of them that were lost.
    pub lost: AtomicUsize,
    /// Those that came late.
    pub late: AtomicUsize,
    /// Those that came twice.
    pub twice: AtomicUsize,
    /// Connections that ended in the middle of a frame.
    pub cut: AtomicUsize,
    /// Questions for a message that is stored.
    pub asked: AtomicUsize,
}

struct Shared {
    broker: SocketAddrV4,
    /// The subject of its frames.
    subject: String,
    stream: String,
    chance: Mutex<Chance>,
    is_troubled: AtomicBool,
    waiting: AtomicUsize,
    counts: Counts,
}

/// Listens on a port of its own.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// The side of a connection that is written to; what is late comes from another thread.
type Side = Arc<Mutex<TcpStream>>;

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Writes what must not be torn.
fn put(side: &Side, bytes: &[u8]) -> io::Result<()> {
    side.lock().expect("nobody panics here").write_all(bytes)
}

impl Proxy {
    /// A proxy to a broker that spoils what belongs to this stream, once it is told to.
    pub fn start(broker: SocketAddrV4, stream: &str, seed: u64) -> Self {
        let listener = TcpListener::bind((*broker.ip(), 0)).expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared {
            broker,
            subject: format!("{stream}.batches"),
            stream: stream.to_owned(),
            chance: Mutex::new(Chance::new(seed)),
            is_troubled: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            counts: Counts::default(),
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || listener.incoming().flatten().for_each(|client| carry(&own, client)));
        Self { address, shared }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Trouble begins, or ends.
    pub fn trouble(&self, is_troubled: bool) {
        self.shared.is_troubled.store(is_troubled, Ordering::Relaxed);
    }

    /// What has happened until now.
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }
}

/// Carries one connection in both directions, in threads that end with it. Where there is no broker it is closed at once.
fn carry(shared: &Arc<Shared>, client: TcpStream) {
    let Ok(broker) = TcpStream::connect(shared.broker) else { return };
    for (from, to, is_client) in [(&client, &broker, true), (&broker, &client, false)] {
        // Both sides send pings more often.
        from.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        from.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        from.set_nodelay(true).expect("no delay");
        let (mut from, to) = (BufReader::new(from.try_clone().expect("a socket")), to.try_clone().expect("a socket"));
        let (shared, to) = (Arc::clone(shared), Arc::new(Mutex::new(to)));
        thread::spawn(move || {
            while let Ok(Some(part)) = read(&mut from)
                && if is_client { shared.sent(part, &to) } else { shared.told(part, &to) }.is_ok()
            {}
            let _ = from.get_ref().shutdown(Shutdown::Both);
            let _ = to.lock().expect("nobody panics here").shutdown(Shutdown::Both);
        });
    }
}

/// One line of the protocol, and the message that belongs to it.
struct Part {
    bytes: Vec<u8>,
    words: Vec<String>,
    line: usize,
}

impl Part {
    fn is(&self, verbs: [&str; 2], subject: &str) -> bool {
        self.words.len() > 2 && verbs.contains(&self.words[0].as_str()) && self.words[1].starts_with(subject)
    }

    fn message(&self) -> &[u8] {
        &self.bytes[self.line..]
    }
}

/// The next part, or `None` at the end.
fn read(from: &mut BufReader<TcpStream>) -> io::Result<Option<Part>> {
    let mut bytes = Vec::new();
    let line = from.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)?;
    if bytes.last() != Some(&b'\n') {
        return Ok(None);
    }
    let words: Vec<_> = String::from_utf8_lossy(&bytes).split_ascii_whitespace().map(str::to_owned).collect();
    if let [verb, .., length] = &words[..]
        && ["MSG", "HMSG", "PUB", "HPUB"].contains(&verb.as_str())
    {
        let length = length.parse::<u64>().ok().filter(|length| *length < LONGEST).ok_or(io::ErrorKind::InvalidData)?;
        let whole = from.by_ref().take(length + 2).read_to_end(&mut bytes)?;
        if whole as u64 != length + 2 {
            return Ok(None);
        }
    }
    Ok(Some(Part { bytes, words, line }))
}

impl Shared {
    fn draw(&self, end: usize) -> usize {
        self.chance.lock().expect("nobody panics here").below(end)
    }

    /// Writes it, some time later. What is not late any more when too much is, is written now.
    fn later(self: &Arc<Self>, bytes: Vec<u8>, to: &Side) -> io::Result<()> {
        let late = |waiting: usize| (waiting < LATE).then_some(waiting + 1);
        if self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, late).is_err() {
            return put(to, &bytes);
        }
        let (shared, to, wait) = (Arc::clone(self), Arc::clone(to), self.draw(LATENESS));
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(wait as u64));
            shared.waiting.fetch_sub(1, Ordering::Relaxed);
            // The connection may have ended by now.
            let _ = put(&to, &bytes);
        });
        Ok(())
    }

    /// What a client sends.
    fn sent(self: &Arc<Self>, part: Part, to: &Side) -> io::Result<()> {
        if part.is(["PUB", "HPUB"], ASK) && self.is_troubled.load(Ordering::Relaxed) {
            let before = self.counts.asked.fetch_add(1, Ordering::Relaxed);
            return if before % ASKED_FOR_ONE_LOST == 1 { Ok(()) } else { put(to, &part.bytes) };
        }
        if !part.is(["PUB", "HPUB"], &self.subject) {
            return put(to, &part.bytes);
        }
        count(&self.counts.frames);
        if !self.is_troubled.load(Ordering::Relaxed) {
            return put(to, &part.bytes);
        }
        match self.draw(1000) {
            0..60 => {
                count(&self.counts.doubled);
                put(to, &[&part.bytes[..], &part.bytes[..]].concat())
            }
            60..120 => {
                count(&self.counts.doubled);
                put(to, &part.bytes)?;
                self.later(part.bytes, to)
            }
            120..123 => {
                count(&self.counts.cut);
                put(to, &part.bytes[..self.draw(part.bytes.len())])?;
                Err(io::ErrorKind::BrokenPipe.into())
            }
            _ => put(to, &part.bytes),
        }
    }

    /// What the broker tells.
    fn told(self: &Arc<Self>, mut part: Part, to: &Side) -> io::Result<()> {
        if part.words.first().is_some_and(|verb| verb == "INFO") {
            part.bytes = without_others(&part.bytes)?;
        }
        if !part.is(["MSG", "MSG"], "_INBOX.") || !is_ack(part.message(), &self.stream) {
            return put(to, &part.bytes);
        }
        count(&self.counts.acks);
        if !self.is_troubled.load(Ordering::Relaxed) {
            return put(to, &part.bytes);
        }
        match self.draw(100) {
            0..12 => {
                count(&self.counts.lost);
                Ok(())
            }
            12..24 => {
                count(&self.counts.late);
                self.later(part.bytes, to)
            }
            24..36 => {
                count(&self.counts.twice);
                put(to, &[&part.bytes[..], &part.bytes[..]].concat())
            }
            _ => put(to, &part.bytes),
        }
    }
}

/// Whether a message acknowledges a frame of this stream. Every other answer of JetStream says of which type it is.
fn is_ack(message: &[u8], stream: &str) -> bool {
    let Ok(told) = serde_json::from_slice::<serde_json::Value>(message) else { return false };
    told["stream"] == stream && told["seq"].is_u64() && told.get("type").is_none()
}

/// A broker's INFO without the addresses of the others.
fn without_others(line: &[u8]) -> io::Result<Vec<u8>> {
    let text = line.get(5..).ok_or(io::ErrorKind::InvalidData)?;
    let mut info: serde_json::Value = serde_json::from_slice(text)?;
    info.as_object_mut().ok_or(io::ErrorKind::InvalidData)?.remove("connect_urls");
    Ok(format!("INFO {info}\r\n").into_bytes())
}
