//! Prompting that takes memory until it gets no more, and writes to all of it. Not here: large results (`big-output`).

use riad_sdk::{Passage, Prompt, Prompting, Request, StageError};

pub struct MemoryBomb;

impl Prompting for MemoryBomb {
    fn build_prompt(_request: Request, _passages: Vec<Passage>) -> Result<Prompt, StageError> {
        let mut kept: Vec<Vec<u8>> = Vec::new();
        loop {
            kept.push(std::hint::black_box(vec![0xA5; 1 << 20]));
        }
    }
}

riad_sdk::export!(MemoryBomb => prompting);
