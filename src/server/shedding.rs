//! Whom an overloaded server does without, when fewer recent lines and no newcomers were not enough: those who take nothing.
//!
//! It owns nothing. It never touches a message that was answered OK, and nobody whose peer takes what it is sent.

use std::cmp::Reverse;

use crate::event::SessionId;
use crate::session::Shared;

/// Closes connections whose peers have taken nothing since the last call, if more is buffered than may be: no more of them than
/// it takes, guests before accounts, and those first for whom most is buffered. It is called once a second, and looks at nobody
/// while there is room.
pub async fn shed(shared: &Shared) {
    let mut excess = shared.hub.buffered().saturating_sub(shared.limits.buffered_bytes);
    if excess == 0 {
        return;
    }
    let mut deaf = shared.hub.deaf();
    let state = shared.state.read().await;
    deaf.sort_by_cached_key(|&(number, held)| {
        let user = state.user_of(SessionId { node: shared.lives.newest().node, number });
        (user.is_some_and(|user| state.is_account(user)), Reverse(held))
    });
    drop(state);
    let mut closed = 0;
    for (session, held) in deaf {
        if excess == 0 {
            break;
        }
        shared.hub.cut_off(session);
        (excess, closed) = (excess.saturating_sub(held), closed + 1);
    }
    if closed > 0 {
        tracing::warn!(closed, "too much is buffered (limit buffered); connections that take nothing were closed");
    }
}
