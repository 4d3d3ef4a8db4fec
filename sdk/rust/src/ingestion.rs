//! The stages that run when a file is added to a room, as traits. Not here: the stages of a chat (`stages`).

use crate::{ChunkingError, ChunkingOptions, Extracted, ExtractionError, ExtractionOptions, Piece, Section, Upload};

/// From an uploaded file to text. The bytes are whatever a client sent; of the capabilities, `settings` and `log` work here.
pub trait Extraction {
    /// Called once per file, in a fresh instance.
    ///
    /// # Errors
    /// Each ends the file alone: `Unsupported` with 415, `TooLarge` with 413, the others with 422. The texts go to the client.
    fn extract(upload: Upload, options: ExtractionOptions) -> Result<Extracted, ExtractionError>;
}

/// From sections to the pieces that are embedded and found. Of the capabilities, `settings` and `log` work here.
pub trait Chunking {
    /// Called once per document, in a fresh instance. The text of each piece must stand in its section as it is; pieces are in the order
    /// of the sections, and of their beginnings within one, no two of which are the same.
    ///
    /// # Errors
    /// `TooLarge` ends the file with 413, `Failed` with 422.
    fn chunk(title: String, sections: Vec<Section>, options: ChunkingOptions) -> Result<Vec<Piece>, ChunkingError>;
}
