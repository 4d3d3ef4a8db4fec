//! Terms of single characters, for scripts in which a word of the text may hold the word that is searched: 東京都 has 東京. They are
//! searched as phrases, so that what ICU cuts in another way in another sentence is found all the same.

use crate::split::{Family, Kind, Token, is_mark};

/// Stands before every run of characters, so that no phrase goes from one to the next. No term of a text.
pub(crate) const BOUNDARY: &str = "|";
/// Characters of one phrase.
const PHRASE: usize = 16;

/// Whether a token has such terms.
pub(crate) fn has_characters(kind: Kind) -> bool {
    match kind {
        Kind::Hangul | Kind::Run(_) => true,
        Kind::Word | Kind::Emoji => false,
    }
}

/// Appends a token's characters, each with its marks.
pub(crate) fn push(terms: &mut String, text: &str) {
    terms.push_str(BOUNDARY);
    for character in characters(text) {
        terms.push(' ');
        terms.push_str(character);
    }
    terms.push(' ');
}

/// The phrase that finds a word of a query. `None` if the word is too short to mean anything as a part of another, or too long.
pub(crate) fn phrase(word: &str, kind: Kind) -> Option<String> {
    let found: Vec<&str> = characters(word).take(PHRASE + 1).collect();
    let least = match kind {
        // A single character of Han is a word; of Kana it is a particle.
        Kind::Run(Family::EastAsian) if word.chars().all(is_kana) => 2,
        Kind::Run(Family::EastAsian) => 1,
        Kind::Run(Family::SoutheastAsian) => 2,
        // A noun of one syllable is looked for at the beginning of words.
        Kind::Hangul if found.len() == 1 => return Some(format!("{BOUNDARY} {word}")),
        Kind::Hangul => 2,
        Kind::Word | Kind::Emoji => return None,
    };
    (least..=PHRASE).contains(&found.len()).then(|| found.join(" "))
}

/// The phrase of a whole run that has several words.
pub(crate) fn run_phrase(token: &Token<'_>) -> Option<String> {
    match token.kind {
        Kind::Run(_) => phrase(token.text, token.kind),
        Kind::Hangul | Kind::Word | Kind::Emoji => None,
    }
}

fn characters(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest
            .char_indices()
            .skip(1)
            .find(|(_, c)| !is_mark(*c))
            .map_or(rest.len(), |(at, _)| at);
        let (character, after) = rest
            .split_at_checked(end)
            .filter(|(character, _)| !character.is_empty())?;
        rest = after;
        Some(character)
    })
}

fn is_kana(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_have_their_marks() {
        for (text, expected) in [("東京", "東 京"), ("ที่นี่", "ที่ นี่"), ("ភ្នំ", "ភ្ នំ"), ("", "")]
        {
            assert_eq!(characters(text).collect::<Vec<_>>().join(" "), expected);
        }
    }

    #[test]
    fn phrases_are_of_words_that_mean_something() {
        let east = Kind::Run(Family::EastAsian);
        let southeast = Kind::Run(Family::SoutheastAsian);
        for (kind, word, expected) in [
            (east, "図書館", Some("図 書 館")),
            (east, "猫", Some("猫")),
            (east, "は", None),
            (east, "パン", Some("パ ン")),
            (southeast, "ตา", Some("ต า")),
            (southeast, "มี", None),
            (Kind::Hangul, "학교", Some("학 교")),
            (Kind::Hangul, "집", Some("| 집")),
            (Kind::Word, "word", None),
        ] {
            assert_eq!(phrase(word, kind).as_deref(), expected, "{word}");
        }
        assert_eq!(phrase(&"字".repeat(PHRASE + 1), east), None);
    }
}
