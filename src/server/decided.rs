//! Whoever is no session proposes something and waits for what it comes to: the operator, and the watchdog.
//!
//! It owns a place among the sessions for as long as that takes. It must never wait without its caller's deadline.

use std::sync::Arc;

use crate::event::{Completion, Origin, Proposal, Request, SessionId};
use crate::hub::{Notice, SessionHandle};
use crate::order::Closed;
use crate::session::Shared;

/// Proposes a request, and waits until it is decided, and stored if there is something to store. The caller bounds the time.
///
/// # Errors
/// [`Closed`]; nothing was proposed.
pub async fn decided(shared: &Shared, request: Request) -> Result<Completion, Closed> {
    let place = Place { shared, handle: shared.hub.admit() };
    let session = SessionId { node: shared.lives.newest().node, number: place.handle.number };
    shared.order.propose(vec![Proposal { origin: Origin { session, tag: 1 }, request }]).await?;
    Ok(place.completion().await)
}

/// A place among the sessions: by its number the outcome finds its way back.
struct Place<'a> {
    shared: &'a Shared,
    handle: Arc<SessionHandle>,
}

impl Place<'_> {
    async fn completion(&self) -> Completion {
        loop {
            let mut notices = self.handle.take_notices().into_iter();
            let completed = notices.find_map(|notice| match notice {
                Notice::Completed(completion) => Some(completion),
                _ => None,
            });
            match completed {
                Some(completion) => return completion,
                None => std::future::poll_fn(|context| self.handle.poll_woken(context)).await,
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.hub.release(self.handle.number);
    }
}
