//! The server's lines, as a client reads them: the inverse of [`reply`](super::reply), as far as a client needs it.
//!
//! It owns nothing, and must never fail: a line that it does not know is none.

/// A line that a server wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// The last line of an answer.
    Ok {
        /// The verb that was answered.
        verb: String,
        /// What follows it.
        fields: String,
    },
    /// The last line of a refused command's answer.
    Err {
        /// The code, as written: it may be one of a later server, which this client does not know.
        code: String,
        /// The verb that was refused, or `-`.
        verb: String,
        /// For people.
        text: String,
    },
    /// A line of an answer whose last line is still to come.
    Data(Item),
    /// Something that just happened.
    Event(Item),
}

/// What a line of data or an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// `MSG`, `USER` …; a client ignores kinds that it does not know.
    pub kind: String,
    /// What follows it.
    pub fields: String,
}

impl Item {
    /// The first `N` fields and the text after them; `None` when there are fewer fields. The text is raw and may be empty.
    pub fn split<const N: usize>(&self) -> Option<([&str; N], &str)> {
        let mut rest = self.fields.as_str();
        let mut fields = [""; N];
        for field in &mut fields {
            if rest.is_empty() {
                return None;
            }
            (*field, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        }
        Some((fields, rest))
    }
}

/// Reads a line without its ending; `None` for a line that no server of this protocol writes.
pub fn read(line: &str) -> Option<Incoming> {
    let (word, rest) = line.split_once(' ')?;
    let (second, fields) = rest.split_once(' ').unwrap_or((rest, ""));
    let (second, fields) = (second.to_owned(), fields.to_owned());
    Some(match word {
        "OK" => Incoming::Ok { verb: second, fields },
        "ERR" => {
            let (verb, text) = fields.split_once(' ').unwrap_or((&fields, ""));
            Incoming::Err { code: second, verb: verb.to_owned(), text: text.to_owned() }
        }
        "-" => Incoming::Data(Item { kind: second, fields }),
        "*" => Incoming::Event(Item { kind: second, fields }),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Incoming, read};

    #[test]
    fn the_four_words_decide() {
        let Some(Incoming::Event(item)) = read("* MSG 43 2026-11-22T13:00:04.123Z #rust bob:2346 hi  ana ") else { panic!() };
        assert_eq!(item.kind, "MSG");
        assert_eq!(item.split(), Some((["43", "2026-11-22T13:00:04.123Z", "#rust", "bob:2346"], "hi  ana ")));
        assert_eq!(item.split::<9>(), None);
        assert_eq!(read("OK LIST"), Some(Incoming::Ok { verb: "LIST".into(), fields: String::new() }));
        let refused = Incoming::Err { code: "BAD_NAME".into(), verb: "NAME".into(), text: "no, not that".into() };
        assert_eq!(read("ERR BAD_NAME NAME no, not that"), Some(refused));
        assert_eq!((read("HTTP/1.1 200 OK"), read("")), (None, None));
    }
}
