//! Does what an answer quotes stand in the passage that it cites? Understands sentences followed by `[n]`, with or without
//! a prefix such as `Acme Support:`, and the JSON form `{"answer": "…", "source": n}`. Not here: repairing an answer.

use crate::{sentences::sentences, words::normalize};
use riad_sdk::{Citation, Passage, Prompt};

/// Collects an answer as it is streamed and checks it at the end.
#[derive(Debug)]
pub struct AnswerCheck {
    passages: Vec<Passage>,
    answer: String,
}

impl AnswerCheck {
    #[must_use]
    pub fn new(prompt: Prompt) -> Self {
        Self {
            passages: prompt.passages,
            answer: String::new(),
        }
    }

    pub fn push(&mut self, piece: &str) {
        self.answer.push_str(piece);
    }

    #[must_use]
    pub fn finish(&self) -> Vec<Citation> {
        citations(&self.answer, &self.passages)
    }
}

/// One entry per citation of the answer, in its order. A number that no passage has is not a citation.
#[must_use]
pub fn citations(answer: &str, passages: &[Passage]) -> Vec<Citation> {
    let quotes = from_json(answer).unwrap_or_else(|| from_text(answer));
    quotes
        .into_iter()
        .filter_map(|quote| {
            let index = usize::try_from(quote.passage.checked_sub(1)?).ok()?;
            let passage = passages.get(index)?;
            Some(Citation {
                passage: quote.passage,
                grounded: stands_in(&quote.text, &passage.text),
            })
        })
        .collect()
}

struct Quote {
    text: String,
    passage: u32,
}

fn from_json(answer: &str) -> Option<Vec<Quote>> {
    let value: serde_json::Value = serde_json::from_str(answer.trim()).ok()?;
    let text = value.get("answer")?.as_str()?;
    let passage = value.get("source")?.as_u64()?;
    let mut quotes = from_text(text);
    quotes.extend(u32::try_from(passage).ok().map(|passage| Quote {
        text: without_markers(text),
        passage,
    }));
    Some(quotes)
}

/// Each marker cites what stands between it and the marker before; markers side by side share it.
fn from_text(answer: &str) -> Vec<Quote> {
    let mut quotes = Vec::new();
    let mut quoted = String::new();
    let mut since = String::new();
    let mut rest = answer;
    while let Some((before, numbers, after)) = next_marker(rest) {
        since.push_str(before);
        // A full stop between two markers is not a text of its own.
        if since.chars().any(char::is_alphanumeric) {
            quoted = std::mem::take(&mut since);
        }
        quotes.extend(numbers.into_iter().map(|passage| Quote {
            text: quoted.clone(),
            passage,
        }));
        since.clear();
        rest = after;
    }
    quotes
}

/// The text before the first marker `[n]` or `[n, m]`, its numbers, and the text after it.
fn next_marker(text: &str) -> Option<(&str, Vec<u32>, &str)> {
    for (open, _) in text.match_indices('[') {
        let (before, inside) = text.split_at(open);
        let Some((list, after)) = inside.get(1..).and_then(|inside| inside.split_once(']')) else {
            continue;
        };
        let numbers: Result<Vec<u32>, _> = list.split(',').map(|number| number.trim().parse()).collect();
        if let Ok(numbers) = numbers {
            return Some((before, numbers, after));
        }
    }
    None
}

