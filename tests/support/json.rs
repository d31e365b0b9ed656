//! The server's lines as objects, the other way round: a line from its object, and the schema from the table of forms.

use std::borrow::Cow;

use linechat::wire::Code;
use linechat::wire::forms::{FORMS, Field, First, Form, Kind, REFUSED};
use serde_json::{Map, Value};

/// What stands before the forms.
const HEAD: &str = r##"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "A line of a linechat server after FORMAT json, protocol version 1",
  "description": "The first name says what it is: the answer to a command (ok, err), data that belongs to the next answer, or an event. Its value is the second word of the line, and the others are its fields. Types that are not here may come within version 1: ignore them.",
  "type": "object",
  "$defs": {
    "number": {"type": "integer", "minimum": 0},
    "time": {"type": "string", "format": "date-time", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z$"},
    "channel": {"type": "string", "pattern": "^#."},
    "user": {"type": "object", "properties": {"name": {"type": "string"}, "id": {"$ref": "#/$defs/number"}}, "required": ["name", "id"], "additionalProperties": false},
    "room": {"oneOf": [{"$ref": "#/$defs/channel"}, {"$ref": "#/$defs/user"}]},
    "pairs": {"type": "object", "additionalProperties": {"type": ["string", "integer"]}}
  },
  "oneOf": [
"##;

/// A line as the server would have written it without `FORMAT json`. One that is no object stays as it is.
pub fn as_text(line: &str) -> Cow<'_, str> {
    if !line.starts_with('{') {
        return line.into();
    }
    let Ok(Value::Object(object)) = serde_json::from_str(line) else { panic!("not an object: {line}") };
    text(&object).unwrap_or_else(|| panic!("the object of no line: {line}")).into()
}

fn text(object: &Map<String, Value>) -> Option<String> {
    let firsts = [First::Ok, First::Err, First::Data, First::Event];
    let (first, word) = firsts.into_iter().find_map(|first| Some((first, object.get(first.name())?.as_str()?)))?;
    let mut line = format!("{} {word}", first.word());
    let form = FORMS.iter().find(|form| form.first == first && form.word == word);
    let fields = form.map(|form| form.fields).or((first == First::Err).then_some(REFUSED))?;
    let there = fields.iter().filter_map(|field| Some((field, object.get(field.name)?))).collect::<Vec<_>>();
    if there.len() + 1 != object.len() {
        return None;
    }
    for (field, value) in there {
        line += " ";
        line += &match (field.kind, value) {
            (Kind::Flag, Value::Bool(true)) => field.name.to_owned(),
            (Kind::Retry, Value::Number(number)) => format!("retry-ms={number}"),
            (Kind::Pairs, Value::Object(pairs)) => {
                let pair = |(name, value): (&String, &Value)| Some(format!("{name}={}", word_of(value)?));
                pairs.iter().map(pair).collect::<Option<Vec<_>>>()?.join(" ")
            }
            _ => word_of(value)?,
        };
    }
    Some(line)
}

fn word_of(value: &Value) -> Option<String> {
    Some(match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null => "-".to_owned(),
        Value::Object(user) => format!("{}:{}", user.get("name")?.as_str()?, user.get("id")?.as_u64()?),
        _ => return None,
    })
}

/// The schema of all forms, one in a line.
pub fn schema() -> String {
    let codes = Code::ALL.iter().map(|code| code.word()).filter(|word| *word != "RATE_LIMITED");
    let codes = codes.map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
    let refused = object("ERR <code> <verb> <text>", First::Err, &format!(r#"{{"enum": [{codes}]}}"#), REFUSED);
    let forms =
        FORMS.iter().map(|form| object(&title(form), form.first, &format!(r#"{{"const": {:?}}}"#, form.word), form.fields));
    let objects: Vec<String> = forms.chain([refused]).collect();
    format!("{HEAD}    {}\n  ]\n}}\n", objects.join(",\n    "))
}

/// The form of the line: `OK LIST <count> [more]`.
fn title(Form { first, word, fields }: &Form) -> String {
    let shown = |Field { name, kind, is_optional }: &Field| match (kind, is_optional) {
        (Kind::Flag, true) => format!(" [{name}]"),
        (_, true) => format!(" [<{name}>]"),
        (Kind::Retry, false) => format!(" retry-ms=<{name}>"),
        (_, false) => format!(" <{name}>"),
    };
    format!("{} {word}{}", first.word(), fields.iter().map(shown).collect::<String>())
}

fn object(title: &str, first: First, word: &str, fields: &[Field]) -> String {
    let mut properties = vec![format!(r#""{}": {word}"#, first.name())];
    properties.extend(fields.iter().map(|field| format!(r#""{}": {}"#, field.name, value(field.kind))));
    let required = fields.iter().filter(|field| !field.is_optional).map(|field| field.name);
    let required: Vec<_> = std::iter::once(first.name()).chain(required).map(|name| format!("{name:?}")).collect();
    let (properties, required) = (properties.join(", "), required.join(", "));
    format!(
        r#"{{"title": "{title}", "properties": {{{properties}}}, "required": [{required}], "additionalProperties": false}}"#
    )
}

fn value(kind: Kind) -> &'static str {
    match kind {
        Kind::Number | Kind::Retry => r##"{"$ref": "#/$defs/number"}"##,
        Kind::Time => r##"{"$ref": "#/$defs/time"}"##,
        Kind::Until => r##"{"oneOf": [{"$ref": "#/$defs/time"}, {"type": "null"}]}"##,
        Kind::Channel => r##"{"$ref": "#/$defs/channel"}"##,
        Kind::User => r##"{"$ref": "#/$defs/user"}"##,
        Kind::Owner => r##"{"oneOf": [{"$ref": "#/$defs/user"}, {"type": "null"}]}"##,
        Kind::Room => r##"{"$ref": "#/$defs/room"}"##,
        Kind::Who => r##"{"oneOf": [{"$ref": "#/$defs/user"}, {"type": "string"}]}"##,
        Kind::Word | Kind::Text => r#"{"type": "string"}"#,
        Kind::Verb => r#"{"type": ["string", "null"]}"#,
        Kind::Flag => r#"{"const": true}"#,
        Kind::Pairs => r##"{"$ref": "#/$defs/pairs"}"##,
    }
}
