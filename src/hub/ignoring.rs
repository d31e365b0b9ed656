//! Whom a session does not hear, because its user ignores them.
//!
//! It belongs to the session, and changes by notices only, in the order of the events. A session that hears everybody has none.

use crate::names::{Seq, UserId};

/// How the set of those whom a user ignores has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ignores {
    /// It is another user from here on, who ignores these, ordered by id.
    Only(Box<[UserId]>),
    /// This one too.
    Also(UserId),
    /// This one no longer.
    NotAnyMore(UserId),
}

/// Those whom a session does not hear.
#[derive(Debug, Default)]
pub struct Ignoring {
    /// Each with the entry after which they are not heard, ordered by id.
    users: Vec<(UserId, Seq)>,
}

impl Ignoring {
    /// Notes a change that came with this entry.
    pub fn change(&mut self, change: &Ignores, seq: Seq) {
        match change {
            // Nothing of what was before is news to them.
            Ignores::Only(users) => self.users = users.iter().map(|user| (*user, Seq(0))).collect(),
            Ignores::Also(user) => {
                if let Err(place) = self.place(*user) {
                    self.users.insert(place, (*user, seq));
                }
            }
            Ignores::NotAnyMore(user) => {
                if let Ok(place) = self.place(*user) {
                    self.users.remove(place);
                }
            }
        }
    }

    /// What was said before is read again, as history is: whoever is ignored is not heard from any entry on.
    pub fn hear_none(&mut self) {
        self.users.iter_mut().for_each(|(_, since)| *since = Seq(0));
    }

    fn place(&self, user: UserId) -> Result<usize, usize> {
        self.users.binary_search_by_key(&user, |(user, _)| *user)
    }

    /// Whether there is nobody whom it does not hear.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Whether what the user has said is hidden in history, however old it is.
    pub fn hides(&self, author: UserId) -> bool {
        self.place(author).is_ok()
    }

    /// Whether what the user has said with this entry is hidden as news: what was said before was to be heard.
    pub fn hides_at(&self, author: UserId, seq: Seq) -> bool {
        self.place(author).is_ok_and(|place| seq > self.users[place].1)
    }
}

#[cfg(test)]
mod tests {
    use super::{Ignores, Ignoring, Seq, UserId};

    #[test]
    fn what_comes_after_is_hidden_and_in_history_all_of_it() {
        let mut ignoring = Ignoring::default();
        let [ana, bob] = [UserId(1000), UserId(1001)];
        ignoring.change(&Ignores::Also(bob), Seq(10));
        ignoring.change(&Ignores::Also(ana), Seq(20));
        ignoring.change(&Ignores::Also(bob), Seq(30));
        let hides = |ignoring: &Ignoring, seq| [ana, bob].map(|user| ignoring.hides_at(user, Seq(seq)));
        assert_eq!([10, 11, 20, 21].map(|seq| hides(&ignoring, seq)), [[false; 2], [false, true], [false, true], [true; 2]]);
        assert!(ignoring.hides(ana) && ignoring.hides(bob));
        ignoring.change(&Ignores::NotAnyMore(bob), Seq(40));
        assert_eq!(hides(&ignoring, 50), [true, false]);
        ignoring.change(&Ignores::Only([bob].into()), Seq(60));
        assert_eq!((hides(&ignoring, 60), hides(&ignoring, 61)), ([false, true], [false, true]));
        ignoring.change(&Ignores::Only([].into()), Seq(70));
        assert!(ignoring.is_empty() && !ignoring.hides(bob));
    }
}
