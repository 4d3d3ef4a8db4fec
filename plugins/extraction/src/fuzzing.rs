//! What the contract promises of any file: it is read within the caller's options, or refused. For properties and fuzz targets.

use crate::extract;
use riad_sdk::{ExtractionOptions, Section, Upload};

const TEXT_BYTES: u32 = 2_000;
const SECTIONS: u32 = 20;

/// Reads a file and says what of the contract it breaks.
///
/// # Errors
/// The sentence of the contract that does not hold.
pub fn check(name: &str, bytes: Vec<u8>) -> Result<(), &'static str> {
    let upload = Upload {
        name: name.to_string(),
        media_type: String::new(),
        bytes,
    };
    let options = ExtractionOptions {
        max_text_bytes: TEXT_BYTES,
        max_sections: SECTIONS,
    };
    let Ok(extracted) = extract(upload, options) else {
        return Ok(());
    };
    let sections = &extracted.sections;
    let bytes = |section: &Section| section.text.len() + section.heading.iter().map(String::len).sum::<usize>();
    let all = extracted.title.len() + sections.iter().map(bytes).sum::<usize>();
    let is_object = serde_json::from_str::<serde_json::Value>(&extracted.metadata).is_ok_and(|value| value.is_object());
    let heading_fits = |section: &Section| {
        section.heading.len() <= 12 && section.heading.iter().all(|heading| heading.chars().count() <= 300)
    };
    let rules = [
        (
            !sections.is_empty() && sections.len() <= SECTIONS as usize,
            "there is a section, and no more than were asked for",
        ),
        (all <= TEXT_BYTES as usize, "the text is no longer than was asked for"),
        (
            sections.iter().all(|section| !section.text.trim().is_empty()),
            "each section has text",
        ),
        (
            sections.iter().all(|section| !section.text.contains('\r')),
            "lines end in a line feed",
        ),
        (sections.iter().all(heading_fits), "headings are short"),
        (extracted.warnings.len() <= 20, "there are few warnings"),
        (is_object, "the metadata is a JSON object"),
    ];
    match rules.iter().find(|(holds, _)| !holds) {
        Some((_, rule)) => Err(rule),
        None => Ok(()),
    }
}
