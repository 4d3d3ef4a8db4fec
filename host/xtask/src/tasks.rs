//! The tasks, one file each.

pub mod bench;
pub mod cuda;
pub mod fuzz;
pub mod guests;
pub mod model;
mod python;
pub mod test;
pub mod tidy;
