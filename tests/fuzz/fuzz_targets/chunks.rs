//! Sections into pieces: each piece is of its section, fits, and none of the text is lost.

#![no_main]

use libfuzzer_sys::fuzz_target;
use riad_chunking::chunk;
use riad_sdk::{ChunkingOptions, Section, SectionKind};

const KINDS: [SectionKind; 4] = [
    SectionKind::Prose,
    SectionKind::Markdown,
    SectionKind::Code,
    SectionKind::Rows,
];

fuzz_target!(|data: &[u8]| {
    let [characters, overlap, kind, text @ ..] = data else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let options = ChunkingOptions {
        max_characters: u32::from(*characters),
        overlap_characters: u32::from(*overlap),
        max_pieces: 1_000,
    };
    let section = Section {
        heading: Vec::new(),
        page: None,
        kind: KINDS[usize::from(*kind) % KINDS.len()],
        text: text.to_string(),
    };
    let Ok(pieces) = chunk(&[section], options) else { return };
    let most = usize::from(*characters).max(16);
    let mut found = text;
    for piece in &pieces {
        assert!(
            !piece.text.trim().is_empty() && piece.text.chars().count() <= most,
            "{piece:?}"
        );
        assert!(text.contains(&piece.text), "{piece:?}");
    }
    // Without an overlap, the pieces are the text in its order, and between them there is nothing but space.
    if *overlap == 0 {
        for piece in &pieces {
            let (between, rest) = found
                .split_once(piece.text.as_str())
                .expect("a piece follows the one before");
            assert!(between.trim().is_empty(), "{between:?} is in no piece");
            found = rest;
        }
        assert!(found.trim().is_empty(), "{found:?} is in no piece");
    }
});
