//! For the fuzz target `guest_values` (`tests/fuzz`) only: what the host does with values that a guest returned.

use crate::{
    bindings,
    convert::{self, InvalidOutput, OutputReader},
};
use riad_core::{document::Passage, plugin::Ending};

/// As a guest writes it: nothing of it is checked.
pub use crate::bindings::Passage as GuestPassage;

#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    TooLarge,
    Malformed,
}

/// What retrieval returns. The bytes that are left of `limit`, too.
///
/// # Errors
/// As the stage is refused.
pub fn read_passages(limit: u64, passages: Vec<GuestPassage>) -> Result<(Vec<Passage>, u64), Refusal> {
    let mut reader = OutputReader::new(limit);
    let read = reader.passages(passages).map_err(refusal)?;
    Ok((read, reader.bytes_left()))
}

/// What a filter returns at its end: a text and citations of passages.
///
/// # Errors
/// As the stage is refused.
pub fn read_ending(limit: u64, text: String, citations: Vec<u32>, passages: u32) -> Result<Ending, Refusal> {
    let citations = citations
        .into_iter()
        .map(|passage| bindings::pipeline::types::Citation {
            passage,
            grounded: true,
        });
    let ending = bindings::Ending {
        text,
        citations: citations.collect(),
    };
    OutputReader::new(limit).ending(ending, passages).map_err(refusal)
}

/// What the next stage is given.
#[must_use]
pub fn write_passage(passage: &Passage) -> GuestPassage {
    convert::passage(passage)
}

fn refusal(invalid: InvalidOutput) -> Refusal {
    match invalid {
        InvalidOutput::TooLarge => Refusal::TooLarge,
        InvalidOutput::Malformed(_) => Refusal::Malformed,
    }
}
