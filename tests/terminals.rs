//! What terminals, netcats and telnets send beside lines: endings, editing, ends of input, and telnet's own bytes.

mod support;

use support::raw::Raw;
use support::server::Server;

/// Bytes and what all of the answers are, to the end of the connection.
fn check(sent: &[u8], received: &[u8]) {
    let server = Server::start(&["--journal", "memory"]);
    let mut raw = Raw::connect(server.address());
    raw.write(sent);
    raw.end_input();
    let answers = raw.rest();
    assert_eq!(String::from_utf8_lossy(&answers), String::from_utf8_lossy(received), "{:?}", String::from_utf8_lossy(sent));
    assert_eq!(answers, received);
}

#[test]
fn lines_end_as_the_last_line_that_came_did() {
    check(b"PING a\nPING b\r\nPING c\r\0PING d\n", b"OK PING a\nOK PING b\r\nOK PING c\r\nOK PING d\n");
    check(
        b"HELP xyzzy\r\nQUIT\r\n",
        b"ERR UNKNOWN_COMMAND HELP there is no command xyzzy; type HELP for all\r\nOK QUIT bye\r\n",
    );
    check(b"\r\nPING\n\n\r\n   \r\n", b"OK PING\n");
}

#[test]
fn events_and_data_end_so_too() {
    let server = Server::start(&[]);
    let (mut windows, mut unix) = (Raw::connect(server.address()), server.connect());
    windows.write(b"CREATE #rust\r\n");
    assert_eq!(windows.line(), "OK CREATE #rust\r\n");
    unix.ok("JOIN #rust");
    unix.ok("SAY #rust hello");
    assert!(windows.line().ends_with("\r\n"), "JOIN");
    assert!(windows.line().ends_with(" hello\r\n"), "MSG");
    windows.write(b"HISTORY #rust\r\n");
    assert!(windows.line().ends_with(" hello\r\n"));
    assert_eq!(windows.line(), "OK HISTORY 1\r\n");
    windows.write(b"SAY #rust hello yourself\r\n");
    assert!(unix.event("MSG ").ends_with(" hello yourself"), "an ending is no part of the text");
}

#[test]
fn the_last_character_can_be_taken_back_and_so_can_the_line() {
    check(b"PING helo\x08\x7fllo\n", b"OK PING hello\n");
    check("PING caf\u{e9}\u{8}e\n".as_bytes(), b"OK PING cafe\n");
    check(b"\x08\x7f\x08PING\n", b"OK PING\n");
    check(b"MSG guest-1000 oops\x03PING\n", b"OK PING\n");
    check(b"MSG guest-1000 oops\xff\xf4PING\n", b"OK PING\n");
    check(b"PINGS\xff\xf7\nMSG oops\xff\xf8PING 2\n", b"OK PING\nOK PING 2\n");
}

#[test]
fn there_are_four_ends_of_input_and_each_is_answered_to_the_last_line() {
    let closes = |end: &[u8]| {
        let server = Server::start(&[]);
        let mut raw = Raw::connect(server.address());
        raw.write(&[b"CREATE #rust\nSAY #rust one\nHISTORY #rust\nWHOAMI\n", end].concat());
        String::from_utf8(raw.rest()).expect("lines are UTF-8")
    };
    for end in [&b"\x04"[..], b"\xff\xec", b"QUIT\n", b"\x04PING not executed\n", b"\xff\xecPING not executed\n"] {
        let answers = closes(end);
        let lines: Vec<&str> = answers.lines().collect();
        assert_eq!((lines[0], lines[3], lines[4]), ("OK CREATE #rust", "OK HISTORY 1", "OK WHOAMI guest-1000:1000 guest"));
        assert_eq!(lines.len(), if end == b"QUIT\n" { 6 } else { 5 }, "{answers}");
    }
    check(b"WHOAMI\n", b"OK WHOAMI guest-1000:1000 guest\n");
    let control = String::from_utf8(Vec::from(&b"a\x04"[..])).expect("ASCII");
    check(
        format!("{control}\n").as_bytes(),
        b"ERR BAD_TEXT - byte 2 of the line is the control character U+0004; nothing was done\n",
    );
}

#[test]
fn a_last_line_without_an_ending_is_not_executed() {
    let server = Server::start(&[]);
    let mut ana = server.connect();
    for end in [&b""[..], b"\xff\xec", b"\r"] {
        let mut script = Raw::connect(server.address());
        script.write(&[b"PING whole\nMSG guest-1000 half", end].concat());
        script.end_input();
        let answers = String::from_utf8(script.rest()).expect("lines are UTF-8");
        let (whole, half) = answers.split_once('\n').expect("two lines");
        assert!(whole == "OK PING whole" && half.starts_with("ERR INCOMPLETE - ") && half.lines().count() == 1, "{answers}");
    }
    assert_eq!(ana.ask("INBOX"), ["OK INBOX 0 0"]);
}

#[test]
fn telnet_options_are_refused_once_and_never_begun() {
    let server = Server::start(&[]);
    let mut telnet = Raw::connect(server.address());
    telnet.write(b"\xff\xfd\x01\xff\xfb\x1f\xff\xfd\x01\xff\xfe\x01\xff\xfc\x1f");
    assert_eq!(telnet.bytes(6), b"\xff\xfc\x01\xff\xfe\x1f");
    telnet.write(b"\xff\xfd\x01\xff\xfb\x1fWHOAMI\r\n");
    assert_eq!(telnet.line().trim_end(), "OK WHOAMI guest-1000:1000 guest");
}

#[test]
fn an_interrupt_drops_the_line_and_its_timing_mark_is_answered() {
    let server = Server::start(&[]);
    let mut telnet = Raw::connect(server.address());
    for _ in 0..3 {
        telnet.write(b"MSG guest-1000 oops\xff\xf4\xff\xfd\x06");
        assert_eq!(telnet.bytes(3), b"\xff\xfc\x06");
    }
    telnet.write(b"INBOX\r\n");
    assert_eq!(telnet.line(), "OK INBOX 0 0\r\n");
}

#[test]
fn subnegotiations_and_other_commands_are_skipped_wherever_they_are() {
    check(b"PI\xff\xfa\x18\x00xterm\nQUIT\n\xff\xff\xff\xf0NG a\xff\xf1b\xff\xf9c\n", b"OK PING abc\n");
    let endless = [&b"\xff\xfa\x18"[..], &b"x".repeat(1000), b"\nPING still here\n"].concat();
    let server = Server::start(&[]);
    let mut telnet = Raw::connect(server.address());
    telnet.write(&endless);
    assert_eq!(telnet.lines_until("OK PING").pop().as_deref(), Some("OK PING still here"));
}

#[test]
fn a_flood_of_telnet_is_answered_with_a_bounded_number_of_bytes() {
    let server = Server::start(&[]);
    let mut telnet = Raw::connect(server.address());
    let options: Vec<u8> = (0..=255).flat_map(|option| [255, 253, option, 255, 251, option]).collect();
    let writing = telnet.write_beside([options.repeat(300), b"PING\nQUIT\n".to_vec()].concat());
    writing.join().expect("the server reads on");
    let answers = telnet.bytes(256 * 3);
    assert!(answers.chunks(3).all(|answer| answer[0] == 255 && (answer[1] == 252 || answer[1] == 254)));
    assert_eq!(telnet.rest(), b"OK PING\nOK QUIT bye\n");
}
