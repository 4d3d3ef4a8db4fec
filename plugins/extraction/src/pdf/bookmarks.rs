//! The outline of a file: what its author calls headings.

use super::pdf_text;
use crate::limits;
use hayro_interpret::hayro_syntax::{
    Pdf,
    object::{Dict, String as PdfString},
};
use std::collections::{HashMap, HashSet};

const DEPTH: u8 = 8;

#[derive(Default)]
pub struct Bookmarks {
    levels: HashMap<String, u8>,
    is_complete: bool,
}

impl Bookmarks {
    pub fn read(pdf: &Pdf) -> Self {
        let xref = pdf.xref();
        let catalog = xref.get::<Dict<'_>>(xref.root_id());
        let outlines = catalog.and_then(|catalog| catalog.get::<Dict<'_>>(b"Outlines"));
        let Some(first) = outlines.and_then(|outlines| outlines.get::<Dict<'_>>(b"First")) else {
            return Self::default();
        };
        let mut levels = HashMap::new();
        let (mut left, mut seen) = (vec![(first, 1_u8)], HashSet::new());
        let mut visited = 0;
        while let Some((item, depth)) = left.pop() {
            visited += 1;
            if visited > limits::PDF_BOOKMARKS || item.obj_id().is_some_and(|id| !seen.insert(id)) {
                continue;
            }
            if let Some(title) = item.get::<PdfString<'_>>(b"Title") {
                let key = key(&pdf_text(title.as_bytes()));
                if key.chars().count() > 2 {
                    levels.entry(key).or_insert(depth);
                }
            }
            if let Some(next) = item.get::<Dict<'_>>(b"Next") {
                left.push((next, depth));
            }
            if depth < DEPTH
                && let Some(below) = item.get::<Dict<'_>>(b"First")
            {
                left.push((below, depth + 1));
            }
        }
        Self {
            levels,
            is_complete: false,
        }
    }

    /// Notes whether the outline names the headings of the text: most of its titles must stand in it as lines.
    pub fn compare<'a>(&mut self, lines: impl Iterator<Item = &'a str>) {
        if self.levels.is_empty() {
            return;
        }
        let found: HashSet<&str> = lines.filter_map(|line| self.find(line)).collect();
        self.is_complete = found.len() >= 3 && found.len() * 2 > self.levels.len();
    }

    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    pub fn level(&self, line: &str) -> Option<u8> {
        self.find(line).and_then(|title| self.levels.get(title)).copied()
    }

    /// The title that a line is, with or without its number.
    fn find(&self, line: &str) -> Option<&str> {
        if self.levels.is_empty() || line.len() > 400 {
            return None;
        }
        let key = key(line);
        let bare = key.trim_start_matches(|character: char| character.is_ascii_digit());
        let found = self
            .levels
            .get_key_value(&key)
            .or_else(|| self.levels.get_key_value(bare));
        found.map(|(title, _)| title.as_str())
    }
}

fn key(text: &str) -> String {
    text.chars()
        .filter(|character| character.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}
