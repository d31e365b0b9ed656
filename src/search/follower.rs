//! The follower: it owns the index, keeps it up with the journal, and answers questions between two steps.
//!
//! It must never end because of the index: whatever cannot be used is told to the operator, thrown away and made anew. Nor may it
//! keep a file that it does not follow: what is retracted meanwhile would stay there. It works in small steps and rests between them,
//! so that messages, which do not wait for it, need not share the machine with it for long.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::event::RoomId;
use crate::limits::{
    INDEX_LEAVES_BYTES, INDEX_LOOK_SECONDS, INDEX_RESTS, INDEX_SWEEP_SECONDS, INDEXED_AT_ONCE, ROOMS_SWEPT_AT_ONCE,
    SEARCH_SECONDS, TIDIED_AT_ONCE,
};
use crate::names::{Seq, UserId};
use crate::search::Job;
use crate::search::index::{Index, IndexError};
use crate::store::{ReadError, Reader, search_file};

/// How long it waits at first after something went wrong, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));
/// The least rest between two steps.
const REST: Duration = Duration::from_millis(1);

/// Follows one journal.
pub struct Follower {
    reader: Arc<dyn Reader>,
    directory: Option<PathBuf>,
    asked: mpsc::Receiver<Job>,
    closed: CancellationToken,
    sweep: Sweep,
    /// Is told up to which entry the index has come; 0 without one.
    reached: Arc<AtomicU64>,
    /// How many bytes the index had when it gave way to the journal; 0 while there is room for it.
    gave_way: u64,
}

/// What is still to be taken out of the index because the journal has given it up.
#[derive(Default)]
struct Sweep {
    /// Rooms, and below which seq; `None` for all.
    due: VecDeque<(RoomId, Option<Seq>)>,
    /// Up to which room they were looked at, and when this begins anew.
    looked: (Option<RoomId>, Option<Instant>),
    /// Whether something was taken out and may still be in the log.
    has_taken_out: bool,
}

impl From<ReadError> for IndexError {
    fn from(error: ReadError) -> Self {
        Self::Failed(format!("the journal cannot be read: {error}"))
    }
}

impl Follower {
    pub(super) fn new(
        reader: Arc<dyn Reader>,
        directory: Option<&Path>,
        asked: mpsc::Receiver<Job>,
        closed: CancellationToken,
        reached: Arc<AtomicU64>,
    ) -> Self {
        let directory = directory.map(Path::to_owned);
        Self { reader, directory, asked, closed, sweep: Sweep::default(), reached, gave_way: 0 }
    }

    /// Follows the journal until nobody asks any more. It reads and writes a file: run it where that may be waited for.
    pub async fn run(mut self) {
        // One that was found damaged is made anew at once, and those who ask wait for it.
        let (mut wait, mut told) = (Duration::ZERO, String::new());
        loop {
            let began = clock::now();
            let Err(error) = self.follow().await else { return };
            if clock::since(began) > RETRY.1 {
                (wait, told) = (Duration::ZERO, String::new());
            }
            // There is no index now: it is behind by all that there is.
            self.reached.store(0, Ordering::Relaxed);
            let is_news = error.to_string() != told;
            match &error {
                IndexError::Useless(_) => {
                    tracing::warn!(%error, "the index of messages cannot be used, and is made anew from the journal");
                    self.remove();
                }
                IndexError::NoRoom => {
                    self.gave_way = self.gave_way.max(self.remove());
                    if is_news {
                        tracing::warn!(%error, "the index of messages is removed, so nobody can search; it is made anew when there is room");
                    }
                }
                IndexError::Failed(_) if is_news => {
                    tracing::warn!(%error, "there is no index of messages now, so nobody can search; trying again");
                }
                IndexError::Failed(_) => {}
            }
            told = error.to_string();
            if !self.refuse(wait).await {
                return;
            }
            wait = (wait * 2).clamp(RETRY.0, RETRY.1);
        }
    }

    /// Answers no question for a while: whoever asks is told so. Returns false once nobody asks any more.
    async fn refuse(&mut self, wait: Duration) -> bool {
        let until = clock::now() + wait;
        loop {
            tokio::select! {
                () = self.closed.cancelled() => return false,
                () = tokio::time::sleep_until(until) => return true,
                job = self.asked.recv() => if job.is_none() { return false },
            }
        }
    }

    async fn follow(&mut self) -> Result<(), IndexError> {
        self.sweep = Sweep::default();
        let path = self.path().map_err(|error| IndexError::Failed(error.to_string()))?;
        self.must_leave_room()?;
        let mut index = Index::open(path.as_deref())?;
        self.gave_way = 0;
        let (taken, newest) = (index.taken(), index.newest()?);
        self.must_be_of_this_journal(taken, newest).await?;
        let mut rest = Duration::ZERO;
        loop {
            let Some(jobs) = self.rest(rest).await else { return Ok(()) };
            self.must_leave_room()?;
            let began = clock::now();
            let is_up_to_date = self.catch_up(&mut index, !jobs.is_empty()).await?;
            self.reached.store(index.taken().0, Ordering::Relaxed);
            if is_up_to_date {
                jobs.into_iter().try_for_each(|job| job(&index))?;
            }
            let is_tidy = self.sweep(&mut index).await?;
            let look = Duration::from_secs(INDEX_LOOK_SECONDS);
            rest = if is_up_to_date && is_tidy { look } else { (clock::since(began) * INDEX_RESTS).clamp(REST, look) };
        }
    }

