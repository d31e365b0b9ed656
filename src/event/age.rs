//! Spans of time, as people type them and lines show them.

use std::fmt;

/// A span of time in seconds, as it is typed: `30s`, `5m`, `2h`, `3d`, `1w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(pub u64);

/// The units in which an [`Age`] is typed, the longest first, with their seconds.
pub const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl fmt::Display for Age {
    /// In the longest unit that needs no fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, seconds) =
            UNITS.into_iter().find(|(_, seconds)| self.0 >= *seconds && self.0.is_multiple_of(*seconds)).unwrap_or(('s', 1));
        write!(f, "{}{unit}", self.0 / seconds)
    }
}
