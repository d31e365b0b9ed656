//! A connection that may end at any moment. It owns the socket; it never judges what it reads.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::server::PATIENCE;

/// One connection.
pub struct Line {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

/// What a line was answered: the data, and the OK or ERR after it.
pub type Answer = (Vec<String>, String);

impl Line {
    /// Connects, and reads the HELLO.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut line = Self { lines: BufReader::new(stream.try_clone()?), stream };
        line.read().map(|_| line)
    }

    fn read(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).inspect_err(|error| {
            assert!(error.kind() != io::ErrorKind::WouldBlock, "nothing came in time");
        })?;
        // A line that the kill has cut off was never received.
        if read == 0 || line.pop() != Some('\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line)
    }

    /// Sends a line, and reads its answer.
    pub fn ask(&mut self, text: &str) -> io::Result<Answer> {
        self.stream.write_all(format!("{text}\n").as_bytes())?;
        let mut data = Vec::new();
        loop {
            let line = self.read()?;
            if line.starts_with("OK ") || line.starts_with("ERR ") {
                return Ok((data, line));
            }
            data.extend(line.strip_prefix("- ").map(str::to_owned));
        }
    }

    /// The same, where it must be done.
    pub fn ok(&mut self, text: &str) -> io::Result<Answer> {
        let answer = self.ask(text)?;
        assert!(answer.1.starts_with("OK "), "{text}: {}", answer.1);
        Ok(answer)
    }
}
