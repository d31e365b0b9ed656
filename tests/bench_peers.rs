//! `scripts/bench-peers` tells what was measured: its report and plots are made anew from its measurements, without measuring. And
//! its loads understand the peers whose answers are more than lines.

#[path = "bench/peers/jetstream.rs"]
mod jetstream;
#[path = "bench/peers/nats.rs"]
mod nats;
#[path = "bench/peers/stream_readers.rs"]
mod stream_readers;
#[path = "bench/peers/streams.rs"]
mod streams;
#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jetstream::JetStream;
use linechat::bench::dialect::{Dialect, Seen};
use serde_json::{Value, json};
use stream_readers::StreamReaders;
use support::clients::is_installed;
use tempfile::TempDir;

/// The largest plot that a page should have to load.
const PLOT_BYTES: usize = 40 * 1024;
/// Pixels by which what another version of matplotlib draws may differ: legends are laid out by its measure of the font.
const PIXELS: f64 = 1.0;

/// What draws the plots is there.
fn draws() -> bool {
    is_installed("/usr/lib/python3/dist-packages/matplotlib/__init__.py", "python3-matplotlib")
}

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

/// The texts of a plot, in their order.
fn texts(svg: &str) -> Vec<&str> {
    svg.split("<text ").skip(1).filter_map(|text| text.split_once('>')?.1.split("</text>").next()).collect()
}

