//! Words that begin with `#` or `/`: what they do, and that none is said to everybody by mistake.

use crate::person::{OPTION, TALK, account, closes, creates, guest, joins, plain};
use crate::support::client::Client;
use crate::support::pty::Pty;
use crate::support::server::Server;

/// Nina in her channel `den`, and Bob at a plain connection.
fn two() -> (Server, Pty, Client) {
    let server = Server::start(&[]);
    let mut nina = guest(&server.address().to_string(), "nina");
    creates(&mut nina, "den");
    let mut bob = plain(&server, "bob");
    bob.ok("JOIN #den");
    nina.sees("bob joined");
    (server, nina, bob)
}

#[test]
fn a_word_that_is_none_is_answered_and_said_to_nobody() {
    let (_server, mut nina, mut bob) = two();
    for (typed, told) in [
        (
            "#bye2",
            "there is no #bye2; did you mean #bye? With a text after it, it would go to bye2 alone; ##bye2 would say it aloud",
        ),
        ("#Exit", "there is no #Exit; did you mean #exit?"),
        ("/qiut", "there is no /qiut; did you mean /quit? //qiut would say it aloud"),
        ("#bobby", "there is no #bobby. With a text after it, it would go to bobby alone; ##bobby would say it aloud"),
        ("/topic calm", "there is no /topic; //topic would say it aloud"),
        ("#exit now", "#exit stands alone"),
    ] {
        nina.asks(TALK);
        nina.enters(typed);
        nina.sees(&format!("Nothing was sent: {told}"));
    }
    nina.asks(TALK);
    nina.enters("#help");
    nina.sees("#bye         leaves the channel, or ends the talk");
    nina.sees("##hello      says #hello, and //hello says /hello");
    for (typed, said) in [("##bobby", "#bobby"), ("//quit", "/quit"), (" /quit it", " /quit it")] {
        nina.asks(TALK);
        nina.enters(typed);
        if said.starts_with(' ') {
            break;
        }
        assert!(bob.event("MSG ").ends_with(&format!(" {said}")), "and nothing before it");
    }
    nina.sees("Disconnected. Goodbye!");
    assert_eq!(nina.ends(), 0);
}

#[test]
fn the_words_of_irc_do_what_people_expect() {
    let (server, mut nina, mut bob) = two();
    bob.ok("CREATE #attic");
    bob.ok("SAY #attic dusty");
    nina.enters("/msg bob  just for you");
    nina.sees("(private message sent to bob)");
    assert!(bob.event("MSG ").ends_with(" bob:1001 nina:1000  just for you"));
    nina.enters("/msg bob");
    nina.sees("Not done: type /msg, a name, and what to tell them.");
    nina.enters("/who");
    nina.sees("In the channel: nina:1000, bob:1001");
    nina.enters("/join #nowhere");
    nina.sees("Not done: there is no channel #nowhere; option 4 makes it.");
    nina.asks(TALK);
    nina.enters("/join #attic");
    nina.sees("(You stay in channel den, too; /join den goes back.)");
    assert!(nina.sees("Channel").contains("- Channel attic -"));
    nina.sees("bob> dusty");
    nina.enters("hello");
    assert!(bob.event("MSG ").contains(" #attic nina:1000 hello"));
    bob.ok("SAY #den still there?");
    nina.sees("[den] bob> still there?");
    nina.enters("/part #den");
    nina.sees("Not done: here you are in attic; #bye leaves it.");
    nina.enters("/part");
    nina.sees("You left the channel.");
    nina.answers(OPTION, "/join den");
    nina.asks(TALK);
    nina.enters("#menu");
    nina.sees("You are still in channel den");
    nina.answers(OPTION, "/msg bob from the menu");
    nina.sees("(private message sent to bob)");
    nina.answers(OPTION, "#help");
    nina.sees("/join name   goes to another channel; you stay in this one, too");
    nina.answers(OPTION, "/nick Anna Maria");
    nina.sees("Not done: type a name, which is one word without spaces.");
    nina.answers(OPTION, "/nick anna");
    nina.sees("You are anna:1000 now.");
    nina.answers(OPTION, "#exit");
    nina.sees("Not done: you are in no channel here.");
    nina.answers(OPTION, "/quit");
    nina.sees("Disconnected. Goodbye!");
    assert_eq!(nina.ends(), 0);
    assert_eq!(server.connect().ask("LIST a*"), ["OK LIST 0"]);
}

