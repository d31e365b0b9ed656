//! What the order of a cluster needs from the engine that stores it: putting a frame at the end of one stream, and reading the
//! stream from a place on. A broker knows nothing of what is in a frame.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::event::Time;

/// Why a frame was not stored, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It is not stored, and will not be.
    #[error("not stored: {0}")]
    NotStored(String),
    /// It may be stored, now or later.
    #[error("not known: {0}")]
    Unknown(String),
}

/// Why a stream cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// Not now.
    #[error("{0}")]
    Later(String),
    /// Never: it is another stream, and what was read belongs to the one that it was. The text says what to do.
    #[error("{0}")]
    Never(String),
    /// It ends here, before the place that was asked for.
    #[error("the stream ends at place {0}")]
    Short(u64),
}

/// Tells, some time after a frame was sent, whether it is stored.
pub type Ack = BoxFuture<'static, Result<(), SendError>>;

/// A frame in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place in the stream, from 1, without holes.
    pub place: u64,
    /// When it was stored, by the clock of the broker that did.
    pub time: Time,
    /// What was sent.
    pub frame: Bytes,
}

/// What is heard of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The next frame.
    Frame(Stored),
    /// A heartbeat: the broker is there, and there is nothing new.
    Nothing,
}

/// One stream, kept by one or many brokers.
pub trait Broker: Send + Sync + 'static {
    /// Reads the stream.
    type Following: Following;

    /// The identity of the stream. One that is made anew under the same name has another.
    fn stream(&self) -> u64;

    /// Whether anybody is there to send to.
    fn is_connected(&self) -> bool;

    /// Whether the stream has room only for what cannot be refused, as far as is known.
    fn is_nearly_full(&self) -> bool;

    /// Sends a frame to the end of the stream. Frames arrive in the order of the calls, unless something goes wrong. The
    /// broker may take one twice, and may take one of which the answer is lost.
    fn send(&self, frame: Bytes) -> BoxFuture<'_, Result<Ack, SendError>>;

    /// Reads the frames after this place, and before them the one at this place again, if it is still kept: a stream that has
    /// another one there is not the one that was read. Returns in bounded time.
    fn follow(&self, after: u64) -> BoxFuture<'_, Result<Self::Following, FollowError>>;

    /// Speaks to another broker from now on, if there is one: this one answers, and is of no use. It may take two calls. What is
    /// under way may be stored or not. Returns in bounded time.
    fn turn_to_another(&self) -> BoxFuture<'_, ()>;

    /// The place of the oldest frame that is kept, or of the next one if none is. Returns in bounded time.
    fn oldest(&self) -> BoxFuture<'_, Result<u64, String>>;
}

/// Frames as they come. Some may come twice, or be missing; whoever reads looks at their places.
pub trait Following: Send {
    /// What is heard next; `None` when nothing more will be. The future may be dropped, and `next` called again.
    fn next(&mut self) -> impl Future<Output = Option<Heard>> + Send;
}
