//! A server that goes away and comes back: what is said about it, what is shown of the time between, and that a message which
//! was being sent is neither lost nor doubled.

use crate::person::{ALONE, OPTION, PASSWORD, TALK, account, closes, creates, guest, joins, plain};
use crate::support::pty::Pty;
use crate::support::recorder::Recorder;
use crate::support::server::Server;

const LOST: &str = "The connection to the server was lost: ";
const AGAIN: &str = "Reconnect? (y/n) ";

fn count(person: &Pty, line: &str) -> usize {
    person.screen().iter().filter(|shown| *shown == line).count()
}

#[test]
fn an_account_in_a_channel_sees_what_it_missed_once() {
    let server = Server::start(&[]);
    let proxy = Recorder::start(server.address());
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #c");
    bob.ok("SAY #c before");
    let mut nina = account(&server, &proxy.address(), "nina");
    joins(&mut nina, "c");
    nina.enters("I am here");
    bob.event("MSG ");
    proxy.lead_to(None);
    proxy.cut();
    nina.sees(LOST);
    nina.sees(AGAIN.trim_end());
    bob.ok("SAY #c missed one");
    bob.ok("SAY #c missed two");
    bob.ok("MSG nina a private one");
    nina.enters("y");
    nina.sees("No connection: ");
    proxy.lead_to(Some(server.address()));
    nina.answers(AGAIN, "");
    nina.sees("Connected again. You are nina:");
    nina.sees("You have 1 unread message; option 3 shows it.");
    assert_eq!(nina.sees("missed one"), "bob> missed one");
    assert_eq!(nina.sees("missed two"), "bob> missed two");
    nina.asks(TALK);
    bob.ok("SAY #c live");
    nina.sees("bob> live");
    nina.enters("back");
    bob.event("MSG ");
    nina.asks(TALK);
    for line in ["bob> before", "bob> missed one", "bob> missed two", "bob> live"] {
        assert_eq!(count(&nina, line), 1, "{line}");
    }
    assert_eq!(count(&nina, "nina> I am here"), 0);
}

#[test]
fn what_is_said_during_the_reconnect_is_shown_once_and_in_order() {
    let server = Server::start(&["--limit", "passwords-per-minute=none"]);
    let proxy = Recorder::start(server.address());
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #c");
    let mut nina = account(&server, &proxy.address(), "nina");
    joins(&mut nina, "c");
    for round in 0..3 {
        proxy.cut();
        nina.sees(LOST);
        nina.sees(AGAIN.trim_end());
        let lines: String = (0..100).map(|number| format!("SAY #c {round}.{number}.\n")).collect();
        bob.write(lines.as_bytes());
        nina.enters("y");
        nina.sees(&format!("bob> {round}.99."));
        nina.asks(TALK);
    }
    let heard: Vec<String> = nina.screen().iter().filter_map(|line| line.strip_prefix("bob> ").map(str::to_owned)).collect();
    let said: Vec<String> = (0..3).flat_map(|round| (0..100).map(move |number| format!("{round}.{number}."))).collect();
    assert_eq!(heard, said);
}

#[test]
fn an_accounts_message_whose_answer_was_lost_is_sent_again_and_stored_once() {
    let server = Server::start(&[]);
    let proxy = Recorder::start(server.address());
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #c");
    let mut nina = account(&server, &proxy.address(), "nina");
    proxy.swallow("OK MSG");
    nina.answers(OPTION, "2");
    nina.answers("Enter your message: ", "precious");
    nina.answers("Enter recipient id: ", "bob");
    nina.sees(LOST);
    nina.answers(AGAIN, "y");
    nina.sees("Message sent!");
    assert!(proxy.received().last().is_some_and(|line| line.starts_with("OK MSG ") && line.ends_with(" dup")));
    assert_eq!(bob.ask("INBOX").last().map(String::as_str), Some("OK INBOX 1 0"));
    joins(&mut nina, "c");
    proxy.swallow("OK SAY");
    nina.enters("just once");
    nina.sees(LOST);
    nina.answers(AGAIN, "y");
    nina.sees("Connected again.");
    nina.asks(TALK);
    assert!(proxy.received().iter().any(|line| line.starts_with("OK SAY ") && line.ends_with(" dup")));
    let said = bob.ask("HISTORY #c");
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].ends_with(" just once"));
    let said: Vec<String> = proxy.sent().into_iter().filter(|line| line.starts_with("SAY ")).collect();
    assert!(said.len() == 2 && said[0] == said[1], "the same line with the same key: {said:?}");
}

#[test]
fn a_guest_is_told_that_nobody_knows_whether_it_was_sent() {
    let server = Server::start(&[]);
    let proxy = Recorder::start(server.address());
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #c");
    let mut nina = guest(&proxy.address(), "nina");
    joins(&mut nina, "c");
    proxy.swallow("OK SAY");
    nina.enters("perhaps");
    nina.sees(LOST);
    nina.answers(AGAIN, "y");
    nina.sees("Connected again. You are ");
    nina.sees("It is not known whether your message was sent: the answer to it was lost.");
    nina.asks(TALK);
    nina.enters("for sure");
    assert!(bob.event("MSG ").ends_with(" perhaps"));
    assert!(bob.event("MSG ").ends_with(" for sure"));
    assert_eq!(proxy.sent().iter().filter(|line| line.ends_with(" perhaps")).count(), 1);
}

