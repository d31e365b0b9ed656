//! Chatting in a channel: live above the line being typed, exact words, and how it ends.

use crate::person::{ALONE, OPTION, TALK, closes, creates, guest, joins, plain};
use crate::support::pty::Pty;
use crate::support::server::Server;

/// Nina, who created the channel 23456, and Alice, who joined it.
fn two() -> (Server, Pty, Pty) {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    let (mut nina, mut alice) = (guest(&address, "Nina"), guest(&address, "Alice"));
    creates(&mut nina, "23456");
    joins(&mut alice, "#23456");
    nina.sees("Alice joined");
    (server, nina, alice)
}

#[test]
fn a_channel_says_where_one_is_and_with_whom() {
    let (_server, nina, alice) = two();
    let shown = |pty: &Pty, line: &str| assert!(pty.screen().iter().any(|shown| shown == line), "{line}: {:#?}", pty.screen());
    let heading = format!("{} Channel 23456 {}", "-".repeat(22), "-".repeat(23));
    for pty in [&nina, &alice] {
        shown(pty, &heading);
        shown(pty, "Admin: Nina:1000");
    }
    shown(&nina, ALONE);
    shown(&nina, "Type #bye to leave, #exit to close the channel, #name and a text for a private message.");
    shown(&alice, "In the channel: Nina:1000, Alice:1001");
    shown(&alice, "#help shows more. Ctrl-C clears the line; Ctrl-D shows the menu, while you stay here.");
    shown(&alice, "Type #bye to leave, #name and a text for a private message.");
}

#[test]
fn what_others_say_appears_above_a_line_that_is_not_garbled() {
    let (_server, mut nina, mut alice) = two();
    nina.types("I type ha");
    nina.sees_at_the_cursor("> I type ha");
    for number in 0..20 {
        alice.enters(&format!("Hello {number}"));
        nina.sees(&format!("Alice> Hello {number}"));
        alice.asks(TALK);
    }
    nina.sees_at_the_cursor("> I type ha");
    nina.enters("lf a line");
    assert_eq!(alice.sees("Nina> "), "Nina> I type half a line");
    nina.asks(TALK);
    assert!(nina.screen().contains(&"> I type half a line".to_owned()), "{:#?}", nina.screen());
}

#[test]
fn keys_edit_the_line_and_bring_back_earlier_ones() {
    let (_server, mut nina, mut alice) = two();
    nina.enters("wrld\u{1b}[D\u{1b}[D\u{1b}[Do\u{1}hello \u{5}!!\u{7f}");
    assert_eq!(alice.sees("Nina> "), "Nina> hello world!");
    nina.asks(TALK);
    nina.types("\u{1b}[A");
    nina.sees_at_the_cursor("> hello world!");
    nina.enters(" again");
    assert_eq!(alice.sees("Nina> "), "Nina> hello world! again");
}

#[test]
fn only_exact_words_leave() {
    let (_server, mut nina, mut alice) = two();
    for talk in ["goodbye #bye", "bye", " #byebye", "exit", "say #exit", "6"] {
        alice.asks(TALK);
        alice.enters(talk);
        assert_eq!(nina.sees("Alice> "), format!("Alice> {talk}"));
    }
    alice.asks(TALK);
    alice.enters("#bye");
    alice.sees("You left the channel.");
    nina.sees("Alice left the channel.");
    alice.asks(OPTION);
}

#[test]
fn a_private_message_is_private() {
    let (server, mut nina, mut alice) = two();
    let mut bob = plain(&server, "bob");
    bob.ok("JOIN #23456");
    alice.sees("bob joined");
    alice.enters("#nina  just for you ");
    assert_eq!(nina.sees("(private)"), "(private) Alice>  just for you ");
    alice.sees("(private message sent to nina)");
    for to in ["1000", "Nina:1000"] {
        alice.asks(TALK);
        alice.enters(&format!("#{to} to {to}"));
        assert_eq!(nina.sees("(private)"), format!("(private) Alice> to {to}"));
    }
    alice.asks(TALK);
    alice.enters("#nobody hello?");
    alice.sees("Not sent: ");
    alice.enters("aloud");
    assert!(bob.event("MSG ").ends_with(" aloud"), "and nothing private before it");
    bob.ok("MSG alice and back");
    alice.sees("(private) bob> and back");
}

