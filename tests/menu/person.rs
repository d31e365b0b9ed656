//! People at the menu of a server, and one who watches from a plain connection.

use crate::support::client::Client;
use crate::support::pty::Pty;
use crate::support::server::Server;

/// The menu's prompt.
pub const OPTION: &str = "Your option <enter a number>: ";
/// The prompt in a channel.
pub const TALK: &str = "> ";
/// What says that a channel was entered.
pub const ALONE: &str = "Waiting for other users to join....";
/// The password of every account of these tests.
pub const PASSWORD: &str = "correct horse battery";

/// A guest who is at the menu.
pub fn guest(address: &str, name: &str) -> Pty {
    let mut pty = Pty::start(&[address, "--name", name]);
    pty.sees(&format!("Client Name: {name}"));
    pty
}

/// Somebody with an account who is at the menu.
pub fn account(server: &Server, address: &str, name: &str) -> Pty {
    let mut first = server.connect();
    first.ok(&format!("REGISTER {name} {PASSWORD}"));
    first.ok("QUIT");
    let mut pty = Pty::start(&[address, "--login", name]);
    pty.answers(&format!("Password of {name}: "), PASSWORD);
    pty.sees(&format!("Client Name: {name}"));
    pty
}

/// A plain connection with a name.
pub fn plain(server: &Server, name: &str) -> Client {
    let mut client = server.connect();
    client.ok(&format!("NAME {name}"));
    client
}

/// Creates a channel by the menu and waits to be in it.
pub fn creates(person: &mut Pty, channel: &str) {
    person.answers(OPTION, "4");
    person.answers("Enter the new channel id: ", channel);
    person.sees(ALONE);
    person.asks(TALK);
}

/// Joins a channel by the menu and waits to be in it.
pub fn joins(person: &mut Pty, channel: &str) {
    person.answers(OPTION, "5");
    person.answers("Enter the channel id to join: ", channel);
    person.sees("Type #bye to leave");
    person.asks(TALK);
}

/// Closes the channel where the person is, as its admin.
pub fn closes(person: &mut Pty, channel: &str) {
    person.enters("#exit");
    person.answers(&format!("Close channel {channel} for everyone, and delete all that was said in it? (y/n) "), "y");
    person.sees(&format!("Channel {channel} closed."));
}
