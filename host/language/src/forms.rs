//! The term of one word, and its other term if it is also written without accents.

use crate::{
    Language,
    fold::{fold, lower},
    stem::{script, stem, without_article, without_long_vowel, without_particle},
};
use icu_properties::props::Script;

/// Characters of a term. A longer word is found by its beginning.
const LONGEST: usize = 128;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forms {
    pub term: String,
    /// The term of the word as somebody writes it whose keyboard has no accents, if that is another one.
    pub bare: Option<String>,
}

/// Of a word of letters and digits.
pub(crate) fn forms(word: &str, language: Language) -> Forms {
    let lower = lower(cut(word), language);
    if lower.is_ascii() {
        return Forms {
            term: stem(&lower, language).map_or_else(|| lower.clone(), |stem| stem.into_owned()),
            bare: None,
        };
    }
    let folded = fold(&lower);
    let bare = stem(&folded, language).map_or_else(|| folded.clone(), |stem| fold(&stem));
    let bare = if script(&lower) == Some(Script::Hebrew) {
        without_article(&bare).to_owned()
    } else {
        bare
    };
    // Stemmers of languages in Latin letters know suffixes by their accents; those of other scripts want words without them.
    if script(&lower) != Some(Script::Latin) {
        return Forms { term: bare, bare: None };
    }
    let term = stem(&lower, language).map_or(folded, |stem| fold(&stem));
    let bare = (bare != term).then_some(bare);
    Forms { term, bare }
}

/// The word itself, the same in every language.
pub(crate) fn plain(word: &str) -> String {
    fold(&lower(cut(word), Language::Undetermined))
}

/// Of a Korean word.
pub(crate) fn hangul_term(word: &str) -> &str {
    cut(without_particle(word))
}

/// Of a word that ICU cut from a run.
pub(crate) fn run_term(word: &str) -> &str {
    cut(without_long_vowel(word))
}

fn cut(word: &str) -> &str {
    match word.char_indices().nth(LONGEST) {
        Some((end, _)) => word.get(..end).unwrap_or(word),
        None => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(word: &str, language: Language) -> (String, Option<String>) {
        let forms = forms(word, language);
        (forms.term, forms.bare)
    }

    #[test]
    fn a_word_is_found_with_and_without_its_accents() {
        for language in Language::all() {
            for word in [
                "Ações",
                "café",
                "Häuser",
                "généralement",
                "książki",
                "könyvek",
                "naïve",
                "çocuklar",
                "bøger",
                "Ação",
            ] {
                let written = forms(word, language);
                let plain = forms(&fold(&lower(word, Language::Undetermined)), language);
                assert_eq!(plain.bare, None);
                assert!(
                    plain.term == written.term || Some(&plain.term) == written.bare.as_ref(),
                    "{language:?} {word}: {written:?} {plain:?}"
                );
            }
        }
    }

    #[test]
    fn terms_are_stems_without_accents() {
        assert_eq!(both("Running", Language::English), ("run".into(), None));
        assert_eq!(both("HÄUSER", Language::German), ("haus".into(), None));
        assert_eq!(both("Книгами", Language::Russian), ("книг".into(), None));
        assert_eq!(both("mp3s", Language::English), ("mp3s".into(), None));
        assert_eq!(forms(&"ab".repeat(500), Language::English).term.len(), LONGEST);
        assert_eq!(forms(&"é".repeat(500), Language::French).term, "e".repeat(LONGEST));
        assert_eq!(run_term(&"字".repeat(500)).chars().count(), LONGEST);
    }
}
