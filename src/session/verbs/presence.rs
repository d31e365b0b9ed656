//! WHOIS and AWAY: whether somebody is there, and what they have left word of.
//!
//! They own nothing, and must never tell of a channel that both are not in.

use crate::code::{Code, Refusal};
use crate::event::Request;
use crate::limits::AWAY_BYTES;
use crate::session::Session;
use crate::session::verbs::{Said, done};
use crate::state::{ListedUser, Presence};
use crate::wire::{Target, reply};

/// Appends a user's line.
pub fn show_user(out: &mut Vec<u8>, ListedUser { who, presence, since }: &ListedUser) {
    let (state, text) = match presence {
        Presence::Online => ("online", None),
        Presence::Away(text) => ("away", Some(&**text)),
        Presence::Offline => ("offline", None),
    };
    reply::user(out, who, state, *since, text);
}

impl Session {
    pub(super) async fn whois(&mut self, user: Target<'_>) -> Said {
        let (user, channels, is_account) = {
            let state = self.shared.state.read().await;
            let who = match state.person(&user.into()) {
                Ok(who) => who,
                Err(refusal) => return Ok(Err(refusal)),
            };
            // Those that both are in, and so none that the other did not know of.
            let shared = state.channels_of(self.who.id).filter(|channel| state.is_member(*channel, who.id));
            let channels: Vec<_> = shared.filter_map(|channel| state.channel(channel)).collect();
            let is_account = state.is_account(who.id);
            (state.listed_user(who), channels, is_account)
        };
        self.socket.write(|out| show_user(out, &user));
        channels.iter().for_each(|channel| self.show_channel(channel));
        Ok(Ok(format!("{} {}", user.who, if is_account { "account" } else { "guest" })))
    }

    pub(super) async fn away(&mut self, text: Option<&str>) -> Said {
        let length = text.map_or(0, str::len);
        if length > AWAY_BYTES {
            let text = format!("the text has {length} bytes and may have {AWAY_BYTES}; say it shorter");
            return Ok(Err(Refusal::new(Code::TooLong, text)));
        }
        let done = done(self.ask(Request::Away(text.map(Into::into))).await?)?;
        Ok(done.map(|_| text.unwrap_or_default().to_owned()))
    }
}
