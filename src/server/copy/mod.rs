//! `linechat copy`: moves a journal from a disk to the brokers of a cluster, and back. No server uses what is written meanwhile.
//!
//! A journal on a disk becomes the first snapshot of a stream that is otherwise empty, so that every server of the cluster begins with it. One
//! that comes back is the newest snapshot and what the stream has after it, taken as a server takes it. Each entry is read back
//! before it is said that anything was copied. What is read is never changed beyond what a start of its server changes.

mod to_disk;
mod to_nats;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::care::Work;
use crate::config::{Copy, Place};
use crate::names::Seq;
use crate::replica::ReplicaError;
use crate::server::{StartError, journal};
use crate::store::{Checked, OpenError, StoreError};

/// The folder in a data directory in which a copy is made.
const WORK: &str = "copying";

/// Why a journal was not copied; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One side has to be a disk, and the other a stream.
    #[error(
        "a journal is copied from a disk to a stream, or back; give one of --from and --to as disk:DIR, and the other as nats:URL"
    )]
    SameKind,
    /// There is nothing to copy.
    #[error("there is no journal in {}; give the --data-dir of a server as --from disk:DIR", .0.display())]
    NoJournal(PathBuf),
    /// It would be overwritten.
    #[error("there is a journal in {} already; give --to disk:DIR with a directory that is empty or does not exist", .0.display())]
    HasJournal(PathBuf),
    /// What is in the directory is no journal of its own.
    #[error("{} holds the copy of a cluster's server; copy the cluster's journal itself, with --from nats:URL", .0.display())]
    OfCluster(PathBuf),
    /// A cluster uses it.
    #[error("the stream {0} is in use already: it holds batches or a snapshot; give another --nats-stream NAME")]
    InUse(String),
    /// The servers of the cluster decide by other limits, and so would not agree with the copy.
    #[error("the servers of this cluster have other limits; give the same --limit options to copy as to them")]
    OtherLimits,
    /// What was read back is not what was written.
    #[error("what was copied is not what was read: entry {0} differs; try again, and check the memory and the disks")]
    Differs(Seq),
    /// The source or the target cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A store fails.
    #[error("the journal cannot be copied")]
    Store(#[from] StoreError),
    /// The stream cannot be followed, or its entries not be taken.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// The brokers do not do it.
    #[error("the brokers do not take or give the copy: {0}; try again")]
    Brokers(String),
    /// The system does not do it.
    #[error("{path} cannot be written: {error}", path = .path.display())]
    Write {
        /// What is written.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

impl From<OpenError> for CopyError {
    fn from(error: OpenError) -> Self {
        Self::Start(StartError::Open(error))
    }
}

/// What was copied.
#[derive(Debug)]
pub struct Copied {
    /// The entries, each of which was read back.
    pub checked: Checked,
    /// How many servers of the cluster are still there: what they take from now on is not in the copy.
    pub servers: usize,
}

/// Copies a journal.
///
/// # Errors
/// [`CopyError`]. Then the target is not a copy: a stream has no snapshot, and a directory no journal.
pub async fn run(copy: &Copy) -> Result<Copied, CopyError> {
    let limits = &Arc::new(copy.limits.clone());
    let (directory, is_from_disk) = match (&copy.from, &copy.to) {
        (Place::Disk(from), Place::Nats(_)) => (from, true),
        (Place::Nats(_), Place::Disk(to)) => (to, false),
        _ => return Err(CopyError::SameKind),
    };
    // Whatever may be known to be wrong before the brokers are asked.
    match (is_from_disk, crate::store::is_there(directory)?) {
        (true, false) => return Err(CopyError::NoJournal(directory.clone())),
        (false, true) => return Err(CopyError::HasJournal(directory.clone())),
        _ => {}
    }
    let nats = Arc::new(journal::connect(&copy.cluster(), limits.stream_bytes).await?);
    if is_from_disk { to_nats::copy(directory, &nats, limits).await } else { to_disk::copy(&nats, directory, limits).await }
}

/// Does something that waits for the disk.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> Result<T, StoreError> + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Failed(error.to_string()))?
}

/// The folder in which it works.
fn work(directory: &Path) -> Result<Work, CopyError> {
    let failed = |error| CopyError::Write { path: directory.join(WORK), error };
    Work::prepare(directory, WORK).map_err(failed)
}
