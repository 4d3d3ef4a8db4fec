//! Postprocessing that lets the first piece of the answer through and traps at the second.

use riad_sdk::{Ending, Filter, FinishReason, Postprocessing, Prompt, Request, StageError};

pub struct TrapInStream;

impl Postprocessing for TrapInStream {
    type Filter = Trap;
}

pub struct Trap {
    pieces: u32,
}

impl Filter for Trap {
    fn open(_request: Request, _prompt: Prompt) -> Self {
        Self { pieces: 0 }
    }

    fn push(&mut self, piece: &str) -> Result<String, StageError> {
        self.pieces += 1;
        assert!(self.pieces < 2, "the second piece");
        Ok(piece.to_string())
    }

    fn finish(&mut self, _reason: FinishReason) -> Result<Ending, StageError> {
        Ok(Ending {
            text: String::new(),
            citations: Vec::new(),
        })
    }
}

riad_sdk::export!(TrapInStream => postprocessing);
