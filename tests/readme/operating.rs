//! The pages for operators: their commands are run, and their files are taken by the programs that they are for.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use linechat::limits::Limits;
use tempfile::TempDir;

use crate::support::client::Client;
use crate::support::clients::{self, TLS_CLIENTS, TlsClient};
use crate::support::server::{Server, data_dir};
use crate::support::wait::until;
use crate::{CLUSTER, OPERATING, OWN_CLIENTS, said};

/// What README names as the limits that people meet.
const LIMITS: &[&str] =
    &["line-length", "text-length", "inbox", "members", "connections", "connections-per-address", "commands-per-second"];

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
    let [cluster] = CLUSTER.shown();
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
    let file = CLUSTER.1.split("```nats\n").nth(1).and_then(|rest| rest.split("```").next()).expect("there is a file");
    let folder = data_dir();
    let path = folder.path().join("nats.conf");
    std::fs::write(&path, file.replace("/var/lib/nats", &folder.path().display().to_string())).expect("it can be written");
    let Some(program) = clients::installed("nats-server", "nats-server") else { return };
    let output = Command::new(program).arg("-t").arg("-c").arg(&path).output().expect("it runs");
    assert!(output.status.success() && said(&output).contains("is valid"), "{}", said(&output));
}

/// What is not run here is run by tests/tls.rs, against a server of its own.
#[test]
fn it_can_be_reached_with_tls() {
    let [_, _, encrypted, _, _] = OPERATING.shown();
    let lines: Vec<_> = encrypted.lines().filter_map(|line| line.strip_prefix("linechat ")).collect();
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
    OWN_CLIENTS.has(&table);
    OPERATING.has("`ssh -L 12000:localhost:12000 server`, and then `nc localhost 12000`");
    if clients::is_installed("ssh", "openssh-client") {
        // Says what it would do, and does it not.
        let output = Command::new("ssh").args(["-G", "-L", "12000:localhost:12000", "server"]).output().expect("ssh runs");
        assert!(said(&output).contains("\nlocalforward 12000 [localhost]:12000\n"), "{}", said(&output));
    }
}

/// Each of the commands of "Backup", in their order; the server stops where it must not run.
#[test]
fn the_journal_is_cared_for() {
    let [_, _, _, _, care] = OPERATING.shown();
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
        OPERATING.has(&format!("`{file}`"));
    }
}

#[test]
fn limits_are_those_in_force() {
    let rows = Limits::default().rows();
    let mut table = "| limit | value | of |\n|---|---|---|\n".to_owned();
    for name in LIMITS {
        let row = rows.iter().find(|row| row.name == *name).unwrap_or_else(|| panic!("there is no limit {name}"));
        table += &format!("| `{name}` | {} | {} |\n", row.value, row.unit);
    }
    OPERATING.has(&table);
}

/// The commands of "Configuration", in a folder where they may write.
#[test]
fn it_is_configured_as_the_page_says() {
    let [commands, _, _, _, _] = OPERATING.shown();
    let folder = data_dir();
    let run = |command: &str| {
        let command = command.replacen("linechat ", &format!("{} ", env!("CARGO_BIN_EXE_linechat")), 1);
        let output = Command::new("bash").args(["-c", &command]).current_dir(folder.path()).output().expect("bash runs");
        assert!(output.status.success(), "{command}: {}", said(&output));
        said(&output)
    };
    let said: Vec<_> = commands.lines().map(run).collect();
    assert_eq!(said.len(), 3);
    assert!(said[1].starts_with("a server would start with these settings (linechat.toml)"), "{}", said[1]);
    assert!(said[2].contains("\ninbox = 500  # the command line\n"), "{}", said[2]);
    let file = OPERATING.1.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("there is a file");
    std::fs::write(folder.path().join("linechat.toml"), file).expect("it can be written");
    assert!(run("linechat config print --config linechat.toml").contains("\nkeep-days = 90  # linechat.toml:6\n"));
}
