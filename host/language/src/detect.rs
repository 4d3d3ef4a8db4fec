//! Which language a document has, told from samples of bounded size.

use crate::Language;
use std::sync::LazyLock;
use whatlang::Detector;

/// Bytes of each sample: two such are enough to be sure, and detection is the slowest step per byte.
const SAMPLE: usize = 512;
/// Below this, one language is as likely as the next: single words, tables of numbers, code.
const CONFIDENCE_MIN: f64 = 0.05;

/// Knows only the languages that have rules here: the fewer there are, the surer it is of a short text.
static DETECTOR: LazyLock<Detector> = LazyLock::new(|| Detector::with_allowlist(Language::detectable()));

impl Language {
    /// Of a whole document. A text in several languages has that of the greater part of its samples.
    pub fn detect(text: &str) -> Self {
        match DETECTOR.detect(&sample(text)) {
            Some(found) if found.confidence() >= CONFIDENCE_MIN => Self::of_lang(found.lang()),
            _ => Self::Undetermined,
        }
    }
}

/// The beginning, the middle and the end: a beginning alone may be a license or a table of contents.
fn sample(text: &str) -> String {
    let text = text.trim();
    let last = text.len().saturating_sub(SAMPLE);
    let mut sample = String::with_capacity(3 * SAMPLE + 2);
    let mut end = 0;
    for start in [0, last / 2, last] {
        let start = text.ceil_char_boundary(start.max(end));
        end = text.floor_char_boundary(start.saturating_add(SAMPLE)).max(start);
        sample.push_str(text.get(start..end).unwrap_or_default());
        sample.push(' ');
    }
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_enough_for_most_languages() {
        for (code, text) in [
            ("en", "The library is open on Sundays."),
            ("de", "Die Kündigungsfrist beträgt drei Monate."),
            ("fr", "Les chevaux courent dans la prairie."),
            ("es", "El tren sale a las ocho de la mañana."),
            ("pt", "As informações estão na página principal."),
            ("it", "Il treno parte alle otto."),
            ("tr", "Kitaplar kütüphanede bulunmaktadır."),
            ("sv", "Tåget avgår klockan åtta."),
            ("nl", "De boeken staan in de bibliotheek."),
            ("pl", "Książki są w bibliotece."),
            ("hu", "A könyvek a könyvtárban vannak."),
            ("ru", "Книги лежат на столе."),
            ("uk", "Книги лежать на столі."),
            ("el", "Τα βιβλία είναι στη βιβλιοθήκη."),
            ("ar", "الكتب موجودة في المكتبة."),
            ("hi", "किताबें पुस्तकालय में हैं।"),
            ("vi", "Những cuốn sách ở trong thư viện."),
        ] {
            assert_eq!(Language::detect(text).code(), code, "{text}");
        }
    }

    #[test]
    fn what_has_no_rules_or_no_language_is_undetermined() {
        for text in [
            "",
            " ",
            "12 345",
            "🏠",
            "東京都の図書館",
            "ห้องสมุด",
            "도서관은 열려 있습니다",
            "\0",
        ] {
            assert_eq!(Language::detect(text), Language::Undetermined, "{text}");
        }
    }

    #[test]
    fn samples_are_bounded_whole_characters_of_the_whole_text() {
        let long = format!("{}{}{}", "é".repeat(10_000), "ü".repeat(10_000), "я".repeat(10_001));
        let sample = sample(&long);
        assert!(sample.len() <= 3 * SAMPLE + 3);
        for part in ['é', 'ü', 'я'] {
            assert!(sample.contains(part), "{part}");
        }
        // A short text is there once.
        for text in ["a", "ab cd", &"x".repeat(SAMPLE + 1), &"é".repeat(SAMPLE)] {
            assert_eq!(super::sample(text).replace(' ', ""), text.replace(' ', ""));
        }
    }

    #[test]
    fn a_foreign_beginning_does_not_decide() {
        let license = "Permission is hereby granted, free of charge, to any person. ".repeat(8);
        let text = license + &"Die Häuser am Fluss sind alt und werden im Sommer gern besucht. ".repeat(100);
        assert_eq!(Language::detect(&text), Language::German);
    }
}
