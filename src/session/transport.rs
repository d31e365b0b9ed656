//! What a session needs of a connection's bytes: TCP today, and whatever else can read and write without waiting.
//!
//! The session owns its transport and asks it for nothing but this, so that TLS or a simulated network can take TCP's place.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

/// Bytes in both directions, without ever waiting.
pub trait Transport: Send + Sync {
    /// Takes in what has come, if anything has; 0 bytes are the peer's end. A read that does not fill the buffer has taken
    /// everything.
    ///
    /// # Errors
    /// When the connection has failed.
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Ready when there is something to read, or nothing ever again.
    ///
    /// # Errors
    /// When the connection has failed.
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Gives as many bytes as are taken at once.
    ///
    /// # Errors
    /// `WouldBlock` when none are taken now; others when the connection has failed.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Ready when bytes may be taken again.
    ///
    /// # Errors
    /// When the connection has failed.
    fn poll_writable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Tells the peer that nothing more will be written.
    ///
    /// # Errors
    /// When the connection has failed.
    fn end_writing(&mut self) -> io::Result<()>;
}

impl Transport for TcpStream {
    /// A short read is known to have taken everything, which spares the system call that would find nothing.
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        AsyncRead::poll_read(Pin::new(self), context, &mut buffer).map_ok(|()| buffer.filled().len())
    }

    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(context)
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        TcpStream::try_write(self, bytes)
    }

    fn poll_writable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_ready(context)
    }

    fn end_writing(&mut self) -> io::Result<()> {
        socket2::SockRef::from(&*self).shutdown(Shutdown::Write)
    }
}
