//! Patterns of names, as LIST and CHANNELS take them. Nothing here knows which names there are.

use crate::names::{Name, fold};

/// A pattern of names, without regard to case: `*` stands for any characters, and `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<char>);

impl Pattern {
    /// The pattern, which is one of the grammar.
    pub fn new(text: &str) -> Self {
        Self(fold(text).chars().collect())
    }

    /// Whether the whole name is of this form. It takes at most as many steps as the product of both lengths, of which neither is
    /// long: only the last `*` is ever tried again, because whatever an earlier one could take, the last one can take as well.
    pub fn fits(&self, name: &Name) -> bool {
        self.fits_text(name.as_str())
    }

    /// The same, of a text that is no name.
    pub fn fits_text(&self, text: &str) -> bool {
        let folded = fold(text);
        let (mut rest, mut at) = (folded.chars(), 0);
        // Behind the last `*`, and what of the name is left if that takes one character more.
        let mut again = None;
        loop {
            match (self.0.get(at), rest.clone().next()) {
                (Some('*'), _) => {
                    at += 1;
                    again = Some((at, rest.clone()));
                }
                (None, None) => return true,
                (Some(wanted), Some(found)) if *wanted == '?' || *wanted == found => {
                    at += 1;
                    rest.next();
                }
                _ => {
                    let Some((behind, left)) = &mut again else { return false };
                    if left.next().is_none() {
                        return false;
                    }
                    (at, rest) = (*behind, left.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{Name, Pattern};

    fn fits(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).fits(&Name::new(name))
    }

    /// What the words say, at whatever price.
    fn is_so(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, rest) => rest.is_none(),
            (Some(('*', more)), rest) => is_so(more, name) || rest.is_some_and(|(_, shorter)| is_so(pattern, shorter)),
            (Some((wanted, more)), Some((found, rest))) => (*wanted == '?' || wanted == found) && is_so(more, rest),
            (Some(_), None) => false,
        }
    }

    #[test]
    fn a_pattern_is_the_whole_name_without_regard_to_case() {
        assert!(fits("nina", "Nina") && fits("N*", "nina") && fits("*A", "nina") && fits("n?n?", "nina") && fits("*", "x"));
        assert!(!fits("nin", "nina") && !fits("ina", "nina") && !fits("?", "nina") && !fits("n*x", "nina"));
        assert!(fits("JOS\u{c9}*", "jos\u{e9}.2") && fits("guest-*", "guest-1000"));
        assert!(fits("a*b*c", "axxbyybzzc") && !fits("a*b*c", "axxbyybzz"));
    }

    #[test]
    fn a_malicious_pattern_costs_no_more_than_others() {
        assert!(!fits("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab", &"a".repeat(32)));
    }

    proptest! {
        #[test]
        fn it_fits_where_the_words_say_so(pattern in "[ab?*]{1,8}", name in "[ab]{1,10}") {
            let (of, letters): (Vec<_>, Vec<_>) = (pattern.chars().collect(), name.chars().collect());
            prop_assert_eq!(fits(&pattern, &name), is_so(&of, &letters));
        }
    }
}
