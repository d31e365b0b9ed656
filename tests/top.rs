//! `linechat top`: what it shows of servers, and that it leaves the terminal as it was.

mod support;

use std::fs;
use std::process::{Command, Output};

use support::pty::Pty;
use support::server::Server;
use support::wait::until;
use support::watched::{WATCHED, watched_at};
use tempfile::TempDir;

fn once(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_linechat")).args(["top", "--once"]).args(arguments).output().expect("the binary runs")
}

/// The table that it printed, each row as its fields.
fn rows(output: &Output) -> Vec<Vec<String>> {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).expect("it is text");
    let fields = |line: &str| line.split("  ").map(str::trim).filter(|field| !field.is_empty()).map(str::to_owned).collect();
    text.lines().map(fields).collect()
}

#[test]
fn one_table_tells_of_the_server_here_and_of_those_elsewhere() {
    let server = Server::start(&WATCHED);
    let (_ana, _bob) = (server.connect(), server.connect());
    let here = rows(&once(&["--data-dir", server.dir().to_str().expect("its path is text")]));
    assert_eq!((here.len(), &here[0][..4]), (2, &["server", "state", "conns", "users"].map(str::to_owned)[..]));
    assert_eq!(here[1][..4], ["this server", "ready", "2", "2"]);
    // A port where nobody is.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let gone = free.local_addr().expect("it listens").to_string();
    drop(free);
    let there = watched_at(&server).to_string();
    let both = rows(&once(&[&format!("http://{there}/metrics,{gone}")]));
    assert_eq!(
        (&both[1][..3], &both[2][..3]),
        (&[there.clone(), "ready".into(), "2".into()][..], &[gone.clone(), "no answer".into(), "-".into()][..])
    );
    for (arguments, why) in [
        (
            &[&*gone][..],
            &*format!("no server has its metrics at http://{gone}/metrics; is it running, and is this its --metrics"),
        ),
        (&[&*gone], "onnection refused"),
        // Where people chat.
        (&[&*server.address().to_string()], "is this its --metrics-listen?: "),
        (&[&*format!("{there}/other")], "/other; is it running, and is this its --metrics-listen?: it answers 404 Not Found"),
        (&["ash"], "'ash' is not where a server has its metrics; give http://HOST:PORT/metrics"),
        (&["--data-dir", "/nowhere"], "no server answers at /nowhere/admin.sock"),
    ] {
        let output = once(arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && output.stdout.is_empty() && told.contains(why), "{output:?}");
    }
    let piped = Command::new(env!("CARGO_BIN_EXE_linechat")).args(["top", &gone]).output().expect("the binary runs");
    assert!(String::from_utf8_lossy(&piped.stderr).contains("give --once"), "{piped:?}");
}

/// `linechat top` under a shell, which tells afterwards how it has ended and how the terminal is, and where its number is written.
fn at_a_terminal(folder: &TempDir, arguments: &str) -> Pty {
    let (binary, number) = (env!("CARGO_BIN_EXE_linechat"), folder.path().join("pid"));
    let number = number.display();
    let inner = format!("echo $$ >{number}; exec {binary} top {arguments}");
    let mut command = Command::new("setsid");
    command.args(["--ctty", "sh", "-c", &format!("sh -c '{inner}'; echo \"ended: $?\"; stty -a; echo all was said")]);
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
    Pty::run(command)
}

fn shows(pty: &Pty, what: &str) {
    until(what, || pty.picture(|screen| screen.contents().contains(what)).then_some(()));
}

/// The shell is there again, and its terminal as it was.
fn has_left(pty: &mut Pty) {
    shows(pty, "all was said");
    let screen = pty.picture(vt100::Screen::contents);
    assert!(screen.contains("ended: 0"), "{screen}");
    assert!(screen.contains(" icanon") && !screen.contains("-icanon") && !screen.contains("-echo "), "{screen}");
    assert!(pty.picture(|screen| !screen.alternate_screen() && !screen.hide_cursor()));
    assert_eq!(pty.ends(), 0);
}

#[test]
fn a_person_sees_what_goes_on_and_leaves() {
    let server = Server::start(&WATCHED);
    let mut ana = server.connect();
    ana.ok("CREATE #rust");
    ana.err("SAY #go hi", "NO_SUCH_CHANNEL");
    let folder = TempDir::new().expect("a temporary directory");
    let mut pty = at_a_terminal(&folder, &format!("--data-dir {}", server.dir().display()));
    for what in ["linechat top: this server", "fsync", "q quit", "messages a second, at most 0"] {
        shows(&pty, what);
    }
    // All of it also in the 80 × 24 of a terminal that nobody has made larger.
    pty.is_sized(24, 80);
    until("all of it has room", || {
        let screen = pty.picture(vt100::Screen::contents);
        let all = ["state", "damaged entries met", "memory", "refused since its start: no_such_channel 1", "q quit"];
        all.iter().all(|what| screen.contains(what)).then_some(())
    });
    until("messages are seen", || {
        ana.ok("SAY #rust hi");
        pty.picture(|screen| screen.contents().contains("at most 0 ")).then_some(()).xor(Some(()))
    });
    pty.types("\r");
    shows(&pty, "refused/s");
    shows(&pty, "linechat top: 1 server ");
    pty.is_cut(40);
    until("what has no room is left out", || {
        let heads = pty.picture(|screen| screen.rows(0, 40).nth(1)).expect("there is a second row");
        (heads.trim_end() == "server       state  conns  msgs/s").then_some(())
    });
    pty.types("\x1b[B\r");
    shows(&pty, "users online");
    pty.is_sized(24, 40);
    shows(&pty, "… more in a larger window");
    pty.types("q");
    has_left(&mut pty);
}

#[test]
fn a_signal_and_ctrl_c_leave_the_terminal_as_it_was() {
    let server = Server::start(&WATCHED);
    let address = watched_at(&server);
    let folder = TempDir::new().expect("a temporary directory");
    for signal in ["TERM", "INT", "HUP"] {
        let mut pty = at_a_terminal(&folder, &format!("{address},{address}"));
        shows(&pty, "2 servers");
        shows(&pty, "ready");
        let number = fs::read_to_string(folder.path().join("pid")).expect("it was written");
        assert!(Command::new("kill").args([&format!("-{signal}"), number.trim()]).status().expect("kill runs").success());
        has_left(&mut pty);
    }
    let mut pty = at_a_terminal(&folder, &address.to_string());
    shows(&pty, "ready");
    pty.types("\x03");
    has_left(&mut pty);
}

/// A window that is closed, or a line over which somebody was logged in.
#[test]
fn it_ends_with_its_terminal() {
    let server = Server::start(&WATCHED);
    let folder = TempDir::new().expect("a temporary directory");
    let pty = at_a_terminal(&folder, &watched_at(&server).to_string());
    shows(&pty, "ready");
    let number = fs::read_to_string(folder.path().join("pid")).expect("it was written");
    drop(pty);
    until("it has ended", || {
        let status = fs::read_to_string(format!("/proc/{}/status", number.trim())).unwrap_or_default();
        (status.is_empty() || status.contains("State:\tZ")).then_some(())
    });
}
