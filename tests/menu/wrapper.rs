//! The client is nothing but a wrapper: for each thing that a person does in it, exactly these lines are sent.

use crate::person::{ALONE, OPTION, PASSWORD, TALK, account, closes, guest, plain};
use crate::support::client::Client;
use crate::support::pty::Pty;
use crate::support::recorder::Recorder;
use crate::support::server::Server;

/// What a person does, and the lines that are sent for it. Keys and seqs are those of one run.
const LINES: &[(&str, &[&str])] = &[
    ("start with `--name nina`", &["NAME nina"]),
    ("start with `--login nina`", &["LOGIN nina password"]),
    ("1. Get user list", &["LIST"]),
    ("2. Send a message: `hi`, to `jose`", &["MSG @key jose hi"]),
    ("3. Get my messages", &["INBOX", "ACK 1"]),
    ("4. Create a new channel: `23456`", &["CREATE #23456", "LIST #23456", "CHANNELS #23456"]),
    ("5. Chat in a channel: `23456`", &["JOIN #23456", "HISTORY #23456 10", "LIST #23456", "CHANNELS #23456", "SET #23456"]),
    (
        "the same with an account",
        &["JOIN #23456", "HISTORY #23456 unread", "HISTORY #23456 10", "LIST #23456", "CHANNELS #23456", "SET #23456"],
    ),
    ("in the channel: `hello`", &["SAY @key #23456 hello"]),
    ("the same with an account, after others", &["SAY @key #23456 hello", "ACK #23456 1"]),
    ("in the channel: `#jose hi`", &["MSG @key jose hi"]),
    ("in the channel: `#kick jose rude`", &["KICK #23456 jose rude"]),
    ("in the channel: `#ban jose for 2h`", &["BAN #23456 jose for 2h"]),
    ("in the channel: `#unban jose`", &["UNBAN #23456 jose"]),
    ("in the channel: `#bye`", &["LEAVE #23456"]),
    ("in the channel: `#exit`", &["CHANNELS #23456", "CLOSE #23456"]),
    ("7. Talk with one user: `jose`", &["WHOIS jose", "HISTORY 1000 20"]),
    ("in the talk: `hi`", &["MSG @key 1000 hi"]),
    ("in the talk: `#bye`", &["INBOX"]),
    ("8. Search messages: in `jose` for `hi`", &["SEARCH jose hi"]),
    ("6. Disconnect from server", &["QUIT"]),
    ("reconnect as a guest", &["NAME nina", "JOIN #23456", "HISTORY #23456 1000 since 1"]),
    ("reconnect with an account", &["LOGIN nina password", "JOIN #23456", "HISTORY #23456 1000 since 1"]),
];

