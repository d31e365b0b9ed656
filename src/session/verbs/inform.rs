//! PING, WHOAMI, CAPS and HELP: answered from what the session knows.
//!
//! They own nothing, and must never wait for the order.

use std::sync::Arc;

use crate::code::{Code, Refusal};
use crate::limits;
use crate::order::cluster::Membership;
use crate::session::Session;
use crate::wire::verbs::{self, VERBS, Verb};
use crate::wire::{PROTOCOL, Word, reply};

const PING: Word = Word::of("PING");
const HELP: Word = Word::of("HELP");
/// What HELP tells of all verbs by.
const ALL: &str = "ALL";
/// The verbs that a chat takes.
const TO_BEGIN: [&str; 10] = ["LIST", "MSG", "INBOX", "CREATE", "JOIN", "SAY", "LEAVE", "NAME", "REGISTER", "QUIT"];
/// So many names of verbs fit side by side.
const NAMES_IN_A_LINE: usize = 9;

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
            self.answer(help_to_begin);
            return self.accept(HELP, "");
        };
        if word.eq_ignore_ascii_case(ALL) {
            self.answer(help_all);
            return self.accept(HELP, "");
        }
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

/// What a chat takes: no more than a small terminal shows.
fn help_to_begin(out: &mut Vec<u8>) {
    let is_to_begin = |verb: &&Verb| TO_BEGIN.contains(&verb.name);
    for verb in VERBS.iter().filter(is_to_begin) {
        reply::help(out, format_args!("{:25}  {}", verb.example, verb.brief));
    }
    let others: Vec<_> = VERBS.iter().filter(|verb| !is_to_begin(verb)).map(|verb| verb.name).collect();
    reply::help(out, "There are also");
    others.chunks(NAMES_IN_A_LINE).for_each(|names| reply::help(out, names.join(" ")));
    reply::help(out, "HELP ALL tells what each is for, and HELP MSG more of MSG.");
    reply::help(out, "Lines from the server begin with OK, ERR, - (what you asked for)");
    reply::help(out, "or * (what just happened).");
}

fn help_all(out: &mut Vec<u8>) {
    VERBS.iter().for_each(|verb| reply::help(out, format_args!("{:25}  {}", verb.syntax, verb.brief)));
}

fn help_one(out: &mut Vec<u8>, verb: &Verb) {
    reply::help(out, format_args!("{}  {}", verb.syntax, verb.summary));
    reply::help(out, format_args!("for example: {}", verb.example));
    reply::help(out, format_args!("answers: OK {} {}", verb.name, verb.answer));
    reply::help(out, format_args!("for {}", verb.by.describe()));
    reply::help(out, format_args!("may be refused with: {}", verb.refusals()));
}
