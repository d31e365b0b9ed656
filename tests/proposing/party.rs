//! Those who share an order: each proposes, and has a replica that takes what was ordered. They are put together from the real parts.
//! Nothing here decides what is right.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use linechat::clock::Clock;
use linechat::code::Code;
use linechat::event::{Batch, NodeId, Origin, Proposal, Request, SessionId};
use linechat::limits::Limits;
use linechat::names::Name;
use linechat::order::cluster::{self, Broker, Cluster, Features, Membership, Standing};
use linechat::order::local::{self, Runs};
use linechat::order::{Batches, Order, Queue, nats};
use linechat::replica::{self, Replica};
use linechat::store::{Backend, Presence, open_disk, open_memory};
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::broker::{Link, Stream};
use crate::chance::Chance;
use crate::support::cluster::Brokers;
use crate::support::server::data_dir;

/// How many share an order that can be shared.
const PARTIES: usize = 3;
/// How many seeds of trouble there are.
const TROUBLES: u64 = 5;
/// How many proposals one call has.
pub const PARTS: u64 = 3;
/// After so long something counts as never; in a simulation this is no time at all.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(20);

/// The kinds of orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In memory, for one.
    Local,
    /// Over a simulated stream where nothing goes wrong.
    Simulated,
    /// Over one where much goes wrong.
    Troubled,
    /// Over a real nats-server.
    Nats,
}

/// An order of one kind, and what it is over.
pub struct World {
    kind: Kind,
    stream: Arc<Stream>,
    brokers: Option<Brokers>,
}

/// What one of them knows.
#[derive(Default)]
struct Known {
    /// What its replica has taken.
    taken: Mutex<Vec<Batch>>,
    /// What was refused before it was ordered, and as what.
    refused: Mutex<HashMap<(u64, u64), Code>>,
    /// All that it has proposed.
    proposed: Mutex<Vec<Origin>>,
}

/// One of those who share an order.
pub struct Party {
    /// Where it proposes.
    pub order: Arc<Queue>,
    name: String,
    node: NodeId,
    known: Arc<Known>,
    directory: TempDir,
    replica: JoinHandle<()>,
    publisher: Option<JoinHandle<()>>,
}

/// What is left of one whose process has died.
pub struct Gone {
    name: String,
    known: Arc<Known>,
    directory: TempDir,
}

/// Has a test with an order of this kind, unless there is no nats-server; what goes wrong in a simulation goes wrong otherwise each
/// time.
pub fn on<F: Future<Output = ()>>(kind: Kind, test: impl Fn(World) -> F) {
    for seed in 1..=if kind == Kind::Troubled { TROUBLES } else { 1 } {
        // Shown if the test fails.
        println!("seed {seed}");
        once(kind, seed, &test);
    }
}

fn once<F: Future<Output = ()>>(kind: Kind, seed: u64, test: impl Fn(World) -> F) {
    let brokers = if kind == Kind::Nats { Brokers::start(1) } else { None };
    if kind == Kind::Nats && brokers.is_none() {
        return;
    }
    let is_simulated = [Kind::Simulated, Kind::Troubled].contains(&kind);
    let runtime = Builder::new_current_thread().enable_all().start_paused(is_simulated).build().expect("a runtime");
    runtime.block_on(async {
        let stream = Stream::new(Chance::new(seed));
        stream.be_calm(kind != Kind::Troubled);
        test(World { kind, stream, brokers }).await;
    });
}

/// Whether somebody's connection proposes, and not a server for itself.
pub fn is_of_people(origin: Origin) -> bool {
    origin.session.number != 0
}

/// Waits until it is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waits = async {
        while !is_so() {
            sleep(LOOK).await;
        }
    };
    assert!(timeout(PATIENCE, waits).await.is_ok(), "waited in vain: {what}");
}

