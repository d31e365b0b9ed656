//! README says what is: its conversation is had, its commands are run, its tables are the code's.

mod support;

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use linechat::code::Retry;
use linechat::limits::Limits;
use linechat::wire::Code;
use linechat::wire::verbs::VERBS;
use support::client::Client;
use support::clients::{self, BASH_PIPE, CLIENTS, CtrlC, Names, TLS_CLIENTS, TlsClient, at};
use support::conversation::{Planned, hold};
use support::proxy::Proxy;
use support::server::{Server, data_dir};
use support::transcript::chats;
use support::wait::until;
use tempfile::TempDir;

const README: &str = include_str!("../README.md");
const CARGO: &str = include_str!("../Cargo.toml");
/// The measurements that README's plots show.
const MEASURED: &str = include_str!("bench/results/peers.json");
/// What README names as the limits that people meet.
const LIMITS: &[&str] =
    &["line-length", "text-length", "inbox", "members", "connections", "connections-per-address", "commands-per-second"];

/// The shell commands that README shows, in its order.
fn shown() -> [&'static str; 15] {
    let blocks = README.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let blocks: Vec<_> = blocks.collect();
    blocks.try_into().unwrap_or_else(|blocks: Vec<_>| panic!("each block has its test: {blocks:#?}"))
}

fn has(part: &str) {
    assert!(README.contains(part), "README should have:\n{part}");
}

/// Runs a command as a person would who has `linechat` and the netcat of OpenBSD.
fn shell(command: &str, names: &Names, port: u16) -> Output {
    names.shell(command, port).output().expect("bash runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// A cluster of scripts/cluster; it goes down when this is dropped.
struct Up {
    folder: TempDir,
    port: u16,
}

impl Up {
    /// What a command says, or what it says when it fails.
    fn run(&self, command: &str) -> Result<String, String> {
        let mut bash = Command::new("bash");
        bash.args(["-c", command]).current_dir(env!("CARGO_MANIFEST_DIR")).env("LINECHAT_PORT", self.port.to_string());
        bash.env("LINECHAT_CLUSTER", self.folder.path()).env("LINECHAT", env!("CARGO_BIN_EXE_linechat"));
        let output = bash.output().expect("bash runs");
        if output.status.success() { Ok(said(&output)) } else { Err(said(&output)) }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.run("scripts/cluster down");
    }
}

#[test]
fn a_cluster_goes_up_and_down() {
    let [_, _, _, _, cluster, ..] = shown();
    if !clients::is_installed("nats-server", "nats-server") {
        return;
    }
    let up = |base: u16| {
        let up = Up { folder: data_dir(), port: base };
        up.run("scripts/cluster up").ok().map(|_| up)
    };
    // Somebody else may have one of its ports.
    let first = 20_000 + (std::process::id() % 2_000) as u16 * 5;
    let up = (0..5).find_map(|at| up(first + 300 * at)).expect("it goes up");
    let run = |command: &str| up.run(command).unwrap_or_else(|said| panic!("{command}: {said}"));
    let port = up.port;
    let lines: Vec<_> = cluster.lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    let running = |status: &str| status.lines().filter(|line| line.ends_with(" runs")).count();
    let up = run(lines[0]);
    assert_eq!(running(&up), 6, "{up}");
    let address = |number: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port + 10 * number));
    Client::connect(address(0)).ok("CREATE #rust");
    run(lines[1]);
    let status = run(lines[2]);
    assert_eq!(running(&status), 5, "{status}");
    let mut other = Client::connect(address(1));
    until("it is there", || other.ask("CHANNELS").iter().any(|line| line.contains(" #rust ")).then_some(()));
    let down = run(lines[3]);
    assert_eq!(running(&down), 0, "{down}");
}

