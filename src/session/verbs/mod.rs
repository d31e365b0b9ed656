//! One short function a verb. The quick ones answer at once or leave their OK to the journal's verdict, so that the next line
//! is parsed meanwhile; the slow ones begin when everything before them is settled.

mod channels;
mod identity;
mod inform;
mod lists;
mod talk;

use std::time::Duration;

use tokio::time::Instant;

use crate::session::socket::Gone;
use crate::session::{Ending, Session, guard};
use crate::wire::{Command, Refusal, Rejected, parse, reply};

/// What a slow verb comes to: what its OK says after the verb, or why it was refused.
type Answer = Result<Result<String, Refusal>, Gone>;

impl Session {
    /// Executes one line, or keeps it for [`Session::execute_slow`].
    pub(super) fn line(&mut self, line: &[u8]) {
        if self.is_new
            && let Some(refusal) = guard::first_line(line)
        {
            return self.turn_away("-", &refusal);
        }
        match parse(line) {
            Ok(None) => self.keep_pace(),
            Ok(Some(command)) => {
                self.is_new = false;
                self.errors_in_a_row = 0;
                self.keep_pace();
                self.execute(command, line);
            }
            Err(Rejected { verb, refusal }) => {
                self.keep_pace();
                self.mistake(&verb, &refusal);
            }
        }
    }

    /// The command at hand is executed; the next one waits if there have been too many.
    fn keep_pace(&mut self) {
        if let Err(wait) = self.pace.take(self.shared.limits.commands_per_second)
            && !self.shared.stopping.is_cancelled()
        {
            self.paced_until = Some(Instant::now() + wait.min(Duration::from_secs(1)));
        }
    }

    fn execute(&mut self, command: Command<'_>, line: &[u8]) {
        match command {
            Command::Msg { key, target, text } => self.msg(key, target, text),
            Command::Say { key, channel, text } => self.say("SAY", key, channel, text),
            Command::Ack { upto } => self.ack(upto),
            Command::Ping { text } if !self.sitting.has_news() => self.ping(text),
            Command::WhoAmI => self.whoami(),
            Command::Caps => self.caps(),
            Command::Help { verb } => self.help(verb),
            Command::Name { name } => self.name(name),
            Command::Quit => {
                self.answer(|out| reply::ok(out, "QUIT", " bye"));
                self.ending = Some(Ending::Quit);
            }
            _ => self.slow = Some(line.into()),
        }
    }

    /// Executes a line that [`Session::line`] kept.
    pub(super) async fn execute_slow(&mut self, line: &[u8]) -> Result<(), Gone> {
        self.settle().await?;
        let Ok(Some(command)) = parse(line) else { unreachable!("invariant: the line parsed before") };
        let answer = match command {
            Command::Ping { text } => {
                self.follow_to_now().await?;
                self.ping(text);
                return Ok(());
            }
            Command::List { channel } => self.list(channel).await?,
            Command::Inbox { count } => self.inbox(count).await?,
            Command::Channels => self.channels().await?,
            Command::History { channel, count, span } => self.history(channel, count, span).await?,
            Command::Create { channel, key } => self.create(channel, key).await?,
            Command::Join { channel, key } => self.join(channel, key).await?,
            Command::Leave { channel } => self.leave(channel).await?,
            Command::Topic { channel, text } => self.topic(channel, text).await?,
            Command::Close { channel } => self.close(channel).await?,
            Command::Register { name, password } => self.register(name, password).await?,
            Command::Login { name, password } => self.login(name, password).await?,
            quick => unreachable!("invariant: {} is executed at once", quick.verb()),
        };
        match answer {
            Ok(fields) if fields.is_empty() => self.answer(|out| reply::ok(out, command.verb(), "")),
            Ok(fields) => self.answer(|out| reply::ok(out, command.verb(), format_args!(" {fields}"))),
            Err(refusal) => self.refuse(command.verb(), &refusal),
        }
        Ok(())
    }
}
