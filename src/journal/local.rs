//! A journal in this process: a queue, one [`writer`], and readers beside it.

use std::sync::Mutex;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::event::Draft;
use crate::journal::store::Store;
use crate::journal::writer::Place;
use crate::journal::{Closed, Feed, Journal, Page, Promise, Query, ReadError, writer};
use crate::limits::{FEED_BATCHES, QUEUE_BATCHES};

/// How a store is read beside its writer.
pub trait Reader: Send + Sync + 'static {
    /// What a fed outcome has survived.
    const DURABILITY: &'static str;

    /// Reads a page of what is committed.
    fn read(&self, query: Query) -> Promise<'_, Result<Page, ReadError>>;
}

/// See the module.
pub struct Local<R> {
    queue: mpsc::Sender<Vec<Draft>>,
    feed: Mutex<Option<Feed>>,
    reader: R,
    closing: CancellationToken,
    closed: CancellationToken,
}

impl<R: Reader> Local<R> {
    /// Starts the writer of `store`, in the tokio runtime that this is called in.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(store: impl Store, reader: R, place: Place) -> std::io::Result<Self> {
        let (queue, drafts) = mpsc::channel(QUEUE_BATCHES);
        let (fed, feed) = mpsc::channel(FEED_BATCHES);
        let (closing, closed) = (CancellationToken::new(), CancellationToken::new());
        let guard = closed.clone().drop_guard();
        let writer = writer::run(store, drafts, fed, closing.clone(), place);
        let work = async move {
            let _closed_at_the_end = guard;
            writer.await;
        };
        match place {
            Place::Task => drop(tokio::spawn(work)),
            Place::Thread => {
                let runtime = tokio::runtime::Handle::current();
                std::thread::Builder::new().name("journal".into()).spawn(move || runtime.block_on(work))?;
            }
        }
        Ok(Self { queue, feed: Mutex::new(Some(feed)), reader, closing, closed })
    }
}

impl<R: Reader> Journal for Local<R> {
    fn append(&self, drafts: Vec<Draft>) -> Promise<'_, Result<(), Closed>> {
        Box::pin(async { self.queue.send(drafts).await.map_err(|_| Closed) })
    }

    fn read(&self, query: Query) -> Promise<'_, Result<Page, ReadError>> {
        self.reader.read(query)
    }

    fn feed(&self) -> Feed {
        self.feed.lock().expect("invariant: nothing panics here").take().expect("the feed is asked for once")
    }

    fn close(&self) -> Promise<'_, ()> {
        self.closing.cancel();
        Box::pin(self.closed.cancelled())
    }

    fn durability(&self) -> &'static str {
        R::DURABILITY
    }
}
