//! Keeps SQLite's write-ahead log small, without waiting for anybody.
//!
//! SQLite starts its log over by itself at a moment without readers. Without such moments the log would grow for ever, beyond
//! what the reserve can make room for. So our own readers are held back for a moment. Other programs that read are not waited
//! for: folding the log is tried again later, and the operator is told when it has become large.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::Instant;

use crate::clock;
use crate::limits::{BALLAST_BYTES, LOG_RETRY_SECONDS, LOG_WARNED_BYTES};

/// How long SQLite waits for a lock that another program holds: rusqlite's default.
const BUSY: Duration = Duration::from_secs(5);

/// The log of one store.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    /// Held shared while a page is read, and exclusively while the log is folded.
    gate: Arc<RwLock<()>>,
    /// When folding is tried again after a failure.
    again: Option<Instant>,
    /// How long to wait after the next failure.
    wait: Duration,
    /// The length in bytes at which the operator is told next.
    told_at: u64,
}

impl Log {
    /// The log in this file.
    pub fn new(path: PathBuf, gate: Arc<RwLock<()>>) -> Self {
        Self { path, gate, again: None, wait: Duration::from_secs(LOG_RETRY_SECONDS.0), told_at: LOG_WARNED_BYTES }
    }

    /// Folds the log when it has become long, unless that failed a short while ago. Call it after each commit.
    pub fn watch(&mut self, connection: &Connection) {
        let length = std::fs::metadata(&self.path).map_or(0, |log| log.len());
        if length <= BALLAST_BYTES {
            return;
        }
        if self.fold_if_due(connection) {
            return;
        }
        if length >= self.told_at {
            self.told_at = (length / LOG_WARNED_BYTES + 1).next_power_of_two() * LOG_WARNED_BYTES;
            tracing::warn!(
                path = %self.path.display(),
                mebibytes = length >> 20,
                "the store's log grows because another program keeps reading the store: end that program (a backup, or sqlite3, \
                 with a transaction that was left open), or the log goes on growing until the disk is full"
            );
        }
    }

    /// Folds the log, unless that failed a short while ago; returns whether it is folded.
    pub fn fold_if_due(&mut self, connection: &Connection) -> bool {
        self.again.is_none_or(|again| clock::now() >= again) && self.fold(connection)
    }

    /// Writes the log's contents into the database and empties the log. Returns false when another program uses the log or
    /// there is no room; even then as much as possible is written.
    pub fn fold(&mut self, connection: &Connection) -> bool {
        let folded = {
            let _alone = self.gate.write().expect("invariant: nothing panics under this lock");
            let fold = || connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
            let folded = connection.busy_timeout(Duration::ZERO).and_then(|()| fold());
            connection.busy_timeout(BUSY).and(folded)
        };
        let is_folded = folded.is_ok_and(|busy| busy == 0);
        let [least, most] = [LOG_RETRY_SECONDS.0, LOG_RETRY_SECONDS.1].map(Duration::from_secs);
        if is_folded {
            (self.again, self.wait, self.told_at) = (None, least, LOG_WARNED_BYTES);
        } else {
            self.again = Some(clock::now() + self.wait);
            self.wait = (self.wait * 2).min(most);
        }
        is_folded
    }
}
