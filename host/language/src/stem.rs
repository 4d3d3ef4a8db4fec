//! A word's stem: Snowball's for languages with inflection, rules of our own for Korean and Katakana. Not here: which language
//! (`language`), accents (`fold`).

use crate::{
    Language,
    fold::{CATEGORY, SCRIPT},
};
use frostem::Stemmer;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup, Script};
use std::borrow::Cow;

/// Characters of a word that is stemmed. A longer one is no word, and stemmers need more than linear time for some.
const LONGEST: usize = 64;
const SHORTEST: usize = 3;

/// What follows a Korean noun: each is longer than a syllable, so that it is taken off a noun of one too.
const PARTICLES: [&str; 24] = [
    "에서는",
    "에서도",
    "으로는",
    "으로서",
    "으로써",
    "에게서",
    "이라고",
    "에서",
    "에게",
    "으로",
    "까지",
    "부터",
    "처럼",
    "보다",
    "마다",
    "조차",
    "밖에",
    "이나",
    "이랑",
    "하고",
    "에는",
    "에도",
    "한테",
    "라고",
];
/// Of one syllable: taken off nouns of two and more only, because many nouns end so.
const SHORT_PARTICLES: [char; 13] = [
    '은', '는', '이', '가', '을', '를', '의', '에', '와', '과', '도', '로', '만',
];

/// `None` if the word is its own stem. In lower case; the stem may have accents.
pub(crate) fn stem(word: &str, language: Language) -> Option<Cow<'_, str>> {
    let script = script(word)?;
    let algorithm = language.algorithm(script)?;
    let stem = Stemmer::new(algorithm).stem(word);
    (!stem.is_empty() && stem != word).then_some(stem)
}

/// The script that the whole word is written in; `None` if it cannot be stemmed.
pub(crate) fn script(word: &str) -> Option<Script> {
    if word.is_ascii() {
        let stemmed = (SHORTEST..=LONGEST).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphabetic());
        return stemmed.then_some(Script::Latin);
    }
    let mut found = None;
    let mut length = 0_usize;
    for c in word.chars() {
        length = length.saturating_add(1);
        let category = CATEGORY.get(c);
        if GeneralCategoryGroup::Mark.contains(category) {
            continue;
        }
        let script = SCRIPT.get(c);
        if !GeneralCategoryGroup::Letter.contains(category) || found.is_some_and(|found| found != script) {
            return None;
        }
        found = Some(script);
    }
    found.filter(|_| (SHORTEST..=LONGEST).contains(&length))
}

/// A Hebrew word without the article at its beginning. There is no Snowball stemmer for Hebrew.
pub(crate) fn without_article(word: &str) -> &str {
    match word.strip_prefix('ה') {
        Some(noun) if noun.chars().nth(2).is_some() => noun,
        Some(_) | None => word,
    }
}

/// A Korean word without the particle at its end.
pub(crate) fn without_particle(word: &str) -> &str {
    for particle in PARTICLES {
        if let Some(noun) = word.strip_suffix(particle)
            && !noun.is_empty()
        {
            return noun;
        }
    }
    match word.strip_suffix(SHORT_PARTICLES) {
        Some(noun) if noun.chars().nth(1).is_some() => noun,
        Some(_) | None => word,
    }
}

/// A Japanese word in Katakana without the long vowel at its end, which is written or not: サーバー, サーバ.
pub(crate) fn without_long_vowel(word: &str) -> &str {
    match word.strip_suffix('ー') {
        Some(short) if short.chars().nth(2).is_some() && short.chars().all(is_katakana) => short,
        Some(_) | None => word,
    }
}

fn is_katakana(c: char) -> bool {
    c == 'ー' || (SCRIPT.get(c) == Script::Katakana && CATEGORY.get(c) == GeneralCategory::OtherLetter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_have_one_stem() {
        for (code, words) in [
            ("en", &["connect", "connected", "connecting", "connections"][..]),
            ("de", &["haus", "hauses", "häuser", "häusern"]),
            ("fr", &["cheval", "chevaux"]),
            ("es", &["canción", "canciones"]),
            ("pt", &["informação", "informações"]),
            ("it", &["biblioteca", "biblioteche"]),
            ("nl", &["boek", "boeken"]),
            ("sv", &["bok", "boken"]),
            ("da", &["bøger", "bøgerne"]),
            ("nb", &["bøker", "bøkene"]),
            ("fi", &["kirja", "kirjat"]),
            ("hu", &["könyv", "könyvek"]),
            ("tr", &["kitap", "kitaplar"]),
            ("ru", &["книга", "книги", "книгами"]),
            ("el", &["ανθρωποσ", "ανθρωποι", "ανθρωπουσ"]),
            ("ar", &["كتاب", "الكتاب"]),
            ("hi", &["किताब", "किताबें"]),
            ("ro", &["carte", "cartea"]),
        ] {
            let stems: Vec<_> = words
                .iter()
                .map(|word| stem(word, Language::from_code(code)).unwrap_or(Cow::Borrowed(word)))
                .map(|stem| crate::fold::fold(&stem))
                .collect();
            assert!(stems.iter().all(|stem| *stem == stems[0]), "{code} {stems:?}");
        }
    }

    #[test]
    fn what_is_no_word_of_one_script_has_no_stem() {
        for word in [
            "",
            "is",
            "mp3",
            "naïve2",
            "aбвгдs",
            &"running".repeat(10),
            "١٢٣٤",
            "東京都",
        ] {
            assert_eq!(stem(word, Language::English), None, "{word}");
        }
        assert_eq!(stem("running", Language::English).as_deref(), Some("run"));
        assert_eq!(stem("running", Language::Vietnamese), None);
    }

    #[test]
    fn particles_articles_and_long_vowels_go() {
        for (word, expected) in [("הספרים", "ספרים"), ("ספרים", "ספרים"), ("הים", "הים"), ("", "")]
        {
            assert_eq!(without_article(word), expected);
        }
        for (word, expected) in [
            ("학교에서", "학교"),
            ("학교는", "학교"),
            ("학교", "학교"),
            ("집에서", "집"),
            ("집은", "집은"),
            ("도서관까지", "도서관"),
            ("보다", "보다"),
            ("국가", "국가"),
            ("", ""),
        ] {
            assert_eq!(without_particle(word), expected);
        }
        for (word, expected) in [
            ("サーバー", "サーバ"),
            ("サーバ", "サーバ"),
            ("キー", "キー"),
            ("カバー", "カバー"),
            ("らーめー", "らーめー"),
            ("ー", "ー"),
        ] {
            assert_eq!(without_long_vowel(word), expected);
        }
    }
}
