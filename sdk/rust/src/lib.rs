//! Write Riad plugins in Rust: the stages are traits, the capabilities are modules, `export!` makes the component.
//!
//! ```ignore
//! use riad_sdk::{Passage, Request, Retrieval, StageError, documents};
//!
//! pub struct MyPlugin;
//!
//! impl Retrieval for MyPlugin {
//!     fn retrieve(request: Request) -> Result<Vec<Passage>, StageError> {
//!         Ok(documents::search(request.question()?, 5)?)
//!     }
//! }
//!
//! riad_sdk::export!(MyPlugin => retrieval);
//! ```
//!
//! Capabilities work inside Riad only. The types are plain data, so that what does not call a capability can be tested
//! with `cargo test`. Not here: how a component is built and deployed (`sdk/README.md`), the contracts (`wit/`).

#[doc(hidden)]
pub mod bindings;
pub mod clock;
pub mod documents;
pub mod embeddings;
mod error;
mod export;
pub mod generation;
pub mod http;
mod ingestion;
pub mod kv;
pub mod log;
pub mod model;
pub mod random;
mod request;
pub mod settings;
mod stages;
pub mod store;
pub mod tools;

pub use bindings::capabilities::riad::{
    model::model::Profile,
    pipeline::types::{Citation, Ending, FinishReason, Message, Prompt, Request, Role, StageError},
    types::types::{Error, Passage},
};
pub use bindings::{
    chunking::exports::riad::ingestion::chunking::{ChunkingError, Options as ChunkingOptions, Piece},
    extraction::exports::riad::ingestion::extraction::{
        Extracted, ExtractionError, Options as ExtractionOptions, Upload,
    },
    ingestion::riad::ingestion::types::{Kind as SectionKind, Section},
    tools::exports::riad::pipeline::tools::Tool,
};
pub use ingestion::{Chunking, Extraction};
#[doc(hidden)]
pub use stages::FilterCell;
pub use stages::{Filter, Postprocessing, Prompting, Retrieval, Tools};
