//! linechat: a chat server that everyone can already talk to, because `nc server 12000` is a complete client.
//!
//! *Every change is proposed to one order; what a proposal comes to is decided by one pure function, in that order; the events
//! that follow are applied, stored and told; and each session reads forward from its own cursors at the speed of its own socket.*
//!
//! ```text
//!  line ─▶ wire ─▶ session ──proposal──▶ order ──batches──▶ replica: decide ─▶ apply ─▶ store
//!                     ▲                                                        │       (what lasts)
//!                     └──────────── wake, completions ◀────── hub ◀────news────┘
//! ```
//!
//! # The modules, in reading order
//!
//! [`limits`] names every bound; [`names`], [`code`] and [`event`] are the words that all others use: what can be proposed, and
//! what can happen. [`state`] is what the order has made: [`state::decide()`] says what a proposal comes to, and
//! [`state::State::apply`] what an event does. [`order`] makes one order of many proposals. [`store`] keeps what lasts. [`hub`]
//! holds the recent lines of every room and reaches the sessions. [`replica`] is the one loop through these four. [`wire`] turns
//! bytes into lines and commands, and answers into lines; [`session`] is the one loop there is for a connection. [`server`]
//! starts and stops them all; [`clock`] says what time it is; [`config`] and [`cli`] are what the operator says. [`menu`] is a
//! client and [`mod@bench`] a load; they use nothing of these but [`wire`].
//!
//! # The life of one line: `MSG #rust hi`
//!
//! 1. The bytes arrive in a [`session::Session`], which wakes, reads them into a buffer of its thread, and gives them to its
//!    [`wire::LineDecoder`]: [`wire::Next::Line`].
//! 2. [`wire::parse()`] makes a [`wire::Command::Msg`] of the line, borrowed from it.
//! 3. The verb's function makes an [`event::Proposal`] of it, an [`event::Request::Say`] to whatever was typed. The answer's place
//!    among the answers is kept; the next line is parsed already.
//! 4. [`order::Order::propose`] queues the proposal. The [`replica::Replica`] takes it in an [`event::Batch`] with whatever else has
//!    come, and asks [`state::decide()`]: is there such a channel, is the user in it, was the key used before? It comes to an
//!    [`event::Event::Said`], or to a [`code::Refusal`].
//! 5. The event has its number now: an [`event::Entry`]. [`state::State::apply`] changes the state by it, [`store::Store::put`] hangs
//!    it in its room, and [`store::Store::commit`] makes the whole batch durable.
//! 6. [`hub::Hub::tell`] adds the entry's line to the tail of the channel's [`hub::Room`] once, wakes everybody who reads there by one
//!    bit, and gives the sender's [`hub::SessionHandle`] its [`event::Completion`].
//! 7. The sender's session takes it and writes `OK MSG 42 …`; the message left the disk before that.
//! 8. Each member's session wakes and copies everything after its [`hub::Cursor`] from the tail to its socket: `* MSG 42 …`. One
//!    that has fallen behind the tail reads [`store::Reader::read`] instead, a page at a time, until it is back.

pub mod bench;
pub mod cli;
pub mod clock;
pub mod code;
pub mod config;
pub mod event;
pub mod hub;
pub mod limits;
pub mod menu;
pub mod names;
pub mod order;
pub mod replica;
pub mod server;
pub mod session;
pub mod state;
pub mod store;
pub mod wire;
