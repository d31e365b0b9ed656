//! What the operator of a server does. Each act is noted with who, when and why, in the room of the operators.
//!
//! Nothing here may be asked for by a connection: only the operator's socket proposes it.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;

use crate::code::{Code, Refusal};
use crate::event::{Access, Act, Answer, Barred, Event, Recipient, RoomId, SessionId, holds};
use crate::limits::{INVITE_CODES, SERVER_BANS};
use crate::names::{Name, Seq, UserId, Who};
use crate::state::barred::until_and_why;
use crate::state::decide::{Deciding, refused};
use crate::state::{Channel, ServerBan};

/// What an act came to: on whom or what it was, and what else its OK says.
type Done = Result<(String, String), Refusal>;

impl<'a> Deciding<'a> {
    pub(super) fn operate(&mut self, by: &Arc<str>, act: &Act, reason: Option<&Arc<str>>) -> Result<Answer, Refusal> {
        let (on, more) = match act {
            Act::DisconnectOne(connection) => self.disconnect_one(*connection, reason),
            Act::Disconnect(user) => self.disconnect(user, reason),
            Act::Ban(Barred::Network(network), seconds) => self.ban_network(*network, *seconds, reason),
            Act::Ban(Barred::User(user), seconds) => self.ban_account(user, *seconds, reason),
            Act::Unban(Barred::Network(network)) => self.unban_network(*network),
            Act::Unban(Barred::User(user)) => self.unban_account(user),
            Act::Reset(user, password) => self.reset(user, password),
            Act::Remove(user) => self.remove_account(user, reason),
            Act::Close(channel) => self.close_for_operator(channel),
            Act::Give(channel, user) => self.give_for_operator(channel, user),
            Act::Notice(text) => {
                self.happens(None, Event::Noticed { text: Arc::clone(text) });
                Ok((text.to_string(), String::new()))
            }
            Act::Invite { hash, seconds, uses } => self.invite_by_code(hash, *seconds, *uses),
        }?;
        let act = format!("{} {on}", act.word());
        let noted =
            Event::from(Access::Operated { by: Arc::clone(by), act: act.as_str().into(), reason: reason.map(Arc::clone) });
        self.happens(Some(RoomId::OPERATOR), noted);
        Ok(Answer::Text(match act.split_once(' ') {
            // A notice is long, and whoever wrote it knows it.
            Some(("NOTICE", _)) => "".into(),
            Some((_, on)) if more.is_empty() => on.into(),
            _ => format!("{on} {more}").into(),
        }))
    }

    fn dismiss_for(&mut self, sessions: &BTreeSet<SessionId>, what: &str, reason: Option<&Arc<str>>) -> String {
        self.dismiss(sessions, &format!("{what}{}", until_and_why(None, reason)));
        sessions.len().to_string()
    }

    fn disconnect_one(&mut self, connection: UserId, reason: Option<&Arc<str>>) -> Done {
        let found = self.state.session_of(connection);
        let Some(session) = found else {
            let text = format!("there is no connection {connection}; 'linechat admin connections' lists them");
            return refused(Code::NoSuchUser, text);
        };
        self.dismiss_for(&BTreeSet::from([session]), "the operator has ended this connection", reason);
        Ok((connection.to_string(), "1".to_owned()))
    }

    fn disconnect(&mut self, user: &Recipient, reason: Option<&Arc<str>>) -> Done {
        let who = self.person_called(user)?;
        let sessions = self.state.sessions_of_user(who.id).collect();
        let count = self.dismiss_for(&sessions, "the operator has ended this connection", reason);
        Ok((who.to_string(), count))
    }

    fn ban_network(&mut self, network: IpNet, seconds: Option<u64>, reason: Option<&Arc<str>>) -> Done {
        self.sweep_bans();
        let now = self.context.time;
        let others = self.state.banned_networks().filter(|(other, ban)| **other != network && holds(ban.until, now));
        let count = others.count();
        if count >= SERVER_BANS {
            return refused(Code::Quota, format!("{count} networks are banned, which is the most there may be; UNBAN some"));
        }
        let ban = ServerBan { made: self.context.time, until: self.until(seconds), reason: reason.map(Arc::clone) };
        self.happens(None, Event::from(Access::NetworkBanned { network, until: ban.until, reason: ban.reason.clone() }));
        let hit = self.state.sessions_from(|address| network.contains(&address));
        self.dismiss(&hit, &format!("your address is {}", ban.words()));
        Ok((format!("{network}{}", until_and_why(ban.until, None)), hit.len().to_string()))
    }

    fn ban_account(&mut self, user: &Recipient, seconds: Option<u64>, reason: Option<&Arc<str>>) -> Done {
        let who = self.account_called(user, "a guest is banned by address")?;
        let ban = ServerBan { made: self.context.time, until: self.until(seconds), reason: reason.map(Arc::clone) };
        self.happens(
            None,
            Event::from(Access::AccountBanned { account: who.id, until: ban.until, reason: ban.reason.clone() }),
        );
        let hit = self.state.sessions_of_user(who.id).collect::<BTreeSet<_>>();
        self.dismiss(&hit, &format!("{who} is {}", ban.words()));
        Ok((format!("{who}{}", until_and_why(ban.until, None)), hit.len().to_string()))
    }

