//! The scripts of `scripts/examples`: short, of any POSIX shell, and each run with real netcats against real servers.

mod support;

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use support::client::Client;
use support::clients::is_installed;
use support::proxy::Proxy;
use support::server::Server;
use support::wait::until;
use tempfile::TempDir;

const PASSWORD: &str = "correct horse battery";
/// The fewest examples there are.
const EXAMPLES: usize = 5;
const LINES: usize = 20;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/examples")
}

/// The netcats that are there, with the option that each needs.
fn netcats() -> Vec<&'static str> {
    let all =
        [("nc.openbsd", "netcat-openbsd", "nc.openbsd -N"), ("ncat", "ncat", "ncat"), ("busybox", "busybox", "busybox nc")];
    all.into_iter().filter(|(program, package, _)| is_installed(program, package)).map(|(.., netcat)| netcat).collect()
}

/// Where examples run: programs that a test puts in the place of others, and files.
struct Place {
    folder: TempDir,
}

/// An example that goes on until it is dropped.
struct Running(Child);

impl Place {
    /// `sleep` is short there: what an example waits for comes at once or never.
    fn new() -> Self {
        let place = Self { folder: TempDir::with_prefix("linechat-examples-").expect("a directory") };
        place.program("sleep", "exec /bin/sleep 0.1");
        place
    }

