//! `linechat menu` at a terminal: the options, each with its prompts, its success and its mistakes.

mod support;

#[path = "menu/charge.rs"]
mod charge;
#[path = "menu/chat.rs"]
mod chat;
#[path = "menu/hostile.rs"]
mod hostile;
#[path = "menu/moves.rs"]
mod moves;
#[path = "menu/person.rs"]
mod person;
#[path = "menu/reading.rs"]
mod reading;
#[path = "menu/recovery.rs"]
mod recovery;
#[path = "menu/scripted.rs"]
mod scripted;
#[path = "menu/terminals.rs"]
mod terminals;
#[path = "menu/tls.rs"]
mod tls;
#[path = "menu/words.rs"]
mod words;
#[path = "menu/wrapper.rs"]
mod wrapper;

use person::{ALONE, OPTION, TALK, creates, guest, joins, plain};
use support::pty::Pty;
use support::server::Server;

#[test]
fn the_way_in_asks_for_what_is_not_given() {
    let server = Server::start(&[]);
    let port = server.address().port().to_string();
    let mut nina = Pty::start(&[]);
    nina.answers("Enter the server IP Address: ", "127.0.0.1");
    nina.answers("Enter the server port: ", "many");
    nina.sees("Not a port: 'many' is no port: a port is a number from 1 to 65535");
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
        "7. Talk with one user",
        "8. Search messages",
    ];
    menu.iter().for_each(|line| assert_eq!(nina.sees(line), *line));
    nina.answers(OPTION, "6");
    nina.sees("Disconnected. Goodbye!");
    assert_eq!(nina.ends(), 0);
    assert_eq!(server.connect().ask("LIST").len(), 2, "the server has forgotten the guest");
}

#[test]
fn a_server_that_is_not_there_is_asked_for_again() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free").local_addr().expect("it listens").port();
    let mut nina = Pty::start(&[]);
    nina.answers("Enter the server IP Address: ", "");
    nina.answers("Enter the server port: ", &nowhere.to_string());
    nina.sees(&format!("Cannot connect to localhost:{nowhere}: Connection refused"));
    nina.asks("Enter the server IP Address: ");
    let mut given = Pty::start(&[&format!("127.0.0.1:{nowhere}")]);
    given.sees("Connection refused");
    assert_eq!(given.ends(), 2);
}

#[test]
fn a_name_that_is_taken_is_asked_for_again() {
    let server = Server::start(&[]);
    let _ana = plain(&server, "ana");
    let mut other = Pty::start(&[&server.address().to_string(), "--name", "Ana"]);
    other.sees("Not done: ");
    other.answers("Enter a username: ", "ana b");
    other.sees("Not done: ");
    other.answers("Enter a username: ", "anna");
    other.sees("Client Name: anna");
}

#[test]
fn a_message_is_sent_and_read_once() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    let (mut nina, mut jose) = (guest(&address, "nina"), guest(&address, "jose"));
    nina.answers(OPTION, "1");
    assert_eq!(nina.sees("Users in server: "), "Users in server: nina:1000, jose:1001");
    nina.answers(OPTION, "3");
    nina.sees("You have no new messages.");
    nina.asks(OPTION);
    for to in ["1000", "nina", "nina:1000"] {
        jose.answers(OPTION, "2");
        jose.answers("Enter your message: ", &format!("  Hello {to}! \u{1f642}"));
        jose.answers("Enter recipient id: ", to);
        jose.sees("Message sent!");
        let announced = format!("New message from jose:   Hello {to}! \u{1f642} (option 3 shows your messages)");
        assert_eq!(nina.sees("New message"), announced);
    }
    nina.answers(OPTION, "3");
    nina.sees("My messages:");
    for to in ["1000", "nina", "nina:1000"] {
        let line = nina.sees("Hello");
        let (time, text) = line.split_at(16);
        assert_eq!(text, format!(":   Hello {to}! \u{1f642} (from: jose)"));
        let digits: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(digits, "0000-00-00 00:00");
    }
    nina.answers(OPTION, "3");
    nina.sees("You have no new messages.");
}

