//! Snapshots: copies of a node's store, kept by the brokers beside the stream, so that nobody need read the stream from its
//! beginning and the stream need not be kept from there.
//!
//! A snapshot is named by the stream, and the place in it up to which it goes. It must be stored whole before anything of the stream that it
//! covers is forgotten.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::object_store::{Config, ObjectInfo, ObjectMetadata, ObjectStore};
use async_nats::jetstream::stream::{StorageType, Stream};
use futures_util::TryStreamExt;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::order::nats::{Nats, in_time};

/// How long a snapshot may take on its way: a gigabyte in ten minutes is a slow network.
const TRANSFER: Duration = Duration::from_secs(600);
/// How many are kept. A server that is reading the one before the newest must find what follows it.
pub const KEPT: usize = 2;

/// The snapshots beside a stream.
pub struct Snapshots {
    store: ObjectStore,
    bucket: String,
    /// The stream in which they are.
    objects: Stream,
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
        let config = Config {
            bucket: format!("{}-snapshots", self.name),
            description: Some(format!("snapshots of the linechat cluster {}", self.name)),
            storage: StorageType::File,
            num_replicas: self.replicas,
            ..Config::default()
        };
        let bucket = config.bucket.clone();
        let store = match in_time(self.context.get_object_store(&bucket)).await {
            Ok(store) => store,
            Err(_) => in_time(self.context.create_object_store(config)).await?,
        };
        let identity = self.identity;
        let objects = in_time(self.context.get_stream(format!("OBJ_{bucket}"))).await?;
        let stream = in_time(self.context.get_stream(&self.name)).await?;
        Ok(Snapshots { store, bucket, objects, identity, stream })
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
        let listed = in_time(self.store.list()).await?;
        let objects: Vec<_> = in_time(listed.try_collect()).await?;
        let mut places: Vec<u64> = objects.iter().filter_map(|object| self.place(&object.name)).collect();
        places.sort_unstable();
        Ok(places)
    }

    /// Stores what is read as the snapshot that goes up to this place.
    ///
    /// # Errors
    /// When it cannot be read or the brokers do not take it.
    pub async fn put(&self, place: u64, mut file: impl AsyncRead + Unpin) -> Result<(), String> {
        let metadata = ObjectMetadata { name: self.name(place), ..ObjectMetadata::default() };
        let put = timeout(TRANSFER, self.store.put(metadata, &mut file)).await.map_err(|_| "it takes too long".to_owned())?;
        put.map(drop).map_err(|error| error.to_string())
    }

    /// Forgets the snapshot that goes up to this place.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub async fn forget(&self, place: u64) -> Result<(), String> {
        in_time(self.store.delete(self.name(place))).await
    }

    /// Fetches the snapshot that goes up to this place into a file. Its checksum is checked on the way.
    ///
    /// # Errors
    /// When the brokers do not have it, or it cannot be written.
    pub async fn get(&self, place: u64, file: &mut File) -> Result<(), String> {
        let mut object = in_time(self.store.get(self.name(place))).await?;
        let copied = timeout(TRANSFER, tokio::io::copy(&mut object, file)).await;
        copied.map_err(|_| "it takes too long".to_owned())?.map_err(|error| error.to_string())?;
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

    /// Clears up what is left of snapshots that were not stored whole, if nothing of them is younger than `age` by the brokers'
    /// clocks, and of those that are forgotten.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub async fn clear_up(&self, age: Duration) -> Result<(), String> {
        let (marks, pieces) = (format!("$O.{}.M.", self.bucket), format!("$O.{}.C.", self.bucket));
        let listed = in_time(self.objects.info_with_subjects(format!("$O.{}.>", self.bucket))).await?;
        let subjects: Vec<(String, usize)> = in_time(listed.try_collect()).await?;
        // The pieces first: a mark that is made meanwhile has pieces that are young.
        let (mut left, now) = (Vec::new(), i128::from(Clock::System.time().0) * 1_000_000);
        for (subject, _) in subjects.iter().filter(|(subject, _)| subject.starts_with(&pieces)) {
            let newest = in_time(self.objects.get_last_raw_message_by_subject(subject)).await?;
            if now - newest.time.unix_timestamp_nanos() >= age.as_nanos() as i128 {
                left.push(subject);
            }
        }
        let mut whole = BTreeSet::new();
        for (subject, _) in subjects.iter().filter(|(subject, _)| subject.starts_with(&marks)) {
            let newest = in_time(self.objects.get_last_raw_message_by_subject(subject)).await?;
            let mark: ObjectInfo = serde_json::from_slice(&newest.payload).map_err(|error| error.to_string())?;
            if mark.deleted {
                left.push(subject);
            } else {
                whole.insert(format!("{pieces}{}", mark.nuid));
            }
        }
        for subject in left.into_iter().filter(|subject| !whole.contains(*subject)) {
            in_time(self.objects.purge().filter(subject).into_future()).await?;
        }
        Ok(())
    }
}
