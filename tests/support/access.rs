//! What is wanted of accounts and their tokens, and by operators: drawn like all other proposals.

use std::sync::Arc;

use linechat::event::{Act, Barred, Recipient, Request, Scope, SessionId};
use linechat::names::{Name, UserId};
use linechat::state::State;

use super::{channel, hash, member, pick, recipient};

const LABELS: [&str; 3] = ["bot", "Bot", "tail"];
/// Together with no scopes at all.
const SCOPES: [&[&str]; 5] = [
    &["say:*"],
    &["read:*", "inbox"],
    &["say:#general", "read:#RUST"],
    &["say:nina", "say:#tea", "inbox"],
    &["read:#general", "read:#tea", "say:#rust"],
];
/// The first has the others.
const NETS: [&str; 3] = ["192.0.2.0/30", "192.0.2.2/32", "198.51.100.0/24"];

/// The hash of an account's password, as its session has verified it.
fn own_password(draw: u8, session: SessionId, state: &State) -> Arc<str> {
    let name = state.user_of(session).and_then(|user| state.user(user)).map(|who| who.name);
    let own = name.and_then(|name| state.password_of(name.as_str()));
    own.filter(|_| !draw.is_multiple_of(4)).unwrap_or_else(|| hash(draw / 4))
}

/// What somebody wants who has an account, or a token of one.
pub fn wanted(what: u8, [a, b, c]: [u8; 3], number: u64, session: SessionId, state: &State) -> Request {
    let label = Name::new(LABELS[usize::from(a) % LABELS.len()]);
    match what % 16 {
        0..5 => {
            let scopes = SCOPES.get(usize::from(b) % (SCOPES.len() + 1));
            let scopes =
                scopes.map(|scopes| scopes.iter().map(|scope| scope.parse::<Scope>().expect("it is a scope")).collect());
            let seconds = (!c.is_multiple_of(3)).then(|| u64::from(c / 16));
            Request::NewToken { label, hash: format!("token-{number}").into(), scopes, seconds }
        }
        5 => Request::DropToken(label),
        6..13 => {
            let accounts = state.list_accounts(None, 10);
            let tokens: Vec<_> = accounts.iter().flat_map(|who| state.tokens_of(who.id)).collect();
            let token = (!tokens.is_empty()).then(|| Arc::clone(&pick(&tokens, a).hash));
            Request::LogInToken(token.unwrap_or_else(|| "no such token".into()))
        }
        13 | 14 => Request::SetPassword(own_password(b, session, state), hash(c)),
        _ => Request::Unregister(own_password(b, session, state)),
    }
}

/// What an operator does.
pub fn operated(what: u8, [a, b, c]: [u8; 3], session: SessionId, state: &State) -> Request {
    let user = recipient([a, b], session, state);
    let account = state.list_accounts(None, 10).get(usize::from(b) % 4).map_or(user.clone(), |who| Recipient::Id(who.id));
    let net = || NETS[usize::from(a) % NETS.len()].parse().expect("it is a network");
    let seconds = Some(u64::from(c % 3));
    let act = match what % 16 {
        0 => {
            let sessions = state.sessions_of_user(UserId(1000 + u64::from(a % 16))).next();
            let known = sessions.and_then(|session| state.connection(session));
            Act::DisconnectOne(known.unwrap_or(UserId(1000 + u64::from(a % 16))))
        }
        1 => Act::Disconnect(user),
        2 => Act::Ban(Barred::Network(net()), seconds),
        3 => Act::Ban(Barred::User(account), seconds),
        4 => Act::Unban(Barred::Network(net())),
        5 => Act::Unban(Barred::User(account)),
        6 | 7 => Act::Reset(account, hash(c)),
        8 => Act::Remove(account),
        9 | 10 => Act::Close(channel(a, state)),
        11 | 12 => {
            let channel = channel(a, state);
            let user = member(b, &channel, session, state);
            Act::Give(channel, user)
        }
        13 => Act::Invite { hash: format!("code-{}", c % 4).into(), seconds, uses: 2 },
        _ => Act::Notice("hear, hear".into()),
    };
    Request::Operate { by: "root".into(), act, reason: c.is_multiple_of(2).then(|| "a reason".into()) }
}
