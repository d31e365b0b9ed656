//! The wire: bytes to lines ([`mod@line`]), lines to commands ([`mod@parse`]), and the lines that answer them ([`reply`]).
//!
//! A client needs this module and nothing else of the crate; `grammar/linechat.abnf` is its specification. Nothing here does
//! I/O, knows who is connected, or decides whether a command is allowed.

pub mod command;
mod foreign;
pub mod forms;
pub mod incoming;
pub mod json;
pub mod line;
mod needs;
pub mod parse;
mod print;
pub mod reply;
pub mod text;
pub mod verbs;
mod word;

pub use crate::code::{Code, Refusal};
pub use crate::event::Age;
pub use command::{Banned, Command, Place, Span, Target, Token, When};
pub use foreign::HTTP_METHODS;
pub use incoming::Incoming;
pub use line::{Back, LineDecoder, Next};
pub use parse::{Rejected, Wanted, one_user, parse, wanted};
pub use word::Word;

/// The version of the protocol, the second field of `* HELLO`.
pub const PROTOCOL: u32 = 1;
