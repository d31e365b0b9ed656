//! A server whose store is damaged in places: it says what is damaged, shows all the rest, and goes on.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use support::client::Client;
use support::server::{Server, data_dir};

const PASSWORD: &str = "correct horse battery";

fn seq(answer: &str) -> String {
    answer.split(' ').nth(2).expect("it has a seq").to_owned()
}

/// Changes a letter in the texts of these messages, behind the server's back.
fn damage(directory: &std::path::Path, seqs: &[&str]) {
    let store = rusqlite::Connection::open(directory.join("journal.db")).expect("it opens");
    for seq in seqs {
        let sql = "UPDATE entries SET event = replace(event, 'number', 'numbex') WHERE seq = ?";
        assert_eq!(store.execute(sql, [seq]).expect("it can be damaged"), 1);
    }
}

fn login(server: &Server) -> (Client, String) {
    let mut ana = server.connect();
    let answer = ana.ok(&format!("LOGIN ana {PASSWORD}"));
    (ana, answer)
}

#[test]
fn what_is_damaged_is_said_and_the_rest_is_shown() {
    let mut server = Server::start(&[]);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    ana.ok(&format!("REGISTER ana {PASSWORD}"));
    ana.ok("CREATE #rust");
    let said: Vec<_> = (0..5).map(|number| seq(&ana.ok(&format!("SAY #rust number {number}")))).collect();
    let sent: Vec<_> = (0..5).map(|number| seq(&bob.ok(&format!("MSG ana number {number}")))).collect();
    drop((ana, bob));
    server.kill();
    damage(server.dir(), &[&said[2], &sent[1], &sent[4]]);
    server.restart();
    let (mut ana, answer) = login(&server);
    assert!(answer.ends_with(" 5"), "all are unread: {answer}");
    // Each line is its message's number, or GAP.
    let lines = |lines: Vec<String>| -> Vec<String> {
        let short = |line: &String| match line.split(' ').collect::<Vec<_>>()[..] {
            ["-", "GAP", _, first, last] if first == last => format!("GAP {first}"),
            _ if line.starts_with('-') => line.rsplit(' ').next().expect("a word").to_owned(),
            _ => line.clone(),
        };
        lines.iter().map(short).collect()
    };
    let gap = |seq: &String| format!("GAP {seq}");
    assert_eq!(lines(ana.ask("HISTORY #rust")), ["0", "1", &gap(&said[2]), "3", "4", "OK HISTORY 5"]);
    assert_eq!(lines(ana.ask(&format!("HISTORY #rust 2 before {}", said[3]))), ["1", &gap(&said[2]), "OK HISTORY 2"]);
    assert_eq!(lines(ana.ask(&format!("HISTORY #rust 2 since {}", said[1]))), [&gap(&said[2]), "3", "OK HISTORY 2"]);
    assert_eq!(lines(ana.ask("INBOX")), ["0", &gap(&sent[1]), "2", "3", &gap(&sent[4]), "OK INBOX 5 0"]);
    assert_eq!(lines(ana.ask("INBOX 2")), ["0", &gap(&sent[1]), "OK INBOX 2 3"]);
    // The newest message of the inbox is damaged, and the next one follows it.
    let mut bob = server.connect();
    bob.ok("MSG ana number 5");
    assert_eq!(ana.ok(&format!("ACK {}", sent[3])), format!("OK ACK {}", sent[3]));
    assert_eq!(lines(ana.ask("INBOX")), [&gap(&sent[4]), "5", "OK INBOX 2 0"]);
    ana.ok("ACK *");
    assert_eq!(ana.ask("INBOX"), ["OK INBOX 0 0"]);
    server.kill();
    server.restart();
    assert!(login(&server).1.ends_with(" 0"));
}

/// Where several in a row are lost, nothing leads to those before them from behind: that is one GAP, and what came later is shown.
#[test]
fn beyond_what_is_lost_the_rest_is_shown() {
    let mut server = Server::start(&[]);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    ana.ok(&format!("REGISTER ana {PASSWORD}"));
    ana.ok("CREATE #rust");
    let said: Vec<_> = (0..40).map(|number| seq(&ana.ok(&format!("SAY #rust number {number}")))).collect();
    let sent: Vec<_> = (0..40).map(|number| seq(&bob.ok(&format!("MSG ana number {number}")))).collect();
    drop((ana, bob));
    server.kill();
    let store = rusqlite::Connection::open(server.dir().join("journal.db")).expect("it opens");
    for seq in said[10..14].iter().chain(&sent[10..14]) {
        assert_eq!(store.execute("DELETE FROM entries WHERE seq = ?", [seq]).expect("it can be damaged"), 1);
    }
    drop(store);
    server.restart();
    let (mut ana, _) = login(&server);
    let shown = |lines: Vec<String>| -> Vec<String> {
        let numbers = lines.iter().filter(|line| line.starts_with("- MSG ")).map(|line| line.rsplit(' ').next());
        numbers.map(|number| number.expect("a word").to_owned()).collect()
    };
    let after: Vec<_> = (14..40).map(|number| number.to_string()).collect();
    let history = ana.ask("HISTORY #rust");
    assert!(history[0].starts_with("- GAP #rust 1 "), "{history:?}");
    assert_eq!(shown(history), after);
    // Whoever pages forward is not kept back by it, and INBOX says that there is more until all is shown.
    let mut seen = shown(ana.ask(&format!("HISTORY #rust 100 since {}", said[2])));
    assert!(seen.ends_with(&after), "{seen:?}");
    let inbox = ana.ask("INBOX 100");
    assert!(inbox.iter().any(|line| line.starts_with("- GAP ana:")), "{inbox:?}");
    seen = shown(inbox);
    assert!(seen.ends_with(&after), "{seen:?}");
    ana.ok(&format!("ACK {}", sent[39]));
    assert_eq!(ana.ask("INBOX"), ["OK INBOX 0 0"]);
}

/// However often it is read, each damaged message is one line of the log.
#[test]
fn the_log_tells_each_damaged_message_once() {
    let data = data_dir();
    let mut server = Server::start_in(data.path(), &[]);
    let mut ana = server.connect();
    ana.ok(&format!("REGISTER ana {PASSWORD}"));
    ana.ok("CREATE #rust");
    let said: Vec<_> = (0..4).map(|number| seq(&ana.ok(&format!("SAY #rust number {number}")))).collect();
    server.kill();
    damage(data.path(), &[&said[0], &said[2]]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_linechat"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut first = String::new();
    BufReader::new(child.stdout.as_mut().expect("it is piped")).read_line(&mut first).expect("it greets");
    let address = first.trim().rsplit(' ').next().expect("a word").parse().expect("an address");
    let mut ana = Client::connect(address);
    ana.ok(&format!("LOGIN ana {PASSWORD}"));
    for _ in 0..200 {
        assert_eq!(ana.ask("HISTORY #rust").len(), 5);
    }
    child.kill().expect("it can be killed");
    let output = child.wait_with_output().expect("it has ended");
    let log = String::from_utf8_lossy(&output.stderr);
    for (at, seq) in said.iter().enumerate() {
        let told = log.lines().filter(|line| line.contains("damaged") && line.contains(&format!("seq={seq} "))).count();
        assert_eq!(told, usize::from(at % 2 == 0), "message {seq}: {log}");
    }
}
