//! A connection as bytes, for what a [`super::client::Client`] hides or has no time for: line endings, telnet, floods of lines.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;

use socket2::{Domain, Socket, Type};

use super::abnf::Grammar;
use super::server::PATIENCE;

/// One connection.
pub struct Raw {
    stream: TcpStream,
    input: BufReader<TcpStream>,
}

impl Raw {
    /// Connects and reads nothing.
    pub fn connect_silently(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).expect("the server accepts"))
    }

    /// Connects with a small buffer for what comes, so that a server soon finds that this client does not read, and reads the
    /// HELLO.
    pub fn connect_narrowly(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there is a socket");
        socket.set_recv_buffer_size(4096).expect("its buffer can be small");
        socket.connect(&address.into()).expect("the server accepts");
        let mut raw = Self::new(socket.into());
        assert!(raw.line().starts_with("* HELLO "));
        raw
    }

    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("no delay");
        let input = BufReader::new(stream.try_clone().expect("a socket can be cloned"));
        Self { stream, input }
    }

    /// Connects and reads the HELLO.
    pub fn connect(address: SocketAddr) -> Self {
        let mut raw = Self::connect_silently(address);
        assert!(raw.line().starts_with("* HELLO "));
        raw
    }

    /// Its port on this side.
    pub fn port(&self) -> u16 {
        self.stream.local_addr().expect("it is connected").port()
    }

    /// Sends bytes. A server that has closed the connection need not take them.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends bytes from a thread of their own, so that the answers can be read meanwhile; see [`Raw::write`].
    pub fn write_beside(&self, bytes: Vec<u8>) -> JoinHandle<()> {
        let mut stream = self.stream.try_clone().expect("a socket can be cloned");
        std::thread::spawn(move || drop(stream.write_all(&bytes)))
    }

    /// Ends the input.
    pub fn end_input(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.input.read_exact(&mut bytes).expect("so many bytes come in time");
        bytes
    }

    /// The next line, its ending included.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        let length = self.input.read_line(&mut line).expect("a line comes in time");
        assert!(length > 0, "a line, and not the end");
        line
    }

    /// The next lines without their endings, up to one that begins so.
    pub fn lines_until(&mut self, start: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().trim_end_matches(['\r', '\n']).to_owned();
            let is_last = line.starts_with(start);
            lines.push(line);
            if is_last {
                return lines;
            }
        }
    }

    /// All bytes to the end.
    pub fn rest(self) -> Vec<u8> {
        to_the_end(self.input)
    }
}

/// All that comes to the end of a connection. A reset is an end too; that nothing comes in time is none.
pub fn to_the_end(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "it is not closed; {} bytes came so far", bytes.len());
    }
    bytes
}

/// The lines of what a server sent, each held against the grammar; telnet's refusals are taken out.
pub fn server_lines(bytes: &[u8]) -> Vec<String> {
    let mut text = Vec::new();
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        if let [255, 252 | 254, _, after @ ..] = rest {
            rest = after;
        } else {
            text.push(*first);
            rest = tail;
        }
    }
    let text = String::from_utf8(text).expect("lines are UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is whole");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &lines {
        assert!(Grammar::load().matches("server-line", line.as_bytes()), "not in the grammar: {line:?}");
    }
    lines
}
