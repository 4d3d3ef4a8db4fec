//! What holds for every text: what an index stores is found by the same words, and the work grows with the text.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use proptest::{prelude::*, sample::select};
use riad_language::{Indexer, Language, Query, Terms, query};

/// A sentence of each script, and what stands between its words.
const SAMPLES: &[&str] = &[
    "The libraries' state-of-the-art user_id costs 1,234.56; naïve e-mail to a.b@c.com about C++ \u{1f680}. ",
    "Die Häuser am Fluss wurden größer gebaut. ",
    "Kitapların kütüphanede çoğaldığı söyleniyor. ",
    "Книги лежат на столе в библиотеке. ",
    "Οι άνθρωποι περιμένουν στον σταθμό. ",
    "الكتب الجديدة موجودة في المكتبة العامة. ",
    "הספרים החדשים נמצאים בספרייה. ",
    "किताबें पुस्तकालय में रखी हैं। ",
    "புத்தகங்கள் நூலகத்தில் உள்ளன. ",
    "학교에서 도서관까지 걸어서 갑니다. ",
    "我们的图书馆在星期天开放学生可以免费借书",
    "東京都の図書館は日曜日も開いていますサーバー",
    "ห้องสมุดของเราเปิดวันอาทิตย์และนักเรียนสามารถยืมหนังสือได้ฟรี",
    "បណ្ណាល័យរបស់យើងបើកនៅថ្ងៃអាទិត្យ",
    "ຫໍສະໝຸດຂອງພວກເຮົາເປີດໃນວັນອາທິດ",
    "စာကြည့်တိုက်သည်တနင်္ဂနွေနေ့တွင်ဖွင့်သည်",
];

fn index(text: &str, language: Language) -> Terms {
    Indexer::new(language).index(text)
}

/// As FTS5 matches: any of the phrases, in one of the two lists.
fn matches(terms: &Terms, query: &Query) -> bool {
    let has = |terms: &str, phrases: &[String]| {
        let terms: Vec<&str> = terms.split(' ').filter(|term| !term.is_empty()).collect();
        phrases.iter().any(|phrase| {
            let phrase: Vec<&str> = phrase.split(' ').collect();
            terms.windows(phrase.len()).any(|window| window == phrase)
        })
    };
    has(&terms.words, &query.words) || has(&terms.characters, &query.characters)
}

fn languages() -> impl Strategy<Value = Language> {
    select(Language::all().collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_text_has_terms_that_fts5_takes(text in any::<String>(), language in languages()) {
        check_terms(&text, language)?;
    }

    /// Letters that stemmers know, in words that no language has.
    #[test]
    fn any_word_of_a_script_has_terms(
        text in "[a-zà-ÿāăąćčđęěğıłńňőřśşšţůűźžơư]{0,40}|[а-яёїієґў]{0,40}|[ά-ώϊϋ]{0,40}|[ء-ي\u{64b}-\u{652}پچژگکی]{0,40}|[ऀ-ॿ]{0,40}|[ஂ-்]{0,40}|[ա-և]{0,40}",
        language in languages(),
    ) {
        check_terms(&text, language)?;
    }

    #[test]
    fn every_word_of_a_text_is_found(
        samples in prop::collection::vec(select(SAMPLES), 1..4),
        language in languages(),
        others in prop::collection::vec(languages(), 0..4),
        upper in any::<bool>(),
    ) {
        let text = samples.concat();
        let terms = index(&text, language);
        let mut languages = others;
        languages.push(language);
        for word in text.split(|c: char| c.is_whitespace() || ";.।".contains(c)).filter(|word| word.chars().count() > 1) {
            // Turkish alone knows which small letter an I in capitals was.
            let word = if upper && language != Language::Turkish { word.to_uppercase() } else { word.to_owned() };
            let query = query(&word, &languages, usize::MAX);
            prop_assert!(matches(&terms, &query), "{word} in {language:?}: {query:?} {terms:?}");
        }
    }

    /// However many words were seen before.
    #[test]
    fn terms_do_not_depend_on_the_parts_before(
        texts in prop::collection::vec(prop_oneof![any::<String>(), select(SAMPLES).prop_map(str::to_owned)], 1..6),
        language in languages(),
        many in any::<bool>(),
    ) {
        let mut indexer = Indexer::new(language);
        for text in &texts {
            if many {
                indexer.index(&(0..1_500).map(|n| format!("w{n} é{n} x{n}y ")).collect::<String>());
            }
            prop_assert_eq!(indexer.index(text), index(text, language));
        }
    }

    /// Whatever ICU makes of the text around it.
    #[test]
    fn every_part_of_a_run_is_found(sample in select(&SAMPLES[10..12]), begin in 0..16_usize, length in 2..9_usize) {
        let terms = index(sample, Language::Undetermined);
        let part: String = sample.chars().skip(begin).take(length).collect();
        prop_assume!(part.chars().count() == length);
        let query = query(&part, &[], usize::MAX);
        prop_assert!(matches(&terms, &query), "{part}: {query:?} {terms:?}");
    }

    #[test]
    fn a_query_has_as_many_phrases_as_it_may(
        samples in prop::collection::vec(select(SAMPLES), 1..9),
        languages in prop::collection::vec(languages(), 0..40),
        most in 0..300_usize,
    ) {
        let text = samples.concat();
        let query = query(&text, &languages, most);
        prop_assert!(query.words.len() + query.characters.len() <= most);
        let all = crate::query(&text, &languages, usize::MAX);
        let phrases = all.words.len() + all.characters.len();
        prop_assert_eq!(query.words.len() + query.characters.len(), most.min(phrases));
        // The first words are those that are kept.
        prop_assert!(all.words.starts_with(&query.words) && all.characters.starts_with(&query.characters));
    }
}

fn check_terms(text: &str, language: Language) -> Result<(), TestCaseError> {
    let terms = index(text, language);
    let query = query(text, &[language], usize::MAX);
    for list in [&terms.words, &terms.characters] {
        prop_assert!(is_clean(list), "{list:?}");
    }
    for phrase in query.words.iter().chain(&query.characters) {
        prop_assert!(is_clean(phrase) && !phrase.trim().is_empty(), "{phrase:?}");
    }
    // The first token of both is the same.
    prop_assert!(query.is_empty() || matches(&terms, &query), "{query:?} {terms:?}");
    Language::detect(text);
    Ok(())
}

fn is_clean(terms: &str) -> bool {
    terms
        .bytes()
        .all(|b| !b.is_ascii() || b.is_ascii_lowercase() || b.is_ascii_digit() || b" +#|".contains(&b))
}

#[test]
fn terms_grow_with_the_text_and_not_faster() {
    let size = |terms: &Terms| terms.words.len() + terms.characters.len();
    let long = [
        "a".repeat(1 << 20),
        "字".repeat(1 << 18),
        "ก\u{e48}".repeat(1 << 18),
        "e\u{301}".repeat(1 << 18),
    ];
    for sample in SAMPLES.iter().copied().chain(long.iter().map(String::as_str)) {
        let once = sample.repeat((4 << 10) / sample.len().min(4 << 10));
        let one_line = once.repeat((1 << 20) / once.len());
        let times = one_line.len() / once.len();
        let (small, large) = (
            size(&index(&once, Language::English)),
            size(&index(&one_line, Language::English)),
        );
        assert!(large <= times * (small + 64), "{small} {large} {times}");
        assert!(large <= 4 * one_line.len() + 64, "{large} {}", one_line.len());
    }
}
