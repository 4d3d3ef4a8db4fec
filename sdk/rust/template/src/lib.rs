//! Signs each answer: the text goes out as the model writes it, and a line of the tenant's follows it.

use riad_sdk::{Ending, Filter, FinishReason, Postprocessing, Prompt, Request, StageError, settings};

pub struct Plugin;

impl Postprocessing for Plugin {
    type Filter = Signing;
}

/// One answer.
pub struct Signing;

impl Filter for Signing {
    fn open(_request: Request, _prompt: Prompt) -> Self {
        Self
    }

    fn push(&mut self, piece: &str) -> Result<String, StageError> {
        Ok(piece.to_string())
    }

    fn finish(&mut self, reason: FinishReason) -> Result<Ending, StageError> {
        let line: Option<String> = settings::get("signature")?;
        Ok(Ending {
            text: signature(line.as_deref().unwrap_or("Answered by {{name}}."), reason),
            citations: Vec::new(),
        })
    }
}

/// An answer that was cut off says so.
fn signature(line: &str, reason: FinishReason) -> String {
    match reason {
        FinishReason::Length => format!("…\n\n{line}"),
        FinishReason::Stop | FinishReason::ToolCalls => format!("\n\n{line}"),
    }
}

riad_sdk::export!(Plugin => postprocessing);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_answer_is_signed() {
        assert_eq!(signature("Ada", FinishReason::Stop), "\n\nAda");
    }

    #[test]
    fn an_answer_that_was_cut_off_says_so() {
        assert_eq!(signature("Ada", FinishReason::Length), "…\n\nAda");
    }
}
