//! What terminals differ in: width, colour, paste, a line of 4,000 characters, and those that can do nothing.

use crate::person::{OPTION, PASSWORD, TALK, account, closes, creates, guest, joins, plain};
use crate::support::client::Client;
use crate::support::pty::{Pty, menu};
use crate::support::server::Server;
use crate::support::wait::until;

/// Nina at the menu and Bob at a plain connection, both in #c.
fn two_in_a_channel(server: &Server) -> (Pty, Client) {
    let mut nina = guest(&server.address().to_string(), "nina");
    creates(&mut nina, "c");
    let mut bob = plain(server, "bob");
    bob.ok("JOIN #c");
    nina.sees("bob joined");
    (nina, bob)
}

#[test]
fn a_window_that_is_resized_keeps_the_line_whole() {
    let server = Server::start(&[]);
    let (mut nina, mut bob) = two_in_a_channel(&server);
    let half = "a line that is longer than a narrow window is wide, ";
    nina.types(half);
    nina.sees_at_the_cursor(&format!("> {half}"));
    for (columns, word) in [(40, "forty"), (120, "hundred"), (23, "few")] {
        nina.resizes(columns);
        nina.sees_at_the_cursor(&format!("> {half}"));
        bob.ok(&format!("SAY #c {word}"));
        nina.sees(&format!("bob> {word}"));
        nina.sees_at_the_cursor(&format!("> {half}"));
    }
    nina.enters("and its end");
    assert!(bob.event("MSG ").ends_with(&format!(" {half}and its end")));
    nina.asks(TALK);
    closes(&mut nina, "c");
    creates(&mut nina, "narrow");
    let heading = nina.screen().into_iter().rfind(|line| line.contains("Channel narrow"));
    assert_eq!(heading.as_deref(), Some("--- Channel narrow ----"));
}

/// Nina's window has 40 columns, and she has been shown a line since.
fn one_in_a_narrow_window(server: &Server) -> (Pty, Client) {
    let (mut nina, mut bob) = two_in_a_channel(server);
    nina.is_cut(40);
    bob.ok("SAY #c now");
    nina.sees("bob> now");
    (nina, bob)
}

#[test]
fn what_is_longer_than_a_row_is_broken_between_words() {
    let server = Server::start(&[]);
    let (mut nina, mut bob) = one_in_a_narrow_window(&server);
    let [filler, link] = ["and so on and so forth up to here", &format!("https://{}", "a-long-way/".repeat(5))];
    bob.ok(&format!("SAY #c {filler} nina> I agree, see {link} there"));
    nina.sees("there");
    let shown = rows(&nina);
    let first = shown.iter().position(|row| *row == format!("bob> {filler}")).expect("the first row is full of words");
    assert_eq!(shown[first + 1], "  nina> I agree, see");
    assert_eq!(format!("{}{}", shown[first + 2], shown[first + 3]), format!("  {link}"), "it can be copied whole");
    assert_eq!(shown[first + 4], "  there");
}

fn rows(person: &Pty) -> Vec<String> {
    person.picture(|screen| screen.rows(0, screen.size().1.get()).collect())
}

/// However somebody makes a line long, no row of it begins like the line of somebody else.
#[test]
fn nobody_writes_what_looks_like_the_line_of_another() {
    let server = Server::start(&[]);
    let (mut nina, mut bob) = one_in_a_narrow_window(&server);
    let tabs = format!("{}xnina> I agree", "\t".repeat(30));
    let word = |filler: &str| format!("{}nina>\u{a0}I\u{a0}agree", filler.repeat(35));
    let wide = format!("{}nina>I-agree", "\u{4e00}".repeat(20));
    for text in [tabs, word("x"), word("https://"), wide] {
        bob.ok(&format!("SAY #c {text} and so"));
        nina.sees("and so");
        let begins = rows(&nina).into_iter().find(|row| row.starts_with("nina>"));
        assert_eq!(begins, None, "{text}");
    }
}

/// Waits for a line anywhere on the screen: one that fills its row has the cursor below it.
fn shows(person: &Pty, line: &str) {
    until(line, || person.screen().iter().any(|shown| shown == line).then_some(()));
}

fn heard(nina: &Pty) -> Vec<String> {
    nina.screen().into_iter().filter(|line| line.starts_with("bob> ")).collect()
}

