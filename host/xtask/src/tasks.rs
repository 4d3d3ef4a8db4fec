//! The tasks, one file each.

pub mod bench;
pub mod guests;
pub mod test;
pub mod tidy;
