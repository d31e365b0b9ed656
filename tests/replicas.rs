//! Replicas that take the same batches hold the same, however often one of them is reopened; and each tells only its own people
//! what their proposals came to, once it is stored.
//!
//! `LINECHAT_PROPOSALS` says how many proposals there are, and `LINECHAT_SEED` which ones: a failed test prints its seed.

#[path = "decide/order.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod order;
#[path = "support/proposals.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod proposals;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use linechat::clock::Clock;
use linechat::event::{Batch, Completion, Entry, NodeId, Origin, Proposal, Recipient, Request, RoomId, SessionId, Slot, Time};
use linechat::hub::News;
use linechat::limits::Limits;
use linechat::order::cluster::{Features, Membership};
use linechat::order::{Batches, OrderError};
use linechat::replica::{self, Differs, Outlet, Replica, ReplicaError};
use linechat::state::{State, Storage};
use linechat::store::{self, Backend, Disk, Presence, open_disk, open_memory};
use proptest::prelude::RngExt;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use order::Order;
use proposals::People;

const PROPOSALS: usize = 100_000;
/// About how many batches come between reopening replicas.
const UNTIL_REOPENED: u32 = 40;

fn limits() -> Limits {
    Limits { channels: 4, channels_per_user: 2, members: 5, inbox: 10, accounts: 3, announce_members: 4, ..Limits::default() }
}

/// What a batch came to.
#[derive(Default)]
struct Came {
    heard: Vec<Entry>,
    completions: Vec<(SessionId, Completion)>,
}

/// A replica, and what it has told its node's sessions to read.
struct Node<B: Backend> {
    node: NodeId,
    replica: Replica<B>,
    reads: BTreeMap<u64, BTreeSet<RoomId>>,
}

impl<B: Backend> Node<B> {
    async fn take(&mut self, batch: &Batch, came: &Came, state: &State) {
        let (mut heard, mut placed, mut completions) = (Vec::new(), Vec::new(), Vec::new());
        let news = self.replica.take(batch.clone()).await.expect("there is room on the disk");
        for news in news.iter() {
            assert!(
                completions.is_empty() || matches!(news, News::Completed { .. }),
                "{news:?} was told after the last completions began"
            );
            match news {
                News::Happened(entry) => heard.push(entry.clone()),
                // Whoever registers is told again of the rooms that they are in.
                News::Begins { session, room, .. } => {
                    self.reads.entry(*session).or_default().insert(*room);
                }
                News::Ends { session, room, .. } => {
                    let reads = self.reads.get_mut(session);
                    assert!(reads.is_some_and(|rooms| rooms.remove(room)), "{news:?}: it does not read there");
                }
                News::Closed { room, .. } => self.reads.values_mut().for_each(|rooms| rooms.retain(|other| other != room)),
                News::Gone { session, rooms } => {
                    assert_eq!(self.reads.remove(session), Some(rooms.iter().copied().collect()), "{news:?}");
                }
                News::Dismissed { session, .. } => {
                    assert_eq!(self.reads.remove(session), Some(BTreeSet::new()), "{news:?}: it was told of the ends before");
                }
                News::Ignores { .. } | News::Renamed { .. } | News::Noticed { .. } | News::UpTo { .. } => {}
                News::Completed { session, completion } if completion.has_place() => {
                    placed.push((*session, completion.clone()));
                }
                News::Completed { session, completion } => completions.push((*session, completion.clone())),
            }
        }
        assert_eq!(heard, came.heard);
        let own = came.completions.iter().filter(|(session, _)| session.node == self.node);
        let own = own.map(|(session, completion)| (session.number, completion.clone()));
        // With those that have a place among the events told there, the others come last, all in the order of their proposals.
        let own: (Vec<_>, Vec<_>) = own.partition(|(_, completion)| completion.has_place());
        assert_eq!((placed, completions), own);
        // Nobody reads a room that they are not in.
        let sessions =
            state.all_sessions_of(self.node).into_iter().filter_map(|session| Some((session, state.user_of(session)?)));
        let may_read = sessions.map(|(session, user)| {
            let rooms = state.channels_of(user).map(RoomId::Channel).chain([RoomId::Inbox(user)]);
            (session.number, rooms.filter(|room| state.is_shown(session, *room)).collect())
        });
        assert_eq!(self.reads, may_read.collect());
    }

