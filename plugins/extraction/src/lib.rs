//! Text, headings and pages of uploaded files, for a component that has no capability. Pure and native: what goes wrong in a parser of
//! untrusted bytes ends as an error, and every loop is bounded by the input and by `limits`. Not here: the stage's export (`extractor`),
//! cutting sections into pieces (`riad-chunking`).

mod detect;
mod encoding;
mod epub;
mod grid;
mod html;
mod json;
mod limits;
mod mail;
mod markdown;
mod metadata;
mod office;
mod opendocument;
mod output;
mod pdf;
mod table;
mod text;
mod xml;
mod zip;

use detect::{Format, TextFormat};
use output::Result;
use riad_sdk::{Extracted, ExtractionOptions, Upload};

/// Reads one file.
///
/// # Errors
/// As the contract of `riad:ingestion/extraction` says; texts are for people.
pub fn extract(upload: Upload, options: ExtractionOptions) -> Result<Extracted> {
    match detect::detect(&upload)? {
        Format::Pdf => pdf::extract(upload.bytes, options),
        Format::Docx => office::docx(&upload.bytes, options),
        Format::Pptx => office::pptx(&upload.bytes, options),
        Format::Xlsx => office::xlsx(&upload.bytes, options),
        Format::Odt => opendocument::text(&upload.bytes, options),
        Format::Odp => opendocument::presentation(&upload.bytes, options),
        Format::Ods => opendocument::spreadsheet(&upload.bytes, options),
        Format::Epub => epub::extract(&upload.bytes, options),
        Format::Text(TextFormat::Mail) => mail::extract(&upload.bytes, options),
        Format::Text(format) => extract_text(&upload, format, options),
    }
}

fn extract_text(upload: &Upload, format: TextFormat, options: ExtractionOptions) -> Result<Extracted> {
    let declared = match format {
        TextFormat::Html | TextFormat::Code("application/xml") => html::declared_encoding(&upload.bytes),
        _ => upload
            .media_type
            .to_ascii_lowercase()
            .split_once("charset=")
            .map(|(_, label)| label.trim_matches('"').to_string()),
    };
    let decoded = encoding::decode(&upload.bytes, declared.as_deref())?;
    let warning = text::warning(&decoded);
    let text = text::normalize(decoded.text);
    let extracted = match format {
        TextFormat::Html => html::extract(&text, options),
        TextFormat::Csv => table::extract(&text, false, options),
        TextFormat::Tsv => table::extract(&text, true, options),
        TextFormat::Json => json::extract(&text, options),
        TextFormat::Markdown => markdown::extract(&text, options),
        TextFormat::Code(media_type) => text::code(&text, media_type, options),
        TextFormat::Plain | TextFormat::Mail => text::plain(&text, options),
    };
    extracted.map(|mut extracted| {
        extracted.warnings.extend(warning);
        extracted
    })
}

#[cfg(any(test, feature = "fuzzing"))]
pub mod fixtures;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
#[cfg(test)]
mod tests;
