//! The routing map: which cell serves which slots. Servers read it to refuse what is another cell's, and proxies are configured from it.
//!
//! Not here: what a slot is (`riad_core::slot`), HTTP, and when the file is read again (`app`).

mod cell_url;
mod file;
mod map;
mod routes;
mod slot_range;

pub use cell_url::CellUrl;
pub use file::{MapFile, create_map, read_map, write_map};
pub use map::{Cell, CellMap};
pub use routes::{Proxy, RouteOptions, routes};
pub use slot_range::SlotRange;
