//! The tasks, one file each.

pub mod authors;
pub mod bench;
pub mod cells;
pub mod clients;
pub mod console;
pub mod cuda;
pub mod deploy;
pub mod fuzz;
pub mod guests;
pub mod model;
mod node;
pub mod peers;
mod python;
pub mod schemathesis;
mod server;
pub mod simulate;
pub mod test;
pub mod tidy;
pub mod wit;
