//! What the end-to-end tests share: a real server with the shipped models on a free port and in a folder of its own
//! (`TestHost`), callers with keys (`Caller`), streams (`Stream`), and files that requests bring (`files`).
//! Not here: assertions about the product; each file in `tests/` is one suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod answer;
mod caller;
mod chat;
pub mod files;
mod host;
mod stream;

pub use answer::Answer;
pub use caller::Caller;
pub use chat::{Chat, EMBEDDER, MODEL};
pub use host::{Builder, Tenant, TestHost};
pub use stream::Stream;
