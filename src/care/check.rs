//! Checking a store, and telling what was found: each damage in a line.
//!
//! It owns nothing, and must never change what it checks.

use std::io::Write;
use std::path::Path;

use indicatif::ProgressBar;

use crate::care::work::bar;
use crate::care::{CareError, store_at};
use crate::store::{self, Examined, Harm, OpenError, Witness};

/// Examines the store in a file or a directory, and writes each damage as a line. A server may go on using it.
///
/// # Errors
/// [`CareError`] when it cannot be examined. That it is damaged is no error.
pub fn check(place: &Path, lines: &mut dyn Write) -> Result<Examined, CareError> {
    let mut written = Ok(());
    let examined = examine(&store_at(place)?, |bar, harm| {
        if written.is_ok() {
            written = bar.suspend(|| writeln!(lines, "{harm}"));
        }
    })?;
    written.map_err(CareError::write(Path::new("the standard output")))?;
    Ok(examined)
}

/// Examines the store in a file while a bar fills; `harm` is told each damage, and which bar stands where it could be written.
///
/// # Errors
/// [`OpenError`] when it cannot be examined.
pub fn examine(database: &Path, harm: impl FnMut(&ProgressBar, Harm)) -> Result<Examined, OpenError> {
    let mut watched = Watched { bar: bar(1, "checking, entries"), harm };
    let examined = store::examine(database, &mut watched);
    watched.bar.finish_and_clear();
    examined
}

struct Watched<F> {
    bar: ProgressBar,
    harm: F,
}

impl<F: FnMut(&ProgressBar, Harm)> Witness for Watched<F> {
    fn expect(&mut self, rows: u64) {
        self.bar.set_length(rows);
    }

    fn seen(&mut self) {
        self.bar.inc(1);
    }

    fn harm(&mut self, harm: Harm) {
        (self.harm)(&self.bar, harm);
    }
}
