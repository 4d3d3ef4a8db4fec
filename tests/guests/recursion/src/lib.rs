//! Prompting that calls itself until the stack ends. The numbers live in registers, so that it is WebAssembly's stack that
//! ends, not the one in the guest's memory.

use riad_sdk::{Message, Passage, Prompt, Prompting, Request, StageError};

pub struct Recursion;

/// Ackermann's function: too deep for any stack, and nothing that a compiler turns into a loop.
fn ackermann(m: u64, n: u64) -> u64 {
    match (m, n) {
        (0, n) => n.wrapping_add(1),
        (m, 0) => ackermann(m - 1, 1),
        (m, n) => ackermann(m - 1, ackermann(m, n - 1)),
    }
}

impl Prompting for Recursion {
    fn build_prompt(_request: Request, _passages: Vec<Passage>) -> Result<Prompt, StageError> {
        let depth = ackermann(std::hint::black_box(4), std::hint::black_box(3));
        Ok(Prompt {
            messages: vec![Message::user(depth.to_string())],
            passages: Vec::new(),
        })
    }
}

riad_sdk::export!(Recursion => prompting);
