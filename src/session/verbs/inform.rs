//! PING, WHOAMI, CAPS and HELP: answered from what the session knows.

use std::sync::Arc;

use crate::code::{Code, Refusal};
use crate::limits;
use crate::order::cluster::Membership;
use crate::session::Session;
use crate::wire::verbs::{self, ANY, VERBS, Verb};
use crate::wire::{PROTOCOL, Word, reply};

const PING: Word = Word::of("PING");
const HELP: Word = Word::of("HELP");

impl Session {
    pub(super) fn ping(&mut self, text: Option<&str>) {
        match self.pong(text) {
            Ok(fields) if fields.is_empty() => self.accept(PING, ""),
            Ok(fields) => self.accept(PING, format_args!(" {fields}")),
            Err(refusal) => self.refuse(PING, &refusal),
        }
    }

    /// The fields of PING's OK.
    pub(super) fn pong(&self, text: Option<&str>) -> Result<String, Refusal> {
        let text = text.unwrap_or_default();
        self.check_length(text).map(|()| text.to_owned())
    }

    pub(super) fn whoami(&mut self) {
        let kind = if self.is_account { "account" } else { "guest" };
        let fields = format!(" {} {kind}", self.who);
        self.accept(const { Word::of("WHOAMI") }, fields);
    }

    pub(super) fn caps(&mut self) {
        let shared = &self.shared;
        let keys = if self.is_account { limits::KEYS_REMEMBERED } else { limits::KEYS_REMEMBERED_GUEST };
        let fields = [
            ("protocol", u64::from(PROTOCOL).to_string()),
            ("durable", shared.durability.to_owned()),
            ("line", limits::LINE_BYTES.to_string()),
            ("text", shared.limits.text_bytes.to_string()),
            ("name", limits::NAME_CHARS.to_string()),
            ("keys", keys.to_string()),
            ("page", limits::PAGE_LINES_MAX.to_string()),
            ("registration", shared.limits.registration.word().to_owned()),
        ];
        let reach = |membership: &Arc<Membership>| if membership.is_cut_off() { "cut-off" } else { "reached" };
        let cluster = shared.membership.as_ref().map(|membership| ("cluster", reach(membership).to_owned()));
        let fields: String = fields.iter().chain(&cluster).map(|(name, value)| format!(" {name}={value}")).collect();
        self.accept(const { Word::of("CAPS") }, fields);
    }

    pub(super) fn help(&mut self, word: Option<&str>) {
        let Some(word) = word else {
            self.answer(help_all);
            return self.accept(HELP, "");
        };
        match verbs::find(word) {
            Some(verb) => {
                self.answer(|out| help_one(out, verb));
                self.accept(HELP, format_args!(" {}", verb.name));
            }
            None => {
                let meant =
                    verbs::similar(word).map_or("type HELP for all".to_owned(), |verb| format!("did you mean {}?", verb.name));
                self.refuse(HELP, &Refusal::new(Code::UnknownCommand, format!("there is no command {word}; {meant}")));
            }
        }
    }
}

fn help_all(out: &mut Vec<u8>) {
    for verb in VERBS {
        reply::help(out, format_args!("{:25}  {}", verb.syntax, verb.brief));
    }
    reply::help(out, "HELP MSG tells more of MSG. Lines from the server begin with OK, ERR,");
    reply::help(out, "- (what you asked for) or * (what just happened).");
}

fn help_one(out: &mut Vec<u8>, verb: &Verb) {
    reply::help(out, format_args!("{}  {}", verb.syntax, verb.summary));
    reply::help(out, format_args!("for example: {}", verb.example));
    reply::help(out, format_args!("answers: OK {} {}", verb.name, verb.answer));
    reply::help(out, format_args!("for {}", verb.by.describe()));
    let codes = verb.codes.iter().chain(ANY).map(|code| code.word()).collect::<Vec<_>>().join(" ");
    reply::help(out, format_args!("may be refused with: {codes}"));
}
