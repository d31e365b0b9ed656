//! What is in flight: every message from the moment it was due until everybody has it. Lost, doubled and reordered messages
//! are found here, and latencies are counted here.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::Notify;

/// The longest latency that is told apart; the histogram's highest value.
const LONGEST: Duration = Duration::from_secs(600);

struct Message {
    /// Nanoseconds after the flights began, like all times here.
    due: u64,
    text: String,
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

/// A text that says who sent it and which one it is, filled up to `size` bytes.
fn text(sender: usize, number: u64, size: usize) -> String {
    let mut text = format!("b{sender}.{number}.");
    while text.len() < size {
        text.push('x');
    }
    text
}

/// The sender that a text names, and the rest of it.
fn read_sender(text: &[u8]) -> Option<(usize, &[u8])> {
    let (sender, rest) = read_number(text.strip_prefix(b"b")?)?;
    Some((usize::try_from(sender).ok()?, rest))
}

/// A number up to its dot, and what follows the dot.
fn read_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number =
        bytes[..digits].iter().try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    Some((number?, bytes[digits..].strip_prefix(b".")?))
}

/// How many messages of each sender somebody has.
pub struct Had {
    first: usize,
    counts: Vec<u64>,
}

impl Had {
    /// None yet, of so many senders from `first` on; others do not write to it.
    pub fn new(first: usize, senders: usize) -> Self {
        Self { first, counts: vec![0; senders] }
    }
}

/// All messages of a run.
pub struct Flights {
    began: Instant,
    senders: Vec<Sender>,
    latencies: RefCell<Histogram<u64>>,
    completions: RefCell<Histogram<u64>>,
    delays: RefCell<Histogram<u64>>,
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
            began: Instant::now(),
            senders: audiences.iter().map(sender).collect(),
            completions: RefCell::new(latencies.clone()),
            delays: RefCell::new(latencies.clone()),
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

