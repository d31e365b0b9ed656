//! Starting: what an operator reads when it works, when it does not, and in the log.

mod support;

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use linechat::limits::Limits;
use rusqlite::Connection;
use support::client::Client;
use support::raw::Raw;
use support::server::{Server, data_dir};
use support::wait::until;
use tempfile::TempDir;

/// What a run of the binary left behind.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn binary(arguments: &[&str], stderr: &Path) -> Child {
    let stderr = File::create(stderr).expect("a file can be made");
    let mut command = Command::new(env!("CARGO_BIN_EXE_linechat"));
    command
        .args(arguments)
        .env("RUST_LOG", "linechat=trace")
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .expect("the binary runs")
}

/// Runs it to its end, which must come by itself.
fn run(arguments: &[&str]) -> Ran {
    let stderr = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut child = binary(arguments, stderr.path());
    let status = until("it ends by itself", || child.try_wait().expect("it can be waited for"));
    let stdout = std::io::read_to_string(child.stdout.take().expect("stdout is piped")).expect("it is text");
    Ran { code: status.code(), stdout, stderr: fs::read_to_string(stderr.path()).expect("it is text") }
}

/// A start that fails; what it says holds all of these. Returns that.
fn refused(arguments: &[&str], says: &[&str]) -> String {
    let ran = run(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
    assert!(ran.code.is_some_and(|code| code != 0), "{arguments:?} is no failure");
    assert!(ran.stdout.is_empty() && ran.stderr.starts_with("linechat: "), "{}{}", ran.stdout, ran.stderr);
    says.iter().for_each(|text| assert!(ran.stderr.contains(text), "{:?} lacks {text:?}", ran.stderr));
    ran.stderr
}

/// The same, in one line.
fn fails(arguments: &[&str], says: &[&str]) {
    let stderr = refused(arguments, says);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

/// The directory of a server that kept a few messages and was stopped.
fn used_directory() -> (TempDir, PathBuf) {
    let directory = data_dir();
    let mut process = Process::start(directory.path(), &[]);
    let mut ana = Client::connect(process.address);
    ana.ok("CREATE #rust");
    (0..200).for_each(|number| drop(ana.ok(&format!("SAY #rust {number} {}", "x".repeat(200)))));
    ana.ok("QUIT");
    process.stop();
    let journal = directory.path().join("journal.db");
    (directory, journal)
}

/// A server whose log is kept.
struct Process {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    _logs: TempDir,
}

impl Process {
    fn start(directory: &Path, options: &[&str]) -> Self {
        let logs = TempDir::with_prefix("linechat-log-").expect("a temporary directory");
        let log = logs.path().join("stderr");
        let directory = directory.to_str().expect("it is text");
        let mut child = binary(&[&["serve", "--listen", "127.0.0.1:0", "--data-dir", directory], options].concat(), &log);
        drop(child.stdout.take());
        // In both formats of the log, and in colour.
        let address = until("it says where it listens", || {
            let log = std::fs::read_to_string(&log).expect("the log can be read");
            let line = log.lines().find(|line| line.contains("serving"))?;
            let (_, after) = line.split_once("127.0.0.1:")?;
            format!("127.0.0.1:{}", after.split('"').next()?).parse().ok()
        });
        Self { child, address, log, _logs: logs }
    }

    /// Stops it; returns what it logged.
    fn stop(&mut self) -> Vec<u8> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().expect("kill runs").success());
        let status = until("it stops", || self.child.try_wait().expect("it can be waited for"));
        assert!(status.success());
        fs::read(&self.log).expect("there is a log")
    }
}

