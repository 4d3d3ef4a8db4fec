//! Words a client's text as a query, before it is searched: a generation of the base model's, held and billed in the entry of the search. Not
//! here: the search (`file_search`).

use crate::{generations::Generations, guest_generations::GuestGenerations, metering::RequestMeter, shared::Shared};
use riad_core::{
    Result, TenantPass,
    chat::{Message, Role},
    grants::{Access, Scope},
    ports::{Generator, GuestPrompt},
};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Of a query.
const TOKENS: u32 = 64;
/// Letters of a word by which it is known again.
const BEGINNING: usize = 4;
/// From here on are Chinese, Japanese and Korean.
const FIRST_WITHOUT_SPACES: char = '\u{2e80}';
const INSTRUCTION: &str = "Rewrite what the user says as a query for a search engine: the words that a document with the answer would have, \
    without politeness and without an answer. Write the query alone, on one line.";

/// The query; the text itself if the model writes none, or something else.
///
/// # Errors
/// `Forbidden` if the pass may not chat; `ContextTooLong` for a text that the model cannot read; `Busy` and `QuotaExceeded` as for a chat.
pub(crate) async fn rewrite(
    shared: &Arc<Shared>,
    pass: &TenantPass,
    meter: &RequestMeter,
    text: String,
) -> Result<String> {
    pass.require(Scope::Chat, Access::Write)?;
    let deadline = Instant::now() + Duration::from_millis(shared.limits.request_ms);
    let generations = GuestGenerations::new(Generations::of_base(shared, pass, deadline), meter.guest_meter());
    let messages = vec![
        Message {
            role: Role::System,
            content: INSTRUCTION.to_owned(),
        },
        Message::user(text.clone()),
    ];
    let prompt = GuestPrompt {
        messages,
        max_tokens: TOKENS.min(shared.limits.guest_generation_tokens),
        temperature: 0.0,
        stop: Vec::new(),
        schema: None,
    };
    let generated = generations.generate(prompt).await;
    let generated = generated.map_err(|error| match error.param() {
        Some("messages") => error.with_param("query"),
        Some(_) | None => error,
    })?;
    Ok(query_of(&generated.text)
        .filter(|query| is_about(query, &text))
        .unwrap_or(text))
}

/// Whether at least half of the query's longer words are of the text: a model that answers, or says that it cannot, has worded no query.
fn is_about(query: &str, text: &str) -> bool {
    let known: HashSet<String> = longer_words(text).collect();
    let (mut shared, mut all) = (0, 0);
    for word in longer_words(query) {
        all += 1;
        shared += usize::from(known.contains(&word));
    }
    shared * 2 >= all
}

/// The beginnings of words of four letters or more, so that endings do not count; in scripts without spaces, each character.
fn longer_words(text: &str) -> impl Iterator<Item = String> {
    let lower = text.to_lowercase();
    let words: Vec<String> = lower
        .split(|character: char| !character.is_alphanumeric())
        .flat_map(|word| {
            let letters: Vec<char> = word.chars().collect();
            match letters.iter().any(|letter| *letter >= FIRST_WITHOUT_SPACES) {
                true => letters.iter().map(char::to_string).collect(),
                false if letters.len() >= BEGINNING => vec![letters.iter().take(BEGINNING).collect()],
                false => Vec::new(),
            }
        })
        .collect();
    words.into_iter()
}

/// The first line that says something, without the marks that models put around it.
fn query_of(written: &str) -> Option<String> {
    let is_mark = |character: char| character.is_whitespace() || "\"'`*“”„".contains(character);
    let line = written
        .lines()
        .map(|line| line.trim_matches(is_mark))
        .find(|line| line.chars().any(char::is_alphanumeric))?;
    Some(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_something_else_is_no_query() {
        let text = "Do you know how long the warranties of Kestrel drills are?";
        assert!(is_about("warranty Kestrel drill", text));
        assert!(is_about("Kestrel drill duration", text));
        assert!(is_about("PC?", text), "too short to say");
        assert!(!is_about("I don't know based on the documents.", text));
        assert!(!is_about("Acme Support: thirty-seven months.", text));
        assert!(is_about("产品 保修", "请问这个产品的保修多久？"));
        assert!(!is_about("我不知道", "产品的保修多久"));
    }

    #[test]
    fn a_query_is_the_first_line_that_says_something() {
        for (written, query) in [
            ("warranty Kestrel drill", Some("warranty Kestrel drill")),
            ("\n \"warranty of the drill\"\nBecause …", Some("warranty of the drill")),
            ("**保证期**", Some("保证期")),
            ("…\n***\n", None),
            ("", None),
        ] {
            assert_eq!(query_of(written).as_deref(), query, "{written:?}");
        }
    }
}
