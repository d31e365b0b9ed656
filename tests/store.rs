//! The contract of `src/store/mod.rs`, held against every store there is: each point in its turn, in memory and on a disk, of a
//! server alone and of a node of a cluster.

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
#[path = "store/unsaying.rs"]
mod unsaying;
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

    /// An empty one, with presence: what a node of a cluster has.
    pub fn of_a_node(kind: Kind) -> Self {
        Self { presence: Presence::Kept, ..Self::new(kind) }
    }

    /// Another empty one of the same kind.
    pub fn another(&self) -> Self {
        Self { presence: self.presence, ..Self::new(self.kind) }
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

/// One test for each kind of store: that of a server alone, in memory and on a disk, and that of a node of a cluster, which is in
/// memory where the cluster is simulated.
#[macro_export]
macro_rules! on_every_store {
    ($($name:ident)*) => {
        mod memory {
            $(#[test] fn $name() { super::$name(&$crate::Place::new($crate::Kind::Memory)); })*
        }
        mod disk {
            $(#[test] fn $name() { super::$name(&$crate::Place::new($crate::Kind::Disk)); })*
        }
        mod node {
            $(#[test] fn $name() { super::$name(&$crate::Place::of_a_node($crate::Kind::Disk)); })*
        }
        mod simulated_node {
            $(#[test] fn $name() { super::$name(&$crate::Place::of_a_node($crate::Kind::Memory)); })*
        }
    };
}

/// One test for each kind of store that is on a disk.
#[macro_export]
macro_rules! on_every_disk {
    ($($name:ident)*) => {
        mod alone {
            $(#[test] fn $name() { super::$name(&$crate::Place::new($crate::Kind::Disk)); })*
        }
        mod in_a_cluster {
            $(#[test] fn $name() { super::$name(&$crate::Place::of_a_node($crate::Kind::Disk)); })*
        }
    };
}

/// One test for each kind of store that keeps presence.
#[macro_export]
macro_rules! on_every_node {
    ($($name:ident)*) => {
        mod real {
            $(#[test] fn $name() { super::$name(&$crate::Place::of_a_node($crate::Kind::Disk)); })*
        }
        mod simulated {
            $(#[test] fn $name() { super::$name(&$crate::Place::of_a_node($crate::Kind::Memory)); })*
        }
    };
}
