//! The part of each passage that a prompt keeps: a few sentences around the one that best matches the question.
//! Not here: how many passages fit (`prompt`).

use crate::{
    sentences::{Sentence, sentences},
    words::{normalize, stem, topic},
};
use riad_sdk::Passage;
use std::collections::{BTreeMap, BTreeSet};

/// The first `most` windows of the passages, in their order: at most `size` sentences each, none that an earlier window has already. A
/// passage of which nothing is left is gone. The text of each is the window, on one line.
pub(crate) fn windows(question: &str, passages: Vec<Passage>, size: usize, most: usize) -> Vec<Passage> {
    let topic = topic(question);
    let split: Vec<(Passage, Vec<Scored<'_>>)> = passages
        .into_iter()
        .map(|passage| {
            let scored = sentences(&passage.text)
                .into_iter()
                .map(|sentence| Scored::new(sentence, &topic))
                .collect();
            (passage, scored)
        })
        .collect();
    let weights = weights(&topic, split.iter().flat_map(|(_, scored)| scored));
    let mut seen = BTreeSet::new();
    let mut windows = Vec::new();
    for (passage, scored) in &split {
        if windows.len() == most {
            break;
        }
        let kept: Vec<&str> = around_best(scored, &weights, size.max(1))
            .iter()
            .filter(|sentence| seen.insert(normalize(&sentence.text)))
            .map(|sentence| sentence.text.as_str())
            .collect();
        if !kept.is_empty() {
            windows.push(Passage {
                text: kept.join(" "),
                ..passage.clone()
            });
        }
    }
    windows
}

struct Scored<'a> {
    text: String,
    /// The topic's words that the sentence has, and those that only its heading has.
    own: BTreeSet<&'a str>,
    heading: BTreeSet<&'a str>,
}

impl<'a> Scored<'a> {
    fn new(sentence: Sentence, topic: &'a [String]) -> Self {
        let on_topic = |text: &str| -> BTreeSet<&'a str> {
            normalize(text)
                .split(' ')
                .filter_map(|word| {
                    let stem = stem(word);
                    topic.iter().map(String::as_str).find(|known| *known == stem)
                })
                .collect()
        };
        let own = on_topic(&sentence.text);
        let heading = on_topic(&sentence.heading).difference(&own).copied().collect();
        Self {
            own,
            heading,
            text: sentence.text,
        }
    }

    fn score(&self, weights: &BTreeMap<&str, f64>) -> f64 {
        let sum = |words: &BTreeSet<&str>| words.iter().filter_map(|word| weights.get(word)).sum::<f64>();
        sum(&self.own) + 0.5 * sum(&self.heading)
    }
}

/// A word that few sentences have says more than one that all have.
fn weights<'a, 'b>(topic: &'a [String], sentences: impl Iterator<Item = &'b Scored<'a>>) -> BTreeMap<&'a str, f64>
where
    'a: 'b,
{
    let mut counts: BTreeMap<&str, f64> = topic.iter().map(|word| (word.as_str(), 0.0)).collect();
    let mut total = 0.0;
    for sentence in sentences {
        total += 1.0;
        for word in &sentence.own {
            if let Some(count) = counts.get_mut(word) {
                *count += 1.0;
            }
        }
    }
    for count in counts.values_mut() {
        *count = (1.0 + (total + 1.0) / (*count + 1.0)).ln();
    }
    counts
}

/// The best sentence, the first of equals, and its neighbors: the next one first, since an explanation follows what it explains.
fn around_best<'a, 'b>(sentences: &'b [Scored<'a>], weights: &BTreeMap<&str, f64>, size: usize) -> &'b [Scored<'a>] {
    let mut best = 0;
    let mut best_score = f64::MIN;
    for (index, sentence) in sentences.iter().enumerate() {
        let score = sentence.score(weights);
        if score > best_score {
            (best, best_score) = (index, score);
        }
    }
    let (mut start, mut end) = (best, (best + 1).min(sentences.len()));
    let mut forward = true;
    while end - start < size && (start > 0 || end < sentences.len()) {
        if (forward || start == 0) && end < sentences.len() {
            end += 1;
        } else {
            start -= 1;
        }
        forward = !forward;
    }
    sentences.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(document: &str, text: &str) -> Passage {
        Passage {
            document: document.to_string(),
            chunk: 0,
            title: String::new(),
            text: text.to_string(),
            score: 1.0,
            metadata: "{}".to_string(),
        }
    }

    fn texts(question: &str, passages: &[&str], size: usize) -> Vec<String> {
        let passages = passages.iter().map(|text| passage("d", text)).collect();
        windows(question, passages, size, usize::MAX)
            .into_iter()
            .map(|passage| passage.text)
            .collect()
    }

    const LONG: &str =
        "Alfa opened in 1987. It sells drills. The refund window is 41 days. Shipping is not refunded. Boxes matter.";

    #[test]
    fn the_window_is_around_the_best_sentence() {
        assert_eq!(
            texts("What is the refund window?", &[LONG], 1),
            ["The refund window is 41 days."]
        );
        assert_eq!(
            texts("What is the refund window?", &[LONG], 3),
            ["It sells drills. The refund window is 41 days. Shipping is not refunded."]
        );
        assert_eq!(texts("What is the refund window?", &[LONG], 99), [LONG]);
    }

    #[test]
    fn a_window_at_the_edge_is_as_long_as_one_in_the_middle() {
        assert_eq!(
            texts("Do boxes matter?", &[LONG], 3),
            ["The refund window is 41 days. Shipping is not refunded. Boxes matter."]
        );
        assert_eq!(
            texts("When was it opened?", &[LONG], 2),
            ["Alfa opened in 1987. It sells drills."]
        );
    }

    #[test]
    fn the_heading_says_what_a_sentence_is_about() {
        let text = "# Saws\nThe warranty is 12 months.\n# Kestrel drill\nThe warranty is 37 months.";
        assert_eq!(
            texts("How long is the warranty of the Kestrel drill?", &[text], 1),
            ["The warranty is 37 months."]
        );
    }

    #[test]
    fn what_an_earlier_window_has_is_not_repeated() {
        assert_eq!(
            texts(
                "refund window",
                &[
                    "The refund window is 41 days. A.b c.",
                    "the refund  window is 41 days!",
                    "Refund of 5."
                ],
                2
            ),
            ["The refund window is 41 days. A.b c.", "Refund of 5."]
        );
    }

    #[test]
    fn no_text_gives_no_window() {
        assert!(texts("anything", &["", "---"], 3).is_empty());
    }

    #[test]
    fn the_first_windows_are_those_of_all() {
        let passages = [
            "One is here.",
            "One is here.",
            "Two is here.",
            "Three is here.",
            "Four is here.",
        ];
        let all = texts("What is here?", &passages, 1);
        assert_eq!(all.len(), 4);
        for most in 0..6 {
            let passages = passages.map(|text| passage("d", text)).to_vec();
            let first = windows("What is here?", passages, 1, most);
            let first: Vec<_> = first.iter().map(|window| window.text.as_str()).collect();
            assert_eq!(first, all[..most.min(4)]);
        }
    }
}
