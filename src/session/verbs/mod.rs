//! One short function for each verb. The quick ones answer at once, or leave their answer to the completion so that the next
//! line can be parsed meanwhile. The slow ones begin when everything before them is settled.
//!
//! They own nothing beside the session. None may decide what another user's command can change.

mod accounts;
mod channels;
mod govern;
mod heard;
mod history;
mod identity;
mod inform;
mod lists;
mod marks;
mod presence;
mod scripts;
mod search;
mod talk;

use crate::code::{Code, Refusal};
use crate::event::{Age, Answer, Request};
use crate::limits::BAN_DAYS;
use crate::session::reading::Which;
use crate::session::socket::Gone;
use crate::session::{Ending, Session, replies, sniff};
use crate::state;
use crate::wire::{Command, Rejected, Word, parse};

/// The result of a slow verb: what its OK says after the verb, or why it was refused.
type Said = Result<Result<String, Refusal>, Gone>;

impl Session {
    /// Executes one line, or keeps it for [`Session::execute_slow`].
    pub(super) fn line(&mut self, line: &[u8]) {
        if self.is_new
            && let Some(refusal) = sniff::first_line(line)
        {
            return self.turn_away(Word::NONE, &refusal);
        }
        match parse(line) {
            Ok(None) => {
                self.pay(1);
                self.pay_for_bytes(line.len(), 0);
            }
            Ok(Some(command)) => {
                self.is_new = false;
                self.errors_in_a_row = 0;
                self.pay(1);
                self.execute(command, line);
            }
            Err(Rejected { verb, refusal }) => {
                self.pay(1);
                self.mistake(&verb, &refusal);
            }
        }
    }

    fn execute(&mut self, command: Command<'_>, line: &[u8]) {
        match command {
            Command::Msg { key, target, text } => self.msg(key, target, text),
            Command::Say { key, channel, text } => self.say(key, channel, text),
            Command::Ack { channel: None, upto } => self.ack(upto),
            Command::Ack { channel: Some(channel), upto } => self.ack_in(channel, upto),
            Command::Ping { text } if self.is_up_to_date() => self.ping(text),
            Command::WhoAmI => self.whoami(),
            Command::Caps => self.caps(),
            Command::Help { verb } => self.help(verb),
            Command::Quit => {
                self.accept(const { Word::of("QUIT") }, " bye");
                self.ending = Some(Ending::Quit);
            }
            _ => self.slow = Some(line.into()),
        }
    }

    /// Whether everything that has happened was shown.
    fn is_up_to_date(&mut self) -> bool {
        // What is committed can be read before the hub is told of it. While a batch is being committed, that is waited for.
        let is_told = self.shared.state.try_read().is_ok_and(|state| self.shared.hub.has_told(state.seq()));
        // An overrun is found again before anything else is done.
        is_told && self.take_notices().is_ok() && !self.reading.has_news(Which::All)
    }

    /// Executes a line that [`Session::line`] kept.
    pub(super) async fn execute_slow(&mut self, line: &[u8]) -> Result<(), Gone> {
        self.settle().await?;
        let Ok(Some(command)) = parse(line) else { unreachable!("invariant: the line parsed before") };
        let verb = command.word();
        match self.slow_answer(command).await {
            Ok(Ok(fields)) if fields.is_empty() => self.accept(verb, ""),
            Ok(Ok(fields)) => self.accept(verb, format_args!(" {fields}")),
            // Nobody knows who they are now.
            Ok(Err(refusal))
                if refusal.code == Code::Unsure && matches!(verb.name(), "NAME" | "REGISTER" | "LOGIN" | "UNREGISTER") =>
            {
                self.turn_away(verb, &refusal);
            }
            Ok(Err(refusal)) => self.refuse(verb, &refusal),
            Err(gone @ (Gone::Order | Gone::Node)) => {
                self.refuse(verb, &replies::unsure());
                return Err(gone);
            }
            Err(gone) => return Err(gone),
        }
        Ok(())
    }

    /// The refusal that the request would get now, if any. Asked before something expensive is computed for it.
    async fn preview(&self, request: Request) -> Option<Refusal> {
        let (state, now) = (self.shared.state.read().await, self.shared.clock.time());
        state::preview(&state, &self.proposal(request), &self.shared.limits, now)
    }

