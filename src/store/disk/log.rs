//! SQLite's write-ahead log: that it stays small, and that nobody is waited for.
//!
//! SQLite begins its log again by itself in a moment without readers. Where there never is one, the log would grow for ever, and
//! past what the reserve can make room for. Our own readers are held back for a moment; other programs that read are not waited
//! for: the log is tried again later, and the operator is told when it has become large.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::Instant;

use crate::clock;
use crate::limits::{BALLAST_BYTES, LOG_RETRY_SECONDS, LOG_WARNED_BYTES};

/// How long SQLite waits for a lock that another program has; its own default here.
const BUSY: Duration = Duration::from_secs(5);

/// The log of one store.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    /// Taken shared while a page is read, and alone while the log is folded.
    gate: Arc<RwLock<()>>,
    /// When it is tried again.
    again: Option<Instant>,
    /// How long it is left alone after the next time that it is in use.
    wait: Duration,
    /// The length at which the operator is told next.
    told_at: u64,
}

impl Log {
    /// The log in this file.
    pub fn new(path: PathBuf, gate: Arc<RwLock<()>>) -> Self {
        Self { path, gate, again: None, wait: Duration::from_secs(LOG_RETRY_SECONDS.0), told_at: LOG_WARNED_BYTES }
    }

    /// Folds the log when it has become long and it is not left alone. To be called after each commit.
    pub fn watch(&mut self, connection: &Connection) {
        let length = std::fs::metadata(&self.path).map_or(0, |log| log.len());
        if length <= BALLAST_BYTES {
            return;
        }
        if self.again.is_none_or(|again| clock::now() >= again) && self.fold(connection) {
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

    /// Writes what is in the log into the database, and empties it; false when somebody uses it, or there is no room for that.
    /// What could be written is written then too.
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
