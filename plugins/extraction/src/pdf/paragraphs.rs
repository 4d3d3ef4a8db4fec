//! From the blocks of all pages to headings, paragraphs and rows.

use super::{
    headings::{Body, Headings, half_points},
    lines::Line,
    script::is_unspaced,
    tables::Block,
};
use crate::{
    output::{Output, Result},
    table::Rows,
};
use riad_sdk::SectionKind;

/// The gap up to which two lines are of one paragraph, in lines of the body.
const PARAGRAPH: f32 = 1.3;
/// An indented line begins a paragraph.
const INDENT: f32 = 0.8;
const BULLETS: [char; 10] = ['•', '‣', '◦', '▪', '∙', '●', '–', '○', '■', '□'];

pub struct Writer<'a> {
    output: &'a mut Output,
    body: &'a Body,
    headings: Headings<'a>,
    paragraph: String,
    /// The last line of the open paragraph.
    last: Option<Line>,
    /// Where the open paragraph began.
    page: u32,
    heading: Option<(u8, String, Line)>,
}

impl<'a> Writer<'a> {
    pub fn new(output: &'a mut Output, body: &'a Body, headings: Headings<'a>) -> Self {
        Self {
            output,
            body,
            headings,
            paragraph: String::new(),
            last: None,
            page: 1,
            heading: None,
        }
    }

    /// # Errors
    /// `TooLarge`.
    pub fn write(mut self, blocks: &[Block]) -> Result<()> {
        let mut above: Option<&Line> = None;
        for block in blocks {
            match block {
                Block::Line(line) => {
                    self.line(line, above)?;
                    above = Some(line);
                }
                Block::Table { page, rows } => {
                    self.end_heading()?;
                    self.end_paragraph()?;
                    self.table(*page, rows)?;
                    above = None;
                }
            }
        }
        self.end_heading()?;
        self.end_paragraph()
    }

    fn line(&mut self, line: &Line, above: Option<&Line>) -> Result<()> {
        let Some(level) = self.headings.level(line, above) else {
            self.end_heading()?;
            return self.text(line);
        };
        self.end_paragraph()?;
        if let Some((open, text, last)) = &mut self.heading
            && *open == level
            && half_points(last.size) == half_points(line.size)
            && last.is_close_to(line, 1.6)
        {
            text.push(' ');
            text.push_str(&line.text());
            *last = line.clone();
            return Ok(());
        }
        self.end_heading()?;
        self.heading = Some((level, line.text(), line.clone()));
        Ok(())
    }

    fn end_heading(&mut self) -> Result<()> {
        let Some((level, text, line)) = self.heading.take() else {
            return Ok(());
        };
        self.output.begin_page(line.page)?;
        if level == 0 {
            self.output.suggest_title(&text);
        }
        self.output.heading(level, &text)
    }

    fn text(&mut self, line: &Line) -> Result<()> {
        let text = line.text();
        let joined = self.last.as_ref().and_then(|last| self.joint(last, line, &text));
        match joined {
            Some(Joint::Hyphen) => {
                self.paragraph.pop();
            }
            Some(Joint::Between(separator)) => self.paragraph.push_str(separator),
            None => {
                self.end_paragraph()?;
                self.page = line.page;
            }
        }
        self.paragraph.push_str(&text);
        self.last = Some(line.clone());
        Ok(())
    }

    /// How a line goes on with the open paragraph; `None` if it begins one.
    fn joint(&self, last: &Line, line: &Line, text: &str) -> Option<Joint> {
        let is_alike =
            last.is_upright == line.is_upright && half_points(last.size).abs_diff(half_points(line.size)) <= 1;
        let is_ended = self
            .paragraph
            .ends_with(['.', '!', '?', ':', '。', '！', '？', '”', '"']);
        let continues = text.starts_with(|first: char| first.is_lowercase() || is_unspaced(first));
        let leading = (self.body.leading() / line.size.max(1.0)).clamp(1.0, 2.2);
        let is_below = last.is_close_to(line, PARAGRAPH * leading);
        // A paragraph may go on at the top of the next column or page.
        let goes_over = !last.is_close_to(line, f32::MAX) && !is_ended && continues;
        if !is_alike || !(is_below || goes_over) || self.paragraph.is_empty() {
            return None;
        }
        if is_below && is_ended && line.x0() > last.x0() + INDENT * line.size {
            return None;
        }
        if text.starts_with(BULLETS) {
            return Some(Joint::Between("\n"));
        }
        if self.paragraph.ends_with(is_unspaced) && text.starts_with(is_unspaced) {
            return Some(Joint::Between(""));
        }
        let mut end = self.paragraph.chars().rev();
        let is_cut = matches!(end.next(), Some('-' | '\u{2010}')) && end.next().is_some_and(char::is_alphabetic);
        if is_cut && text.starts_with(char::is_lowercase) {
            return Some(Joint::Hyphen);
        }
        Some(Joint::Between(" "))
    }

    fn end_paragraph(&mut self) -> Result<()> {
        self.last = None;
        let paragraph = std::mem::take(&mut self.paragraph);
        if paragraph.is_empty() {
            return Ok(());
        }
        self.output.begin_page(self.page)?;
        self.output.begin_kind(SectionKind::Prose)?;
        self.output.paragraph(&paragraph)
    }

    fn table(&mut self, page: u32, table: &[Vec<String>]) -> Result<()> {
        self.output.begin_page(page)?;
        self.output.end_section()?;
        let mut rows = Rows::new();
        for row in table {
            rows.write(self.output, row.iter().map(String::as_str))?;
        }
        rows.finish(self.output)
    }
}

enum Joint {
    /// The word was cut at the end of the line.
    Hyphen,
    Between(&'static str),
}
