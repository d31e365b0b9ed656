//! What a person reads: what is unread when they come, a conversation with one user, and what a search finds.

use crate::person::{OPTION, PASSWORD, TALK, account, guest, joins, plain};
use crate::support::client::Client;
use crate::support::pty::Pty;
use crate::support::recorder::Recorder;
use crate::support::server::Server;
use crate::support::wait::until;

fn count(person: &Pty, line: &str) -> usize {
    person.screen().iter().filter(|shown| *shown == line).count()
}

/// A server, Bob in his channel `den`, and Nina's account, which is a member of it and not connected.
fn den() -> (Server, Client) {
    let server = Server::start(&["--limit", "announce-after-seconds=0"]);
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #den");
    let mut phone = server.connect();
    phone.ok(&format!("REGISTER nina {PASSWORD}"));
    phone.ok("JOIN #den");
    phone.ok("QUIT");
    bob.event("LEAVE ");
    (server, bob)
}

fn logs_in(address: &str) -> Pty {
    let mut nina = Pty::start(&[address, "--login", "nina"]);
    nina.answers("Password of nina: ", PASSWORD);
    nina.sees("Client Name: nina");
    nina
}

#[test]
fn an_account_is_told_what_is_unread_and_reads_it_once() {
    let (server, mut bob) = den();
    (1..=3).for_each(|number| drop(bob.ok(&format!("SAY #den number {number}."))));
    let mut nina = logs_in(&server.address().to_string());
    nina.sees("Unread in #den: 3");
    joins(&mut nina, "den");
    assert_eq!((1..=3).map(|number| count(&nina, &format!("bob> number {number}."))).sum::<usize>(), 3);
    assert_eq!(nina.screen().iter().filter(|line| line.starts_with("Unread, since ")).count(), 1);
    bob.ok("SAY #den live");
    nina.sees("bob> live");
    drop(nina);
    bob.event("LEAVE ");
    let mut again = logs_in(&server.address().to_string());
    again.sees("Unread in #den: 1");
    joins(&mut again, "den");
    let shown = again.screen();
    let at = |start: &str| shown.iter().position(|line| line.starts_with(start)).expect(start);
    let marks = ["Said last, since ", "bob> number 3.", "Unread, since ", "bob> live"].map(at);
    assert!(marks.is_sorted(), "what was read stands before what was not: {marks:?}");
    bob.ok("SAY #den and this");
    again.sees("bob> and this");
    again.enters("I have seen it");
    again.asks(TALK);
    drop(again);
    bob.event("LEAVE ");
    let mut last = logs_in(&server.address().to_string());
    last.asks(OPTION);
    assert!(!last.screen().iter().any(|line| line.starts_with("Unread")), "{:#?}", last.screen());
}

#[test]
fn of_very_much_the_last_is_shown_and_what_follows_once() {
    let (server, mut bob) = den();
    (0..150).for_each(|number| drop(bob.ok(&format!("SAY #den number {number}."))));
    let proxy = Recorder::start(server.address());
    let mut nina = logs_in(&proxy.address());
    nina.sees("Unread in #den: 150");
    joins(&mut nina, "den");
    let heard = |person: &Pty| -> Vec<String> {
        person.screen().iter().filter_map(|line| line.strip_prefix("bob> number ").map(str::to_owned)).collect()
    };
    assert_eq!(heard(&nina), (50..150).map(|number| format!("{number}.")).collect::<Vec<_>>());
    proxy.cut();
    nina.sees("Reconnect? (y/n)");
    bob.ok("SAY #den number 150.");
    nina.enters("y");
    nina.sees("bob> number 150.");
    nina.asks(TALK);
    assert_eq!(heard(&nina), (50..151).map(|number| format!("{number}.")).collect::<Vec<_>>());
}

#[test]
fn a_guest_finds_the_room_not_empty() {
    let (server, mut bob) = den();
    (0..12).for_each(|number| drop(bob.ok(&format!("SAY #den number {number}."))));
    let mut jose = guest(&server.address().to_string(), "jose");
    joins(&mut jose, "den");
    let shown = (0..12).filter(|number| count(&jose, &format!("bob> number {number}.")) == 1).collect::<Vec<_>>();
    assert_eq!(shown, (2..12).collect::<Vec<_>>());
    assert!(jose.screen().iter().any(|line| line.starts_with("Said last, since ")));
}

#[test]
fn a_talk_with_one_user_is_shown_and_goes_on_with_nobody_else() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    let mut nina = account(&server, &address, "nina");
    let (mut bob, mut carol) = (plain(&server, "bob"), plain(&server, "carol"));
    bob.ok("MSG nina are you there?");
    nina.sees("New message from bob");
    nina.answers(OPTION, "7");
    nina.answers("Enter the user's name or id: ", "nobody");
    nina.sees("Not done: ");
    bob.ok("AWAY back at two");
    nina.answers(OPTION, "7");
    nina.answers("Enter the user's name or id: ", "Bob");
    assert!(nina.sees("Talk with").contains("- Talk with bob -"));
    nina.sees("Type #bye to leave. What you type goes to bob alone; #help shows what else there is.");
    nina.sees("(bob is away: back at two)");
    assert_eq!(nina.sees("are you there?"), "bob> are you there?");
    nina.asks(TALK);
    nina.enters("here I am");
    assert!(bob.event("MSG ").ends_with(" here I am"));
    nina.asks(TALK);
    bob.ok("NAME robert");
    bob.ok("MSG nina I have another name");
    assert_eq!(nina.sees("another name"), "robert> I have another name");
    nina.enters("no matter");
    assert!(bob.event("MSG ").ends_with(" no matter"));
    carol.ok("MSG nina and I am carol");
    assert_eq!(nina.sees("carol"), "(private) carol> and I am carol");
    nina.asks(TALK);
    nina.enters("#bye");
    nina.answers(OPTION, "3");
    nina.sees("My messages:");
    assert!(nina.sees("(from: ").ends_with(": and I am carol (from: carol)"), "what was shown in the talk is read");
    assert!(!carol.ask("INBOX").iter().any(|line| line.starts_with("- MSG ")));
}

#[test]
fn a_search_shows_what_it_finds_and_says_that_there_is_more() {
    let (server, mut bob) = den();
    bob.ok("SAY #den The borrow checker");
    let mut nina = logs_in(&server.address().to_string());
    let ask = |nina: &mut Pty, place: &str, words: &str| {
        nina.answers(OPTION, "8");
        nina.answers("Enter the channel or user to search in (empty for all): ", place);
        nina.answers("Enter the words to search for: ", words);
    };
    bob.ok("MSG nina a checker of borrows");
    nina.sees("New message from bob");
    // The index follows what is said.
    until("the index", || bob.ask("SEARCH * checker").last().is_some_and(|line| line == "OK SEARCH 2").then_some(()));
    ask(&mut nina, "", "checker");
    nina.sees("Found:");
    assert!(nina.sees("(from: ").ends_with(": a checker of borrows (from: bob, to nina)"));
    assert!(nina.sees("(from: ").ends_with(": The borrow checker (from: bob, in #den)"));
    ask(&mut nina, "#den", "checker");
    assert!(nina.sees("(from: ").ends_with("(from: bob, in #den)"));
    ask(&mut nina, "", "checker limit:1");
    nina.sees("There are older ones: add before:");
    ask(&mut nina, "#den", "lifetime");
    nina.sees("Nothing was found.");
    ask(&mut nina, "the den", "checker");
    nina.sees("Not done: 'the den' is no channel and no user.");
    ask(&mut nina, "#den", "");
    nina.sees("Not done: ");
}
