//! What an operator reads in the log, and what fail2ban makes of it.

mod support;

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Child, Command};

use proxy_header::{ProxiedAddress, ProxyHeader};
use serde_json::Value;
use support::client::{Client, stream_from};
use support::clients::{find, is_installed};
use support::server::Server;
use support::wait::until;
use tempfile::TempDir;

/// The lines of the log so far, without their times.
fn lines(server: &Server) -> Vec<String> {
    let log = server.log();
    log.lines().filter_map(|line| line.split_once("Z ")).map(|(_, line)| line.trim().to_owned()).collect()
}

fn waits(server: &Server, wanted: &str) {
    until(wanted, || lines(server).iter().any(|line| line.contains(wanted)).then_some(()));
}

#[test]
fn who_comes_does_something_and_goes_is_logged() {
    let server = Server::start_logging(&["--limit", "passwords-per-minute=2", "--limit", "errors-in-a-row=3"]);
    waits(&server, "INFO linechat: serving version=");
    let mut ana = server.connect();
    ana.ok("REGISTER ana correct horse battery");
    waits(&server, "INFO linechat::session::notable: registered from=127.0.0.1 user=ana:");
    let secret = ana.ok("TOKEN NEW script").rsplit(' ').next().expect("it is shown").to_owned();
    ana.ok("CREATE #rust");
    ana.ok("CLOSE #rust");
    waits(&server, "INFO linechat::session::notable: channel created from=127.0.0.1 user=ana:");
    waits(&server, "INFO linechat::session::notable: channel closed from=127.0.0.1 user=ana:");
    ana.ok("QUIT");
    waits(&server, "disconnected from=127.0.0.1 user=ana:");
    waits(&server, "reason=quit");

    let mut mallory = server.connect();
    mallory.err("LOGIN ana wrong horse battery", "LOGIN_FAILED");
    mallory.err(&format!("LOGIN {}", secret.replace(&secret[5..8], "abc")), "LOGIN_FAILED");
    mallory.err("LOGIN ana wrong horse battery", "LOGIN_FAILED");
    mallory.err("LOGIN ana wrong horse battery", "RATE_LIMITED");
    waits(&server, "WARN linechat::session::notable: login failed from=127.0.0.1 name=\"ana\"");
    waits(&server, "WARN linechat::session::notable: login failed from=127.0.0.1 name=\"token\"");
    waits(&server, "WARN linechat::session::notable: login refused from=127.0.0.1 name=\"ana\" code=RATE_LIMITED left_out=0");
    (0..3).for_each(|_| mallory.send("gibberish"));
    waits(&server, "INFO linechat::session::notable: disconnected from=127.0.0.1 user=guest-");
    waits(&server, "reason=UNKNOWN_COMMAND");
    // Guests who only come and go are no news.
    let before = lines(&server).len();
    let mut carl = server.connect();
    carl.ok("QUIT");
    // The end comes after whatever is logged of it.
    assert!(carl.rest().is_empty());
    let mut bob = server.connect();
    bob.ok("REGISTER bob correct horse battery");
    waits(&server, "registered from=127.0.0.1 user=bob:");
    assert_eq!(lines(&server).len(), before + 1, "{:?}", lines(&server));
    assert!(!server.log().contains("horse") && !server.log().contains("lct_"), "no secret is logged");
}

/// A server that is started by a program, which reads its log; killed when it is dropped.
struct ForPrograms {
    child: Child,
    dir: TempDir,
}

impl ForPrograms {
    fn start() -> Self {
        let dir = support::server::data_dir();
        let log = fs::File::create(dir.path().join("log")).expect("it can be written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_linechat"));
        command.args(["serve", "--log-format", "json", "--log", "debug", "--listen", "127.0.0.1:0", "--data-dir"]);
        let child = command.arg(dir.path().join("data")).stderr(log).spawn().expect("the binary runs");
        Self { child, dir }
    }

    /// The first line that says this, once there is one.
    fn says(&self, message: &str) -> Value {
        until(message, || {
            let log = fs::read_to_string(self.dir.path().join("log")).expect("it can be read");
            let whole = log.lines().filter(|line| line.ends_with('}'));
            let mut lines = whole.map(|line| serde_json::from_str::<Value>(line).expect(line));
            lines.find(|line| line["message"] == message)
        })
    }
}