#[test]
fn a_killed_server_is_found_again_by_an_account_with_its_channel_and_its_messages() {
    let mut server = Server::start(&[]);
    let proxy = Recorder::start(server.address());
    let mut nina = account(&server, &proxy.address(), "nina");
    creates(&mut nina, "c");
    nina.enters("kept");
    nina.asks(TALK);
    nina.types("half a li");
    nina.sees_at_the_cursor("> half a li");
    server.kill();
    nina.sees(LOST);
    nina.sees("(The line that you were typing is kept; you can go on with it afterwards.)");
    nina.asks(AGAIN);
    nina.enters("no wo");
    nina.asks(AGAIN);
    server.restart();
    proxy.lead_to(Some(server.address()));
    nina.enters("y");
    nina.sees("Connected again. You are nina:");
    nina.sees_at_the_cursor("> half a lino wo");
    nina.enters("\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}ne");
    nina.asks(TALK);
    let mut bob = plain(&server, "bob");
    bob.ok("JOIN #c");
    let said = bob.ask("HISTORY #c");
    assert!(said[0].ends_with(" kept") && said[1].ends_with(" half a line") && said.len() == 3, "{said:?}");
    nina.sees("bob joined");
    closes(&mut nina, "c");
}

#[test]
fn a_guest_at_the_menu_comes_back_with_the_same_name() {
    let mut server = Server::start(&[]);
    let proxy = Recorder::start(server.address());
    let mut nina = guest(&proxy.address(), "nina");
    nina.asks(OPTION);
    server.signal("TERM");
    nina.sees("The server says: the server is stopping");
    nina.sees(LOST);
    server.wait();
    server.restart();
    proxy.lead_to(Some(server.address()));
    nina.enters("y");
    nina.sees("Connected again. You are nina:");
    nina.answers(OPTION, "1");
    nina.sees("Users in server: nina:");
}

#[test]
fn a_guest_whose_channel_is_gone_is_back_at_the_menu() {
    let mut server = Server::start(&["--journal", "memory"]);
    let proxy = Recorder::start(server.address());
    let mut nina = guest(&proxy.address(), "nina");
    creates(&mut nina, "c");
    server.kill();
    nina.sees(LOST);
    server.restart();
    proxy.lead_to(Some(server.address()));
    nina.enters("y");
    nina.sees("You are not in channel c any more: ");
    nina.answers(OPTION, "4");
    nina.answers("Enter the new channel id: ", "c");
    nina.sees(ALONE);
}

#[test]
fn a_login_that_is_refused_makes_nobody_a_guest() {
    let server = Server::start(&["--limit", "passwords-per-minute=1"]);
    let proxy = Recorder::start(server.address());
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #c");
    let mut nina = account(&server, &proxy.address(), "nina");
    joins(&mut nina, "c");
    proxy.swallow("OK SAY");
    nina.enters("mine");
    nina.sees(LOST);
    // Somebody on the same machine guesses, and uses up what may be wrong.
    server.connect().err("LOGIN nina wrong horse battery", "LOGIN_FAILED");
    nina.answers(AGAIN, "y");
    nina.sees("; try again in ");
    nina.answers(AGAIN, "n");
    assert_eq!(nina.ends(), 2);
    assert_eq!(proxy.sent().iter().filter(|line| line.ends_with(" mine")).count(), 1);
}

#[test]
fn leaving_needs_no_server() {
    let server = Server::start(&[]);
    let proxy = Recorder::start(server.address());
    let mut nina = guest(&proxy.address(), "nina");
    nina.asks(OPTION);
    proxy.swallow("OK QUIT");
    nina.enters("6");
    nina.sees("Disconnected. Goodbye!");
    assert_eq!(nina.ends(), 0);
    let mut jose = guest(&proxy.address(), "jose");
    jose.asks(OPTION);
    proxy.cut();
    jose.sees(AGAIN.trim_end());
    jose.types("\u{3}");
    assert_eq!(jose.ends(), 2);
}

#[test]
fn messages_that_were_not_shown_stay_unread() {
    let server = Server::start(&[]);
    let proxy = Recorder::start(server.address());
    let mut bob = plain(&server, "bob");
    let mut nina = account(&server, &proxy.address(), "nina");
    nina.asks(OPTION);
    bob.ok("MSG nina unread");
    nina.sees("New message from bob: unread");
    proxy.swallow("- MSG");
    nina.answers(OPTION, "3");
    nina.sees(LOST);
    nina.answers(AGAIN, "n");
    assert_eq!(nina.ends(), 2);
    assert!(!proxy.sent().iter().any(|line| line.starts_with("ACK")));
    let mut again = server.connect();
    assert!(again.ok(&format!("LOGIN nina {PASSWORD}")).ends_with(" 1"), "one is unread");
}

#[test]
fn a_guest_who_turned_away_from_a_channel_is_in_it_again() {
    let server = Server::start(&[]);
    let proxy = Recorder::start(server.address());
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #c");
    bob.ok("CREATE #d");
    let mut nina = guest(&proxy.address(), "nina");
    for channel in ["c", "d"] {
        joins(&mut nina, channel);
        nina.enters("#menu");
        nina.sees(&format!("You are still in channel {channel}"));
    }
    bob.ok("CLOSE #d");
    nina.sees("Channel d closed by admin.");
    nina.asks(OPTION);
    proxy.cut();
    nina.sees(LOST);
    nina.answers(AGAIN, "y");
    nina.sees("Connected again. You are nina:");
    nina.asks(OPTION);
    bob.ok("SAY #c welcome back");
    nina.sees("[c] bob> welcome back");
    assert!(!proxy.sent().iter().skip_while(|line| *line != "JOIN #d").skip(1).any(|line| line == "JOIN #d"));
}
