//! Where a text has what a query looks for, in the text as it was written. Not here: which passages are found by it (`riad-store`).

use crate::{
    Language, Query, characters, compound,
    forms::{forms, hangul_term, plain, run_term},
    normalize::normalize,
    segment::segment,
    split::{Kind, Token, is_mark},
};
use std::{collections::HashSet, ops::Range};

/// The words of the text that the query has, as byte ranges in order that do not touch. `language` is the document's, and among those that
/// the query was made for. Linear in the text for each phrase of [`Query::characters`].
pub fn highlight(text: &str, query: &Query, language: Language) -> Vec<Range<usize>> {
    let spelling = Spelling::new(text);
    let mut finder = Finder {
        words: query.words.iter().map(String::as_str).collect(),
        runs: Vec::new(),
        beginnings: Vec::new(),
        language,
        found: Vec::new(),
    };
    for phrase in &query.characters {
        let phrase = phrase.replace(' ', "");
        match phrase.strip_prefix(characters::BOUNDARY) {
            Some(beginning) => finder.beginnings.push(beginning.to_owned()),
            None => finder.runs.push(phrase),
        }
    }
    let mut at = 0_usize;
    for compound in compound::compounds(&spelling.normal) {
        at = finder.compound(at, &compound);
    }
    let mut merged: Vec<Range<usize>> = Vec::new();
    finder.found.sort_by_key(|range| (range.start, range.end));
    for range in finder.found {
        let range = spelling.written(&range);
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            Some(_) | None => merged.push(range),
        }
    }
    merged
}

/// A text in its normal form, and where each part of that was written.
struct Spelling {
    normal: String,
    /// Bytes of the normal form and of the text at which a character begins, each with the marks that follow; the two ends last.
    starts: Vec<(usize, usize)>,
}

impl Spelling {
    fn new(text: &str) -> Self {
        let mut spelling = Self {
            normal: String::with_capacity(text.len()),
            starts: Vec::with_capacity(text.len() + 1),
        };
        let mut begin = 0;
        for (at, c) in text.char_indices().skip(1) {
            if !is_mark(c) {
                spelling.push(begin, text.get(begin..at).unwrap_or_default());
                begin = at;
            }
        }
        spelling.push(begin, text.get(begin..).unwrap_or_default());
        spelling.starts.push((spelling.normal.len(), text.len()));
        spelling
    }

    fn push(&mut self, at: usize, character: &str) {
        self.starts.push((self.normal.len(), at));
        self.normal.push_str(&normalize(character));
    }

    /// Whole characters.
    fn written(&self, range: &Range<usize>) -> Range<usize> {
        let begins = self.starts.partition_point(|(normal, _)| *normal <= range.start);
        let ends = self.starts.partition_point(|(normal, _)| *normal < range.end);
        let place = |index: usize| self.starts.get(index).or(self.starts.last()).map_or(0, |start| start.1);
        place(begins.saturating_sub(1))..place(ends)
    }
}

struct Finder<'q> {
    words: HashSet<&'q str>,
    /// Characters that may stand within a run.
    runs: Vec<String>,
    /// And those that begin one.
    beginnings: Vec<String>,
    language: Language,
    found: Vec<Range<usize>>,
}

