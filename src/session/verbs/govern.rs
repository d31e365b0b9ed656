//! OP, DEOP, GIVE, INVITE, KICK, BAN, UNBAN, BANS and SET: read from the line here, decided in the order.
//!
//! They own nothing, and must never decide who is in charge.

use crate::code::{Code, Refusal};
use crate::event::{Age, Kept, Recipient, Request, Setting, Unwanted, network};
use crate::limits::SLOW_SECONDS;
use crate::names::Name;
use crate::session::Session;
use crate::session::verbs::{Said, lasts_too_long};
use crate::state::permissions::Act;
use crate::wire::{Banned, Target, reply};

/// What SET takes, for whoever has typed something else.
const OPTIONS: &str = "the options are: key KEY or off, invite-only on or off, slow SECONDS or off, speak everyone or operators, \
                       hidden on or off, keep 30d or 1000 (messages) or off, guests on or off";

impl Session {
    pub(super) async fn op(&mut self, channel: &str, user: Target<'_>, is: bool) -> Said {
        self.ask_paid(Request::Op(Name::new(channel), user.into(), is), 0).await
    }

    pub(super) async fn give(&mut self, channel: &str, user: Target<'_>) -> Said {
        self.ask_paid(Request::Give(Name::new(channel), user.into()), 0).await
    }

    pub(super) async fn invite(&mut self, channel: &str, user: Target<'_>) -> Said {
        self.ask_paid(Request::Invite(Name::new(channel), user.into()), 0).await
    }

    pub(super) async fn kick(&mut self, channel: &str, user: Target<'_>, reason: Option<&str>) -> Said {
        if let Some(refusal) = self.too_long(reason) {
            return Ok(Err(refusal));
        }
        let bytes = reason.map_or(0, str::len);
        self.ask_paid(Request::Kick(Name::new(channel), user.into(), reason.map(Into::into)), bytes).await
    }

    fn too_long(&self, reason: Option<&str>) -> Option<Refusal> {
        reason.and_then(|reason| self.check_length(reason).err())
    }

