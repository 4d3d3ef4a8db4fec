//! The XML of Word, Excel and PowerPoint files.

#![no_main]

use libfuzzer_sys::fuzz_target;
use riad_extraction::{fixtures, fuzzing};

fuzz_target!(|data: &[u8]| {
    let Ok(xml) = std::str::from_utf8(data) else { return };
    let (head, rest) = xml.split_once('\n').unwrap_or((xml, ""));
    for file in [
        fixtures::docx(xml),
        fixtures::pptx(&[head, rest]),
        fixtures::xlsx(head, rest),
    ] {
        fuzzing::check("", file).unwrap();
    }
});