/// The brokers' file is one that a broker takes.
#[test]
fn the_brokers_file_is_well_formed() {
    let file = README.split("```nats\n").nth(1).and_then(|rest| rest.split("```").next()).expect("there is a file");
    let folder = data_dir();
    let path = folder.path().join("nats.conf");
    std::fs::write(&path, file.replace("/var/lib/nats", &folder.path().display().to_string())).expect("it can be written");
    let Some(program) = clients::installed("nats-server", "nats-server") else { return };
    let output = Command::new(program).arg("-t").arg("-c").arg(&path).output().expect("it runs");
    assert!(output.status.success() && said(&output).contains("is valid"), "{}", said(&output));
}

#[test]
fn the_conversation_is_real() {
    let planned = chats(README).into_iter().map(|transcript| Planned { name: "README".into(), transcript, options: vec![] });
    assert_eq!(hold(planned.collect()), Vec::<String>::new());
}

#[test]
fn it_starts_as_the_first_lines_say() {
    let [clone, menu, ..] = shown();
    let lines: Vec<_> = clone.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).collect();
    assert_eq!(lines, ["git clone <this repository> linechat && cd linechat", "cargo run --release", "nc localhost 12000"]);
    assert!(CARGO.contains("\ndefault-run = \"linechat\"\n"));
    let rust = CARGO.split("\nrust-version = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("Cargo.toml says it");
    has(&format!("needs Rust {rust} or newer"));

    // `cargo run --release` is this binary without arguments; a test gives it a port and a directory of its own.
    let server = Server::start(&[]);
    assert!(server.greeting().contains("type: nc 127.0.0.1 "), "{}", server.greeting());
    let arguments = menu.trim().strip_prefix("cargo run --release -- ").expect("the menu");
    let arguments = arguments.replace("localhost", "localhost:12000 --name zoe");
    let menu = format!("printf '1\\n6\\n' | {} {arguments}", env!("CARGO_BIN_EXE_linechat"));
    let output = shell(&menu, &Names::of(&CLIENTS[0]), server.address().port());
    assert!(output.status.success() && said(&output).contains("Users in server: zoe:"), "{}", said(&output));
}

#[test]
fn it_can_be_reached_over_the_network() {
    let [_, _, network, ..] = shown();
    assert_eq!(network, "cargo run --release -- --listen 0.0.0.0:12000\n");
    let server = Server::start(&["--listen", "0.0.0.0:0"]);
    let port = server.greeting().lines().find_map(|line| line.split_once(" listens on 0.0.0.0:")).expect("it listens").1;
    // No packet is sent: this asks which of the machine's own addresses would be used.
    let probe = UdpSocket::bind("0.0.0.0:0").expect("a port is free");
    let own = probe.connect("192.0.2.1:9").and_then(|()| probe.local_addr()).map_or(Ipv4Addr::LOCALHOST.into(), |own| own.ip());
    Client::connect(SocketAddr::new(own, port.parse().expect("a port is a number"))).ok("LIST");
}

