//! The menu over TLS: whom it trusts, what it shows, and what it keeps.

use std::io::copy;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

use crate::person::{OPTION, PASSWORD};
use crate::support::client::Client;
use crate::support::pty::{Pty, menu};
use crate::support::server::data_dir;
use crate::support::tls::TlsServer;
use crate::support::wait::until;

/// A person's computer, which knows no server yet. Its system's roots vouch for nobody.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(data_dir());
        std::fs::write(home.roots(), "").expect("it can be written");
        home
    }

    fn roots(&self) -> PathBuf {
        self.0.path().join("roots.pem")
    }

    fn known_hosts(&self) -> PathBuf {
        self.0.path().join("linechat/known-hosts")
    }

    /// Lives there.
    fn at(&self, mut command: Command) -> Command {
        command.env("XDG_STATE_HOME", self.0.path()).env("SSL_CERT_FILE", self.roots()).env_remove("SSL_CERT_DIR");
        command.env_remove("STATE_DIRECTORY");
        command
    }

    /// Runs commands without a menu.
    fn run(&self, server: &TlsServer, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linechat"));
        command.args(["menu", "--tls", &address(server)]).args(more);
        self.at(command).output().expect("the client runs")
    }
}

/// An address that stays while the server moves to another port. It carries bytes and knows nothing of TLS.
struct Relay {
    port: u16,
    server: Arc<Mutex<SocketAddr>>,
}

impl Relay {
    fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let server = Arc::new(Mutex::new(server));
        let now = Arc::clone(&server);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = *now.lock().expect("no thread panics");
                let Ok(server) = TcpStream::connect(server) else { continue };
                let both = || (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
                let (there, back) = (both(), both());
                thread::spawn(move || carry(&there.0, &there.1));
                thread::spawn(move || carry(&back.1, &back.0));
            }
        });
        Self { port, server }
    }

    fn lead_to(&self, server: SocketAddr) {
        *self.server.lock().expect("no thread panics") = server;
    }
}

fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

