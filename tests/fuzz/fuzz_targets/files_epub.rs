//! The chapters of a book.

#![no_main]

use libfuzzer_sys::fuzz_target;
use riad_extraction::{fixtures, fuzzing};

fuzz_target!(|data: &[u8]| {
    let Ok(xml) = std::str::from_utf8(data) else { return };
    let chapters: Vec<&str> = xml.split('\u{c}').collect();
    fuzzing::check("", fixtures::epub(&chapters)).unwrap();
});
