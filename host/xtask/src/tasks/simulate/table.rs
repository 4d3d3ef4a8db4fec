//! Vectors that are indexed by the numbers of the model's workers, requests and tenants.

use std::ops::{Index, IndexMut};

#[derive(Clone)]
pub struct Table<T>(Vec<T>);

impl<T> Table<T> {
    pub fn filled(length: usize, with: impl FnMut() -> T) -> Self {
        let mut rows = Vec::with_capacity(length);
        rows.resize_with(length, with);
        Self(rows)
    }

    pub fn push(&mut self, row: T) -> u32 {
        self.0.push(row);
        (self.0.len() - 1) as u32
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    /// The rows with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.0)
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<T> for Table<T> {
    fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> Self {
        Self(rows.into_iter().collect())
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "the model makes every number itself; a wrong one must stop it, not go into the report"
)]
impl<T> Index<u32> for Table<T> {
    type Output = T;

    fn index(&self, number: u32) -> &T {
        &self.0[number as usize]
    }
}

#[expect(clippy::indexing_slicing, reason = "as above")]
impl<T> IndexMut<u32> for Table<T> {
    fn index_mut(&mut self, number: u32) -> &mut T {
        &mut self.0[number as usize]
    }
}
