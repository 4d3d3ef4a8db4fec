//! Collects sections under a stack of headings, and stops when a limit of the options is met. Not here: what formats mean.

use crate::{limits, metadata::Metadata};
use riad_sdk::{Extracted, ExtractionError, ExtractionOptions, Section, SectionKind};

pub type Result<T> = std::result::Result<T, ExtractionError>;

pub struct Output {
    media_type: &'static str,
    pub title: String,
    pub metadata: Metadata,
    sections: Vec<Section>,
    warnings: Vec<String>,
    left_out: usize,
    /// Level and text, outermost first.
    headings: Vec<(u8, String)>,
    /// The innermost heading has nothing below it yet; the page it stands on.
    bare_heading: Option<Option<u32>>,
    page: Option<u32>,
    kind: SectionKind,
    text: String,
    bytes_left: usize,
    options: ExtractionOptions,
}

impl Output {
    pub fn new(media_type: &'static str, options: ExtractionOptions) -> Self {
        Self {
            media_type,
            title: String::new(),
            metadata: Metadata::default(),
            sections: Vec::new(),
            warnings: Vec::new(),
            left_out: 0,
            headings: Vec::new(),
            bare_heading: None,
            page: None,
            kind: SectionKind::Prose,
            text: String::new(),
            bytes_left: usize::try_from(options.max_text_bytes).unwrap_or(usize::MAX),
            options,
        }
    }

    /// Sets the title unless there is one.
    pub fn suggest_title(&mut self, text: &str) {
        if self.title.is_empty() {
            self.title = one_line(text, limits::TITLE_CHARACTERS);
        }
    }

    pub fn warn(&mut self, text: &str) {
        if self.warnings.len() + 1 < limits::WARNINGS {
            self.warnings.push(one_line(text, limits::WARNING_CHARACTERS));
        } else {
            self.left_out += 1;
        }
    }

    /// What follows is on this page.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn begin_page(&mut self, page: u32) -> Result<()> {
        if self.page != Some(page) {
            self.end_section()?;
            self.page = Some(page);
        }
        Ok(())
    }

    /// What follows is written like this.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn begin_kind(&mut self, kind: SectionKind) -> Result<()> {
        if self.kind != kind {
            self.end_section()?;
            self.kind = kind;
        }
        Ok(())
    }

    /// A heading of a level from 1; 0 is above all others.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn heading(&mut self, level: u8, text: &str) -> Result<()> {
        let text = one_line(text, limits::TITLE_CHARACTERS);
        if text.is_empty() {
            return Ok(());
        }
        self.end_section()?;
        if self.headings.last().is_some_and(|(outer, _)| *outer >= level) {
            self.end_bare_heading()?;
        }
        while self.headings.last().is_some_and(|(outer, _)| *outer >= level) {
            self.headings.pop();
        }
        if self.headings.len() >= limits::HEADING_DEPTH {
            return self.paragraph(&text);
        }
        self.headings.push((level, text));
        self.bare_heading = Some(self.page);
        Ok(())
    }

    /// A heading with nothing below it is text, too, and would be found by nobody.
    fn end_bare_heading(&mut self) -> Result<()> {
        let Some(page) = self.bare_heading.take() else {
            return Ok(());
        };
        let Some((_, text)) = self.headings.pop() else {
            return Ok(());
        };
        let now = std::mem::replace(&mut self.page, page);
        self.paragraph(&text)?;
        self.end_section()?;
        self.page = now;
        Ok(())
    }

    /// Forgets all headings: another part of the file begins.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn end_headings(&mut self) -> Result<()> {
        self.end_section()?;
        self.end_bare_heading()?;
        self.headings.clear();
        Ok(())
    }

    /// A paragraph, with an empty line before it.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn paragraph(&mut self, text: &str) -> Result<()> {
        self.block(text.trim(), "\n\n")
    }

    /// A paragraph whose first line may be indented.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn paragraph_as_is(&mut self, text: &str) -> Result<()> {
        self.block(text.trim_end(), "\n\n")
    }

    /// A line, which follows the one before.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn line(&mut self, text: &str) -> Result<()> {
        self.block(text.trim_end(), "\n")
    }

    fn block(&mut self, text: &str, separator: &str) -> Result<()> {
        if text.trim().is_empty() {
            return Ok(());
        }
        let before = if self.text.is_empty() { "" } else { separator };
        self.take(text.len() + before.len() + 2 * text.matches('\0').count())?;
        self.bare_heading = None;
        self.text.push_str(before);
        // A text of the host's has no NUL, and formats such as JSON may have one.
        match text.contains('\0') {
            true => self.text.push_str(&text.replace('\0', "\u{fffd}")),
            false => self.text.push_str(text),
        }
        Ok(())
    }

    /// Whether nothing has been written yet.
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty() && self.text.is_empty()
    }

    /// # Errors
    /// `TooLarge`.
    pub fn end_section(&mut self) -> Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        let heading: Vec<String> = self.headings.iter().map(|(_, text)| text.clone()).collect();
        self.take(heading.iter().map(String::len).sum())?;
        if self.sections.len() >= usize::try_from(self.options.max_sections).unwrap_or(usize::MAX) {
            return Err(too_large(format!(
                "the file has more than {} sections",
                self.options.max_sections
            )));
        }
        self.sections.push(Section {
            heading,
            page: self.page,
            kind: self.kind,
            text: std::mem::take(&mut self.text),
        });
        Ok(())
    }

    fn take(&mut self, bytes: usize) -> Result<()> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or_else(|| {
            too_large(format!(
                "the file has more than {} bytes of text",
                self.options.max_text_bytes
            ))
        })?;
        Ok(())
    }

    /// # Errors
    /// `NoText` with `why_empty` if nothing was written, `TooLarge`.
    pub fn finish(mut self, why_empty: &str) -> Result<Extracted> {
        self.end_headings()?;
        if self.sections.is_empty() {
            return Err(ExtractionError::NoText(why_empty.to_string()));
        }
        self.take(self.title.len())?;
        if self.left_out > 0 {
            self.warnings
                .push(format!("{} more warnings were left out", self.left_out));
        }
        Ok(Extracted {
            media_type: self.media_type.to_string(),
            title: self.title,
            metadata: self.metadata.into_json(),
            sections: self.sections,
            warnings: self.warnings,
        })
    }
}

