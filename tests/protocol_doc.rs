//! `grammar/PROTOCOL.md` says what is: its conversations are of the grammar, its tables are the code's.

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use linechat::code::Retry;
use linechat::event::Needs;
use linechat::limits::Limits;
use linechat::wire::verbs::{ANY, By, VERBS};
use linechat::wire::{Code, parse};
use support::abnf::Grammar;
use support::conversation::{Planned, hold};
use support::json::as_text;
use support::transcript::{Bindings, Direction, Step, Transcript, chats};

const PAGE: &str = include_str!("../grammar/PROTOCOL.md");

/// The conversations of a page, with lines in place of objects.
fn conversations(page: &str) -> Vec<Transcript> {
    let mut chats = chats(page);
    for step in chats.iter_mut().flat_map(|chat| &mut chat.steps).filter(|step| step.direction == Direction::Receives) {
        step.line = as_text(&step.line).into_owned();
    }
    chats
}

/// The lines of the blocks that show what a server may write.
fn shown_lines() -> impl Iterator<Item = &'static str> {
    PAGE.split("```lines\n").skip(1).flat_map(|rest| rest.split("```").next().unwrap_or_default().lines())
}

/// Every line of the page that comes from a server.
fn server_lines() -> Vec<String> {
    let steps = conversations(PAGE).into_iter().flat_map(|chat| chat.steps);
    let received = steps.filter(|step| step.direction == Direction::Receives).map(|step| step.line);
    received.chain(shown_lines().map(str::to_owned)).collect()
}

/// A received line; where its end is left out, with one that fits every line of text or fields.
fn is_server_line(line: &str) -> bool {
    let whole = line.strip_suffix(" …").map_or_else(|| line.to_owned(), |start| format!("{start} x=1"));
    Grammar::load().matches("server-line", whole.as_bytes())
}

#[test]
fn every_received_line_is_a_server_line() {
    for line in server_lines() {
        assert!(is_server_line(&line), "{line}");
    }
    assert!(conversations(PAGE).len() > VERBS.len() && shown_lines().count() > 15);
}

#[test]
fn every_conversation_goes_so_with_a_real_server() {
    let plan = |transcript: Transcript| {
        let name = format!("grammar/PROTOCOL.md, the chat of line {}", transcript.steps[0].number);
        Planned { name, transcript, options: Vec::new() }
    };
    let failures = hold(chats(PAGE).into_iter().map(plan).collect());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What one person of a conversation sees after the step `at`, until an answer.
fn answer<'a>(chat: &'a Transcript, who: &str, at: usize) -> Option<&'a str> {
    let own = chat.steps.iter().filter(|step| step.who == who && step.direction == Direction::Receives);
    own.filter(|step| step.number > at)
        .map(|step| step.line.as_str())
        .find(|line| line.starts_with("OK ") || line.starts_with("ERR "))
}

#[test]
fn every_typed_line_parses_or_is_shown_to_be_refused_as_the_parser_does() {
    for chat in conversations(PAGE) {
        for Step { who, line, number, .. } in chat.steps.iter().filter(|step| step.direction == Direction::Sends) {
            let Err(rejected) = parse(line.as_bytes()) else { continue };
            let answer = answer(&chat, who, *number).unwrap_or_else(|| panic!("line {number} is not answered"));
            let refusal = format!("ERR {} {} {}", rejected.refusal.code, rejected.verb, rejected.refusal.text);
            let is_other_protocol = answer == "ERR BAD_SYNTAX - …" && line.contains("HTTP/");
            assert!(is_other_protocol || Bindings::default().agrees(answer, &refusal), "line {number}: {refusal}");
        }
    }
}

#[test]
fn every_command_is_answered_once_in_order_and_data_is_never_interrupted() {
    for chat in conversations(PAGE) {
        for who in chat.people() {
            let own: Vec<&Step> = chat.steps.iter().filter(|step| step.who == who).collect();
            let typed = own.iter().filter(|step| step.direction == Direction::Sends && !step.line.trim().is_empty());
            let is_answer = |step: &&&Step| step.line.starts_with("OK ") || step.line.starts_with("ERR ");
            let answers = own.iter().filter(|step| step.direction == Direction::Receives).filter(is_answer);
            let (typed, answers): (Vec<_>, Vec<_>) = (typed.collect(), answers.collect());
            assert_eq!(typed.len(), answers.len(), "{who} in the chat of line {}", own[0].number);
            for (typed, answer) in typed.iter().zip(answers) {
                let verb = typed.line.split(' ').next().unwrap_or_default();
                assert!(verb == "GET" || answer.line.split(' ').any(|word| word == verb), "line {}", answer.number);
            }
            for pair in own.windows(2).filter(|pair| pair[0].line.starts_with("- ")) {
                let follows = ["- ", "OK ", "ERR "].iter().any(|start| pair[1].line.starts_with(start));
                assert!(follows, "line {} interrupts data", pair[1].number);
            }
        }
    }
}