impl Process {
    /// Waits until it has ended by itself; returns its exit code and what it logged.
    fn end(mut self) -> (Option<i32>, String) {
        let status = until("it ends", || self.child.try_wait().expect("it can be waited for"));
        (status.code(), fs::read_to_string(&self.log).expect("there is a log"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it has an address").to_string();
    let directory = data_dir();
    let path = directory.path().to_str().expect("it is text");
    fails(&["--listen", &address, "--data-dir", path], &[&address, "the port is in use", "give another --listen ADDR:PORT"]);
    fails(&["--listen", "192.0.2.1:12000", "--data-dir", path], &["192.0.2.1:12000", "give another --listen"]);
}

#[test]
fn a_directory_that_cannot_be_used_is_named_with_the_reason() {
    let running = Server::start(&[]);
    let path = running.dir().to_str().expect("it is text");
    fails(&["--data-dir", path], &[path, "is in use by another linechat server", "give another --data-dir"]);
    running.connect().ok("PING");
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    for below in [file.path().join("data"), file.path().to_owned()] {
        let path = below.to_str().expect("it is text");
        fails(&["--data-dir", path], &[path, "cannot be written", "give another --data-dir"]);
    }
}

#[test]
fn a_store_of_another_kind_is_left_alone() {
    let (directory, journal) = used_directory();
    let (path, name) = (directory.path().to_str().expect("text"), journal.to_str().expect("text"));
    let change = |pragma: &str| Connection::open(&journal).expect("it opens").execute_batch(pragma).expect("it changes");
    change("PRAGMA user_version=99");
    fails(&["--data-dir", path], &[name, "has version 99", "run the newer linechat"]);
    change("PRAGMA user_version=1; PRAGMA application_id=7");
    fails(&["--data-dir", path], &[name, "is not a linechat journal", "move it away"]);
    fs::write(&journal, "Dear diary,\nthis is a text of more than a few bytes.\n".repeat(100)).expect("it can be written");
    fails(&["--data-dir", path], &[name, "is not a linechat journal", "move it away"]);
    assert!(fs::read_to_string(&journal).expect("it is still text").starts_with("Dear diary,"), "nothing was overwritten");
}

#[test]
fn a_store_whose_pages_are_damaged_is_refused_at_the_start() {
    let (directory, journal) = used_directory();
    let (path, name) = (directory.path().to_str().expect("text"), journal.to_str().expect("text"));
    let whole = fs::read(&journal).expect("there is a journal");
    assert!(whole.len() > 16 * 4096, "{}", whole.len());
    let half = whole[..whole.len() / 2 / 4096 * 4096].to_vec();
    for damaged in [garbled(&whole, 4096, 4096), garbled(&whole, 8 * 4096, 4096), half] {
        fs::write(&journal, &damaged).expect("it can be written");
        refused(&["--data-dir", path], &[name, "is damaged", "restore it from a backup"]);
        assert!(fs::read(&journal).expect("it is there") == damaged, "nothing was mended");
    }
    fs::write(&journal, &whole).expect("it can be written");
    let mut process = Process::start(directory.path(), &[]);
    let mut ana = Client::connect(process.address);
    ana.ok("JOIN #rust");
    assert_eq!(ana.ask("HISTORY #rust 1000").len(), 201);
    process.stop();
}

fn garbled(whole: &[u8], from: usize, length: usize) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    bytes[from..from + length].fill(0xa5);
    bytes
}

#[test]
fn what_is_damaged_is_told_in_one_line() {
    let (directory, journal) = used_directory();
    fs::write(&journal, garbled(&fs::read(&journal).expect("there is a journal"), 4096, 4096)).expect("it can be written");
    fails(&["--data-dir", directory.path().to_str().expect("text")], &["is damaged"]);
}

#[test]
fn a_message_whose_text_is_damaged_is_never_skipped() {
    let (directory, journal) = used_directory();
    let mut bytes = fs::read(&journal).expect("there is a journal");
    let said = b"100 xxxxxx";
    let at = bytes.windows(said.len()).position(|found| found == said).expect("it was said");
    bytes[at + 4..at + 8].fill(b'y');
    fs::write(&journal, bytes).expect("it can be written");
    let mut process = Process::start(directory.path(), &[]);
    let mut ana = Client::connect(process.address);
    ana.ok("JOIN #rust");
    let shown = ana.ask("HISTORY #rust 1000");
    assert!(shown.len() == 201 && shown[100].starts_with("- GAP #rust "), "{shown:?}");
    ana.ok("SAY #rust on with it");
    ana.ok("HISTORY #rust 10");
    drop(ana);
    let log = String::from_utf8(process.stop()).expect("it is text");
    assert!(log.contains("damaged"), "{log}");
}

/// Where it cannot be known whether a key was used, nobody can say what became of its message.
#[test]
fn who_waits_when_the_journal_fails_hears_that_nobody_knows() {
    let directory = data_dir();
    let mut process = Process::start(directory.path(), &[]);
    let mut ana = Client::connect(process.address);
    ana.ok("REGISTER ana correct horse battery");
    ana.ok("MSG @once ana this was said");
    drop(ana);
    process.stop();
    let store = Connection::open(directory.path().join("journal.db")).expect("there is a journal");
    assert_eq!(store.execute("UPDATE keys SET sum = sum + 1", []).expect("it can be written"), 1);
    drop(store);
    let process = Process::start(directory.path(), &[]);
    let mut ana = Client::connect(process.address);
    ana.ok("LOGIN ana correct horse battery");
    ana.err("MSG @once ana and this?", "UNSURE");
    let (code, log) = process.end();
    assert_eq!(code, Some(1));
    assert!(
        log.contains("the journal failed: the store is damaged: ") && log.contains("nothing that was answered OK is lost"),
        "{log}"
    );
}

#[test]
fn every_limit_is_listed_with_its_reason() {
    let ran = run(&["limits", "--limit", "inbox=5", "--limit", "members=none"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    for row in Limits::default().rows() {
        assert!(ran.stdout.contains(&format!("  {} = ", row.name)) && ran.stdout.contains(row.reason), "{}", row.name);
    }
    assert!(ran.stdout.contains("inbox = 5 messages (1 to 10000000 or none)") && ran.stdout.contains("members = none users"));
}

#[test]
fn a_limit_that_is_none_is_named() {
    let wrong = [
        ("nonsense", "'nonsense' is not of the form NAME=VALUE"),
        ("nonsense=1", "there is no limit 'nonsense'; 'linechat limits' lists the names"),
        ("inbox=0", "'0' is not a value for the limit 'inbox': give 1 to 10000000 messages, or none"),
        ("inbox=many", "'many' is not a value for the limit 'inbox'"),
        ("line-length=8192", "the limit 'line-length' is fixed"),
        ("text-length=none", "'none' is not a value for the limit 'text-length'"),
    ];
    for (limit, says) in wrong {
        fails(&["--limit", limit], &[says]);
        let ran = run(&["limits", "--limit", limit]);
        assert!(ran.code != Some(0) && ran.stderr.contains(says), "{}", ran.stderr);
    }
    let ran = run(&["serve", "--nonsense"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("--nonsense"), "{}", ran.stderr);
}

#[test]
fn the_greeting_says_where_it_listens_and_what_to_type() {
    let server = Server::start(&[]);
    let (port, dir) = (server.address().port(), server.dir().display());
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "linechat {version} listens on 127.0.0.1:{port}\nit keeps its data in {dir}\n\
        to chat, open another terminal and type: nc 127.0.0.1 {port}\nthen type HELP and press Enter\n"
    );
    assert_eq!(server.greeting(), expected);
    let both = Server::start(&["--listen", "127.0.0.1:0", "--journal", "memory"]);
    let listens: Vec<&str> = both.greeting().lines().filter(|line| line.contains(" listens on ")).collect();
    assert_eq!(listens.len(), 2, "{}", both.greeting());
    assert!(both.greeting().contains("\nit keeps its data in memory only: everything is gone when it stops\n"));
    for line in listens {
        let address = line.rsplit(' ').next().and_then(|word| word.parse().ok()).expect("an address");
        Client::connect(address).ok("PING");
    }
}

/// Says many things that must not reach a terminal that shows the log.
fn provoke(address: SocketAddr) {
    let mut eve = Raw::connect(address);
    let nasty = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\r";
    for verb in ["NAME ", "MSG ", "CREATE #", "", "REGISTER ", "LOGIN ", "HELP ", "PING "] {
        eve.write(format!("{verb}{nasty}\n").as_bytes());
    }
    eve.write(b"\xff\xfe\xfd\n\x00\n");
    eve.end_input();
    eve.rest();
    let mut web = Raw::connect(address);
    web.write(format!("GET /{nasty} HTTP/1.1\r\n{nasty}").as_bytes());
    web.rest();
}

#[test]
fn the_log_is_safe_to_look_at_and_holds_no_password() {
    let directory = data_dir();
    let mut process = Process::start(directory.path(), &[]);
    provoke(process.address);
    let mut ana = Client::connect(process.address);
    ana.ok("REGISTER ana correct horse battery");
    Client::connect(process.address).ok("LOGIN ana correct horse battery");
    Client::connect(process.address).err("LOGIN ana wrong horse battery", "LOGIN_FAILED");
    ana.ok("CREATE #attic horse-and-ladder");
    ana.ok("QUIT");
    let log = process.stop();
    assert!(!log.is_empty());
    let text = String::from_utf8(log).expect("it is text");
    let bad = text.chars().find(|&c| (c.is_control() && c != '\n') || ('\u{2028}'..='\u{202e}').contains(&c));
    assert_eq!(bad, None, "{}", text.escape_debug());
    assert!(!text.contains("horse"), "{text}");
    let journal = fs::read(directory.path().join("journal.db")).expect("there is a journal");
    assert!(!journal.windows(5).any(|bytes| bytes == b"horse"), "the journal holds hashes only");
}

#[test]
fn the_log_can_be_one_object_a_line() {
    let directory = data_dir();
    let mut process = Process::start(directory.path(), &["--log-format", "json"]);
    provoke(process.address);
    let log = String::from_utf8(process.stop()).expect("it is text");
    assert!(log.lines().count() > 0);
    for line in log.lines() {
        let object = line.starts_with("{\"timestamp\":\"") && line.contains("\"level\":\"") && line.ends_with('}');
        assert!(object && !line.chars().any(char::is_control), "{line}");
    }
}

#[test]
fn what_cannot_be_logged_as_asked_is_said() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linechat"));
    let directory = data_dir();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(directory.path()).env("RUST_LOG", "linechat=loud");
    let output = command.output().expect("the binary runs");
    let stderr = String::from_utf8(output.stderr).expect("it is text");
    assert!(!output.status.success() && stderr.contains("RUST_LOG 'linechat=loud' is not understood"), "{stderr}");
}
