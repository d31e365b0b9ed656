//! A real server for a test: the binary, on a port of its own and in a directory of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::{NamedTempFile, TempDir};

use super::client::Client;

/// How long anything in a test may take before it counts as never.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Killed when it is dropped.
pub struct Server {
    child: Child,
    address: SocketAddr,
    greeting: String,
    options: Vec<String>,
    data: Option<TempDir>,
    dir: PathBuf,
    log: Option<NamedTempFile>,
}

impl Server {
    /// Starts `linechat serve` with these options, its data in a fresh directory.
    pub fn start(options: &[&str]) -> Self {
        let data = data_dir();
        let mut server = Self::start_in(data.path(), options);
        server.data = Some(data);
        server
    }

    /// Starts `linechat serve` with these options, its data in that directory, which stays.
    pub fn start_in(dir: &Path, options: &[&str]) -> Self {
        Self::begin(dir, options, None)
    }

    /// Starts it as [`Server::start`] does, and keeps its log.
    pub fn start_logging(options: &[&str]) -> Self {
        let data = data_dir();
        let mut server = Self::start_logging_in(data.path(), options);
        server.data = Some(data);
        server
    }

    /// Starts it as [`Server::start_in`] does, and keeps its log.
    pub fn start_logging_in(dir: &Path, options: &[&str]) -> Self {
        Self::begin(dir, options, Some(NamedTempFile::new().expect("a log can be written")))
    }

    fn begin(dir: &Path, options: &[&str], log: Option<NamedTempFile>) -> Self {
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        let to = log.as_ref().map_or(Stdio::inherit(), |log| log.reopen().expect("it is there").into());
        let (child, address, greeting) = spawn(dir, &options, to).expect("the server starts");
        Self { child, address, greeting, options, data: None, dir: dir.to_owned(), log }
    }

    /// What it has logged, if it was started for that.
    pub fn log(&self) -> String {
        let log = self.log.as_ref().expect("it was started for that");
        std::fs::read_to_string(log.path()).expect("the log can be read")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it printed when it started.
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// Where it keeps its data.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection that has read its HELLO.
    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Sends a signal: `TERM`, `INT`, `STOP` …
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]).status().expect("kill runs");
        assert!(status.success(), "kill -{signal}");
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "the server does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_some()
    }

    /// Starts it again on the same data, after [`Server::kill`] or [`Server::wait`].
    pub fn restart(&mut self) {
        (self.child, self.address, self.greeting) =
            spawn(&self.dir, &self.options, Stdio::inherit()).expect("the server starts again");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        drop(self.data.take());
    }
}

/// A directory for a server's data that nobody else may enter.
pub fn data_dir() -> TempDir {
    let own = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix("linechat-").permissions(own).tempdir().expect("a temporary directory")
}

#[expect(clippy::zombie_processes, reason = "`Server` waits for it, or it is waited for where it does not start")]
fn spawn(dir: &Path, options: &[String], log: Stdio) -> Option<(Child, SocketAddr, String)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_linechat"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir)
        .args(options)
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the binary runs");
    let mut output = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let (tell, told) = std::sync::mpsc::channel();
    // In a thread of its own: one that waits for brokers may never say anything.
    std::thread::spawn(move || {
        let mut greeting = String::new();
        while !greeting.contains("type HELP") && output.read_line(&mut greeting).is_ok_and(|length| length > 0) {}
        let _ = tell.send(greeting);
    });
    let greeting = told.recv_timeout(PATIENCE).unwrap_or_default();
    if !greeting.contains("type HELP") {
        let _ = child.kill();
        let _ = child.wait();
        return None;
    }
    let address = greeting.lines().next()?.rsplit(' ').next()?.parse().ok()?;
    Some((child, address, greeting))
}
