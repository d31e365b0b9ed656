//! Exporting a store: its facts as JSON, one object a line. It holds one line at a time.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use indicatif::ProgressBar;

use crate::care::part::Part;
use crate::care::work::bar;
use crate::care::{CareError, store_at};
use crate::store::{self, Fact, Listener, OpenError, StoreError, TellError};

/// What was exported.
#[derive(Debug, Default)]
pub struct Exported {
    /// How many entries.
    pub entries: u64,
    /// What was damaged and left out.
    pub left_out: Option<LeftOut>,
}

/// What is not in an export.
#[derive(Debug, Default)]
pub struct LeftOut {
    /// In how many places the store is damaged.
    pub places: u64,
    /// How many entries may have been there.
    pub entries: u64,
    /// The first damage.
    pub first: String,
}

/// Where the lines go.
#[derive(Debug, Clone, Copy)]
pub enum To<'a> {
    /// Into a file, which is replaced if it is there and that is asked for.
    File(&'a Path, bool),
    /// To whoever reads this process's output.
    Output,
}

/// Exports the store in a file or a directory, as it is at one moment: a server may go on using it. What is damaged ends that, unless it is
/// to be left out.
///
/// # Errors
/// [`CareError`]; then no file was made.
pub fn export(place: &Path, to: To<'_>, leaves_out: bool) -> Result<Exported, CareError> {
    let database = store_at(place)?;
    match store::probe(&database) {
        Ok(()) | Err(OpenError::Damaged { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if store::ends(&database).is_ok_and(|ends| ends.is_some()) {
        return Err(CareError::OfCluster(place.to_owned()));
    }
    match to {
        To::Output => write(&database, io::stdout().lock(), Path::new("the standard output"), leaves_out),
        To::File(file, replaces) => {
            let mut part = Part::begin(file, replaces)?;
            let exported = write(&database, part.file(), file, leaves_out)?;
            part.finish()?;
            Ok(exported)
        }
    }
}

struct Writer<W: Write> {
    lines: W,
    leaves_out: bool,
    exported: Exported,
    bar: ProgressBar,
}

fn write(database: &Path, lines: impl Write, to: &Path, leaves_out: bool) -> Result<Exported, CareError> {
    let (lines, bar) = (BufWriter::new(lines), bar(1, "exporting, entries"));
    let mut writer = Writer { lines, leaves_out, exported: Exported::default(), bar };
    store::tell(database, &mut writer).map_err(|error| CareError::told(error, to, leaves_out))?;
    writer.lines.flush().map_err(CareError::write(to))?;
    writer.bar.finish_and_clear();
    Ok(writer.exported)
}

impl<W: Write> Listener for Writer<W> {
    fn expect(&mut self, entries: u64) {
        self.bar.set_length(entries);
    }

    fn take(&mut self, fact: &Fact) -> Result<(), TellError> {
        if let Fact::Entry { .. } = fact {
            self.exported.entries += 1;
            self.bar.inc(1);
        }
        serde_json::to_writer(&mut self.lines, fact).map_err(io::Error::from)?;
        Ok(self.lines.write_all(b"\n")?)
    }

    fn leave_out(&mut self, damage: StoreError, entries: u64) -> Result<(), TellError> {
        let found = match damage {
            StoreError::Damaged(found) if self.leaves_out => found,
            damage => return Err(damage.into()),
        };
        let left_out = self.exported.left_out.get_or_insert_with(|| LeftOut { first: found, ..LeftOut::default() });
        left_out.places += 1;
        left_out.entries += entries;
        Ok(())
    }
}
