//! `FORMAT json`: every line of the grammar is an object of the schema, which loses nothing, and readers of text notice nothing.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use abnf::types::Node;
use boon::{Compiler, Schemas};
use linechat::limits::LINE_BYTES;
use linechat::wire::forms::{FORMS, First};
use linechat::wire::json;
use serde_json::{Value, json};
use support::abnf::{Grammar, seeded};
use support::json::{as_text, schema};
use support::raw::Raw;
use support::server::Server;

const SCHEMA: &str = "grammar/linechat.schema.json";

/// Whether values are of the schema, as somebody else's program sees it.
struct Judge {
    schemas: Schemas,
    index: boon::SchemaIndex,
}

impl Judge {
    fn new() -> Self {
        let mut compiler = Compiler::new();
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(SCHEMA)).expect("there is the schema");
        compiler.add_resource("schema.json", serde_json::from_str(&text).expect("it is JSON")).expect("it can be added");
        let mut schemas = Schemas::new();
        let index = compiler.compile("schema.json", &mut schemas).unwrap_or_else(|error| panic!("no schema: {error:#}"));
        Self { schemas, index }
    }

    fn accepts(&self, value: &Value) -> bool {
        self.schemas.validate(value, self.index).is_ok()
    }
}

fn object(line: &str) -> String {
    let mut out = Vec::new();
    json::write(&mut out, line.as_bytes());
    String::from_utf8(out).expect("it is text")
}

/// A line whose words may come in any order where they have names.
fn sorted(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    if line.starts_with("OK CAPS ") {
        // Of two with one name, which no server writes, the last counts.
        words.reverse();
        words.sort_by_key(|word| word.split('=').next());
        words.dedup_by_key(|word| word.split('=').next());
    }
    words.join(" ")
}

/// The rules that a rule leads to by itself, or between a few first words.
fn rules(node: &Node, out: &mut BTreeSet<String>) {
    match node {
        Node::Rulename(name) => drop(out.insert(name.clone())),
        Node::Alternatives(nodes) | Node::Concatenation(nodes) => nodes.iter().for_each(|node| rules(node, out)),
        Node::Group(node) => rules(node, out),
        _ => {}
    }
}

/// The first string of a rule.
fn word(rule: &str) -> Option<String> {
    fn first(node: &Node) -> Option<String> {
        match node {
            Node::String(text) => Some(text.value().to_owned()),
            Node::Alternatives(nodes) | Node::Concatenation(nodes) => nodes.iter().find_map(first),
            _ => None,
        }
    }
    first(Grammar::load().definition(rule))
}

#[test]
fn each_type_of_line_has_its_form_and_no_other_has() {
    let mut expected = BTreeSet::from([(First::Err, "RATE_LIMITED".to_owned())]);
    for (first, rule) in [(First::Ok, "answer"), (First::Data, "data-line"), (First::Event, "event-line")] {
        let mut found = BTreeSet::new();
        rules(Grammar::load().definition(rule), &mut found);
        found.remove("SP");
        assert!(found.len() > 3, "{rule}");
        expected.extend(found.iter().map(|rule| (first, word(rule).unwrap_or_else(|| panic!("{rule} has no word")))));
    }
    let forms: BTreeSet<_> = FORMS.iter().map(|form| (form.first, form.word.to_owned())).collect();
    assert_eq!(forms.len(), FORMS.len(), "each once");
    let missing: Vec<_> = expected.difference(&forms).collect();
    assert!(missing.is_empty(), "give these a form in src/wire/forms.rs: {missing:?}");
    let others: Vec<_> = forms.difference(&expected).collect();
    assert!(others.is_empty(), "the grammar has no such lines: {others:?}");
}

#[test]
fn the_schema_is_made_of_the_forms() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCHEMA);
    if std::env::var_os("LINECHAT_RECORD").is_some() {
        fs::write(&file, schema()).expect("it can be written");
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == schema(), "{SCHEMA} is of other forms: LINECHAT_RECORD=1 cargo test --test json");
}