fn address(server: &TlsServer) -> String {
    format!("localhost:{}", server.address.port())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complained(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Going on by itself must not tell a stranger the password.
#[test]
fn at_the_next_server_the_person_is_asked_before_it_is_told_anything() {
    let (first, next, home) = (TlsServer::start(&[]), TlsServer::start(&[]), Home::new());
    for server in [&first, &next] {
        Client::connect(server.plain).ok(&format!("REGISTER nina {PASSWORD}"));
    }
    let list = format!("{},{}", address(&first), address(&next));
    let mut nina = Pty::run(home.at(menu(&["--tls", &list, "--login", "nina"])));
    nina.sees(&first.fingerprint());
    nina.answers("Password of nina: ", PASSWORD);
    nina.asks(OPTION);
    let mut bob = Client::connect(next.plain);
    drop(first);
    nina.sees(&format!("Nobody known here vouches for {}.", address(&next)));
    nina.sees(&next.fingerprint());
    nina.sees("Reconnect? (y/n)");
    let mut is_there = || bob.ask("LIST").iter().any(|line| line.contains(" nina:"));
    until("only those who registered have been there", || (!is_there()).then_some(()));
    nina.enters("y");
    nina.sees(&format!("now at {}.", address(&next)));
    nina.sees("Connected again. You are nina:");
    assert!(is_there());
}

#[test]
fn an_unknown_server_is_trusted_once_and_another_in_its_place_never() {
    let (server, home) = (TlsServer::start(&[]), Home::new());
    let first = server.fingerprint();
    let mut nina = Pty::run(home.at(menu(&["--tls", &address(&server), "--name", "nina"])));
    nina.sees(&format!("Nobody known here vouches for {}.", address(&server)));
    assert_eq!(nina.sees(&first), first);
    nina.sees("Client Name: nina");
    let mut bob = Client::connect(server.plain);
    bob.ok("MSG nina hi");
    nina.sees("New message from guest-1001: hi");
    nina.answers(OPTION, "6");
    nina.sees("Disconnected. Goodbye!");
    assert_eq!(nina.ends(), 0);
    assert_eq!(std::fs::read_to_string(home.known_hosts()).expect("it is kept"), format!("{} {first}\n", address(&server)));
    assert_eq!(home.known_hosts().metadata().expect("it is there").permissions().mode() & 0o777, 0o600);

    let again = home.run(&server, &["-c", "LIST"]);
    assert!(again.status.success() && complained(&again).is_empty(), "{again:?}");
    server.change_certificate();
    let refused = home.run(&server, &["-c", "LIST"]);
    assert_eq!((refused.status.code(), said(&refused).as_str()), (Some(2), ""));
    let why = complained(&refused);
    assert!(
        why.contains("THE CERTIFICATE HAS CHANGED") && why.contains(&first) && why.contains(&server.fingerprint()),
        "{why}"
    );
    // A person who has asked the operator deletes the line.
    std::fs::write(home.known_hosts(), "").expect("it can be written");
    let trusted = home.run(&server, &["-c", "LIST"]);
    assert!(trusted.status.success() && complained(&trusted).contains(&server.fingerprint()), "{trusted:?}");
}

#[test]
fn a_given_authority_is_the_only_one() {
    let (server, home) = (TlsServer::start(&[]), Home::new());
    let run = |authority: &Path| home.run(&server, &["--tls-ca", authority.to_str().expect("its path is UTF-8"), "-c", "LIST"]);
    let trusted = run(&server.dir.path().join("cert.pem"));
    assert!(trusted.status.success() && complained(&trusted).is_empty(), "{trusted:?}");
    server.change_certificate();
    let refused = run(&server.dir.path().join("old-cert.pem"));
    assert_eq!((refused.status.code(), said(&refused).as_str()), (Some(2), ""));
    assert!(complained(&refused).contains("its certificate is not trusted"), "{refused:?}");
    let nothing = run(&home.roots());
    assert!(complained(&nothing).contains("there is no certificate in "), "{nothing:?}");
    assert!(!home.known_hosts().exists(), "nothing had to be kept");
}

#[test]
fn whom_the_system_vouches_for_is_not_asked_about_and_must_stay_vouched_for() {
    let (server, home) = (TlsServer::start(&[]), Home::new());
    std::fs::copy(server.dir.path().join("cert.pem"), home.roots()).expect("it can be copied");
    let vouched = home.run(&server, &["-c", "LIST"]);
    assert!(vouched.status.success() && complained(&vouched).is_empty(), "{vouched:?}");
    server.change_certificate();
    let refused = home.run(&server, &["-c", "LIST"]);
    assert!(refused.status.code() == Some(2) && complained(&refused).contains("THE CERTIFICATE HAS CHANGED"), "{refused:?}");
    std::fs::copy(server.dir.path().join("cert.pem"), home.roots()).expect("it can be copied");
    assert!(home.run(&server, &["-c", "LIST"]).status.success());
}

#[test]
fn a_long_answer_comes_whole() {
    let (server, home) = (TlsServer::start(&["--journal", "memory"]), Home::new());
    let mut ana = Client::connect(server.plain);
    ana.ok("CREATE #rust");
    let text = |number: usize| format!("{number} {}", "x".repeat(3000));
    (0..250).for_each(|number| drop(ana.ok(&format!("SAY #rust {}", text(number)))));
    let output = home.run(&server, &["-c", "JOIN #rust", "-c", "HISTORY #rust 1000"]);
    let said = said(&output);
    let texts: Vec<_> =
        said.lines().filter(|line| line.starts_with("- MSG ")).filter_map(|line| line.splitn(7, ' ').nth(6)).collect();
    assert_eq!(texts, (0..250).map(text).collect::<Vec<_>>());
}

#[test]
fn a_port_without_tls_is_said_to_be_one() {
    let (server, home) = (TlsServer::start(&[]), Home::new());
    let mut command = Command::new(env!("CARGO_BIN_EXE_linechat"));
    command.args(["menu", "--tls", &server.plain.to_string(), "-c", "LIST"]);
    let output = home.at(command).output().expect("the client runs");
    assert!(output.status.code() == Some(2) && complained(&output).contains("there is no TLS at that port"), "{output:?}");
}

#[test]
fn a_server_that_was_restarted_is_found_again_and_another_in_its_place_is_refused() {
    let (mut server, home) = (TlsServer::start(&[]), Home::new());
    let relay = Relay::start(server.address);
    let known = server.fingerprint();
    let mut nina = Pty::run(home.at(menu(&["--tls", &format!("localhost:{}", relay.port), "--name", "nina"])));
    nina.sees(&known);
    nina.sees("Client Name: nina");
    nina.asks(OPTION);
    server.restart();
    relay.lead_to(server.address);
    nina.sees("The connection to the server was lost: ");
    nina.sees("Reconnect? (y/n)");
    nina.enters("y");
    let again = nina.sees("Connected again. You are nina:");
    assert!(!again.contains(&known), "it was known already: {again}");
    nina.answers(OPTION, "1");
    nina.sees("Users in server: nina:");
    nina.asks(OPTION);

    server.change_certificate();
    server.restart();
    relay.lead_to(server.address);
    nina.sees("The connection to the server was lost: ");
    nina.sees("Reconnect? (y/n)");
    nina.enters("y");
    let refused = nina.sees("No connection: THE CERTIFICATE HAS CHANGED.");
    assert!(refused.contains(&known) && refused.contains(&server.fingerprint()), "{refused}");
    nina.answers("Reconnect? (y/n) ", "n");
    assert_eq!(nina.ends(), 2);
    assert_eq!(Client::connect(server.plain).ask("LIST").len(), 2, "nobody came to the other one");
}