#[test]
fn a_talk_knows_the_words_too() {
    let (_server, mut nina, mut bob) = two();
    nina.enters("#menu");
    nina.answers(OPTION, "7");
    nina.answers("Enter the user's name or id: ", "bob");
    nina.asks(TALK);
    nina.enters("#bye2");
    nina.sees("did you mean #bye?");
    nina.enters("#kick bob");
    nina.sees("Not done: you are in no channel here.");
    nina.enters("\u{1b}[200~one\n#bye\u{1b}[201~");
    for line in ["one", "#bye"] {
        assert!(bob.event("MSG ").ends_with(&format!(" {line}")), "and nothing before it");
    }
    nina.asks(TALK);
    nina.ends_the_line("\u{3}");
    nina.sees("(Ctrl-C clears the line; #bye or Ctrl-D ends the talk.)");
    nina.enters("/join den");
    nina.sees("Admin: nina:1000");
    nina.asks(TALK);
    nina.enters("aloud");
    assert!(bob.event("MSG ").contains(" #den nina:1000 aloud"));
}

#[test]
fn a_channel_is_closed_only_after_a_question() {
    let (_server, mut nina, mut bob) = two();
    for no in ["n", "", "#exit", "yes please"] {
        nina.asks(TALK);
        nina.enters("#exit");
        nina.answers("Close channel den for everyone, and delete all that was said in it? (y/n) ", no);
        nina.sees("Channel den stays open.");
    }
    nina.asks(TALK);
    nina.enters("still here");
    assert!(bob.event("MSG ").ends_with(" still here"));
    nina.asks(TALK);
    closes(&mut nina, "den");
    bob.event("CLOSE ");
}

#[test]
fn whoever_leaves_by_another_connection_is_back_at_the_menu() {
    let server = Server::start(&[]);
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #den");
    let mut nina = account(&server, &server.address().to_string(), "nina");
    joins(&mut nina, "den");
    nina.types("6 half a li");
    nina.sees_at_the_cursor("> 6 half a li");
    let mut phone = server.connect();
    phone.ok("LOGIN nina correct horse battery");
    phone.ok("LEAVE #den");
    nina.sees("You left the channel by another connection of yours.");
    nina.sees("****** TCP CHAT ******");
    nina.enters("ne");
    nina.sees("Not sent, you are not in the channel any more: 6 half a line");
    nina.asks(OPTION);
}

#[test]
fn nobody_at_the_menu_is_told_commands_of_the_protocol() {
    let (_server, mut nina, _bob) = two();
    nina.enters("#nobody psst");
    nina.sees("Not sent: there is no user nobody, or the guest has gone; option 1 shows who is online.");
    nina.enters("#ban bob for ever and ever");
    nina.asks(TALK);
    nina.enters("#bye");
    nina.answers(OPTION, "5");
    nina.answers("Enter the channel id to join: ", "nowhere");
    nina.sees("Not done: there is no channel #nowhere; option 4 makes it.");
    nina.answers(OPTION, "7");
    nina.answers("Enter the user's name or id: ", "two words");
    nina.sees("Not done: ");
    nina.answers(OPTION, "8");
    nina.answers("Enter the channel or user to search in (empty for all): ", "");
    nina.answers("Enter the words to search for: ", " ");
    nina.sees("Not done: there is no word to search for.");
    nina.asks(OPTION);
    let screen = nina.screen().join("\n");
    let verbs = linechat::wire::verbs::VERBS.iter().map(|verb| verb.name);
    let told: Vec<_> =
        verbs.filter(|verb| screen.split(|c: char| !c.is_ascii_alphabetic()).any(|word| word == *verb)).collect();
    assert!(told.is_empty(), "{told:?}: {screen}");
}
