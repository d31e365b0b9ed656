//! A real cluster for a test: nats-servers and linechat servers on loopback, each in a directory of its own. It must never leave a
//! process behind.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::client::Client;
use super::clients::installed;
use super::server::{Server, data_dir};
use super::wait::until;

/// So that nobody is held up by what a server alone is tested for.
pub const LIMITS: [&str; 8] = [
    "--limit",
    "passwords-per-account=none",
    "--limit",
    "passwords-per-minute=none",
    "--limit",
    "passwords-per-address=none",
    "--limit",
    "commands-per-second=none",
];

/// Brokers set the size of each stream aside, and a test has many.
const SMALL: &str = "stream=67108864";

/// One nats-server. Killed when it is dropped.
struct Broker(Child);

/// Where a broker runs.
pub struct Place {
    /// Where it listens for clients.
    pub clients: SocketAddrV4,
    /// Where it listens for the other brokers.
    pub routes: SocketAddrV4,
    /// The network namespace that it is in, if it is not the test's.
    pub namespace: Option<String>,
}

/// The brokers of a cluster.
pub struct Brokers {
    program: PathBuf,
    places: Vec<Place>,
    /// Lines of their configuration.
    more: String,
    brokers: Vec<Option<Broker>>,
    directory: TempDir,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One for each process and each call.
fn own_address() -> Ipv4Addr {
    static CALLS: AtomicU8 = AtomicU8::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 + CALLS.fetch_add(1, Ordering::Relaxed), high, low.max(1))
}

/// Ports that are free at this address now; all are taken until all are known, so that they differ.
fn free_ports(address: Ipv4Addr, count: usize) -> Vec<u16> {
    let taken: Vec<_> = (0..count).map(|_| TcpListener::bind((address, 0)).expect("there is a port")).collect();
    taken.iter().map(|listener| listener.local_addr().expect("it listens").port()).collect()
}

impl Brokers {
    /// So many brokers, one or three, that are ready. `None` where there is no nats-server, which is said.
    pub fn start(count: usize) -> Option<Self> {
        Self::start_with(count, "")
    }

    /// The same, with these lines in their configuration besides.
    pub fn start_with(count: usize, more: &str) -> Option<Self> {
        // An address that no other test uses: while a broker is dead, nobody else takes its ports.
        let address = own_address();
        let mut ports = free_ports(address, 2 * count);
        let routes = ports.split_off(count);
        let at = |port| SocketAddrV4::new(address, port);
        let place = |(clients, routes)| Place { clients: at(clients), routes: at(routes), namespace: None };
        Self::start_at(ports.into_iter().zip(routes).map(place).collect(), more)
    }

    /// A broker at each of these places, all ready, with these lines in their configuration besides. `None` where there is no
    /// nats-server, which is said.
    pub fn start_at(places: Vec<Place>, more: &str) -> Option<Self> {
        let program = installed("nats-server", "nats-server")?;
        let brokers = places.iter().map(|_| None).collect();
        let mut brokers = Self { program, places, more: more.to_owned(), brokers, directory: data_dir() };
        (0..brokers.count()).for_each(|number| brokers.begin(number));
        until("the brokers are ready", || {
            (0..brokers.count()).for_each(|number| brokers.must_run(number));
            (0..brokers.count()).all(|number| brokers.is_ready(number)).then_some(())
        });
        Some(brokers)
    }

    /// Has these lines in the configuration of those that start from here on.
    pub fn configure(&mut self, more: &str) {
        more.clone_into(&mut self.more);
    }

    /// How many there are, dead or not.
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// Starts a broker again, and waits until it runs.
    pub fn start_one(&mut self, number: usize) {
        self.start_some(&[number]);
    }

    /// Starts these brokers again at once, and waits until they run.
    pub fn start_some(&mut self, numbers: &[usize]) {
        let before: Vec<_> = numbers.iter().map(|number| self.log(*number).len()).collect();
        numbers.iter().for_each(|number| self.begin(*number));
        for (number, before) in numbers.iter().zip(before) {
            until("the broker runs", || {
                self.must_run(*number);
                self.log(*number)[before..].contains("Server is ready").then_some(())
            });
        }
    }

    fn begin(&mut self, number: usize) {
        let Place { clients, routes, namespace } = &self.places[number];
        let directory = self.directory.path().join(format!("broker{number}"));
        fs::create_dir_all(&directory).expect("a directory");
        let store = self.store(number);
        let mut config =
            format!("server_name: broker{number}\nlisten: \"{clients}\"\njetstream {{ store_dir: \"{}\" }}\n", store.display());
        config += &self.more;
        if self.count() > 1 {
            let all = self.places.iter().map(|place| format!("\"nats://{}\"", place.routes)).collect::<Vec<_>>().join(", ");
            config += &format!("cluster {{ name: test, listen: \"{routes}\", routes: [{all}] }}\n");
        }
        let file = directory.join("nats.conf");
        fs::write(&file, config).expect("it can be written");
        let log = fs::File::options().create(true).append(true).open(directory.join("log")).expect("it can be written");
        let mut command = match namespace {
            None => Command::new(&self.program),
            Some(namespace) => {
                let mut within = Command::new("ip");
                within.args(["netns", "exec", namespace]).arg(&self.program);
                within
            }
        };
        let child = command.arg("-c").arg(file).stderr(log).stdout(Stdio::null()).spawn().expect("a broker starts");
        self.brokers[number] = Some(Broker(child));
    }

    /// Where a broker keeps its streams.
    pub fn store(&self, number: usize) -> PathBuf {
        self.directory.path().join(format!("broker{number}/store"))
    }

