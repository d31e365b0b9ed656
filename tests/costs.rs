//! What steps of the server cost in instructions and allocations, held against the record in `tests/bench/results/costs.txt`.
//!
//! `tests/bench/steps.rs` takes the steps and callgrind counts them: no clock is looked at, and a busy machine counts the same.
//! Tests have a tokio whose clock can be stopped (`test-util`), and a release has not: 4 % of `direct` and `append` and 3 % of
//! `connect` are that clock's.
//! After a change that was meant, `LINECHAT_RECORD=1 cargo test --test costs` writes the record anew.

mod support;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::clients::{find, is_installed};

const RECORD: &str = "tests/bench/results/costs.txt";
const UPDATE: &str = "LINECHAT_RECORD=1 cargo test --test costs";
/// Each step, and what one of it is.
const STEPS: [(&str, &str); 7] = [
    ("parse", "a line of MSG, from its bytes to the command"),
    ("deliver", "a line of a channel, copied to one of its 50 readers; the reader and a 50th of the SAY are in it"),
    ("deliver-json", "the same to a reader who has asked for JSON"),
    ("direct", "a message to a user who is online, and its OK; both clients are in it"),
    ("connect", "a connection, until it is greeted, and its end; the client is in it"),
    (
        "append",
        "a message from its proposal through order, decision and a store in memory, alone in its batch, to its completion",
    ),
    ("append-disk", "the same with a store on a disk"),
];
/// How often a step is taken in the two runs: what lies between them is counted. Each holds whole batches of every step.
const COUNTS: [u64; 2] = [500, 1500];
/// Percent that instructions may differ. The same program counts the same within 0.1, or 2 where the disk's thread takes turns
/// with its caller; what is left is for code that moves.
const INSTRUCTIONS: f64 = 5.0;
/// The same where other tools than the record's have made the program: other code, which is no change of ours.
const INSTRUCTIONS_ELSEWHERE: f64 = 20.0;
/// What allocations may differ: one that happens once for all 50 readers of a line is 0.02.
const ALLOCATIONS: f64 = 0.01;

/// What a line as JSON may cost more than the line as it is.
const JSON_TIMES: f64 = 2.0;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Cost {
    instructions: f64,
    allocations: f64,
}

/// Builds `steps`, and says where it is.
fn program() -> PathBuf {
    let build = ["build", "--locked", "--profile", "costs", "--bench", "steps", "--message-format", "json-render-diagnostics"];
    let output = Command::new(env!("CARGO")).args(build).stderr(Stdio::inherit()).output().expect("cargo runs");
    assert!(output.status.success(), "steps is not built");
    let messages = String::from_utf8(output.stdout).expect("JSON is text");
    let messages = messages.lines().map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
    let path = messages
        .filter(|message| message["target"]["name"] == "steps")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    path.expect("cargo says where it is")
}

/// Instructions and allocations of a whole run.
fn run(program: &Path, step: &str, count: u64) -> [u64; 2] {
    // An empty environment: it lies on the stack, and would move what is aligned there.
    let output = Command::new(find("valgrind").expect("it is installed"))
        .env_clear()
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([step, &count.to_string()])
        .output()
        .expect("valgrind runs");
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{step}: {said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")).expect("callgrind says what it counted").1;
    [collected, &*printed].map(|number| number.trim().parse().expect("a number"))
}

fn measure(program: &Path, step: &str) -> Cost {
    let [few, many] = COUNTS.map(|count| run(program, step, count));
    let of_one = |at: usize| (many[at] as f64 - few[at] as f64) / (COUNTS[1] - COUNTS[0]) as f64;
    Cost { instructions: of_one(0), allocations: of_one(1) }
}

/// What the program is made of beside our source, with versions.
fn tools() -> String {
    let version = |tool: &str| {
        let output = Command::new(tool).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&output).into_owned();
        let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
        digits.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect::<String>()
    };
    let [rustc, cc, libc, valgrind] = ["rustc", "cc", "ldd", "valgrind"].map(version);
    format!("rustc {rustc}, cc {cc}, libc {libc}, valgrind {valgrind}, {}", std::env::consts::ARCH)
}

