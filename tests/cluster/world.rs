//! One simulation of a cluster: three servers that die, are cut off and come back, around one stream, and the people at them. It
//! owns the seed; the same seed must always make the same recording.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use linechat::limits::Limits;
use linechat::order::cluster::Features;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::broker::{Cut, Stream};
use super::chance::Chance;
use super::disk::Platter;
use super::judge;
use super::node::{Node, digests, platter};
use super::people::Person;
use super::record::{Record, Recorder};

const NODES: usize = 3;
/// So that nobody is held up by what a server alone is tested for.
const LIMITS: [&str; 5] = [
    "digest-batches=16",
    "stalled-seconds=none",
    "passwords-per-minute=none",
    "passwords-per-address=none",
    "commands-per-second=none",
];
const LOOK: Duration = Duration::from_millis(20);
/// Longer than the servers need to agree once nothing goes wrong: a lease, and every wait that doubles.
const AGREE: Duration = Duration::from_secs(120);

/// What all people share.
pub struct World {
    /// Where everything is recorded.
    pub recorder: Arc<Recorder>,
    stream: Arc<Stream>,
    nodes: Mutex<Vec<Option<Arc<Node>>>>,
    platters: Vec<Platter>,
    limits: Arc<Limits>,
    left: AtomicUsize,
    connections: AtomicUsize,
    people: usize,
    done: AtomicUsize,
    problems: Mutex<Vec<String>>,
}

/// A simulation that has been played.
pub struct Played {
    /// What everybody saw.
    pub records: Vec<Record>,
    /// What is wrong with it.
    pub wrong: Vec<String>,
    /// How many frames there were.
    pub frames: u64,
}

