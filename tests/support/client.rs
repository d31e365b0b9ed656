//! A client for a test: lines over real TCP, each one that comes held against the grammar.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::abnf::Grammar;
use super::json::as_text;
use super::raw::to_the_end;
use super::server::PATIENCE;

/// A connection from another address of this machine.
pub fn stream_from(own: Ipv4Addr, address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there is a socket");
    socket.bind(&SocketAddr::from((own, 0)).into()).expect("all of 127.0.0.0/8 is this machine");
    socket.connect(&address.into()).expect("the server accepts");
    socket.into()
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
    hello: String,
}

impl Client {
    /// Connects and reads the HELLO.
    pub fn connect(address: SocketAddr) -> Self {
        let mut client = Self::connect_silently(address);
        client.hello = client.line();
        assert!(client.hello.starts_with("* HELLO linechat/"), "{}", client.hello);
        client
    }

    /// Connects and reads nothing.
    pub fn connect_silently(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).expect("the server accepts"))
    }

    /// Connects from another address of this machine, as if it were another machine, and reads the HELLO.
    pub fn connect_from(own: Ipv4Addr, address: SocketAddr) -> Self {
        Self::over(stream_from(own, address))
    }

    /// The same, and reads nothing.
    pub fn connect_from_silently(own: Ipv4Addr, address: SocketAddr) -> Self {
        Self::on(stream_from(own, address))
    }

    /// Speaks over a connection that is there already, and reads the HELLO.
    pub fn over(stream: TcpStream) -> Self {
        let mut client = Self::on(stream);
        client.hello = client.line();
        client
    }

    /// Speaks over a connection that is there already, and reads the HELLO; `None` when the server lets nobody in.
    pub fn if_let_in(stream: TcpStream) -> Option<Self> {
        let mut client = Self::on(stream);
        client.hello = client.try_line().filter(|line| line.starts_with("* HELLO "))?;
        Some(client)
    }

    fn on(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("no delay");
        let lines = BufReader::new(stream.try_clone().expect("a socket can be cloned"));
        Self { stream, lines, hello: String::new() }
    }

    /// The id that HELLO gave.
    pub fn id(&self) -> u64 {
        let who = self.hello.split(' ').nth(4).expect("HELLO names the guest");
        who.rsplit(':').next().and_then(|id| id.parse().ok()).expect("an id is a number")
    }

    /// The name that HELLO gave.
    pub fn name(&self) -> &str {
        let who = self.hello.split(' ').nth(4).expect("HELLO names the guest");
        who.split(':').next().expect("a name comes first")
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes what is sent");
    }

    /// Sends a line.
    pub fn send(&mut self, line: &str) {
        self.write(format!("{line}\n").as_bytes());
    }

    /// Whether nothing has come that was not read.
    pub fn is_silent(&self) -> bool {
        self.stream.set_nonblocking(true).expect("it can be asked without waiting");
        let waiting = self.stream.peek(&mut [0]).is_ok();
        self.stream.set_nonblocking(false).expect("it can wait again");
        !waiting && self.lines.buffer().is_empty()
    }

    /// The next line, without its ending; it must be in the grammar.
    pub fn line(&mut self) -> String {
        self.try_line().expect("a line, and not the end")
    }

    /// The next line, or `None` at the end.
    pub fn try_line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let length = self.lines.read_until(b'\n', &mut line).expect("a line comes in time");
        if length == 0 {
            return None;
        }
        assert_eq!(line.pop(), Some(b'\n'), "the last line is whole");
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let text = String::from_utf8(line).expect("lines are UTF-8");
        assert!(Grammar::load().matches("server-line", as_text(&text).as_bytes()), "not in the grammar: {text:?}");
        Some(text)
    }

    /// Sends a line and returns its answer: the lines up to and including OK or ERR, without events.
    pub fn ask(&mut self, line: &str) -> Vec<String> {
        self.send(line);
        self.answer()
    }

    /// The lines up to and including the next OK or ERR, without events.
    pub fn answer(&mut self) -> Vec<String> {
        let mut answer = Vec::new();
        loop {
            let line = self.line();
            let is_last = line.starts_with("OK ") || line.starts_with("ERR ");
            if !line.starts_with("* ") {
                answer.push(line);
            }
            if is_last {
                return answer;
            }
        }
    }

    /// The next OK or ERR, or the last line before the end.
    pub fn rest_or_answer(&mut self) -> String {
        let mut last = String::new();
        while let Some(line) = self.try_line() {
            last = line;
            if last.starts_with("OK ") || last.starts_with("ERR ") {
                break;
            }
        }
        last
    }

    /// Sends a line that is answered with one OK; returns it.
    pub fn ok(&mut self, line: &str) -> String {
        let answer = self.ask(line).pop().expect("an answer has a last line");
        assert!(answer.starts_with("OK "), "{line}: {answer}");
        answer
    }

    /// Sends a line that is refused with this code; returns the ERR.
    pub fn err(&mut self, line: &str, code: &str) -> String {
        let answer = self.ask(line).pop().expect("an answer has a last line");
        assert!(answer.starts_with(&format!("ERR {code} ")), "{line}: {answer}");
        answer
    }

    /// The next event that begins so; other lines before it are skipped.
    pub fn event(&mut self, start: &str) -> String {
        loop {
            let line = self.line();
            if line.starts_with(&format!("* {start}")) {
                return line;
            }
        }
    }

    /// Ends the input, as `nc -N` does at the end of a pipe.
    pub fn end_input(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("the input can be ended");
    }

    /// Is gone, as a process that is killed with unread input: both sides of the connection end at once.
    pub fn vanish(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO)).expect("it can be reset");
    }

    /// All lines to the end.
    pub fn rest(mut self) -> Vec<String> {
        std::iter::from_fn(|| self.try_line()).collect()
    }

    /// All bytes to the end, unchecked.
    pub fn raw_rest(self) -> Vec<u8> {
        to_the_end(self.lines)
    }
}
