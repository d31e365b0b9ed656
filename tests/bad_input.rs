//! Lines that are no commands: each gets one clear ERR, nothing is stored, and the next command works.

mod support;

use linechat::wire::verbs::VERBS;
use support::client::Client;
use support::server::Server;

/// Lines in one write, few enough that their answers fit into the buffers of a connection.
const BATCH: usize = 200;
/// A line for each field of a command; `\u{1}` is where the test puts what must not pass.
const FIELDS: &[&str] = &[
    "MSG ana \u{1}",
    "MSG ana a\u{1}b",
    "MSG ana a \u{1}",
    "MSG a\u{1}b text",
    "MSG ana:1\u{1} text",
    "MSG @k\u{1}k ana text",
    "SAY #rust a\u{1}b",
    "SAY @k\u{1}k #rust text",
    "TOPIC #rust a\u{1}b",
    "PING a\u{1}b",
    "NAME a\u{1}b",
    "NAME eve\u{1}",
    "CREATE #a\u{1}b",
    "CREATE #shed k\u{1}y",
    "JOIN #rust k\u{1}y",
    "LIST #ru\u{1}st",
    "HISTORY #ru\u{1}st",
    "REGISTER e\u{1}ve correct horse",
    "REGISTER eve correct\u{1}horse",
    "LOGIN ana correct\u{1}horse",
    "HELP MS\u{1}G",
    "AC\u{1}K *",
];

/// Ana owns #rust and hears all of it; Eve is a member too, and tries.
struct House {
    _server: Server,
    ana: Client,
    eve: Client,
}

impl House {
    fn open() -> Self {
        let server = Server::start(&[
            "--limit",
            "errors-in-a-row=none",
            "--limit",
            "commands-per-second=none",
            "--limit",
            "commands-per-address=none",
        ]);
        let (mut ana, mut eve) = (server.connect(), server.connect());
        ana.ok("NAME ana");
        ana.ok("CREATE #rust");
        eve.ok("JOIN #rust");
        ana.event("JOIN #rust ");
        Self { _server: server, ana, eve }
    }

    /// Eve sends the lines; each is answered with one ERR of this code, and nothing else.
    fn refuses(&mut self, lines: &[Vec<u8>], code: &str) {
        for batch in lines.chunks(BATCH) {
            let bytes: Vec<u8> = batch.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
            self.eve.write(&[&bytes[..], b"PING done\n"].concat());
            for line in batch {
                let answer = self.eve.line();
                assert!(answer.starts_with(&format!("ERR {code} ")), "{:?}: {answer}", String::from_utf8_lossy(line));
                assert!(answer.split(' ').count() > 4, "it says why: {answer}");
            }
            assert_eq!(self.eve.line(), "OK PING done");
        }
        self.has_heard_nothing();
    }

    fn refuses_text(&mut self, lines: &[&str], code: &str) {
        let lines: Vec<Vec<u8>> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        self.refuses(&lines, code);
    }

    /// Nothing that Eve sent was shown to Ana or stored, and Eve is who she was.
    fn has_heard_nothing(&mut self) {
        self.ana.send("PING quiet");
        assert_eq!(self.ana.line(), "OK PING quiet");
        assert_eq!(self.ana.ask("INBOX"), ["OK INBOX 0 0"]);
        assert_eq!(self.ana.ask("HISTORY #rust"), ["OK HISTORY 0"]);
        assert_eq!(self.ana.ask("TOPIC #rust"), ["OK TOPIC #rust"]);
        assert_eq!(self.ana.ask("CHANNELS"), ["- CHANNEL #rust 2 ana:1000", "OK CHANNELS 1"]);
        assert_eq!(self.eve.ask("WHOAMI"), ["OK WHOAMI guest-1001:1001 guest"]);
        assert_eq!(self.eve.ask("INBOX"), ["OK INBOX 0 0"]);
    }
}

/// Every line of [`FIELDS`] with `what` in its place.
fn in_every_field(what: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    FIELDS.iter().map(move |line| {
        let (before, after) = line.split_once('\u{1}').expect("each has a place");
        [before.as_bytes(), what, after.as_bytes()].concat()
    })
}

