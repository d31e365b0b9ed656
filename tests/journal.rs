//! The contract of `src/journal/mod.rs`, held against every journal there is: each point in its turn, on memory and on disk.

#[path = "journal/disk.rs"]
mod disk;
#[path = "journal/full.rs"]
mod full;
#[path = "journal/reading.rs"]
mod reading;
#[path = "support/store.rs"]
mod store;
#[path = "journal/writing.rs"]
mod writing;

use tempfile::TempDir;

use store::Store;

/// A journal of one kind, with the directory in which it can be opened again.
pub struct Place {
    kind: Kind,
    directory: TempDir,
}

/// The kinds of journals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Gone with its process.
    Memory,
    /// There again when it is opened again.
    Disk,
}

impl Place {
    /// An empty one.
    pub fn new(kind: Kind) -> Self {
        Self { kind, directory: TempDir::with_prefix("linechat-journal-").expect("a directory") }
    }

    /// Opens the journal.
    pub fn open(&self) -> Store {
        match self.kind {
            Kind::Memory => Store::memory(1 << 28),
            Kind::Disk => Store::disk(self.directory.path()).expect("the store opens"),
        }
    }

    /// Its directory.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Closes a journal and opens it again, where that is possible: memory is gone with its journal, so it stays.
    pub fn reopen(&self, store: Store) -> Store {
        match self.kind {
            Kind::Memory => store,
            Kind::Disk => {
                store.close();
                self.open()
            }
        }
    }
}

/// One test for each kind of journal.
#[macro_export]
macro_rules! on_every_journal {
    ($($name:ident)*) => {
        mod memory {
            $(#[test] fn $name() { super::$name(&$crate::Place::new($crate::Kind::Memory)); })*
        }
        mod disk {
            $(#[test] fn $name() { super::$name(&$crate::Place::new($crate::Kind::Disk)); })*
        }
    };
}
