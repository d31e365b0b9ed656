//! A table of the state: rows ordered by key, which can be rolled back to the last commit.
//!
//! Events are applied to the state before their batch is on the disk. If the disk has no room, the batch never happened.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeBounds;

/// Rows by key, and how to undo their last changes.
pub struct Table<K, V> {
    rows: BTreeMap<K, V>,
    /// The row before each change since the last commit, the oldest change first.
    undo: Vec<(K, Option<V>)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), undo: Vec::new() }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.fmt(f)
    }
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    /// The row with this key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.rows.get(key)
    }

    /// Whether there is a row with this key.
    pub fn has(&self, key: &K) -> bool {
        self.rows.contains_key(key)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows with keys in this range, in the order of their keys.
    pub fn range<Q: Ord + ?Sized>(&self, keys: impl RangeBounds<Q>) -> impl Iterator<Item = (&K, &V)>
    where
        K: Borrow<Q>,
    {
        self.rows.range(keys)
    }

    /// All rows in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter()
    }

    /// Adds or replaces a row; returns whether it is new.
    pub fn insert(&mut self, key: K, value: V) -> bool {
        let old = self.rows.insert(key.clone(), value);
        let is_new = old.is_none();
        self.undo.push((key, old));
        is_new
    }

    /// Removes a row and returns it.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (key, old) = self.rows.remove_entry(key)?;
        self.undo.push((key, Some(old.clone())));
        Some(old)
    }

    /// Changes a row, if there is one.
    pub fn change(&mut self, key: &K, change: impl FnOnce(&mut V)) {
        if let Some(row) = self.rows.get_mut(key) {
            self.undo.push((key.clone(), Some(row.clone())));
            change(row);
        }
    }

    /// Makes all changes since the last commit permanent.
    pub fn commit(&mut self) {
        // Most batches change few of the tables.
        if self.undo.is_empty() {
            return;
        }
        self.undo.clear();
        // Gives memory back after a large batch, or after loading a whole state.
        self.undo.shrink_to(4096);
    }

    /// Undoes all changes since the last commit.
    pub fn rollback(&mut self) {
        for (key, old) in self.undo.drain(..).rev() {
            match old {
                Some(old) => drop(self.rows.insert(key, old)),
                None => drop(self.rows.remove(&key)),
            }
        }
    }
}
