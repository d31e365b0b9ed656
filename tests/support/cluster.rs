//! A real cluster for a test: nats-servers and linechat servers on loopback, each in a directory of its own.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::server::{PATIENCE, Server, data_dir};
use super::wait::until;

/// How often new ports are tried when somebody else takes one meanwhile.
const TRIES: usize = 5;

/// One nats-server. Killed when it is dropped.
struct Broker {
    child: Child,
    number: usize,
}

/// The brokers of a cluster.
pub struct Brokers {
    brokers: Vec<Option<Broker>>,
    ports: Vec<u16>,
    routes: Vec<u16>,
    directory: TempDir,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ports that are free now; all are taken until all are known, so that they differ.
fn free_ports(count: usize) -> Vec<u16> {
    let taken: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("there is a port")).collect();
    taken.iter().map(|listener| listener.local_addr().expect("it listens").port()).collect()
}

impl Brokers {
    /// So many brokers, one or three, that are ready.
    pub fn start(count: usize) -> Self {
        for _ in 0..TRIES {
            let mut brokers = Self {
                brokers: (0..count).map(|_| None).collect(),
                ports: free_ports(count),
                routes: free_ports(count),
                directory: data_dir(),
            };
            (0..count).for_each(|number| brokers.start_one(number));
            until("the brokers are ready", || (brokers.are_ready() || brokers.has_one_ended()).then_some(()));
            if !brokers.has_one_ended() {
                return brokers;
            }
        }
        panic!("no nats-server starts in {TRIES} tries");
    }

    /// Starts a broker, or starts it again.
    pub fn start_one(&mut self, number: usize) {
        let (port, route) = (self.ports[number], self.routes[number]);
        let directory = self.directory.path().join(format!("broker{number}"));
        fs::create_dir_all(&directory).expect("a directory");
        let mut config = format!(
            "server_name: broker{number}\nlisten: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\" }}\n",
            directory.display()
        );
        if self.ports.len() > 1 {
            let routes = self.routes.iter().map(|route| format!("\"nats://127.0.0.1:{route}\"")).collect::<Vec<_>>().join(", ");
            config += &format!("cluster {{ name: test, listen: \"127.0.0.1:{route}\", routes: [{routes}] }}\n");
        }
        let file = directory.join("nats.conf");
        fs::write(&file, config).expect("it can be written");
        let log = fs::File::options().create(true).append(true).open(directory.join("log")).expect("it can be written");
        let child = Command::new("nats-server")
            .arg("-c")
            .arg(file)
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .expect("apt-get install nats-server");
        self.brokers[number] = Some(Broker { child, number });
    }

    fn has_one_ended(&mut self) -> bool {
        self.brokers.iter_mut().flatten().any(|broker| broker.child.try_wait().is_ok_and(|ended| ended.is_some()))
    }

    /// What a broker has logged.
    pub fn log(&self, number: usize) -> String {
        fs::read_to_string(self.directory.path().join(format!("broker{number}/log"))).unwrap_or_default()
    }

    fn are_ready(&self) -> bool {
        let is_ready = |number| {
            let log = self.log(number);
            let has_leader =
                log.contains("new JetStream cluster metadata leader") || log.contains("cluster new metadata leader");
            if self.ports.len() == 1 { log.contains("Server is ready") } else { has_leader }
        };
        (0..self.ports.len()).all(is_ready)
    }

    /// What `--nats` wants to know.
    pub fn urls(&self) -> String {
        self.ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ports.len()
    }

    /// `kill -9`.
    pub fn kill(&mut self, number: usize) {
        self.brokers[number] = None;
    }

    /// Sends a signal: `STOP`, `CONT` …
    pub fn signal(&self, number: usize, signal: &str) {
        if let Some(broker) = &self.brokers[number] {
            let pid = broker.child.id().to_string();
            let status = Command::new("kill").args([&format!("-{signal}"), &pid]).status().expect("kill runs");
            assert!(status.success(), "kill -{signal} of broker {}", broker.number);
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
        let start = |number: usize| Self::join(brokers, stream, &format!("node{number}"), options);
        Self { nodes: (0..3).map(start).collect() }
    }

    /// One more server, of this name.
    pub fn join(brokers: &Brokers, stream: &str, node: &str, options: &[&str]) -> Server {
        let urls = brokers.urls();
        let own = ["--journal", "nats", "--nats", &urls, "--nats-stream", stream, "--node", node];
        Server::start(&[&own[..], options].concat())
    }

    /// Where one after the other listens, over and over.
    pub fn address(&self, number: usize) -> SocketAddr {
        self.nodes[number % self.nodes.len()].address()
    }

    /// Waits until every server has taken what any of them has taken by now.
    pub fn settle(&self) {
        let newest = self.nodes.iter().map(|node| place(node.dir())).max().unwrap_or(0);
        let began = Instant::now();
        while self.nodes.iter().any(|node| place(node.dir()) < newest) {
            assert!(began.elapsed() < PATIENCE, "the servers do not agree");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
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
