//! README, and the pages that it leads to, say what is: conversations are had, commands are run, tables are the code's.

#[path = "readme/operating.rs"]
mod operating;
mod support;

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use linechat::code::Retry;
use linechat::wire::Code;
use linechat::wire::verbs::VERBS;
use support::client::Client;
use support::clients::{self, BASH_PIPE, CLIENTS, CtrlC, Names, at};
use support::conversation::{Planned, hold};
use support::proxy::Proxy;
use support::server::Server;
use support::transcript::chats;
use tempfile::TempDir;

const README: Page = Page("README.md", include_str!("../README.md"));
const OPERATING: Page = Page("scripts/package/OPERATING.md", include_str!("../scripts/package/OPERATING.md"));
const CLUSTER: Page = Page("scripts/package/CLUSTER.md", include_str!("../scripts/package/CLUSTER.md"));
const SECURITY: Page = Page("scripts/package/SECURITY.md", include_str!("../scripts/package/SECURITY.md"));
const OWN_CLIENTS: Page = Page("grammar/CLIENTS.md", include_str!("../grammar/CLIENTS.md"));
const COMMANDS: Page = Page("grammar/COMMANDS.md", include_str!("../grammar/COMMANDS.md"));
const TESTS: Page = Page("tests/TESTS.md", include_str!("TESTS.md"));
const PAGES: [Page; 7] = [README, OPERATING, CLUSTER, SECURITY, OWN_CLIENTS, COMMANDS, TESTS];
/// Lines of README: a stranger reads it to its end.
const README_LINES: usize = 200;
const CARGO: &str = include_str!("../Cargo.toml");
/// The measurements that README's plots show.
const MEASURED: &str = include_str!("bench/results/peers.json");
const REPORT: &str = include_str!("bench/results/peers.md");
/// What README says of where others are faster, and how the report has it.
const FASTER: [(&str, &str); 5] = [
    ("after 493 µs", "| **linechat, disk** | 493 µs ("),
    ("after 263 µs from Redis", "| Redis | 263 µs ("),
    ("0.77 times the messages of InspIRCd", "| 0.77 x InspIRCd ("),
    ("0.91 times those of Redis Streams", "| 0.91 x Redis Streams ("),
    ("228 ms for the slowest (190 ms in Redis)", "| Redis | 170 ms (157 ms to 232 ms) | 190 ms ("),
];
/// A page, by its path, and what it says.
#[derive(Clone, Copy)]
struct Page(&'static str, &'static str);

impl Page {
    /// The shell commands that it shows, in their order: each block has its test.
    fn shown<const N: usize>(self) -> [&'static str; N] {
        let blocks: Vec<_> = self.1.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        blocks.try_into().unwrap_or_else(|blocks: Vec<_>| panic!("each block of {} has its test: {blocks:#?}", self.0))
    }

    fn has(self, part: &str) {
        assert!(self.1.contains(part), "{} should have:\n{part}", self.0);
    }
}

#[test]
fn a_stranger_can_read_it_all() {
    let lines = README.1.lines().count();
    assert!(lines <= README_LINES, "{lines} lines");
    let [] = SECURITY.shown();
    let [] = OWN_CLIENTS.shown();
    let [] = COMMANDS.shown();
}

