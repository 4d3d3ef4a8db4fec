//! A tenant's plugin: prices from the tenant's own SQL store go into the prompt as a passage, e-mail addresses never leave
//! in an answer. Everything else is as in the standard pipeline. Exports `prompting` and `postprocessing`.
//! Not here: the logic of prompts and quotations (`riad-pipeline`), the table (`table`), addresses (`redact`).

mod prices;
mod redact;
mod table;

use redact::Redactor;
use riad_pipeline::AnswerCheck;
use riad_sdk::{
    Ending, Filter, FinishReason, Passage, Postprocessing, Prompt, Prompting, Request, StageError, log, model,
};

pub struct PriceDesk;

impl Prompting for PriceDesk {
    fn build_prompt(request: Request, mut passages: Vec<Passage>) -> Result<Prompt, StageError> {
        table::refresh()?;
        let question = request.question()?;
        let found = prices::asked_for(question, table::read()?);
        if let Some(passage) = prices::passage(&found, request.profile.sentences as usize) {
            log::info(&format!("{} prices for this question", found.len()));
            if prices::is_about_a_price(question) {
                // The table decides: documents may tell an older price. The best one stays, for what else was asked.
                passages.truncate(1);
                passages.insert(0, passage);
            } else {
                // After the best passage, so that it does not take the first place.
                passages.insert(passages.len().min(1), passage);
            }
        }
        riad_pipeline::build(&request, passages, model::count_tokens)
    }
}

impl Postprocessing for PriceDesk {
    type Filter = Redacted;
}

/// The answer without addresses. Quotations are checked as the model wrote them.
pub struct Redacted {
    check: AnswerCheck,
    redactor: Redactor,
}

impl Filter for Redacted {
    fn open(_request: Request, prompt: Prompt) -> Self {
        Self {
            check: AnswerCheck::new(prompt),
            redactor: Redactor::default(),
        }
    }

    fn push(&mut self, piece: &str) -> Result<String, StageError> {
        self.check.push(piece);
        Ok(self.redactor.push(piece))
    }

    fn finish(&mut self, _reason: FinishReason) -> Result<Ending, StageError> {
        Ok(Ending {
            text: self.redactor.finish(),
            citations: self.check.finish(),
        })
    }
}

riad_sdk::export!(PriceDesk => prompting, postprocessing);
