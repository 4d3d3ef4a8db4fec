//! The XML of OpenDocument texts, sheets and slides.

#![no_main]

use libfuzzer_sys::fuzz_target;
use riad_extraction::{fixtures, fuzzing};

fuzz_target!(|data: &[u8]| {
    let Ok(xml) = std::str::from_utf8(data) else { return };
    for file in [fixtures::odt(xml), fixtures::ods(xml), fixtures::odp(xml)] {
        fuzzing::check("", file).unwrap();
    }
});