/// Runs a command as a person would who has `linechat` and the netcat of OpenBSD.
fn shell(command: &str, names: &Names, port: u16) -> Output {
    names.shell(command, port).output().expect("bash runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn the_conversation_is_real() {
    let planned = chats(README.1).into_iter().map(|transcript| Planned { name: "README".into(), transcript, options: vec![] });
    assert_eq!(hold(planned.collect()), Vec::<String>::new());
}

#[test]
fn it_starts_as_the_first_lines_say() {
    let [clone, menu, _, _, _, _, _, _] = README.shown();
    let lines: Vec<_> = clone.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).collect();
    assert_eq!(lines, ["git clone <this repository> linechat && cd linechat", "cargo run", "nc localhost 12000"]);
    assert!(CARGO.contains("\ndefault-run = \"linechat\"\n"));
    let rust = CARGO.split("\nrust-version = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("Cargo.toml says it");
    README.has(&format!("needs Rust {rust} or newer"));

    // `cargo run` is this binary without arguments; a test gives it a port and a directory of its own.
    let server = Server::start(&[]);
    assert!(server.greeting().contains("type: nc 127.0.0.1 "), "{}", server.greeting());
    let arguments = menu.trim().strip_prefix("cargo run -- ").expect("the menu");
    let arguments = arguments.replace("localhost", "localhost:12000 --name zoe");
    let menu = format!("printf '1\\n6\\n' | {} {arguments}", env!("CARGO_BIN_EXE_linechat"));
    let output = shell(&menu, &Names::of(&CLIENTS[0]), server.address().port());
    assert!(output.status.success() && said(&output).contains("Users in server: zoe:"), "{}", said(&output));
}

#[test]
fn it_can_be_reached_over_the_network() {
    let [_, _, network, _, _, _, _, _] = README.shown();
    let [_, same_network, _, _, _] = OPERATING.shown();
    assert_eq!((network, same_network), ("linechat --listen 0.0.0.0:12000\n", network));
    let server = Server::start(&["--listen", "0.0.0.0:0"]);
    let port = server.greeting().lines().find_map(|line| line.split_once(" listens on 0.0.0.0:")).expect("it listens").1;
    // No packet is sent: this asks which of the machine's own addresses would be used.
    let probe = UdpSocket::bind("0.0.0.0:0").expect("a port is free");
    let own = probe.connect("192.0.2.1:9").and_then(|()| probe.local_addr()).map_or(Ipv4Addr::LOCALHOST.into(), |own| own.ip());
    Client::connect(SocketAddr::new(own, port.parse().expect("a port is a number"))).ok("LIST");
}

#[test]
fn the_script_stores_its_message_once_when_the_answer_is_lost() {
    if !CLIENTS[0].is_installed() {
        return;
    }
    let [_, _, _, account, script, _, _, _] = README.shown();
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.address());
    let (names, port) = (Names::of(&CLIENTS[0]), proxy.address().port());
    let output = said(&shell(account, &names, port));
    assert!(output.contains("\nOK REGISTER robot:") && output.contains("\nOK CREATE #ci\n"), "{output}");
    let token = output.lines().find_map(|line| line.strip_prefix("OK TOKEN ci ")).expect("it is shown").to_owned();

    let folder = TempDir::new().expect("a temporary directory");
    let say = folder.path().join("say");
    std::fs::write(&say, at(script, port)).expect("the script can be written");
    std::fs::set_permissions(&say, Permissions::from_mode(0o755)).expect("it can be made executable");
    let run = |key: &str, text: &str| {
        let mut command = Command::new(&say);
        command.args([key, text]).env("LINECHAT_TOKEN", &token).env("PATH", names.path()).output().expect("the script runs")
    };
    proxy.lose_answers(1);
    for _ in 0..2 {
        let output = run("build-311", "build 311 passed");
        assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));
    }
    let output = run("build-311", "build 311 failed");
    assert!(output.status.code() == Some(1) && said(&output).contains("\nERR KEY_REUSED SAY "), "{}", said(&output));
    assert!(run("build-312", "build 312\nCLOSE #ci").status.success());

    let mut robot = server.connect();
    robot.ok("LOGIN robot correct horse battery");
    let history = robot.ask("HISTORY #ci");
    let texts: Vec<_> = history.iter().filter_map(|line| line.splitn(7, ' ').nth(6)).collect();
    assert_eq!(texts, ["build 311 passed", "build 312 CLOSE #ci"]);
    proxy.check();
    sqlite_shows(&server, "robot|build 312 CLOSE #ci\n");
}

/// README's look at the store, while the server runs.
fn sqlite_shows(server: &Server, expected: &str) {
    if !clients::is_installed("sqlite3", "sqlite3") {
        return;
    }
    let [_, _, _, sqlite, _] = OPERATING.shown();
    let command = sqlite.replace("~/.local/state/linechat", server.dir().to_str().expect("its path is UTF-8"));
    let output = Command::new("bash").args(["-c", &command]).output().expect("bash runs");
    assert!(output.status.success() && said(&output).contains(expected), "{}", said(&output));
}

#[test]
fn the_test_commands_are_there() {
    let [_, _, _, _, _, _, peers, test] = README.shown();
    let [same_test, advisories, sbom, protocol] = TESTS.shown();
    assert_eq!(same_test, test);
    assert_eq!(peers, "scripts/bench-peers\n");
    assert_eq!((test, advisories), ("scripts/test\n", "scripts/advisories\n"));
    assert_eq!(protocol, "scripts/protocol/run localhost 12000\n");
    let inline = ["scripts/seeded-bugs", "scripts/mutants", "scripts/recovery", "scripts/overload", "scripts/soak"];
    inline.iter().for_each(|command| {
        assert!([TESTS, OPERATING].iter().any(|page| page.1.contains(&format!("`{command}`"))), "{command}");
    });
    let sbom = sbom.lines().last().expect("the SBOM is made last");
    for command in [peers, test, advisories, sbom, protocol].iter().chain(&inline) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(command.split_whitespace().next().expect("a command"));
        let mode = file.metadata().expect("it is there").permissions().mode();
        assert!(mode & 0o111 != 0, "{command}");
    }
}

