//! What the system says of this process, in `/proc`. It owns nothing, and must never fail: what the system does not say is not shown.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};

/// What is known of the process, by the names that Prometheus has for it.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Process {
    pub resident_bytes: Option<u64>,
    pub open_fds: Option<u64>,
    pub max_fds: Option<u64>,
    pub cpu_seconds: Option<f64>,
    /// Since 1970.
    pub start_seconds: Option<f64>,
}

impl Process {
    /// Asks the system. It reads files that are in memory.
    pub fn look() -> Self {
        let read = |path: &str| fs::read_to_string(path).ok();
        let (stat, statm) = (read("/proc/self/stat"), read("/proc/self/statm"));
        // Behind the name of the process, which may hold anything.
        let fields: Vec<_> =
            stat.iter().flat_map(|stat| stat.rsplit(')').next().unwrap_or_default().split_whitespace()).collect();
        // proc(5) counts from 1, and the name is the second.
        let seconds = |number: usize| Some(fields.get(number - 3)?.parse::<f64>().ok()? / clock_ticks_per_second() as f64);
        let booted = || -> Option<f64> {
            let system = read("/proc/stat")?;
            system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
        };
        Self {
            resident_bytes: statm.and_then(|statm| Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * page_size() as u64)),
            open_fds: open_fds(),
            max_fds: rlimit::Resource::NOFILE.get_soft().ok(),
            cpu_seconds: seconds(14).zip(seconds(15)).map(|(user, system)| user + system),
            start_seconds: booted().zip(seconds(22)).map(|(booted, after)| booted + after),
        }
    }
}

/// Newer systems (Linux 6.2) say it at once; where they do not, the descriptors are counted.
fn open_fds() -> Option<u64> {
    match fs::metadata("/proc/self/fd").ok()?.len() {
        0 => Some(fs::read_dir("/proc/self/fd").ok()?.count() as u64),
        count => Some(count),
    }
}

#[cfg(test)]
mod tests {
    use super::Process;
    use crate::clock::Clock;

    #[test]
    fn the_system_knows_this_process() {
        let process = Process::look();
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 1 << 20), "{process:?}");
        assert!(process.open_fds.zip(process.max_fds).is_some_and(|(open, most)| open >= 3 && open <= most), "{process:?}");
        assert!(process.cpu_seconds.is_some_and(|seconds| (0.0..3600.0).contains(&seconds)), "{process:?}");
        let now = Clock::System.time().0 as f64 / 1000.0;
        assert!(process.start_seconds.is_some_and(|start| (now - 86_400.0..now + 5.0).contains(&start)), "{process:?}");
    }
}
