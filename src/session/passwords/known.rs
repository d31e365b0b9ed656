//! From where an account has logged in lately, or a channel was joined with its key.
//!
//! It owns these addresses, a bounded number, in memory only. It must never say more than whether one is among them.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};

use foldhash::HashMap;

use crate::limits::{KNOWN_ADDRESSES, KNOWN_NAMES};

/// The latest addresses for each folded name.
#[derive(Debug, Default)]
pub struct Known(Mutex<HashMap<String, VecDeque<IpAddr>>>);

impl Known {
    /// Whether somebody there had the secret of this name.
    pub fn has(&self, from: IpAddr, name: &str) -> bool {
        self.names().get(name).is_some_and(|addresses| addresses.contains(&from))
    }

    /// Notes that somebody there has it.
    pub fn remember(&self, from: IpAddr, name: String) {
        let mut names = self.names();
        if names.len() >= KNOWN_NAMES && !names.contains_key(&name) {
            // Whoever is forgotten is a stranger once more, and still has the attempts that strangers have.
            names.clear();
        }
        let addresses = names.entry(name).or_default();
        addresses.retain(|address| *address != from);
        addresses.push_back(from);
        if addresses.len() > KNOWN_ADDRESSES {
            addresses.pop_front();
        }
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, VecDeque<IpAddr>>> {
        self.0.lock().expect("invariant: nothing panics under this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::{IpAddr, KNOWN_ADDRESSES, Known};

    #[test]
    fn the_addresses_of_a_name_are_bounded_and_the_latest_stay() {
        let (known, address) = (Known::default(), |number| IpAddr::from([192, 0, 2, number]));
        for number in 1..=KNOWN_ADDRESSES as u8 + 1 {
            known.remember(address(number), "ana".to_owned());
        }
        assert!(!known.has(address(1), "ana"), "the oldest is a stranger again");
        assert!((2..=KNOWN_ADDRESSES as u8 + 1).all(|number| known.has(address(number), "ana")));
        assert_eq!(known.names().len(), 1);
    }
}