#[test]
fn only_the_admin_closes_and_everyone_is_back_at_the_menu_even_with_half_a_line() {
    let (_server, mut nina, mut alice) = two();
    alice.enters("#exit");
    alice.sees("Only the channel's admin can close it; #bye leaves it.");
    alice.asks(TALK);
    alice.types("6 half a li");
    alice.sees_at_the_cursor("> 6 half a li");
    closes(&mut nina, "23456");
    nina.asks(OPTION);
    alice.sees("Channel 23456 closed by admin.");
    alice.sees("****** TCP CHAT ******");
    alice.sees_at_the_cursor("> 6 half a li");
    alice.enters("ne");
    alice.sees("Not sent, the channel is closed: 6 half a line");
    alice.answers(OPTION, "1");
    alice.sees("Users in server: Nina:1000, Alice:1001");
}

#[test]
fn who_has_typed_nothing_answers_the_menu_at_once() {
    let (_server, mut nina, mut alice) = two();
    closes(&mut nina, "23456");
    alice.sees("Channel 23456 closed by admin.");
    alice.sees(OPTION.trim_end());
    alice.enters("1");
    alice.sees("Users in server: Nina:1000, Alice:1001");
}

#[test]
fn who_inherits_a_channel_is_told() {
    let (_server, mut nina, mut alice) = two();
    nina.enters("#bye");
    alice.sees("Nina left the channel.");
    alice.sees("You are the admin now; #exit closes the channel.");
    closes(&mut alice, "23456");
    alice.asks(OPTION);
}

#[test]
fn letters_of_all_widths_arrive_as_they_are() {
    let (_server, mut nina, mut alice) = two();
    for text in [
        "\u{65e5}\u{672c}\u{8a9e} \u{1f642}",
        "e\u{301}a\u{308} n\u{303}",
        "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}!",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
    ] {
        nina.types(text);
        alice.enters("meanwhile");
        nina.sees("Alice> meanwhile");
        nina.enters("");
        assert_eq!(alice.sees("Nina> "), format!("Nina> {text}"));
        nina.asks(TALK);
        alice.asks(TALK);
    }
    nina.types("\u{65e5}\u{672c}x\u{7f}\u{7f}\u{7f}\u{1f642}\u{7f}ok");
    nina.sees_at_the_cursor("> ok");
}

#[test]
fn a_burst_while_lines_end_neither_hangs_nor_loses_anything() {
    let (server, mut nina, _alice) = two();
    let mut bob = plain(&server, "bob");
    bob.ok("JOIN #23456");
    nina.sees("bob joined");
    for round in 0..40 {
        let lines: String = (0..10).map(|number| format!("SAY #23456 burst {}.\n", 10 * round + number)).collect();
        bob.write(lines.as_bytes());
        nina.types(&format!("mine {round}.\r"));
    }
    let mut heard = Vec::new();
    while heard.len() < 40 {
        let line = bob.line();
        heard.extend(line.split_once(" mine ").map(|(_, number)| number.to_owned()));
    }
    assert_eq!(heard, (0..40).map(|number| format!("{number}.")).collect::<Vec<_>>());
    nina.types("the end\r");
    bob.event("MSG ");
    bob.ok("SAY #23456 over");
    nina.sees("bob> over");
    nina.asks(TALK);
    let screen = nina.screen();
    for number in 0..400 {
        let line = format!("bob> burst {number}.");
        assert_eq!(screen.iter().filter(|shown| **shown == line).count(), 1, "{line}");
    }
}
