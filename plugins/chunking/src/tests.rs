//! What every piece promises, and where each kind of text is cut.

use super::*;
use proptest::prelude::*;
use std::time::Instant;

const KINDS: [SectionKind; 4] = [
    SectionKind::Prose,
    SectionKind::Markdown,
    SectionKind::Rows,
    SectionKind::Code,
];

fn pieces(text: &str, kind: SectionKind, most: u32, overlap: u32) -> Vec<String> {
    let section = Section {
        heading: Vec::new(),
        page: None,
        kind,
        text: text.to_string(),
    };
    let options = ChunkingOptions {
        max_characters: most,
        overlap_characters: overlap,
        max_pieces: 1_000_000,
    };
    chunk(&[section], options)
        .unwrap()
        .into_iter()
        .map(|piece| piece.text)
        .collect()
}

/// Whether the host finds each after the beginning of the one before. Where a text repeats itself, it may find an earlier place.
fn are_found(text: &str, pieces: &[String]) -> bool {
    let mut from = 0;
    pieces.iter().all(
        |piece| match text.get(from..).and_then(|rest| rest.find(piece.as_str())) {
            Some(at) => {
                from = text.ceil_char_boundary(from + at + 1);
                true
            }
            None => false,
        },
    )
}

#[test]
fn prose_is_cut_at_paragraphs_then_sentences() {
    let text = "One is short. Two is short.\n\nThree is a paragraph. Four ends it.\n\nFive.";
    assert_eq!(
        pieces(text, SectionKind::Prose, 40, 0),
        [
            "One is short. Two is short.",
            "Three is a paragraph. Four ends it.",
            "Five."
        ]
    );
    assert_eq!(
        pieces(
            "A first sentence stands\nhere. The second one is\nlonger than that.",
            SectionKind::Prose,
            40,
            0
        ),
        ["A first sentence stands\nhere.", "The second one is\nlonger than that."]
    );
}

#[test]
fn what_fits_is_one_piece() {
    for kind in KINDS {
        assert_eq!(pieces("a\n\nb\n\nc", kind, 16, 0), ["a\n\nb\n\nc"]);
        assert!(pieces(" \n\t", kind, 16, 0).is_empty());
    }
}

/// A paragraph that just fits was cut in two, because the blank line behind it counted.
#[test]
fn space_behind_a_piece_does_not_count() {
    let paragraph = "word ".repeat(8).trim_end().to_string();
    let most = u32::try_from(paragraph.len()).unwrap();
    for kind in KINDS {
        for between in ["\n", "\n\n", "\n \n\n", " \n"] {
            let text = [paragraph.as_str(); 3].join(between);
            assert_eq!(
                pieces(&text, kind, most, 0),
                [paragraph.as_str(); 3],
                "{kind:?} {between:?}"
            );
        }
    }
    for text in ["This is a sentence.", "words_of_sixteen"] {
        let most = u32::try_from(text.len()).unwrap();
        let found = pieces(&[text; 3].join(" "), SectionKind::Prose, most, 0);
        assert_eq!(found, [text; 3]);
    }
    let text = "Zero is here. One is here.\n\n\n\nTwo is here.";
    assert_eq!(
        pieces(text, SectionKind::Prose, 30, 13),
        ["Zero is here. One is here.", "One is here.\n\n\n\nTwo is here."]
    );
}

#[test]
fn rows_are_kept_whole() {
    let rows: Vec<String> = (0..50)
        .map(|n| format!("sku: A{n} | name: Drill number {n}. Good."))
        .collect();
    let found = pieces(&rows.join("\n"), SectionKind::Rows, 120, 0);
    assert!(
        found
            .iter()
            .flat_map(|piece| piece.lines())
            .all(|line| rows.iter().any(|row| row == line))
    );
    let wide = (0..40)
        .map(|n| format!("column{n}: value"))
        .collect::<Vec<_>>()
        .join(" | ");
    let found = pieces(&wide, SectionKind::Rows, 100, 0);
    assert!(found.iter().all(|piece| piece.starts_with("column")));
}

#[test]
fn code_is_cut_between_items_and_keeps_its_indentation() {
    let item = |n: u32| format!("fn item_{n}() {{\n    first();\n\n    second();\n}}\n");
    let text = (0..6).map(item).collect::<Vec<_>>().join("\n");
    let found = pieces(&text, SectionKind::Code, 110, 0);
    assert!(found.iter().all(|piece| piece.starts_with("fn item_")), "{found:?}");
    let deep = "    indented();\n".repeat(20);
    assert!(
        pieces(&deep, SectionKind::Code, 60, 0)
            .iter()
            .all(|piece| piece.starts_with("    indented"))
    );
}

