//! Every netcat and telnet that people have, against a real server: kept open, in a pipe, and at a terminal.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use support::clients::{BASH_PERSON, BASH_PIPE, CLIENTS, Client, CtrlC, Names, at, is_installed};
use support::proxy::Proxy;
use support::server::{PATIENCE, Server};

/// A client's process; its lines come over a channel, so that waiting for one is bounded.
struct Person {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Person {
    fn start(mut command: Command, input: Stdio) -> Self {
        let mut child = command.stdin(input).stdout(Stdio::piped()).spawn().expect("the client starts");
        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { input: child.stdin.take(), child, lines }
    }

    fn types(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(format!("{line}\n").as_bytes()).and_then(|()| input.flush()).expect("the client takes a line");
    }

    /// Reads up to a line that holds `text`; returns it.
    fn sees(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("never seen: {text}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits until the client has ended; returns what it still showed.
    fn ends(mut self) -> Vec<String> {
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => rest.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("the client does not end"),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.child.wait().expect("it can be waited for");
        rest
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server, and the proxy that looks at what it says.
fn served() -> (Server, Proxy) {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.address());
    (server, proxy)
}

/// Two people chat, one of them with this client, whose input stays open until QUIT.
fn kept_open(command: &str, names: &Names, ends_after_quit: bool) {
    let (server, proxy) = served();
    let mut ana = Person::start(names.shell(command, proxy.address().port()), Stdio::piped());
    ana.sees("* HELLO linechat/");
    ana.types("NAME ana");
    ana.sees("OK NAME ana:");
    let mut bob = server.connect();
    bob.ok("NAME bob");
    bob.ok("MSG ana za\u{17c}\u{f3}\u{142}\u{107}, ana?");
    assert!(ana.sees("* MSG ").ends_with(" za\u{17c}\u{f3}\u{142}\u{107}, ana?"));
    ana.types("MSG bob   tak \u{1f642}");
    ana.sees("OK MSG ");
    assert!(bob.event("MSG ").ends_with("   tak \u{1f642}"));
    ana.types("CREATE #x");
    ana.sees("OK CREATE #x");
    bob.ok("JOIN #x");
    ana.sees("* JOIN #x bob:");
    ana.types("QUIT");
    ana.sees("OK QUIT bye");
    bob.event("LEAVE #x ana:");
    if !ends_after_quit {
        ana.input = None;
    }
    ana.ends();
    proxy.check();
}

fn piped(command: &str, names: &Names) {
    let (_server, proxy) = served();
    let port = proxy.address().port();
    let lines = Person::start(names.shell(command, port), Stdio::null()).ends();
    let shown: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.contains("onnect")).collect();
    let at =
        |start: &str| shown.iter().position(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {shown:?}"));
    assert!(at("* HELLO ") < at("- USER guest-") && at("- USER guest-") < at("OK LIST 1"), "{shown:?}");
    assert!(at("OK LIST 1") < at("OK QUIT bye"), "{shown:?}");
    assert_eq!(proxy.check(), 4);
}

/// Runs one of the scripts in `scripts/clients` with this client in a terminal of its own.
fn at_a_terminal(client: &Client, script: &str, environment: &[(&str, &str)]) {
    if !is_installed("expect", "expect") {
        return;
    }
    let (_server, proxy) = served();
    let (names, port) = (Names::of(client), proxy.address().port());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/clients").join(script);
    let output = Command::new("timeout")
        .arg((3 * PATIENCE).as_secs().to_string())
        .arg(script)
        .args(["127.0.0.1", &port.to_string()])
        .args(at(client.person, port).split(' '))
        .envs(environment.iter().copied())
        .env("PATH", names.path())
        .output()
        .expect("the script runs");
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
    assert!(output.status.success(), "{}:\n{said}", client.person);
    proxy.check();
}

fn check(client: &Client) {
    if !client.is_installed() {
        return;
    }
    let names = Names::of(client);
    let lingers = if client.ends_after_quit { None } else { Some(("LINGERS", "1")) };
    thread::scope(|scope| {
        scope.spawn(|| kept_open(client.person, &names, client.ends_after_quit));
        scope.spawn(|| piped(&client.piped(), &names));
        scope.spawn(|| at_a_terminal(client, "chat.exp", lingers.as_slice()));
        scope.spawn(|| match client.ctrl_c {
            CtrlC::Leaves => at_a_terminal(client, "leave.exp", &[("KEY", "c")]),
            CtrlC::DropsTheLine => at_a_terminal(client, "interrupt.exp", &[]),
            CtrlC::OpensAMenu => at_a_terminal(client, "stay.exp", &[("KEY", "c")]),
        });
        let script = if client.ctrl_d_leaves { "leave.exp" } else { "stay.exp" };
        scope.spawn(|| at_a_terminal(client, script, &[("KEY", "d")]));
    });
}

macro_rules! clients {
    ($($test:ident $place:literal $program:literal $name:literal;)*) => {
        $(
            #[test]
            fn $test() {
                let client = &CLIENTS[$place];
                assert_eq!((client.program, client.name), ($program, $name));
                check(client);
            }
        )*

        #[test]
        fn every_client_has_its_test() {
            assert_eq!(CLIENTS.len(), [$($place),*].len());
        }
    };
}

clients! {
    the_netcat_of_openbsd 0 "nc.openbsd" "nc";
    the_traditional_netcat 1 "nc.traditional" "nc";
    ncat 2 "ncat" "ncat";
    the_netcat_of_busybox 3 "busybox" "busybox nc";
    the_telnet_of_busybox 4 "busybox" "busybox telnet";
    the_telnet_of_inetutils 5 "inetutils-telnet" "telnet";
    plink_raw 6 "plink" "plink -raw";
    plink_telnet 7 "plink" "plink -telnet";
    socat 8 "socat" "socat";
}

#[test]
fn bash_alone() {
    let names = Names::of(&CLIENTS[0]);
    piped(BASH_PIPE, &names);
    kept_open(BASH_PERSON, &names, false);
}
