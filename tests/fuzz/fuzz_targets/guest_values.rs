//! Values that a guest returns: lines of tab-separated fields after a line with the limit of bytes and the number of passages in
//! the prompt. They are accepted exactly if they are within the limit and each is what WIT promises; what was accepted is
//! accepted again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use riad_core::DocumentId;
use riad_sandbox::fuzzing::{self, GuestPassage, Refusal};
use serde_json::{Map, Value};

fuzz_target!(|input: &str| {
    let mut lines = input.split('\n');
    let mut head = lines.next().unwrap_or_default().split('\t');
    let mut number = || head.next().and_then(|text| text.parse::<u32>().ok());
    let (Some(limit), Some(in_prompt)) = (number(), number()) else {
        return;
    };
    let limit = u64::from(limit);
    let (mut passages, mut citations) = (Vec::new(), Vec::new());
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            [document, chunk, score, metadata, title, text] => passages.push(GuestPassage {
                document: (*document).to_owned(),
                chunk: chunk.parse().unwrap_or(0),
                title: (*title).to_owned(),
                text: (*text).to_owned(),
                score: score.parse().unwrap_or(f64::NAN),
                metadata: (*metadata).to_owned(),
            }),
            [citation] => citations.extend(citation.parse::<u32>()),
            _ => {}
        }
    }
    check_ending(limit, input, &citations, in_prompt);
    check_passages(limit, passages);
});

fn check_passages(limit: u64, passages: Vec<GuestPassage>) {
    let bytes: usize = passages
        .iter()
        .map(|passage| passage.document.len() + passage.title.len() + passage.text.len() + passage.metadata.len())
        .sum();
    let well_formed = passages.iter().all(|passage| {
        passage.document.parse::<DocumentId>().is_ok()
            && passage.score.is_finite()
            && serde_json::from_str::<Map<String, Value>>(&passage.metadata).is_ok()
    });
    let fits = bytes as u64 <= limit;
    match fuzzing::read_passages(limit, passages.clone()) {
        Ok((read, left)) => {
            assert!(fits && well_formed);
            assert_eq!(left, limit - bytes as u64);
            // Numbers in metadata may get longer when they are written: 1e9 is 1000000000.0.
            let written = read.iter().map(fuzzing::write_passage).collect();
            let (again, _) = fuzzing::read_passages(u64::MAX, written).expect("what was accepted is accepted again");
            assert_eq!(again, read);
        }
        Err(Refusal::TooLarge) => assert!(!fits),
        Err(Refusal::Malformed) => assert!(!well_formed),
    }
}

fn check_ending(limit: u64, text: &str, citations: &[u32], in_prompt: u32) {
    let well_formed = citations.iter().all(|citation| (1..=in_prompt).contains(citation));
    let fits = text.len() as u64 <= limit;
    match fuzzing::read_ending(limit, text.to_owned(), citations.to_vec(), in_prompt) {
        Ok(ending) => {
            assert!(fits && well_formed);
            assert_eq!(ending.text, text);
            let read = ending.citations.iter().map(|citation| citation.passage);
            assert!(read.eq(citations.iter().copied()));
        }
        Err(Refusal::TooLarge) => assert!(!fits),
        Err(Refusal::Malformed) => assert!(!well_formed),
    }
}