fn without_markers(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, _, after)) = next_marker(rest) {
        out.push_str(before);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Each sentence of the quotation stands in the passage, as whole words. Only the first may have a prefix that ends in `:`.
fn stands_in(quotation: &str, passage: &str) -> bool {
    let passage = format!(" {} ", normalize(passage));
    let quotation: Vec<String> = sentences(quotation).into_iter().map(|sentence| sentence.text).collect();
    let found = |text: &str| {
        let text = normalize(text);
        !text.is_empty() && passage.contains(&format!(" {text} "))
    };
    !quotation.is_empty()
        && quotation.iter().enumerate().all(|(index, sentence)| {
            found(sentence) || (index == 0 && sentence.split_once(": ").is_some_and(|(_, quoted)| found(quoted)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passages() -> Vec<Passage> {
        [
            "The refund window of Alfa Tools is 41 days. Refunds are paid to the original card.",
            "The Kestrel drill has a warranty of 37 months. Note: the battery is excluded.",
        ]
        .map(|text| Passage {
            document: "doc".to_string(),
            chunk: 0,
            title: String::new(),
            text: text.to_string(),
            score: 0.0,
            metadata: "{}".to_string(),
        })
        .to_vec()
    }

    fn check(answer: &str) -> Vec<(u32, bool)> {
        citations(answer, &passages())
            .into_iter()
            .map(|citation| (citation.passage, citation.grounded))
            .collect()
    }

    #[test]
    fn a_sentence_is_looked_for_in_the_passage_it_cites() {
        assert_eq!(check("The refund window of Alfa Tools is 41 days. [1]"), [(1, true)]);
        assert_eq!(check("the refund window of alfa tools is 41 days [1]."), [(1, true)]);
        assert_eq!(check("The refund window of Alfa Tools is 41 days. [2]"), [(2, false)]);
        assert_eq!(check("The refund window of Alfa Tools is 14 days. [1]"), [(1, false)]);
        assert_eq!(check("The refund window of Alfa Tools is 4. [1]"), [(1, false)]);
    }

    #[test]
    fn a_prefix_is_not_part_of_the_quotation() {
        assert_eq!(
            check("Acme Support: The Kestrel drill has a warranty of 37 months. [2]"),
            [(2, true)]
        );
        assert_eq!(
            check("Acme Support: The Kestrel saw has a warranty of 37 months. [2]"),
            [(2, false)]
        );
        assert_eq!(check("Note: the battery is excluded. [2]"), [(2, true)]);
    }

    #[test]
    fn the_json_form_is_understood() {
        assert_eq!(
            check(r#"{"answer": "Refunds are paid to the original card.", "source": 1}"#),
            [(1, true)]
        );
        assert_eq!(
            check(r#" {"answer": "Refunds are paid in gold.", "source": 1}"#),
            [(1, false)]
        );
        assert_eq!(
            check(r#"{"answer": "I don't know based on the documents.", "source": 0}"#),
            []
        );
        assert_eq!(
            check(r#"{"answer": "Refunds are paid to the original card.", "sourceource"#),
            []
        );
    }

    #[test]
    fn each_marker_cites_what_stands_before_it() {
        assert_eq!(
            check("The refund window of Alfa Tools is 41 days. [1] The Kestrel drill has a warranty of 37 months. [2]"),
            [(1, true), (2, true)]
        );
        assert_eq!(
            check("Refunds are paid to the original card. [1][2]"),
            [(1, true), (2, false)]
        );
        assert_eq!(
            check("Refunds are paid to the original card. [1, 2]"),
            [(1, true), (2, false)]
        );
        assert_eq!(
            check("Refunds are paid to the original card. The refund window of Alfa Tools is 41 days. [1]"),
            [(1, true)]
        );
        assert_eq!(
            check("Refunds are paid to the original card. And to you. [1]"),
            [(1, false)]
        );
    }

    #[test]
    fn what_is_not_a_citation_is_not_reported() {
        assert_eq!(check("I don't know based on the documents."), []);
        assert_eq!(check("Refunds are paid. [3] [0] [99999999999] [x] [1"), []);
    }

    #[test]
    fn a_marker_without_a_text_is_not_grounded() {
        assert_eq!(check("[1]"), [(1, false)]);
    }

    #[test]
    fn a_streamed_answer_is_checked_as_a_whole() {
        let mut check = AnswerCheck::new(Prompt {
            messages: Vec::new(),
            passages: passages(),
        });
        for piece in ["Refunds are pa", "id to the original card. [", "1]"] {
            check.push(piece);
        }
        assert_eq!(
            check.finish(),
            [Citation {
                passage: 1,
                grounded: true
            }]
        );
    }
}
