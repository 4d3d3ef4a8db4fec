//! The chunking of every tenant that has chosen nothing else. A component of its own rather than a stage of `extractor`: a text that a client
//! sends as such needs no parsers, and this one is a twentieth of their size.

use riad_sdk::{Chunking, ChunkingError, ChunkingOptions, Piece, Section};

pub struct Chunker;

impl Chunking for Chunker {
    fn chunk(_title: String, sections: Vec<Section>, options: ChunkingOptions) -> Result<Vec<Piece>, ChunkingError> {
        riad_chunking::chunk(&sections, options)
    }
}

riad_sdk::export!(Chunker => chunking);
