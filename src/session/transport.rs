//! What a session needs from a connection: TCP today, or anything else that can read and write bytes without waiting.
//!
//! The session owns its transport and uses nothing else of it, so that TLS or a simulated network takes TCP's place.

use std::future::pending;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::net::TcpStream;

/// The failure of a connection, some time.
pub type Failing<'a> = Pin<Box<dyn Future<Output = io::Error> + Send + 'a>>;

/// Bytes in both directions, without ever waiting.
pub trait Transport: Send + Sync {
    /// Reads received bytes into `buffer`, and returns how many; 0 means that the peer has ended its side. A read that does not
    /// fill the buffer has taken everything.
    ///
    /// # Errors
    /// When the connection has failed.
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Ready when there is something to read, or when there never will be again.
    ///
    /// # Errors
    /// When the connection has failed.
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Writes as many of the bytes as are taken at once, and returns how many. Bytes that were not taken are the first of the
    /// next call, so that a transport may prepare them.
    ///
    /// # Errors
    /// `WouldBlock` when none are taken now; others when the connection has failed.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Ready when bytes may be written again.
    ///
    /// # Errors
    /// When the connection has failed.
    fn poll_writable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Tells the peer that nothing more will be written.
    ///
    /// # Errors
    /// When the connection has failed.
    fn end_writing(&mut self) -> io::Result<()>;

    /// Comes to why the connection has failed, when it has, although nobody reads or writes: for a session that has nothing to
    /// read any more. That the peer has ended its side is no failure.
    fn gone(&self) -> Failing<'_> {
        Box::pin(pending())
    }
}

impl Transport for TcpStream {
    /// After a short read tokio knows that nothing is left, which saves the system call that would find nothing.
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

    fn gone(&self) -> Failing<'_> {
        Box::pin(async {
            let failed = self.ready(Interest::ERROR).await.and_then(|_| self.take_error());
            failed.unwrap_or_else(Some).unwrap_or_else(|| io::ErrorKind::ConnectionReset.into())
        })
    }
}