    fn program(&self, name: &str, text: &str) {
        let file = self.folder.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("it can be written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it can be made executable");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, example: &str, netcat: &str, server: SocketAddr) -> Command {
        let others = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.folder.path().to_owned()).chain(std::env::split_paths(&others));
        let mut command = Command::new("dash");
        command.arg(folder().join(example)).current_dir(self.folder.path()).process_group(0);
        command.env("PATH", std::env::join_paths(folders).expect("no colon is in a temporary name"));
        command.env("NC", netcat).env("LINECHAT", address(server)).env("LINECHAT_LOGIN", format!("robot {PASSWORD}"));
        command
    }

    fn start(&self, mut command: Command) -> Running {
        let log = fs::File::options().create(true).append(true).open(self.file("log")).expect("a file");
        let outputs = (log.try_clone().expect("it can be shared"), log);
        Running(command.stdin(Stdio::null()).stdout(outputs.0).stderr(outputs.1).spawn().expect("dash runs"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The group is the example's own, netcats included.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}

/// Host and port as a netcat takes them.
fn address(server: SocketAddr) -> String {
    format!("{} {}", server.ip(), server.port())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// A server with #ops, its founder, and an account of the name robot that is a member, if it is to be.
fn ops(robot_is_member: bool) -> (Server, Client) {
    let options = ["passwords-per-minute=none", "passwords-per-address=none", "announce-members=0"];
    let server = Server::start(&options.map(|limit| ["--limit", limit]).concat());
    let mut ana = server.connect();
    ana.ok(&format!("REGISTER ana {PASSWORD}"));
    ana.ok("CREATE #ops");
    let mut robot = server.connect();
    robot.ok(&format!("REGISTER robot {PASSWORD}"));
    if robot_is_member {
        robot.ok("JOIN #ops");
    }
    (server, ana)
}

/// A token of robot's for these scopes only.
fn token(server: &Server, scopes: &str) -> String {
    let mut robot = server.connect();
    robot.ok(&format!("LOGIN robot {PASSWORD}"));
    let made = robot.ok(&format!("TOKEN NEW scripts {scopes}"));
    made.rsplit(' ').next().map(str::to_owned).expect("the secret comes last")
}

/// The texts that somebody has said in #ops, in their order.
fn texts(reader: &mut Client, author: &str) -> Vec<String> {
    let page = reader.ask("HISTORY #ops 1000");
    let parts = page.iter().map(|line| line.splitn(7, ' ').collect::<Vec<_>>()).filter(|parts| parts.len() == 7);
    parts.filter(|parts| parts[5].starts_with(&format!("{author}:"))).map(|parts| parts[6].to_owned()).collect()
}

#[test]
fn examples_are_short_and_of_any_shell() {
    let files: Vec<PathBuf> =
        fs::read_dir(folder()).expect("there is the folder").map(|entry| entry.expect("a file").path()).collect();
    assert!(files.len() >= EXAMPLES);
    for file in files {
        let (shown, text) = (file.display(), fs::read_to_string(&file).expect("it is text"));
        assert!(text.starts_with("#!/bin/sh\n# ") && text.lines().count() < LINES, "{shown}");
        assert!(text.lines().all(|line| line.len() <= 130), "{shown}");
        assert!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o111 == 0o111, "{shown} is executable");
        for shell in [&["dash"][..], &["bash", "--posix"], &["busybox", "sh"]] {
            if is_installed(shell[0], shell[0]) {
                let checked = Command::new(shell[0]).args(&shell[1..]).arg("-n").arg(&file).output().expect("it runs");
                assert!(checked.status.success(), "{shell:?}: {}", said(&checked));
            }
        }
    }
}

#[test]
fn a_deploy_is_told_once_although_its_answer_is_lost() {
    for netcat in netcats() {
        let (server, mut ana) = ops(true);
        let (token, proxy, place) = (token(&server, "say:#ops"), Proxy::start(server.address()), Place::new());
        proxy.lose_answers(2);
        for _ in 0..2 {
            let mut command = place.command("notify-on-deploy", netcat, proxy.address());
            let told = command.arg("v1.2 (äöü)").env("LINECHAT_LOGIN", &token).output().expect("dash runs");
            assert!(told.status.success(), "{netcat}: {}", said(&told));
        }
        assert_eq!(texts(&mut ana, "robot"), ["v1.2 (äöü) is live"], "{netcat}");
        let mut stranger = place.command("notify-on-deploy", netcat, proxy.address());
        let refused = stranger.arg("v1.3").env("LINECHAT_LOGIN", "robot wrong horse battery").output().expect("dash runs");
        assert!(!refused.status.success() && said(&refused).contains("ERR LOGIN_FAILED LOGIN "), "{}", said(&refused));
        assert_eq!(texts(&mut ana, "robot").len(), 1);
        proxy.check();
    }
}

#[test]
fn a_unit_that_has_failed_is_told_of_with_its_last_words() {
    for netcat in netcats() {
        let (server, mut ana) = ops(true);
        let (token, place) = (token(&server, "say:#ops"), Place::new());
        place.program("systemctl", r#"[ "$*" = 'show --property InvocationID --value web.service' ] && echo 0123456789abcdef"#);
        place.program("journalctl", r"printf 'no \033[1mroom\033[0m\tleft\377\n'");
        for _ in 0..2 {
            let mut command = place.command("unit-failed", netcat, server.address());
            let told = command.arg("web.service").env("LINECHAT_LOGIN", &token).output().expect("dash runs");
            assert!(told.status.success(), "{netcat}: {}", said(&told));
        }
        assert_eq!(texts(&mut ana, "robot"), ["web.service has failed: no [1mroom[0mleft"], "{netcat}");
    }
}

#[test]
fn a_bot_answers_each_question_once_and_those_that_were_asked_meanwhile() {
    if !is_installed("jq", "jq") {
        return;
    }
    for netcat in netcats() {
        let (mut server, mut ana) = ops(false);
        let (token, place) = (token(&server, "say:#ops read:#ops"), Place::new());
        let bot = |server: &Server| {
            let mut command = place.command("answering-bot", netcat, server.address());
            command.arg("asked").env("LINECHAT_LOGIN", &token);
            place.start(command)
        };
        let asked = ana.ok("SAY #ops before it comes").split(' ').nth(2).map(str::to_owned).expect("a seq");
        fs::write(place.file("asked"), asked).expect("it can be written");
        let mut expected = 0;
        for _ in 0..2 {
            // Once while it is away, and once while it is there.
            ana.ok("SAY #ops !load");
            let running = bot(&server);
            ana.event("MSG ");
            ana.ok("SAY #ops \"!load\"");
            ana.ok("SAY #ops !load");
            ana.event("MSG ");
            expected += 2;
            until("it keeps how far it is", || {
                let newest = ana.ask("HISTORY #ops").into_iter().rev().find(|line| line.ends_with(" !load"))?;
                let kept = fs::read_to_string(place.file("asked")).ok()?;
                (newest.split(' ').nth(2) == Some(kept.trim())).then_some(())
            });
            drop(running);
        }
        let answers = texts(&mut ana, "robot");
        assert_eq!(answers.len(), expected, "{netcat}: {answers:?}");
        assert!(answers.iter().all(|answer| answer.split(' ').count() == 3), "{answers:?}");
        // A server that is gone ends it, and whoever has started it starts it again.
        let mut running = bot(&server);
        ana.ok("SAY #ops !load");
        ana.event("MSG ");
        server.kill();
        until("it ends", || running.0.try_wait().expect("it can be waited for"));
    }
}

/// Carries connections to a server, until they are cut.
struct Relay {
    address: SocketAddr,
    server: Arc<Mutex<SocketAddr>>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let relay = Self {
            address: listener.local_addr().expect("it listens"),
            server: Arc::new(Mutex::new(server)),
            streams: Arc::default(),
        };
        let (server, streams) = (Arc::clone(&relay.server), Arc::clone(&relay.streams));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let address = *server.lock().expect("nobody panics here");
                let Ok(server) = TcpStream::connect(address) else { continue };
                let other = |stream: &TcpStream| stream.try_clone().expect("a socket can be cloned");
                streams.lock().expect("nobody panics here").extend([other(&client), other(&server)]);
                for (mut from, mut to) in [(other(&client), other(&server)), (server, client)] {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
            }
        });
        relay
    }

    fn cut(&self) {
        for stream in self.streams.lock().expect("nobody panics here").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

#[test]
fn a_channel_is_kept_in_a_file_whatever_is_cut() {
    for netcat in netcats() {
        let (mut server, mut ana) = ops(true);
        let (place, relay) = (Place::new(), Relay::start(server.address()));
        let tail = || {
            let mut command = place.command("tail-channel", netcat, relay.address);
            command.arg("file").env_remove("LINECHAT_LOGIN");
            place.start(command)
        };
        let mut running = tail();
        for round in 0..4 {
            for number in 0..20 {
                ana.ok(&format!("SAY #ops {round} {number}  \\n two  spaces "));
                if number == 10 {
                    relay.cut();
                }
            }
            until("all are there", || {
                (fs::read_to_string(place.file("file")).ok()?.lines().count() >= 20 * (round + 1)).then_some(())
            });
            match round {
                0 => relay.cut(),
                1 => {
                    drop(running);
                    running = tail();
                }
                _ => {
                    server.kill();
                    server.restart();
                    *relay.server.lock().expect("nobody panics here") = server.address();
                    ana = server.connect();
                    ana.ok(&format!("LOGIN ana {PASSWORD}"));
                }
            }
        }
        drop(running);
        let kept = fs::read_to_string(place.file("file")).expect("it is text");
        let kept: Vec<_> = kept.lines().map(|line| line.replacen('*', "-", 1)).collect();
        let mut page = ana.ask("HISTORY #ops 1000");
        page.pop();
        assert_eq!(kept, page, "{netcat}");
    }
}

#[test]
fn a_bridge_carries_each_message_to_the_other_side_once() {
    for netcat in netcats() {
        let ((mut here, mut ana), (there, mut eve)) = (ops(true), ops(true));
        let place = Place::new();
        let mut command = place.command("bridge", netcat, here.address());
        command.args([address(here.address()), address(there.address())]);
        let mut running = place.start(command);
        for side in [&mut ana, &mut eve] {
            until("the bridge is there", || {
                side.ask("LIST #ops")
                    .iter()
                    .any(|line| line.starts_with("- USER robot:") && line.contains(" online "))
                    .then_some(())
            });
        }
        for number in 0..20 {
            ana.ok(&format!("SAY #ops {number} from \\here"));
            assert!(eve.event("MSG ").ends_with(&format!(" <ana> {number} from \\here")));
            eve.ok(&format!("SAY #ops {number} from there"));
            assert!(ana.event("MSG ").ends_with(&format!(" <ana> {number} from there")));
        }
        for side in [&mut ana, &mut eve] {
            assert_eq!((texts(side, "ana").len(), texts(side, "robot").len()), (20, 20), "{netcat}");
        }
        // Where one side ends, both do.
        here.kill();
        until("it ends", || running.0.try_wait().expect("it can be waited for"));
        let mut log = std::io::stderr();
        let _ = log.write_all(&fs::read(place.file("log")).unwrap_or_default());
    }
}
