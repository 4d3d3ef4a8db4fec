//! The sandbox through its port, on the components that are committed and on small ones made here. Each module is one
//! suite; `host` sets a sandbox up, `room` is what guests reach, `guests` loads components.
//! Not here: what one module of the crate promises by itself (tests beside it), the server around it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod attacks;
mod bounds;
mod cache;
mod calls;
mod compiling;
mod ending;
mod guests;
mod host;
mod hostile;
mod ingestion;
mod instances;
mod pipeline;
mod room;
mod shared_compiler;
mod tools;
mod uploads;
mod values;
mod versions;