#[test]
fn no_control_character_passes_in_any_field() {
    // TAB is text; backspace, Ctrl-C and the line's endings have their own meaning (tests/terminals.rs).
    let c0 = (0..0x20u8).filter(|byte| !b"\x03\x08\t\n\r".contains(byte)).map(|byte| vec![byte]);
    let c1 = (0x80..0xa0u32).filter_map(char::from_u32).map(|c| c.to_string().into_bytes());
    let lines: Vec<_> = c0.chain(c1).flat_map(|what| in_every_field(&what).collect::<Vec<_>>()).collect();
    assert!(lines.len() > 1000);
    House::open().refuses(&lines, "BAD_TEXT");
}

#[test]
fn nothing_that_turns_the_line_around_passes_in_any_field() {
    let turning = ('\u{2028}'..='\u{202e}').chain('\u{2066}'..='\u{2069}').map(|c| c.to_string());
    let lines: Vec<_> = turning.flat_map(|what| in_every_field(what.as_bytes()).collect::<Vec<_>>()).collect();
    House::open().refuses(&lines, "BAD_TEXT");
}

#[test]
fn a_nul_at_any_place_of_a_line_refuses_it() {
    let lines: Vec<Vec<u8>> = ["MSG ana hello there", "SAY @key #rust hello", "NAME eve"]
        .iter()
        .flat_map(|line| (0..=line.len()).map(move |at| [&line.as_bytes()[..at], b"\0", &line.as_bytes()[at..]].concat()))
        .collect();
    House::open().refuses(&lines, "BAD_TEXT");
}

#[test]
fn a_bare_cr_ends_no_line_and_refuses_it() {
    let mut house = House::open();
    house.refuses_text(
        &["MSG ana one\rMSG ana two", "\rMSG ana one", "MSG ana one\r\r", "SAY #rust a\rb", "NAME e\rve"],
        "BAD_TEXT",
    );
}

#[test]
fn no_invalid_utf_8_of_two_bytes_passes() {
    let mut lines = Vec::new();
    for first in 0x80..=0xffu8 {
        for second in (0..=0xffu8).filter(|second| !b"\x03\x08\n\r\x7f".contains(second)) {
            let fine = std::str::from_utf8(&[first, second]).is_ok_and(|text| text >= "\u{a0}");
            if !fine {
                // On the wire a byte of 255 is two of them: telnet's.
                let twice = |byte: u8| vec![byte; if byte == 255 { 2 } else { 1 }];
                lines.push([b"MSG ana a".to_vec(), twice(first), twice(second)].concat());
            }
        }
    }
    assert!(lines.len() > 30_000);
    House::open().refuses(&lines, "BAD_TEXT");
}

#[test]
fn no_other_invalid_utf_8_passes() {
    let wrong: &[&[u8]] = &[
        b"\xc0\xaf",                 // overlong
        b"\xe0\x80\xaf",             // overlong
        b"\xf0\x80\x80\xaf",         // overlong
        b"\xed\xa0\x80",             // a surrogate
        b"\xed\xa0\xbd\xed\xb8\x80", // two of them (CESU-8)
        b"\xf4\x90\x80\x80",         // beyond U+10FFFF
        b"\xf8\x88\x80\x80\x80",     // five bytes
        b"\xe2\x80",                 // cut
        b"\xf0\x9f\x98",             // cut
        b"\x80",                     // a tail alone
        b"caf\xe9",                  // Latin-1
    ];
    let lines: Vec<_> = wrong.iter().flat_map(|bytes| in_every_field(bytes)).collect();
    House::open().refuses(&lines, "BAD_TEXT");
}

#[test]
fn every_verb_says_what_it_lacks() {
    let mut house = House::open();
    let mut tried = 0;
    for verb in VERBS {
        // What is in brackets may be left out, and of several forms the first is tried.
        let mut depth = 0;
        let outside = verb.syntax.chars().filter(|c| {
            depth += i32::from(*c == '[') - i32::from(*c == ']');
            depth == 0 && *c != ']'
        });
        let outside: String = outside.collect();
        let form = outside.split("|LIST").next().expect("there is a form");
        let required = form.split_whitespace().count() - 1;
        let example: Vec<&str> = verb.example.split(' ').collect();
        for given in 0..required {
            let line = example[..=given].join(" ");
            for line in [line.clone(), format!("{line} "), line.to_lowercase()] {
                let answer = house.eve.err(&line, "BAD_SYNTAX");
                assert!(answer.contains(&format!(" {} usage: {}, for example: ", verb.name, verb.syntax)), "{answer}");
                tried += 1;
            }
        }
    }
    assert!(tried > 40, "{tried}");
    house.has_heard_nothing();
}

