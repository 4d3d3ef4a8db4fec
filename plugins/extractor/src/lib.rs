//! The extraction of every tenant that has chosen nothing else. A component of its own, so that chats do not load its parsers.

use riad_sdk::{Extracted, Extraction, ExtractionError, ExtractionOptions, Upload};

pub struct Extractor;

impl Extraction for Extractor {
    fn extract(upload: Upload, options: ExtractionOptions) -> Result<Extracted, ExtractionError> {
        riad_extraction::extract(upload, options)
    }
}

riad_sdk::export!(Extractor => extraction);