impl Finder<'_> {
    /// `at` is where the gap before it begins; returns where it ends.
    fn compound(&mut self, at: usize, compound: &[Token<'_>]) -> usize {
        let mut end = at;
        let mut begin = None;
        let mut terms = Vec::with_capacity(compound.len());
        for token in compound {
            let start = end + token.gap.len();
            end = start + token.text.len();
            begin.get_or_insert(start);
            match token.kind {
                Kind::Word => {
                    let forms = forms(token.text, self.language);
                    if self.has(&forms.term) || forms.bare.as_ref().is_some_and(|bare| self.has(bare)) {
                        self.found.push(start..end);
                    }
                    if !token.symbols.is_empty() && self.has(&(plain(token.text) + token.symbols)) {
                        self.found.push(start..end + token.symbols.len());
                    }
                    terms.push(forms.term);
                }
                Kind::Hangul => {
                    if self.has(hangul_term(token.text)) {
                        self.found.push(start..end);
                    }
                    self.characters(start, token.text);
                }
                Kind::Run(_) => {
                    let mut word_start = start;
                    segment(token.text, |word| {
                        let word_end = word_start + word.len();
                        if self.has(run_term(word)) {
                            self.found.push(word_start..word_end);
                        }
                        word_start = word_end;
                    });
                    self.characters(start, token.text);
                }
                Kind::Emoji => {
                    if self.has(token.text) {
                        self.found.push(start..end);
                    }
                }
            }
        }
        if compound.len() > 1 && terms.len() == compound.len() {
            let joined = compound::without_hyphens(compound).map(|word| forms(&word, self.language).term);
            let in_one_word = compound::numbers(compound, &terms).into_iter().chain(joined);
            if in_one_word.into_iter().any(|term| self.has(&term)) {
                self.found.push(begin.unwrap_or(end)..end);
            }
        }
        end
    }

    fn characters(&mut self, start: usize, run: &str) {
        for phrase in &self.runs {
            let places = run.match_indices(phrase.as_str());
            self.found
                .extend(places.map(|(at, found)| start + at..start + at + found.len()));
        }
        let begun = self.beginnings.iter().filter(|phrase| run.starts_with(phrase.as_str()));
        self.found.extend(begun.map(|phrase| start..start + phrase.len()));
    }

    fn has(&self, term: &str) -> bool {
        self.words.contains(term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query;

    fn marked(text: &str, searched: &str, language: Language) -> String {
        let query = query(searched, &[language], 64);
        let mut marked = String::new();
        let mut at = 0;
        for range in highlight(text, &query, language) {
            marked += &text[at..range.start];
            marked += &format!("[{}]", &text[range.clone()]);
            at = range.end;
        }
        marked + &text[at..]
    }

    #[test]
    fn words_of_the_query_are_marked_as_they_are_written() {
        use Language::{English, French, German, Undetermined};
        for (language, searched, text, expected) in [
            (
                English,
                "lamps",
                "A lamp, two LAMPS; a clamp.",
                "A [lamp], two [LAMPS]; a clamp.",
            ),
            (French, "ete", "L'été dernier", "L'[été] dernier"),
            (
                German,
                "Straße",
                "Die STRASSE und die Straßen",
                "Die [STRASSE] und die [Straßen]",
            ),
            (English, "c++", "C++ and C, c++.", "[C++] and [C], [c++]."),
            (English, "email", "An e-mail to me", "An [e-mail] to me"),
            (English, "1234", "of 1,234 euros", "of [1,234] euros"),
            (English, "ABC 1", "ＡＢＣ１ and ＡＢＣ １", "ＡＢＣ１ and [ＡＢＣ] [１]"),
            (English, "naive", "nai\u{308}ve and naïve", "[nai\u{308}ve] and [naïve]"),
            (English, "soft", "so\u{ad}ft \u{fb01}ne", "[so\u{ad}ft] \u{fb01}ne"),
            (English, "fine", "so \u{fb01}ne", "so [\u{fb01}ne]"),
            (Undetermined, "東京", "東京都と東京タワー", "[東京]都と[東京]タワー"),
            (Undetermined, "도서관", "도서관에서 책을", "[도서관에서] 책을"),
            (Undetermined, "🏠", "at 🏠!", "at [🏠]!"),
            (English, "nothing", "of the kind", "of the kind"),
            (English, "anything", "", ""),
        ] {
            assert_eq!(marked(text, searched, language), expected, "{searched}");
        }
    }

    proptest::proptest! {
        #[test]
        fn ranges_are_of_characters_in_order_and_apart(text in "\\PC{0,60}", searched in "\\PC{0,12}") {
            let query = query(&(searched + " " + &text), &[Language::English], 64);
            let mut end = None;
            for range in highlight(&text, &query, Language::English) {
                assert!(!text[range.clone()].is_empty());
                assert!(end.is_none_or(|end| end < range.start));
                end = Some(range.end);
            }
        }
    }
}
