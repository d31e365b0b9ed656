//! linechat: a chat server that everyone can already talk to.
pub mod event;
pub mod limits;
pub mod names;
pub mod wire;
