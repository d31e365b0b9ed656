//! `linechat cheat` and `linechat explain`: the commands on one page, and what a code or a command means.
//!
//! It owns no state, and says nothing that the tables of verbs and codes do not.

use std::fmt::Write;

use anyhow::{Result, bail};

use crate::cli::settings::nearest;
use crate::code::{Code, Retry};
use crate::wire::verbs::{self, ANY, VERBS, Verb};

/// So many codes fit side by side.
const CODES_IN_A_LINE: usize = 5;

/// All commands with what they do, then the codes by what to do about them.
pub fn cheat() -> String {
    let mut text = String::from(
        "You type a line, and are answered by one OK or ERR. Lines from the server begin with OK, ERR,\n- (what you asked for) or * (what just happened).\n\n",
    );
    let width = VERBS.iter().map(|verb| verb.syntax.len()).filter(|width| *width < 40).max().unwrap_or(0);
    for verb in VERBS {
        let _ = writeln!(text, "  {:width$}  {}", verb.syntax, verb.brief);
    }
    for (retry, what) in [
        (Retry::No, "ERR with one of these: the same line would fail again"),
        (Retry::Later, "with one of these: later it may not; retry-ms=N says when"),
        (Retry::SameKey, "with this: send it again with the same @key"),
    ] {
        let codes: Vec<_> = Code::ALL.iter().filter(|code| code.retry() == retry).map(|code| code.word()).collect();
        let lines: String = codes.chunks(CODES_IN_A_LINE).map(|codes| format!("  {}\n", codes.join(" "))).collect();
        let _ = write!(text, "\n{what}\n{lines}");
    }
    text.push_str("\nlinechat explain CODE or COMMAND tells more.\n");
    text
}

/// What this code of an `ERR`, or this command, means.
///
/// # Errors
/// When it is neither; says which is probably meant.
pub fn explain(word: &str) -> Result<String> {
    let typed = word.to_uppercase().replace('-', "_");
    if let Some(code) = Code::ALL.iter().find(|code| code.word() == typed) {
        return Ok(code_in_full(*code));
    }
    if let Some(verb) = verbs::find(&typed) {
        return Ok(verb_in_full(verb));
    }
    let words = Code::ALL.iter().map(|code| code.word()).chain(VERBS.iter().map(|verb| verb.name));
    bail!("{word} is neither a code nor a command{}; 'linechat cheat' shows them all", nearest(&typed, words))
}

fn code_in_full(code: Code) -> String {
    let advice = match code.retry() {
        Retry::No => "Do not send the same line again: change it, or what it refers to.",
        Retry::Later => {
            "Send it again later. Nothing was stored. Where the text begins with retry-ms=N, wait so many milliseconds."
        }
        Retry::SameKey => "Send it again with the same @key: it is stored once, whether or not it was the first time.",
    };
    let by = |verb: &&Verb| verb.codes.contains(&code);
    let verbs = match ANY.contains(&code) {
        true => "any line".to_owned(),
        false => VERBS.iter().filter(by).map(|verb| verb.name).collect::<Vec<_>>().join(" "),
    };
    let on = if verbs.is_empty() { String::new() } else { format!("On: {verbs}\n") };
    format!("{code}\n{}\n{advice}\n{on}", code.meaning())
}

fn verb_in_full(verb: &Verb) -> String {
    let codes = verb.refusals();
    let Verb { name, syntax, example, summary, answer, .. } = verb;
    let by = verb.by.describe();
    format!(
        "{syntax}\n{name} {summary}.\nFor example: {example}\nAnswer: OK {name} {answer}\nFor: {by}\nMay be refused with: {codes}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::{Code, VERBS, cheat, explain};

    #[test]
    fn everything_is_shown_and_explained() {
        let cheat = cheat();
        assert!(cheat.lines().count() <= VERBS.len() + 20, "it fits on a page:\n{cheat}");
        for word in Code::ALL.iter().map(|code| code.word()).chain(VERBS.iter().map(|verb| verb.name)) {
            assert!(cheat.contains(word), "{word}");
            assert!(explain(&word.to_lowercase()).expect("it is known").contains(word), "{word}");
        }
        let limited = explain("rate-limited").expect("it is known");
        let expected = "RATE_LIMITED\nToo often; the text begins with retry-ms=N, the time to wait.\n\
             Send it again later. Nothing was stored. Where the text begins with retry-ms=N, wait so many milliseconds.\n\
             On: MSG SAY ";
        assert!(limited.starts_with(expected), "{limited}");
        assert!(explain("TOO_LONG").expect("it is known").ends_with("\nOn: any line\n"));
        let unknown = explain("RATE_LIMTED").expect_err("it is no code").to_string();
        assert_eq!(
            unknown,
            "RATE_LIMTED is neither a code nor a command (is 'RATE_LIMITED' meant?); 'linechat cheat' shows them all"
        );
    }
}
