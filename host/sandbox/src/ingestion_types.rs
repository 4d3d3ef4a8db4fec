//! The values of `riad:ingestion` as WIT has them. Not here: their conversions and checks (`ingestion.rs`).

use wasmtime::component::{ComponentType, Lift, Lower};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Kind {
    #[component(name = "prose")]
    Prose,
    #[component(name = "markdown")]
    Markdown,
    #[component(name = "rows")]
    Rows,
    #[component(name = "code")]
    Code,
}

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Section {
    pub(crate) heading: Vec<String>,
    pub(crate) page: Option<u32>,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

#[derive(Debug, ComponentType, Lower)]
#[component(record)]
pub(crate) struct Upload {
    pub(crate) name: String,
    #[component(name = "media-type")]
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct ExtractionOptions {
    #[component(name = "max-text-bytes")]
    pub(crate) max_text_bytes: u32,
    #[component(name = "max-sections")]
    pub(crate) max_sections: u32,
}

#[derive(Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Extracted {
    #[component(name = "media-type")]
    pub(crate) media_type: String,
    pub(crate) title: String,
    pub(crate) metadata: String,
    pub(crate) sections: Vec<Section>,
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum ExtractionError {
    #[component(name = "unsupported")]
    Unsupported(String),
    #[component(name = "malformed")]
    Malformed(String),
    #[component(name = "encrypted")]
    Encrypted,
    #[component(name = "no-text")]
    NoText(String),
    #[component(name = "too-large")]
    TooLarge(String),
    #[component(name = "failed")]
    Failed(String),
}

#[derive(Debug, Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct ChunkingOptions {
    #[component(name = "max-characters")]
    pub(crate) max_characters: u32,
    #[component(name = "overlap-characters")]
    pub(crate) overlap_characters: u32,
    #[component(name = "max-pieces")]
    pub(crate) max_pieces: u32,
}

#[derive(Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Piece {
    pub(crate) section: u32,
    pub(crate) text: String,
}

#[derive(Debug, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum ChunkingError {
    #[component(name = "too-large")]
    TooLarge(String),
    #[component(name = "failed")]
    Failed(String),
}
