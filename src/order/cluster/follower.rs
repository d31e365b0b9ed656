//! The follower: reads the stream and gives its batches to the replica, each place once and none left out.
//!
//! It owns the place up to which it has read. It trusts nobody who says that something is next: whatever is not is asked for
//! again.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::event::{Batch, Read, Time};
use crate::order::cluster::broker::{Broker, FollowError, Following, Heard, Stored};
use crate::order::cluster::features::Features;
use crate::order::cluster::frame::{FrameError, decode};
use crate::order::{Batches, OrderError};

/// A broker tells every half second that it is there. After three of these without a word the stream is asked for again.
const SILENCE: Duration = Duration::from_millis(1500);
/// After so many tries in a row the operator is told.
const TOLD: u32 = 10;
/// A frame that was left out so often in a row does not exist.
const GAPS: u32 = 50;
/// A broker that is behind has caught up in this time.
const SHORT: Duration = Duration::from_secs(30);
/// How long it waits before it asks again.
const REST: Duration = Duration::from_millis(200);

/// When the stream was heard of last.
#[derive(Debug)]
pub struct Pulse(Mutex<Beats>);

#[derive(Debug)]
struct Beats {
    /// When anything was heard; `None` before the first time.
    any: Option<Instant>,
    /// When a frame was heard that was not known, or it began to listen.
    frame: Instant,
    /// What was read by then.
    read: Read,
}

impl Pulse {
    /// Nothing was heard yet, after this was read.
    pub fn new(read: Read) -> Self {
        Self(Mutex::new(Beats { any: None, frame: clock::now(), read }))
    }

    fn beats(&self) -> MutexGuard<'_, Beats> {
        self.0.lock().expect("invariant: nothing panics under this lock")
    }

    fn beat(&self) {
        self.beats().any = Some(clock::now());
    }

    fn new_frame(&self, read: Read) {
        let mut beats = self.beats();
        (beats.frame, beats.read) = (clock::now(), read);
    }

    /// What was read.
    pub fn read(&self) -> Read {
        self.beats().read
    }

    /// For how long nothing was heard.
    pub fn silence(&self) -> Duration {
        self.beats().any.map_or(Duration::MAX, clock::since)
    }

    /// For how long no frame was heard that was not known.
    pub fn no_frame(&self) -> Duration {
        clock::since(self.beats().frame)
    }
}

/// The side of the replica.
pub struct Follower<B: Broker> {
    broker: Arc<B>,
    /// Everything up to here was given.
    read: Read,
    features: Features,
    /// When the frame at this place was stored, and its checksum, if it was read by this process.
    last: Option<(Time, u32)>,
    following: Option<B::Following>,
    /// How often in a row it could not be followed.
    tries: u32,
    /// Since when it has been shorter than what was read.
    short_since: Option<Instant>,
    /// How often in a row the frame after this place was left out.
    gaps: u32,
    pulse: Arc<Pulse>,
    /// Cancelled when this server has left, and takes no more.
    left: CancellationToken,
}

impl<B: Broker> Follower<B> {
    pub(super) fn new(broker: Arc<B>, read: Read, features: Features, pulse: Arc<Pulse>, left: CancellationToken) -> Self {
        Self { broker, read, features, last: None, following: None, tries: 0, short_since: None, gaps: 0, pulse, left }
    }

    /// Up to which place it has read.
    pub fn place(&self) -> u64 {
        self.read.place
    }

    /// An error when trying again does not help. A stream that is too short may be that of a broker that is still behind: it has its
    /// time.
    fn give_up(&mut self, error: &FollowError) -> Result<(), OrderError> {
        let FollowError::Short(end) = error else {
            self.short_since = None;
            return if let FollowError::Never(why) = error { Err(OrderError(why.clone())) } else { Ok(()) };
        };
        if clock::since(*self.short_since.get_or_insert_with(clock::now)) < SHORT {
            return Ok(());
        }
        Err(OrderError(format!(
            "the brokers have lost the end of the stream: it ends at place {end}, and this server's copy at {}; bring the brokers' data \
             back, or start all servers with empty data directories to go on without what was lost",
            self.read.place
        )))
    }

    /// The next frame's batch, or nothing if there is none yet.
    async fn look(&mut self) -> Result<Option<Batch>, OrderError> {
        let Some(following) = &mut self.following else {
            match self.broker.follow(self.read.place).await {
                Ok(following) => (self.following, self.tries, self.short_since) = (Some(following), 0, None),
                Err(error) => {
                    self.tries += 1;
                    self.give_up(&error)?;
                    if self.tries.is_multiple_of(TOLD) {
                        tracing::warn!(%error, "the stream cannot be followed; trying again and again");
                    }
                    sleep(REST).await;
                }
            }
            return Ok(None);
        };
        let Ok(Some(heard)) = timeout(SILENCE, following.next()).await else {
            self.following = None;
            return Ok(None);
        };
        self.pulse.beat();
        let Heard::Frame(stored) = heard else { return Ok(None) };
        let print = (stored.time, crc32fast::hash(&stored.frame));
        if stored.place == self.read.place && self.last.is_some_and(|last| last != print) {
            return Err(OrderError(format!(
                "the brokers have lost the end of the stream and gone on without it: it has another frame at place {}; bring the brokers' \
                 data back, or start all servers with empty data directories to go on without what was lost",
                self.read.place
            )));
        }
        if stored.place <= self.read.place {
            return Ok(None);
        }
        if stored.place > self.read.place + 1 {
            self.following = None;
            self.gaps += 1;
            return must_have_next(&*self.broker, self.read.place, self.gaps).await.map(|()| None);
        }
        self.read = Read { place: stored.place, print: print_after(self.read.print, &stored) };
        (self.last, self.gaps) = (Some(print), 0);
        self.pulse.new_frame(self.read);
        match decode(self.broker.stream(), self.read.print, &stored, self.features) {
            Ok(batch) => Ok(Some(batch)),
            Err(FrameError::Malformed) => {
                tracing::warn!(place = stored.place, "a frame in the stream is malformed and counts for nothing, on no node");
                Ok(None)
            }
            Err(error @ FrameError::Newer(..)) => Err(OrderError(format!(
                "the frame at place {} of the stream cannot be read: {error}; upgrade this server",
                stored.place
            ))),
        }
    }
}

impl<B: Broker> Batches for Follower<B> {
    async fn next(&mut self) -> Result<Option<Batch>, OrderError> {
        let left = self.left.clone();
        loop {
            let found = tokio::select! {
                biased;
                () = left.cancelled() => return Ok(None),
                found = self.look() => found?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
    }
}

/// The checksum of everything up to this frame, after that of everything before it.
fn print_after(before: u32, Stored { time, frame, .. }: &Stored) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(before);
    hasher.update(&time.0.to_le_bytes());
    hasher.update(frame);
    hasher.finalize()
}

/// Something after this place was left out: was it lost on the way, or is it no longer kept?
async fn must_have_next(broker: &impl Broker, place: u64, gaps: u32) -> Result<(), OrderError> {
    match broker.oldest().await {
        Ok(oldest) if oldest > place + 1 => Err(OrderError(format!(
            "the stream begins at place {oldest}, and this server's copy ends at {place}: it was away for too long"
        ))),
        Ok(_) if gaps >= GAPS => Err(OrderError(format!(
            "the frame at place {} is missing from the stream, and others around it are there: somebody has deleted it, or a broker has \
             lost it; start this server with an empty data directory, so that it begins with a snapshot",
            place + 1
        ))),
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::debug!(%error, "the stream's beginning is not known; trying again");
            sleep(REST).await;
            Ok(())
        }
    }
}
