//! The tasks, one file each.

pub mod bench;
pub mod fuzz;
pub mod guests;
pub mod test;
pub mod tidy;