#[test]
fn a_block_of_code_in_markdown_is_cut_last() {
    let block = "```sh\nfirst\n\nsecond\n\nthird\n```";
    let text = format!("Some words before it, which are long.\n\n{block}\n\nSome words after it.");
    let found = pieces(&text, SectionKind::Markdown, 60, 0);
    assert!(found.iter().any(|piece| piece.contains(block)), "{found:?}");
}

#[test]
fn scripts_without_spaces_are_cut_at_sentences() {
    let text = "これは一つ目の文です。これは二つ目の文です。これは三つ目の文です。";
    assert!(
        pieces(text, SectionKind::Prose, 24, 0)
            .iter()
            .all(|piece| piece.ends_with('。'))
    );
    let unbroken = "漢".repeat(100);
    let found = pieces(&unbroken, SectionKind::Prose, 30, 0);
    assert_eq!(found.concat(), unbroken);
    assert!(found.iter().all(|piece| piece.chars().count() <= 30));
}

#[test]
fn accents_stay_with_their_letters() {
    let text = "e\u{301}".repeat(100);
    assert!(
        pieces(&text, SectionKind::Prose, 17, 0)
            .iter()
            .all(|piece| piece.starts_with('e'))
    );
}

#[test]
fn pieces_overlap_by_whole_sentences() {
    let sentences: Vec<String> = (0..20).map(|n| format!("Sentence number {n} is here.")).collect();
    let text = sentences.join(" ");
    let found = pieces(&text, SectionKind::Prose, 100, 40);
    assert!(found.len() > 3);
    for pair in found.windows(2) {
        let last = pair[0].split_inclusive(". ").last().unwrap();
        assert!(pair[1].starts_with(last.trim_end()), "{pair:?}");
    }
}

#[test]
fn more_pieces_than_allowed_are_too_large() {
    let section = Section {
        heading: Vec::new(),
        page: None,
        kind: SectionKind::Prose,
        text: "word ".repeat(100),
    };
    let options = ChunkingOptions {
        max_characters: 16,
        overlap_characters: 0,
        max_pieces: 3,
    };
    assert!(matches!(chunk(&[section], options), Err(ChunkingError::TooLarge(text)) if text.contains('3')));
}

/// Texts that make a splitter slow which looks at all that is left for each piece.
#[test]
fn hostile_texts_are_cut_in_few_steps() {
    for unit in [
        "a", "漢", "a\n", " ", "a \n\n\n", "*", "- ", "```\n", "a. ", "e\u{301}", "\u{301}", ".", "a | ",
    ] {
        let text = unit.repeat(60_000 / unit.len());
        for kind in KINDS {
            for overlap in [0, 32] {
                let found = pieces(&text, kind, 64, overlap);
                let characters = text.chars().count();
                // A third of the half of a piece that is new.
                assert!(found.len() <= characters / 10 + 1, "{unit:?} {kind:?}: {}", found.len());
            }
        }
    }
}

/// The time must grow with the text: with its square, each of these takes minutes.
#[test]
fn long_hostile_texts_are_cut_in_time() {
    let half = 2 << 20;
    let words = "a ".repeat(half / 2);
    let begun = Instant::now();
    for text in [
        format!("e{}", "\u{301}".repeat(half)),
        format!("{words}{}", " ".repeat(half)),
        format!("{words}{}", "\n".repeat(half)),
        "\u{1F468}\u{200D}".repeat(half / 7),
    ] {
        for kind in KINDS {
            assert!(pieces(&text, kind, 1_000, 0).len() > 500, "{kind:?}");
        }
    }
    let seconds = begun.elapsed().as_secs();
    assert!(seconds < 60, "{seconds} s");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn pieces_stand_in_the_text_and_lose_nothing(
        text in "([a-z .!?]{0,12}|[\n ]{1,3}|```\n|漢字。|e\u{301}| \\| |\u{2003}|- x){0,60}",
        kind in 0..4_usize,
        most in 16..80_u32,
        overlap in 0..60_u32,
    ) {
        prop_assert!(are_found(&text, &pieces(&text, KINDS[kind], most, overlap)));
        let overlap = (overlap as usize).min(most as usize / OVERLAP_PART);
        let (mut covered, mut before) = (0, None);
        for piece in split(&text, KINDS[kind], most as usize, overlap) {
            let start = piece.as_ptr() as usize - text.as_ptr() as usize;
            prop_assert!(piece.chars().count() <= most as usize);
            prop_assert!(!piece.trim().is_empty());
            prop_assert!(before.is_none_or(|before| before < start));
            if overlap == 0 {
                prop_assert!(start >= covered);
            }
            if start > covered {
                prop_assert!(text[covered..start].trim().is_empty(), "lost {:?}", &text[covered..start]);
            }
            covered = covered.max(start + piece.len());
            before = Some(start);
        }
        prop_assert!(text[covered..].trim().is_empty());
    }
}
