//! `linechat menu` at a terminal: the six options, each with its prompts, its success and its mistakes.

mod support;

use support::pty::Pty;
use support::server::Server;

const OPTION: &str = "Your option <enter a number>: ";

/// A person who is at the menu of a server.
fn person(address: &str, name: &str) -> Pty {
    let mut pty = Pty::start(&[address, "--name", name]);
    pty.sees(&format!("Client Name: {name}"));
    pty
}

#[test]
fn the_way_in_asks_for_what_is_not_given() {
    let server = Server::start(&[]);
    let port = server.address().port().to_string();
    let mut nina = Pty::start(&[]);
    nina.answers("Enter the server IP Address: ", "127.0.0.1");
    nina.answers("Enter the server port: ", "many");
    nina.sees("many is no port");
    nina.answers("Enter the server port: ", &port);
    nina.answers("Enter a username: ", "7up");
    nina.sees("Not done: a name is 1 to 32 letters");
    nina.answers("Enter a username: ", "Nina");
    nina.sees(&format!("Successfully connected to server: 127.0.0.1/{port}"));
    nina.sees("Client Name: Nina");
    nina.sees("Client ID: 1000");
    nina.sees("****** TCP CHAT ******");
    let menu = [
        "-----------------------",
        "Client id: 1000",
        "Options Available:",
        "1. Get user list",
        "2. Send a message",
        "3. Get my messages",
        "4. Create a new channel",
        "5. Chat in a channel with your friends",
        "6. Disconnect from server",
    ];
    menu.iter().for_each(|line| assert_eq!(nina.sees(line), *line));
    nina.answers(OPTION, "6");
    nina.sees("Disconnected. Goodbye!");
    assert_eq!(nina.ends(), 0);
    assert_eq!(server.connect().ask("LIST").len(), 2, "the server has forgotten the guest");
}

#[test]
fn a_message_is_sent_and_read_once() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    let (mut nina, mut jose) = (person(&address, "nina"), person(&address, "jose"));
    nina.answers(OPTION, "1");
    assert_eq!(nina.sees("Users in server: "), "Users in server: nina:1000, jose:1001");
    nina.answers(OPTION, "3");
    nina.sees("You have no new messages.");
    jose.answers(OPTION, "2");
    jose.answers("Enter your message: ", "  Hello World! \u{1f642}");
    jose.answers("Enter recipient id: ", "1000");
    jose.sees("Message sent!");
    assert_eq!(nina.sees("New message"), "New message from jose:   Hello World! \u{1f642} (option 3 shows your messages)");
    nina.answers(OPTION, "3");
    nina.sees("My messages:");
    let line = nina.sees("Hello");
    assert!(line.ends_with(":   Hello World! \u{1f642} (from: jose)") && line.as_bytes()[..16].is_ascii(), "{line}");
    nina.answers(OPTION, "3");
    nina.sees("You have no new messages.");
}
