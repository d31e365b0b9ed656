//! Finding messages again: by words, by who spoke with whom, by time.
//!
//! An index of messages follows the store, off the path of every message: one [`Follower`] owns it, reads what was committed after
//! the point that it has reached, and answers questions between two steps of that. It is a projection and holds nothing of its own:
//! whatever is missing, damaged or of another journal is thrown away and made anew. In a cluster each node has one.
//!
//! The index finds messages and the store shows them, so nothing is shown that the store has given up. Before it answers, the index
//! has reached everything that was committed when it was asked ([`Search::ask`]). It knows nothing of who may read what: a
//! [`Filter`] says where to look, and whoever asks has decided that.

mod filter;
mod follower;
mod index;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::limits::{SEARCH_SECONDS, SEARCHES_WAITING};
use crate::names::Seq;
use crate::store::Reader;

pub use filter::{Filter, Place};
pub use follower::Follower;
pub use index::{Direction, Index, IndexError, Taken};

/// Why a question is not answered now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// The index has not reached what was said by now.
    #[error("the index of messages has not caught up with what was said; try again in a moment")]
    Behind,
    /// Too many ask at the same time.
    #[error("too many search at the same time; try again in a moment")]
    Busy,
    /// This server has no index.
    #[error("this server keeps no index of messages (--no-search)")]
    Without,
}

/// A question, which sends its answer to whoever has asked it.
type Job = Box<dyn FnOnce(&Index) -> Result<(), IndexError> + Send>;

/// Where questions are asked.
#[derive(Debug, Clone)]
pub struct Search {
    jobs: mpsc::Sender<Job>,
    closed: CancellationToken,
    reached: Arc<AtomicU64>,
}

/// An index of what this reader reads, in a file of this directory, or in memory without one. Nothing is opened until the
/// follower runs.
pub fn open(reader: Arc<dyn Reader>, directory: Option<&Path>) -> (Search, Follower) {
    let (jobs, asked) = mpsc::channel(SEARCHES_WAITING);
    let closed = CancellationToken::new();
    let reached = Arc::default();
    let follower = Follower::new(reader, directory, asked, closed.clone(), Arc::clone(&reached));
    (Search { jobs, closed, reached }, follower)
}

impl Search {
    /// A search that never finds anything: for a server without an index.
    pub fn nowhere() -> Self {
        Self { jobs: mpsc::channel(1).0, closed: CancellationToken::new(), reached: Arc::default() }
    }

    /// Up to which entry the index has taken the journal in; `None` without an index.
    pub fn reached(&self) -> Option<Seq> {
        (!self.jobs.is_closed()).then(|| Seq(self.reached.load(Ordering::Relaxed)))
    }

    /// Asks the index something, once it has reached what is committed now.
    ///
    /// # Errors
    /// [`NotNow`] when that takes too long.
    pub async fn ask<T: Send + 'static>(
        &self,
        find: impl FnOnce(&Index) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, NotNow> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |index| {
            // Whoever has waited long enough is gone.
            if !answer.is_closed() {
                let _ = answer.send(find(index)?);
            }
            Ok(())
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => NotNow::Busy,
            TrySendError::Closed(_) => NotNow::Without,
        })?;
        match tokio::time::timeout(Duration::from_secs(SEARCH_SECONDS), answered).await {
            Ok(Ok(found)) => Ok(found),
            _ => Err(NotNow::Behind),
        }
    }

    /// Ends the follower: nobody will ask any more.
    pub fn close(&self) {
        self.closed.cancel();
    }
}
