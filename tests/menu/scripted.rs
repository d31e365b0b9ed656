//! Without a terminal: commands of `-c` and their exit codes, and choices read line by line.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Output, Stdio};

use crate::person::{PASSWORD, plain};
use crate::support::server::Server;

/// Runs the client with its input from a pipe, to its end.
pub fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new("timeout")
        .args(["60", env!("CARGO_BIN_EXE_linechat"), "menu"])
        .args(arguments)
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the client runs");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // It may have ended already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn exit_codes_say_what_became_of_the_commands() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    let mut nina = plain(&server, "nina");
    let code = |arguments: &[&str]| run(&[&[address.as_str()], arguments].concat(), "").status.code();
    assert_eq!(code(&["-c", "MSG nina hi"]), Some(0));
    assert!(nina.event("MSG ").ends_with(" hi"));
    assert_eq!(code(&["--name", "jose", "-c", "MSG nina one", "-c", "MSG nina two"]), Some(0));
    assert!(nina.event("MSG ").contains(" jose:"));
    assert!(nina.event("MSG ").ends_with(" two"));
    assert_eq!(code(&["-c", "MSG nobody hi"]), Some(1));
    assert_eq!(code(&["-c", "SYA hi", "-c", "MSG nina and on"]), Some(1));
    assert!(nina.event("MSG ").ends_with(" and on"), "what follows a mistake is done");
    assert_eq!(code(&["--name", "Nina", "-c", "MSG nina never"]), Some(1));
    assert_eq!(code(&["-c", "QUIT", "-c", "PING"]), Some(2));
    let nowhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free").local_addr().expect("it listens");
    let output = run(&[&nowhere.to_string(), "-c", "PING"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("linechat: no connection to 127.0.0.1:"));
    assert_eq!(nina.ask("INBOX").len(), 5, "nothing was sent under another name");
}

#[test]
fn commands_print_what_the_server_says_and_with_the_protocol_what_was_sent() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    plain(&server, "x").ok(&format!("REGISTER nina {PASSWORD}"));
    let output = run(&[&address, "--login", "nina", "-c", "PING a  b", "-c", ""], &format!("{PASSWORD}\n"));
    let text = said(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("* HELLO ") && lines[1].starts_with("OK LOGIN nina:"), "{text}");
    assert_eq!((lines[2], lines.len()), ("OK PING a  b", 3));
    let output = run(&[&address, "--login", "nina", "--show-protocol", "-c", "PING a\nPING b"], &format!("{PASSWORD}\n"));
    let text = said(&output);
    assert!(text.starts_with("--> LOGIN nina ***\n<-- * HELLO ") && !text.contains(PASSWORD), "{text}");
    assert!(text.ends_with("--> PING a\n<-- OK PING a\n--> PING b\n<-- OK PING b\n"), "{text}");
    assert_eq!(run(&[&address, "--login", "nina", "-c", "PING"], "wrong\n").status.code(), Some(1));
}

/// JSON is read as well as written, and whoever is done takes leave: their name is free at once.
#[test]
fn a_script_may_ask_for_json_and_leaves_no_ghost() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    for _ in 0..2 {
        let output = run(&[&address, "--name", "nina", "-c", "FORMAT json", "-c", "MSG nobody hi", "-c", "PING there"], "");
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("\n{\"err\":\"NO_SUCH_USER\",") && text.contains("\n{\"ok\":\"PING\","), "{text}");
        assert_eq!(plain(&server, "x").ask("LIST").len(), 2, "nobody but who asks");
    }
}

/// The last command may be FOLLOW, and goes on until the connection ends.
#[test]
fn a_script_follows() {
    let mut server = Server::start(&[]);
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #c");
    let address = server.address().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_linechat"))
        .args(["menu", &address, "--name", "nina", "-c", "FOLLOW #c"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the client runs");
    bob.event("JOIN #c ");
    bob.ok("SAY #c one");
    bob.ok("SAY #c two");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map(|line| line.expect("UTF-8"));
    for text in [" one", " two"] {
        assert!(lines.any(|line| line.starts_with("* MSG ") && line.ends_with(text)), "{text}");
    }
    server.kill();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("linechat: the connection was lost: "));
}

#[test]
fn a_script_drives_the_menu() {
    let server = Server::start(&[]);
    let address = server.address();
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #c");
    let input =
        format!("{}\n{}\nnina\n1\n2\nhello\nbob\n5\nc\nsaid by a script\n#bye\n6\nnever read\n", address.ip(), address.port());
    let output = run(&[], &input);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = said(&output);
    assert!(
        text.starts_with("Enter the server IP Address: \nEnter the server port: \nEnter a username: \nSuccessfully"),
        "{text}"
    );
    assert!(text.contains("\nYour option <enter a number>: \nUsers in server: bob:1000, nina:1001\n"), "{text}");
    assert!(text.contains("\nEnter your message: \nEnter recipient id: \nMessage sent!\n"), "{text}");
    assert!(
        text.ends_with("\n> \n> \nYou left the channel.\n".to_owned().as_str())
            || text.contains("\n> \nYou left the channel.\n")
    );
    assert!(text.ends_with("Disconnected. Goodbye!\n") && !text.contains('\u{1b}'), "{text}");
    assert!(bob.event("MSG ").ends_with(" hello"));
    assert!(bob.event("MSG ").ends_with(" said by a script"));
}

/// Choices are not taken for names.
#[test]
fn a_script_without_its_name_does_nothing() {
    let server = Server::start(&[]);
    let _nina = plain(&server, "nina");
    let output = run(&[&server.address().to_string(), "--name", "nina"], "2\nhello\n");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("Not done: ") && !said(&output).contains("Enter a username: "));
}

#[test]
fn the_end_of_a_script_leaves_and_what_is_no_text_is_not_sent() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #c");
    let output = run(&[&address, "--name", "nina"], "5\nc\nhello");
    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).ends_with("Disconnected. Goodbye!\n"));
    assert!(bob.event("MSG ").ends_with(" hello"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_linechat"))
        .args(["menu", &address, "--name", "jose"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client runs");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(b"5\nc\ncaf\xe9\nworks\n").expect("it reads");
    drop(stdin);
    let text = said(&child.wait_with_output().expect("it ends"));
    assert!(text.contains("Not done: what was typed is not UTF-8.\n"), "{text}");
    assert!(bob.event("MSG ").ends_with(" works"), "and nothing before it");
}
