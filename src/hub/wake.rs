//! A seat: how the hub reaches a session. One bit that wakes it, and the verdicts on what it asked the journal for.
//!
//! A burst costs a sleeping session one wake. The verdicts are as many as the session has drafts in flight, which it bounds.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;

use crate::event::Outcome;

/// The outcome of the draft that the session gave this tag.
#[derive(Debug)]
pub struct Verdict {
    /// The session's number for the draft.
    pub tag: u64,
    /// What became of it; for an entry its effects are visible in the hub.
    pub outcome: Outcome,
}

/// One connection, as the hub sees it.
#[derive(Debug)]
pub struct Seat {
    /// Never used twice.
    pub session: u64,
    woken: AtomicBool,
    moved: AtomicBool,
    waker: AtomicWaker,
    verdicts: Mutex<Vec<Verdict>>,
}

impl Seat {
    pub(super) fn new(session: u64) -> Self {
        Self {
            session,
            woken: AtomicBool::new(false),
            moved: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            verdicts: Mutex::default(),
        }
    }

    /// Wakes the session, if it is not woken already.
    pub fn mark(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Whether the session was woken and has not looked since.
    pub(super) fn is_marked(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    /// Tells the session that the user joined or left a channel.
    pub(super) fn mark_moved(&self) {
        self.moved.store(true, Ordering::Release);
        self.mark();
    }

    pub(super) fn give(&self, verdicts: impl Iterator<Item = Verdict>) {
        self.verdicts.lock().expect("invariant: nothing panics under this lock").extend(verdicts);
        self.mark();
    }

    /// Ready once when [`Seat::mark`] was called since the last time.
    pub fn poll_take(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.woken.swap(false, Ordering::AcqRel) {
            return Poll::Ready(());
        }
        self.waker.register(context.waker());
        if self.woken.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether the user's channels may have changed since the last time.
    pub fn take_moved(&self) -> bool {
        self.moved.load(Ordering::Acquire) && self.moved.swap(false, Ordering::AcqRel)
    }

    /// The verdicts that have come since the last time, in the order of the drafts.
    pub fn take_verdicts(&self) -> Vec<Verdict> {
        std::mem::take(&mut self.verdicts.lock().expect("invariant: nothing panics under this lock"))
    }
}
