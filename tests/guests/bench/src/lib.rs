//! What the benchmark of plugins times: retrieval that makes `max_tokens` host calls of the kind that the question names, and prompting
//! that masks the question. Not here: the masking (`masking`).

use riad_sdk::{Message, Passage, Prompt, Prompting, Request, Retrieval, StageError, clock, model, settings};

pub struct Bench;

impl Retrieval for Bench {
    fn retrieve(request: Request) -> Result<Vec<Passage>, StageError> {
        let kind = request.question()?;
        // Used, so that no call is left out as useless.
        let mut sum = 0;
        for _ in 0..request.max_tokens {
            sum += match kind {
                "clock.now" => clock::now().as_millis() as usize,
                "model.count-tokens" => model::count_tokens(kind) as usize,
                "settings.get" => settings::get_json("unset").map_or(0, |value| value.len()),
                other => return Err(StageError::InvalidRequest(format!("there is no call `{other}`"))),
            };
        }
        match sum {
            usize::MAX => Err(StageError::Failed("the sum is full".to_string())),
            _ => Ok(Vec::new()),
        }
    }
}

impl Prompting for Bench {
    fn build_prompt(request: Request, passages: Vec<Passage>) -> Result<Prompt, StageError> {
        Ok(Prompt {
            messages: vec![Message::user(masking::mask(request.question()?))],
            passages,
        })
    }
}

riad_sdk::export!(Bench => retrieval, prompting);
