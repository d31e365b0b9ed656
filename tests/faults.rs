//! The disk's system calls fail, one after the other, on the real binary: what was answered OK is there after a restart, and
//! what was refused is not.
//!
//! strace makes the calls on the store's own files fail, each with an error or with the end of the process. Everyday tests take
//! a few points of each kind; `LINECHAT_FAULTS=all` takes every one.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::client::Client;
use support::server::{PATIENCE, Server, data_dir};
use support::wait::until;

const PASSWORD: &str = "correct horse battery";
/// The system calls by which the store's files change, and how each of them fails. A process is killed as it calls.
const CALLS: [(&str, &[&str]); 5] = [
    ("fsync,fdatasync", &["error=EIO", "signal=KILL"]),
    ("write,pwrite64", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
    ("open,openat", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
    ("rename,renameat,renameat2,unlink,unlinkat", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
    ("truncate,ftruncate,fallocate", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
];
const FILES: [&str; 5] = ["journal.db", "journal.db-wal", "journal.db-shm", "reserve", "lock"];

fn is_full_sweep() -> bool {
    std::env::var("LINECHAT_FAULTS").is_ok_and(|value| value == "all")
}

/// How many messages the script sends.
fn messages() -> usize {
    if is_full_sweep() { 200 } else { 12 }
}

/// Whether strace may trace here; said loudly if not.
fn may_trace() -> bool {
    let traced = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    if traced.is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "the test of failing system calls needs strace, and permission to trace");
    eprintln!("\n*** SKIPPED: failing system calls. They take strace and the permission to trace: apt-get install strace\n");
    false
}

/// A server below strace.
struct Traced {
    child: Child,
    greeting: String,
}

impl Traced {
    /// Starts a server in this directory. With a fault, the call with this number fails, counted over all of the store's files.
    fn start(directory: &Path, log: &Path, calls: &str, fault: Option<(&str, usize)>) -> Self {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(log).args(["-e", &format!("trace={calls}"), "-e", "signal=none"]);
        for file in FILES {
            command.arg("-P").arg(directory.join(file));
        }
        if let Some((how, number)) = fault {
            command.args(["-e", &format!("inject={calls}:{how}:when={number}")]);
        }
        command.arg(env!("CARGO_BIN_EXE_linechat")).args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(directory);
        // One thread, because strace counts the calls of each thread by itself.
        command.args(["--limit", "shutdown-seconds=0"]).env("TOKIO_WORKER_THREADS", "1");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("strace runs");
        let mut greeting = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        while !greeting.contains("type HELP") && output.read_line(&mut greeting).expect("it is text") > 0 {}
        Self { child, greeting }
    }

    /// A connection, if the server has started.
    fn connect(&self) -> Option<Line> {
        let address = self.greeting.lines().next().filter(|_| self.greeting.contains("type HELP"))?;
        let stream = TcpStream::connect(address.rsplit(' ').next()?).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("it can be set");
        Some(Line { lines: BufReader::new(stream.try_clone().expect("a copy")), stream })
    }

    /// Stops the server if it is still there; returns whether it was killed, and what it said.
    fn end(mut self) -> (bool, String) {
        let strace = self.child.id();
        let server = fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap_or_default();
        if let Some(server) = server.split_whitespace().next() {
            // It may have ended since.
            let _ = Command::new("kill").args(["-TERM", server]).stderr(Stdio::null()).status();
        }
        // strace ends as the server did.
        let status = until("it ends", || self.child.try_wait().expect("it can be waited for"));
        let mut said = String::new();
        let _ = self.child.stderr.take().expect("stderr is piped").read_to_string(&mut said);
        (status.signal() == Some(9), said)
    }
}

struct Line {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Line {
    /// The answer, `None` when the server has gone.
    fn ask(&mut self, line: &str) -> Option<String> {
        self.stream.write_all(format!("{line}\n").as_bytes()).ok()?;
        loop {
            let mut line = String::new();
            self.lines.read_line(&mut line).ok()?;
            let line = line.strip_suffix('\n')?;
            if line.starts_with("OK ") || line.starts_with("ERR ") {
                return Some(line.to_owned());
            }
        }
    }
}

/// What became of the script's messages, by their numbers.
#[derive(Debug, Default)]
struct Answers {
    kept: BTreeSet<usize>,
    refused: BTreeSet<usize>,
}

/// Sends messages one after the other, until the server has gone.
fn script(server: &Traced) -> Answers {
    let mut answers = Answers::default();
    let Some(mut bob) = server.connect() else { return answers };
    for number in 0..messages() {
        match bob.ask(&format!("MSG ana number {number}")) {
            Some(answer) if answer.starts_with("OK MSG ") => drop(answers.kept.insert(number)),
            Some(answer) if answer.starts_with("ERR STORE_FULL ") => drop(answers.refused.insert(number)),
            // What was not answered, or is unsure, may be there or not.
            Some(answer) => assert!(answer.starts_with("ERR UNSURE ") || answer.starts_with("ERR INTERNAL "), "{answer}"),
            None => break,
        }
    }
    answers
}

/// A store in which ana has an account.
fn prepared() -> tempfile::TempDir {
    let data = data_dir();
    let mut server = Server::start_in(data.path(), &[]);
    server.connect().ok(&format!("REGISTER ana {PASSWORD}"));
    server.signal("TERM");
    server.wait();
    data
}

/// The numbers of the messages in ana's inbox, by a server on a sound disk.
fn stored(directory: &Path) -> BTreeSet<usize> {
    let server = Server::start_in(directory, &[]);
    let mut ana: Client = server.connect();
    ana.ok(&format!("LOGIN ana {PASSWORD}"));
    let mut lines = ana.ask("INBOX 1000");
    assert!(lines.pop().is_some_and(|line| line.starts_with("OK INBOX ")));
    let numbers: Vec<usize> =
        lines.iter().map(|line| line.rsplit(' ').next().expect("a word").parse().expect("a number")).collect();
    assert!(numbers.is_sorted(), "reordered: {numbers:?}");
    let all: BTreeSet<_> = numbers.iter().copied().collect();
    assert_eq!(all.len(), numbers.len(), "doubled: {numbers:?}");
    all
}

fn copy(from: &Path, to: &Path) {
    for file in fs::read_dir(from).expect("a directory") {
        let file = file.expect("a file");
        fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
    }
}

/// How many calls the script makes when nothing fails, in the thread that makes the most.
fn count(prepared: &Path, calls: &str) -> usize {
    let (data, log) = (data_dir(), tempfile::NamedTempFile::new().expect("a file"));
    copy(prepared, data.path());
    let server = Traced::start(data.path(), log.path(), calls, None);
    let answers = script(&server);
    assert_eq!(answers.kept.len(), messages(), "nothing fails yet");
    server.end();
    busiest(&fs::read_to_string(log.path()).expect("a log"))
}

/// How many calls the thread that made the most made, by strace's log.
fn busiest(log: &str) -> usize {
    let mut threads = std::collections::BTreeMap::<&str, usize>::new();
    // "???(" is where a thread was when strace left it: not one of these calls.
    let is_call = |line: &&str| line.contains('(') && !line.contains("resumed>") && !line.contains("???(");
    for line in log.lines().filter(is_call) {
        *threads.entry(line.split(' ').next().unwrap_or_default()).or_default() += 1;
    }
    threads.into_values().max().unwrap_or(0)
}

/// The points at which a call is made to fail.
fn points(count: usize) -> Vec<usize> {
    if is_full_sweep() {
        return (1..=count).collect();
    }
    let mut points = vec![1, count / 2, count];
    points.retain(|point| *point > 0);
    points.dedup();
    points
}

/// One group of calls; returns at how many points they were made to fail.
fn sweep(calls: &str, faults: &[&str]) -> usize {
    let prepared = prepared();
    let count = count(prepared.path(), calls);
    let mut done = 0;
    for (fault, point) in faults.iter().flat_map(|fault| points(count).into_iter().map(move |point| (*fault, point))) {
        let (data, log) = (data_dir(), tempfile::NamedTempFile::new().expect("a file"));
        copy(prepared.path(), data.path());
        let server = Traced::start(data.path(), log.path(), calls, Some((fault, point)));
        let answers = script(&server);
        let (was_killed, said) = server.end();
        let trace = fs::read_to_string(log.path()).expect("a log");
        let struck = was_killed || trace.contains("(INJECTED)");
        // How proposals gather, and so how many calls there are, differs from run to run; where it did not strike there were fewer.
        assert!(struck || busiest(&trace) < point, "{calls}:{fault}:{point} did not strike: {trace}");
        let stored = stored(data.path());
        let what = format!("{calls}:{fault}:when={point}: {answers:?}, stored {stored:?}; it said: {said}");
        assert!(answers.kept.is_subset(&stored), "lost what was OK: {what}");
        assert!(answers.refused.is_disjoint(&stored), "kept what was refused: {what}");
        // Whoever was not answered has learnt why, or it was killed.
        let unanswered = messages() - answers.kept.len() - answers.refused.len();
        assert!(unanswered == 0 || fault == "signal=KILL" || said.contains("linechat: "), "it ended without a word: {what}");
        done += usize::from(struck);
    }
    eprintln!("{calls}: {count} calls, {done} faults, nothing lost");
    done
}

#[test]
fn a_sync_that_fails_loses_nothing_that_was_answered() {
    assert!(!may_trace() || sweep(CALLS[0].0, CALLS[0].1) > 0);
}

#[test]
fn a_write_that_fails_loses_nothing_that_was_answered() {
    assert!(!may_trace() || sweep(CALLS[1].0, CALLS[1].1) > 0);
}

#[test]
fn a_file_that_cannot_be_opened_loses_nothing_that_was_answered() {
    assert!(!may_trace() || sweep(CALLS[2].0, CALLS[2].1) > 0);
}

/// The store seldom renames, removes or cuts a file; where it does not, there is nothing to fail.
#[test]
fn a_file_that_cannot_be_removed_or_cut_loses_nothing_that_was_answered() {
    if may_trace() {
        for (calls, faults) in &CALLS[3..] {
            sweep(calls, faults);
        }
    }
}