    async fn digests(&self) -> (u64, u64) {
        self.replica.digests().await.expect("the store can be read")
    }
}

fn open(directory: &Path, node: NodeId) -> Replica<Disk> {
    let (store, _) = open_disk(directory, Presence::Kept).expect("the store can be opened");
    Replica::open(replica::Node::Alone(node), Arc::new(limits()), store).expect("the store can be read")
}

fn new<B: Backend>(node: NodeId, replica: Replica<B>) -> Node<B> {
    Node { node, replica, reads: BTreeMap::new() }
}

/// The database of a store, opened for reading while the store uses it.
fn database(directory: &Path) -> Connection {
    Connection::open_with_flags(directory.join("journal.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).expect("there is a database")
}

fn tables(database: &Connection) -> Vec<String> {
    let mut tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").expect("it is SQL");
    let names = tables.query_map([], |row| row.get(0)).expect("they can be listed");
    names.collect::<Result<_, _>>().expect("a name is text")
}

/// Gives each row of a table to `each`, by key.
fn rows(database: &Connection, table: &str, each: &mut dyn FnMut(Vec<Value>)) {
    let columns = database.prepare(&format!("SELECT * FROM {table}")).expect("it is SQL").column_count();
    let order = if columns == 1 { "1" } else { "1, 2" };
    let mut query = database.prepare(&format!("SELECT * FROM {table} ORDER BY {order}")).expect("it is SQL");
    let mut rows = query.query([]).expect("the table can be read");
    while let Some(row) = rows.next().expect("the row can be read") {
        each((0..columns).map(|column| row.get(column).expect("it is a column")).collect());
    }
}

fn same_databases(one: &Path, other: &Path) {
    let (one, other) = (database(one), database(other));
    let names = tables(&one);
    assert_eq!(names, tables(&other));
    assert!(names.len() > 5, "{names:?}");
    for table in names {
        let mut left = Vec::new();
        rows(&one, &table, &mut |row| left.push(row));
        let mut left = left.into_iter();
        rows(&other, &table, &mut |row| assert_eq!(left.next(), Some(row), "a row of {table}"));
        assert_eq!(left.next(), None, "a row of {table}");
    }
}

/// Two replicas on disks, and one in memory at a node where nobody is.
struct Replicas {
    directories: [TempDir; 2],
    disks: [Option<Node<Disk>>; 2],
    memory: Node<store::Memory>,
    order: Order,
}

impl Replicas {
    fn new() -> Self {
        let directories = [(); 2].map(|()| TempDir::new().expect("there is room for a directory"));
        let disks = [0, 1].map(|at| {
            let node = NodeId(at as u64);
            Some(new(node, open(directories[at].path(), node)))
        });
        let (store, _) = open_memory(u64::MAX, Presence::Kept);
        let memory =
            Replica::open(replica::Node::Alone(NodeId(2)), Arc::new(limits()), store).expect("there is nothing to read");
        let order = Order { limits: limits(), ..Order::default() };
        Self { directories, disks, memory: new(NodeId(2), memory), order }
    }

    /// Makes a batch of people's proposals, each proposed after seeing what came of the ones before; returns it with what it
    /// must come to.
    fn propose(&mut self, people: &mut People, rng: &mut TestRng, time: Time, size: usize) -> (Batch, Came) {
        let (mut batch, mut came) = (Batch { time, slot: None, proposals: Vec::with_capacity(size) }, Came::default());
        for _ in 0..size {
            let proposal = people.propose(rng.random(), &self.order.state);
            let result = self.order.take(&proposal, time, Storage::Free).map(|(answer, entries)| {
                came.heard.extend(entries.into_iter().filter(|entry| entry.event.concerns_the_hub()));
                answer
            });
            let told = self.order.told;
            if proposal.origin.session.number != 0 {
                came.completions.push((proposal.origin.session, Completion { tag: proposal.origin.tag, result, told }));
            }
            batch.proposals.push(proposal);
        }
        (batch, came)
    }

    async fn take(&mut self, batch: &Batch, came: &Came) {
        for disk in self.disks.iter_mut().flatten() {
            disk.take(batch, came, &self.order.state).await;
        }
        self.memory.take(batch, came, &self.order.state).await;
    }

    /// A replica on a disk is dropped, as in a crash, and opened again; its people stay where they were.
    fn reopen(&mut self, at: usize) {
        if let Some(Node { node, replica, reads }) = self.disks[at].take() {
            drop(replica);
            self.disks[at] = Some(Node { node, replica: open(self.directories[at].path(), node), reads });
        }
    }

    async fn are_equal(&self) {
        let digests = self.memory.digests().await;
        assert_eq!(digests.0, self.order.state.digest(), "the states");
        for disk in self.disks.iter().flatten() {
            assert_eq!(disk.digests().await, digests, "the digests of {:?}", disk.node);
        }
        same_databases(self.directories[0].path(), self.directories[1].path());
    }

    /// One replica may delete waste sooner than another.
    async fn tidying_makes_no_difference(mut self) {
        let (_, digest) = self.memory.digests().await;
        self.disks = [None, None];
        let (mut store, _) = open_disk(self.directories[1].path(), Presence::Kept).expect("the store can be opened");
        store.load(&mut |_| {}).expect("the store can be read");
        while store.tidy().expect("there is room on the disk") {}
        assert_eq!(store.digest().expect("the store can be read"), digest);
    }
}

async fn replicas_agree(proposals: usize, seed: u64) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let (mut replicas, mut people) = (Replicas::new(), People::default());
    let (mut left, mut time, mut reopened) = (proposals, 1_795_352_401_000, 0);
    while left > 0 {
        let most = 1 << rng.random_range(0..9);
        let size = rng.random_range(1..=most).min(left);
        left -= size;
        // The clock may be set back.
        time += rng.random_range(-20..200);
        let (batch, came) = replicas.propose(&mut people, &mut rng, Time(time), size);
        replicas.take(&batch, &came).await;
        if rng.random_ratio(1, UNTIL_REOPENED) {
            replicas.reopen(rng.random_range(0..2));
            replicas.are_equal().await;
            reopened += 1;
        }
    }
    (0..2).for_each(|at| replicas.reopen(at));
    replicas.are_equal().await;
    println!("opened again {} times; there were {} entries", reopened + 2, replicas.order.state.seq());
    replicas.tidying_makes_no_difference().await;
}

#[test]
fn replicas_that_take_the_same_hold_the_same() {
    let number = |name| std::env::var(name).ok().map(|number| number.parse().expect("a number is given"));
    let proposals = number("LINECHAT_PROPOSALS").map_or(PROPOSALS, |proposals| proposals as usize);
    let seed: u64 = number("LINECHAT_SEED").unwrap_or_else(|| TestRunner::default().new_rng().random());
    // Shown if the test fails.
    println!("LINECHAT_SEED={seed}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(replicas_agree(proposals, seed));
}

/// Batches that were made beforehand.
struct Made(std::vec::IntoIter<Batch>);

impl Batches for Made {
    async fn next(&mut self) -> Result<Option<Batch>, OrderError> {
        Ok(self.0.next())
    }
}

/// Neither the sender nor anybody else hears of a message that the disk has not taken.
#[tokio::test]
async fn nothing_is_told_of_what_was_not_stored() {
    let directory = TempDir::new().expect("there is room for a directory");
    let replica = open(directory.path(), NodeId(0));
    let disk = Connection::open(directory.path().join("journal.db")).expect("there is a database");
    let no =
        "CREATE TRIGGER no BEFORE INSERT ON entries WHEN NEW.event LIKE '%not stored%' BEGIN SELECT RAISE(ABORT, 'no'); END";
    disk.execute_batch(no).expect("it is SQL");
    let origin = Origin { session: SessionId { node: NodeId(0), number: 1 }, tag: 1 };
    let says = |text: &str| Request::Say { to: Recipient::Name("guest-1000".into()), key: None, text: text.into() };
    let batch = |request| Batch { time: Time(0), slot: None, proposals: vec![Proposal { origin, request }] };
    let batches = [Request::Come { address: None }, says("stored"), says("not stored")].map(batch);
    let (sender, mut told) = tokio::sync::mpsc::channel(10);
    let ended = replica.run(Made(Vec::from(batches).into_iter()), Outlet::Channel(sender)).await;
    assert!(matches!(ended, Err(ReplicaError::Store(store::StoreError::Failed(_)))), "{ended:?}");
    let mut news = Vec::new();
    while let Some(more) = told.recv().await {
        news.extend(more);
    }
    let completed = news.iter().filter(|news| matches!(news, News::Completed { .. })).count();
    let shown: Vec<_> = news.iter().filter(|news| matches!(news, News::Happened(_))).collect();
    assert!(completed == 2 && shown.len() == 1 && format!("{shown:?}").contains("\"stored\""), "{news:?}");
}

/// Runs a replica in memory among three nodes; the other two say that their states were so after the fourth batch.
async fn ends_when_others_say(say: impl Fn(u64) -> [u64; 2]) -> Result<(), ReplicaError> {
    let limits = Arc::new(Limits { digest_batches: 4, ..Limits::default() });
    let membership = Membership::new("ash".into(), 1, Features::CURRENT, Clock::System, 0);
    let slot = |place, node, number| Some(Slot { stream: 1, place, node: NodeId(node), number, ..Slot::default() });
    let of = |node| Origin { session: SessionId { node: NodeId(node), number: 0 }, tag: 0 };
    let batch = |place, node, number, request| Batch {
        time: Time(0),
        slot: slot(place, node, number),
        proposals: vec![Proposal { origin: of(node), request }],
    };
    let enter = |name: &str| Request::Enter {
        name: name.into(),
        incarnation: 1,
        token: 2,
        limits: 1,
        features: Features::CURRENT.known,
    };
    let mut batches = vec![
        batch(1, 1, 0, membership.next_entry()),
        batch(2, 2, 0, enter("birch")),
        batch(3, 3, 0, enter("cedar")),
        batch(4, 2, 1, Request::Expire(linechat::names::Seq(1), linechat::names::Seq(1))),
    ];
    let replica = || {
        let (store, _) = open_memory(u64::MAX, Presence::Kept);
        Replica::open(replica::Node::Member(Arc::clone(&membership)), Arc::clone(&limits), store).expect("it is empty")
    };
    // What it says itself is known once it has taken these.
    let (tell, _told) = tokio::sync::mpsc::channel(100);
    replica().run(Made(batches.clone().into_iter()), Outlet::Channel(tell)).await.expect("it is one of them");
    let (place, digest) = membership.vouched().borrow().expect("the states are compared");
    assert_eq!(place, 4);
    for (at, digest) in say(digest).into_iter().enumerate() {
        let (node, number) = if at == 0 { (2, 2) } else { (3, 1) };
        batches.push(batch(5 + at as u64, node, number, Request::Vouch { place, digest }));
    }
    let (tell, _told) = tokio::sync::mpsc::channel(100);
    replica().run(Made(batches.into_iter()), Outlet::Channel(tell)).await
}

#[tokio::test]
async fn a_replica_that_is_alone_with_its_state_ends() {
    assert!(ends_when_others_say(|own| [own, own]).await.is_ok());
    assert!(ends_when_others_say(|own| [own, own + 1]).await.is_ok(), "it is the other who is wrong");
    let ended = ends_when_others_say(|own| [own + 1, own + 1]).await;
    assert!(matches!(ended, Err(ReplicaError::Differs(Differs { place: 4, differ: 2 }))), "{ended:?}");
}
