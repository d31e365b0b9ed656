//! Reading a store on a disk while its replica writes to it.
//!
//! It owns the reading connections. It never writes, and tells damage to the operator and to nobody else.

use std::sync::{Arc, Mutex, RwLock};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::event::RoomId;
use crate::names::Seq;
use crate::store::backend::{Head, Look, Record, StoreError};
use crate::store::disk::damage::Damage;
use crate::store::disk::{mend, store_error};
use crate::store::{Page, Promise, Query, ReadError, Reader, chain};

/// Reads beside the writer, on connections of its own.
pub struct DiskReader {
    pub connections: Arc<Mutex<Vec<Connection>>>,
    /// A permit belongs to the work and not to whoever waits for it: the connection is returned before the permit, even if
    /// nobody waits any more.
    pub turns: Arc<Semaphore>,
    /// See [`Log`](super::log::Log).
    pub gate: Arc<RwLock<()>>,
    pub damage: Arc<Damage>,
}

/// A connection with which damage is told to the operator.
pub struct Watched<'a>(pub &'a Connection, pub &'a Damage);

impl Look for Watched<'_> {
    fn record(&self, seq: Seq) -> Result<Option<Record>, StoreError> {
        self.0.record(seq)
    }

    fn head(&self, room: RoomId) -> Result<Head, StoreError> {
        self.0.head(room)
    }

    fn floor(&self, room: RoomId) -> Result<Seq, StoreError> {
        self.0.floor(room)
    }

    fn mend(&self, room: RoomId, seq: Seq, is_shown: bool) -> Result<Option<Record>, StoreError> {
        self.1.tell(room, seq);
        mend::mend(self.0, room, seq, is_shown)
    }

    fn passes_over_damage(&self) -> bool {
        true
    }
}

impl Reader for DiskReader {
    fn read(&self, query: Query) -> Promise<'_, Result<Page, ReadError>> {
        Box::pin(async move {
            let turn = Arc::clone(&self.turns).acquire_owned().await.expect("invariant: the semaphore is never closed");
            let (connections, gate, damage) = (Arc::clone(&self.connections), Arc::clone(&self.gate), Arc::clone(&self.damage));
            let page = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                let lock = || connections.lock().expect("invariant: nothing panics under this lock");
                let connection = lock().pop().expect("invariant: there are as many connections as turns");
                let page = {
                    let _open = gate.read().expect("invariant: nothing panics under this lock");
                    // One transaction, so that the chain head and the entries are from the same moment.
                    let transaction = connection.unchecked_transaction().map_err(store_error);
                    transaction.and_then(|transaction| chain::read(&Watched(&transaction, &damage), query))
                };
                lock().push(connection);
                page.inspect_err(|error| damage.failed(query.room, error))
            });
            page.await.map_err(|error| ReadError(error.to_string()))?.map_err(|error| ReadError(error.to_string()))
        })
    }

    fn durability(&self) -> &'static str {
        "fsync"
    }
}