fn record(tools: &str, costs: &[Cost]) -> String {
    let mut text = format!(
        "# What one step costs. tests/costs.rs fails where instructions differ by more than {INSTRUCTIONS} %, or allocations by\n\
        # more than {ALLOCATIONS}. After a change that was meant, dearer or cheaper: {UPDATE}\n\
        # Made with: {tools}\n\
        # step        instructions  allocations\n"
    );
    for ((step, what), Cost { instructions, allocations }) in STEPS.iter().zip(costs) {
        writeln!(text, "{step:13} {instructions:12.0} {allocations:12.3}  {what}").expect("memory takes it");
    }
    text
}

/// The cost of a step in the record.
fn recorded(record: &str, step: &str) -> Option<Cost> {
    let mut words = record.lines().map(str::split_whitespace).find_map(|mut words| (words.next()? == step).then_some(words))?;
    let mut number = || words.next()?.parse().ok();
    Some(Cost { instructions: number()?, allocations: number()? })
}

/// How a step's cost differs from the record's by more than it may.
fn difference(step: &str, was: Option<Cost>, now: Cost, percent: f64) -> Option<String> {
    let Some(was) = was else { return Some(format!("{step} is not in the record")) };
    let more = 100.0 * (now.instructions / was.instructions - 1.0);
    let fewer_or_more = now.allocations - was.allocations;
    if more.abs() <= percent && fewer_or_more.abs() <= ALLOCATIONS {
        return None;
    }
    let praise = if more <= percent && fewer_or_more <= ALLOCATIONS { "; cheaper, well done" } else { "" };
    Some(format!(
        "{step}: {:.0} instructions, in the record {:.0} ({more:+.1} %); {:.3} allocations, in the record {:.3}{praise}",
        now.instructions, was.instructions, now.allocations, was.allocations
    ))
}

#[test]
fn steps_cost_what_is_recorded() {
    if !is_installed("valgrind", "valgrind") {
        return;
    }
    let (program, tools) = (program(), tools());
    let costs = STEPS.map(|(step, _)| measure(&program, step));
    let [text, json] = ["deliver", "deliver-json"].map(|wanted| STEPS.iter().position(|(step, _)| *step == wanted));
    let [text, json] = [text, json].map(|at| costs[at.expect("it is a step")].instructions);
    assert!(json <= JSON_TIMES * text, "a line as JSON costs {json:.0} instructions, and as it is {text:.0}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORD);
    let today = record(&tools, &costs);
    if std::env::var_os("LINECHAT_RECORD").is_some() {
        std::fs::write(&file, &today).expect("the record can be written");
    }
    println!("{today}");
    let record = std::fs::read_to_string(&file).unwrap_or_default();
    let percent = if record.contains(&tools) { INSTRUCTIONS } else { INSTRUCTIONS_ELSEWHERE };
    if percent > INSTRUCTIONS {
        eprintln!("the record was made with other tools than {tools}: instructions may differ by {percent} %");
    }
    let differences =
        STEPS.iter().zip(costs).filter_map(|((step, _), now)| difference(step, recorded(&record, step), now, percent));
    let differences: Vec<_> = differences.collect();
    assert!(
        differences.is_empty(),
        "\n{}\nWhere that was meant: {UPDATE}\nTo see where: valgrind --tool=callgrind {} STEP 1000, then callgrind_annotate\n",
        differences.join("\n"),
        program.display()
    );
}

#[test]
fn a_difference_is_told_with_both_numbers() {
    let cost = |instructions, allocations| Cost { instructions, allocations };
    let was = recorded("# step\nparse 1000 2.000 a line\ndirect 1 1.0\n", "parse");
    assert_eq!(was, Some(cost(1000.0, 2.0)));
    assert_eq!(difference("parse", was, cost(1049.0, 2.005), INSTRUCTIONS), None);
    let told = |now| difference("parse", was, now, INSTRUCTIONS).expect("it differs");
    let dearer = "parse: 1051 instructions, in the record 1000 (+5.1 %); 2.000 allocations, in the record 2.000";
    assert_eq!(told(cost(1051.0, 2.0)), dearer);
    let cheaper =
        "parse: 900 instructions, in the record 1000 (-10.0 %); 2.000 allocations, in the record 2.000; cheaper, well done";
    assert_eq!(told(cost(900.0, 2.0)), cheaper);
    assert_eq!(difference("append", None, cost(1.0, 1.0), INSTRUCTIONS).as_deref(), Some("append is not in the record"));
}
