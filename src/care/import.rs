//! Importing what was exported, into a directory in which there is no journal yet. It holds the lines of one batch at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use indicatif::ProgressBar;

use crate::care::CareError;
use crate::care::check::examine;
use crate::care::work::{Work, bar};
use crate::limits::FACT_BYTES;
use crate::names::Seq;
use crate::store::{self, Disk, FORM, Fact, Presence, Store, StoreError};

/// The folder in a data directory in which the journal is made.
const WORK: &str = "importing";
/// How many facts are committed together: enough that a commit costs little beside them.
const BATCH: u64 = 1000;

/// What was imported.
#[derive(Debug)]
pub struct Imported {
    /// How many entries.
    pub entries: u64,
}

/// Imports from a file, or from this process's input, into a directory without a journal.
///
/// # Errors
/// [`CareError`]; then there is no journal.
pub fn import(from: Option<&Path>, directory: &Path) -> Result<Imported, CareError> {
    let name = from.unwrap_or(Path::new("the standard input"));
    let (input, length): (Box<dyn Read>, u64) = match from {
        Some(file) => {
            let file = File::open(file).map_err(CareError::read(name))?;
            let length = file.metadata().map_or(0, |metadata| metadata.len());
            (Box::new(file), length)
        }
        None => (Box::new(io::stdin().lock()), 0),
    };
    let _held = store::hold(directory)?;
    if store::is_there(directory)? {
        return Err(CareError::NotEmpty(directory.to_owned()));
    }
    let work = Work::make(directory, WORK).map_err(CareError::write(directory))?;
    let (mut made, _) = store::open_disk(work.path(), Presence::Kept)?;
    made.load(&mut |_| {})?;
    let reading = bar(length, "importing, bytes");
    let mut importer = Importer { store: made, entries: 0, last: Seq(0), facts: 0 };
    importer.read(BufReader::new(input), name, &reading)?;
    reading.finish_and_clear();
    importer.store.close();
    let entries = importer.entries;
    drop(importer);
    // What was exported is sound. What somebody has changed since then may not be.
    let mut first = None;
    examine(&store::database(work.path()), |_, harm| {
        first.get_or_insert(harm);
    })?;
    if let Some(first) = first {
        return Err(CareError::Store(StoreError::Failed(format!("what was imported does not fit together: {first}"))));
    }
    store::keep_ids(work.path(), directory).map_err(CareError::write(directory))?;
    store::take_over(work.path(), directory, None)?;
    Ok(Imported { entries })
}

struct Importer {
    store: Store<Disk>,
    entries: u64,
    last: Seq,
    facts: u64,
}

impl Importer {
    fn read(&mut self, mut input: impl BufRead, name: &Path, bar: &ProgressBar) -> Result<(), CareError> {
        let (mut number, mut line, mut has_ended) = (0, Vec::new(), false);
        loop {
            line.clear();
            let length = input.by_ref().take(FACT_BYTES).read_until(b'\n', &mut line).map_err(CareError::read(name))?;
            number += 1;
            let wrong = |why: String| CareError::Line { number, why };
            if length == 0 {
                return if has_ended { Ok(self.store.commit()?) } else { Err(wrong("the last lines are missing".to_owned())) };
            }
            bar.inc(length as u64);
            if has_ended {
                return Err(wrong("nothing follows the line \"end\"".to_owned()));
            }
            // As text, which the store reads, too: one parser less in the binary.
            let text = std::str::from_utf8(&line).map_err(|error| wrong(error.to_string()))?;
            let fact = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
            has_ended = matches!(fact, Fact::End { .. });
            self.take(&fact).map_err(|error| match error {
                StoreError::Damaged(why) => wrong(why),
                error => CareError::Store(error),
            })?;
        }
    }

    fn take(&mut self, fact: &Fact) -> Result<(), StoreError> {
        let wrong = |why: String| Err(StoreError::Damaged(why));
        match fact {
            Fact::Begin { form, linechat, .. } if *form > FORM => {
                return wrong(format!("linechat {linechat} wrote it, in a newer form; import it with that one"));
            }
            Fact::Begin { .. } if self.facts > 0 => return wrong("\"begin\" is the first line and no other".to_owned()),
            Fact::Begin { .. } => {}
            _ if self.facts == 0 => return wrong("the first line is not \"begin\"".to_owned()),
            Fact::Entry { seq, .. } if *seq <= self.last => return wrong(format!("entry {seq} comes after {}", self.last)),
            Fact::Entry { seq, .. } => (self.last, self.entries) = (*seq, self.entries + 1),
            Fact::End { entries } if *entries != self.entries => {
                return wrong(format!("{} entries came, of {entries}", self.entries));
            }
            _ => {}
        }
        self.facts += 1;
        self.store.bring_back(fact)?;
        if self.facts.is_multiple_of(BATCH) {
            self.store.commit()?;
        }
        Ok(())
    }
}
