//! What SEARCH looks for: the raw rest of its line as words, phrases and what narrows them down. It owns nothing, and knows neither
//! who asks nor what there is.

use crate::code::{Code, Refusal};
use crate::limits::{SEARCH_LINES_MAX, SEARCH_WORDS};
use crate::wire::command::{Target, When};
use crate::wire::parse::words::{Part, number, user, when};

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted<'a> {
    /// Words, and several side by side where they were in double quotes. In each something is a letter or a digit.
    pub phrases: Vec<&'a str>,
    /// `from:nina`
    pub from: Option<Target<'a>>,
    /// `before:42`, `before:2026-11-22`
    pub before: Option<When>,
    /// `since:2h`
    pub since: Option<When>,
    /// `limit:100`
    pub limit: Option<u64>,
}

/// What is looked for with these words.
///
/// # Errors
/// `BAD_SYNTAX`: nothing is looked for, too much, or something that is not of its form.
pub fn wanted(words: &str) -> Result<Wanted<'_>, Refusal> {
    let (mut wanted, mut rest) = (Wanted::default(), words.trim_start_matches([' ', '\t']));
    while !rest.is_empty() {
        let (word, after, is_quoted) = match rest.strip_prefix('"') {
            Some(quoted) => split(quoted, &['"'], true),
            None => split(rest, &[' ', '\t'], false),
        };
        if is_quoted || !narrow(&mut wanted, word)? {
            // A word without a letter or a digit is none to the index.
            wanted.phrases.extend(Some(word).filter(|word| word.contains(char::is_alphanumeric)));
        }
        rest = after.trim_start_matches([' ', '\t']);
    }
    let refused = |text: String| Err(Refusal::new(Code::BadSyntax, text));
    if wanted.phrases.is_empty() && wanted.from.is_none() {
        return refused("give a word to look for, for example: SEARCH #rust borrow checker, or from:nina".to_owned());
    }
    if wanted.phrases.len() > SEARCH_WORDS {
        return refused(format!("{} words are too many; give up to {SEARCH_WORDS}", wanted.phrases.len()));
    }
    Ok(wanted)
}

/// What comes before the first of these characters, and what comes after it.
fn split<'a>(text: &'a str, at: &[char], is_quoted: bool) -> (&'a str, &'a str, bool) {
    let (word, after) = text.split_once(at).unwrap_or((text, ""));
    (word, after, is_quoted)
}

/// Notes a word that narrows the search down; returns whether it is one.
fn narrow<'a>(wanted: &mut Wanted<'a>, word: &'a str) -> Result<bool, Refusal> {
    let Some((name, value)) = word.split_once(':') else { return Ok(false) };
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    if is("from") {
        wanted.from = Some(whole(user(value)).ok_or_else(|| wrong(word, "from:nina, from:8763 or from:nina:8763"))?);
    } else if is("before") {
        wanted.before = Some(time(word, value)?);
    } else if is("since") {
        wanted.since = Some(time(word, value)?);
    } else if is("limit") {
        let limit = whole(nom::Parser::parse(&mut number(4), value)).filter(|limit| (1..=SEARCH_LINES_MAX).contains(limit));
        wanted.limit = Some(limit.ok_or_else(|| wrong(word, &format!("limit:1 to limit:{SEARCH_LINES_MAX}")))?);
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn time(word: &str, value: &str) -> Result<When, Refusal> {
    whole(when(value))
        .ok_or_else(|| wrong(word, "a seq, an age such as 2h, or a time such as 2026-11-22T13:00Z after the colon"))
}

fn whole<T>(part: Part<'_, T>) -> Option<T> {
    part.ok().filter(|(rest, _)| rest.is_empty()).map(|(_, found)| found)
}

fn wrong(word: &str, right: &str) -> Refusal {
    Refusal::new(Code::BadSyntax, format!("{word} is not understood; give {right}, or put it in double quotes to look for it"))
}

#[cfg(test)]
mod tests {
    use super::{Wanted, wanted};
    use crate::event::Age;
    use crate::names::Seq;
    use crate::wire::command::{Target, When};

    #[test]
    fn words_and_phrases_and_what_narrows_them_down() {
        let found = wanted("  borrow \"the checker\" from:nina:8763 - BEFORE:42 since:2h limit:100 a:b \"from:bob\" ").unwrap();
        let expected = Wanted {
            phrases: vec!["borrow", "the checker", "a:b", "from:bob"],
            from: Some(Target::Both("nina", crate::names::UserId(8763))),
            before: Some(When::Seq(Seq(42))),
            since: Some(When::Age(Age(7200))),
            limit: Some(100),
        };
        assert_eq!(found, expected);
        assert_eq!(wanted("\"open end").unwrap().phrases, ["open end"]);
        assert_eq!(wanted("it\"s").unwrap().phrases, ["it\"s"]);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (words, part) in [
            ("\t ...", "give a word"),
            ("since:2h", "give a word"),
            ("x from:#rust", "from:#rust is not understood"),
            ("x since:soon", "since:soon is not understood"),
            ("x limit:101", "limit:101 is not understood"),
            ("x limit:0", "limit:0 is not understood"),
            ("a b c d e f g h i j k l m n o p q", "17 words are too many"),
        ] {
            let refusal = wanted(words).unwrap_err();
            assert!(refusal.text.contains(part), "{words}: {}", refusal.text);
        }
    }
}
