//! Checking a store, and telling what was found: each damage in a line.
//!
//! It owns what was found so far, and must never change what it checks.

use std::io::{self, Write};
use std::path::Path;

use indicatif::ProgressBar;

use crate::care::work::bar;
use crate::care::{CareError, store_at};
use crate::store::{self, Examined, Harm, Witness};

/// Examines the store in a file or a directory, and writes each damage as a line. A server may go on using it.
///
/// # Errors
/// [`CareError`] when it cannot be examined. That it is damaged is no error.
pub fn check(place: &Path, lines: &mut dyn Write) -> Result<Examined, CareError> {
    let mut teller = Teller { lines, written: Ok(()), bar: bar(1, "checking, entries") };
    let examined = store::examine(&store_at(place)?, &mut teller)?;
    teller.bar.finish_and_clear();
    teller.written.map_err(CareError::write(Path::new("the standard output")))?;
    Ok(examined)
}

struct Teller<'a> {
    lines: &'a mut dyn Write,
    written: io::Result<()>,
    bar: ProgressBar,
}

impl Witness for Teller<'_> {
    fn expect(&mut self, rows: u64) {
        self.bar.set_length(rows);
    }

    fn seen(&mut self) {
        self.bar.inc(1);
    }

    fn harm(&mut self, harm: Harm) {
        if self.written.is_ok() {
            self.written = self.bar.suspend(|| writeln!(self.lines, "{harm}"));
        }
    }
}

/// Keeps only the first damage.
pub struct Quiet {
    first: Option<Harm>,
    bar: ProgressBar,
}

impl Quiet {
    /// One that has heard of none.
    pub fn new() -> Self {
        Self { first: None, bar: bar(1, "checking, entries") }
    }

    /// The first damage, if there was one.
    pub fn finish(self) -> Option<Harm> {
        self.bar.finish_and_clear();
        self.first
    }
}

impl Witness for Quiet {
    fn expect(&mut self, rows: u64) {
        self.bar.set_length(rows);
    }

    fn seen(&mut self) {
        self.bar.inc(1);
    }

    fn harm(&mut self, harm: Harm) {
        self.first.get_or_insert(harm);
    }
}