/// What is not run here is run by tests/tls.rs, against a server of its own.
#[test]
fn it_can_be_reached_with_tls() {
    let [_, _, _, encrypted, ..] = shown();
    let lines: Vec<_> = encrypted.lines().filter_map(|line| line.strip_prefix("cargo run --release -- ")).collect();
    let [made, started, reached] = lines[..] else { panic!("{encrypted}") };
    let folder = data_dir();
    let home = folder.path().to_str().expect("its path is UTF-8");
    let binary = env!("CARGO_BIN_EXE_linechat");
    let in_folder = |command: &str| {
        let mut shell = Command::new("bash");
        shell.args(["-c", command]).current_dir(folder.path()).env("XDG_STATE_HOME", home).env_remove("STATE_DIRECTORY");
        shell
    };
    let output = in_folder(&format!("{binary} {made}")).output().expect("bash runs");
    assert!(output.status.success() && said(&output).contains("\nSHA-256 fingerprint: "), "{}", said(&output));
    // The server's address is a port of its own, and its files are those that were just made.
    let files = started.replace("0.0.0.0:12001", "127.0.0.1:0").replace(" cert", &format!(" {home}/cert"));
    let files = files.replace(" key", &format!(" {home}/key"));
    let server = Server::start(&files.split(' ').collect::<Vec<_>>());
    let port =
        server.greeting().lines().find_map(|line| line.strip_suffix(" with TLS")?.rsplit(':').next()).expect("it listens");
    let menu =
        format!("printf '1\\n6\\n' | {binary} {}", reached.replace("localhost", &format!("localhost:{port} --name zoe")));
    let output = in_folder(&menu).output().expect("bash runs");
    assert!(output.status.success() && said(&output).contains("Users in server: zoe:"), "{}", said(&output));

    let mut table = "| client | encrypted | and only to who has that certificate |\n|---|---|---|\n".to_owned();
    for TlsClient { program, trusting, checking } in TLS_CLIENTS {
        table += &format!("| `{program}` | `{trusting}` | `{checking}` |\n");
    }
    has(&table);
    has("`ssh -L 12000:localhost:12000 server`, and then `nc localhost 12000`");
    if clients::is_installed("ssh", "openssh-client") {
        // Says what it would do, and does it not.
        let output = Command::new("ssh").args(["-G", "-L", "12000:localhost:12000", "server"]).output().expect("ssh runs");
        assert!(said(&output).contains("\nlocalforward 12000 [localhost]:12000\n"), "{}", said(&output));
    }
}

#[test]
fn the_script_stores_its_message_once_when_the_answer_is_lost() {
    if !CLIENTS[0].is_installed() {
        return;
    }
    let [_, _, _, _, _, account, script, ..] = shown();
    let server = Server::start(&["--limit", "passwords-per-minute=none"]);
    let proxy = Proxy::start(server.address());
    let (names, port) = (Names::of(&CLIENTS[0]), proxy.address().port());
    let output = shell(account, &names, port);
    assert!(said(&output).contains("\nOK REGISTER robot:") && said(&output).contains("\nOK CREATE #ci\n"), "{}", said(&output));

    let folder = TempDir::new().expect("a temporary directory");
    let say = folder.path().join("say");
    std::fs::write(&say, at(script, port)).expect("the script can be written");
    std::fs::set_permissions(&say, Permissions::from_mode(0o755)).expect("it can be made executable");
    let run = |key: &str, text: &str| {
        let mut command = Command::new(&say);
        command.args([key, text]).env("PATH", names.path()).output().expect("the script runs")
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
    let [.., sqlite, _, _, _, _, _, _, _] = shown();
    let command = sqlite.replace("~/.local/state/linechat", server.dir().to_str().expect("its path is UTF-8"));
    let output = Command::new("bash").args(["-c", &command]).output().expect("bash runs");
    assert!(output.status.success() && said(&output).contains(expected), "{}", said(&output));
}

/// Each of the commands of "Backup", in their order; the server stops where it must not run.
#[test]
fn the_journal_is_cared_for() {
    let [.., care, _, _, _, _, _, _] = shown();
    let folder = data_dir();
    let mut server = Server::start_in(&folder.path().join("linechat"), &[]);
    server.connect().ok("REGISTER ana correct horse battery");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_linechat"), folder.path().join("linechat.bin")).expect("a link");
    let mut said_first = Vec::new();
    for line in care.lines() {
        if line.contains("while it does not serve") && !server.has_ended() {
            server.signal("TERM");
            server.wait();
        }
        let line = line.replacen("linechat ", "./linechat.bin ", 1);
        let mut bash = Command::new("bash");
        bash.args(["-c", &line]).current_dir(folder.path()).env("XDG_STATE_HOME", folder.path()).env_remove("STATE_DIRECTORY");
        let output = bash.output().expect("bash runs");
        assert!(output.status.success(), "{line}: {}", said(&output));
        said_first.push(said(&output).split(' ').next().expect("a word").to_owned());
    }
    assert_eq!(said_first, ["backed", "backup.db", "restored", "exported", "imported", "compacted"]);
    for directory in ["linechat", "new"] {
        Server::start_in(&folder.path().join(directory), &[]).connect().ok("LOGIN ana correct horse battery");
    }
    for file in ["journal.db", "journal.db-wal", "journal.db-shm", "ids", "search.db", "reserve", "lock", "admin.sock"] {
        has(&format!("`{file}`"));
    }
}

#[test]
fn the_test_commands_are_there() {
    let [.., peers, test, advisories, sbom, protocol] = shown();
    assert_eq!(peers, "scripts/bench-peers\n");
    assert_eq!((test, advisories), ("scripts/test\n", "scripts/advisories\n"));
    assert_eq!(protocol, "scripts/protocol/run localhost 12000\n");
    let inline = ["scripts/seeded-bugs", "scripts/mutants", "scripts/recovery", "scripts/overload", "scripts/soak"];
    inline.iter().for_each(|command| has(&format!("`{command}`")));
    let sbom = sbom.lines().last().expect("the SBOM is made last");
    for command in [peers, test, advisories, sbom, protocol].iter().chain(&inline) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(command.split_whitespace().next().expect("a command"));
        let mode = file.metadata().expect("it is there").permissions().mode();
        assert!(mode & 0o111 != 0, "{command}");
    }
}

