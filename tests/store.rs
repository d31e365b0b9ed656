//! The contract of `src/store/mod.rs`, held against every store there is: each point in its turn, in memory and on a disk.

#[path = "store/damaged.rs"]
mod damaged;
#[path = "store/disk.rs"]
mod disk;
#[path = "store/files.rs"]
mod files;
#[path = "store/full.rs"]
mod full;
#[path = "store/keys.rs"]
mod keys;
#[path = "store/lost.rs"]
mod lost;
#[path = "store/reading.rs"]
mod reading;
#[path = "store/shares.rs"]
mod shares;
#[path = "support/small.rs"]
mod small;
#[path = "store/state.rs"]
mod state;
#[path = "support/store.rs"]
mod store;
#[path = "store/tidying.rs"]
mod tidying;
#[path = "store/trimming.rs"]
mod trimming;
#[path = "store/upgrading.rs"]
mod upgrading;
#[path = "store/writing.rs"]
mod writing;

use linechat::store::Presence;
use tempfile::TempDir;

use store::Store;

/// A store of one kind, with the directory in which it can be opened again.
pub struct Place {
    kind: Kind,
    presence: Presence,
    directory: TempDir,
}

/// The kinds of stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Gone with its process.
    Memory,
    /// There again when it is opened again.
    Disk,
}

impl Place {
    /// An empty one, without presence.
    pub fn new(kind: Kind) -> Self {
        let directory = TempDir::with_prefix("linechat-store-").expect("a directory");
        Self { kind, presence: Presence::Forgotten, directory }
    }

    /// The same, with presence.
    pub fn with_presence(&self) -> Self {
        Self { presence: Presence::Kept, ..Self::new(self.kind) }
    }

    /// Opens the store.
    pub fn open(&self) -> Store {
        match self.kind {
            Kind::Memory => Store::memory_with(1 << 28, self.presence),
            Kind::Disk => Store::disk_with(self.directory.path(), self.presence).expect("the store opens"),
        }
    }

    /// Its directory.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Closes a store and opens it again, where that is possible: memory is gone with its store, so it stays.
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

/// One test for each kind of store.
#[macro_export]
macro_rules! on_every_store {
    ($($name:ident)*) => {
        mod memory {
            $(#[test] fn $name() { super::$name(&$crate::Place::new($crate::Kind::Memory)); })*
        }
        mod disk {
            $(#[test] fn $name() { super::$name(&$crate::Place::new($crate::Kind::Disk)); })*
        }
    };
}
