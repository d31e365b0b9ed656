//! A verb as its place in the table of verbs: what is counted for each verb needs no search. It owns nothing, and must never be
//! sent or stored: places change whenever the table does.

use crate::wire::verbs::VERBS;

/// A verb, or that a line had none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word(u8);

impl Word {
    /// That of a line without a verb that is known.
    pub const NONE: Self = Self(VERBS.len() as u8);
    /// How many there are.
    pub const COUNT: usize = VERBS.len() + 1;

    /// The verb of this name, in capitals. It is meant for constants.
    ///
    /// # Panics
    /// When there is no such verb.
    pub const fn of(name: &str) -> Self {
        let mut place = 0;
        while place < VERBS.len() {
            if is_same(VERBS[place].name.as_bytes(), name.as_bytes()) {
                return Self(place as u8);
            }
            place += 1;
        }
        panic!("there is no such verb")
    }

    /// The one that ERR names; [`Word::NONE`] for what is no verb.
    pub fn find(name: &str) -> Self {
        VERBS.iter().position(|verb| verb.name == name).map_or(Self::NONE, |place| Self(place as u8))
    }

    /// All of them, in their places.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=Self::NONE.0).map(Self)
    }

    /// Its name, as OK and ERR have it.
    pub fn name(self) -> &'static str {
        VERBS.get(self.place()).map_or("-", |verb| verb.name)
    }

    /// Its place, which is less than [`Word::COUNT`].
    pub const fn place(self) -> usize {
        self.0 as usize
    }
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

#[cfg(test)]
mod tests {
    use super::{VERBS, Word};

    #[test]
    fn each_verb_has_its_place() {
        for (place, verb) in VERBS.iter().enumerate() {
            let word = Word::of(verb.name);
            assert_eq!((word.place(), word.name(), Word::find(verb.name)), (place, verb.name, word));
        }
        assert_eq!((Word::all().count(), Word::find("NICK"), Word::NONE.name()), (Word::COUNT, Word::NONE, "-"));
    }
}
