//! The tasks, one file each.

pub mod guests;
pub mod test;
pub mod tidy;
