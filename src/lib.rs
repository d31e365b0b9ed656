//! linechat: a chat server that everyone can already talk to, because `nc server 12000` is a complete client.
//!
//! *Every change is an event appended to one journal; what the journal has committed is applied to the hub; the hub wakes
//! sessions; and each session reads forward from its own cursors at the speed of its own socket.*
//!
//! ```text
//!  line ─▶ wire ─▶ session ──append──▶ journal ──committed──▶ hub ──wake──▶ session ──▶ wire ─▶ line
//!         (parse)  (one verb)          (order,                (rooms,       (reads from
//!                                       durability)            tails)        its cursor)
//! ```
//!
//! # The modules, in reading order
//!
//! [`limits`] names every bound; [`names`] and [`event`] are the words that all others use. [`wire`] turns bytes into lines and
//! commands, and answers into lines. [`journal`] orders and keeps what happened. [`hub`] knows who is online and holds the
//! recent lines of every room. [`session`] is the one loop there is for a connection. [`server`] starts and stops them all;
//! [`config`] and [`cli`] are what the operator says. [`menu`] is a client and [`mod@bench`] a load; they use nothing of these
//! but [`wire`].
//!
//! # The life of one line: `MSG #rust hi`
//!
//! 1. The bytes arrive in a [`session::Session`], which wakes, reads them into a buffer of its thread, and gives them to its
//!    [`wire::LineDecoder`]: [`wire::Next::Line`].
//! 2. [`wire::parse()`] makes a [`wire::Command::Msg`] of the line, borrowed from it.
//! 3. The verb's function finds `#rust` among the channels that the session reads, and makes an [`event::Draft`] of an
//!    [`event::Event::Said`]. The answer's place in the order of answers is kept; the next line is parsed already.
//! 4. [`journal::Journal::append`] queues the draft. The journal's writer numbers it, links it to the room's message before it,
//!    and commits it together with whatever else has come: an [`event::Outcome::Committed`] of an [`event::Entry`].
//! 5. The server carries the committed batch from the [`journal::Feed`] to [`hub::Hub::settle`], which adds the rendered line
//!    to the tail of the channel's [`hub::Room`] once, wakes every [`hub::Seat`] in it by one bit, and gives the sender's seat
//!    its [`hub::Verdict`].
//! 6. The sender's session takes the verdict and writes `OK MSG 42 …`; it left the disk before it got here.
//! 7. Each member's session wakes and copies everything after its [`hub::Cursor`] from the tail to its socket: `* MSG 42 …`. One
//!    that has fallen behind the tail reads [`journal::Journal::read`] instead, a page at a time, until it is back.

pub mod bench;
pub mod cli;
pub mod config;
pub mod event;
pub mod hub;
pub mod journal;
pub mod limits;
pub mod menu;
pub mod names;
pub mod server;
pub mod session;
pub mod wire;
