//! An object store of the brokers (ADR-20 of NATS), as far as snapshots need one: a stream with the pieces of each object, and a mark
//! that says what it is made of. Other clients of NATS can read it.
//!
//! It must never take for whole what is not: the mark is stored after all pieces, and has their number, their bytes and their sum.
//!
//! The library's own is a tenth of the program, because of its regular expressions, and has no deadline for a piece that it reads.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use async_nats::header::NATS_ROLLUP;
use async_nats::jetstream::context::{Context, PublishError};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::object_store::{ObjectInfo, ObjectOptions};
use async_nats::jetstream::stream::{Config, DiscardPolicy, LastRawMessageErrorKind, StorageType, Stream};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

use crate::clock::{self, Clock};
use crate::order::nats::{RETRY, in_time};

/// The most bytes of a piece: as other clients have it, and far below the megabyte that a broker takes.
const PIECE: usize = 128 * 1024;
/// For how long it is asked for a message again: brokers that have lost their leader have another in 4 to 9 seconds (measured), and
/// say nothing until then.
const ELECTION: Duration = Duration::from_secs(30);

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
        let stream = in_time(context.get_or_create_stream(config)).await?;
        Ok(Self { bucket, context: context.clone(), stream })
    }

    /// The names of the objects that have a mark.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub async fn names(&self) -> Result<Vec<String>, String> {
        let marks = self.marks().await?;
        Ok(marks.into_iter().filter(|(_, info)| !info.deleted).map(|(_, info)| info.name).collect())
    }

    /// Stores what is read under this name, instead of what has it.
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
        // Another server whose clock is ahead may have taken them for left over.
        let kept = self.subjects(&subject).await?.first().map_or(0, |(_, kept)| *kept);
        if kept != chunks {
            return Err(format!("the NATS servers have {kept} of its {chunks} pieces"));
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
    /// When the brokers do not have it or not as it was stored, or do not answer for [`ELECTION`], or it cannot be written.
    pub async fn get(&self, name: &str, into: &mut (impl AsyncWrite + Unpin)) -> Result<(), String> {
        let info = self.info(&self.mark(name)).await?.filter(|info| !info.deleted);
        let ObjectInfo { nuid, size, chunks, digest: wanted, .. } = info.ok_or("the NATS servers do not have it any more")?;
        let subject = self.pieces(&nuid);
        let (mut next, mut got, mut sum) = (1, 0, Sha256::new());
        for number in 1..=chunks {
            let piece = self.message(&subject, Some(next)).await?;
            let piece = piece.ok_or_else(|| format!("the NATS servers do not have its piece {number} of {chunks} any more"))?;
            next = piece.sequence + 1;
            got += piece.payload.len();
            sum.update(&piece.payload);
            into.write_all(&piece.payload).await.map_err(|error| error.to_string())?;
        }
        let (found, wanted) = (digest(sum), wanted.unwrap_or_default());
        if got != size {
            Err(format!("the NATS servers have {got} of its {size} bytes"))
        } else if found != wanted {
            Err(format!("its sum is {found} and was {wanted}"))
        } else {
            Ok(())
        }
    }

    /// Deletes the object of this name, if there is one.
    ///
    /// # Errors
    /// When the brokers do not answer. [`Objects::clear_up`] clears what they still have of it if its mark is gone.
    pub async fn delete(&self, name: &str) -> Result<(), String> {
        let mark = self.mark(name);
        let info = self.info(&mark).await;
        // First, because what has one is taken for whole; and in any case, because one may be on its way.
        self.forget(&mark).await?;
        match info? {
            Some(info) => self.forget(&self.pieces(&info.nuid)).await,
            None => Ok(()),
        }
    }

    /// Clears up what is left of objects that were not stored whole, are deleted or were stored again, if it is older than `age`:
    /// the times of the pieces are the brokers', and what time it is now this machine says.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub async fn clear_up(&self, age: Duration) -> Result<(), String> {
        // The pieces first: a mark that is made meanwhile has pieces that are young.
        let (mut left, now) = (Vec::new(), i128::from(Clock::System.time().0) * 1_000_000);
        for (subject, _) in self.subjects(&self.pieces(">")).await? {
            let newest = self.message(&subject, None).await?;
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
        let stored = async { self.context.send_publish(subject.to_owned(), message).await?.await };
        in_time::<_, PublishError>(stored).await.map(drop)
    }

    async fn forget(&self, subject: &str) -> Result<(), String> {
        in_time(self.stream.purge().filter(subject).into_future()).await.map(drop)
    }

    /// The subjects of this pattern, and how many messages each has.
    async fn subjects(&self, pattern: &str) -> Result<Vec<(String, usize)>, String> {
        let listed = in_time(self.stream.info_with_subjects(pattern)).await?;
        in_time(listed.try_collect()).await
    }

    async fn marks(&self) -> Result<Vec<(String, ObjectInfo)>, String> {
        let mut marks = Vec::new();
        for (subject, _) in self.subjects(&format!("$O.{}.M.>", self.bucket)).await? {
            let info = self.info(&subject).await?;
            marks.extend(info.map(|info| (subject, info)));
        }
        Ok(marks)
    }

    async fn info(&self, mark: &str) -> Result<Option<ObjectInfo>, String> {
        let newest = self.message(mark, None).await?;
        newest
            .map(|newest| serde_json::from_slice(&newest.payload).map_err(|error| format!("the mark {mark}: {error}")))
            .transpose()
    }

    /// The newest message with this subject, or with `from` the first at this place or after it. `None` if there is none, or none
    /// any more.
    async fn message(&self, subject: &str, from: Option<u64>) -> Result<Option<StreamMessage>, String> {
        let began = clock::now();
        loop {
            let answer = in_time(async {
                let answer = match from {
                    None => self.stream.get_last_raw_message_by_subject(subject).await,
                    Some(place) => self.stream.get_first_raw_message_by_subject(subject, place).await,
                };
                match answer {
                    Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                    answer => answer.map(Some),
                }
            });
            match answer.await {
                Err(_) if clock::since(began) < ELECTION => sleep(RETRY).await,
                answer => return answer,
            }
        }
    }
}

fn digest(sum: Sha256) -> String {
    format!("SHA-256={}", URL_SAFE.encode(sum.finalize()))
}
