//! Which node this server is, and for how long: a session belongs to one life of its server and ends with it.
//!
//! It owns which life is the newest. It must never begin one: the server does.

use std::sync::{Arc, RwLock};

use tokio_util::sync::CancellationToken;

use crate::event::NodeId;

/// One life of the server as a node.
#[derive(Debug, Clone)]
pub struct Life {
    /// The node.
    pub node: NodeId,
    over: CancellationToken,
}

impl Life {
    /// A life that has begun.
    pub fn begin(node: NodeId) -> Self {
        Self { node, over: CancellationToken::new() }
    }

    /// Ends it. Wake the sessions, so that they learn of it.
    pub fn end(&self) {
        self.over.cancel();
    }

    /// Whether it has ended: the order takes nothing of its sessions any more.
    pub fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }
}

/// The newest life of a server. One that has its order to itself has only one.
#[derive(Debug)]
pub struct Lives(RwLock<Arc<Life>>);

impl Lives {
    /// The first.
    pub fn new(life: Life) -> Self {
        Self(RwLock::new(Arc::new(life)))
    }

    /// The newest, which may be over.
    pub fn newest(&self) -> Arc<Life> {
        Arc::clone(&self.0.read().expect("invariant: nothing panics under this lock"))
    }

    /// A new life has begun.
    pub fn begin(&self, life: Life) {
        *self.0.write().expect("invariant: nothing panics under this lock") = Arc::new(life);
    }
}
