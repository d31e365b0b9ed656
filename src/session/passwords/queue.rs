//! The queue for hashing: whoever has had the fewest hashes lately is next, so that those who guess wait for each other and not
//! the others for them.
//!
//! It owns who waits, a bounded number, and how many hashes each address has had of late. It must never hash itself, and its
//! lock is held for no longer than a look at a map.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use foldhash::HashMap;
use tokio::sync::oneshot;

use crate::limits::{HASHES_AT_ONCE, HASHES_WAITING, HASHES_WAITING_EACH};

/// Who waits, and who had how much.
#[derive(Debug, Default)]
pub struct Queue {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    running: usize,
    tickets: u64,
    /// By how many hashes of the same address come before this one, and among equals by who came first.
    waiting: BTreeMap<(u32, u64), Waiter>,
    addresses: HashMap<IpAddr, Share>,
}

#[derive(Debug)]
struct Waiter {
    from: IpAddr,
    called: oneshot::Sender<Turn>,
}

/// What one address has of the queue.
#[derive(Debug, Default, Clone, Copy)]
struct Share {
    had: u32,
    waiting: u32,
}

/// The right to compute one hash; dropping it calls the next who waits.
#[derive(Debug)]
pub struct Turn(Option<Arc<Queue>>);

/// The queue is full, and others come first.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

impl Queue {
    /// Waits for a turn. `is_known` is somebody who has had the right password from there before: they do not wait behind what
    /// others at their address do. Dropping the future gives the place in the queue up.
    ///
    /// # Errors
    /// [`Full`]: too many of this address wait, or so many of all that the one with the most hashes is refused.
    pub async fn turn(this: &Arc<Self>, from: IpAddr, is_known: bool) -> Result<Turn, Full> {
        let called = {
            let mut inner = this.inner();
            if inner.running < HASHES_AT_ONCE {
                inner.running += 1;
                inner.addresses.entry(from).or_default().had += 1;
                return Ok(Turn(Some(Arc::clone(this))));
            }
            inner.wait(from, is_known)?
        };
        // The sender is dropped when somebody who comes first takes the place.
        called.await.map_err(|_| Full)
    }

    /// Forgets half of what everybody has had. It is called once a minute.
    pub fn sweep(&self) {
        self.inner().addresses.retain(|_, share| {
            share.had /= 2;
            share.had + share.waiting > 0
        });
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.inner().waiting.len()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("invariant: nothing panics under this lock")
    }

    fn next(&self) -> Option<Waiter> {
        let mut inner = self.inner();
        let next = inner.leave_first();
        match &next {
            Some(waiter) => inner.addresses.entry(waiter.from).or_default().had += 1,
            None => inner.running -= 1,
        }
        next
    }
}

impl Inner {
    fn wait(&mut self, from: IpAddr, is_known: bool) -> Result<oneshot::Receiver<Turn>, Full> {
        if self.addresses.get(&from).is_some_and(|share| share.waiting as usize >= HASHES_WAITING_EACH) {
            self.forget_who_left();
        }
        let share = self.addresses.get(&from).copied().unwrap_or_default();
        if share.waiting as usize >= HASHES_WAITING_EACH {
            return Err(Full);
        }
        let rank = if is_known { 0 } else { share.had + share.waiting };
        if self.waiting.len() >= HASHES_WAITING {
            self.forget_who_left();
        }
        if self.waiting.len() >= HASHES_WAITING {
            let last = self.waiting.keys().next_back().copied().ok_or(Full)?;
            if last.0 <= rank {
                return Err(Full);
            }
            self.leave(last);
        }
        let (called, call) = oneshot::channel();
        self.tickets += 1;
        self.waiting.insert((rank, self.tickets), Waiter { from, called });
        self.addresses.entry(from).or_default().waiting += 1;
        Ok(call)
    }

    fn leave(&mut self, place: (u32, u64)) -> Option<Waiter> {
        let waiter = self.waiting.remove(&place)?;
        if let Some(share) = self.addresses.get_mut(&waiter.from) {
            share.waiting -= 1;
        }
        Some(waiter)
    }

    fn leave_first(&mut self) -> Option<Waiter> {
        let first = *self.waiting.keys().next()?;
        self.leave(first)
    }