#[test]
fn no_word_is_a_verb_that_is_not_in_the_table() {
    let mut house = House::open();
    house.refuses_text(
        &[
            "SYA #rust oops",
            "HELO",
            "/join #rust",
            "PRIVMSG ana :hi",
            "JOIN#rust",
            "msg:ana hi",
            "<script>",
            "привет",
            "👋",
            "...",
        ],
        "UNKNOWN_COMMAND",
    );
    house.refuses_text(&["MSGMSGMSGMSGMSGMSGMSGMSGMSGMSGMSGMSG ana hi", "M\tSG ana hi", "\tMSG ana hi"], "UNKNOWN_COMMAND");
    house.refuses_text(
        &["WHOAMI now", "CAPS all", "CHANNELS #rust #tea", "ACK * *", "ACK 1 2", "INBOX 1 2", "INBOX 12345"],
        "BAD_SYNTAX",
    );
    house.refuses_text(
        &["HISTORY #rust before", "HISTORY #rust 1 2", "HISTORY #rust since x", "ACK 12345678901234567890"],
        "BAD_SYNTAX",
    );
}

#[test]
fn names_that_are_none_are_refused() {
    let mut house = House::open();
    let long = "x".repeat(33);
    let wide = "é".repeat(33);
    for name in ["7up", "-", "_x", "a!", "a/b", "a,b", "ana:1", "#rust", "a\tb", "a\u{a0}b", "a\u{200b}b", &long, &wide] {
        house.refuses_text(&[&format!("NAME {name}"), &format!("REGISTER {name} correct horse")], "BAD_NAME");
    }
    // Before a name, REGISTER takes this for an invite's code.
    house.refuses_text(&["NAME @ana", "REGISTER @ana 7up correct horse"], "BAD_NAME");
    for name in ["hi😀", "e\u{301}ve", "e\u{feff}ve", "guest-9", "GUEST-1"] {
        house.refuses_text(&[&format!("NAME {name}"), &format!("REGISTER {name} correct horse")], "BAD_NAME");
    }
    for channel in ["#", "##", "#a!", "#a:b", "#a/b", &format!("#{long}"), &format!("#{wide}"), "#a\u{200b}b", "#hi😀"] {
        house.refuses_text(&[&format!("CREATE {channel}")], "BAD_NAME");
    }
    house.refuses_text(&["NAME ana", "NAME ANA", "NAME an\u{430}", "REGISTER Ana correct horse"], "NAME_TAKEN");
    house.refuses_text(&["CREATE #rust", "CREATE #RUST", "CREATE #ru\u{455}t"], "CHANNEL_EXISTS");
}

#[test]
fn who_and_what_is_absent_is_not_found() {
    let mut house = House::open();
    house.refuses_text(&["MSG nina hi", "MSG 4711 hi", "MSG ana:4711 hi", "MSG nina:1000 hi", "MSG 0 hi"], "NO_SUCH_USER");
    let nowhere = ["JOIN", "LEAVE", "CLOSE", "LIST", "HISTORY", "TOPIC"].map(|verb| format!("{verb} #nowhere"));
    house.refuses_text(&nowhere.each_ref().map(String::as_str), "NO_SUCH_CHANNEL");
    house.refuses_text(&["MSG #nowhere hi", "SAY #nowhere hi", "SAY @k #nowhere hi", "TOPIC #nowhere hi"], "NO_SUCH_CHANNEL");
    house.refuses_text(&["CLOSE #rust", "TOPIC #rust mine"], "NOT_ALLOWED");
}

