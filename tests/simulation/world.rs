//! One simulation: a server that lives and dies several times over one disk, and the people around it. It owns the seed; the same
//! seed must always make the same recording.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use linechat::limits::Limits;
use linechat::store::Memory;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::chance::Chance;
use super::disk::Platter;
use super::fate::{Death, Fate, Lie};
use super::habits::{Habits, PASSWORD};
use super::net::{Line, Weather, wire};
use super::people::{Person, Talk, last_look};
use super::record::{Record, Recorder, What};
use super::server::Server;

/// So few that they are met in every simulation.
const LIMITS: [&str; 8] = [
    // Who waits for the others reads nothing meanwhile.
    "stalled-seconds=none",
    "passwords-per-minute=none",
    "passwords-per-address=none",
    "commands-per-second=none",
    "inbox=9",
    "channels=4",
    "channels-per-user=3",
    "tails=65536",
];
/// What the disk holds; nothing is ever given up.
const DISK_BYTES: u64 = 1 << 30;
/// How often somebody looks whether something has happened.
const LOOK: Duration = Duration::from_millis(20);

/// What all people share.
pub struct World {
    /// Where everything is recorded.
    pub recorder: Arc<Recorder>,
    server: Mutex<Option<Arc<Server>>>,
    calm: Arc<AtomicBool>,
    left: AtomicUsize,
    connections: AtomicUsize,
    known: Mutex<Vec<String>>,
    people: usize,
    done: AtomicUsize,
    problems: Mutex<Vec<String>>,
}

impl World {
    /// Takes one of the commands that are left. When there are none, nothing goes wrong any more.
    pub fn spend(&self) -> bool {
        let is_left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if !is_left {
            self.calm.store(true, Ordering::Relaxed);
        }
        is_left
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

    /// Those who can be written to.
    pub fn known(&self) -> MutexGuard<'_, Vec<String>> {
        self.known.lock().expect("nothing panics under this lock")
    }

    fn server(&self) -> Option<Arc<Server>> {
        self.server.lock().expect("nothing panics under this lock").clone()
    }

    /// A connection to the server, as soon as it is up.
    pub async fn connect(&self, who: &str, chance: &mut Chance) -> (usize, Line) {
        let server = loop {
            if let Some(server) = self.server() {
                break server;
            }
            sleep(LOOK).await;
        };
        let number = 1 + self.connections.fetch_add(1, Ordering::Relaxed);
        self.recorder.put(number, What::Opened, who);
        let calm = self.calm.load(Ordering::Relaxed);
        let weather = if calm { Weather::calm() } else { Weather::any(chance) };
        let own = Chance::new(chance.below(1 << 40) as u64);
        let (end, line) = wire(number, weather, own, Arc::clone(&server.fate), Arc::clone(&self.recorder));
        server.connect(end);
        (number, line)
    }
}

/// A simulation that has been played.
pub struct Played {
    /// What everybody saw.
    pub records: Vec<Record>,
    /// What no recording shows.
    pub problems: Vec<String>,
}

fn death(chance: &mut Chance) -> Death {
    let (write, call) = (1 + chance.below(60), 1 + chance.below(900));
    *chance.of(&[
        Death::AtCall(call),
        Death::AtCall(call),
        Death::BeforeWrite(write),
        Death::AfterWrite(write),
        Death::Fails(write),
        Death::FailsLate(write),
        Death::Stops(call),
    ])
}

/// Lets the server live and die until this many lives are over; the last one goes on.
async fn lives(world: Arc<World>, lie: Option<Lie>, mut chance: Chance) {
    let platter: Platter = Arc::new(Mutex::new(Memory::new(DISK_BYTES)));
    let mut limits = Limits::default();
    LIMITS.iter().for_each(|limit| limits.set(limit).expect("it is a limit"));
    let limits = Arc::new(limits);
    let deaths = chance.below(6);
    for life in 0..=deaths {
        let death = if life == deaths { Death::None } else { death(&mut chance) };
        let own = Chance::new(chance.below(1 << 40) as u64);
        let fate = Fate::new(death, lie, own, Arc::clone(&world.calm), Arc::clone(&world.recorder));
        let server = Server::start(&fate, &platter, &limits, &mut chance).await;
        *world.server.lock().expect("nothing panics under this lock") = Some(Arc::clone(&server));
        fate.ends.notified().await;
        *world.server.lock().expect("nothing panics under this lock") = None;
        server.end().await.into_iter().for_each(|panic| world.report(panic));
        world.recorder.put(0, What::Dead, "");
        sleep(Duration::from_millis(chance.below(500) as u64)).await;
    }
    world.report("the last life of the server has ended".to_owned());
}

/// Accounts register and make channels while nothing goes wrong.
async fn begin(world: &World, accounts: &[String], chance: &mut Chance) {
    for (number, name) in accounts.iter().enumerate() {
        let mut lines = vec![format!("REGISTER {name} {PASSWORD}")];
        lines.extend(["#ash", "#birch", "#cedar"].get(number).map(|channel| format!("CREATE {channel}")));
        lines.push("QUIT".to_owned());
        let Ok(mut talk) = Talk::open(world, name, chance).await else { return };
        for line in lines {
            if talk.ask(world, &line).await.is_err() {
                return world.report(format!("{name} cannot begin"));
            }
        }
    }
}

async fn simulate(seed: u64, commands: usize, lie: Option<Lie>) -> Played {
    let mut chance = Chance::new(seed);
    let accounts: Vec<_> = (0..2 + chance.below(4)).map(|number| format!("acc{number}")).collect();
    let mut roles = Vec::new();
    for account in &accounts {
        (0..=chance.below(2)).for_each(|_| roles.push(Some(account.clone())));
    }
    (0..2 + chance.below(4)).for_each(|_| roles.push(None));
    let world = Arc::new(World {
        recorder: Arc::new(Recorder::new()),
        server: Mutex::new(None),
        calm: Arc::new(AtomicBool::new(true)),
        left: AtomicUsize::new(commands),
        connections: AtomicUsize::new(0),
        known: Mutex::new(accounts.clone()),
        people: roles.len(),
        done: AtomicUsize::new(0),
        problems: Mutex::new(Vec::new()),
    });
    let mut server = tokio::spawn(lives(Arc::clone(&world), lie, Chance::new(chance.below(1 << 40) as u64)));
    let people = async {
        begin(&world, &accounts, &mut chance).await;
        world.calm.store(false, Ordering::Relaxed);
        let mut people = JoinSet::new();
        for (number, account) in roles.into_iter().enumerate() {
            let habits = Habits::new(number, account, Chance::new(chance.below(1 << 40) as u64));
            let world = Arc::clone(&world);
            people.spawn(async move { Person::new(&world, habits).live().await });
        }
        people.join_all().await;
        if last_look(&world, &accounts, &mut chance).await.is_err() {
            world.report("nobody could take the last look".to_owned());
        }
    };
    tokio::select! {
        biased;
        () = people => {}
        ended = &mut server => drop(ended),
    }
    server.abort();
    let problems = std::mem::take(&mut *world.problems.lock().expect("nothing panics under this lock"));
    Played { records: world.recorder.records(), problems }
}

/// Plays the simulation of this seed with so many commands, in time of its own.
pub fn play(seed: u64, commands: usize, lie: Option<Lie>) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime needs nothing").block_on(simulate(seed, commands, lie))
}
