//! What an examination finds, and what that means for whoever uses the store. It never says what a damaged row contains.

use std::fmt;

/// What damage means for those who use the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// SQLite itself does not trust the file.
    File,
    /// The state cannot be loaded.
    State,
    /// Readers are shown a gap.
    Gap,
    /// Nobody can read it any more.
    Lost,
    /// A number is wrong, or is not known.
    Count,
}

/// One damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Harm {
    /// What is damaged.
    pub what: String,
    /// What that means.
    pub means: Means,
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let means = match self.means {
            Means::File => "the file itself is damaged",
            Means::State => "no server starts with it",
            Means::Gap => "whoever reads there is shown GAP",
            Means::Lost => "what was there is lost",
            Means::Count => "what is counted by it may be wrong",
        };
        // SQLite's reports have several lines.
        write!(f, "{}: {means}", self.what.replace('\n', "; "))
    }
}
