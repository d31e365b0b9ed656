//! An object store of the brokers (ADR-20 of NATS), as far as snapshots need one: a stream with the pieces of each object, and a mark
//! that says what it is made of. Other clients of NATS can read it.
//!
//! It must never take for whole what is not: the mark is stored after all pieces, and has their number, their bytes and their sum.
//!
//! The library's own brings a tenth of the program in regular expressions, and knows no deadline for a piece.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use async_nats::header::NATS_ROLLUP;
use async_nats::jetstream::context::Context;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::object_store::{ObjectInfo, ObjectOptions};
use async_nats::jetstream::stream::{Config, DiscardPolicy, LastRawMessageErrorKind, StorageType, Stream};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::order::nats::{ANSWER, in_time};

/// The most bytes of a piece: as other clients have it, and far below the megabyte that a broker takes.
const PIECE: usize = 128 * 1024;

/// An object store.
pub struct Objects {
    bucket: String,
    context: Context,
    stream: Stream,
}

impl Objects {
    /// The object store of this name; makes it if there is none.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub async fn open(context: &Context, bucket: String, description: String, replicas: usize) -> Result<Self, String> {
        let config = Config {
            name: format!("OBJ_{bucket}"),
            description: Some(description),
            subjects: vec![format!("$O.{bucket}.C.>"), format!("$O.{bucket}.M.>")],
            storage: StorageType::File,
            num_replicas: replicas,
            discard: DiscardPolicy::New,
            allow_rollup: true,
            allow_direct: true,
            ..Config::default()
        };
        let stream = match in_time(context.get_stream(&config.name)).await {
            Ok(stream) => stream,
            Err(_) => in_time(context.create_stream(config)).await?,
        };
        Ok(Self { bucket, context: context.clone(), stream })
    }

    /// The names of the objects that are there, whole.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub async fn names(&self) -> Result<Vec<String>, String> {
        let marks = self.marks().await?;
        Ok(marks.into_iter().filter(|(_, info)| !info.deleted).map(|(_, info)| info.name).collect())
    }

    /// Stores what is read under this name.
    ///
    /// # Errors
    /// When it cannot be read or the brokers do not take it. [`Objects::clear_up`] clears what they have of it.
    pub async fn put(&self, name: &str, mut from: impl AsyncRead + Unpin) -> Result<(), String> {
        let nuid = nuid::next().to_string();
        let subject = self.pieces(&nuid);
        let (mut size, mut chunks, mut sum) = (0, 0, Sha256::new());
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            (&mut from).take(PIECE as u64).read_to_end(&mut piece).await.map_err(|error| error.to_string())?;
            if piece.is_empty() {
                break;
            }
            sum.update(&piece);
            (size, chunks) = (size + piece.len(), chunks + 1);
            self.store(&subject, PublishMessage::build().payload(piece.into())).await?;
        }
        let info = ObjectInfo {
            name: name.to_owned(),
            description: None,
            metadata: HashMap::new(),
            headers: None,
            options: Some(ObjectOptions { link: None, max_chunk_size: Some(PIECE) }),
            bucket: self.bucket.clone(),
            nuid,
            size,
            chunks,
            modified: OffsetDateTime::from_unix_timestamp(Clock::System.seconds()).ok(),
            digest: Some(digest(sum)),
            deleted: false,
        };
        let mark = serde_json::to_vec(&info).map_err(|error| error.to_string())?;
        self.store(&self.mark(name), PublishMessage::build().header(NATS_ROLLUP, "sub").payload(mark.into())).await
    }

    /// Writes the object of this name.
    ///
    /// # Errors
    /// When the brokers do not have it or not as it was stored, or it cannot be written.
    pub async fn get(&self, name: &str, into: &mut (impl AsyncWrite + Unpin)) -> Result<(), String> {
        let info = self.info(&self.mark(name)).await?.filter(|info| !info.deleted);
        let info = info.ok_or("the NATS servers do not have it any more")?;
        let subject = self.pieces(&info.nuid);
        let (mut next, mut size, mut sum) = (1, 0, Sha256::new());
        for _ in 0..info.chunks {
            let piece = in_time(self.stream.get_first_raw_message_by_subject(&subject, next)).await?;
            next = piece.sequence + 1;
            size += piece.payload.len();
            sum.update(&piece.payload);
            into.write_all(&piece.payload).await.map_err(|error| error.to_string())?;
        }
        let is_whole = size == info.size && info.digest == Some(digest(sum));
        if is_whole { Ok(()) } else { Err("it is not what was stored".to_owned()) }
    }

    /// Deletes the object of this name, if there is one.
    ///
    /// # Errors
    /// When the brokers do not answer. Then [`Objects::clear_up`] clears what they still have of it.
    pub async fn delete(&self, name: &str) -> Result<(), String> {
        let mark = self.mark(name);
        let Some(info) = self.info(&mark).await? else { return Ok(()) };
        // The mark first: what has one is whole.
        self.forget(&mark).await?;
        self.forget(&self.pieces(&info.nuid)).await
    }

    /// Clears up what is left of objects that were not stored whole, if nothing of them is younger than `age` by the brokers'
    /// clocks, and of those that are deleted.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub async fn clear_up(&self, age: Duration) -> Result<(), String> {
        // The pieces first: a mark that is made meanwhile has pieces that are young.
        let (mut left, now) = (Vec::new(), i128::from(Clock::System.time().0) * 1_000_000);
        for subject in self.subjects(&self.pieces(">")).await? {
            let newest = self.last(&subject).await?;
            if newest.is_some_and(|newest| now - newest.time.unix_timestamp_nanos() >= age.as_nanos() as i128) {
                left.push(subject);
            }
        }
        let mut whole = BTreeSet::new();
        for (subject, info) in self.marks().await? {
            if info.deleted {
                left.push(subject);
            } else {
                whole.insert(self.pieces(&info.nuid));
            }
        }
        for subject in left.into_iter().filter(|subject| !whole.contains(subject)) {
            self.forget(&subject).await?;
        }
        Ok(())
    }

    fn pieces(&self, nuid: &str) -> String {
        format!("$O.{}.C.{nuid}", self.bucket)
    }

    fn mark(&self, name: &str) -> String {
        format!("$O.{}.M.{}", self.bucket, URL_SAFE.encode(name))
    }

    async fn store(&self, subject: &str, message: PublishMessage) -> Result<(), String> {
        let sent = in_time(self.context.send_publish(subject.to_owned(), message)).await?;
        in_time(sent.into_future()).await.map(drop)
    }

    async fn forget(&self, subject: &str) -> Result<(), String> {
        in_time(self.stream.purge().filter(subject).into_future()).await.map(drop)
    }

    async fn subjects(&self, pattern: &str) -> Result<Vec<String>, String> {
        let listed = in_time(self.stream.info_with_subjects(pattern)).await?;
        let subjects: Vec<(String, usize)> = in_time(listed.try_collect()).await?;
        Ok(subjects.into_iter().map(|(subject, _)| subject).collect())
    }

    async fn marks(&self) -> Result<Vec<(String, ObjectInfo)>, String> {
        let mut marks = Vec::new();
        for subject in self.subjects(&format!("$O.{}.M.>", self.bucket)).await? {
            let info = self.info(&subject).await?;
            marks.extend(info.map(|info| (subject, info)));
        }
        Ok(marks)
    }

    async fn info(&self, mark: &str) -> Result<Option<ObjectInfo>, String> {
        let newest = self.last(mark).await?;
        newest.map(|mark| serde_json::from_slice(&mark.payload).map_err(|error| error.to_string())).transpose()
    }

    /// The newest message with this subject, if it is not forgotten meanwhile.
    async fn last(&self, subject: &str) -> Result<Option<StreamMessage>, String> {
        match timeout(ANSWER, self.stream.get_last_raw_message_by_subject(subject)).await {
            Ok(Ok(message)) => Ok(Some(message)),
            Ok(Err(error)) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer".to_owned()),
        }
    }
}

fn digest(sum: Sha256) -> String {
    format!("SHA-256={}", URL_SAFE.encode(sum.finalize()))
}
