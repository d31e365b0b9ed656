//! `scripts/bench-peers` tells what was measured: its report and plots are made anew from its measurements, without measuring.

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::clients::is_installed;
use tempfile::TempDir;

/// The largest plot that a page should have to load.
const PLOT_BYTES: usize = 40 * 1024;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What the script makes of these measurements.
fn redrawn(measurements: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary directory");
    fs::write(folder.path().join("peers.json"), measurements).expect("the measurements can be written");
    let mut command = Command::new(root().join("scripts/bench-peers"));
    let output = command.args(["--redraw", "--results"]).arg(folder.path()).output().expect("the script runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

/// What scripts/bench-peers makes of measurements.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the folder can be read")
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.ends_with("peers.md") || path.extension().is_some_and(|extension| extension == "svg"))
        .collect();
    files.sort();
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn what_is_shown_is_what_was_measured() {
    if !is_installed("python3", "python3") {
        return;
    }
    let results = root().join("tests/bench/results");
    let made = redrawn(&read(&results.join("peers.json")));
    let (shown, made) = (files(&results), files(made.path()).into_iter().map(|path| (path.clone(), read(&path))));
    let made: Vec<_> = made.collect();
    let names = |paths: Vec<&PathBuf>| paths.iter().map(|path| path.file_name().map(ToOwned::to_owned)).collect::<Vec<_>>();
    assert_eq!(names(shown.iter().collect()), names(made.iter().map(|(path, _)| path).collect()));
    for (shown, (_, made)) in shown.iter().zip(&made) {
        assert!(read(shown) == *made, "{} is not what scripts/bench-peers --redraw makes", shown.display());
        if shown.extension().is_some_and(|extension| extension == "svg") {
            assert!(made.contains("<text ") && made.len() < PLOT_BYTES, "{}: {} bytes", shown.display(), made.len());
        }
    }
}

/// One work, two rounds: linechat reached these deliveries a second, the peer these or failed.
fn channel(ours: [f64; 2], peer: [Option<f64>; 2]) -> Value {
    let run = |server: &str, round: usize, deliveries: Option<f64>| match deliveries {
        Some(deliveries) => {
            let measured = json!({ "deliveries_a_second_per_s": deliveries, "processor_per_delivery_us": 1e6 / deliveries });
            json!({ "server": server, "round": round, "measured": measured })
        }
        None => json!({ "server": server, "round": round, "failed": "it fell over" }),
    };
    let runs: Vec<_> =
        (0..2).flat_map(|round| [run("memory", round, Some(ours[round])), run("redis", round, peer[round])]).collect();
    let versions = json!({ "linechat": "abc", "Redis": "7" });
    let machine = "A machine, 2 cores";
    json!({ "date": "2026-01-31", "machine": machine, "versions": versions, "rounds": 2, "seconds": 3.0, "runs": runs })
}

#[test]
fn medians_ratios_and_failures_are_told() {
    if !is_installed("python3", "python3") {
        return;
    }
    let report = |work: Value| {
        let folder = redrawn(&json!({ "channel-100": work }).to_string());
        (read(&folder.path().join("peers.md")), read(&folder.path().join("channel-100.svg")))
    };
    let (met, plot) = report(channel([2e6, 4e6], [Some(1e6), Some(1e6)]));
    for part in [
        "| deliveries a second, memory: at least 2 x Redis | 3.00 x Redis (2.00 to 4.00) | yes |",
        "| CPU per delivery, memory: at most half of Redis | 0.38 x Redis (0.25 to 0.50) | yes |",
        "| deliveries a second, disk: at least 1.5 x Redis | not measured | ? |",
        "| **linechat, memory** | 3.00 M (2.00 M to 4.00 M) |",
        "| Redis | 1.00 M | 1.00 µs | - | - | 3.00 x the deliveries, 0.38 x the CPU |",
        "2026-01-31, 2 rounds of 3 s, on A machine, 2 cores. linechat abc, Redis 7.",
    ] {
        assert!(met.contains(part), "{part}\n{met}");
    }
    assert!(plot.contains("3.00 M") && !plot.contains("Redis failed,"), "{plot}");

    let (missed, _) = report(channel([2e6, 4e6], [Some(2e6), None]));
    // Of the round that both have.
    for part in ["| 1.00 x Redis | **no** |", "- Redis failed in 1 of 2 rounds: it fell over"] {
        assert!(missed.contains(part), "{part}\n{missed}");
    }
    let (drifted, _) = report(channel([2e6, 4e6], [Some(1e6), Some(4e6)]));
    let ratio = "| 1.50 x Redis (1.00 to 2.00) | **no** |";
    assert!(drifted.contains(ratio), "a machine that became faster between the rounds makes no ratio of 1.2\n{drifted}");
    let (none, plot) = report(channel([2e6, 4e6], [None, None]));
    assert!(none.contains("at least 2 x Redis | not measured | ? |") && plot.contains(">failed<"), "{none}");
}
