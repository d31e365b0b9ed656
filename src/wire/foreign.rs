//! Words that people know from elsewhere, and the command here that does it: they are answered with a hint, and not executed.
//!
//! It owns a table, and one of words that no person types. None of them may be a verb.

use crate::wire::verbs;

/// The word elsewhere, and a line here.
const WORDS: &[(&str, &str)] = &[
    ("NICK", "NAME nina"),
    ("USER", "NAME nina"),
    ("PASS", "LOGIN name password"),
    ("IDENTIFY", "LOGIN name password"),
    ("PRIVMSG", "MSG nina hello, or SAY #channel hello"),
    ("NOTICE", "MSG nina hello"),
    ("QUERY", "MSG nina hello"),
    ("WHISPER", "MSG nina hello"),
    ("TELL", "MSG nina hello"),
    ("ME", "SAY #channel hello"),
    ("WHO", "LIST, or LIST #channel"),
    ("NAMES", "LIST #channel"),
    ("USERS", "LIST"),
    ("ISON", "WHOIS nina"),
    ("PART", "LEAVE #channel"),
    ("MODE", "SET #channel, or OP #channel nina"),
    ("CHATHISTORY", "HISTORY #channel"),
    ("BACK", "AWAY"),
    ("EXIT", "QUIT"),
    ("BYE", "QUIT"),
    ("LOGOUT", "QUIT"),
    ("HI", "SAY #channel hello, or MSG nina hello"),
    ("HELLO", "SAY #channel hello, or MSG nina hello"),
    ("HEY", "SAY #channel hello, or MSG nina hello"),
];

/// HTTP's methods. `PRI` begins HTTP/2's preface.
pub const HTTP_METHODS: &[&str] = &["GET", "POST", "PUT", "HEAD", "OPTIONS", "TRACE", "PATCH", "DELETE", "CONNECT", "PRI"];

/// What to type instead, for a word that is a command elsewhere, one of ours behind a slash, or a channel or somebody's name.
pub fn instead(word: &str) -> Option<String> {
    let bare = word.strip_prefix('/').unwrap_or(word).to_ascii_uppercase();
    if let Some((_, line)) = WORDS.iter().find(|(foreign, _)| *foreign == bare) {
        return Some((*line).to_owned());
    }
    let line = match word.chars().next()? {
        '#' => "SAY #channel hello, or JOIN #channel",
        '@' => "MSG nina hello",
        '/' => verbs::find(&bare).map(|verb| if verb.name == "HELP" { verb.name } else { verb.example })?,
        _ => return None,
    };
    Some(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{HTTP_METHODS, WORDS, instead};
    use crate::wire::{parse, verbs};

    #[test]
    fn words_from_elsewhere_lead_to_lines_that_are_understood() {
        for (word, lines) in WORDS {
            assert!(verbs::find(word).is_none(), "{word} is a verb here");
            for line in lines.split(", or ") {
                assert!(matches!(parse(line.as_bytes()), Ok(Some(_))), "{word}: {line}");
            }
        }
        assert!(HTTP_METHODS.iter().all(|method| verbs::find(method).is_none()));
        assert_eq!(instead("/nick").as_deref(), Some("NAME nina"));
        assert_eq!(instead("/join").as_deref(), Some("JOIN #rust"));
        assert_eq!(instead("/help").as_deref(), Some("HELP"));
        for word in ["#rust", "@ana"] {
            let lines = instead(word).expect("it has a hint");
            assert!(lines.split(", or ").all(|line| matches!(parse(line.as_bytes()), Ok(Some(_)))), "{lines}");
        }
        assert_eq!((instead("join"), instead("xyzzy"), instead("/")), (None, None, None));
    }
}
