//! What an answer of the server looks like: sentences and tables for people, JSON for programs.
//!
//! It owns nothing. It must never show what the server has not said.

use serde_json::{Map, Value};

use super::{Accounts, Act, Channels};

/// The fields that are numbers for a program.
const NUMBERS: [&str; 9] = ["connection", "connections", "node", "channels", "tokens", "members", "seq", "ended", "uses"];

impl Act {
    /// The names of the columns of its answer.
    const fn columns(&self) -> &'static [&'static str] {
        match self {
            Self::Status => &["name", "value"],
            Self::Metrics => &["line"],
            Self::Connections { .. } => &["connection", "user", "kind", "address", "since", "node"],
            Self::Bans => &["banned", "since", "until", "reason"],
            Self::Accounts(Accounts::List { .. }) => &["account", "connections", "channels", "tokens", "banned"],
            Self::Channels(Channels::List { .. }) => &["channel", "members", "owner", "topic"],
            Self::Log { .. } => &["seq", "time", "by", "act", "reason"],
            _ => &[],
        }
    }

    /// The rows as a table, or what came of an act as a sentence.
    pub(super) fn for_people(&self, rows: &[Vec<String>], fields: &str) -> String {
        match (self, self.columns()) {
            (Self::Metrics, _) => rows.iter().map(|row| format!("{}\n", row.join("\t"))).collect(),
            (_, []) => format!("{}\n", self.said(fields)),
            (_, columns) => table(columns, rows),
        }
    }

    /// One object a line: for each row, or for all that was said.
    pub(super) fn for_programs(&self, rows: &[Vec<String>], fields: &str) -> String {
        match (self, self.columns()) {
            (Self::Status, _) => format!("{}\n", status(rows)),
            (_, []) => format!("{}\n", self.came(fields)),
            (_, columns) => rows.iter().map(|row| format!("{}\n", object(columns, row))).collect(),
        }
    }

    /// What the fields of its OK are, for people.
    fn said(&self, fields: &str) -> String {
        let (first, rest) = fields.split_once(' ').unwrap_or((fields, ""));
        match self {
            Self::Disconnect { .. } => format!("ended {rest} connections of {first}"),
            Self::Ban { .. } => match rest.rsplit_once(' ') {
                Some((until, ended)) => format!("banned {first} {until}; {ended} connections were ended"),
                None => format!("banned {first} for ever; {rest} connections were ended"),
            },
            Self::Unban { .. } => format!("{first} is banned no more"),
            Self::Accounts(Accounts::Reset { .. }) => {
                format!(
                    "the new password of {first} is: {rest}\nit is shown only here; tell them to change it: PASSWD {rest} -> …"
                )
            }
            Self::Accounts(Accounts::Remove { .. }) => format!("removed {first}"),
            Self::Channels(Channels::Close { .. }) => format!("closed {first}, which had {rest} members"),
            Self::Channels(Channels::Give { .. }) => format!("{first} is {rest}'s now"),
            Self::Notice { .. } => "everybody was told".to_owned(),
            Self::Invite { .. } => {
                let (uses, until) = rest.split_once(' ').unwrap_or((rest, ""));
                format!("the code is: {first}\n{uses} may register with it {until}: REGISTER @{first} name password")
            }
            _ => format!("{first} in all"),
        }
    }

    /// The same with a name for each, for programs.
    fn came(&self, fields: &str) -> Value {
        let (first, rest) = fields.split_once(' ').unwrap_or((fields, ""));
        let until = |text: &str| text.trim_start_matches("until ").to_owned();
        let named = match self {
            Self::Disconnect { .. } => vec![(whom(first), first.to_owned()), ("ended", rest.to_owned())],
            Self::Ban { .. } => {
                let (until_when, ended) = rest.rsplit_once(' ').unwrap_or(("", rest));
                vec![(whom(first), first.to_owned()), ("until", until(until_when)), ("ended", ended.to_owned())]
            }
            Self::Unban { .. } | Self::Accounts(Accounts::Remove { .. }) => vec![(whom(first), first.to_owned())],
            Self::Accounts(Accounts::Reset { .. }) => vec![("user", first.to_owned()), ("password", rest.to_owned())],
            Self::Channels(Channels::Close { .. }) => vec![("channel", first.to_owned()), ("members", rest.to_owned())],
            Self::Channels(Channels::Give { .. }) => vec![("channel", first.to_owned()), ("user", rest.to_owned())],
            Self::Invite { .. } => {
                let (uses, until_when) = rest.split_once(' ').unwrap_or((rest, ""));
                vec![("code", first.to_owned()), ("uses", uses.to_owned()), ("until", until(until_when))]
            }
            _ => vec![("told", "everybody".to_owned())],
        };
        let named = named.into_iter().filter(|(_, field)| !field.is_empty());
        Value::Object(named.map(|(name, field)| (name.to_owned(), value(name, &field))).collect())
    }
}

