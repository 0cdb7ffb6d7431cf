//! Rows by key, as many as are allowed.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use super::cell::{Cell, Ended, Sum, Window};

/// So many rows a table has; what comes then counts in one row for all others.
pub(super) const MOST_ROWS: usize = 256;

/// Without a request for so long a row makes room for another: no window reaches further back.
pub(super) const AGE: Duration = Duration::from_secs(900);

/// A full table looks for old rows so often at most.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(10);

/// Rows by the hash of their keys, so that looking one up makes no key.
#[derive(Debug)]
pub(super) struct Table<K> {
    rows: HashMap<u64, Box<(K, Cell)>>,
    others: Option<Box<Cell>>,
    swept: Option<Instant>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { rows: HashMap::new(), others: None, swept: None }
    }
}

impl<K> Table<K> {
    /// Counts a request in the row of a key: `is_same` tells the key from others of the same hash.
    pub(super) fn add(&mut self, hash: u64, is_same: impl Fn(&K) -> bool, key: impl FnOnce() -> K, ended: &Ended) {
        if let Some(row) = self.rows.get_mut(&hash) {
            if is_same(&row.0) {
                row.1.add(ended);
                return;
            }
        } else if self.has_room(ended.at) {
            self.rows.entry(hash).or_insert_with(|| Box::new((key(), Cell::EMPTY))).1.add(ended);
            return;
        }
        self.others.get_or_insert_with(|| Box::new(Cell::EMPTY)).add(ended);
    }

    fn has_room(&mut self, now: Instant) -> bool {
        let since = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        if self.rows.len() >= MOST_ROWS && since(self.swept).is_none_or(|since| since >= BETWEEN_SWEEPS) {
            self.swept = Some(now);
            self.rows.retain(|_, row| since(row.1.last()).is_some_and(|since| since < AGE));
        }
        self.rows.len() < MOST_ROWS
    }
}

/// The rows of several tables by their keys, and what had no row.
#[derive(Debug)]
pub(crate) struct Rows<K> {
    pub(crate) rows: HashMap<K, Sum>,
    pub(crate) others: Option<Sum>,
}

impl<K> Default for Rows<K> {
    fn default() -> Self {
        Self { rows: HashMap::new(), others: None }
    }
}

impl<K: Clone + Eq + Hash> Rows<K> {
    /// Adds what a table has: rows that had a request within the longest window.
    pub(super) fn add(&mut self, table: &Table<K>, window: Window, now: Instant, age: Duration) {
        let is_fresh = |cell: &Cell| cell.last().is_some_and(|last| now.saturating_duration_since(last) < AGE);
        for row in table.rows.values().filter(|row| is_fresh(&row.1)) {
            row.1.add_to(self.rows.entry(row.0.clone()).or_default(), window, age);
        }
        if let Some(others) = table.others.as_ref().filter(|others| is_fresh(others)) {
            others.add_to(self.others.get_or_insert_default(), window, age);
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_core::ResponseFlags;

    use super::*;

    fn add(table: &mut Table<usize>, key: usize, ended: &Ended) {
        table.add(key as u64, |known| *known == key, || key, ended);
    }

    fn ended(at: Instant) -> Ended {
        let (age, flags) = (Duration::from_secs(1), ResponseFlags::NONE);
        Ended { at, age, milliseconds: 1.0, is_error: false, tries: 1, flags, is_tls: None }
    }

    #[test]
    fn what_has_no_room_counts_for_all_others_until_old_rows_make_some() {
        let (mut table, now) = (Table::default(), crate::clock::now());
        for key in 0..MOST_ROWS + 5 {
            add(&mut table, key, &ended(now));
        }
        let read = |table: &Table<usize>, now| {
            let mut rows = Rows::default();
            rows.add(table, Window::One, now, Duration::from_secs(1));
            (rows.rows.len(), rows.others.map_or(0, |others| others.requests))
        };
        assert_eq!(read(&table, now), (MOST_ROWS, 5));
        let later = now + AGE;
        add(&mut table, MOST_ROWS + 7, &ended(later));
        assert_eq!(read(&table, later), (1, 0));
        assert_eq!(table.rows.len(), 1);
    }

    #[test]
    fn keys_of_one_hash_are_not_taken_for_each_other() {
        let (mut table, now) = (Table::default(), crate::clock::now());
        for key in ["a", "b", "a"] {
            table.add(1, |known| *known == key, || key, &ended(now));
        }
        let mut rows = Rows::default();
        rows.add(&table, Window::One, now, Duration::from_secs(1));
        assert_eq!((rows.rows["a"].requests, rows.others.unwrap().requests), (2, 1));
    }
}
