//! The session handle: how the hub reaches a session. It has one bit that wakes the session, and notices of whatever concerns
//! that session alone.
//!
//! A burst in its rooms costs a sleeping session one wake. The notices are as many as the session has proposals in flight, which
//! it bounds, and the rooms in which its reading began or ended meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;
use tokio::task::AbortHandle;

use crate::event::{Completion, RoomId, Time};
use crate::hub::ignoring::Ignores;
use crate::hub::room::{Cursor, Subscription};
use crate::limits::NOTICES;
use crate::names::Seq;

/// Something that concerns one session. Notices come in the order of the events.
#[derive(Debug)]
pub enum Notice {
    /// Its proposal is completed.
    Completed(Completion),
    /// It begins to read this room.
    Begins(Subscription),
    /// It stops reading this room at this cursor.
    Ends(RoomId, Cursor),
    /// Whom its user does not hear has changed with this entry.
    Ignores(Ignores, Seq),
    /// The operator tells everybody this.
    Told(Time, Arc<str>),
    /// Somebody has ended it, for this reason: it tells its peer, and closes. It reads no room any more.
    Dismissed(Arc<str>),
}

/// The peer takes all that it is sent.
const TAKES_ALL: u8 = 0;
/// The peer left something, and has taken something, or begun to leave it, since the hub looked last.
const LEAVES_SOME: u8 = 1;
/// The peer left something when the hub looked last, and has taken nothing since.
const TAKES_NOTHING: u8 = 2;

/// A connection, as the hub sees it.
#[derive(Debug)]
pub struct SessionHandle {
    /// Its number on this node, which is never used twice in a run.
    pub number: u64,
    woken: AtomicBool,
    has_notices: AtomicBool,
    is_overrun: AtomicBool,
    is_dismissed: AtomicBool,
    /// How often its reading of a room has ended without its knowing so far.
    ends: AtomicU32,
    /// What the peer does with what it is sent: one of the three above.
    takes: AtomicU8,
    waker: AtomicWaker,
    /// The task of the session, once it runs.
    task: OnceLock<AbortHandle>,
    /// Bytes that the session buffers, as it said last.
    pub(super) held: AtomicU64,
    notices: Mutex<Vec<Notice>>,
}

impl SessionHandle {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            woken: AtomicBool::new(false),
            has_notices: AtomicBool::new(false),
            is_overrun: AtomicBool::new(false),
            is_dismissed: AtomicBool::new(false),
            ends: AtomicU32::new(0),
            takes: AtomicU8::new(TAKES_ALL),
            waker: AtomicWaker::new(),
            task: OnceLock::new(),
            held: AtomicU64::new(0),
            notices: Mutex::default(),
        }
    }

    /// Wakes the session, if that has not been done already.
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Whether the session was woken and has not looked since.
    pub(super) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    pub(super) fn give(&self, given: impl Iterator<Item = Notice>) {
        let mut notices = self.notices.lock().expect("invariant: nothing panics under this lock");
        notices.extend(given);
        if notices.len() > NOTICES {
            *notices = Vec::new();
            self.is_overrun.store(true, Ordering::Release);
        }
        drop(notices);
        self.has_notices.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether there were more notices than the session may leave unread: it has missed something, and must end.
    pub fn is_overrun(&self) -> bool {
        self.is_overrun.load(Ordering::Acquire)
    }

    /// Gives the session the notice that it is dismissed.
    pub(super) fn dismiss(&self, reason: Arc<str>) {
        self.is_dismissed.store(true, Ordering::Release);
        self.give(std::iter::once(Notice::Dismissed(reason)));
        // A session whose peer takes nothing may have been woken before, and waits for nothing else.
        self.waker.wake();
    }

    /// Ready if the session was dismissed; otherwise its task is woken when that happens, and by news once at most.
    pub fn poll_dismissed(&self, context: &mut Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if self.is_dismissed() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether the session was dismissed: it may not wait any longer for a peer that takes nothing.
    pub fn is_dismissed(&self) -> bool {
        self.is_dismissed.load(Ordering::Acquire)
    }

    /// Notes that the session's reading of a room ends now, under the room's lock; a [`Notice::Ends`] will say where.
    pub(super) fn will_end(&self) {
        self.ends.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the session has still to learn where its reading of some room ends.
    pub(super) fn has_ends(&self) -> bool {
        self.ends.load(Ordering::Relaxed) > 0
    }

    /// Notes that the session has learnt where its reading of a room ends.
    pub fn has_ended(&self) {
        self.ends.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes the task that the session runs in, so that it can be ended from outside.
    pub fn runs_in(&self, task: AbortHandle) {
        // A session runs in one task only.
        let _ = self.task.set(task);
    }

    /// Ends the session's task where it waits: a peer that takes nothing cannot be told anything, either.
    pub(super) fn cut_off(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// Notes that the peer has taken all that it was sent.
    pub fn takes_all(&self) {
        self.takes.store(TAKES_ALL, Ordering::Relaxed);
    }

    /// Notes that the peer has taken something but not all, or has just begun to leave something.
    pub fn leaves_some(&self) {
        self.takes.store(LEAVES_SOME, Ordering::Relaxed);
    }

    /// Whether something waits of which the peer has taken nothing since the last call.
    pub(super) fn takes_nothing(&self) -> bool {
        let looked = self.takes.compare_exchange(LEAVES_SOME, TAKES_NOTHING, Ordering::Relaxed, Ordering::Relaxed);
        looked == Err(TAKES_NOTHING)
    }

    /// Ready if [`SessionHandle::wake`] was called since this was last ready.
    pub fn poll_woken(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.woken.swap(false, Ordering::AcqRel) {
            return Poll::Ready(());
        }
        self.waker.register(context.waker());
        if self.woken.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Gives back notices that are to be taken again, before those that have come since.
    pub fn put_back(&self, untaken: impl Iterator<Item = Notice>) {
        self.notices.lock().expect("invariant: nothing panics under this lock").splice(..0, untaken);
        self.has_notices.store(true, Ordering::Release);
        self.wake();
    }

    /// The notices that have come since the last time. `None` when some are lost, from then on: there were more than the session
    /// may leave unread, or any at all while it is too far behind to take them. It must end.
    pub fn take_notices_unless(&self, is_behind: bool) -> Option<Vec<Notice>> {
        let notices = self.take_notices();
        if is_behind && !notices.is_empty() {
            self.is_overrun.store(true, Ordering::Release);
        }
        (!self.is_overrun()).then_some(notices)
    }

    /// The notices that have come since the last time.
    pub fn take_notices(&self) -> Vec<Notice> {
        if !self.has_notices.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut self.notices.lock().expect("invariant: nothing panics under this lock"))
    }
}
