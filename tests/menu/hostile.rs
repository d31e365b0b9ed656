//! Another server that wishes its users ill: nothing that a terminal would obey comes out of the client.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::thread;

use crate::person::{OPTION, TALK};
use crate::support::pty::Pty;

/// What terminals obey, or what turns a line around: a title, a cleared screen, C1 codes, colours, overrides, a bell …
const EVIL: &str =
    "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{9d}0;x\u{9c}\u{1b}[5;7m\u{202e}txt.exe\u{2066}\u{2028}\r\u{8}\u{0}\u{7f}end";

/// A server that answers each command with what is asked for, made evil. After `last` it writes `after` and closes.
fn evil_server(last: &'static str, after: Vec<u8>) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it listens").to_string();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client comes");
        let lines = BufReader::new(stream.try_clone().expect("a socket can be cloned"));
        let _ = stream.write_all(format!("* HELLO evil/1 1 guest-1:1 {EVIL}\n").as_bytes());
        for line in lines.lines().map_while(Result::ok) {
            let verb = line.split(' ').next().unwrap_or_default();
            let answer = match verb {
                "NAME" => format!("OK NAME nina{EVIL}:1\n"),
                "LIST" => format!("- USER {EVIL}:7 online {EVIL}\n- {EVIL}\nOK LIST 1\n"),
                "INBOX" => format!("- MSG 1 {EVIL} nina:1 {EVIL}:7 {EVIL}\nOK INBOX 1 0\n"),
                "CHANNELS" => format!("- CHANNEL #c 1 {EVIL} {EVIL}\nOK CHANNELS 1\n"),
                "CREATE" => "OK CREATE #c\n* JOIN #c ".to_owned() + EVIL + ":7 now\n",
                "SAY" => format!("* MSG 5 now #c {EVIL}:7 {EVIL}\n* CLOSE #other{EVIL} x\n{EVIL}\nOK SAY 9 now {EVIL}\n"),
                "MSG" => format!("ERR {EVIL} MSG {EVIL}\n"),
                _ => format!("* BYE {EVIL}\nOK {verb} {EVIL}\n"),
            };
            let raw = [answer.as_bytes(), b"* MSG 6 now #c x:7 \xff\xfe\xc0\x80\xed\xa0\x80\n"].concat();
            let _ = stream.write_all(&raw);
            if verb == last {
                let _ = stream.write_all(&after);
                return;
            }
        }
    });
    address
}

/// What a person does who tries everything.
const EVERYTHING: &[&str] = &["1", "2", "hi", "nina", "3", "4", "c", "hello", "#jose hi", "#bye", "6"];

#[test]
fn what_it_prints_is_text() {
    let address = evil_server("QUIT", Vec::new());
    let mut child = Command::new("timeout")
        .args(["60", env!("CARGO_BIN_EXE_linechat"), "menu", &address, "--name", "nina", "--show-protocol"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client runs");
    let script = EVERYTHING.join("\n") + "\n";
    child.stdin.take().expect("stdin is piped").write_all(script.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("it prints UTF-8");
    let obeyed =
        |c: char| (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert_eq!(text.find(obeyed), None, "{text:?}");
    assert!(text.contains("owned") && text.contains("Disconnected. Goodbye!"), "it was shown, and the client went on: {text}");
}

#[test]
fn commands_print_text_too() {
    let address = evil_server("QUIT", Vec::new());
    let output = Command::new("timeout")
        .args(["60", env!("CARGO_BIN_EXE_linechat"), "menu", &address, "-c", "LIST", "-c", "SAY #c hi", "-c", "QUIT"])
        .output()
        .expect("the client runs");
    let text = String::from_utf8(output.stdout).expect("it prints UTF-8");
    assert!(text.contains("owned") && !text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
}

#[test]
fn at_a_terminal_no_sequence_of_the_network_arrives() {
    let address = evil_server("QUIT", Vec::new());
    let mut nina = Pty::start(&[&address, "--name", "nina"]);
    nina.answers(OPTION, "1");
    nina.sees("Users in server: ");
    nina.answers(OPTION, "4");
    nina.answers("Enter the new channel id: ", "c");
    nina.asks(TALK);
    nina.enters("hello");
    nina.sees("owned");
    nina.asks(TALK);
    let raw = nina.raw();
    let text = String::from_utf8_lossy(&raw);
    for part in
        ["\u{1b}]", "\u{1b}[2J", "\u{1b}[5;7m", "\u{9b}", "\u{9d}", "\u{202e}", "\u{2066}", "\u{2028}", "\u{7}", "\u{0}"]
    {
        assert!(!text.contains(part), "{part:?}");
    }
}

#[test]
fn a_line_without_end_is_cut_off() {
    let address = evil_server("NAME", vec![b'x'; 10 << 20]);
    let mut nina = Pty::start(&[&address, "--name", "nina"]);
    nina.sees("The connection to the server was lost: the server sent a line without end.");
    nina.sees("Reconnect? (y/n)");
    nina.enters("n");
    assert_eq!(nina.ends(), 2);
}

#[test]
fn what_is_no_chat_server_is_called_so() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it listens").to_string();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client comes");
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let mut nina = Pty::start(&[&address, "--name", "nina"]);
    nina.sees("No connection: what answers there is no linechat server.");
    assert_eq!(nina.ends(), 2);
}

#[test]
fn what_the_server_is_not_sure_of_is_tried_again_with_the_same_key() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it listens").to_string();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client comes");
        let lines = BufReader::new(stream.try_clone().expect("a socket can be cloned"));
        let _ = stream.write_all(b"* HELLO unsure/1 1 guest-1:1 hello\n");
        let mut sent = Vec::new();
        for line in lines.lines().map_while(Result::ok) {
            let is_first = sent.is_empty();
            let answer = match line.split(' ').next() {
                Some("MSG") => {
                    sent.push(line);
                    if is_first { "ERR UNSURE MSG the journal is slow" } else { "OK MSG 7 2026-11-22T13:00:01.007Z dup" }
                }
                _ => "OK NAME nina:1",
            };
            let _ = stream.write_all(format!("{answer}\n").as_bytes());
        }
        sent
    });
    let mut nina = Pty::start(&[&address, "--name", "nina"]);
    nina.answers(OPTION, "2");
    nina.answers("Enter your message: ", "hi");
    nina.answers("Enter recipient id: ", "bob");
    nina.sees("Message sent!");
    nina.answers(OPTION, "6");
    nina.ends();
    let sent = server.join().expect("the server ends");
    assert!(sent.len() == 2 && sent[0] == sent[1] && sent[0].starts_with("MSG @menu-"), "{sent:?}");
}

