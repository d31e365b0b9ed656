//! Reading a store on a disk while its replica writes to it.
//!
//! It owns the reading connections. It never writes, and tells damage to the operator and to nobody else.

use std::sync::{Arc, Mutex, RwLock};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::event::{Entry, RoomId};
use crate::names::Seq;
use crate::store::backend::{Head, Look, Record, StoreError, Waste};
use crate::store::disk::damage::Damage;
use crate::store::disk::table::WASTE;
use crate::store::disk::{mend, newest, row, store_error};
use crate::store::{Page, Promise, Query, ReadError, Reader, Stretch, chain};

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

/// A connection that is given back, whatever becomes of the work: without it there would be fewer for ever.
struct Lent {
    connection: Option<Connection>,
    to: Arc<Mutex<Vec<Connection>>>,
}

impl Lent {
    fn take(from: Arc<Mutex<Vec<Connection>>>) -> Self {
        let connection = from.lock().expect("invariant: nothing panics under this lock").pop();
        Self { connection, to: from }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.to.lock().expect("invariant: nothing panics under this lock").extend(self.connection.take());
    }
}

impl DiskReader {
    /// Does something with a connection, in one transaction, so that all that is read is from the same moment.
    fn with<T: Send + 'static>(
        &self,
        failed: impl FnOnce(&Damage, &StoreError) + Send + 'static,
        work: impl FnOnce(&Watched<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Promise<'_, Result<T, ReadError>> {
        Box::pin(async move {
            let turn = Arc::clone(&self.turns).acquire_owned().await.expect("invariant: the semaphore is never closed");
            let (connections, gate, damage) = (Arc::clone(&self.connections), Arc::clone(&self.gate), Arc::clone(&self.damage));
            let read = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                let lent = Lent::take(connections);
                let connection = lent.connection.as_ref().expect("invariant: there are as many connections as turns");
                let _open = gate.read().expect("invariant: nothing panics under this lock");
                let transaction = connection.unchecked_transaction().map_err(store_error);
                let read = transaction.and_then(|transaction| work(&Watched(&transaction, &damage)));
                read.inspect_err(|error| failed(&damage, error))
            });
            read.await.map_err(|error| ReadError(error.to_string()))?.map_err(|error| ReadError(error.to_string()))
        })
    }
}

/// Whether a room has ended: it is waste, or was deleted or never there.
fn has_ended(connection: &Connection, room: RoomId) -> Result<bool, StoreError> {
    Ok(connection.head(room)? == Head::default() || WASTE.get(connection, row::waste(Waste::Room(room)))?.is_some())
}

fn stretch(connection: &Connection, after: Seq, count: usize) -> Result<Stretch, StoreError> {
    let mut statement = connection.prepare_cached(row::SELECT_AFTER).map_err(store_error)?;
    let most = i64::try_from(count).unwrap_or(i64::MAX);
    let mut rows = statement.query([row::sought(after.0), most]).map_err(store_error)?;
    let (mut read, mut stretch) = (0, Stretch { upto: after, newest: newest(connection)?, ..Stretch::default() });
    while let Some(row) = rows.next().map_err(store_error)? {
        read += 1;
        stretch.upto = Seq(row::unsigned(row.get(0).map_err(store_error)?));
        match row::read(row).map_err(store_error) {
            Ok(Ok(record)) => stretch.entries.push(record.entry),
            Ok(Err(StoreError::Damaged(_))) | Err(StoreError::Damaged(_)) => {}
            Ok(Err(error)) | Err(error) => return Err(error),
        }
    }
    if read < count {
        stretch.upto = stretch.newest.max(after);
    }
    Ok(stretch)
}

impl Reader for DiskReader {
    fn read(&self, query: Query) -> Promise<'_, Result<Page, ReadError>> {
        self.with(move |damage, error| damage.failed(Some(query.room), error), move |watched| chain::read(watched, query))
    }

    fn stretch(&self, after: Seq, count: usize) -> Promise<'_, Result<Stretch, ReadError>> {
        self.with(|damage, error| damage.failed(None, error), move |watched| stretch(watched.0, after, count))
    }

    fn entries(&self, seqs: Vec<Seq>) -> Promise<'_, Result<Vec<Entry>, ReadError>> {
        let read = move |watched: &Watched<'_>| {
            let mut entries = Vec::with_capacity(seqs.len());
            for seq in seqs {
                match watched.record(seq) {
                    Ok(record) => entries.extend(record.map(|record| record.entry)),
                    Err(StoreError::Damaged(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(entries)
        };
        self.with(|damage, error| damage.failed(None, error), read)
    }

    fn floors(&self, rooms: Vec<RoomId>) -> Promise<'_, Result<Vec<Option<Seq>>, ReadError>> {
        let read = move |watched: &Watched<'_>| {
            let floor = |room| if has_ended(watched.0, room)? { Ok(None) } else { watched.floor(room).map(Some) };
            rooms.into_iter().map(floor).collect()
        };
        self.with(|damage, error| damage.failed(None, error), read)
    }

    fn durability(&self) -> &'static str {
        "fsync"
    }
}
