//! Letters that readers take for the same: case, accents, ligatures, digits of other scripts. Not here: width (`normalize`).

use crate::Language;
use icu_normalizer::properties::{CanonicalDecomposition, CanonicalDecompositionBorrowed, Decomposed};
use icu_properties::{
    CodePointMapData, CodePointMapDataBorrowed,
    props::{GeneralCategory, Script},
};

const DECOMPOSITION: CanonicalDecompositionBorrowed<'static> = CanonicalDecomposition::new();
pub(crate) const CATEGORY: CodePointMapDataBorrowed<'static, GeneralCategory> = CodePointMapData::new();
pub(crate) const SCRIPT: CodePointMapDataBorrowed<'static, Script> = CodePointMapData::new();

/// The zeros of scripts in which numbers are written with digits of their own.
const ZEROS: [char; 13] = [
    '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{be6}', '\u{ce6}', '\u{e50}',
    '\u{ed0}', '\u{1040}', '\u{17e0}',
];

/// In lower case, with ASCII digits. Turkish has an i of its own.
pub(crate) fn lower(word: &str, language: Language) -> String {
    let turkish = language == Language::Turkish;
    if word.is_ascii() && !turkish {
        return word.to_ascii_lowercase();
    }
    let mut lower = String::with_capacity(word.len());
    for c in word.chars() {
        match c {
            'I' if turkish => lower.push('ı'),
            'İ' => lower.push('i'),
            // Only at the end of a word: the same letter.
            'ς' => lower.push('σ'),
            c if c.is_ascii() => lower.push(c.to_ascii_lowercase()),
            c => match ascii_digit(c) {
                Some(digit) => lower.push(digit),
                None => lower.extend(c.to_lowercase()),
            },
        }
    }
    lower
}

/// A word in lower case without accents, so that `uber` finds `über`. Marks that make another letter or vowel stay: those of Kana,
/// of Thai and of Indic scripts, and those of й, ў and ї.
pub(crate) fn fold(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    // Of the letter before.
    let mut script = Script::Common;
    for c in word.chars() {
        if c.is_ascii() {
            script = Script::Latin;
            folded.push(c);
        } else if CATEGORY.get(c) == GeneralCategory::NonspacingMark {
            if !is_dropped(c, script) {
                folded.push(c);
            }
        } else {
            script = SCRIPT.get(c);
            push_letter(&mut folded, c, script);
        }
    }
    folded
}

fn push_letter(folded: &mut String, c: char, script: Script) {
    match c {
        'ß' => return folded.push_str("ss"),
        'æ' => return folded.push_str("ae"),
        'œ' => return folded.push_str("oe"),
        'þ' => return folded.push_str("th"),
        // Arabic's stroke that only stretches a word.
        '\u{640}' => return,
        'й' | 'ў' | 'ї' => return folded.push(c),
        _ => {}
    }
    let mut base = c;
    if has_accents(script) {
        // A letter with two accents decomposes twice.
        while let Decomposed::Expansion(first, _) = DECOMPOSITION.decompose(base) {
            base = first;
        }
    }
    folded.push(match base {
        'ø' => 'o',
        'ł' => 'l',
        'đ' | 'ð' => 'd',
        'ħ' => 'h',
        'ı' => 'i',
        // Persian and Urdu keyboards have other letters for the same.
        '\u{649}' | '\u{6cc}' => '\u{64a}',
        '\u{6a9}' => '\u{643}',
        '\u{6c1}' => '\u{647}',
        '\u{671}' => '\u{627}',
        base => base,
    });
}

fn is_dropped(mark: char, script: Script) -> bool {
    has_accents(script) || (script == Script::Devanagari && mark == '\u{93c}')
}

fn has_accents(script: Script) -> bool {
    [
        Script::Latin,
        Script::Greek,
        Script::Cyrillic,
        Script::Arabic,
        Script::Hebrew,
    ]
    .contains(&script)
}

fn ascii_digit(c: char) -> Option<char> {
    let value = ZEROS
        .iter()
        .find_map(|zero| u32::from(c).checked_sub(u32::from(*zero)).filter(|value| *value < 10))?;
    char::from_digit(value, 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::normalize;

    #[test]
    fn accents_and_case_go_and_other_letters_stay() {
        for (word, expected) in [
            ("Über", "uber"),
            ("CAFÉ", "cafe"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("Ærø", "aero"),
            ("Łódź", "lodz"),
            ("Việt", "viet"),
            ("İSTANBUL", "istanbul"),
            ("ΟΔΌΣ", "οδοσ"),
            ("οδός", "οδοσ"),
            ("Ёлка", "елка"),
            ("йод", "йод"),
            ("замо\u{301}к", "замок"),
            ("їжак", "їжак"),
            ("مُحَمَّد", "محمد"),
            ("أحمد", "احمد"),
            ("علـــى", "علي"),
            ("کتاب", "كتاب"),
            ("שָׁלוֹם", "שלום"),
            ("が", "が"),
            ("か", "か"),
            ("น้ำ", "น้ำ"),
            ("किताब", "किताब"),
            ("ज़रूरत", "जरूरत"),
            ("١٢٣", "123"),
            ("๒๕๖๗", "2567"),
            ("၁၂", "12"),
            ("한국", "한국"),
        ] {
            assert_eq!(
                fold(&lower(&normalize(word), Language::Undetermined)),
                normalize(expected),
                "{word}"
            );
        }
    }

    #[test]
    fn turkish_has_two_letters_i() {
        assert_eq!(lower("ISPARTA", Language::Turkish), "ısparta");
        assert_eq!(lower("İzmir", Language::Turkish), "izmir");
        assert_eq!(fold(&lower("ISPARTA", Language::Turkish)), "isparta");
        assert_eq!(lower("ISPARTA", Language::English), "isparta");
    }
}
