//! An archive, or what says that it is one, under any format's detection.

#![no_main]

use libfuzzer_sys::fuzz_target;
use riad_extraction::fuzzing;

fuzz_target!(|data: &[u8]| {
    let bytes = [b"PK\x03\x04", data].concat();
    fuzzing::check("", bytes).unwrap();
});
