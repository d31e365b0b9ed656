//! Snapshots: copies of a node's store, kept by the brokers beside the stream, so that nobody need read the stream from its
//! beginning and the stream need not be kept from there.
//!
//! A snapshot is named by the stream, and the place in it up to which it goes. It must be stored whole before anything of the stream that it
//! covers is forgotten.

use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWriteExt};

use crate::order::nats::objects::Objects;
use crate::order::nats::{Nats, in_time};

/// How many are kept. A server that is reading the one before the newest must find what follows it.
pub const KEPT: usize = 2;

/// The snapshots beside a stream.
pub struct Snapshots {
    objects: Objects,
    stream: Stream,
    /// The identity of the stream: those of another one that had its name are none.
    identity: u64,
}

impl Nats {
    /// The snapshots beside the stream; makes the place for them if there is none.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub async fn snapshots(&self) -> Result<Snapshots, String> {
        let bucket = format!("{}-snapshots", self.name);
        let description = format!("snapshots of the linechat cluster {}", self.name);
        let objects = Objects::open(&self.context, bucket, description, self.replicas).await?;
        let stream = in_time(self.context.get_stream(&self.name)).await?;
        Ok(Snapshots { objects, stream, identity: self.identity })
    }
}

impl Snapshots {
    fn name(&self, place: u64) -> String {
        format!("{:016x}-{place:020}", self.identity)
    }

    /// The place in the name of one of this stream.
    fn place(&self, name: &str) -> Option<u64> {
        let (identity, place) = name.split_once('-')?;
        let is_own = u64::from_str_radix(identity, 16) == Ok(self.identity);
        place.parse().ok().filter(|_| is_own)
    }

    /// The places up to which they go, the oldest first.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub async fn places(&self) -> Result<Vec<u64>, String> {
        let names = self.objects.names().await?;
        let mut places: Vec<u64> = names.iter().filter_map(|name| self.place(name)).collect();
        places.sort_unstable();
        Ok(places)
    }

    /// Stores what is read as the snapshot that goes up to this place.
    ///
    /// # Errors
    /// When it cannot be read or the brokers do not take it.
    pub async fn put(&self, place: u64, file: impl AsyncRead + Unpin) -> Result<(), String> {
        self.objects.put(&self.name(place), file).await
    }

    /// Forgets the snapshot that goes up to this place.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub async fn forget(&self, place: u64) -> Result<(), String> {
        self.objects.delete(&self.name(place)).await
    }

    /// Fetches the snapshot that goes up to this place into a file. Its checksum is checked on the way.
    ///
    /// # Errors
    /// When the brokers do not have it, or it cannot be written.
    pub async fn get(&self, place: u64, file: &mut File) -> Result<(), String> {
        self.objects.get(&self.name(place), file).await?;
        file.flush().await.map_err(|error| error.to_string())?;
        file.sync_all().await.map_err(|error| error.to_string())
    }

    /// Forgets all snapshots but the newest ones, and all of the stream that the oldest of those covers. Returns the place up to
    /// which the stream is forgotten.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub async fn forget_old(&self) -> Result<Option<u64>, String> {
        let places = self.places().await?;
        let Some(first) = places.len().checked_sub(KEPT) else { return Ok(None) };
        for place in &places[..first] {
            self.forget(*place).await?;
        }
        let covered = places[first];
        in_time(self.stream.purge().sequence(covered + 1).into_future()).await?;
        Ok(Some(covered))
    }

    /// Clears up what is left of snapshots that were not stored whole, if nothing of them is younger than `age`, and of those that are
    /// forgotten.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub async fn clear_up(&self, age: Duration) -> Result<(), String> {
        self.objects.clear_up(age).await
    }
}