#[test]
fn a_window_that_gets_wider_or_narrower_shows_all_that_was_there_and_one_prompt() {
    let server = Server::start(&[]);
    let (mut nina, mut bob) = two_in_a_channel(&server);
    let mut said = Vec::new();
    for (from, to) in [(40, 100), (100, 40), (46, 92), (92, 46), (100, 92)] {
        // Whoever has been shown a line since has heard of the width.
        let mut says = |nina: &mut Pty| {
            said.push(format!("bob> {}.", said.len()));
            bob.ok(&format!("SAY #c {}.", said.len() - 1));
            shows(nina, said.last().expect("something was said"));
        };
        nina.resizes(from);
        says(&mut nina);
        let line = format!("{:x<90}", format!("from {from} to {to}, a line of ninety characters "));
        nina.types(&line);
        shows(&nina, &format!("> {line}"));
        (0..3).for_each(|_| says(&mut nina));
        shows(&nina, &format!("> {line}"));
        nina.resizes(to);
        says(&mut nina);
        shows(&nina, &format!("> {line}"));
        nina.types("y");
        nina.sees_at_the_cursor(&format!("> {line}y"));
        assert_eq!(heard(&nina), said, "from {from} to {to}");
        let prompts = nina.screen().iter().filter(|shown| shown.starts_with(&format!("> {}", &line[..20]))).count();
        assert_eq!(prompts, 1, "from {from} to {to}: {:#?}", nina.screen());
        nina.ends_the_line("\u{3}");
        nina.asks(TALK);
    }
}

#[test]
fn a_window_that_cuts_off_rows_loses_no_other() {
    let server = Server::start(&[]);
    let mut command = menu(&[&server.address().to_string(), "--name", "nina"]);
    command.env("XTERM_VERSION", "XTerm(379)").env_remove("TMUX");
    let mut nina = Pty::run(command);
    creates(&mut nina, "c");
    let mut bob = plain(&server, "bob");
    bob.ok("JOIN #c");
    nina.sees("bob joined");
    let line = "z".repeat(91);
    nina.types(&line);
    nina.sees_at_the_cursor(&format!("> {line}"));
    for columns in [40, 100, 23] {
        nina.is_cut(columns);
        bob.ok(&format!("SAY #c {columns}"));
        nina.sees(&format!("bob> {columns}"));
        nina.sees_at_the_cursor(&format!("> {line}"));
    }
    assert_eq!(heard(&nina), ["bob> 40", "bob> 100", "bob> 23"]);
}

#[test]
fn a_line_of_4000_characters_is_refused_and_one_that_fits_arrives() {
    let server = Server::start(&[]);
    let (mut nina, mut bob) = two_in_a_channel(&server);
    nina.types(&"x".repeat(4000));
    nina.enters("");
    nina.sees("Not sent: ");
    nina.asks(TALK);
    nina.enters(&format!("\u{1b}[200~{}\u{1b}[201~", "y".repeat(5000)));
    nina.sees("Not sent: the line would have ");
    nina.asks(TALK);
    let fits = "\u{e9}".repeat(1800);
    nina.enters(&format!("\u{1b}[200~{fits}\u{1b}[201~"));
    assert!(bob.event("MSG ").ends_with(&format!(" {fits}")));
    nina.asks(TALK);
}

#[test]
fn pasted_lines_are_lines_and_control_characters_are_refused() {
    let server = Server::start(&[]);
    let (mut nina, mut bob) = two_in_a_channel(&server);
    nina.enters("\u{1b}[200~one\r\ntwo\rthree\u{1b}[201~");
    for line in ["one", "two", "three"] {
        assert!(bob.event("MSG ").ends_with(&format!(" {line}")));
    }
    nina.asks(TALK);
    nina.enters("well: \u{1b}[200~first\n#bye\n\n#exit\n6\n#nobody psst\n/quit\nlast\n\u{1b}[201~");
    for line in ["well: first", "#bye", "#exit", "6", "#nobody psst", "/quit", "last"] {
        assert!(bob.event("MSG ").ends_with(&format!(" {line}")), "none is a command, and none is lost");
    }
    nina.asks(TALK);
    for key in ["\u{1b}", "\u{7}", "\u{0}"] {
        nina.enters(&format!("\u{16}{key}"));
        nina.sees("Not sent: ");
        nina.asks(TALK);
    }
    nina.enters("still here");
    assert!(bob.event("MSG ").ends_with(" still here"), "and nothing before it");
}

#[test]
fn pasted_lines_are_no_answers() {
    let server = Server::start(&[]);
    let mut nina = guest(&server.address().to_string(), "nina");
    nina.answers(OPTION, "\u{1b}[200~2\n6\n6\u{1b}[201~");
    nina.sees("Nothing was done with the 3 lines that were pasted: this takes one line.");
    nina.answers(OPTION, "\u{1b}[200~1\n\u{1b}[201~");
    nina.sees("Users in server: nina:1000");
    creates(&mut nina, "c");
    nina.enters("#exit");
    nina.answers("Close channel c for everyone, and delete all that was said in it? (y/n) ", "\u{1b}[200~y\nyes\u{1b}[201~");
    nina.sees("Nothing was done with the 2 lines that were pasted");
    nina.answers("Close channel c for everyone, and delete all that was said in it? (y/n) ", "");
    nina.sees("Channel c stays open.");
}

