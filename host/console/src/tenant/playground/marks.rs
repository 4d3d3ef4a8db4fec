//! Which part of a passage an answer quotes. The stage `postprocessing` says whether a citation is grounded; this only finds the words again,
//! to show them. Not here: what is shown (`answer`).

use std::ops::Range;

/// Shorter quotations are found by chance.
const WORDS_MIN: usize = 2;

/// The parts of a passage that the answer's sentences with the marker `[number]` have, in bytes of it, in order and apart.
pub(crate) fn quoted(answer: &str, number: u32, passage: &str) -> Vec<Range<usize>> {
    let words = Words::of(passage);
    let mut found: Vec<Range<usize>> = quotations(answer, number)
        .iter()
        .flat_map(|quotation| sentences(quotation))
        .filter_map(|sentence| words.find(sentence))
        .collect();
    found.sort_by_key(|range| range.start);
    let mut apart: Vec<Range<usize>> = Vec::new();
    for range in found {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            Some(_) | None => apart.push(range),
        }
    }
    apart
}

/// What stands before each marker with this number, up to the marker before. Markers side by side share it.
fn quotations(answer: &str, number: u32) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut shared, mut rest) = ("", answer);
    while let Some((before, numbers, after)) = next_marker(rest) {
        if before.chars().any(char::is_alphanumeric) {
            shared = before;
        }
        if numbers.contains(&number) {
            found.push(shared);
        }
        rest = after;
    }
    found
}

/// The text before the first marker `[1]` or `[1, 2]`, its numbers, and the text behind it.
fn next_marker(text: &str) -> Option<(&str, Vec<u32>, &str)> {
    text.match_indices('[').find_map(|(open, _)| {
        let (before, inside) = text.split_at_checked(open)?;
        let (list, after) = inside.strip_prefix('[')?.split_once(']')?;
        let numbers: Option<Vec<u32>> = list.split(',').map(|number| number.trim().parse().ok()).collect();
        Some((before, numbers?, after))
    })
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['.', '!', '?', '\n'])
        .map(str::trim)
        .filter(|sentence| !sentence.is_empty())
}

/// The words of a text in lower case, with their places in it.
struct Words(Vec<(String, Range<usize>)>);

impl Words {
    fn of(text: &str) -> Self {
        let mut words: Vec<(String, Range<usize>)> = Vec::new();
        let mut is_open = false;
        for (start, character) in text.char_indices() {
            if !character.is_alphanumeric() {
                is_open = false;
                continue;
            }
            let end = start + character.len_utf8();
            match words.last_mut().filter(|_| is_open) {
                Some((word, range)) => {
                    word.extend(character.to_lowercase());
                    range.end = end;
                }
                None => words.push((character.to_lowercase().collect(), start..end)),
            }
            is_open = true;
        }
        Self(words)
    }

    /// Where the sentence stands, whatever its punctuation and spaces; what comes before a colon may be a prefix.
    fn find(&self, sentence: &str) -> Option<Range<usize>> {
        let whole = self.find_exactly(sentence);
        whole.or_else(|| self.find_exactly(sentence.split_once(": ")?.1))
    }

    fn find_exactly(&self, sentence: &str) -> Option<Range<usize>> {
        let Self(wanted) = Self::of(sentence);
        if wanted.len() < WORDS_MIN {
            return None;
        }
        let found = self.0.windows(wanted.len()).find(|window| {
            let pairs = window.iter().zip(&wanted);
            pairs.into_iter().all(|((word, _), (other, _))| word == other)
        })?;
        let (_, first) = found.first()?;
        let (_, last) = found.last()?;
        Some(first.start..last.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSAGE: &str = "The refund window of Alfa Tools\nis 41 days. Refunds are paid to the original card.";

    fn marked(answer: &str, number: u32) -> Vec<&'static str> {
        quoted(answer, number, PASSAGE)
            .into_iter()
            .map(|range| &PASSAGE[range])
            .collect()
    }

    #[test]
    fn a_cited_sentence_is_found_whatever_its_spaces() {
        let answer = "the refund window of Alfa Tools is 41 days. [1]";
        assert_eq!(marked(answer, 1), ["The refund window of Alfa Tools\nis 41 days"]);
        assert_eq!(marked(answer, 2), [""; 0]);
        assert_eq!(
            marked("Acme: Refunds are paid to the original card [1].", 1),
            ["Refunds are paid to the original card"]
        );
        assert_eq!(marked("Refunds are paid in gold. [1]", 1), [""; 0]);
    }

    #[test]
    fn markers_side_by_side_share_their_sentence() {
        assert_eq!(marked("Refunds are paid to the original card. [2][1]", 1).len(), 1);
        assert_eq!(marked("Refunds are paid to the original card. [2, 1]", 1).len(), 1);
    }

    #[test]
    fn parts_that_touch_are_one() {
        let answer = "The refund window of Alfa Tools is 41 days. [1] refund window of Alfa Tools [1]";
        assert_eq!(marked(answer, 1).len(), 1);
    }

    #[test]
    fn letters_of_several_bytes_are_cut_at_their_ends() {
        let passage = "Größe: Übung macht den Meister.";
        let found = quoted("übung macht den meister [1]", 1, passage);
        assert_eq!(
            found.iter().map(|range| &passage[range.clone()]).collect::<Vec<_>>(),
            ["Übung macht den Meister"]
        );
    }
}
