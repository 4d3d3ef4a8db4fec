//! Prompting that runs a statement that never ends, and fails with what the host says to it.

use riad_sdk::{Message, Passage, Prompt, Prompting, Request, StageError, store};

pub struct EndlessSql;

impl Prompting for EndlessSql {
    fn build_prompt(_request: Request, _passages: Vec<Passage>) -> Result<Prompt, StageError> {
        let rows = store::query(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers) SELECT count(*) AS total FROM numbers",
            &[],
        )?;
        Ok(Prompt {
            messages: vec![Message::user(format!("{} rows", rows.len()))],
            passages: Vec::new(),
        })
    }
}

riad_sdk::export!(EndlessSql => prompting);
