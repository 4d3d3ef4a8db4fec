//! Prompting that runs what the setting `change` changes, then the statement in the setting `statement`, and fails with what the host says
//! to them.

use riad_sdk::{Message, Passage, Prompt, Prompting, Request, StageError, settings, store};

pub struct Statement;

impl Prompting for Statement {
    fn build_prompt(_request: Request, _passages: Vec<Passage>) -> Result<Prompt, StageError> {
        if let Some(change) = settings::get::<String>("change")? {
            store::execute(&change, &[])?;
        }
        let statement: String = settings::get("statement")?.unwrap_or_default();
        let rows = store::query(&statement, &[])?;
        Ok(Prompt {
            messages: vec![Message::user(format!("{} rows", rows.len()))],
            passages: Vec::new(),
        })
    }
}

riad_sdk::export!(Statement => prompting);
