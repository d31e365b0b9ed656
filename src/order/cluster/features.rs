//! What the linechats of a cluster know. While they are upgraded one after the other, none may use what another does not know:
//! every server says at its entry up to which level it knows them, and a feature is used once all do.
//!
//! To add a request to those that the servers send each other, or to change what one of them comes to, is to add a feature: raise the
//! level, say in [`needed`] which requests need it, and let the decision ask [`State::uses`] where it has changed. What is used once
//! stays in use: a server that does not know it can no longer enter, and one that reads on ends.
//!
//! [`State::uses`]: crate::state::State::uses

use crate::event::Request;

/// The features that a linechat knows.
#[derive(Debug, Clone, Copy)]
pub struct Features {
    /// The level of the newest; levels begin at 1.
    pub known: u8,
    /// The level that is needed for a request. A frame says the highest of its requests in its first byte, so that whoever does
    /// not know them knows that.
    pub needed: fn(&Request) -> u8,
}

impl Features {
    /// Those of this linechat. Level 2: a retraction says what the message was, and whoever registers has
    /// spoken when the guest had. Level 3: an account is announced in its channels once it has been there for a while.
    pub const CURRENT: Self = Self { known: 3, needed };
}

fn needed(request: &Request) -> u8 {
    match request {
        Request::Announce(_) => 3,
        Request::Unsay { .. } => 2,
        _ => 1,
    }
}
