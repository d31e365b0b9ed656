//! linechat: a chat server that everyone can already talk to.

pub mod cli;
pub mod config;
pub mod event;
pub mod hub;
pub mod journal;
pub mod limits;
pub mod names;
pub mod server;
pub mod session;
pub mod wire;
