//! What is in flight: every message from the moment it was due until everybody has it. Lost, doubled and reordered messages
//! are found here, and latencies are counted here.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::Notify;

/// The longest latency that is told apart; the histogram's highest value.
const LONGEST: Duration = Duration::from_secs(600);

struct Message {
    due: Instant,
    missing: u32,
}

/// One sender's messages in flight.
struct Sender {
    first: Cell<u64>,
    messages: RefCell<VecDeque<Message>>,
    landed: Notify,
    audience: u32,
    accepted: Cell<u64>,
}

/// All messages of a run.
pub struct Flights {
    senders: Vec<Sender>,
    latencies: RefCell<Histogram<u64>>,
    completions: RefCell<Histogram<u64>>,
    /// Deliveries since the measuring began.
    pub deliveries: Cell<u64>,
    /// Messages that everybody has, since the measuring began.
    pub messages: Cell<u64>,
    measuring: Cell<bool>,
    failure: RefCell<Option<String>>,
}

impl Flights {
    /// Nothing is in flight. `audiences` says how many receive a message of each sender.
    pub fn new(audiences: &[u32]) -> Self {
        let sender = |&audience| Sender {
            first: Cell::new(0),
            messages: RefCell::default(),
            landed: Notify::new(),
            audience,
            accepted: Cell::new(0),
        };
        let latencies = Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 3).expect("invariant: the bounds are valid");
        Self {
            senders: audiences.iter().map(sender).collect(),
            completions: RefCell::new(latencies.clone()),
            latencies: RefCell::new(latencies),
            deliveries: Cell::new(0),
            messages: Cell::new(0),
            measuring: Cell::new(false),
            failure: RefCell::default(),
        }
    }

    /// From now on what lands is counted.
    pub fn measure(&self, on: bool) {
        self.measuring.set(on);
    }

    /// A message takes off; returns its number.
    pub fn take_off(&self, sender: usize, due: Instant) -> u64 {
        let sender = &self.senders[sender];
        let mut messages = sender.messages.borrow_mut();
        messages.push_back(Message { due, missing: sender.audience });
        sender.first.get() + messages.len() as u64 - 1
    }

    /// How many messages of a sender are in flight.
    pub fn in_flight(&self, sender: usize) -> usize {
        self.senders[sender].messages.borrow().len()
    }

    /// Waits until a message of the sender has landed everywhere.
    pub async fn landed(&self, sender: usize) {
        self.senders[sender].landed.notified().await;
    }

    /// The server has accepted a message of this sender.
    pub fn accept(&self, sender: usize) {
        let accepted = &self.senders[sender].accepted;
        accepted.set(accepted.get() + 1);
    }

    /// How many it has accepted, and how many were sent.
    pub fn accounts(&self, sender: usize) -> (u64, u64) {
        let sender = &self.senders[sender];
        (sender.accepted.get(), sender.first.get() + sender.messages.borrow().len() as u64)
    }

    /// A message reached somebody who expected the number `expected` of this sender.
    pub fn land(&self, sender: usize, number: u64, expected: u64, now: Instant) {
        if number != expected {
            let what = if number < expected { "doubled or reordered" } else { "lost or reordered" };
            return self.fail(format!("a message was {what}: sender {sender}'s number {number} came where {expected} was due"));
        }
        let Some(sender) = self.senders.get(sender) else { return self.fail(format!("there is no sender {sender}")) };
        let mut messages = sender.messages.borrow_mut();
        let Some(message) = messages.get_mut((number - sender.first.get()) as usize) else {
            drop(messages);
            return self.fail(format!("message {number} came more often than there are receivers"));
        };
        message.missing -= 1;
        if self.measuring.get() {
            let latency = (now.saturating_duration_since(message.due).min(LONGEST).as_nanos() as u64).max(1);
            self.deliveries.set(self.deliveries.get() + 1);
            self.latencies.borrow_mut().record(latency).expect("invariant: clamped to the bounds");
            if message.missing == 0 {
                self.completions.borrow_mut().record(latency).expect("invariant: clamped to the bounds");
            }
        }
        let mut any = false;
        while messages.front().is_some_and(|message| message.missing == 0) {
            messages.pop_front();
            sender.first.set(sender.first.get() + 1);
            any = true;
            self.messages.set(self.messages.get() + u64::from(self.measuring.get()));
        }
        if any {
            sender.landed.notify_one();
        }
    }

    /// The run is worth nothing, and why; the first reason counts.
    pub fn fail(&self, why: String) {
        self.failure.borrow_mut().get_or_insert(why);
        self.senders.iter().for_each(|sender| sender.landed.notify_one());
    }

    /// Why the run is worth nothing, if it is.
    pub fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// The latencies of all deliveries.
    pub fn latencies(&self) -> Histogram<u64> {
        self.latencies.borrow().clone()
    }

    /// How long each message took until everybody had it.
    pub fn completions(&self) -> Histogram<u64> {
        self.completions.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::{Flights, Instant};

    #[test]
    fn what_goes_wrong_is_found() {
        let now = Instant::now();
        let fine = Flights::new(&[2]);
        fine.measure(true);
        assert_eq!((fine.take_off(0, now), fine.take_off(0, now)), (0, 1));
        for number in [0, 1] {
            fine.land(0, number, number, now);
            fine.land(0, number, number, now);
        }
        assert_eq!((fine.deliveries.get(), fine.messages.get(), fine.in_flight(0), fine.failure()), (4, 2, 0, None));
        assert_eq!((fine.latencies().len(), fine.completions().len()), (4, 2));
        for (number, expected) in [(1, 0), (0, 1), (5, 5)] {
            let flights = Flights::new(&[1]);
            flights.take_off(0, now);
            flights.land(0, number, expected, now);
            assert!(flights.failure().is_some(), "{number} where {expected} was due");
        }
    }
}