#[test]
fn every_verb_has_its_section_with_a_conversation() {
    for verb in VERBS {
        let Some((_, section)) = PAGE.split_once(&format!("\n### `{}`\n", verb.syntax)) else {
            panic!("no section for {}", verb.syntax)
        };
        let section = &section[..section.find("\n##").unwrap_or(section.len())];
        let by = if verb.by == By::Anyone { String::new() } else { format!(" For {}.", verb.by.describe()) };
        let codes: Vec<String> = verb.codes.iter().map(|code| format!("`{code}`")).collect();
        let refused = if codes.is_empty() { String::new() } else { format!(" Refused: {}.", codes.join(", ")) };
        let summary = format!("\nAnswer: `OK {} {}`.{by}{refused} [Diagram]", verb.name, verb.answer);
        assert!(section.contains(&summary), "{} lacks: {summary}", verb.name);
        let steps: Vec<Step> = conversations(section).into_iter().flat_map(|chat| chat.steps).collect();
        let has = |direction, start: &str| {
            steps.iter().any(|step| step.direction == direction && format!("{} ", step.line).starts_with(&format!("{start} ")))
        };
        assert!(has(Direction::Sends, verb.name) && has(Direction::Receives, &format!("OK {}", verb.name)), "{}", verb.name);
    }
}

/// Each command that is shown beside a scope needs just that, and every verb is shown.
#[test]
fn the_table_of_scopes_is_the_one_in_force() {
    let (_, table) = PAGE.split_once("| scope | what it allows |\n|---|---|\n").expect("the table of scopes");
    let mut seen = BTreeSet::new();
    for row in table.lines().take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for line in cells[2].split('`').skip(1).step_by(2) {
            let command = parse(line.as_bytes()).expect("it is a command").expect("it is not empty");
            seen.insert(command.verb());
            let scope = match command.needs() {
                // Where it goes is looked up first.
                Needs::Nothing if line == "MSG #ops hi" => "`say:#ops`",
                Needs::Nothing if line == "MSG nina hi" => "`say:nina`",
                Needs::Nothing => "any",
                Needs::SayIn("ops") => "`say:#ops`",
                Needs::Read("ops") => "`read:#ops`",
                Needs::Inbox => "`inbox`",
                Needs::Everything => "none",
                Needs::Password => "only the password",
                other => panic!("{line}: {other:?}"),
            };
            assert_eq!(cells[1], scope, "{line}");
        }
    }
    assert!(VERBS.iter().all(|verb| seen.contains(verb.name)), "{seen:?}");
}

#[test]
fn every_code_has_its_row_and_no_other() {
    let mut rows = String::new();
    for code in Code::ALL {
        let retry = match code.retry() {
            Retry::No => "no",
            Retry::Later => "later",
            Retry::SameKey => "with the same `@key`",
        };
        let on = if ANY.contains(code) { " any line" } else { "" };
        rows += &format!("| `{code}` | {} | {retry} |{on} |\n", code.meaning());
    }
    assert!(PAGE.contains(&format!("|---|---|---|---|\n{rows}\n")), "the table of codes should be:\n{rows}");
}

#[test]
fn who_may_do_what_is_what_the_server_goes_by() {
    let table = linechat::state::permissions::page();
    assert!(PAGE.contains(&table), "the table of who may do what should be:\n{table}");
}

#[test]
fn every_type_of_line_is_shown() {
    let (lines, mut seen) = (server_lines(), BTreeSet::new());
    for line in &lines {
        let mut words = line.split(' ');
        seen.insert((words.next().unwrap_or_default(), words.next().unwrap_or_default()));
    }
    let data = ["MSG", "USER", "IGNORED", "CHANNEL", "UNREAD", "OPTION", "BAN", "TOKEN", "HELP"].map(|word| ("-", word));
    let events = [
        "HELLO", "MSG", "JOIN", "LEAVE", "NAME", "OWNER", "OP", "DEOP", "INVITE", "KICK", "BAN", "UNBAN", "SET", "TOPIC",
        "CLOSE", "RETRACT", "GAP", "AWAY", "NOTICE", "SHUTDOWN", "BYE",
    ];
    for (mark, word) in data.into_iter().chain(events.map(|word| ("*", word))) {
        assert!(seen.contains(&(mark, word)), "{mark} {word}");
        assert!(PAGE.contains(&format!("\n| `{word}` | `")), "{word} has no row");
    }
    assert!(VERBS.iter().all(|verb| seen.contains(&("OK", verb.name))));
}