#[test]
fn a_password_is_never_on_the_screen() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    let nina = account(&server, &address, "nina");
    assert!(!String::from_utf8_lossy(&nina.raw()).contains(PASSWORD));
    drop(nina);
    let mut nina = Pty::start(&[&address, "--login", "nina", "--show-protocol"]);
    nina.answers("Password of nina: ", "not this one");
    nina.sees("Not done: the name or the password is wrong.");
    nina.answers("Password of nina: ", PASSWORD);
    nina.sees("--> LOGIN nina ***");
    nina.sees("<-- OK LOGIN nina:");
    nina.answers(OPTION, "1");
    nina.sees("--> LIST");
    nina.sees("<-- - USER nina:");
    nina.sees("<-- OK LIST 1");
    nina.sees("Users in server: nina:");
    let raw = nina.raw();
    let raw = String::from_utf8_lossy(&raw);
    assert!(!raw.contains(PASSWORD) && !raw.contains("not this one"));
}

#[test]
fn a_password_that_is_not_typed_after_all_leaves_the_terminal_as_it_was() {
    let server = Server::start(&[]);
    for key in ["sec\u{3}", "\u{4}"] {
        let mut command = std::process::Command::new("setsid");
        let client = format!("{} menu {} --login nina; stty -a; echo over", env!("CARGO_BIN_EXE_linechat"), server.address());
        command.args(["--ctty", "sh", "-c", &client]);
        let mut nina = Pty::run(command);
        nina.asks("Password of nina: ");
        nina.types(key);
        nina.sees("speed");
        nina.sees("isig icanon iexten echo ");
        nina.sees("over");
        assert_eq!(nina.ends(), 0);
    }
}

#[test]
fn an_account_is_told_what_waits() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    let mut first = account(&server, &address, "nina");
    first.answers(OPTION, "6");
    first.ends();
    let mut bob = plain(&server, "bob");
    bob.ok("MSG nina one");
    bob.ok("MSG nina two");
    let mut nina = Pty::start(&[&address, "--login", "nina"]);
    nina.answers("Password of nina: ", PASSWORD);
    nina.sees("You have 2 unread messages; option 3 shows them.");
}

#[test]
fn a_dumb_terminal_gets_plain_prompts_and_no_escapes() {
    let server = Server::start(&[]);
    let mut command = menu(&[&server.address().to_string(), "--name", "nina"]);
    command.env("TERM", "dumb");
    let mut nina = Pty::run(command);
    nina.sees("Client Name: nina");
    let mut bob = plain(&server, "bob");
    creates(&mut nina, "c");
    bob.ok("JOIN #c");
    nina.sees("bob joined");
    nina.types("half ");
    bob.ok("SAY #c hello");
    nina.sees("bob> hello");
    nina.enters("and half");
    assert!(bob.event("MSG ").ends_with(" half and half"));
    bob.ok("SAY #c bye");
    nina.sees("bob> bye");
    nina.enters("#bye");
    nina.sees("You left the channel.");
    nina.answers(OPTION, "6");
    assert_eq!(nina.ends(), 0);
    assert!(!nina.raw().contains(&0x1b));
}

#[test]
fn no_color_means_no_colour() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    let coloured = |no_color: bool| {
        let mut command = menu(&[&address, "--name", if no_color { "grey" } else { "bright" }]);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        let mut person = Pty::run(command);
        person.answers(OPTION, "99");
        person.sees("'99' is no option");
        leaves(&mut person);
        String::from_utf8_lossy(&person.raw()).contains("\u{1b}[31m")
    };
    assert!(coloured(false));
    assert!(!coloured(true));
}

fn leaves(person: &mut Pty) {
    person.answers(OPTION, "6");
    assert_eq!(person.ends(), 0);
}

#[test]
fn wide_names_are_headed_as_evenly_as_any() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    let (mut nina, mut jose) = (guest(&address, "nina"), guest(&address, "jose"));
    creates(&mut nina, "\u{65e5}\u{672c}\u{8a9e}");
    joins(&mut jose, "\u{65e5}\u{672c}\u{8a9e}");
    let heading = format!("{} Channel \u{65e5}\u{672c}\u{8a9e} {}", "-".repeat(22), "-".repeat(22));
    assert!(jose.screen().contains(&heading), "{:#?}", jose.screen());
}