impl Drop for ForPrograms {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_program_reads_each_thing_once_and_as_it_is() {
    let server = ForPrograms::start();
    let serving = server.says("serving");
    let mut mallory = Client::connect(serving["listen"].as_str().and_then(|it| it.parse().ok()).expect("it says where"));
    mallory.err("LOGIN ana wrong horse battery", "LOGIN_FAILED");
    let failed = server.says("login failed");
    assert_eq!((&failed["name"], &failed["from"]), (&Value::from("ana"), &Value::from("127.0.0.1")));
    assert!(failed["span"]["peer"].is_string() && failed.get("spans").is_none(), "{failed}");
}

#[test]
fn json_is_json_to_the_last_line() {
    let directory = support::server::data_dir();
    let log = directory.path().join("log");
    let output = Command::new(env!("CARGO_BIN_EXE_linechat"))
        .args(["serve", "--log-format", "json", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(directory.path())
        .args(["--admin-socket", "/nowhere/to/be/found"])
        .stderr(fs::File::create(&log).expect("it can be written"))
        .output()
        .expect("the binary runs");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let log = fs::read_to_string(log).expect("it can be read");
    let last = log.lines().map(|line| serde_json::from_str::<Value>(line).expect(line)).next_back().expect("there are lines");
    assert!(last["message"].as_str().expect("it says why").contains("cannot make the operator's socket"), "{last}");
    assert_eq!(last["level"], "ERROR");
}

/// Somebody whose network has no way to this machine, by a proxy on it.
fn from_afar(server: &Server, source: &str) -> Client {
    let [source, to] = [source, "[2001:db8::1]:12000"].map(|address| address.parse().expect("it is an address"));
    let mut stream = stream_from(Ipv4Addr::new(127, 0, 0, 2), server.address());
    let mut header = Vec::new();
    ProxyHeader::with_address(ProxiedAddress::stream(source, to)).encode_v2(&mut header).expect("it is short");
    stream.write_all(&header).expect("it is sent");
    Client::over(stream)
}

/// The filter of the package, tried by fail2ban's own program on a log of this server.
#[test]
fn fail2ban_finds_those_who_guess_and_nobody_else() {
    if !is_installed("fail2ban-regex", "fail2ban") {
        return;
    }
    let server = Server::start_logging(&["--proxy-from", "127.0.0.2"]);
    let mut ana = server.connect();
    ana.ok("REGISTER ana correct horse battery");
    for trudy in ["[2001:db8:1:2::7]:9", "[2001:db8:1:2:3:4:5:6]:9"] {
        from_afar(&server, trudy).err("LOGIN ana login failed from=127.0.0.1", "LOGIN_FAILED");
    }
    let mut mallory = Client::connect_from(Ipv4Addr::new(127, 0, 0, 9), server.address());
    for _ in 0..3 {
        mallory.err("LOGIN from=127.0.0.1 login-failed", "BAD_NAME");
        mallory.err("LOGIN ana login failed from=127.0.0.1", "LOGIN_FAILED");
    }
    mallory.err("LOGIN ana login failed from=127.0.0.1", "RATE_LIMITED");
    ana.ok("AWAY WARN linechat::session::notable: login failed from=127.0.0.1");
    waits(&server, "login refused from=127.0.0.9");
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(log.path(), server.log()).expect("it can be written");
    let filter = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/package/fail2ban/linechat.conf");
    let program = find("fail2ban-regex").expect("it is installed");
    let output = Command::new(program).args(["-o", "<ip>"]).arg(log.path()).arg(filter).output().expect("it runs");
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    // Whoever has one address of IPv6 has all of its network.
    let expected = [["2001:db8:1:2::/64"; 2].as_slice(), &["127.0.0.9"; 4]].concat();
    assert_eq!(found.lines().collect::<Vec<_>>(), expected, "{output:?}");
}
