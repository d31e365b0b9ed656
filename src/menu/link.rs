//! The connection: it sends lines, and a thread of its own reads lines and puts them into the queue of happenings.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use crate::menu::secure::Secure;
use crate::menu::terminal::Typed;
use crate::menu::trust::Trust;
use crate::wire::text::visible;

/// How long a server may take to accept.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the network may be silent before the system asks whether the server is still there, and how often it asks then.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(5)).with_retries(3);
/// How long sent bytes may stay unacknowledged.
#[cfg(target_os = "linux")]
const UNSENT: Duration = Duration::from_secs(20);
/// The longest line that is read, in bytes; no server of this protocol writes a longer one.
const LINE_BYTES: u64 = 64 * 1024;

/// What can happen to the client: the items of its one queue.
#[derive(Debug)]
pub enum Happening {
    /// The server wrote a line on the connection with this number.
    Line(u64, String),
    /// The connection with this number is lost, and why.
    Lost(u64, String),
    /// The person typed something.
    Typed(Typed),
}

/// A server and how to speak to it.
#[derive(Debug, Clone)]
pub struct Server {
    /// `HOST:PORT`.
    pub address: String,
    /// Whom to trust, for an encrypted connection.
    pub tls: Option<Trust>,
}

/// One connection.
pub struct Link {
    stream: TcpStream,
    secure: Option<Secure>,
    /// What the person should be told about it.
    notice: Option<String>,
    /// The number of this connection: lines of earlier ones may still be in the queue.
    pub number: u64,
}

/// A line as it may be shown: passwords are typed without echo, so they are hidden here too, as are tokens and invites.
pub fn without_password(line: &str) -> String {
    let words: Vec<_> = line.split_whitespace().collect();
    let verb = words.first().map(|verb| verb.to_uppercase()).unwrap_or_default();
    match (verb.as_str(), &words[..]) {
        ("LOGIN", [verb, name, _, ..]) => format!("{verb} {name} ***"),
        ("REGISTER", [verb, code, name, _, ..]) if code.starts_with('@') => format!("{verb} @*** {name} ***"),
        ("REGISTER", [verb, name, _, ..]) => format!("{verb} {name} ***"),
        ("LOGIN" | "PASSWD" | "UNREGISTER", [verb, _, ..]) => format!("{verb} ***"),
        ("OK", [ok, token @ ("TOKEN" | "token"), label, _]) => format!("{ok} {token} {label} ***"),
        _ => line.to_owned(),
    }
}

impl Link {
    /// Connects, and begins to read into `queue`.
    ///
    /// # Errors
    /// The system's error, or why the server cannot be trusted.
    pub fn open(server: &Server, number: u64, queue: SyncSender<Happening>) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "there is no such address");
        for address in server.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(stream) => return Self::over(server, stream, number, queue),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn over(server: &Server, stream: TcpStream, number: u64, queue: SyncSender<Happening>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(CONNECT))?;
        // A pulled cable is reported by nobody: only asking finds it out.
        let socket = SockRef::from(&stream);
        socket.set_tcp_keepalive(&KEEPALIVE)?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(UNSENT))?;
        let (mut secure, mut notice) = (None, None);
        if let Some(trust) = &server.tls {
            stream.set_read_timeout(Some(CONNECT))?;
            let (connection, told) = trust.shake_hands(&server.address, &stream)?;
            stream.set_read_timeout(None)?;
            (secure, notice) = (Some(Secure::new(connection)), told);
        }
        let incoming: Box<dyn Read + Send> = match &secure {
            Some(secure) => Box::new(secure.incoming(stream.try_clone()?)),
            None => Box::new(stream.try_clone()?),
        };
        std::thread::spawn(move || {
            let why = match read(incoming, number, &queue) {
                Ok(()) => "the server closed it".to_owned(),
                Err(error) => error.to_string(),
            };
            // If nobody takes happenings any more, the client is ending.
            let _ = queue.send(Happening::Lost(number, why));
        });
        Ok(Self { stream, secure, notice, number })
    }

    /// What the person should be told about the connection before anything else, line by line.
    pub fn notices(&self) -> impl Iterator<Item = &str> {
        self.notice.iter().flat_map(|notice| notice.lines())
    }

    /// Sends a line.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn send(&mut self, line: &str) -> io::Result<()> {
        let line = format!("{line}\n");
        match &self.secure {
            Some(secure) => secure.send(line.as_bytes(), &self.stream),
            None => self.stream.write_all(line.as_bytes()),
        }
    }

    /// The server's address.
    pub fn peer(&self) -> String {
        self.stream.peer_addr().map_or_else(|_| "?".into(), |address| format!("{}/{}", address.ip(), address.port()))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(secure) = &self.secure {
            let _ = secure.end(&self.stream);
        }
        // This ends the reader; a connection that is lost already cannot be shut down.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Reads to the end, or until nobody takes the lines.
fn read(stream: Box<dyn Read + Send>, number: u64, queue: &SyncSender<Happening>) -> io::Result<()> {
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        lines.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            let is_endless = line.len() as u64 + 1 >= LINE_BYTES;
            return if is_endless { Err(io::Error::other("the server sent a line without end")) } else { Ok(()) };
        }
        // Whatever server this is, nothing that a terminal would obey may pass.
        let text = String::from_utf8_lossy(&line);
        if queue.send(Happening::Line(number, visible(text.trim_end_matches('\r')).into_owned())).is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(without_password("login nina  open sesame"), "login nina ***");
        assert_eq!(without_password("REGISTER nina secret"), "REGISTER nina ***");
        assert_eq!(without_password("REGISTER @code nina a secret"), "REGISTER @*** nina ***");
        assert_eq!(without_password("LOGIN lct_secret"), "LOGIN ***");
        assert_eq!(without_password("passwd one -> another"), "passwd ***");
        assert_eq!(without_password("UNREGISTER open sesame"), "UNREGISTER ***");
        assert_eq!(without_password("OK TOKEN deploy lct_secret"), "OK TOKEN deploy ***");
        assert_eq!(without_password("MSG nina a  b"), "MSG nina a  b");
    }
}
