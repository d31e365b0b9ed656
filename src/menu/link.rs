//! The connection: lines out, lines in. A thread reads; whatever it reads arrives in the one queue of what happens.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use crate::menu::terminal::Typed;
use crate::wire::Incoming;
use crate::wire::incoming;
use crate::wire::text::visible;

/// How long a server may take to accept.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest line that is read; no server of this protocol writes a longer one.
const LINE_BYTES: u64 = 64 * 1024;
/// The port of a server that is given without one.
const PORT: u16 = 12000;

/// What can happen to the client, in one queue.
#[derive(Debug)]
pub enum Happening {
    /// The server wrote a line on the connection of this number.
    Line(u64, String),
    /// That connection is lost.
    Lost(u64),
    /// The person typed something.
    Typed(Typed),
}

/// One connection.
pub struct Link {
    stream: TcpStream,
    /// Lines of other connections are not this one's.
    pub number: u64,
}

/// The address of a server, completed by the known port.
pub fn with_port(server: &str) -> String {
    let has_port = server.rsplit_once(':').is_some_and(|(host, port)| {
        // An IPv6 address has colons of its own; its port follows a bracket.
        (!host.contains(':') || host.ends_with(']')) && port.parse::<u16>().is_ok()
    });
    match has_port {
        true => server.to_owned(),
        false if server.contains(':') && !server.starts_with('[') => format!("[{server}]:{PORT}"),
        false => format!("{server}:{PORT}"),
    }
}

impl Link {
    /// Connects, and begins to read into `queue`.
    ///
    /// # Errors
    /// What the system said.
    pub fn open(server: &str, number: u64, queue: SyncSender<Happening>) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "there is no such address");
        for address in server.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_write_timeout(Some(CONNECT))?;
                    let incoming = stream.try_clone()?;
                    std::thread::spawn(move || {
                        // When nobody takes what happens any more, the client is ending.
                        let _ = read(incoming, number, &queue);
                        let _ = queue.send(Happening::Lost(number));
                    });
                    return Ok(Self { stream, number });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends a line.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn send(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(format!("{line}\n").as_bytes())
    }

    /// What the other side connected to.
    pub fn peer(&self) -> String {
        self.stream.peer_addr().map_or_else(|_| "?".into(), |address| format!("{}/{}", address.ip(), address.port()))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The reader ends by it; a connection that is lost already cannot be shut down.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn read(stream: TcpStream, number: u64, queue: &SyncSender<Happening>) -> Option<()> {
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        lines.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line).ok()?;
        line.pop().filter(|&byte| byte == b'\n')?;
        // Whatever server this is: nothing that a terminal would obey passes.
        let text = String::from_utf8_lossy(&line);
        queue.send(Happening::Line(number, visible(text.trim_end_matches('\r')).into_owned())).ok()?;
    }
}

/// Reads a line as the protocol's; what is none is `None`.
pub fn parse(line: &str) -> Option<Incoming> {
    incoming::read(line)
}

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn the_port_may_be_left_out() {
        assert_eq!(with_port("10.0.0.7"), "10.0.0.7:12000");
        assert_eq!(with_port("chat.example:99"), "chat.example:99");
        assert_eq!(with_port("::1"), "[::1]:12000");
        assert_eq!(with_port("[::1]"), "[::1]:12000");
        assert_eq!(with_port("[::1]:99"), "[::1]:99");
    }
}
