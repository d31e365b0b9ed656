//! That a connection is present: whatever becomes of its session, the order is told when it has gone.
//!
//! It owns nothing but the promise, and never waits.

use std::sync::Arc;

use crate::event::{Origin, Proposal, Request, SessionId};
use crate::order::NotNow;
use crate::session::Shared;

/// A connection that the order knows of, or soon will. However its session ends, this tells the order.
pub struct Present {
    /// What all sessions share.
    pub shared: Arc<Shared>,
    /// The session.
    pub session: SessionId,
    /// Whether the order has been told already.
    pub is_gone: bool,
}

impl Drop for Present {
    fn drop(&mut self) {
        self.shared.hub.release(self.session.number);
        if self.is_gone {
            return;
        }
        let gone = Proposal { origin: Origin { session: self.session, tag: 0 }, request: Request::Go };
        // If the order is closed, the server has ended and everybody is gone anyway.
        if let Err(NotNow::Full(gone)) = self.shared.order.try_propose(vec![gone]) {
            let shared = Arc::clone(&self.shared);
            self.shared.tracker.spawn(async move { shared.order.propose(gone).await });
        }
    }
}