impl World {
    /// Takes one of the commands that are left.
    pub fn spend(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Waits until everybody has come to the end of this part.
    pub async fn together(&self, part: usize) {
        self.done.fetch_add(1, Ordering::Relaxed);
        while self.done.load(Ordering::Relaxed) < part * self.people {
            sleep(LOOK).await;
        }
    }

    /// Something that no recording shows.
    pub fn report(&self, problem: String) {
        self.problems.lock().expect("nothing panics under this lock").push(problem);
    }

    /// A number for a connection.
    pub fn number(&self) -> usize {
        1 + self.connections.fetch_add(1, Ordering::Relaxed)
    }

    fn at(&self, place: usize) -> Option<Arc<Node>> {
        self.nodes.lock().expect("nothing panics under this lock")[place].clone()
    }

    /// One of the servers, if it lets people in.
    pub fn node(&self, chance: &mut Chance) -> Option<Arc<Node>> {
        self.at(chance.below(NODES)).filter(|node| node.serves())
    }

    fn all(&self) -> Vec<Arc<Node>> {
        self.nodes.lock().expect("nothing panics under this lock").iter().flatten().cloned().collect()
    }

    async fn start(&self, place: usize, chance: &mut Chance) {
        let platter = &self.platters[place];
        let (name, features) = (format!("node{place}"), Features::CURRENT);
        let node = Node::start(&name, features, &self.stream, platter, &self.limits, &self.recorder, chance).await;
        self.nodes.lock().expect("nothing panics under this lock")[place] = Some(Arc::new(node));
    }

    async fn end(&self, place: usize, in_order: bool) {
        let node = self.nodes.lock().expect("nothing panics under this lock")[place].take();
        if let Some(node) = node {
            if in_order {
                node.stop().await;
            }
            node.kill().await.into_iter().for_each(|panic| self.report(panic));
        }
    }

    /// Lets things go wrong, one after the other, until all commands are spent.
    async fn trouble(&self, mut chance: Chance) {
        while self.left.load(Ordering::Relaxed) > 0 {
            sleep(Duration::from_millis(chance.below(4000) as u64)).await;
            let place = chance.below(NODES);
            match chance.below(8) {
                0..4 => {
                    let lasts = *chance.of(&[500, 3_000, 25_000, 40_000]);
                    let (up, down) = *chance.of(&[(true, true), (true, false), (false, true)]);
                    let until = Instant::now() + Duration::from_millis(lasts);
                    self.at(place).iter().for_each(|node| node.link.cut(Cut { up, down, until }));
                }
                4 => self.stream.elect(Duration::from_millis(chance.below(9000) as u64)),
                kind @ 5..7 => {
                    self.end(place, kind == 5).await;
                    sleep(Duration::from_millis(*chance.of(&[0, 900, 20_000]))).await;
                    self.start(place, &mut chance).await;
                }
                _ => {}
            }
        }
        let calm = Cut { up: false, down: false, until: Instant::now() };
        self.all().iter().for_each(|node| node.link.cut(calm));
        self.stream.be_calm(true);
    }

    /// Waits until all servers are nodes, and know the same; then ends them and holds what they keep side by side.
    async fn agree(&self) {
        let began = Instant::now();
        while !self.have_agreed() {
            if began.elapsed() > AGREE {
                return self.report("the servers have not agreed in time".to_owned());
            }
            sleep(LOOK).await;
        }
        // All at the same moment, or some would go on.
        self.all().iter().for_each(|node| node.crash());
        for node in self.all() {
            node.kill().await.into_iter().for_each(|panic| self.report(panic));
        }
        let mut found = Vec::new();
        for platter in &self.platters {
            found.push(digests(platter, &self.recorder, &self.limits).await);
        }
        if found.iter().any(|digests| *digests != found[0]) {
            self.report(format!("the digests differ: {found:?}"));
        }
    }

    fn have_agreed(&self) -> bool {
        let (nodes, newest) = (self.all(), self.stream.newest());
        let is_up_to_date = |node: &Arc<Node>| {
            let state = node.state();
            let state = state.try_read();
            state.is_ok_and(|state| state.nodes().count() == NODES && state.order().is_some_and(|(_, place)| place == newest))
        };
        nodes.len() == NODES && nodes.iter().all(|node| node.serves() && is_up_to_date(node))
    }
}

async fn simulate(seed: u64, commands: usize) -> Played {
    let mut chance = Chance::new(seed);
    let fork = |chance: &mut Chance| Chance::new(chance.below(1 << 40) as u64);
    let mut limits = Limits::default();
    LIMITS.iter().for_each(|limit| limits.set(limit).expect("it is a limit"));
    let roles: Vec<_> = (0..6).map(|number| (number < 3).then(|| format!("acc{number}"))).collect();
    let world = World {
        recorder: Arc::new(Recorder::new()),
        stream: Stream::new(fork(&mut chance)),
        nodes: Mutex::new(vec![None; NODES]),
        platters: (0..NODES).map(|_| platter()).collect(),
        limits: Arc::new(limits),
        left: AtomicUsize::new(commands),
        connections: AtomicUsize::new(0),
        people: roles.len(),
        done: AtomicUsize::new(0),
        problems: Mutex::default(),
    };
    let world = Arc::new(world);
    for place in 0..NODES {
        world.start(place, &mut chance).await;
    }
    let mut people = JoinSet::new();
    for (number, account) in roles.into_iter().enumerate() {
        let (world, own) = (Arc::clone(&world), fork(&mut chance));
        let mut person_chance = own;
        let mut tries = 0;
        while {
            let mut person = Person::new(&world, number, account.clone(), person_chance.clone());
            person_chance.below(2);
            person.register().await.is_err()
        } {
            tries += 1;
            assert!(tries < 100, "nobody can register");
        }
        people.spawn(async move { (number, Person::new(&world, number, account, person_chance).live().await) });
    }
    world.stream.be_calm(false);
    let trouble = {
        let (world, own) = (Arc::clone(&world), fork(&mut chance));
        tokio::spawn(async move { world.trouble(own).await })
    };
    let mut said: Vec<_> = people.join_all().await;
    said.sort_by_key(|(number, _)| *number);
    let said: Vec<_> = said.into_iter().flat_map(|(_, said)| said).collect();
    trouble.await.expect("trouble does not panic");
    world.agree().await;
    let log = judge::log(&world.platters[0]).await;
    let records = world.recorder.records();
    let mut wrong = std::mem::take(&mut *world.problems.lock().expect("nothing panics under this lock"));
    wrong.extend(judge::judge(&records, &said, &log));
    Played { records, wrong, frames: world.stream.newest() }
}

/// Plays the simulation of this seed with so many commands, in time of its own.
pub fn play(seed: u64, commands: usize) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime needs nothing").block_on(simulate(seed, commands))
}
