//! TLS over a TCP connection: the handshake, and the transport that a session then speaks over.
//!
//! The transport owns the connection's cryptography and at most one record that TCP has not taken yet. It must never buffer
//! more than that, and never say that bytes were taken before TCP has them: a peer that takes nothing would go unnoticed.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, ServerConfig, ServerConnection};

use crate::clock;
use crate::code::{Code, Refusal};
use crate::limits::{FLOOD_BYTES, LINGER_SECONDS, TLS_RECORD_BYTES};
use crate::server::admission;
use crate::session::{Failing, Transport};

/// The first byte of a TLS record that begins a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;

/// An encrypted connection.
pub struct Encrypted {
    stream: TcpStream,
    /// Boxed, because it is large and the transport gets moved.
    connection: Box<ServerConnection>,
    /// How many of the bytes that come next are encrypted already, and wait for TCP.
    encrypted: usize,
    is_ended: bool,
}

/// Shakes hands with a peer, within `seconds`.
///
/// # Errors
/// When the peer speaks something else or nothing (both get a plain answer), is too slow, or has gone.
pub async fn open(stream: TcpStream, config: Arc<ServerConfig>, seconds: u64) -> io::Result<Encrypted> {
    let deadline = clock::now() + Duration::from_secs(seconds);
    let mut first = [0];
    match tokio::time::timeout_at(deadline, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first[0] == HANDSHAKE => {}
        Ok(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(Err(error)) => return Err(error),
        // A TLS client speaks first. Whoever is silent is waiting for a greeting, as a person at nc does.
        Ok(Ok(_)) | Err(_) => {
            turn_away(stream).await;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the peer does not speak TLS"));
        }
    }
    let accepting = TlsAcceptor::from(config).accept_with(stream, |connection| {
        connection.set_buffer_limit(Some(2 * TLS_RECORD_BYTES));
    });
    let (stream, connection) = tokio::time::timeout_at(deadline, accepting).await??.into_inner();
    Ok(Encrypted { stream, connection: Box::new(connection), encrypted: 0, is_ended: false })
}

/// Tells a person at nc what this port is, and lets the line arrive before the connection ends.
async fn turn_away(mut stream: TcpStream) {
    let text = "this port speaks TLS; connect with ncat --ssl or openssl s_client -quiet -connect";
    admission::turn_away(&stream, &Refusal::new(Code::BadSyntax, text));
    let mut nothing = tokio::io::sink();
    let mut rest = (&mut stream).take(u64::try_from(FLOOD_BYTES).unwrap_or(u64::MAX));
    let _ = tokio::time::timeout(Duration::from_secs(LINGER_SECONDS), tokio::io::copy(&mut rest, &mut nothing)).await;
}

/// What TCP has received, for rustls.
struct Received<'a, 'b>(&'a mut TcpStream, &'a mut Context<'b>);

impl Read for Received<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match AsyncRead::poll_read(Pin::new(&mut *self.0), self.1, &mut buffer) {
            Poll::Ready(read) => read.map(|()| buffer.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// Where rustls writes, without ever waiting.
struct Sent<'a>(&'a TcpStream);

impl Write for Sent<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl Encrypted {
    /// Gives TCP what is encrypted; returns whether it took everything.
    fn push(&mut self) -> io::Result<bool> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Sent(&self.stream)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Takes in what TCP has received; ready when that was something, or the end.
    fn pull(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A failure that was noticed earlier lasts, but TCP would not tell of it again.
        self.connection.process_new_packets().map_err(invalid)?;
        match self.connection.read_tls(&mut Received(&mut self.stream, context)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => return Poll::Ready(Err(error)),
        }
        let processed = self.connection.process_new_packets();
        // rustls may have something to say on its own: an alert, or the answer to a change of keys.
        self.push()?;
        Poll::Ready(processed.map(drop).map_err(invalid))
    }

    fn end(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.is_ended, true) {
            self.connection.send_close_notify();
            self.push()?;
        }
        Ok(())
    }
}

impl Transport for Encrypted {
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.connection.reader().read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(length) => filled += length,
                // Lines have ends of their own, so that a connection cut short cuts no line short.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                Err(_) => match self.pull(context) {
                    Poll::Ready(Ok(())) => {}
                    // What was decrypted before comes first; the failure comes again.
                    Poll::Ready(Err(_)) | Poll::Pending if filled > 0 => break,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
        Poll::Ready(Ok(filled))
    }

    /// What is decrypted already is known to nobody but rustls: TCP has nothing more to tell of it.
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let has_plaintext = match self.connection.process_new_packets() {
            Ok(state) => state.plaintext_bytes_to_read() > 0 || state.peer_has_closed(),
            Err(_) => true,
        };
        if has_plaintext { Poll::Ready(Ok(())) } else { self.stream.poll_read_ready(context) }
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.push()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.encrypted == 0 {
            self.encrypted = self.connection.writer().write(&bytes[..bytes.len().min(TLS_RECORD_BYTES)])?;
            if !self.push()? {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        Ok(std::mem::take(&mut self.encrypted))
    }

    fn poll_writable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            if self.push()? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn end_writing(&mut self) -> io::Result<()> {
        self.end()?;
        SockRef::from(&self.stream).shutdown(Shutdown::Write)
    }

    fn gone(&self) -> Failing<'_> {
        self.stream.gone()
    }
}

impl Drop for Encrypted {
    /// An end without notice looks like somebody's attack. A peer that has gone needs none.
    fn drop(&mut self) {
        let _ = self.end();
    }
}