/// What it is that was disconnected or banned.
fn whom(word: &str) -> &'static str {
    match word {
        _ if word.contains('/') => "address",
        _ if word.contains(':') => "user",
        _ => "connection",
    }
}

fn value(name: &str, field: &str) -> Value {
    let number = field.parse::<u64>().ok().filter(|_| NUMBERS.contains(&name));
    number.map_or_else(|| Value::from(field), Value::from)
}

fn object(columns: &[&str], row: &[String]) -> Value {
    let fields = columns.iter().zip(row).filter(|(_, field)| *field != "-");
    Value::Object(fields.map(|(column, field)| ((*column).to_owned(), value(column, field))).collect())
}

/// How the server is, as one object: names as programs like them, and the nodes of a cluster as a list.
fn status(rows: &[Vec<String>]) -> Value {
    let (mut all, mut nodes) = (Map::new(), Vec::new());
    for row in rows {
        let [name, field] = &row[..] else { continue };
        let number = field.parse::<u64>().map_or_else(|_| Value::from(field.as_str()), Value::from);
        if name == "node" { nodes.push(number) } else { drop(all.insert(name.replace('-', "_"), number)) }
    }
    if !nodes.is_empty() {
        all.insert("nodes".to_owned(), Value::from(nodes));
    }
    Value::Object(all)
}

/// Columns as wide as what is in them; the last may be as long as it likes.
fn table(columns: &[&str], rows: &[Vec<String>]) -> String {
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|field| field.chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = columns.iter().enumerate().map(|(at, column)| column.len().max(width(at))).collect();
    let line = |fields: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<_> = fields.zip(&widths).map(|(field, &width)| format!("{field:width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(&mut columns.iter().copied());
    rows.iter().for_each(|row| text.push_str(&line(&mut row.iter().map(String::as_str))));
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{object, table};
    use crate::cli::{Cli, Command};

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [["1000", "nina:1000"], ["7", "bob:7"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&["connection", "user"], &rows), "connection  user\n1000        nina:1000\n7           bob:7\n");
        assert_eq!(object(&["connection", "user"], &rows[1]).to_string(), r#"{"connection":7,"user":"bob:7"}"#);
    }

    #[test]
    fn what_came_of_an_act_has_names() {
        for (typed, fields, json) in [
            ("disconnect 7", "7 1", r#"{"connection":7,"ended":1}"#),
            ("disconnect ana", "ana:5 2", r#"{"ended":2,"user":"ana:5"}"#),
            ("ban 10.0.0.0/8", "10.0.0.0/8 3", r#"{"address":"10.0.0.0/8","ended":3}"#),
            ("ban ana", "ana:5 until 2026-11-29T12:00:00Z 0", r#"{"ended":0,"until":"2026-11-29T12:00:00Z","user":"ana:5"}"#),
            ("unban ana", "ana:5", r#"{"user":"ana:5"}"#),
            ("accounts reset ana", "ana:5 abc def", r#"{"password":"abc def","user":"ana:5"}"#),
            ("accounts remove ana", "ana:5", r#"{"user":"ana:5"}"#),
            ("channels close #rust", "#rust 2", r##"{"channel":"#rust","members":2}"##),
            ("channels give #rust ana", "#rust ana:5", r##"{"channel":"#rust","user":"ana:5"}"##),
            ("notice hi", "", r#"{"told":"everybody"}"#),
            ("invite", "123 1 until 2026-11-29T12:00:00Z", r#"{"code":"123","until":"2026-11-29T12:00:00Z","uses":1}"#),
        ] {
            let words = ["linechat", "admin"].into_iter().chain(typed.split(' '));
            let Some(Command::Admin(admin)) = Cli::parse_from(words).command else { panic!("{typed} is for the operator") };
            assert_eq!(admin.act.for_programs(&[], fields), format!("{json}\n"), "{typed}");
        }
    }
}
