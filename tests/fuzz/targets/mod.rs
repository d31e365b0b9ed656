//! What the fuzz targets check, for any bytes. `tests/fuzz.rs` runs each on its corpus and on random bytes in everyday tests;
//! `scripts/fuzz` runs them with libFuzzer, which looks for bytes that take new paths.
//!
//! Each function panics when a promise is broken. None keeps anything between two calls.

pub mod framing;
pub mod parser;
pub mod recovery;
pub mod session;
pub mod text;
