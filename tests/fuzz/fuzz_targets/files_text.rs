//! Tables, JSON, Markdown, source code and plain text, in any encoding.

#![no_main]

use libfuzzer_sys::fuzz_target;
use riad_extraction::fuzzing;

const NAMES: [&str; 7] = ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.md", "a.rs", "a.txt"];

fuzz_target!(|data: &[u8]| {
    for name in NAMES {
        fuzzing::check(name, data.to_vec()).unwrap();
    }
});
