//! What is unread in an inbox: how many bytes, and who has filled their share of it.
//!
//! Both belong to the store's batch and to its backend, and follow from the entries alone. Nothing here refuses a message.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{RoomId, Share};
use crate::names::{Seq, UserId};
use crate::state::archive::Sharer;
use crate::store::What;
use crate::store::backend::{Backend, StoreError};
use crate::store::chain::Run;
use crate::store::put::{Seen, Store};

/// The shares that a batch changes.
#[derive(Debug, Default)]
pub struct Shares {
    /// The inboxes of which everybody has a new share; that comes before all that is counted.
    pub forgotten: BTreeSet<UserId>,
    /// How many messages in an inbox are counted to somebody from now on.
    pub counted: BTreeMap<(UserId, Sharer), u64>,
}

impl Shares {
    /// What this batch says of a share, if it says something.
    fn get(&self, owner: UserId, sharer: Sharer) -> Option<u64> {
        let counted = self.counted.get(&(owner, sharer)).copied();
        counted.or_else(|| self.forgotten.contains(&owner).then_some(0))
    }

    fn forget(&mut self, owner: UserId) {
        self.counted.retain(|(inbox, _), _| *inbox != owner);
        self.forgotten.insert(owner);
    }

    /// Forgets what was changed.
    pub fn clear(&mut self) {
        if !self.counted.is_empty() || !self.forgotten.is_empty() {
            *self = Self::default();
        }
    }
}

impl<B: Backend> Store<B> {
    /// Moves the read mark of an inbox, if it moves forward.
    pub(super) fn mark(&mut self, owner: UserId, upto: Seq) -> Result<(), StoreError> {
        let room = RoomId::Inbox(owner);
        let (n, read) = self.until(room, upto)?;
        let mut head = self.heads.head(&self.backend, room)?;
        if n <= head.read_n {
            return Ok(());
        }
        let seen = Seen(&self.backend, &self.batch);
        let run = Run::new(&seen, room, head, What::Messages);
        // Whichever way is shorter: so no more are read for this, in all, than are marked.
        head.unread_bytes = if head.said_n - n < n - head.read_n {
            run.bytes((head.said_n, head.said), n)?
        } else {
            head.unread_bytes.saturating_sub(run.bytes((n, read), head.read_n)?)
        };
        (head.read_n, head.read) = (n, read);
        if std::mem::take(&mut head.shared) > 0 {
            self.batch.shares.forget(owner);
        }
        self.heads.change(&self.backend, room)?.head = head;
        Ok(())
    }

    /// How much of somebody's share of an inbox is used.
    pub(super) fn share_of(&mut self, owner: UserId, sharer: Sharer) -> Result<u64, StoreError> {
        if self.heads.head(&self.backend, RoomId::Inbox(owner))?.shared == 0 {
            return Ok(0);
        }
        match self.batch.shares.get(owner, sharer) {
            Some(count) => Ok(count),
            None => self.backend.share(owner, sharer),
        }
    }

    /// Counts a message to its sender, and to where it came from.
    pub(super) fn count_share(&mut self, owner: UserId, sender: UserId, share: Share) -> Result<(), StoreError> {
        for sharer in [Some(Sharer::User(sender)), share.near.map(Sharer::Near)].into_iter().flatten() {
            let count = self.share_of(owner, sharer)? + 1;
            self.batch.shares.counted.insert((owner, sharer), count);
        }
        self.heads.change(&self.backend, RoomId::Inbox(owner))?.head.shared += 1;
        Ok(())
    }
}