#[test]
fn the_limits_are_the_ones_in_force() {
    let (_, table) = PAGE.split_once("| limit | value | of |\n|---|---|---|\n").expect("the table of limits");
    let rows: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    let limits = Limits::default().rows();
    for row in &rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`');
        let limit = limits.iter().find(|limit| limit.name == name).unwrap_or_else(|| panic!("there is no limit {name}"));
        assert_eq!(cells[2], limit.value.to_string(), "{name}");
    }
    assert!(rows.len() > 20);
}

#[test]
fn links_lead_somewhere() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("grammar");
    let links: Vec<&str> = PAGE.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    for link in links.iter().filter(|link| !link.starts_with('#')) {
        assert!(folder.join(link).is_file(), "{link}");
    }
    assert!(links.len() > VERBS.len());
}

#[test]
fn transcripts_compare_what_varies_by_what_it_stands_for() {
    let mut run = Bindings::default();
    let time = "2026-11-22T13:00:01.007Z";
    assert!(run.agrees("OK NAME ana:1000", "OK NAME ana:1003"));
    assert!(run.agrees(&format!("OK MSG 7 {time}"), "OK MSG 31 2030-01-01T00:00:00.000Z"));
    assert!(!run.agrees(&format!("OK MSG 7 {time}"), "OK MSG 32 2030-01-01T00:00:00.000Z"), "7 is 31");
    assert!(!run.agrees(&format!("OK MSG 8 {time}"), "OK MSG 31 2030-01-01T00:00:00.000Z"), "31 is 7");
    assert!(!run.agrees(&format!("OK MSG 7 {time}"), "OK MSG 31 soon"));
    assert!(
        run.agrees(&format!("- MSG 7 {time} ana:1000 guest-1001:1001 hi"), &format!("- MSG 31 {time} ana:1003 guest-9:9 hi"))
    );
    assert!(!run.agrees("OK WHOAMI bob:1000 guest", "OK WHOAMI ana:1003 guest"), "names do not vary");
    assert!(!run.agrees("OK LIST 2", "OK LIST 3"), "counts do not vary");
    assert!(run.agrees("OK ACK 0", "OK ACK 0") && !run.agrees("OK ACK 0", "OK ACK 31"));
    assert!(
        run.agrees("ERR BAD_NAME NAME …", "ERR BAD_NAME NAME any text")
            && !run.agrees("ERR BAD_NAME NAME …", "ERR BAD_NAME NAME")
    );
    assert!(!run.agrees("OK PING a  b", "OK PING a b"), "spaces count");
    let typed =
        ["ACK 7", "MSG 1000  hi", "MSG @k guest-1001:1001 hi", "HISTORY #rust 20 since 7", "HISTORY #rust 7", "ACK *", ""];
    let sent = ["ACK 31", "MSG 1003  hi", "MSG @k guest-9:9 hi", "HISTORY #rust 20 since 31", "HISTORY #rust 7", "ACK *", ""];
    assert_eq!(typed.map(|line| run.typed(line)), sent);
}

#[test]
fn transcripts_have_four_kinds_of_steps() {
    let transcript = Transcript::parse("# a note\nana> LIST\n\nana>\nana< OK LIST 1\nana>>\nana<<\nbob>  \n");
    let steps: Vec<_> = transcript.steps.iter().map(|step| (step.who.as_str(), step.direction, step.line.as_str())).collect();
    let expected = [
        ("ana", Direction::Sends, "LIST"),
        ("ana", Direction::Sends, ""),
        ("ana", Direction::Receives, "OK LIST 1"),
        ("ana", Direction::EndsInput, ""),
        ("ana", Direction::Closed, ""),
        ("bob", Direction::Sends, " "),
    ];
    assert_eq!(steps, expected);
    assert_eq!((transcript.people(), transcript.steps[2].number), (vec!["ana", "bob"], 5));
}
