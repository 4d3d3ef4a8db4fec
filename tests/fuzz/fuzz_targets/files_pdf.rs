//! A PDF file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use riad_extraction::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::check("a.pdf", data.to_vec()).unwrap());