#[test]
fn a_long_inbox_is_shown_in_order_and_to_its_end() {
    let server = Server::start(&[]);
    let mut nina = guest(&server.address().to_string(), "nina");
    nina.asks(OPTION);
    let mut bob = plain(&server, "bob");
    (0..250).for_each(|number| drop(bob.ok(&format!("MSG nina number {number}."))));
    nina.sees("number 249.");
    nina.answers(OPTION, "3");
    nina.sees("My messages:");
    nina.asks(OPTION);
    let shown: Vec<String> = nina.screen().into_iter().filter(|line| line.ends_with(" (from: bob)")).collect();
    assert_eq!(shown.len(), 250);
    assert!(shown.iter().enumerate().all(|(number, line)| line.contains(&format!(": number {number}. "))), "{shown:?}");
}

#[test]
fn what_cannot_be_sent_is_never_said_to_be_sent() {
    let server = Server::start(&[]);
    let mut nina = guest(&server.address().to_string(), "nina");
    let mut sends = |text: &str, to: &str, answer: &str| {
        nina.answers(OPTION, "2");
        nina.answers("Enter your message: ", text);
        nina.answers("Enter recipient id: ", to);
        nina.sees(answer);
    };
    sends("hi", "nobody", "Not sent: ");
    sends("hi", "4711", "Not sent: ");
    sends("hi", "nina:4711", "Not sent: ");
    sends("hi", "", "Not sent: '' is no id and no name.");
    sends("hi", "nina nina", "Not sent: 'nina nina' is no id and no name.");
    sends("hi", "@key", "Not sent: '@key' is no id and no name.");
    sends("hi", "#absent", "Not sent: ");
    sends(&"x".repeat(3601), "nina", "Not sent: ");
    nina.answers(OPTION, "2");
    nina.answers("Enter your message: ", "   ");
    nina.sees("Not sent: the message is empty.");
    nina.asks(OPTION);
    assert!(!nina.screen().iter().any(|line| line.contains("Message sent!")));
    nina.answers(OPTION, "3");
    nina.sees("You have no new messages.");
}

#[test]
fn options_that_are_none_and_channels_that_are_not_there() {
    let server = Server::start(&[]);
    let mut nina = guest(&server.address().to_string(), "nina");
    for wrong in ["9", "0", "one", "11", "-1", "LIST"] {
        nina.answers(OPTION, wrong);
        nina.sees(&format!("'{wrong}' is no option: enter a number from 1 to 8."));
    }
    nina.answers(OPTION, "");
    nina.answers(OPTION, " 5 ");
    nina.answers("Enter the channel id to join: ", "absent");
    nina.sees("Not done: ");
    nina.answers(OPTION, "5");
    nina.answers("Enter the channel id to join: ", "");
    nina.sees("Not done: ");
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #taken");
    nina.answers(OPTION, "4");
    nina.answers("Enter the new channel id: ", "Taken");
    nina.sees("Not done: #taken exists already; option 5 joins it.");
    nina.answers(OPTION, "4");
    nina.answers("Enter the new channel id: ", "no/name");
    nina.sees("Not done: ");
    nina.asks(OPTION);
}

#[test]
fn a_channel_with_a_key_opens_to_who_knows_it() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    let (mut nina, mut jose) = (guest(&address, "nina"), guest(&address, "jose"));
    nina.answers(OPTION, "4");
    nina.answers("Enter the new channel id: ", "#attic up-the-ladder");
    nina.answers("Create channel attic, which only lets in who knows the password 'up-the-ladder'? (y/n) ", "y");
    assert!(nina.sees("Channel").contains("- Channel attic -"));
    nina.sees(ALONE);
    nina.asks(TALK);
    jose.answers(OPTION, "5");
    jose.answers("Enter the channel id to join: ", "attic");
    jose.sees("Not done: #attic needs a key; type it after the channel's name.");
    jose.answers(OPTION, "5");
    jose.answers("Enter the channel id to join: ", "attic wrong");
    jose.sees("Not done: that is not the key of #attic");
    joins(&mut jose, "attic up-the-ladder");
    jose.enters("it is dusty here");
    nina.sees("jose> it is dusty here");
}

