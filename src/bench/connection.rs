//! A connection of the load: it writes, and cuts what it reads into frames. Owns the stream and the beginning of a frame whose
//! end has not come yet; what frames mean is the [`dialect`](super::dialect)'s.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::sync::Mutex;

use crate::bench::dialect::{Dialect, Seen};
use crate::bench::target::{Incoming, Outgoing, Target};

/// How long a connection may take to enter.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is read at a time: more than a socket holds, and the longest frame.
const READ_BYTES: usize = 512 * 1024;

thread_local! {
    // All connections of a load live in one thread, and none of them keeps what it has read.
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// One connection, read and written by the same task.
pub struct Connection {
    reader: RefCell<Incoming>,
    // Two may write: who sends, and who answers what the server demands.
    writer: Mutex<Outgoing>,
    partial: RefCell<Vec<u8>>,
}

impl Connection {
    /// Connects, writes `lines`, and reads until connection `me` has entered.
    ///
    /// # Errors
    /// When the connection fails, is refused, or takes longer than a minute.
    pub async fn enter<D: Dialect>(dialect: &D, server: &Target, me: usize, lines: &[u8]) -> Result<Self> {
        let (reader, writer) = server.open(me).await.with_context(|| format!("connection {me} to {}", server.address(me)))?;
        let connection = Self { reader: RefCell::new(reader), writer: Mutex::new(writer), partial: RefCell::default() };
        connection.write(lines).await?;
        tokio::time::timeout(PATIENCE, connection.entered(dialect, me))
            .await
            .with_context(|| format!("connection {me} did not enter in a minute"))??;
        Ok(connection)
    }

    async fn entered<D: Dialect>(&self, dialect: &D, me: usize) -> Result<()> {
        loop {
            let (mut entered, mut demand, mut refused) = (false, None, None);
            let open = self.read(dialect, |seen| match seen {
                Seen::Entered => entered = true,
                Seen::Demand(answer) => demand = Some(answer),
                Seen::Refused(why) => refused = Some(String::from_utf8_lossy(why).into_owned()),
                _ => {}
            });
            let open = open.await?;
            match (entered, demand, refused) {
                (_, _, Some(why)) => bail!("connection {me} was refused: {}", why.trim_end()),
                (true, ..) => return Ok(()),
                (_, Some(answer), _) => self.write(&answer).await?,
                _ if !open => bail!("connection {me} was closed by the server"),
                _ => {}
            }
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut writer = self.writer.lock().await;
        writer.write_all(bytes).await?;
        writer.flush().await
    }

    /// Waits until something can be read, and shows the meaning of each whole frame of it to `see`. False when the server has
    /// closed the connection.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn read<D: Dialect>(&self, dialect: &D, mut see: impl FnMut(Seen)) -> std::io::Result<bool> {
        poll_fn(|context| self.poll_read(context, dialect, &mut see)).await
    }

    fn poll_read<D: Dialect>(
        &self,
        context: &mut TaskContext<'_>,
        dialect: &D,
        see: &mut impl FnMut(Seen),
    ) -> Poll<std::io::Result<bool>> {
        READ.with_borrow_mut(|buffer| {
            let mut partial = self.partial.borrow_mut();
            let (kept, space) = buffer.split_at_mut(partial.len());
            kept.copy_from_slice(&partial);
            let mut space = ReadBuf::new(space);
            // Not readiness and then a read: after a read that has not filled the buffer it would read once more in vain.
            ready!(Pin::new(&mut *self.reader.borrow_mut()).poll_read(context, &mut space))?;
            let (open, filled) = (!space.filled().is_empty(), partial.len() + space.filled().len());
            let mut rest = &buffer[..filled];
            while let Some(length) = dialect.frame(rest) {
                let (frame, after) = rest.split_at(length);
                dialect.show(frame, see);
                rest = after;
            }
            partial.clear();
            partial.extend_from_slice(rest);
            Poll::Ready(Ok(open))
        })
    }
}