#[test]
fn the_load_is_run() {
    let [.., load, _, _, _, _, _] = shown();
    let arguments = load.trim().strip_prefix("cargo run --release -- ").expect("the load");
    let server = Server::start(&[]);
    let load = format!("{} {arguments} --seconds 0.3 --warm-up 0.1", env!("CARGO_BIN_EXE_linechat"));
    let output = shell(&load, &Names::of(&CLIENTS[0]), server.address().port());
    assert!(output.status.success() && said(&output).contains("deliveries a second"), "{}", said(&output));
}

#[test]
fn the_plots_were_measured_on_the_machine_that_it_names() {
    let measured: serde_json::Value = serde_json::from_str(MEASURED).expect("measurements are JSON");
    for work in ["channel-100", "growth-channel"] {
        let machine = measured[work]["machine"].as_str().expect("a work says its machine");
        has(&format!("\nOn {machine}; the server has one core"));
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
    has(&table);
    has(&format!(": `{BASH_PIPE}`\n"));
    let hurried = CLIENTS.iter().find(|client| client.name == "telnet").expect("telnet is in the table");
    has(&format!("¹ It leaves at the end of its input, before the answers; keep that open: `{}`\n", hurried.piped()));
}

#[test]
fn commands_and_codes_are_those_of_the_server() {
    let rows: String =
        VERBS.iter().map(|verb| format!("| `{}` | {} |\n", verb.syntax.replace('|', r"\|"), verb.summary)).collect();
    has(&format!("| command | what it does |\n|---|---|\n{}\n", rows));
    let codes = |retry| {
        let words = Code::ALL.iter().filter(|code| code.retry() == retry).map(|code| format!("`{code}`"));
        words.collect::<Vec<_>>().join(", ")
    };
    let (no, later, same_key) = (codes(Retry::No), codes(Retry::Later), codes(Retry::SameKey));
    has(&format!(
        "| code of an `ERR` | try the same line again |\n|---|---|\n| {no} | no |\n| {later} | later |\n| {same_key} | with the same `@key` |\n"
    ));
}

#[test]
fn limits_are_those_in_force() {
    let rows = Limits::default().rows();
    let mut table = "| limit | value | of |\n|---|---|---|\n".to_owned();
    for name in LIMITS {
        let row = rows.iter().find(|row| row.name == *name).unwrap_or_else(|| panic!("there is no limit {name}"));
        table += &format!("| `{name}` | {} | {} |\n", row.value, row.unit);
    }
    has(&table);
}

#[test]
fn links_lead_somewhere() {
    let links: Vec<_> = README.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    for link in &links {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(link).is_file(), "{link}");
    }
    assert!(links.len() >= 2);
}
