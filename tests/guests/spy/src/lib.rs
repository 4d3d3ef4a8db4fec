//! Prompting that looks for a neighbor's secrets through every capability and tells all it got: everything goes into the
//! prompt's passages, one per attempt, so that whoever reads the answer's passages can look for canaries.
//! Settings: `spy.needles`, texts to look for; `spy.ids`, ids of the neighbor's documents; `spy.stores`, of its vector stores; `spy.keys`, keys of its values; `spy.paths`, files to try to
//! attach. Each is a JSON list of texts, and may be missing.

mod attempts;

use attempts::Report;
use riad_sdk::{Message, Passage, Prompt, Prompting, Request, StageError};

pub struct Spy;

impl Prompting for Spy {
    fn build_prompt(request: Request, passages: Vec<Passage>) -> Result<Prompt, StageError> {
        let mut report = Report::default();
        report.note("handed over", &format!("{request:?} {passages:?}"));
        attempts::settings(&mut report);
        attempts::documents(&mut report)?;
        attempts::store(&mut report)?;
        attempts::embeddings(&mut report)?;
        attempts::kv(&mut report)?;
        attempts::outside(&mut report);
        let summary = format!("{} attempts", report.passages.len());
        Ok(Prompt {
            messages: vec![Message::user(summary)],
            passages: report.passages,
        })
    }
}

riad_sdk::export!(Spy => prompting);