    fn must_run(&mut self, number: usize) {
        let ended = self.brokers[number].as_mut().map(|broker| broker.0.try_wait().expect("it can be waited for"));
        assert!(ended == Some(None), "broker {number} has ended: {}", self.log(number));
    }

    /// What a broker has logged.
    fn log(&self, number: usize) -> String {
        fs::read_to_string(self.directory.path().join(format!("broker{number}/log"))).unwrap_or_default()
    }

    fn is_ready(&self, number: usize) -> bool {
        let log = self.log(number);
        let has_leader = log.contains("new JetStream cluster metadata leader") || log.contains("cluster new metadata leader");
        if self.count() == 1 { log.contains("Server is ready") } else { has_leader }
    }

    /// What `--nats` wants to know.
    pub fn urls(&self) -> String {
        self.addresses().map(|address| format!("nats://{address}")).collect::<Vec<_>>().join(",")
    }

    /// Where they listen for clients.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddrV4> {
        self.places.iter().map(|place| place.clients)
    }

    /// `kill -9`.
    pub fn kill(&mut self, number: usize) {
        self.brokers[number] = None;
    }

    /// Sends a signal: `STOP`, `CONT` …
    pub fn signal(&self, number: usize, signal: &str) {
        if let Some(Broker(child)) = &self.brokers[number] {
            let status =
                Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().expect("kill runs");
            assert!(status.success(), "kill -{signal} of broker {number}");
        }
    }
}

/// Some linechat servers that share an order.
pub struct Cluster {
    /// The servers.
    pub nodes: Vec<Server>,
}

impl Cluster {
    /// Three servers, each with these options besides, over a stream of this name.
    pub fn start(brokers: &Brokers, stream: &str, options: &[&str]) -> Self {
        Self::start_over(&brokers.urls(), stream, options)
    }

    /// The same, where one comes to the brokers by these addresses.
    pub fn start_over(urls: &str, stream: &str, options: &[&str]) -> Self {
        let start = |number: usize| Self::join_over(urls, stream, &format!("node{number}"), options);
        Self { nodes: (0..3).map(start).collect() }
    }

    /// One more server, of this name.
    pub fn join(brokers: &Brokers, stream: &str, node: &str, options: &[&str]) -> Server {
        Self::join_over(&brokers.urls(), stream, node, options)
    }

    /// The same, where one comes to the brokers by these addresses.
    pub fn join_over(urls: &str, stream: &str, node: &str, options: &[&str]) -> Server {
        let own = ["--journal", "nats", "--nats", urls, "--nats-stream", stream, "--node", node, "--limit", SMALL];
        Server::start(&[&own[..], options].concat())
    }

    /// Where one after the other listens, over and over.
    pub fn address(&self, number: usize) -> SocketAddr {
        self.places().address(number)
    }

    /// Waits until every server has taken what any of them has taken by now.
    pub fn settle(&self) {
        self.places().settle();
    }

    /// Where its servers are now.
    pub fn places(&self) -> Places {
        let directories = self.nodes.iter().map(|node| node.dir().to_owned()).collect();
        Places { addresses: self.nodes.iter().map(Server::address).collect(), directories }
    }
}

/// Where one server or those of a cluster are: for who has to know that and must not keep them alive.
#[derive(Clone)]
pub struct Places {
    addresses: Vec<SocketAddr>,
    /// Of a cluster's servers: one server is always of one mind.
    directories: Vec<PathBuf>,
}

impl From<SocketAddr> for Places {
    fn from(server: SocketAddr) -> Self {
        Self { addresses: vec![server], directories: Vec::new() }
    }
}

impl Places {
    /// Where one after the other listens, over and over.
    pub fn address(&self, number: usize) -> SocketAddr {
        self.addresses[number % self.addresses.len()]
    }

    /// Waits until every server has taken what any of them has taken by now.
    pub fn settle(&self) {
        let newest = self.directories.iter().map(|directory| place(directory)).max().unwrap_or(0);
        until("the servers agree", || self.directories.iter().all(|directory| place(directory) >= newest).then_some(()));
    }
}

/// Up to which place of the stream a server's copy goes.
pub fn place(directory: &Path) -> u64 {
    let database = Connection::open_with_flags(directory.join("journal.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)
        .expect("there is a database");
    let event: String = database
        .query_row("SELECT event FROM presence WHERE key = 'order'", [], |row| row.get(0))
        .expect("a node knows its place");
    let event: serde_json::Value = serde_json::from_str(&event).expect("it is JSON");
    event["ordered"]["place"].as_u64().expect("a place")
}

/// Somebody at this server who may read the channel, as soon as it lets people in.
pub fn witness(address: SocketAddr) -> Client {
    until("the server lets people in", || {
        let mut client = Client::connect_silently(address);
        client.try_line().filter(|line| line.starts_with("* HELLO "))?;
        answer(&mut client, "JOIN #kill").starts_with("OK ").then_some(client)
    })
}

/// The whole channel, as this person's server has it.
pub fn history(client: &mut Client) -> Vec<(u64, String)> {
    let (mut all, mut since) = (Vec::new(), 0);
    loop {
        let lines = client.ask(&format!("HISTORY #kill 1000 since {since}"));
        let before = all.len();
        for line in lines.iter().filter_map(|line| line.strip_prefix("- MSG ")) {
            let (seq, rest) = line.split_once(' ').expect("a message has a seq");
            since = seq.parse().expect("a seq is a number");
            all.push((since, rest.rsplit(' ').next().expect("a message has a text").to_owned()));
        }
        if all.len() == before {
            return all;
        }
    }
}

/// The last line of an answer.
pub fn answer(client: &mut Client, line: &str) -> String {
    client.ask(line).pop().expect("an answer has a last line")
}
