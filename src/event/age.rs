//! Spans of time, as people type them and lines show them.
//!
//! Values only. It must never ask what time it is.

use std::fmt;
use std::str::FromStr;

/// How many digits an [`Age`] has at most: in weeks that is longer than anybody means.
pub const AGE_DIGITS: usize = 6;

/// A span of time in seconds, as it is typed: `30s`, `5m`, `2h`, `3d`, `1w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(pub u64);

/// The units in which an [`Age`] is typed, the longest first, with their seconds.
const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// What a text is that is no [`Age`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no span of time; give 30s, 5m, 2h, 3d or 1w")]
pub struct NoAge;

impl FromStr for Age {
    type Err = NoAge;

    /// The unit may be typed as a capital, too.
    fn from_str(text: &str) -> Result<Self, NoAge> {
        let is_unit = |(unit, _): &(char, u64)| text.ends_with([*unit, unit.to_ascii_uppercase()]);
        let (_, seconds) = UNITS.into_iter().find(is_unit).ok_or(NoAge)?;
        let digits = &text[..text.len() - 1];
        if digits.len() > AGE_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NoAge);
        }
        digits.parse::<u64>().map(|count| Self(count * seconds)).map_err(|_| NoAge)
    }
}

impl fmt::Display for Age {
    /// In the longest unit that needs no fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, seconds) =
            UNITS.into_iter().find(|(_, seconds)| self.0 >= *seconds && self.0.is_multiple_of(*seconds)).unwrap_or(('s', 1));
        write!(f, "{}{unit}", self.0 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::{Age, NoAge};

    #[test]
    fn what_is_typed_is_shown_and_nothing_else_is_an_age() {
        for (text, seconds) in
            [("30s", 30), ("5m", 300), ("2h", 7_200), ("3d", 259_200), ("1w", 604_800), ("999999w", 604_799_395_200)]
        {
            assert_eq!(text.parse(), Ok(Age(seconds)));
            assert_eq!(text.to_ascii_uppercase().parse(), Ok(Age(seconds)));
            assert_eq!(Age(seconds).to_string(), text);
        }
        for text in ["", "s", "5", "+5s", "-5s", "5 s", "5y", "1000000s", "5s5", "\u{665}s", "5\u{17f}"] {
            assert_eq!(text.parse::<Age>(), Err(NoAge), "{text}");
        }
    }
}
