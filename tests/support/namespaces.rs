//! Network namespaces, each a machine for a test. It owns their names: whatever a run leaves behind that was killed, the next one
//! takes away.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// What the names of all runs begin with; the process's number, the call's and the machine follow.
const PREFIX: &str = "linechat-test-";

/// Runs `ip`; what it complains of is shown.
pub fn ip(arguments: &str) -> bool {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("ip runs");
    if !output.status.success() {
        eprintln!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    output.status.success()
}

/// Some machines. They are taken away when it is dropped, with all that is between them.
pub struct Namespaces {
    /// What their names begin with, which is no other's.
    prefix: String,
    machines: Vec<String>,
}

impl Namespaces {
    /// Machines of these names that are connected to nothing; `None` where the system does not allow it, which is said.
    pub fn add<'a>(machines: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        sweep();
        let prefix = format!("{PREFIX}{}-{}", std::process::id(), CALLS.fetch_add(1, Ordering::Relaxed));
        let mut all = Self { prefix, machines: Vec::new() };
        for machine in machines {
            if !ip(&format!("netns add {}", all.of(machine))) {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "network namespaces need root");
                eprintln!("SKIPPED: network namespaces need root");
                return None;
            }
            all.machines.push(machine.to_owned());
            assert!(all.ip(machine, "link set lo up"));
        }
        Some(all)
    }

    /// The name of a machine's namespace.
    pub fn of(&self, machine: &str) -> String {
        format!("{}-{machine}", self.prefix)
    }

    /// Runs `ip` on a machine.
    pub fn ip(&self, machine: &str, arguments: &str) -> bool {
        ip(&format!("-n {} {arguments}", self.of(machine)))
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for machine in &self.machines {
            let _ = Command::new("ip").args(["netns", "del", &self.of(machine)]).output();
        }
    }
}

/// Takes away what runs have left that were killed.
fn sweep() {
    let list = Command::new("ip").args(["netns", "list"]).output().expect("ip runs").stdout;
    for name in String::from_utf8_lossy(&list).lines().filter_map(|line| line.split(' ').next()) {
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            ip(&format!("netns del {name}"));
        }
    }
}
