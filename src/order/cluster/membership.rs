//! Where this server stands among the nodes: what it asks for when it enters, and what the order has made of it.
//!
//! Its replica, which decides what the order has made of everything, says so here; whoever sends batches, and whoever serves
//! people, looks here. Nothing here decides anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use tokio::sync::watch;

use crate::clock::Clock;
use crate::event::{NodeId, Request};
use crate::order::cluster::features::Features;

/// Where a server stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It has not entered yet, or has ended.
    Outside,
    /// It is this node, and the order has taken its batches up to this number.
    Inside {
        /// The node.
        node: NodeId,
        /// The number of its newest batch; 0 before the first.
        number: u64,
    },
    /// It may not enter; the text says why, and what to do.
    Refused(String),
}

/// What a server calls itself among the nodes, and where it stands.
#[derive(Debug)]
pub struct Membership {
    name: Arc<str>,
    limits: u64,
    features: Features,
    clock: Clock,
    /// Tells this process from another that goes by the same name.
    token: u64,
    incarnation: AtomicU64,
    /// The highest that anybody has entered with under this name.
    highest: AtomicU64,
    /// The process that took its place last.
    overtaker: AtomicU64,
    standing: watch::Sender<Standing>,
    is_cut_off: AtomicBool,
    /// Up to which level features are in use.
    in_use: AtomicU8,
    /// What its state was when it was compared last: the place, and the digest.
    vouches: watch::Sender<Option<(u64, u64)>>,
}

impl Membership {
    /// A server of this name that has not entered. `limits` is a hash of the limits by which it decides, `features` what
    /// it knows, and `token` a number that no other process has.
    pub fn new(name: Arc<str>, limits: u64, features: Features, clock: Clock, token: u64) -> Arc<Self> {
        let (standing, _) = watch::channel(Standing::Outside);
        Arc::new(Self {
            name,
            limits,
            features,
            clock,
            token,
            incarnation: AtomicU64::new(0),
            highest: AtomicU64::new(0),
            overtaker: AtomicU64::new(token),
            standing,
            is_cut_off: AtomicBool::new(true),
            in_use: AtomicU8::new(1),
            vouches: watch::channel(None).0,
        })
    }

    /// Where it stands, now and whenever that changes.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Whether nothing can be ordered now, as far as is known.
    pub fn is_cut_off(&self) -> bool {
        self.is_cut_off.load(Ordering::Relaxed)
    }

    /// Notes that nothing can be ordered now, or that it can be again; tells the operator when that changes.
    pub(super) fn cut_off(&self, is_cut_off: bool) {
        match (self.is_cut_off.swap(is_cut_off, Ordering::Relaxed), is_cut_off) {
            (false, true) => {
                tracing::warn!("nothing can be ordered now: the brokers cannot be reached or do not answer; reading goes on")
            }
            (true, false) => tracing::info!("what people say is ordered again"),
            _ => {}
        }
    }

    /// The features that it knows.
    pub fn features(&self) -> Features {
        self.features
    }

    /// Whether all servers know what the request needs.
    pub(super) fn is_known_to_all(&self, request: &Request) -> bool {
        (self.features.needed)(request) <= self.in_use.load(Ordering::Relaxed)
    }

    /// Its replica says up to which level features are in use.
    pub fn uses(&self, features: u8) {
        self.in_use.store(features, Ordering::Relaxed);
    }

    /// Its replica says what its state is at this place.
    pub fn vouches(&self, place: u64, digest: u64) {
        self.vouches.send_replace(Some((place, digest)));
    }

    /// What its replica vouched for last, now and whenever that changes.
    pub fn vouched(&self) -> watch::Receiver<Option<(u64, u64)>> {
        self.vouches.subscribe()
    }

    /// The entry that it sends next: later than all before, so that one of those that arrives late comes to nothing.
    pub fn next_entry(&self) -> Request {
        let now = u64::try_from(self.clock.time().0).unwrap_or(0);
        let before = self.incarnation.load(Ordering::Relaxed).max(self.highest.load(Ordering::Relaxed));
        let incarnation = now.max(before + 1);
        self.incarnation.store(incarnation, Ordering::Relaxed);
        let (name, token, limits, features) = (Arc::clone(&self.name), self.token, self.limits, self.features.known);
        Request::Enter { name, incarnation, token, limits, features }
    }

    /// Whether an entry is the one that it sent last.
    pub fn is_own(&self, incarnation: u64, token: u64) -> bool {
        token == self.token && incarnation == self.incarnation.load(Ordering::Relaxed)
    }

    /// Where a server stands whose name has this entry, by another process, now. It may be one of a process that has died, whose
    /// clock was ahead, come late: then it enters again. A process that takes its place twice is alive.
    pub fn is_overtaken(&self, was_inside: bool, incarnation: u64, token: u64) -> Standing {
        self.highest.fetch_max(incarnation, Ordering::Relaxed);
        if !was_inside || self.overtaker.swap(token, Ordering::Relaxed) != token {
            return Standing::Outside;
        }
        let name = &self.name;
        Standing::Refused(format!(
            "another server has entered under the name {name}; give each server a --node NAME of its own"
        ))
    }

    /// What it calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its replica says where it stands, after each batch.
    pub fn stands(&self, standing: Standing) {
        self.standing.send_if_modified(|known| {
            // Whoever was refused must not forget why.
            let is_new = *known != standing && !matches!(known, Standing::Refused(_));
            if is_new {
                *known = standing;
            }
            is_new
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, Features, Membership, Request, Standing};

    #[test]
    fn whoever_is_overtaken_enters_again_unless_it_is_by_one_who_is_alive() {
        let own = Membership::new("ash".into(), 1, Features::CURRENT, Clock::System, 7);
        let entry = |own: &Membership| match own.next_entry() {
            Request::Enter { incarnation, token, .. } => (incarnation, token),
            other => panic!("{other:?} is no entry"),
        };
        let (first, token) = entry(&own);
        assert!(own.is_own(first, token) && !own.is_own(first, 8) && !own.is_own(first - 1, token));
        let ahead = first + 1_000_000;
        assert_eq!(own.is_overtaken(false, ahead, 8), Standing::Outside, "it was not inside");
        assert!(entry(&own).0 > ahead, "the next one counts whoever came before");
        assert_eq!(own.is_overtaken(true, ahead + 5, 8), Standing::Outside, "by one who may have died");
        assert_eq!(own.is_overtaken(true, ahead + 9, 9), Standing::Outside, "by another");
        let twice = own.is_overtaken(true, ahead + 12, 9);
        assert!(
            matches!(&twice, Standing::Refused(why) if why.contains("another server has entered under the name ash")),
            "{twice:?}"
        );
    }
}