    pub(super) async fn ban(&mut self, channel: &str, who: Banned<'_>, lasts: Option<Age>, reason: Option<&str>) -> Said {
        if let Some(refusal) = self.too_long(reason) {
            return Ok(Err(refusal));
        }
        if let Some(refusal) = lasts_too_long("ban", lasts, "UNBAN") {
            return Ok(Err(refusal));
        }
        // Whoever says for how long in words of their own must not find that it is for good.
        let reason_is = |begin: &str| reason.is_some_and(|reason| reason.to_ascii_lowercase().starts_with(begin));
        if lasts.is_none() && reason_is("for ") && !reason_is("for good") && !reason_is("for ever") {
            let text = "for how long? Give an age such as 2h or 3d, or a reason that does not begin with \"for\"";
            return Ok(Err(Refusal::new(Code::BadSyntax, text)));
        }
        let who = match unwanted(who, self.shared.limits.ipv6_prefix) {
            Ok(who) => who,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (channel, seconds) = (Name::new(channel), lasts.map(|lasts| lasts.0));
        let bytes = reason.map_or(0, str::len);
        self.ask_paid(Request::Ban { channel, who, seconds, reason: reason.map(Into::into) }, bytes).await
    }

    pub(super) async fn unban(&mut self, channel: &str, who: Banned<'_>) -> Said {
        match unwanted(who, self.shared.limits.ipv6_prefix) {
            Ok(who) => self.ask_paid(Request::Unban(Name::new(channel), who), 0).await,
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    pub(super) async fn bans(&mut self, channel: &str) -> Said {
        let now = self.shared.clock.time();
        let bans = {
            let state = self.shared.state.read().await;
            match state.may(self.who.id, channel, Act::Ban) {
                Ok(id) => {
                    let name = state.channel_name(id).cloned();
                    let held = state.bans_of(id).filter(|ban| ban.holds(now));
                    held.map(|ban| (name.clone(), ban.fields())).collect::<Vec<_>>()
                }
                Err(refusal) => return Ok(Err(refusal)),
            }
        };
        for (name, fields) in &bans {
            self.socket.write(|out| name.iter().for_each(|name| reply::ban(out, name, fields)));
            if self.socket.waiting() > crate::limits::OUT_BYTES {
                self.flush().await?;
            }
        }
        Ok(Ok(bans.len().to_string()))
    }

    pub(super) async fn set(&mut self, channel: &str, option: Option<&str>, value: Option<&str>) -> Said {
        let Some(option) = option else { return Ok(self.show_options(channel).await) };
        let setting = match self.setting(channel, option, value).await {
            Ok(setting) => setting,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.ask_paid(Request::Set(Name::new(channel), setting), 0).await
    }

    /// The option and its value, as they were typed.
    async fn setting(&self, channel: &str, option: &str, value: Option<&str>) -> Result<Setting, Refusal> {
        let wrong = || Err(Refusal::new(Code::BadSyntax, OPTIONS));
        let Some(value) = value else { return wrong() };
        let is_on = match value.to_ascii_lowercase().as_str() {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        };
        Ok(match (option.to_ascii_lowercase().as_str(), is_on) {
            ("key", Some(false)) => Setting::Key(None),
            ("key", None) => {
                if let Some(refusal) = self.preview(Request::Set(Name::new(channel), Setting::Key(None))).await {
                    return Err(refusal);
                }
                Setting::Key(Some(self.shared.passwords.hash_new(self.address, value).await?))
            }
            ("invite-only", Some(is_on)) => Setting::InviteOnly(is_on),
            ("hidden", Some(is_on)) => Setting::Hidden(is_on),
            ("guests", Some(is_on)) => Setting::Guests(is_on),
            ("slow", Some(false)) => Setting::Slow(0),
            ("slow", None) => match value.parse() {
                Ok(seconds @ 0..=SLOW_SECONDS) => Setting::Slow(seconds),
                _ => return wrong_number("slow", value, u64::from(SLOW_SECONDS)),
            },
            ("speak", None) if value.eq_ignore_ascii_case("operators") => Setting::OperatorsSpeak(true),
            ("speak", None) if value.eq_ignore_ascii_case("everyone") => Setting::OperatorsSpeak(false),
            ("keep", Some(false)) => Setting::Keep(Kept::All),
            ("keep", None) => Setting::Keep(kept(value)?),
            _ => return wrong(),
        })
    }

    /// Sends `- OPTION …` for each option, and for whoever is in charge.
    async fn show_options(&mut self, channel: &str) -> Result<String, Refusal> {
        let (name, options) = {
            let state = self.shared.state.read().await;
            let id = state.may_read(self.who.id, channel)?;
            let channel = state.channel(id).expect("invariant: a channel that may be read is there");
            let settings = state.settings(id).into_iter().flatten();
            let mut options: Vec<_> = settings.map(|setting| (setting.option(), setting.to_string())).collect();
            options.extend(channel.owner.map(|owner| ("owner", owner.to_string())));
            let operators = state.operators(id).filter_map(|operator| state.user(operator));
            options.extend(operators.map(|operator| ("operator", operator.to_string())));
            (channel.name, options)
        };
        for (option, value) in options {
            self.socket.write(|out| reply::option(out, &name, option, &value));
        }
        Ok(format!("#{name}"))
    }
}

fn wrong_number<T>(option: &str, value: &str, most: u64) -> Result<T, Refusal> {
    Err(Refusal::new(Code::BadSyntax, format!("{value} is no value for {option}; give 0 to {most}, or off")))
}

/// `30d`, or a number of messages.
fn kept(value: &str) -> Result<Kept, Refusal> {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    let kept = match value.parse() {
        Ok(Age(seconds)) => (seconds > 0).then_some(Kept::Seconds(seconds)),
        Err(_) => value.parse().ok().filter(|count| is_number && (1..=999_999_999).contains(count)).map(Kept::Messages),
    };
    let text = || format!("{value} is no value for keep; give 30d, 1000 (messages), or off");
    kept.ok_or_else(|| Refusal::new(Code::BadSyntax, text()))
}

fn unwanted(who: Banned<'_>, ipv6_bits: u64) -> Result<Unwanted, Refusal> {
    let address = match who {
        Banned::User(user) => return Ok(Unwanted::User(Recipient::from(user))),
        Banned::Address(address) => address,
    };
    network(address, ipv6_bits).map(Unwanted::Net).ok_or_else(|| {
        let text = format!("{address} is no address of a network; for example: 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32");
        Refusal::new(Code::BadSyntax, text)
    })
}