    /// Takes out those who have given up waiting; their places are only looked at when places are short.
    fn forget_who_left(&mut self) {
        let left: Vec<_> =
            self.waiting.iter().filter(|(_, waiter)| waiter.called.is_closed()).map(|(place, _)| *place).collect();
        left.into_iter().for_each(|place| drop(self.leave(place)));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else { return };
        while let Some(next) = queue.next() {
            match next.called.send(Self(Some(Arc::clone(&queue)))) {
                Ok(()) => return,
                // They have given up; their turn is the next one's.
                Err(mut turn) => turn.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures_util::future::BoxFuture;
    use futures_util::{FutureExt, poll};

    use super::{Arc, Full, HASHES_AT_ONCE, HASHES_WAITING, HASHES_WAITING_EACH, IpAddr, Queue, Turn};

    type Wait = BoxFuture<'static, Result<Turn, Full>>;

    fn address(number: usize) -> IpAddr {
        IpAddr::from(u32::try_from(number).expect("it is small").to_be_bytes())
    }

    fn wait(queue: &Arc<Queue>, from: usize, is_known: bool) -> Wait {
        let queue = Arc::clone(queue);
        async move { Queue::turn(&queue, address(from), is_known).await }.boxed()
    }

    /// All turns are taken, and these wait.
    async fn busy(waiting: impl Iterator<Item = usize>) -> (Arc<Queue>, Vec<Turn>, Vec<Wait>) {
        let queue = Arc::<Queue>::default();
        let mut turns = Vec::new();
        for _ in 0..HASHES_AT_ONCE {
            turns.push(Queue::turn(&queue, address(9), false).await.expect("there is a turn"));
        }
        let mut waits: Vec<_> = waiting.map(|from| wait(&queue, from, false)).collect();
        for wait in &mut waits {
            assert!(poll!(wait).is_pending());
        }
        (queue, turns, waits)
    }

    #[tokio::test]
    async fn one_who_comes_late_with_one_password_is_next() {
        let (queue, mut turns, mut guesses) = busy((0..10).map(|_| 1)).await;
        drop(turns.pop());
        let Poll::Ready(Ok(first)) = poll!(&mut guesses[0]) else { panic!("the first guess is first") };
        let mut late = wait(&queue, 2, false);
        assert!(poll!(&mut late).is_pending());
        drop(first);
        assert!(matches!(poll!(&mut late), Poll::Ready(Ok(_))), "the others are of one who has had a hash");
        assert!(poll!(&mut guesses[1]).is_ready(), "and then it goes on");
    }

    #[tokio::test]
    async fn who_is_known_goes_first_even_from_where_others_guess() {
        let (queue, mut turns, mut guesses) = busy((0..10).map(|_| 1)).await;
        drop(turns.pop());
        let first = (&mut guesses[0]).await;
        let mut owner = wait(&queue, 1, true);
        assert!(poll!(&mut owner).is_pending());
        drop(first);
        assert!(matches!(poll!(&mut owner), Poll::Ready(Ok(_))));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_those_with_the_most_and_never_a_newcomer() {
        let each = HASHES_WAITING_EACH;
        let (queue, turns, mut guesses) = busy((0..HASHES_WAITING).map(|number| 100 + number / each)).await;
        assert!(matches!(wait(&queue, 100, false).await, Err(Full)), "so many of one address");
        let mut innocent = wait(&queue, 2, false);
        assert!(poll!(&mut innocent).is_pending(), "it has a place");
        let refused = futures_util::future::join_all(guesses.iter_mut().map(|guess| async { poll!(guess) })).await;
        assert_eq!(refused.iter().filter(|poll| matches!(poll, Poll::Ready(Err(Full)))).count(), 1, "one of theirs");
        drop(turns);
        assert!(queue.inner().waiting.len() < HASHES_WAITING);
    }

    #[tokio::test]
    async fn who_gives_up_keeps_no_place_and_no_turn() {
        let (queue, turns, guesses) = busy((0..HASHES_WAITING_EACH).map(|_| 1)).await;
        drop(guesses);
        let mut again = wait(&queue, 1, false);
        assert!(poll!(&mut again).is_pending(), "the places of those who left are free");
        drop(turns);
        assert!(poll!(&mut again).is_ready());
        drop(again);
        assert_eq!(queue.inner().running, 0);
        queue.sweep();
        queue.sweep();
        assert!(queue.inner().addresses.values().all(|share| share.waiting == 0));
    }
}
