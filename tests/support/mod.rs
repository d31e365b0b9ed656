//! What several tests use.
#![allow(dead_code, reason = "each test uses its part")]

pub mod abnf;
pub mod admin;
pub mod client;
pub mod clients;
pub mod cluster;
pub mod conversation;
pub mod diagrams;
pub mod host;
pub mod jetstream;
pub mod json;
pub mod namespaces;
pub mod picture;
pub mod proxy;
pub mod pty;
pub mod race;
pub mod raw;
pub mod recorder;
pub mod server;
pub mod small;
pub mod tls;
pub mod transcript;
pub mod wait;
pub mod watched;
pub mod writers;
