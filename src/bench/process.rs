//! What a server uses: processor time and memory, as Linux counts them.
//!
//! It owns nothing, and must never measure another process than those it was given.

use std::fs;

use anyhow::{Context, Result};

/// Clock ticks a second in `/proc/PID/stat`: 100 on every Linux that this runs on (proc(5), `USER_HZ`).
const TICKS: f64 = 100.0;

/// Processes that are watched together; none, and nothing is known.
#[derive(Debug, Clone, Default)]
pub struct Processes(pub Vec<u32>);

/// What they have used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Seconds of processor time, its own and the system's for it.
    pub cpu_seconds: f64,
    /// Resident memory in KiB.
    pub rss_kib: u64,
}

impl Processes {
    /// What they have used until now, together.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn usage(&self) -> Result<Option<Usage>> {
        let used = self.0.iter().map(|pid| Usage::of(*pid)).collect::<Result<Vec<_>>>()?;
        let both = |one: Usage, other: Usage| Usage {
            cpu_seconds: one.cpu_seconds + other.cpu_seconds,
            rss_kib: one.rss_kib + other.rss_kib,
        };
        Ok(used.into_iter().reduce(both))
    }
}

impl Usage {
    fn of(pid: u32) -> Result<Self> {
        let gone = || format!("there is no process {pid}");
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(gone)?;
        // The name may hold spaces; it ends with the last parenthesis. Fields 14 and 15 are user and system time.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).with_context(gone);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(gone)?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(|rest| rest.split_whitespace().next());
        let rss_kib = rss.and_then(|rss| rss.parse().ok()).with_context(gone)?;
        Ok(Self { cpu_seconds: (ticks(11)? + ticks(12)?) / TICKS, rss_kib })
    }

    /// The processor time since `before`, and the memory now.
    pub fn since(&self, before: &Self) -> Self {
        Self { cpu_seconds: self.cpu_seconds - before.cpu_seconds, rss_kib: self.rss_kib }
    }
}