#[test]
fn ctrl_c_and_ctrl_d_take_back_one_step_at_a_time() {
    let server = Server::start(&[]);
    let mut nina = guest(&server.address().to_string(), "nina");
    for key in ["\u{3}", "\u{4}"] {
        nina.answers(OPTION, "2");
        nina.asks("Enter your message: ");
        nina.types(key);
        nina.sees("****** TCP CHAT ******");
    }
    nina.asks(OPTION);
    nina.types("6");
    nina.sees_at_the_cursor(&format!("{OPTION}6"));
    nina.ends_the_line("\u{3}");
    nina.asks(OPTION);
    nina.types("\u{3}");
    nina.sees("Disconnected. Goodbye!");
    assert_eq!(nina.ends(), 0);
}

#[test]
fn ctrl_c_and_ctrl_d_leave_no_channel() {
    let server = Server::start(&[]);
    let (mut nina, mut bob) = (guest(&server.address().to_string(), "nina"), plain(&server, "bob"));
    creates(&mut nina, "mine");
    bob.ok("JOIN #mine");
    nina.sees("bob joined");
    nina.types("not this");
    nina.sees_at_the_cursor("> not this");
    nina.ends_the_line("\u{3}");
    nina.asks(TALK);
    nina.ends_the_line("\u{3}");
    nina.sees("(Ctrl-C clears the line; Ctrl-D shows the menu, while you stay here. #bye leaves.)");
    nina.asks(TALK);
    nina.types("\u{4}");
    nina.sees("You are still in channel mine, and see here what is said there; option 5 goes back.");
    nina.sees("****** TCP CHAT ******");
    bob.ok("SAY #mine where are you?");
    nina.sees("[mine] bob> where are you?");
    assert!(bob.ask("CHANNELS #mine").concat().contains(" nina:1000"), "it is hers as before");
    joins(&mut nina, "mine");
    assert!(nina.screen().contains(&"bob> where are you?".to_owned()));
    nina.enters("here");
    assert!(bob.event("MSG ").ends_with(" here"), "and she never left");
}

#[test]
fn a_channel_with_two_words_is_made_only_after_a_question() {
    let server = Server::start(&[]);
    let mut nina = guest(&server.address().to_string(), "nina");
    for no in ["n", "", "my-room"] {
        nina.answers(OPTION, "4");
        nina.answers("Enter the new channel id: ", "my room");
        nina.answers("Create channel my, which only lets in who knows the password 'room'? (y/n) ", no);
        nina.sees("Nothing was created. A channel's id is one word, such as my-room.");
    }
    nina.answers(OPTION, "4");
    nina.answers("Enter the new channel id: ", "my own room");
    nina.sees("Not done: a channel's id is one word; only its password may follow.");
    nina.asks(OPTION);
    assert_eq!(server.connect().ask("CHANNELS"), ["OK CHANNELS 0"]);
}

#[test]
fn what_is_wrong_with_an_address_is_told() {
    let server = Server::start(&[]);
    let wrong = [
        ("localhost:99999", "'99999' is no port: a port is a number from 1 to 65535; most servers use 12000."),
        ("localhost:abc", "'abc' is no port: a port is a number from 1 to 65535; most servers use 12000."),
        ("::1:21000", "'::1:21000' is no address: with a port it is written [::1]:21000."),
        ("http://localhost:12000", "this is no web address: type it without http://, as localhost:12000."),
    ];
    let mut nina = Pty::start(&[]);
    for (address, told) in wrong {
        nina.answers("Enter the server IP Address: ", address);
        assert_eq!(nina.sees("Not a server: "), format!("Not a server: {told}"));
        let mut given = Pty::start(&[address]);
        assert_eq!(given.sees("No connection: "), format!("No connection: {told}"));
        assert_eq!(given.ends(), 2);
        let output = scripted::run(&[address, "-c", "PING"], "");
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(String::from_utf8_lossy(&output.stderr), format!("linechat: {}\n", told.trim_end_matches('.')));
    }
    nina.answers("Enter the server IP Address: ", &server.address().to_string());
    nina.answers("Enter a username: ", "nina");
    nina.sees("Client Name: nina");
}

#[test]
fn ctrl_d_at_the_menu_leaves() {
    let server = Server::start(&[]);
    let mut nina = guest(&server.address().to_string(), "nina");
    nina.asks(OPTION);
    nina.types("\u{4}");
    nina.sees("Disconnected. Goodbye!");
    assert_eq!(nina.ends(), 0);
}