/// Takes what was ordered, and keeps what the replica has taken of it.
async fn take<B: Backend>(mut replica: Replica<B>, mut batches: impl Batches, known: Arc<Known>) {
    while let Some(batch) = batches.next().await.expect("the order goes on") {
        let state = replica.state();
        let order = || state.try_read().expect("nobody else has it").order();
        let before = order();
        replica.take(batch.clone()).await.expect("there is room");
        // Of what a broker has taken twice, a replica takes one.
        if batch.slot.is_none() || order() != before {
            lock(&known.taken).push(batch);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics under this lock")
}

impl World {
    /// All that can share it.
    pub async fn parties(&self) -> Vec<Party> {
        let count = if self.kind == Kind::Local { 1 } else { PARTIES };
        let mut parties = Vec::new();
        for number in 0..count {
            let gone = Gone { name: format!("party{number}"), known: Arc::default(), directory: data_dir() };
            parties.push(self.begin_again(gone).await);
        }
        parties
    }

    /// One that goes on with what it has stored, which may be nothing.
    pub async fn begin_again(&self, gone: Gone) -> Party {
        match self.kind {
            Kind::Local => alone(gone),
            Kind::Simulated | Kind::Troubled => join(Link::new(&self.stream), gone).await,
            Kind::Nats => {
                let urls = self.brokers.as_ref().expect("there is one").urls();
                let options = nats::Options {
                    servers: vec![urls.parse().expect("an address")],
                    credentials: None,
                    authority: None,
                    stream: "proposing".to_owned(),
                    stream_bytes: 1 << 30,
                    name: gone.name.clone(),
                };
                join(Arc::new(nats::connect(&options).await.expect("the stream is there")), gone).await
            }
        }
    }
}

fn alone(Gone { name, known, directory }: Gone) -> Party {
    let (order, batches) = local::open(Clock::System, Runs::InTask);
    let (store, _) = open_memory(u64::MAX, Presence::Forgotten);
    let node = NodeId(0);
    let replica = Replica::open(replica::Node::Alone(node), Arc::default(), store).expect("the store is empty");
    let replica = tokio::spawn(take(replica, batches, Arc::clone(&known)));
    Party { order: Arc::new(order), name, node, known, directory, replica, publisher: None }
}

async fn join<B: Broker>(broker: Arc<B>, Gone { name, known, directory }: Gone) -> Party {
    let limits = Arc::new(Limits::default());
    let (store, _) = open_disk(directory.path(), Presence::Kept).expect("the store opens");
    // Whoever begins again is another process.
    let token = lock(&known.taken).len() as u64 + 1;
    let membership = Membership::new(name.as_str().into(), 1, Features::CURRENT, Clock::System, token);
    let replica = Replica::open(replica::Node::Member(Arc::clone(&membership)), limits, store).expect("the store is whole");
    let after = replica.state().read().await.read();
    let told = Arc::clone(&known);
    let refuse: cluster::Refuse = Box::new(move |origin, refusal| {
        lock(&told.refused).insert((origin.session.number, origin.tag), refusal.code);
    });
    let Cluster { order, publisher, batches } = cluster::open(broker, after, &membership, refuse);
    let replica = tokio::spawn(take(replica, batches, Arc::clone(&known)));
    let publisher = tokio::spawn(async move { publisher.run().await.expect("it may enter") });
    let mut node = None;
    until("it is a node", || {
        if let Standing::Inside { node: own, .. } = *membership.standing().borrow() {
            node = Some(own);
        }
        node.is_some()
    })
    .await;
    let node = node.expect("it is one");
    Party { order: Arc::new(order), name, node, known, directory, replica, publisher: Some(publisher) }
}

impl Party {
    /// The proposals of another call.
    pub fn call(&self, caller: u64) -> Vec<Proposal> {
        let mut proposed = lock(&self.known.proposed);
        let session = SessionId { node: self.node, number: caller };
        let before = proposed.iter().filter(|origin| origin.session == session).count() as u64;
        let origins: Vec<_> = (1..=PARTS).map(|part| Origin { session, tag: before + part }).collect();
        proposed.extend(&origins);
        let request = || Request::Leave(Name::new("nowhere"));
        origins.into_iter().map(|origin| Proposal { origin, request: request() }).collect()
    }

    /// Makes so many calls, one after the other.
    pub async fn calls(&self, caller: u64, count: u64) {
        for _ in 0..count {
            self.order.propose(self.call(caller)).await.expect("it is open");
        }
    }

    /// These calls were not made, as far as is known.
    pub fn never(&self, calls: &[Vec<Proposal>]) {
        let made = |origin: &Origin| !calls.iter().flatten().any(|proposal| proposal.origin == *origin);
        lock(&self.known.proposed).retain(made);
    }

    /// Waits until there are no more batches for it.
    pub async fn ends(&mut self) {
        timeout(PATIENCE, &mut self.replica).await.expect("the batches end").expect("it does not panic");
    }

    /// Its process dies.
    pub fn crash(self) -> Gone {
        self.replica.abort();
        self.publisher.iter().for_each(JoinHandle::abort);
        let Self { name, known, directory, .. } = self;
        Gone { name, known, directory }
    }

    /// Whether there are no more batches for it.
    pub fn has_ended(&self) -> bool {
        self.replica.is_finished()
    }

    /// How many proposals of people its replica has taken, how many of its own were refused, and how many there are.
    pub fn counts(&self) -> [usize; 3] {
        let known = &self.known;
        let taken = lock(&known.taken).iter().flat_map(|batch| &batch.proposals).filter(|it| is_of_people(it.origin)).count();
        [taken, lock(&known.refused).len(), lock(&known.proposed).len()]
    }

    /// All that it has proposed.
    pub fn proposed(&self) -> Vec<Origin> {
        lock(&self.known.proposed).clone()
    }

    /// What its replica has taken.
    pub fn taken(&self) -> Vec<Batch> {
        lock(&self.known.taken).clone()
    }

    /// As what a proposal of its own was refused before it was ordered.
    pub fn refused(&self, origin: Origin) -> Option<Code> {
        lock(&self.known.refused).get(&(origin.session.number, origin.tag)).copied()
    }
}
