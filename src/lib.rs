//! linechat: a chat server that everyone can already talk to, because `nc server 12000` is a complete client.
//!
//! *Every change is proposed to one order. One pure function decides each proposal, in that order. The events that follow are
//! applied, stored and told. Each session reads forward from its own cursors, at the speed of its own socket.*
//!
//! ```text
//!  line ─▶ wire ─▶ session ──proposal──▶ order ──batches──▶ replica: decide ─▶ apply ─▶ store
//!                     ▲                                                        │       (all that is durable)
//!                     └──────────── wake, completions ◀────── hub ◀────news────┘
//! ```
//!
//! # The modules, in reading order
//!
//! [`limits`] names every bound. [`names`], [`code`] and [`event`] are the vocabulary of all the others: what can be proposed,
//! and what can happen. [`state`] is what the events so far add up to: [`state::decide()`] turns a proposal into events or a
//! refusal, and [`state::State::apply`] makes the changes that an event means. [`order`] puts many proposals into one order:
//! [`order::local`] those of one server, in memory; [`order::cluster`] those of many servers, over a broker such as [`order::nats`].
//! [`store`] keeps everything durable; [`search`] finds messages in it again, by an index that follows it. [`hub`] holds the recent lines of every room and wakes the sessions. [`replica`] is the
//! one loop that runs these four. [`wire`] turns bytes into lines and commands, and answers into lines; [`session`] is the one
//! loop of a connection. [`server`] starts and stops them all. [`care`] is for a store that no replica uses, or beside the one that does: backups,
//! checks, exports. [`clock`] tells the time; [`tls`] reads and makes
//! certificates; [`metrics`] is what is counted meanwhile; [`config`] and [`cli`] hold what the
//! operator asked for. [`menu`] is a client and [`mod@bench`] a load generator; of all these they use only [`wire`], and
//! the menu [`tls`]. [`top`] shows what servers tell those who watch them, and uses nothing else here.
//!
//! # The life of one line: `MSG #rust hi`
//!
//! 1. The bytes arrive at a [`session::Session`], which wakes, reads them into its thread's buffer, and gives them to its
//!    [`wire::LineDecoder`]: [`wire::Next::Line`].
//! 2. [`wire::parse()`] turns the line into a [`wire::Command::Msg`] that borrows from it.
//! 3. The verb's function makes an [`event::Proposal`]: an [`event::Request::Say`], with the target as it was typed. The
//!    session reserves the answer's place among its answers and goes on to parse the next line.
//! 4. [`order::Order::propose`] queues the proposal. The [`replica::Replica`] takes it in an [`event::Batch`] with whatever
//!    else has arrived, and asks [`state::decide()`]: is there such a channel, is the user in it, was the key used before? The
//!    decision is an [`event::Event::Said`] or a [`code::Refusal`].
//! 5. The event gets its number and becomes an [`event::Entry`]. [`state::State::apply`] applies it to the state,
//!    [`store::Store::put`] links it into its room, and [`store::Store::commit`] makes the whole batch durable.
//! 6. [`hub::Hub::tell`] adds the entry's line once to the tail of the channel's [`hub::Room`], wakes every reader by setting
//!    one bit, and gives the sender's [`hub::SessionHandle`] its [`event::Completion`].
//! 7. The sender's session takes it and writes `OK MSG 42 …`; by then the message is on the disk.
//! 8. Each member's session wakes and copies everything after its [`hub::Cursor`] from the tail to its socket: `* MSG 42 …`. A
//!    session that has fallen behind the tail uses [`store::Reader::read`] instead, a page at a time, until it has caught up.

pub mod bench;
pub mod care;
pub mod cli;
pub mod clock;
pub mod code;
pub mod config;
pub mod event;
pub mod hub;
pub mod limits;
pub mod log;
pub mod menu;
pub mod metrics;
pub mod names;
pub mod order;
pub mod replica;
pub mod search;
pub mod server;
pub mod session;
pub mod state;
pub mod store;
pub mod tls;
pub mod top;
pub mod wire;