pub fn too_large(text: impl Into<String>) -> ExtractionError {
    ExtractionError::TooLarge(text.into())
}

pub fn malformed(text: impl Into<String>) -> ExtractionError {
    ExtractionError::Malformed(text.into())
}

/// Words with one space between them, at most so many characters.
pub fn one_line(text: &str, characters: usize) -> String {
    let mut line = String::new();
    let mut left = characters;
    for word in text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
    {
        if left == 0 {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
            left -= 1;
        }
        for character in word.chars().take(left) {
            line.push(character);
            left -= 1;
        }
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: ExtractionOptions = ExtractionOptions {
        max_text_bytes: 100,
        max_sections: 3,
    };

    #[test]
    fn headings_nest_by_level() {
        let mut output = Output::new("text/plain", OPTIONS);
        output.heading(1, "A").unwrap();
        output.heading(3, "B").unwrap();
        output.paragraph("one").unwrap();
        output.heading(2, "C").unwrap();
        output.paragraph("two").unwrap();
        output.heading(1, " D \n d ").unwrap();
        output.paragraph("three").unwrap();
        let paths: Vec<_> = output
            .finish("")
            .unwrap()
            .sections
            .into_iter()
            .map(|section| section.heading)
            .collect();
        assert_eq!(paths, [vec!["A", "B"], vec!["A", "C"], vec!["D d"]]);
    }

    #[test]
    fn a_heading_with_nothing_below_is_text() {
        let mut output = Output::new("text/plain", OPTIONS);
        output.begin_page(1).unwrap();
        output.heading(1, "A").unwrap();
        output.heading(2, "B").unwrap();
        output.begin_page(2).unwrap();
        output.heading(1, "C").unwrap();
        let sections = output.finish("").unwrap().sections;
        assert_eq!(sections.len(), 2);
        assert_eq!(
            (&*sections[0].heading, sections[0].page, &*sections[0].text),
            (&["A".to_string()][..], Some(1), "B")
        );
        assert_eq!(
            (&*sections[1].heading, sections[1].page, &*sections[1].text),
            (&[][..], Some(2), "C")
        );
    }

    #[test]
    fn bytes_count_for_headings_of_each_section() {
        let mut output = Output::new("text/plain", OPTIONS);
        output.heading(1, &"h".repeat(48)).unwrap();
        output.paragraph("a").unwrap();
        output.begin_page(1).unwrap();
        output.paragraph("b").unwrap();
        output.begin_page(2).unwrap();
        output.paragraph("c").unwrap();
        let error = output.begin_page(3).unwrap_err();
        assert!(matches!(error, ExtractionError::TooLarge(text) if text.contains("100 bytes")));
    }

    #[test]
    fn sections_over_the_limit_are_too_large() {
        let mut output = Output::new("text/plain", OPTIONS);
        for page in 0..3 {
            output.begin_page(page).unwrap();
            output.paragraph("x").unwrap();
        }
        output.begin_page(3).unwrap();
        output.paragraph("x").unwrap();
        assert!(matches!(output.finish(""), Err(ExtractionError::TooLarge(text)) if text.contains("3 sections")));
    }

    #[test]
    fn a_line_has_one_space_between_words_and_an_end() {
        assert_eq!(one_line(" a\u{0}\t b\nc ", 300), "a b c");
        assert_eq!(one_line("ab cd", 4), "ab c");
        assert_eq!(one_line("ab cd", 3), "ab");
    }
}
