//! The care of a store: a backup is all that was said OK to, what is restored or imported is what it was, what is damaged is said, and
//! whoever is killed has changed nothing or everything.

mod support;

#[path = "care/backups.rs"]
mod backups;
#[path = "care/cut.rs"]
mod cut;
#[path = "care/damaged.rs"]
mod damaged;
#[path = "care/facts.rs"]
mod facts;
#[path = "care/fixtures.rs"]
mod fixtures;
#[path = "care/kills.rs"]
mod kills;
#[path = "care/large.rs"]
mod large;
#[path = "care/moved.rs"]
mod moved;
#[path = "care/owners.rs"]
mod owners;
#[path = "care/refused.rs"]
mod refused;
#[path = "support/store.rs"]
mod store;
#[path = "care/torn.rs"]
mod torn;

use std::path::Path;
use std::process::{Command, Output};

use support::client::Client;
use support::server::{PATIENCE, Server};

/// A password of everybody.
pub const PASSWORD: &str = "correct horse battery";

/// What `linechat` with these arguments is: bounded, and without anything of the environment.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args([&PATIENCE.as_secs().to_string(), env!("CARGO_BIN_EXE_linechat")]).args(arguments);
    command.env_remove("RUST_LOG").env_remove("STATE_DIRECTORY");
    command
}

/// How a run ended: its exit code, and what it said.
pub fn run(arguments: &[&str]) -> (Option<i32>, String) {
    ended(command(arguments).output().expect("it runs"))
}

/// The same, of one that was run.
pub fn ended(output: Output) -> (Option<i32>, String) {
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// Runs what must succeed; what it says.
pub fn done(arguments: &[&str]) -> String {
    let (code, said) = run(arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {said}");
    said
}

/// Runs what must be refused; what it says.
pub fn refused(arguments: &[&str]) -> String {
    let (code, said) = run(arguments);
    assert_eq!(code, Some(1), "{arguments:?}: {said}");
    said
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("it is UTF-8")
}

/// Ends a server as its operator does.
pub fn stop(server: &mut Server) {
    server.signal("TERM");
    server.wait();
}

/// A connection of this account.
pub fn log_in(server: &Server, name: &str) -> Client {
    let mut client = server.connect();
    client.ok(&format!("LOGIN {name} {PASSWORD}"));
    client
}

/// The files in a directory, by name.
pub fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort_unstable();
    names
}