    async fn slow_answer(&mut self, command: Command<'_>) -> Said {
        if let Some(refusal) = self.not_by_token(command.needs()) {
            return Ok(Err(refusal));
        }
        match command {
            Command::Ping { text } => {
                self.follow_to_now().await?;
                Ok(self.pong(text))
            }
            Command::List { channel, pattern, count, after } => self.list(channel, pattern, count, after).await,
            Command::Inbox { count } => self.inbox(count).await,
            Command::Channels { pattern, count, after } => self.channels(pattern, count, after).await,
            Command::History { target, count, span } => self.history(target, count, span).await,
            Command::Search { target, words } => self.search(target, words).await,
            Command::Retract { seq } => self.retract(seq).await,
            Command::Name { name } => self.name(name).await,
            Command::Create { channel, key } => self.create(channel, key).await,
            Command::Join { channel, key, last } => self.join(channel, key, last).await,
            Command::Leave { channel } => self.leave(channel).await,
            Command::Topic { channel, text } => self.topic(channel, text).await,
            Command::Close { channel } => self.close(channel).await,
            Command::Register { code, name, password } => self.register(code, name, password).await,
            Command::Login { name, password } => self.login(name, password).await,
            Command::Op { channel, user } => self.op(channel, user, true).await,
            Command::Deop { channel, user } => self.op(channel, user, false).await,
            Command::Give { channel, user } => self.give(channel, user).await,
            Command::Invite { channel, user } => self.invite(channel, user).await,
            Command::Kick { channel, user, reason } => self.kick(channel, user, reason).await,
            Command::Ban { channel, who, lasts, reason } => self.ban(channel, who, lasts, reason).await,
            Command::Unban { channel, who } => self.unban(channel, who).await,
            Command::Bans { channel } => self.bans(channel).await,
            Command::Set { channel, option, value } => self.set(channel, option, value).await,
            Command::WhoIs { user } => self.whois(user).await,
            Command::Away { text } => self.away(text).await,
            Command::Ignore { user } => self.ignore(user).await,
            Command::Unignore { user } => self.unignore(user).await,
            Command::Ignores => self.ignores().await,
            Command::Wait { place, since, seconds } => self.wait_for(place, since, seconds).await,
            Command::Follow { place, since } => self.follow_on(place, since).await,
            Command::Format { json } => self.format(json),
            Command::LoginToken { token } => self.login_by_token(token).await,
            Command::Passwd { old, new } => self.passwd(old, new).await,
            Command::Token(token) => self.token(token).await,
            Command::Unregister { password } => self.unregister(password).await,
            quick => unreachable!("invariant: {} is executed at once", quick.verb()),
        }
    }
}

/// What the OK of a proposal says after the verb, or its refusal.
fn done(outcome: Result<Answer, Refusal>) -> Said {
    Ok(outcome.map(|answer| match answer {
        Answer::Done => String::new(),
        Answer::Who(who) => who.to_string(),
        Answer::LoggedIn(who, unread) => format!("{who} {unread}"),
        Answer::Channel(name) => format!("#{name}"),
        Answer::About(name, what) => format!("#{name} {what}"),
        Answer::Joined(name, members) => format!("#{name} {members}"),
        Answer::Said { seq, .. } | Answer::SaidAway { seq, .. } | Answer::Acked(seq) => seq.to_string(),
        Answer::AckedIn(name, seq) => format!("#{name} {seq}"),
        Answer::Text(text) => text.to_string(),
    }))
}

/// The refusal of a span for which nothing may last: what is meant to last longer lasts until it is ended.
fn lasts_too_long(what: &str, lasts: Option<Age>, end: &str) -> Option<Refusal> {
    let lasts = lasts.filter(|lasts| lasts.0 == 0 || lasts.0 > BAN_DAYS * 24 * 3600)?;
    let text = format!("a {what} lasts 1s to {BAN_DAYS}d, and not {lasts}; without for it lasts until {end}");
    Some(Refusal::new(Code::BadSyntax, text))
}
