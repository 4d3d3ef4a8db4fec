//! The standard pipeline: hybrid search for the last message, a prompt that fits the model, quotations checked against the
//! passages they cite. Reads one setting, `retrieval.filter`: a JSON object that documents' metadata must match.
//! Not here: the logic of prompts and quotations (`riad-pipeline`).

use riad_pipeline::AnswerCheck;
use riad_sdk::{
    Ending, Filter, FinishReason, Passage, Postprocessing, Prompt, Prompting, Request, Retrieval, StageError,
    documents, model, settings,
};

/// Characters of a message that are searched for. A longer one is a text to work on rather than a question.
const QUERY_CHARACTERS: usize = 2000;

pub struct Standard;

impl Retrieval for Standard {
    fn retrieve(request: Request) -> Result<Vec<Passage>, StageError> {
        let query: String = request.question()?.chars().take(QUERY_CHARACTERS).collect();
        if query.trim().is_empty() {
            return Ok(Vec::new());
        }
        let filter = settings::get_json("retrieval.filter").unwrap_or_else(|| "{}".to_string());
        Ok(documents::search_filtered(
            &query,
            riad_pipeline::search_limit(&request.profile),
            &filter,
        )?)
    }
}

impl Prompting for Standard {
    fn build_prompt(request: Request, passages: Vec<Passage>) -> Result<Prompt, StageError> {
        riad_pipeline::build(&request, passages, model::count_tokens)
    }
}

impl Postprocessing for Standard {
    type Filter = CheckedAnswer;
}

/// Lets the answer through as it is and reports on its quotations.
pub struct CheckedAnswer(AnswerCheck);

impl Filter for CheckedAnswer {
    fn open(_request: Request, prompt: Prompt) -> Self {
        Self(AnswerCheck::new(prompt))
    }

    fn push(&mut self, piece: &str) -> Result<String, StageError> {
        self.0.push(piece);
        Ok(piece.to_string())
    }

    fn finish(&mut self, _reason: FinishReason) -> Result<Ending, StageError> {
        Ok(Ending {
            text: String::new(),
            citations: self.0.finish(),
        })
    }
}

riad_sdk::export!(Standard => retrieval, prompting, postprocessing);
