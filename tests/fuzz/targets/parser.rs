//! Lines to commands: every line is a command, nothing, or a refusal that is one clean line itself.

use linechat::wire::{Rejected, parse, reply};

use super::text::assert_clean;

/// The bytes are one line.
pub fn check(data: &[u8]) {
    let first = parse(data);
    assert_eq!(first.is_ok(), parse(data).is_ok(), "the same line means the same");
    match first {
        Ok(None) => assert!(data.iter().all(|byte| byte.is_ascii_whitespace()), "{data:?} is not nothing"),
        Ok(Some(command)) => {
            let text = std::str::from_utf8(data).expect("a command is text");
            assert!(text.to_ascii_uppercase().trim_start().starts_with(command.verb()), "{text:?} is {}", command.verb());
        }
        Err(Rejected { verb, refusal }) => {
            let mut line = Vec::new();
            reply::err(&mut line, &verb, &refusal);
            assert_clean(&line);
            assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1, "one line");
        }
    }
}
