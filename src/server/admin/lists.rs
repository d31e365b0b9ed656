//! What the operator is shown: how the server is, who is there, who is banned, and what was done.
//!
//! The fields of a data line are set apart by tabs, because some hold spaces. Lists are made a page at a time, so that neither the
//! state is locked for long nor a list of all people is in memory.

use std::fmt::Write;
use std::io;

use tokio::net::unix::OwnedWriteHalf;

use crate::clock;
use crate::code::{Code, Refusal};
use crate::event::{Access, Entry, Event, RoomId, Time, holds};
use crate::limits::LIST_LINES;
use crate::names::{Pattern, Seq};
use crate::server::admin::{Office, say};
use crate::state::{ConnectionRow, Part, ServerBan, Wanted};
use crate::store::{Query, Start, What};

/// What the OK says, or a refusal.
type Shown = io::Result<Result<String, Refusal>>;

/// Appends a data line.
fn line(out: &mut String, word: &str, fields: &[&str]) {
    writeln!(out, "- {word}\t{}", fields.join("\t")).expect("invariant: memory takes it");
}

fn or_dash(what: Option<impl ToString>) -> String {
    what.map_or_else(|| "-".to_owned(), |what| what.to_string())
}

impl Office {
    pub(super) async fn status(&self, write: &mut OwnedWriteHalf) -> Shown {
        let shared = &self.shared;
        let mut out = String::new();
        let counts = shared.state.read().await.counts();
        let rows = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("up-seconds", clock::since(self.began).as_secs().to_string()),
            ("durable", shared.durability.to_owned()),
            ("disk", if shared.metrics.is_full() { "full" } else { "has room" }.to_owned()),
            ("registration", shared.limits.registration.word().to_owned()),
            ("connections", counts.connections.to_string()),
            ("accounts", counts.accounts.to_string()),
            ("channels", counts.channels.to_string()),
            ("bans", counts.bans.to_string()),
            ("entries", counts.entries.to_string()),
            ("buffered-bytes", shared.hub.buffered().to_string()),
            ("passwords-hashed", shared.passwords.hashed().to_string()),
        ];
        rows.iter().for_each(|(name, value)| line(&mut out, "STATUS", &[name, value]));
        let nodes: Vec<_> = shared.state.read().await.nodes().map(|(node, row)| (node.0, row.name.clone())).collect();
        for (node, name) in nodes {
            line(&mut out, "STATUS", &["node", &format!("{name} ({node})")]);
        }
        say(write, &out).await?;
        Ok(Ok(String::new()))
    }

    /// The same lines as over HTTP.
    pub(super) async fn metrics(&self, write: &mut OwnedWriteHalf) -> Shown {
        let mut out = String::new();
        self.watched.text().await.lines().for_each(|text| line(&mut out, "METRIC", &[text]));
        say(write, &out).await?;
        Ok(Ok(String::new()))
    }

    pub(super) async fn connections(&self, pattern: &Pattern, write: &mut OwnedWriteHalf) -> Shown {
        let (mut shown, mut last) = (0, None);
        loop {
            let rows = self.shared.state.read().await.list_connections(last, LIST_LINES);
            let mut out = String::new();
            for ConnectionRow { session, connection, who, since, address, kind } in &rows {
                let address = or_dash(*address);
                if pattern.fits(&who.name) || pattern.fits_text(&address) {
                    shown += 1;
                    let (id, who, since, node) =
                        (connection.to_string(), who.to_string(), since.to_string(), session.node.0.to_string());
                    line(&mut out, "CONNECTION", &[&id, &who, kind, &address, &since, &node]);
                }
            }
            say(write, &out).await?;
            last = rows.last().map(|row| row.session);
            if rows.len() < LIST_LINES {
                return Ok(Ok(shown.to_string()));
            }
        }
    }

    pub(super) async fn bans(&self, write: &mut OwnedWriteHalf) -> Shown {
        let now = self.shared.clock.time();
        let bans: Vec<(String, ServerBan)> = {
            let state = self.shared.state.read().await;
            let networks = state.banned_networks().map(|(network, ban)| (network.to_string(), ban.clone()));
            let accounts = state.banned_accounts().map(|(account, ban)| (or_dash(state.user(account)), ban.clone()));
            networks.chain(accounts).filter(|(_, ban)| holds(ban.until, now)).collect()
        };
        let mut out = String::new();
        for (what, ServerBan { made, until, reason }) in &bans {
            line(&mut out, "BAN", &[what, &made.to_string(), &or_dash(*until), &or_dash(reason.as_ref())]);
        }
        say(write, &out).await?;
        Ok(Ok(bans.len().to_string()))
    }

    pub(super) async fn accounts(&self, pattern: &Pattern, write: &mut OwnedWriteHalf) -> Shown {
        let (mut shown, mut last) = (0, None);
        loop {
            let mut out = String::new();
            let count = {
                let (state, now) = (self.shared.state.read().await, self.shared.clock.time());
                let accounts = state.list_accounts(last, LIST_LINES);
                for who in accounts.iter().filter(|who| pattern.fits(&who.name)) {
                    shown += 1;
                    let connections = state.sessions_of_user(who.id).count().to_string();
                    let channels = state.channels_of(who.id).count().to_string();
                    let tokens = state.tokens_of(who.id).filter(|token| token.is_good(now)).count().to_string();
                    let banned = if state.ban_of_account(who.id, now).is_some() { "banned" } else { "-" };
                    line(&mut out, "ACCOUNT", &[&who.to_string(), &connections, &channels, &tokens, banned]);
                }
                last = accounts.last().map(|who| who.id);
                accounts.len()
            };
            say(write, &out).await?;
            if count < LIST_LINES {
                return Ok(Ok(shown.to_string()));
            }
        }
    }

    /// Also those that are hidden, and the topics of those that need a key.
    pub(super) async fn channels(&self, pattern: &Pattern, write: &mut OwnedWriteHalf) -> Shown {
        let (mut shown, mut after) = (0, None);
        loop {
            let wanted = Wanted { after, pattern: Some(pattern), most: LIST_LINES };
            let Part { found, until } = self.shared.state.read().await.list_channels(None, &wanted);
            let mut out = String::new();
            for channel in &found {
                let (name, members) = (format!("#{}", channel.name), channel.members.to_string());
                let topic = or_dash(channel.topic.as_ref()).replace('\t', " ");
                line(&mut out, "CHANNEL", &[&name, &members, &or_dash(channel.owner.as_ref()), &topic]);
            }
            say(write, &out).await?;
            shown += found.len();
            after = until;
            if after.is_none() {
                return Ok(Ok(shown.to_string()));
            }
        }
    }

    /// The newest acts, the oldest of them first.
    pub(super) async fn log(&self, count: usize, write: &mut OwnedWriteHalf) -> Shown {
        let query = Query { room: RoomId::OPERATOR, start: Start::Before(Seq(u64::MAX >> 3)), count, what: What::Everything };
        let Ok(page) = self.shared.page(query).await else {
            return Ok(Err(Refusal::new(Code::Internal, "the log cannot be read; the server's log says why")));
        };
        let mut out = String::new();
        for entry in page.in_order() {
            match entry {
                Ok(Entry { seq, time, event: Event::Access(access), .. }) => {
                    if let Access::Operated { by, act, reason } = &**access {
                        line(&mut out, "LOG", &[&seq.to_string(), &time.to_string(), by, act, &or_dash(reason.as_ref())]);
                    }
                }
                Ok(_) => {}
                Err(damaged) => line(&mut out, "LOG", &[&damaged.to_string(), &Time(0).to_string(), "-", "(damaged)", "-"]),
            }
        }
        say(write, &out).await?;
        Ok(Ok(page.count().to_string()))
    }
}
