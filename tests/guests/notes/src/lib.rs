//! Reads notes, `NOTE|title|text`, of which every line is a piece. What a test asks of a failure is done for certain titles: `trap` traps, `loop`
//! never ends, `memory` takes what there is, `invent` returns a piece that stands nowhere, `empty` returns none.

use riad_sdk::{
    Chunking, ChunkingError, ChunkingOptions, Extracted, Extraction, ExtractionError, ExtractionOptions, Piece,
    Section, SectionKind, Upload,
};

pub struct Notes;

impl Extraction for Notes {
    fn extract(upload: Upload, _options: ExtractionOptions) -> Result<Extracted, ExtractionError> {
        let Some(body) = upload.bytes.strip_prefix(b"NOTE|") else {
            return Err(ExtractionError::Unsupported("no note".to_string()));
        };
        let text = String::from_utf8_lossy(body);
        let (title, text) = text.split_once('|').unwrap_or(("", &text));
        Ok(Extracted {
            media_type: "text/x-note".to_string(),
            title: title.to_string(),
            metadata: "{}".to_string(),
            sections: vec![Section {
                heading: Vec::new(),
                page: None,
                kind: SectionKind::Rows,
                text: text.to_string(),
            }],
            warnings: Vec::new(),
        })
    }
}

impl Chunking for Notes {
    fn chunk(title: String, sections: Vec<Section>, _options: ChunkingOptions) -> Result<Vec<Piece>, ChunkingError> {
        let piece = |text: &str| Piece {
            section: 0,
            text: text.to_string(),
        };
        match title.as_str() {
            "trap" => panic!("as asked"),
            "loop" => loop {
                std::hint::black_box(&title);
            },
            "memory" => {
                let mut taken = Vec::new();
                loop {
                    taken.push(vec![1_u8; 1 << 20]);
                    std::hint::black_box(&taken);
                }
            }
            "invent" => Ok(vec![piece("nobody wrote this")]),
            "empty" => Ok(Vec::new()),
            _ => Ok(sections
                .iter()
                .flat_map(|section| section.text.lines())
                .map(piece)
                .collect()),
        }
    }
}

riad_sdk::export!(Notes => extraction, chunking);