/// A server that answers INBOX by `answer`, which gets the number of the question, and all else by OK.
fn inbox_server(answer: impl Fn(usize) -> String + Send + 'static) -> (String, thread::JoinHandle<usize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it listens").to_string();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client comes");
        let lines = BufReader::new(stream.try_clone().expect("a socket can be cloned"));
        let _ = stream.write_all(b"* HELLO endless/1 1 guest-1:1 hello\n");
        let mut asked = 0;
        for line in lines.lines().map_while(Result::ok) {
            let verb = line.split(' ').next().unwrap_or_default();
            let told = if verb == "INBOX" {
                asked += 1;
                answer(asked)
            } else {
                format!("OK {verb} nina:1\n")
            };
            let _ = stream.write_all(told.as_bytes());
        }
        asked
    });
    (address, server)
}

#[test]
fn an_inbox_that_never_ends_is_left_alone_after_a_while() {
    let more = |number| format!("- MSG {number} 2026-11-22T13:00:01.007Z nina:1 eve:2 number {number}.\nOK INBOX 1 7\n");
    let (address, server) = inbox_server(more);
    let mut nina = Pty::start(&[&address, "--name", "nina"]);
    nina.answers(OPTION, "3");
    nina.sees("number 100.");
    nina.sees("There are more; option 3 shows them.");
    nina.answers(OPTION, "3");
    nina.sees("number 200.");
    nina.answers(OPTION, "6");
    assert_eq!(nina.ends(), 0);
    assert_eq!(server.join().expect("the server ends"), 200);
}

/// A server that closes when something is said, and then always has another thousand messages of the channel's history.
fn history_server() -> (String, thread::JoinHandle<usize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it listens").to_string();
    let server = thread::spawn(move || {
        let mut pages = 0;
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().expect("the client comes");
            let lines = BufReader::new(stream.try_clone().expect("a socket can be cloned"));
            let _ = stream.write_all(b"* HELLO endless/1 1 guest-1:1 hello\n");
            for line in lines.lines().map_while(Result::ok) {
                let told = match line.split(' ').collect::<Vec<_>>()[..] {
                    ["SAY", ..] => break,
                    ["HISTORY", room, _, "since", since] => {
                        pages += 1;
                        let since: u64 = since.parse().expect("a seq");
                        let said = |seq| format!("- MSG {seq} 2026-11-22T13:00:01.007Z {room} nina:1 hello\n");
                        (since + 1..=since + 1000).map(said).chain(["OK HISTORY 1000\n".to_owned()]).collect()
                    }
                    [verb @ ("CREATE" | "JOIN"), room, ..] => format!("OK {verb} {room}\n"),
                    [verb, ..] => format!("OK {verb} nina:1\n"),
                    [] => continue,
                };
                let _ = stream.write_all(told.as_bytes());
            }
        }
        pages
    });
    (address, server)
}

#[test]
fn a_history_that_never_ends_is_left_alone_after_a_while() {
    let (address, server) = history_server();
    let mut nina = Pty::start(&[&address, "--name", "nina"]);
    nina.answers(OPTION, "4");
    nina.answers("Enter the new channel id: ", "c");
    nina.asks(TALK);
    nina.enters("hello");
    nina.sees("Reconnect? (y/n)");
    nina.enters("y");
    nina.sees("More was said meanwhile than is shown here.");
    nina.asks(TALK);
    nina.enters("#bye");
    nina.answers(OPTION, "6");
    assert_eq!(nina.ends(), 0);
    assert_eq!(server.join().expect("the server ends"), 100);
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let (address, _server) = inbox_server(|_| format!("- MSG {}\n", "x".repeat(60 * 1024)).repeat(1200));
    let mut nina = Pty::start(&[&address, "--name", "nina"]);
    nina.answers(OPTION, "3");
    nina.sees("The connection to the server was lost: the server sent an answer without end.");
    nina.sees("Reconnect? (y/n)");
    nina.enters("n");
    assert_eq!(nina.ends(), 2);
}
