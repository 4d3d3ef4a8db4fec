//! The part of a passage that shows best why it was found.

use std::{collections::HashMap, ops::Range};

/// Bytes of a snippet.
const LENGTH: usize = 240;
/// Bytes before its first highlight.
const LEAD: usize = 60;

/// The part with most of the highlights, whole words; each counts the less the more often its word is highlighted.
pub(super) fn snippet(text: &str, highlights: &[Range<usize>]) -> Range<usize> {
    if text.len() <= LENGTH {
        return 0..text.len();
    }
    let words: Vec<String> = highlights
        .iter()
        .map(|range| text.get(range.clone()).unwrap_or_default().to_lowercase())
        .collect();
    let mut counts: HashMap<&str, u32> = HashMap::new();
    for word in &words {
        *counts.entry(word).or_default() += 1;
    }
    let weights: Vec<f64> = words
        .iter()
        .map(|word| 1.0 / f64::from(counts.get(word.as_str()).copied().unwrap_or(1)))
        .collect();
    let (mut best, mut most, mut sum, mut end) = (0, 0.0, 0.0, 0);
    for (first, (range, weight)) in highlights.iter().zip(&weights).enumerate() {
        let reach = range.start + LENGTH - LEAD;
        while let Some((last, weight)) = highlights.get(end).zip(weights.get(end))
            && last.end <= reach
        {
            sum += weight;
            end += 1;
        }
        // The word that it begins with counts twice, so that it does not end with the best one. Equal sums are made of the same numbers in another order.
        if sum + weight > most + 1e-9 {
            (best, most) = (range.start, sum + weight);
        }
        // One that is longer than a snippet was not added.
        match end > first {
            true => sum -= weight,
            false => end = first + 1,
        }
    }
    let begin = word_start(text, best.saturating_sub(LEAD).min(text.len() - LENGTH), best);
    let end = match begin + LENGTH {
        end if end >= text.len() => text.len(),
        end => word_end(text, begin, text.floor_char_boundary(end)),
    };
    begin..end
}

/// Where the first sentence, or else the first word, begins between the two.
fn word_start(text: &str, from: usize, to: usize) -> usize {
    if from == 0 {
        return 0;
    }
    let from = text.ceil_char_boundary(from);
    let lead = text.get(from..to).unwrap_or_default();
    let sentence = lead
        .char_indices()
        .find(|(_, c)| matches!(c, '\n' | '。' | '！' | '？'))
        .map(|(at, c)| at + c.len_utf8())
        .or_else(|| lead.find(". ").map(|at| at + 2));
    let word = || lead.find(char::is_whitespace).map(|at| at + 1);
    let start = from + sentence.or_else(word).unwrap_or(0);
    let blank = text
        .get(start..to)
        .map_or(0, |rest| rest.len() - rest.trim_start().len());
    text.ceil_char_boundary(start + blank)
}

/// Where the last word ends that is whole; there may be no spaces.
fn word_end(text: &str, begin: usize, end: usize) -> usize {
    let part = text.get(begin..end).unwrap_or_default();
    match part.rfind(char::is_whitespace) {
        Some(at) if at > part.len() / 2 => begin + part.get(..at).map_or(at, |part| part.trim_end().len()),
        Some(_) | None => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice;

    fn highlights(text: &str, words: &[&str]) -> Vec<Range<usize>> {
        let mut found: Vec<_> = words
            .iter()
            .flat_map(|word| text.match_indices(word).map(|(at, word)| at..at + word.len()))
            .collect();
        found.sort_by_key(|range| range.start);
        found
    }

    #[test]
    fn the_part_with_the_rarest_words_is_shown_from_its_sentence_on() {
        let filler = "The lamp is on the table and so is the other one. ".repeat(10);
        let text = format!("{filler}Here the warranty of the lamp begins. {filler}");
        let shown = snippet(&text, &highlights(&text, &["the", "lamp", "warranty"]));
        let shown = &text[shown];
        assert!(
            shown.starts_with("Here the warranty of the lamp begins. The lamp"),
            "{shown}"
        );
        assert!(
            shown.len() <= LENGTH && shown.len() > LENGTH / 2 && !shown.ends_with(' '),
            "{shown}"
        );
    }

    #[test]
    fn any_text_has_a_snippet_of_whole_characters() {
        let short = "ein Wort";
        assert_eq!(snippet(short, &[]), 0..short.len());
        for unit in ["長い文です。", "長", "wort ", "x"] {
            let text = unit.repeat(200);
            let step = unit.chars().next().unwrap().len_utf8();
            for at in [0, unit.len() * 77, unit.len() * 199] {
                let shown = snippet(&text, slice::from_ref(&(at..at + step)));
                assert!(
                    shown.start <= at && at < shown.end && shown.len() <= LENGTH + 3,
                    "{unit} {at} {shown:?}"
                );
                assert!(text.get(shown).is_some());
            }
            // One highlight that is longer than all.
            assert!(text.get(snippet(&text, slice::from_ref(&(0..text.len())))).is_some());
            assert!(text.get(snippet(&text, &[])).is_some());
        }
        for blank in [" \n".repeat(300), "\u{3000}".repeat(300)] {
            assert!(blank.get(snippet(&blank, &[])).is_some());
        }
    }
}
