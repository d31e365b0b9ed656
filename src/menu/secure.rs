//! An encrypted connection's two directions: one thread reads, another writes, and both need the same cryptography.
//!
//! The lock is never held while anything waits for the network: a server that takes nothing must not keep its lines from being
//! read.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio_rustls::rustls::ClientConnection;

/// Bytes taken from the network at a time.
const CHUNK: usize = 4096;

/// The cryptography of a connection, for both directions.
#[derive(Clone)]
pub struct Secure(Arc<Mutex<ClientConnection>>);

/// What comes from the server, decrypted.
pub struct Incoming {
    secure: Secure,
    stream: TcpStream,
    /// What came, and how much of it was decrypted.
    chunk: Box<[u8; CHUNK]>,
    length: usize,
    used: usize,
}

impl Secure {
    pub fn new(connection: ClientConnection) -> Self {
        Self(Arc::new(Mutex::new(connection)))
    }

    fn lock(&self) -> MutexGuard<'_, ClientConnection> {
        self.0.lock().expect("invariant: nothing panics under this lock")
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn send(&self, mut bytes: &[u8], mut stream: &TcpStream) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut records = Vec::new();
            {
                let mut connection = self.lock();
                // It takes only as much as fits its own buffer.
                let taken = connection.writer().write(bytes)?;
                bytes = &bytes[taken..];
                while connection.wants_write() {
                    connection.write_tls(&mut records)?;
                }
            }
            stream.write_all(&records)?;
        }
        Ok(())
    }

    /// Tells the server that nothing more will be sent.
    pub fn end(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut record = Vec::new();
        {
            let mut connection = self.lock();
            connection.send_close_notify();
            connection.write_tls(&mut record)?;
        }
        stream.write_all(&record)
    }

    /// The other direction.
    pub fn incoming(&self, stream: TcpStream) -> Incoming {
        Incoming { secure: self.clone(), stream, chunk: Box::new([0; CHUNK]), length: 0, used: 0 }
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.secure.lock().reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(io::Error::new(error.kind(), "the connection was cut"));
                }
                read => return read,
            }
            if self.used == self.length {
                (self.length, self.used) = (self.stream.read(&mut *self.chunk)?, 0);
            }
            let mut connection = self.secure.lock();
            self.used += connection.read_tls(&mut &self.chunk[self.used..self.length])?;
            connection.process_new_packets().map_err(io::Error::other)?;
        }
    }
}
