//! A whole session, from bytes to bytes, without a network: whatever a peer sends, each command is answered once, every line is
//! clean, and the session ends when the peer does.

use linechat::wire::{Back, LineDecoder, Next, parse};

use super::text::assert_clean;
use crate::pipe::{connect, shared};

/// How many of these bytes' lines are answered if nothing ends the conversation early.
fn answered(bytes: &[u8]) -> usize {
    let (mut decoder, mut input, mut count) = (LineDecoder::default(), bytes, 0);
    loop {
        count += match decoder.next(&mut input, &mut Back::default()) {
            Next::Line(line) => usize::from(!matches!(parse(line), Ok(None))),
            Next::TooLong | Next::Flood => 1,
            Next::End => return count + usize::from(decoder.is_partial()),
            Next::More => return count + usize::from(decoder.is_partial()),
        };
    }
}

/// The bytes without telnet's answers, each of which has three.
fn lines(bytes: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        if byte == 255 {
            rest.nth(1);
        } else {
            lines.push(byte);
        }
    }
    lines.retain(|&byte| byte != b'\r');
    lines
}

/// The bytes are everything that the peer sends before it closes its side.
pub fn check(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let sent = runtime.block_on(async {
        let shared = shared();
        let pipe = connect(&shared);
        pipe.sends(data);
        pipe.ends();
        pipe.everything().await
    });
    let lines = lines(&sent);
    assert_clean(&lines);
    let text = String::from_utf8(lines).expect("it is clean");
    let starts = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    let answers = starts("OK ") + starts("ERR ");
    assert_eq!(answers + starts("* ") + starts("- "), text.lines().count(), "every line says what it is: {text:?}");
    let sniffed = ["this port speaks plain lines", "this is not a web server", "this looks like a header"];
    let is_another_protocol = sniffed.iter().any(|said| text.contains(said));
    let is_cut_short = is_another_protocol || starts("OK QUIT") + starts("* BYE") + starts("ERR TOO_LONG") > 0;
    let expected = answered(data);
    assert!(answers == expected || (is_cut_short && answers <= expected + 1), "{answers} answers to {expected}: {text:?}");
}