    /// Nanoseconds since the flights began.
    pub fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    fn at(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.began).as_nanos() as u64
    }

    /// A message takes off, due at that moment; `send` is given its text, of at least `size` bytes.
    pub fn take_off(&self, sender: usize, due: Instant, size: usize, send: impl FnOnce(&str)) {
        let account = &self.senders[sender];
        let mut messages = account.messages.borrow_mut();
        let text = text(sender, account.first.get() + messages.len() as u64, size);
        send(&text);
        let due = self.at(due);
        self.count(&self.delays, due, self.now());
        messages.push_back(Message { due, text, missing: account.audience });
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

    /// A text reached somebody who had this much before. It must be the next one of its sender, to the byte; what no load has
    /// sent is not looked at.
    pub fn land(&self, text: &[u8], had: &mut Had, now: u64) {
        let Some((sender, rest)) = read_sender(text) else { return };
        let next = sender.checked_sub(had.first).and_then(|place| had.counts.get_mut(place));
        let (Some(account), Some(next)) = (self.senders.get(sender), next) else {
            return self.fail(format!("a message of sender {sender} came to somebody it was not sent to"));
        };
        let place = next.checked_sub(account.first.get()).map(|place| place as usize);
        if let Some(place) = place
            && account.messages.borrow().get(place).is_some_and(|message| message.text.as_bytes() == text)
        {
            *next += 1;
            return self.arrive(account, place, now);
        }
        let Some((number, _)) = read_number(rest) else { return };
        let what = match number.cmp(next) {
            Ordering::Less => "doubled or reordered",
            Ordering::Equal => "changed, or came more often than there are receivers",
            Ordering::Greater => "lost or reordered",
        };
        self.fail(format!("a message was {what}: sender {sender}'s number {number} came where {next} was due"));
    }

    /// The oldest message of a sender has landed, where nobody is shown it.
    pub fn land_oldest(&self, sender: usize, now: u64) {
        self.arrive(&self.senders[sender], 0, now);
    }

    fn arrive(&self, sender: &Sender, place: usize, now: u64) {
        let mut messages = sender.messages.borrow_mut();
        let Some(message) = messages.get_mut(place).filter(|message| message.missing > 0) else {
            drop(messages);
            return self.fail("a message came more often than there are receivers".to_owned());
        };
        message.missing -= 1;
        let is_complete = message.missing == 0;
        self.deliveries.set(self.deliveries.get() + u64::from(self.measuring.get()));
        self.count(&self.latencies, message.due, now);
        if is_complete {
            self.count(&self.completions, message.due, now);
        }
        if !is_complete {
            return;
        }
        while messages.front().is_some_and(|message| message.missing == 0) {
            messages.pop_front();
            sender.first.set(sender.first.get() + 1);
            self.messages.set(self.messages.get() + u64::from(self.measuring.get()));
        }
        sender.landed.notify_one();
    }

    /// Counts how long something took, while measuring.
    fn count(&self, times: &RefCell<Histogram<u64>>, due: u64, now: u64) {
        if self.measuring.get() {
            let time = now.saturating_sub(due).clamp(1, LONGEST.as_nanos() as u64);
            times.borrow_mut().record(time).expect("invariant: clamped to the bounds");
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

    /// How late each message was sent.
    pub fn delays(&self) -> Histogram<u64> {
        self.delays.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::{Flights, Had, Instant};

    /// The texts of so many messages that took off.
    fn take_off(flights: &Flights, sender: usize, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        (0..count).for_each(|_| flights.take_off(sender, Instant::now(), 16, |text| texts.push(text.to_owned())));
        texts
    }

    #[test]
    fn what_lands_everywhere_is_counted() {
        let flights = Flights::new(&[2]);
        flights.measure(true);
        let texts = take_off(&flights, 0, 2);
        assert_eq!(texts, ["b0.0.xxxxxxxxxxx", "b0.1.xxxxxxxxxxx"]);
        for mut had in [Had::new(0, 1), Had::new(0, 1)] {
            texts.iter().for_each(|text| flights.land(text.as_bytes(), &mut had, flights.now()));
        }
        assert_eq!((flights.deliveries.get(), flights.messages.get()), (4, 2));
        assert_eq!((flights.in_flight(0), flights.failure()), (0, None));
        assert_eq!((flights.latencies().len(), flights.completions().len(), flights.delays().len()), (4, 2, 2));
    }

    #[test]
    fn what_goes_wrong_is_found() {
        let failure_of = |landed: &[&str]| {
            let flights = Flights::new(&[1, 1]);
            take_off(&flights, 0, 2);
            take_off(&flights, 1, 1);
            let mut had = Had::new(0, 1);
            landed.iter().for_each(|text| flights.land(text.as_bytes(), &mut had, flights.now()));
            flights.failure().unwrap_or_default()
        };
        let first = "b0.0.xxxxxxxxxxx";
        assert_eq!(failure_of(&["hello", first]), "");
        for (landed, why) in [
            (&["b0.1.xxxxxxxxxxx"][..], "a message was lost or reordered: sender 0's number 1 came where 0 was due"),
            (&[first, first], "a message was doubled or reordered: sender 0's number 0 came where 1 was due"),
            (&["b0.0.xxxxxyxxxxx"], "a message was changed, or came more often than there are receivers"),
            (&["b1.0.xxxxxxxxxxx"], "a message of sender 1 came to somebody it was not sent to"),
        ] {
            assert!(failure_of(landed).starts_with(why), "{landed:?}: {}", failure_of(landed));
        }
    }

    #[test]
    fn what_comes_to_more_than_its_audience_is_found() {
        let flights = Flights::new(&[1]);
        let texts = take_off(&flights, 0, 2);
        for _ in 0..2 {
            flights.land(texts[1].as_bytes(), &mut Had { first: 0, counts: vec![1] }, flights.now());
        }
        assert_eq!(flights.failure().unwrap(), "a message came more often than there are receivers");
    }
}
