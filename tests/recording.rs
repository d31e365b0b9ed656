//! The picture of a menu conversation in README is of the client as it is today. `scripts/record-menu` makes it anew.

mod support;

use std::path::Path;

use support::picture::{assert_well_formed, svg};
use support::pty::Pty;
use support::server::Server;

const PICTURE: &str = "tests/recordings/menu.svg";
const COLUMNS: u16 = 88;
const TITLE: &str = "linechat menu: Nina starts the client, creates a channel and chats with Alice";

/// Nina at a real terminal, Alice at a plain connection.
fn recorded() -> String {
    let server = Server::start(&[]);
    let port = server.address().port().to_string();
    let mut alice = server.connect();
    alice.ok("NAME Alice");
    let mut nina = Pty::start(&[]);
    nina.resizes(COLUMNS);
    nina.answers("Enter the server IP Address: ", "127.0.0.1");
    nina.answers("Enter the server port: ", &port);
    nina.answers("Enter a username: ", "Nina");
    nina.answers("Your option <enter a number>: ", "4");
    nina.answers("Enter the new channel id: ", "23456");
    nina.sees("Waiting for other users to join....");
    nina.asks("> ");
    alice.ok("JOIN #23456");
    nina.sees("Alice joined");
    nina.enters("hi Alice \u{1f642}");
    nina.asks("> ");
    alice.ok("SAY #23456 Hello! Was it you who said goodbye #bye?");
    nina.sees("Alice> ");
    nina.enters("#alice only you can read this");
    nina.sees("(private message sent to alice)");
    nina.asks("> ");
    nina.enters("#nobody are you there?");
    nina.sees("Not sent: ");
    nina.asks("> ");
    nina.types("a line that is half typed while");
    nina.sees_at_the_cursor("> a line that is half typed while");
    alice.ok("SAY #23456 I keep talking");
    nina.sees("Alice> I keep talking");
    nina.sees_at_the_cursor("> a line that is half typed while");
    nina.picture(|screen| svg(screen, TITLE, &[(port.as_str(), "12000")]))
}

#[test]
fn the_picture_is_of_today() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(PICTURE);
    let picture = recorded();
    assert_well_formed(&picture);
    if std::env::var_os("RECORD").is_some() {
        std::fs::write(&file, &picture).expect("the picture can be written");
    }
    let kept = std::fs::read_to_string(&file).expect("there is a picture; scripts/record-menu makes it");
    assert!(kept == picture, "{PICTURE} is of another day; scripts/record-menu makes it anew:\n{picture}");
}