    /// Ends the bans that hold no more.
    fn sweep_bans(&mut self) {
        let now = self.context.time;
        let over = self.state.banned_networks().filter(|(_, ban)| !holds(ban.until, now)).map(|(network, _)| *network);
        over.collect::<Vec<_>>()
            .into_iter()
            .for_each(|network| self.happens(None, Event::from(Access::NetworkUnbanned { network })));
    }

    fn unban_network(&mut self, network: IpNet) -> Done {
        if !self.state.banned_networks().any(|(banned, _)| *banned == network) {
            return refused(Code::NotAllowed, format!("{network} is not banned; 'linechat admin bans' lists who is"));
        }
        self.happens(None, Event::from(Access::NetworkUnbanned { network }));
        Ok((network.to_string(), String::new()))
    }

    fn unban_account(&mut self, user: &Recipient) -> Done {
        let who = self.person_called(user)?;
        if self.state.ban_of_account(who.id, self.context.time).is_none() {
            return refused(Code::NotAllowed, format!("{who} is not banned; 'linechat admin bans' lists who is"));
        }
        self.happens(None, Event::from(Access::AccountUnbanned { account: who.id }));
        Ok((who.to_string(), String::new()))
    }

    /// Whoever has the old password is shut out: the account's connections end, those by tokens too, and its tokens with them.
    fn reset(&mut self, user: &Recipient, password: &Arc<str>) -> Done {
        let who = self.account_called(user, "a guest has no password")?;
        self.happens(None, Event::from(Access::PasswordSet { account: who.id, password: Arc::clone(password) }));
        let sessions = self.state.sessions_of_user(who.id).collect::<BTreeSet<_>>();
        self.dismiss(&sessions, "the operator has reset the password of the account");
        let labels: Vec<_> = self.state.tokens_of(who.id).map(|token| token.label.clone()).collect();
        for label in labels {
            self.happens(None, Event::from(Access::TokenDropped { account: who.id, label }));
        }
        Ok((who.to_string(), String::new()))
    }

    fn remove_account(&mut self, user: &Recipient, reason: Option<&Arc<str>>) -> Done {
        let who = self.account_called(user, "a guest has no account")?;
        self.remove(&who, &format!("the operator has removed the account{}", until_and_why(None, reason)));
        Ok((who.to_string(), String::new()))
    }

    /// It is shown as closed by `operator:0`: nobody may have that name, and nobody gets that id.
    fn close_for_operator(&mut self, name: &Name) -> Done {
        let (channel, row) = self.channel_called(name)?;
        self.happens_in(channel, Event::Closed { who: Who { name: Name::new("operator"), id: UserId(0) } });
        Ok((format!("#{}", row.name), row.members.to_string()))
    }

    fn give_for_operator(&mut self, name: &Name, user: &Recipient) -> Done {
        let (channel, row) = self.channel_called(name)?;
        let who = self.person_called(user)?;
        if !self.state.is_member(channel, who.id) {
            return refused(Code::NotAllowed, format!("{who} is not in #{}; only members can own it", row.name));
        }
        if row.owner != Some(who.id) {
            self.pass_to(channel, Some(who.id));
        }
        Ok((format!("#{} {who}", row.name), String::new()))
    }

    fn invite_by_code(&mut self, hash: &Arc<str>, seconds: Option<u64>, uses: u32) -> Done {
        let now = self.context.time;
        let over = self.state.invitations().filter(|(_, invitation)| !holds(invitation.until, now));
        let over: Vec<_> = over.map(|(hash, _)| Arc::clone(hash)).collect();
        let count = self.state.invitations().count() - over.len();
        if count >= INVITE_CODES {
            let text =
                format!("{count} invitations are open, which is the most there may be; wait until some are used or over");
            return refused(Code::Quota, text);
        }
        over.into_iter().for_each(|hash| self.happens(None, Event::from(Access::InviteCode { hash, left: 0, until: None })));
        let until = self.until(seconds);
        self.happens(None, Event::from(Access::InviteCode { hash: Arc::clone(hash), left: uses, until }));
        Ok((format!("{uses}{}", until_and_why(until, None)), String::new()))
    }

    fn person_called(&self, user: &Recipient) -> Result<Who, Refusal> {
        self.state.person(user).map_err(|refusal| advised(refusal, "LIST", "'linechat admin connections' shows who is online"))
    }

    fn channel_called(&self, name: &Name) -> Result<(Seq, &'a Channel), Refusal> {
        let list = "'linechat admin channels list' shows them";
        self.find(name.as_str()).map_err(|refusal| advised(refusal, "CHANNELS", list))
    }

    fn account_called(&self, user: &Recipient, otherwise: &str) -> Result<Who, Refusal> {
        let who = self.person_called(user)?;
        if self.state.is_account(who.id) {
            return Ok(who);
        }
        refused(Code::NotAllowed, format!("{who} is a guest; {otherwise}"))
    }
}

/// An operator has other commands than the one of the chat that a refusal advises.
fn advised(refusal: Refusal, verb: &str, theirs: &str) -> Refusal {
    match refusal.text.split_once(&format!("; {verb} ")) {
        Some((text, _)) => Refusal::new(refusal.code, format!("{text}; {theirs}")),
        None => refusal,
    }
}
