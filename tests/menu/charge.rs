//! Those in charge of a channel, and what becomes of those whom they put out.

use crate::person::{ALONE, OPTION, PASSWORD, TALK, account, creates, guest, joins, plain};
use crate::support::pty::Pty;
use crate::support::recorder::Recorder;
use crate::support::server::Server;

const ORDERS: &str = "#kick and a name puts somebody out";

/// Nina, whose channel `den` is, and Alice, who joined it.
fn two() -> (Server, Pty, Pty) {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    let (mut nina, mut alice) = (guest(&address, "nina"), guest(&address, "alice"));
    creates(&mut nina, "den");
    joins(&mut alice, "den");
    nina.sees("alice joined");
    (server, nina, alice)
}

#[test]
fn whoever_is_put_out_is_told_why_and_is_back_at_the_menu() {
    let (server, mut nina, mut alice) = two();
    let mut bob = plain(&server, "bob");
    bob.ok("JOIN #den");
    nina.sees("bob joined");
    alice.types("6 half a li");
    alice.sees_at_the_cursor("> 6 half a li");
    nina.enters("#kick alice please calm down");
    nina.sees("(alice was put out)");
    alice.sees("You were put out of the channel by nina: please calm down.");
    alice.sees("****** TCP CHAT ******");
    alice.sees_at_the_cursor("> 6 half a li");
    alice.enters("ne");
    alice.sees("Not sent, you are not in the channel any more: 6 half a line");
    joins(&mut alice, "den");
    nina.asks(TALK);
    nina.enters("#kick bob");
    assert_eq!(alice.sees("bob was put out"), "bob was put out by nina.");
}

#[test]
fn lines_that_were_typed_ahead_are_never_taken_for_options() {
    let (server, mut nina, _alice) = two();
    let proxy = Recorder::start(server.address());
    let mut carol = account(&server, &proxy.address(), "carol");
    joins(&mut carol, "den");
    nina.sees("carol joined");
    proxy.swallow("OK SAY");
    carol.enters("\u{1b}[200~a word\n6\u{1b}[201~");
    nina.sees("carol> a word");
    carol.sees("Reconnect? (y/n)");
    nina.sees("carol left");
    nina.enters("#ban carol for 1h loud");
    nina.sees("(carol is kept out)");
    carol.enters("y");
    carol.sees("You are not in channel den any more: you are banned from #den by nina");
    carol.sees("Not sent, you are not in the channel any more: 6");
    carol.asks(OPTION);
}

#[test]
fn a_ban_says_until_when_and_keeps_out_until_it_is_taken_back() {
    let (server, mut nina, mut alice) = two();
    // An account: with a guest their address is kept out, which here is everybody's.
    let mut bob = server.connect();
    bob.ok(&format!("REGISTER bob {PASSWORD}"));
    bob.ok("JOIN #den");
    nina.sees("bob joined");
    nina.enters("#ban bob for 2h flooding");
    nina.sees("(bob is kept out)");
    let line = alice.sees("nina keeps bob out");
    let (until, why) =
        line.strip_prefix("nina keeps bob out until ").and_then(|line| line.split_at_checked(16)).expect("a time");
    assert_eq!(until.chars().filter(char::is_ascii_digit).count(), 12, "{until}");
    assert_eq!(why, ": flooding.");
    assert_eq!(alice.sees("bob was put out"), "bob was put out by nina: flooding.");
    nina.asks(TALK);
    nina.enters("#ban alice");
    alice.sees("nina keeps you out for good.");
    alice.sees("You were put out of the channel by nina.");
    alice.sees(OPTION.trim_end());
    alice.enters("5");
    alice.answers("Enter the channel id to join: ", "den");
    alice.sees("Not done: you are banned from #den by nina");
    nina.asks(TALK);
    nina.enters("#unban alice");
    nina.sees("(alice may come in again)");
    joins(&mut alice, "den");
}

#[test]
fn only_those_in_charge_are_told_how_and_nobody_else_may() {
    let (server, mut nina, mut alice) = two();
    let told = |person: &Pty| person.screen().iter().any(|line| line.starts_with(ORDERS));
    assert!(told(&nina) && !told(&alice));
    alice.enters("#kick nina");
    alice.sees("Not done: ");
    alice.asks(TALK);
    for wrong in ["#kick", "#ban", "#unban "] {
        nina.enters(wrong);
        nina.sees(&format!("Not done: type {} name", wrong.trim()));
        nina.asks(TALK);
    }
    nina.enters("#kick nobody");
    nina.sees("Not done: ");
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #hall");
    alice.enters("#bye");
    joins(&mut alice, "hall");
    bob.ok("OP #hall alice");
    alice.sees("bob made you an operator: #kick, #ban and #unban are yours now.");
    bob.ok("SET #hall slow 30");
    alice.sees("bob set slow to 30.");
    bob.ok("TOPIC #hall calm");
    alice.sees("bob set the topic: calm");
    bob.ok("DEOP #hall alice");
    alice.sees("bob took it back that you are an operator.");
}

#[test]
fn an_operator_who_comes_back_is_told_how() {
    let server = Server::start(&[]);
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #den");
    let mut dora = account(&server, &server.address().to_string(), "dora");
    joins(&mut dora, "den");
    bob.ok("OP #den dora");
    dora.sees("bob made you an operator");
    dora.asks(TALK);
    drop(dora);
    let mut again = Pty::start(&[&server.address().to_string(), "--login", "dora"]);
    again.answers("Password of dora: ", PASSWORD);
    joins(&mut again, "den");
    assert!(again.screen().iter().any(|line| line.starts_with(ORDERS)), "{:#?}", again.screen());
}

#[test]
fn what_else_happens_is_told_in_plain_words() {
    let (server, mut nina, mut alice) = two();
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #attic");
    bob.ok("INVITE #attic nina");
    nina.sees("bob invites you to #attic; option 5 joins it.");
    bob.ok("JOIN #den");
    nina.sees("bob joined");
    let said = bob.ok("SAY #den my password is swordfish");
    let seq = said.split(' ').nth(2).expect("OK SAY seq time").to_owned();
    nina.sees("bob> my password is swordfish");
    bob.ok(&format!("RETRACT {seq}"));
    nina.sees("bob took a message back.");
    bob.ok("AWAY back at two");
    nina.enters("#bob are you there?");
    nina.sees("(bob is away: back at two)");
    nina.sees("(private message sent to bob)");
    alice.enters("#bye");
    alice.answers(OPTION, "1");
    assert_eq!(alice.sees("Users in"), "Users in server: nina:1000, alice:1001, bob:1002 (away: back at two)");
    assert!(!alice.screen().iter().any(|line| line == ALONE));
}
