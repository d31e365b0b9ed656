//! What all sessions of a server share. Nothing here belongs to one of them.

use std::sync::Arc;

use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::hub::Hub;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::order::Order;
use crate::order::cluster::Membership;
use crate::search::Search;
use crate::session::budgets::Budgets;
use crate::session::life::Lives;
use crate::session::notable::Notable;
use crate::session::passwords::Passwords;
use crate::state::State;
use crate::store::{Page, Query, ReadError, Reader};

/// What all sessions share.
pub struct Shared {
    /// Which node this is.
    pub lives: Lives,
    /// Where this server stands among the nodes, if it shares its order with others.
    pub membership: Option<Arc<Membership>>,
    /// Takes proposals.
    pub order: Arc<dyn Order>,
    /// The state, read to answer queries.
    pub state: Arc<RwLock<State>>,
    /// Reads what is stored.
    pub reader: Arc<dyn Reader>,
    /// What a message survives that was answered with OK: `fsync`, `memory`, or what the brokers promise.
    pub durability: &'static str,
    /// Finds messages.
    pub search: Search,
    /// Tells the time of day, for questions such as what has been said since.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Reaches the sessions.
    pub hub: Arc<Hub>,
    /// Every bound.
    pub limits: Arc<Limits>,
    /// Hashes passwords and keys, a few at a time.
    pub passwords: Passwords,
    /// What is written to the log only now and then.
    pub notable: Notable,
    /// What connections of one address or account share.
    pub budgets: Budgets,
    /// Cancelled when the server stops; the sessions are then woken.
    pub stopping: CancellationToken,
    /// Cancelled before `stopping` when the order or the store has failed: proposals in flight will never be completed.
    pub failed: CancellationToken,
    /// The tasks of the sessions, and work that they have left to finish.
    pub tracker: TaskTracker,
}

impl Shared {
    /// Reads a page. Damage that somebody comes across is counted.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub async fn page(&self, query: Query) -> Result<Page, ReadError> {
        let page = self.reader.read(query).await?;
        self.metrics.damaged.add(page.damaged.len() as u64);
        Ok(page)
    }
}