#[test]
fn a_line_is_4096_bytes_long_and_no_longer() {
    let mut house = House::open();
    for ending in ["\n", "\r\n", "\r\0"] {
        let padded = |length: usize| format!("WHOAMI{}{ending}", " ".repeat(length - "WHOAMI".len() - ending.len()));
        house.eve.write(padded(4096).as_bytes());
        assert_eq!(house.eve.line(), "OK WHOAMI guest-1001:1001 guest");
        for length in [4097, 4098, 5000, 60_000] {
            house.eve.write(padded(length).as_bytes());
            let answer = house.eve.line();
            assert!(answer.starts_with("ERR TOO_LONG - "), "{length}: {answer}");
        }
        house.has_heard_nothing();
    }
}

#[test]
fn a_text_is_3600_bytes_long_and_no_longer() {
    let mut house = House::open();
    for (verb, length) in [("MSG ana", 3601), ("MSG @k ana", 3601), ("SAY #rust", 3602), ("PING", 3601), ("MSG ana", 4000)] {
        house.refuses_text(&[&format!("{verb} {}", "x".repeat(length)), &format!("{verb} {}", "é".repeat(1801))], "TOO_LONG");
    }
    house.ana.err(&format!("TOPIC #rust {}", "x".repeat(3601)), "TOO_LONG");
    house.has_heard_nothing();
    let longest = "é".repeat(1800);
    house.eve.ok(&format!("PING {longest}"));
    house.eve.ok(&format!("MSG ana {longest}"));
    assert!(house.ana.event("MSG ").ends_with(&format!(" ana:1000 guest-1001:1001 {longest}")));
    house.ana.ok(&format!("TOPIC #rust {longest}"));
    assert!(house.eve.event("TOPIC ").ends_with(&longest));
}

#[test]
fn twenty_mistakes_in_a_row_are_enough() {
    let server = Server::start(&[]);
    let mut eve = server.connect();
    for _ in 0..19 {
        eve.err("xyzzy", "UNKNOWN_COMMAND");
    }
    eve.err("SAY #nowhere hello", "NO_SUCH_CHANNEL");
    eve.write(&[&b"xyzzy\nMSG\nNAME 7up\n\x01\n"[..], &b"x\n".repeat(16), b"MSG guest-1000:1000 after all\n"].concat());
    let said = eve.rest();
    assert_eq!(said.len(), 21, "{said:?}");
    assert!(
        said[..20].iter().all(|line| line.starts_with("ERR ")) && said[20].starts_with("* BYE 20 lines in a row"),
        "{said:?}"
    );
    assert_eq!(server.connect().ask("LIST").pop().as_deref(), Some("OK LIST 1"));
}

/// Nineteen digits are a number, but nothing has one so large: whoever asks for one is told so, and what reads for
/// everybody goes on.
#[test]
fn numbers_that_nothing_has_harm_nobody() {
    let House { _server, mut ana, mut eve } = House::open();
    let seq = ana.ok("SAY #rust hello").split(' ').nth(2).expect("a seq").to_owned();
    for number in [1 << 61, 1 << 62, 1 << 63, 9_999_999_999_999_999_999_u64] {
        // More often than there is anything to lose of.
        for _ in 0..10 {
            eve.err(&format!("RETRACT {number}"), "NOT_ALLOWED");
        }
        for line in [
            "HISTORY #rust 9 before N",
            "HISTORY #rust 9 since N",
            "HISTORY ana 9 since N",
            "SEARCH #rust hello before:N",
            "SEARCH #rust hello since:N",
            "LIST after N",
            "WAIT #rust since N 1",
            "FOLLOW #rust since N",
            "FOLLOW inbox since N",
            "ACK N",
            "ACK #rust N",
            "INBOX N",
            "HISTORY #rust N",
            "WHOIS N",
            "MSG N hello",
            "IGNORE N",
            "UNIGNORE N",
            "KICK #rust N",
            "SET #rust slow N",
        ] {
            let answer = eve.ask(&line.replace('N', &number.to_string())).concat();
            assert!(!answer.contains("ERR INTERNAL ") && !answer.contains("ERR UNAVAILABLE "), "{line}: {answer}");
        }
    }
    assert!(ana.ask("HISTORY #rust 9").concat().contains(&format!("MSG {seq} ")));
    let late = eve.ok("PING still");
    assert!(late.contains("still"), "{late}");
}
