//! Prompting that never returns and calls nothing. Not here: loops in host calls (`endless-sql`).

use riad_sdk::{Passage, Prompt, Prompting, Request, StageError};

pub struct Loop;

impl Prompting for Loop {
    fn build_prompt(_request: Request, _passages: Vec<Passage>) -> Result<Prompt, StageError> {
        let mut turns = 0_u64;
        loop {
            turns = std::hint::black_box(turns.wrapping_add(1));
        }
    }
}

riad_sdk::export!(Loop => prompting);
