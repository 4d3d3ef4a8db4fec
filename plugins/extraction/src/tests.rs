//! Whole files through `extract`: sound, broken, hostile, and anything at all.

mod broken;
mod formats;
mod hostile;
mod pdf;
mod properties;

use crate::{extract, output::Result};
use riad_sdk::{Extracted, ExtractionOptions, Upload};

const OPTIONS: ExtractionOptions = ExtractionOptions {
    max_text_bytes: 4 << 20,
    max_sections: 20_000,
};

fn read(bytes: Vec<u8>) -> Result<Extracted> {
    read_named("", bytes)
}

fn read_named(name: &str, bytes: Vec<u8>) -> Result<Extracted> {
    let upload = Upload {
        name: name.to_string(),
        media_type: String::new(),
        bytes,
    };
    extract(upload, OPTIONS)
}

/// Headings and text of each section, `A > B: text`.
fn shown(extracted: &Extracted) -> Vec<String> {
    let shown = extracted
        .sections
        .iter()
        .map(|section| format!("{}: {}", section.heading.join(" > "), section.text));
    shown.collect()
}
