//! What guests return is checked, and found again in what they were given. Not here: guests that run.

use super::*;

const EXTRACTION: ExtractionOptions = ExtractionOptions {
    max_text_bytes: 100,
    max_sections: 2,
};
const CHUNKING: ChunkingOptions = ChunkingOptions {
    max_characters: 16,
    overlap_characters: 4,
    max_pieces: 4,
};

fn section(text: &str) -> wit::Section {
    wit::Section {
        heading: vec!["Returns".into()],
        page: Some(3),
        kind: wit::Kind::Prose,
        text: text.into(),
    }
}

fn extracted(sections: Vec<wit::Section>) -> wit::Extracted {
    wit::Extracted {
        media_type: "text/plain".into(),
        title: "Manual".into(),
        metadata: r#"{"author":"Ada"}"#.into(),
        sections,
        warnings: vec!["One page has no text.".into()],
    }
}

fn read(extracted: wit::Extracted) -> Result<Extracted, InvalidOutput> {
    OutputReader::new(10_000).extracted(extracted, EXTRACTION)
}

fn words(refused: InvalidOutput) -> String {
    match refused {
        InvalidOutput::Malformed(what) => what,
        InvalidOutput::TooLarge => "too large".into(),
    }
}

#[test]
fn what_a_file_becomes_is_checked() {
    let taken = read(extracted(vec![section("Within 14 days.")])).unwrap();
    assert_eq!(taken.metadata["author"], "Ada");
    assert_eq!(taken.sections[0].page, Some(3));
    let changed = |change: fn(&mut wit::Extracted)| {
        let mut output = extracted(vec![section("Within 14 days.")]);
        change(&mut output);
        words(read(output).unwrap_err())
    };
    assert!(changed(|output| output.media_type = "a text".into()).contains("media-type"));
    assert!(changed(|output| output.sections.clear()).contains("0 sections"));
    assert!(changed(|output| output.sections = vec![section("a"); 3]).contains("3 sections"));
    assert!(changed(|output| output.sections = vec![section(" \n")]).contains("without text"));
    assert!(changed(|output| output.sections = vec![section("a\0b")]).contains("NUL"));
    assert!(changed(|output| output.sections = vec![section(&"x".repeat(101))]).contains("114 bytes"));
    assert!(changed(|output| output.sections[0].heading = vec![String::new(); 13]).contains("12 headings"));
    assert!(changed(|output| output.title = "é".repeat(301)).contains("300 characters"));
    assert!(changed(|output| output.metadata = "[]".into()).contains("JSON object"));
    assert!(changed(|output| output.warnings = vec![String::new(); 21]).contains("20 warnings"));
    let small = OutputReader::new(10).extracted(extracted(vec![section("Within 14 days.")]), EXTRACTION);
    assert_eq!(words(small.unwrap_err()), "too large");
}

#[test]
fn pieces_are_found_in_their_sections() {
    let sections: Vec<Section> = ["one two one two", "three"]
        .map(|text| Section {
            heading: Vec::new(),
            page: None,
            kind: SectionKind::Prose,
            text: text.into(),
        })
        .into();
    let chunked = |pieces: &[(u32, &str)]| {
        let pieces = pieces.iter().map(|(section, text)| wit::Piece {
            section: *section,
            text: (*text).into(),
        });
        OutputReader::new(10_000).pieces(pieces.collect(), &sections, CHUNKING)
    };
    let starts = |pieces: &[(u32, &str)]| {
        let found = chunked(pieces).unwrap();
        found.iter().map(|piece| piece.start).collect::<Vec<_>>()
    };
    assert_eq!(starts(&[(0, "one two"), (0, "one two"), (1, "three")]), [0, 8, 0]);
    // They may overlap.
    assert_eq!(starts(&[(0, "one two one"), (0, "two one two")]), [0, 4]);
    let refused = |pieces: &[(u32, &str)]| words(chunked(pieces).unwrap_err());
    assert!(refused(&[(0, "four")]).contains("does not stand"));
    assert!(refused(&[(1, "three"), (1, "three")]).contains("does not stand"));
    assert!(refused(&[(1, "three"), (0, "one")]).contains("order of the sections"));
    assert!(refused(&[(2, "three")]).contains("order of the sections"));
    assert!(refused(&[(0, " ")]).contains("nothing but space"));
    assert!(refused(&[(0, "one two one two and")]).contains("16 characters"));
    assert!(refused(&[(0, "o"); 5]).contains("5 pieces"));
    assert!(refused(&[]).contains("no piece"));
}
