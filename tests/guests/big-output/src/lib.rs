//! Prompting that returns one message of 1 GB, or as much of it as its memory lets it make.

use riad_sdk::{Message, Passage, Prompt, Prompting, Request, StageError};

pub struct BigOutput;

impl Prompting for BigOutput {
    fn build_prompt(_request: Request, _passages: Vec<Passage>) -> Result<Prompt, StageError> {
        let mut content = String::new();
        let mut size = 1_usize << 30;
        while size > 0 && content.try_reserve_exact(size).is_err() {
            size /= 2;
        }
        let piece = "a".repeat(1024);
        while content.len() + piece.len() <= content.capacity() {
            content.push_str(&piece);
        }
        Ok(Prompt {
            messages: vec![Message::user(content)],
            passages: Vec::new(),
        })
    }
}

riad_sdk::export!(BigOutput => prompting);
