//! A page in any encoding.

#![no_main]

use libfuzzer_sys::fuzz_target;
use riad_extraction::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::check("a.html", data.to_vec()).unwrap());