/// The numbers of the shapes of a plot, in their order.
fn shapes(svg: &str) -> Vec<f64> {
    let paths = svg.split(" d=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let marks = svg.split("<use ").skip(1).filter_map(|rest| rest.split('>').next());
    let words = paths.chain(marks).flat_map(|part| part.split([' ', '\n', '"']));
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Whether two plots show the same. Of one version of matplotlib they are the same to the byte.
fn is_same(shown: &str, made: &str) -> bool {
    let version = |svg: &str| svg.lines().find(|line| line.contains("Matplotlib v")).map(ToOwned::to_owned);
    if version(shown) == version(made) {
        return shown == made;
    }
    let (old, new) = (shapes(shown), shapes(made));
    texts(shown) == texts(made) && old.len() == new.len() && old.iter().zip(&new).all(|(old, new)| (old - new).abs() <= PIXELS)
}

#[test]
fn what_is_shown_is_what_was_measured() {
    if !draws() {
        return;
    }
    let results = root().join("tests/bench/results");
    let made = redrawn(&read(&results.join("peers.json")));
    let (shown, made) = (files(&results), files(made.path()).into_iter().map(|path| (path.clone(), read(&path))));
    let made: Vec<_> = made.collect();
    let names = |paths: Vec<&PathBuf>| paths.iter().map(|path| path.file_name().map(ToOwned::to_owned)).collect::<Vec<_>>();
    assert_eq!(names(shown.iter().collect()), names(made.iter().map(|(path, _)| path).collect()));
    for (shown, (_, made)) in shown.iter().zip(&made) {
        let is_plot = shown.extension().is_some_and(|extension| extension == "svg");
        let same = if is_plot { is_same(&read(shown), made) } else { read(shown) == *made };
        assert!(same, "{} is not what scripts/bench-peers --redraw makes", shown.display());
    }
}

#[test]
fn each_plot_is_for_light_pages_and_for_dark_ones() {
    let results = root().join("tests/bench/results");
    let report = read(&results.join("peers.md"));
    let plots: Vec<_> = files(&results).iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    for name in plots.iter().filter(|name| *name != "peers" && !name.ends_with("-dark")) {
        let (light, dark) = (read(&results.join(format!("{name}.svg"))), read(&results.join(format!("{name}-dark.svg"))));
        assert!(light.contains("#ffffff") && !dark.contains("#ffffff"), "{name}");
        assert_eq!((texts(&light), shapes(&light)), (texts(&dark), shapes(&dark)), "{name}");
        let names = texts(&light);
        assert!(names.iter().any(|text| text.starts_with("linechat, ")), "{name} says who is who: {names:?}");
        assert!(!names.iter().any(|text| ["memory", "disk", "floor"].contains(text)), "{name} has whole names: {names:?}");
        assert!(light.len() < PLOT_BYTES, "{name}: {} bytes", light.len());
        let source = format!("<picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"{name}-dark.svg\">");
        assert!(report.contains(&format!("{source}<img src=\"{name}.svg\" alt=\"")), "{name}");
    }
}

#[test]
fn where_others_are_faster_is_shown() {
    if !draws() {
        return;
    }
    let pairs =
        work(&[("memory", [Some(4e5), Some(4e5)]), ("disk", [Some(2e5), Some(2e5)]), ("inspircd", [Some(3e5), Some(3e5)])]);
    let folder = redrawn(&json!({ "pairs": pairs }).to_string());
    let slower = read(&folder.path().join("slower.svg"));
    let rows = ["linechat, memory", "400 k", "InspIRCd", "300 k", "linechat, disk", "200 k"];
    let found: Vec<_> = texts(&slower).into_iter().filter(|text| rows.contains(text)).collect();
    assert_eq!(found, rows, "the fastest first, whoever it is");
}

/// One work, two rounds: each server reached these deliveries a second, or failed.
fn work(reached: &[(&str, [Option<f64>; 2])]) -> Value {
    let run = |server: &str, round: usize, deliveries: Option<f64>| match deliveries {
        Some(deliveries) => {
            let measured = json!({
                "deliveries_a_second_per_s": deliveries,
                "messages_a_second_per_s": deliveries,
                "processor_per_delivery_us": 1e6 / deliveries,
            });
            json!({ "server": server, "round": round, "measured": measured })
        }
        None => json!({ "server": server, "round": round, "failed": "it fell over" }),
    };
    let runs: Vec<_> =
        (0..2).flat_map(|round| reached.iter().map(move |(server, reached)| run(server, round, reached[round]))).collect();
    let versions = json!({ "linechat": "abc", "Redis": "7" });
    let machine = "A machine, 2 cores";
    json!({ "date": "2026-01-31", "machine": machine, "versions": versions, "rounds": 2, "seconds": 3.0, "runs": runs })
}

/// A channel of 100, where linechat reached these deliveries a second, and the peer these or failed.
fn channel(ours: [f64; 2], peer: [Option<f64>; 2]) -> Value {
    work(&[("memory", ours.map(Some)), ("redis", peer)])
}

#[test]
fn medians_ratios_and_failures_are_told() {
    if !draws() {
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

#[test]
fn two_cores_and_readers_of_what_is_on_the_disk_are_judged() {
    if !draws() {
        return;
    }
    let two_cores = work(&[
        ("memory", [Some(2e5), Some(1e5)]),
        ("memory-two", [Some(1e5), Some(1e5)]),
        ("disk", [Some(1e5), Some(1e5)]),
        ("disk-two", [None, None]),
    ]);
    let durable = |peer| work(&[("disk", [Some(8e5), Some(4e5)]), (peer, [Some(2e5), Some(2e5)])]);
    let works = json!({
        "durable-pairs": durable("stream-readers"),
        "durable-channel": durable("jetstream"),
        "two-cores": two_cores,
    });
    let folder = redrawn(&works.to_string());
    let report = read(&folder.path().join("peers.md"));
    for part in [
        "| CPU per delivery, memory: on two cores at most 1.15 x one core | 1.50 x linechat, memory (1.00 to 2.00) | **no** |",
        "| CPU per delivery, disk: on two cores at most 1.15 x one core | failed | **no** |",
        "| messages a second, disk: at least 1.5 x Redis Streams | 3.00 x Redis Streams (2.00 to 4.00) | yes |",
        "| deliveries a second, disk: at least 3 x Redis Streams | not measured | ? |",
        "| deliveries a second, disk: at least 3 x JetStream | 3.00 x NATS JetStream (2.00 to 4.00) | yes |",
        "Again: `scripts/bench-peers --work durable-channel --rounds 2 --seconds 3`.",
    ] {
        assert!(report.contains(part), "{part}\n{report}");
    }
    for plot in ["durable-pairs.svg", "durable-channel.svg", "two-cores.svg"] {
        assert!(folder.path().join(plot).exists(), "{plot}");
    }
}

/// What `show` shows of a frame, in words.
fn shown(dialect: &impl Dialect, frame: &[u8]) -> Vec<String> {
    let mut shown = Vec::new();
    dialect.show(frame, &mut |seen| {
        shown.push(match seen {
            Seen::Message(text) => String::from_utf8_lossy(text).trim_end().to_owned(),
            Seen::Demand(answer) => String::from_utf8_lossy(&answer).replace("\r\n", " "),
            other => format!("{other:?}"),
        });
    });
    shown
}

#[test]
fn a_reader_of_a_stream_goes_on_where_it_was() {
    let readers = StreamReaders { senders: 2 };
    let wait = |id: &str| format!("*6 $5 XREAD $5 BLOCK $1 0 $7 STREAMS $2 b3 ${} {id} ", id.len());
    let entering = |me| String::from_utf8(readers.enter(me, None)).expect("it is text").replace("\r\n", " ");
    assert_eq!((entering(1), entering(3)), ("PING ".to_owned(), format!("PING {}", wait("0"))));

    let message =
        |id: &str, text: &str| format!("*2\r\n${}\r\n{id}\r\n*2\r\n$1\r\nm\r\n${}\r\n{text}\r\n", id.len(), text.len());
    let answer = format!("*1\r\n*2\r\n$2\r\nb3\r\n*2\r\n{}{}", message("17-0", "b1.0.x"), message("17-12", "b1.1.x"));
    for cut in 1..answer.len() {
        assert_eq!(readers.frame(&answer.as_bytes()[..cut]), None, "{cut}");
    }
    let more = [answer.as_bytes(), b"*1\r\n"].concat();
    assert_eq!(readers.frame(&more), Some(answer.len()));
    assert_eq!(shown(&readers, answer.as_bytes()), ["b1.0.x", "b1.1.x", &wait("17-12")]);
    assert_eq!(shown(&readers, b"$4\r\n17-0\r\n"), ["Accepted"]);
}

#[test]
fn an_answer_of_jetstream_is_known() {
    for (line, seen) in [
        ("{\"stream\":\"bench\", \"seq\":7}\r\n", "Accepted"),
        ("{\"type\":\"io.nats.jetstream.api.v1.consumer_create_response\",\"name\":\"x\"}\r\n", "Entered"),
        ("MSG to.3 1 $JS.ACK.bench.x.1.7.7.1.0 6\r\n", "Other"),
        ("b1.0.x\r\n", "b1.0.x"),
        ("PING\r\n", "PONG "),
    ] {
        assert_eq!(shown(&JetStream, line.as_bytes()), [seen], "{line}");
    }
    let refused = "{\"error\":{\"code\":503},\"stream\":\"bench\",\"seq\":0}\r\n";
    assert!(shown(&JetStream, refused.as_bytes())[0].starts_with("Refused"));
}