#[test]
fn the_load_is_run() {
    let [_, _, _, _, _, load, _, _] = README.shown();
    let arguments = load.trim().strip_prefix("cargo run --release -- ").expect("the load");
    let server = Server::start(&[]);
    let load = format!("{} {arguments} --seconds 0.3 --warm-up 0.1", env!("CARGO_BIN_EXE_linechat"));
    let output = shell(&load, &Names::of(&CLIENTS[0]), server.address().port());
    assert!(output.status.success() && said(&output).contains("deliveries a second"), "{}", said(&output));
}

#[test]
fn the_plots_were_measured_on_the_machine_that_it_names() {
    let measured: serde_json::Value = serde_json::from_str(MEASURED).expect("measurements are JSON");
    for work in ["channel-100", "growth-channel", "one-at-a-time", "pairs", "durable", "crowd"] {
        let machine = measured[work]["machine"].as_str().expect("a work says its machine");
        README.has(&format!("\nOn {machine}; the server has one core"));
    }
}

#[test]
fn the_plots_are_for_light_pages_and_for_dark_ones() {
    for name in ["channel-100", "growth", "slower"] {
        let file = format!("tests/bench/results/{name}");
        let dark = format!("<picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"{file}-dark.svg\">");
        README.has(&format!("{dark}<img src=\"{file}.svg\" alt=\""));
        for shade in ["", "-dark"] {
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{file}{shade}.svg")).is_file(), "{file}{shade}");
        }
    }
    // What README says of those who are faster is what was measured.
    for (said, measured) in FASTER {
        README.has(said);
        assert!(REPORT.contains(measured), "{measured}");
    }
}

#[test]
fn clients_are_those_that_are_tested() {
    let mut table = "| client (Debian's package) | a person types | a pipe ends in | after `QUIT` | Ctrl-C | Ctrl-D |\n\
        |---|---|---|---|---|---|\n"
        .to_owned();
    for clients::Client { name, package, person, pipe, hurries, ends_after_quit, ctrl_c, ctrl_d_leaves, .. } in CLIENTS {
        let (mark, quit) = (if *hurries { " ¹" } else { "" }, if *ends_after_quit { "ends" } else { "Ctrl-D ends it" });
        let ctrl_c = match ctrl_c {
            CtrlC::Leaves => "leaves",
            CtrlC::DropsTheLine => "drops the line",
            CtrlC::OpensAMenu => "opens its own menu",
        };
        let ctrl_d = if *ctrl_d_leaves { "leaves" } else { "does nothing" };
        table += &format!("| `{name}` ({package}) | `{person}` | `{pipe}`{mark} | {quit} | {ctrl_c} | {ctrl_d} |\n");
    }
    OWN_CLIENTS.has(&table);
    OWN_CLIENTS.has(&format!(": `{BASH_PIPE}`\n"));
    let hurried = CLIENTS.iter().find(|client| client.name == "telnet").expect("telnet is in the table");
    OWN_CLIENTS
        .has(&format!("¹ It leaves at the end of its input, before the answers; keep that open: `{}`\n", hurried.piped()));
}

#[test]
fn commands_and_codes_are_those_of_the_server() {
    let rows: String =
        VERBS.iter().map(|verb| format!("| `{}` | {} |\n", verb.syntax.replace('|', r"\|"), verb.summary)).collect();
    COMMANDS.has(&format!("| command | what it does |\n|---|---|\n{}\n", rows));
    let codes = |retry| {
        let words = Code::ALL.iter().filter(|code| code.retry() == retry).map(|code| format!("`{code}`"));
        words.collect::<Vec<_>>().join(", ")
    };
    let (no, later, same_key) = (codes(Retry::No), codes(Retry::Later), codes(Retry::SameKey));
    COMMANDS.has(&format!(
        "| code of an `ERR` | try the same line again |\n|---|---|\n| {no} | no |\n| {later} | later |\n| {same_key} | with the same `@key` |\n"
    ));
}

#[test]
fn links_lead_somewhere() {
    for Page(path, text) in PAGES {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let links: Vec<_> = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        for link in &links {
            let (file, part) = link.split_once('#').unwrap_or((link, ""));
            let file = here.parent().expect("it is in a folder").join(file);
            assert!(file.is_file(), "{path}: {link}");
            let text = std::fs::read_to_string(&file).expect("it can be read");
            let slug = |title: &str| title.to_lowercase().replace(' ', "-").replace(['`', '\''], "");
            let has_part =
                text.lines().filter(|line| line.starts_with('#')).any(|line| slug(line.trim_start_matches(['#', ' '])) == part);
            assert!(part.is_empty() || has_part, "{path}: {link}");
        }
        assert!(path != README.0 || links.len() >= 10);
    }
}
