//! What a server uses: processor time and memory, as Linux counts them.

use std::fs;

use anyhow::{Context, Result};

/// Clock ticks a second in `/proc/PID/stat`: 100 on every Linux that this runs on (proc(5), `USER_HZ`).
const TICKS: f64 = 100.0;

/// A process that is watched.
#[derive(Debug, Clone, Copy)]
pub struct Process(pub u32);

/// What it has used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Seconds of processor time, its own and the system's for it.
    pub cpu_seconds: f64,
    /// Resident memory in KiB.
    pub rss_kib: u64,
}

impl Process {
    /// What it has used until now.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn usage(self) -> Result<Usage> {
        let gone = || format!("there is no process {}", self.0);
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).with_context(gone)?;
        // The name may hold spaces; it ends with the last parenthesis. Fields 14 and 15 are user and system time.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).with_context(gone);
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).with_context(gone)?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(|rest| rest.split_whitespace().next());
        let rss_kib = rss.and_then(|rss| rss.parse().ok()).with_context(gone)?;
        Ok(Usage { cpu_seconds: (ticks(11)? + ticks(12)?) / TICKS, rss_kib })
    }
}

impl Usage {
    /// The processor time since `before`, and the memory now.
    pub fn since(&self, before: &Self) -> Self {
        Self { cpu_seconds: self.cpu_seconds - before.cpu_seconds, rss_kib: self.rss_kib }
    }
}
