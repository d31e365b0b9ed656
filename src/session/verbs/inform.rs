//! PING, WHOAMI, CAPS, HELP and NAME: what is answered from what the session knows.

use crate::hub::NameTaken;
use crate::limits;
use crate::names::{Name, check_chosen};
use crate::session::Session;
use crate::wire::verbs::{self, ANY, VERBS, Verb};
use crate::wire::{Code, PROTOCOL, Refusal, reply};

impl Session {
    pub(super) fn ping(&mut self, text: Option<&str>) {
        match text {
            Some(text) => match self.check_length(text) {
                Ok(()) => self.answer(|out| reply::ok(out, "PING", format_args!(" {text}"))),
                Err(refusal) => self.refuse("PING", &refusal),
            },
            None => self.answer(|out| reply::ok(out, "PING", "")),
        }
    }

    pub(super) fn whoami(&mut self) {
        let kind = if self.sitting.is_account { "account" } else { "guest" };
        let fields = format!(" {} {kind}", self.sitting.who);
        self.answer(|out| reply::ok(out, "WHOAMI", fields));
    }

    pub(super) fn caps(&mut self) {
        let shared = &self.shared;
        let fields = [
            ("protocol", u64::from(PROTOCOL).to_string()),
            ("durable", shared.journal.durability().to_owned()),
            ("line", limits::LINE_BYTES.to_string()),
            ("text", shared.limits.text_bytes.to_string()),
            ("name", limits::NAME_CHARS.to_string()),
            ("keys", limits::KEYS_REMEMBERED.to_string()),
            ("page", limits::PAGE_LINES_MAX.to_string()),
        ];
        let fields: String = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        self.answer(|out| reply::ok(out, "CAPS", fields));
    }

    pub(super) fn help(&mut self, word: Option<&str>) {
        let Some(word) = word else { return self.answer(help_all) };
        match verbs::find(word) {
            Some(verb) => self.answer(|out| help_one(out, verb)),
            None => {
                let meant =
                    verbs::similar(word).map_or("type HELP for all".to_owned(), |verb| format!("did you mean {}?", verb.name));
                self.refuse("HELP", &Refusal::new(Code::UnknownCommand, format!("there is no command {word}; {meant}")));
            }
        }
    }

    pub(super) fn name(&mut self, name: &str) {
        let renamed = self.must_be_guest("an account keeps its name").and_then(|()| self.may_choose(name));
        match renamed.and_then(|()| self.rename(&Name::new(name))) {
            Ok(()) => {
                let who = self.sitting.who.clone();
                self.answer(|out| reply::ok(out, "NAME", format_args!(" {who}")));
            }
            Err(refusal) => self.refuse("NAME", &refusal),
        }
    }

    /// Whether a guest may choose the name: it is not misleading, and nobody else has it or one that looks like it.
    pub(super) fn may_choose(&self, name: &str) -> Result<(), Refusal> {
        check_chosen(name).map_err(|error| Refusal::new(Code::BadName, error.to_string()))?;
        self.shared.hub.is_free(name, self.sitting.who.id).map_err(|taken| name_taken(name, &taken))
    }

    /// Takes a name for this guest.
    pub(super) fn rename(&mut self, name: &Name) -> Result<(), Refusal> {
        let sitting = &mut self.sitting;
        let renamed = self.shared.hub.rename(&sitting.seat, &sitting.who, name);
        sitting.who = renamed.map_err(|taken| name_taken(name.as_str(), &taken))?;
        Ok(())
    }

    /// An account stays who it is for the length of the connection.
    pub(super) fn must_be_guest(&self, why: &str) -> Result<(), Refusal> {
        if !self.sitting.is_account {
            return Ok(());
        }
        let who = &self.sitting.who;
        Err(Refusal::new(Code::NotAllowed, format!("you are logged in as {who}; {why}, so QUIT and connect again")))
    }
}

fn name_taken(name: &str, NameTaken { by, is_account }: &NameTaken) -> Refusal {
    let text = match is_account {
        true => format!("{name} is, or looks like, the account {}; if it is yours, LOGIN {}", by.name, by.name),
        false => format!("{name} is, or looks like, the name of {by}; choose another"),
    };
    Refusal::new(Code::NameTaken, text)
}

fn help_all(out: &mut Vec<u8>) {
    for verb in VERBS {
        reply::help(out, format_args!("{:25}  {}", verb.syntax, verb.brief));
    }
    reply::help(out, "HELP MSG tells more of MSG. Lines from the server begin with OK, ERR,");
    reply::help(out, "- (what you asked for) or * (what just happened).");
    reply::ok(out, "HELP", "");
}

fn help_one(out: &mut Vec<u8>, verb: &Verb) {
    reply::help(out, format_args!("{}  {}", verb.syntax, verb.summary));
    reply::help(out, format_args!("for example: {}", verb.example));
    reply::help(out, format_args!("answers: OK {} {}", verb.name, verb.answer));
    reply::help(out, format_args!("for {}", verb.by.describe()));
    let codes = verb.codes.iter().chain(ANY).map(|code| code.word()).collect::<Vec<_>>().join(" ");
    reply::help(out, format_args!("may be refused with: {codes}"));
    reply::ok(out, "HELP", format_args!(" {}", verb.name));
}