#[test]
fn every_line_of_the_grammar_is_an_object_of_the_schema_and_comes_back_from_it() {
    let (judge, mut rng, mut seen) = (Judge::new(), seeded(11), BTreeSet::new());
    let line = |rng: &mut _, rule| String::from_utf8(Grammar::load().generate(rule, rng)).expect("it is text");
    for number in 0..6_000 {
        let rule = ["server-line", "ok-line", "data-line", "event-line"][number % 4];
        let line = line(&mut rng, rule);
        let object = object(&line);
        let value: Value = serde_json::from_str(&object).unwrap_or_else(|error| panic!("{error}: {line:?} as {object}"));
        assert!(judge.accepts(&value), "{line:?} as {object}");
        assert_eq!(sorted(&as_text(&object)), sorted(&line), "{object}");
        seen.insert(line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    }
    let unseen = FORMS.iter().filter(|form| !seen.contains(&format!("{} {}", form.first.word(), form.word)));
    assert_eq!(unseen.map(|form| form.word).collect::<Vec<_>>(), [""; 0], "each was made");
}

#[test]
fn the_schema_takes_nothing_else() {
    let judge = Judge::new();
    let good =
        json!({"event": "JOIN", "channel": "#rust", "user": {"name": "bob", "id": 7}, "time": "2026-11-22T13:00:01.007Z"});
    assert!(judge.accepts(&good));
    let mut others =
        vec![json!({}), json!([]), json!("OK PING"), json!({"ok": "NOTHING"}), json!({"event": "NEWER", "rest": "x"})];
    for (name, value) in [("user", json!("bob:7")), ("channel", json!("rust")), ("time", json!("noon")), ("more", json!(true))]
    {
        let mut other = good.clone();
        other[name] = value;
        others.push(other);
    }
    for name in ["event", "channel", "user", "time"] {
        let mut other = good.clone();
        other.as_object_mut().expect("it is one").remove(name);
        others.push(other);
    }
    others.push(json!({"ok": "ACK", "seq": "42"}));
    others.push(json!({"ok": "ACK", "seq": -1}));
    others.push(json!({"err": "NO_SUCH_CODE", "verb": null, "text": "x"}));
    for other in others {
        assert!(!judge.accepts(&other), "{other}");
    }
}

/// A quote and a backslash take two bytes each.
#[test]
fn an_object_is_at_most_twice_as_long_as_a_line_may_be() {
    for escaped in ["\"", "\\", "\t"] {
        let name = "\u{1e7e0}".repeat(32);
        let id = "9".repeat(19);
        let text = "x".to_owned() + &escaped.repeat(3599);
        let line = format!("* MSG {id} 2026-11-22T13:00:01.007Z {name}:{id} {name}:{id} {text}");
        assert!(Grammar::load().matches("server-line", line.as_bytes()));
        let length = object(&line).len() + "\r\n".len();
        assert!((7_200..=2 * LINE_BYTES).contains(&length), "{length}");
    }
}

/// Reads a line of a connection that has asked for JSON.
fn value(raw: &mut Raw) -> Value {
    let line = raw.line();
    assert!(Grammar::load().matches("server-line", as_text(line.trim_end_matches(['\r', '\n'])).as_bytes()), "{line}");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn one_reader_has_objects_and_another_has_lines() {
    let server = Server::start(&[]);
    let (mut ana, mut bob) = (server.connect(), Raw::connect(server.address()));
    ana.ok("NAME ana");
    ana.ok("CREATE #rust");
    bob.write(b"JOIN #rust\nFORMAT json\nWHOAMI\n");
    assert!(bob.line().starts_with("OK JOIN #rust 2"));
    assert_eq!(value(&mut bob), json!({"ok": "FORMAT", "format": "json"}));
    assert_eq!(value(&mut bob)["user"], json!({"name": "guest-1001", "id": 1001}));
    let said = ana.ok(r#"SAY #rust she said "hi" and left \o/"#);
    let event = value(&mut bob);
    assert_eq!(event["event"], "MSG");
    assert_eq!(format!("OK SAY {} {}", event["seq"], event["time"].as_str().unwrap_or_default()), said);
    assert_eq!((&event["to"], &event["from"]), (&json!("#rust"), &json!({"name": "ana", "id": ana.id()})));
    assert_eq!(event["text"], r#"she said "hi" and left \o/"#);
    // A page, an answer that waits for its message, and one behind it.
    bob.write(b"HISTORY #rust\nSAY #rust {\nPING {}\nNOPE\n");
    assert_eq!(value(&mut bob)["data"], "MSG");
    assert_eq!(value(&mut bob), json!({"ok": "HISTORY", "count": 1}));
    assert_eq!(value(&mut bob)["ok"], "SAY");
    assert_eq!(value(&mut bob), json!({"ok": "PING", "text": "{}"}));
    assert_eq!(value(&mut bob)["err"], "UNKNOWN_COMMAND");
    assert!(ana.event("MSG").ends_with(" #rust guest-1001:1001 {"));
    bob.write(b"FORMAT text\nPING\n");
    assert_eq!((bob.line(), bob.line()), ("OK FORMAT text\n".to_owned(), "OK PING\n".to_owned()));
}

#[test]
fn objects_end_as_the_reader_ends_lines() {
    let server = Server::start(&[]);
    let mut ana = Raw::connect(server.address());
    ana.write(b"FORMAT json\r\nHELP\r\nQUIT\r\n");
    let text = String::from_utf8(ana.rest()).expect("it is text");
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert!(lines.len() > 20 && text.ends_with("\r\n"), "{text}");
    for line in lines {
        assert!(line.starts_with('{') && !line.contains(['\r', '\n']), "{line}");
        assert!(Grammar::load().matches("server-line", as_text(line).as_bytes()), "{line}");
    }
}

/// Whoever reads slowly is shown the same from the store as from memory, and the limits of a connection hold.
#[test]
fn a_slow_reader_of_objects_misses_nothing() {
    const MESSAGES: usize = 2_000;
    let limits = ["commands-per-second=none", "commands-per-address=none", "announce-members=0"];
    let server = Server::start(&limits.map(|limit| ["--limit", limit]).concat());
    let (mut ana, mut bob) = (Raw::connect(server.address()), Raw::connect_narrowly(server.address()));
    ana.write(b"CREATE #rust\n");
    ana.lines_until("OK CREATE");
    bob.write(b"JOIN #rust\nFORMAT json\n");
    bob.lines_until("{\"ok\":\"FORMAT\"");
    let filler = "\"".repeat(1_000);
    let writing = ana.write_beside((0..MESSAGES).flat_map(|n| format!("SAY #rust {n} {filler}\n").into_bytes()).collect());
    for _ in 0..MESSAGES {
        assert!(ana.line().starts_with("OK SAY "));
    }
    writing.join().expect("it was all sent");
    for number in 0..MESSAGES {
        let text = value(&mut bob)["text"].as_str().map(str::to_owned).unwrap_or_default();
        assert_eq!(text, format!("{number} {filler}"));
    }
}
