//! All stages, each doing nothing: no passage, the messages as they are, the answer as it is.

use riad_sdk::{
    Ending, Filter, FinishReason, Passage, Postprocessing, Prompt, Prompting, Request, Retrieval, StageError,
};

pub struct Echo;

impl Retrieval for Echo {
    fn retrieve(_request: Request) -> Result<Vec<Passage>, StageError> {
        Ok(Vec::new())
    }
}

impl Prompting for Echo {
    fn build_prompt(request: Request, passages: Vec<Passage>) -> Result<Prompt, StageError> {
        Ok(Prompt {
            messages: request.messages,
            passages,
        })
    }
}

impl Postprocessing for Echo {
    type Filter = Identity;
}

pub struct Identity;

impl Filter for Identity {
    fn open(_request: Request, _prompt: Prompt) -> Self {
        Self
    }

    fn push(&mut self, piece: &str) -> Result<String, StageError> {
        Ok(piece.to_string())
    }

    fn finish(&mut self, _reason: FinishReason) -> Result<Ending, StageError> {
        Ok(Ending {
            text: String::new(),
            citations: Vec::new(),
        })
    }
}

riad_sdk::export!(Echo => retrieval, prompting, postprocessing);