    /// The file of the index, unless it is in memory.
    fn path(&self) -> io::Result<Option<PathBuf>> {
        self.directory.as_deref().map(search_file).transpose()
    }

    /// Removes the file of the index, if there is one; returns how many bytes it had.
    fn remove(&self) -> u64 {
        self.path().ok().flatten().map_or(0, |path| Index::remove(&path))
    }

    /// A disk that is nearly full is the journal's. What the index has given way with is not enough to make it anew: it would fill
    /// the disk as before, again and again.
    fn must_leave_room(&self) -> Result<(), IndexError> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let space = rustix::fs::statvfs(directory).map_err(|error| IndexError::Failed(error.to_string()))?;
        let needed = if self.gave_way == 0 { INDEX_LEAVES_BYTES } else { self.gave_way + 2 * INDEX_LEAVES_BYTES };
        if space.f_bavail.saturating_mul(space.f_frsize) < needed { Err(IndexError::NoRoom) } else { Ok(()) }
    }

    /// A journal that was restored from a backup, or copied here, has an index of its own to come.
    async fn must_be_of_this_journal(&self, taken: Seq, newest: Option<(Seq, RoomId, UserId)>) -> Result<(), IndexError> {
        let other = || IndexError::Useless("it is of another journal".to_owned());
        if self.reader.stretch(taken, 1).await?.newest < taken {
            return Err(other());
        }
        let Some((seq, room, sender)) = newest else { return Ok(()) };
        let entry = self.reader.entries(vec![seq]).await?.pop();
        let is_it = |entry: crate::event::Entry| entry.room == Some(room) && entry.event.sender() == Some(sender);
        // What is no longer there, or damaged, says nothing.
        if entry.is_none_or(is_it) { Ok(()) } else { Err(other()) }
    }

    /// Rests, but not longer than until somebody asks something; `None` once nobody asks any more.
    async fn rest(&mut self, rest: Duration) -> Option<Vec<Job>> {
        let mut jobs = Vec::new();
        tokio::select! {
            () = self.closed.cancelled() => return None,
            () = tokio::time::sleep(rest) => {}
            job = self.asked.recv() => jobs.push(job?),
        }
        while let Ok(job) = self.asked.try_recv() {
            jobs.push(job);
        }
        Some(jobs)
    }

    /// Takes what was committed: a step of it or, if somebody waits, all that there is now. Returns whether that is all.
    async fn catch_up(&mut self, index: &mut Index, is_asked: bool) -> Result<bool, IndexError> {
        let (began, mut goal) = (clock::now(), None);
        loop {
            let stretch = self.reader.stretch(index.taken(), INDEXED_AT_ONCE).await?;
            let goal = *goal.get_or_insert(stretch.newest);
            let taken = index.take(&stretch)?;
            self.sweep.due.extend(taken.ended.into_iter().map(|room| (room, None)));
            self.sweep.has_taken_out |= taken.has_unsaid;
            if index.taken() >= goal {
                return Ok(true);
            }
            // Those who have asked are told that it takes longer; the rest is taken in its time.
            if !is_asked || self.closed.is_cancelled() || clock::since(began) > Duration::from_secs(SEARCH_SECONDS) {
                return Ok(false);
            }
        }
    }

    /// Takes a little out of what the journal has given up; returns whether that was all for now.
    async fn sweep(&mut self, index: &mut Index) -> Result<bool, IndexError> {
        if let Some((room, below)) = self.sweep.due.front().copied() {
            self.sweep.has_taken_out = true;
            if index.forget(room, below, TIDIED_AT_ONCE)? {
                self.sweep.due.pop_front();
            }
            return Ok(false);
        }
        if std::mem::take(&mut self.sweep.has_taken_out) {
            index.forget_log()?;
        }
        let (after, again) = self.sweep.looked;
        if again.is_some_and(|again| clock::now() < again) {
            return Ok(true);
        }
        let rooms = index.rooms_after(after, ROOMS_SWEPT_AT_ONCE)?;
        let Some((last, _)) = rooms.last().copied() else {
            self.sweep.looked = (None, Some(clock::now() + Duration::from_secs(INDEX_SWEEP_SECONDS)));
            return Ok(true);
        };
        let floors = self.reader.floors(rooms.iter().map(|(room, _)| *room).collect()).await?;
        for ((room, below), floor) in rooms.into_iter().zip(floors) {
            if floor.is_none_or(|floor| floor > below) {
                self.sweep.due.push_back((room, floor));
            }
        }
        self.sweep.looked = (Some(last), None);
        Ok(false)
    }
}