/// A line without what differs from run to run.
fn steady(line: &str) -> String {
    let word = |word: &str| match word {
        word if word.starts_with("@menu-") => "@key".to_owned(),
        word if word.len() < 4 && word != "0" && word.parse::<u64>().is_ok() => "1".to_owned(),
        word => word.to_owned(),
    };
    if line.starts_with("HISTORY ") && !line.contains(" since ") {
        return line.to_owned();
    }
    line.replace(PASSWORD, "password").split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn sent(proxy: &Recorder, step: &str) {
    let lines: Vec<String> = proxy.sent().iter().map(|line| steady(line)).collect();
    let expected = LINES.iter().find(|(name, _)| *name == step).unwrap_or_else(|| panic!("no row: {step}")).1;
    assert_eq!(lines, expected, "{step}");
}

/// Reconnects in a channel and goes back to the menu.
fn reconnects(person: &mut Pty, proxy: &Recorder, step: &str) {
    proxy.sent();
    proxy.cut();
    person.sees("Reconnect? (y/n)");
    person.enters("y");
    person.sees("Connected again.");
    person.asks(TALK);
    sent(proxy, step);
}

/// Puts Jose out, keeps him out, and takes that back.
fn orders(nina: &mut Pty, jose: &mut Client, proxy: &Recorder) {
    jose.ok("JOIN #23456");
    nina.sees("jose joined");
    for (order, done) in
        [("#kick jose rude", "was put out"), ("#ban jose for 2h", "is kept out"), ("#unban jose", "may come in")]
    {
        nina.enters(order);
        nina.sees(&format!("(jose {done}"));
        sent(proxy, &format!("in the channel: `{order}`"));
        nina.asks(TALK);
    }
}

/// Talks with Jose, and searches for what was said.
fn talks_and_searches(nina: &mut Pty, proxy: &Recorder) {
    nina.answers(OPTION, "7");
    nina.answers("Enter the user's name or id: ", "jose");
    nina.asks(TALK);
    sent(proxy, "7. Talk with one user: `jose`");
    nina.enters("hi");
    nina.asks(TALK);
    sent(proxy, "in the talk: `hi`");
    nina.enters("#bye");
    nina.asks(OPTION);
    sent(proxy, "in the talk: `#bye`");
    nina.answers(OPTION, "8");
    nina.answers("Enter the channel or user to search in (empty for all): ", "jose");
    nina.answers("Enter the words to search for: ", "hi");
    nina.asks(OPTION);
    sent(proxy, "8. Search messages: in `jose` for `hi`");
}

#[test]
fn every_option_sends_its_lines_and_no_other() {
    let server = Server::start(&[]);
    let proxy = Recorder::start(server.address());
    let mut jose = plain(&server, "jose");
    let mut nina = guest(&proxy.address(), "nina");
    nina.asks(OPTION);
    sent(&proxy, "start with `--name nina`");
    nina.answers(OPTION, "1");
    nina.sees("Users in server: ");
    nina.asks(OPTION);
    sent(&proxy, "1. Get user list");
    nina.answers(OPTION, "2");
    nina.answers("Enter your message: ", "hi");
    nina.answers("Enter recipient id: ", "jose");
    nina.sees("Message sent!");
    nina.asks(OPTION);
    sent(&proxy, "2. Send a message: `hi`, to `jose`");
    jose.ok("MSG nina hello");
    nina.sees("New message from jose");
    nina.answers(OPTION, "3");
    nina.sees("hello (from: jose)");
    nina.asks(OPTION);
    sent(&proxy, "3. Get my messages");
    nina.answers(OPTION, "4");
    nina.answers("Enter the new channel id: ", "23456");
    nina.sees(ALONE);
    nina.asks(TALK);
    sent(&proxy, "4. Create a new channel: `23456`");
    jose.ok("JOIN #23456");
    jose.ok("SAY #23456 hello");
    nina.sees("jose> hello");
    nina.enters("#bye");
    nina.sees("You left the channel.");
    nina.asks(OPTION);
    sent(&proxy, "in the channel: `#bye`");
    nina.answers(OPTION, "5");
    nina.answers("Enter the channel id to join: ", "23456");
    nina.sees("In the channel: jose:");
    nina.asks(TALK);
    sent(&proxy, "5. Chat in a channel: `23456`");
    nina.enters("hello");
    nina.asks(TALK);
    sent(&proxy, "in the channel: `hello`");
    nina.enters("#jose hi");
    nina.sees("(private message sent to jose)");
    sent(&proxy, "in the channel: `#jose hi`");
    nina.asks(TALK);
    reconnects(&mut nina, &proxy, "reconnect as a guest");
    jose.ok("LEAVE #23456");
    nina.sees("You are the admin now");
    orders(&mut nina, &mut jose, &proxy);
    closes(&mut nina, "23456");
    nina.asks(OPTION);
    sent(&proxy, "in the channel: `#exit`");
    talks_and_searches(&mut nina, &proxy);
    nina.enters("6");
    assert_eq!(nina.ends(), 0);
    sent(&proxy, "6. Disconnect from server");
}

#[test]
fn an_account_sends_its_lines_and_no_other() {
    let server = Server::start(&[]);
    let proxy = Recorder::start(server.address());
    let mut jose = plain(&server, "jose");
    jose.ok("CREATE #23456");
    jose.ok("SAY #23456 hello");
    let mut nina = account(&server, &proxy.address(), "nina");
    nina.asks(OPTION);
    sent(&proxy, "start with `--login nina`");
    nina.answers(OPTION, "5");
    nina.answers("Enter the channel id to join: ", "#23456");
    nina.sees("In the channel: jose:");
    nina.asks(TALK);
    sent(&proxy, "the same with an account");
    jose.ok("SAY #23456 welcome");
    nina.sees("jose> welcome");
    nina.enters("hello");
    nina.asks(TALK);
    sent(&proxy, "the same with an account, after others");
    reconnects(&mut nina, &proxy, "reconnect with an account");
}

#[test]
fn mistakes_that_the_grammar_forbids_are_not_sent_at_all() {
    let server = Server::start(&[]);
    let proxy = Recorder::start(server.address());
    let mut nina = Pty::start(&[&proxy.address(), "--name", "7up"]);
    nina.sees("Not done: ");
    nina.answers("Enter a username: ", "a b");
    nina.answers("Enter a username: ", "");
    nina.answers("Enter a username: ", "nina");
    nina.answers(OPTION, "9");
    for (option, question) in [("4", "Enter the new channel id: "), ("5", "Enter the channel id to join: ")] {
        for wrong in ["", "#", "##x", "no/name", "a b c", "x \u{e9}"] {
            nina.answers(OPTION, option);
            nina.answers(question, wrong);
            nina.sees("Not done: ");
        }
    }
    nina.answers(OPTION, "2");
    nina.answers("Enter your message: ", "hi");
    nina.answers("Enter recipient id: ", "no/body");
    nina.sees("Not sent: ");
    nina.asks(OPTION);
    assert_eq!(proxy.sent(), ["NAME nina"]);
}

#[test]
fn the_page_of_clients_shows_the_table() {
    let page = include_str!("../../grammar/CLIENTS.md");
    for (step, lines) in LINES {
        let lines: Vec<String> = lines.iter().map(|line| format!("`{line}`")).collect();
        let row = format!("| {step} | {} |\n", lines.join(" "));
        assert!(page.contains(&row), "the page should have:\n{row}");
    }
    assert!(include_str!("../../README.md").contains("(tests/recordings/menu.svg)"));
}
