//! OpenDocument: texts, presentations and spreadsheets, whose content is one part.

use crate::{
    grid::Grid,
    limits,
    office::{list_item, properties},
    output::{Output, Result, one_line, too_large},
    table::Rows,
    xml::{self, Xml, attribute},
    zip::Archive,
};
use quick_xml::events::BytesStart;
use riad_sdk::{Extracted, ExtractionError, ExtractionOptions, SectionKind};

const CONTENT: &str = "content.xml";
/// Spaces that one element may stand for.
const SPACES: usize = 100;

/// # Errors
/// `Malformed`, `Encrypted`, `NoText`, `TooLarge`.
pub fn text(bytes: &[u8], options: ExtractionOptions) -> Result<Extracted> {
    document(bytes, "application/vnd.oasis.opendocument.text", options)
}

/// # Errors
/// As [`text`].
pub fn presentation(bytes: &[u8], options: ExtractionOptions) -> Result<Extracted> {
    document(bytes, "application/vnd.oasis.opendocument.presentation", options)
}

fn open<'a>(bytes: &'a [u8], output: &mut Output) -> Result<Archive<'a>> {
    let archive = Archive::open(bytes)?;
    let manifest = "META-INF/manifest.xml";
    if archive.has(manifest) {
        xml::read(&archive, manifest, |event| match event {
            Xml::Start("encryption-data", _) => Err(ExtractionError::Encrypted),
            Xml::Start(..) | Xml::End(_) | Xml::Text(_) => Ok(()),
        })?;
    }
    properties(&archive, "meta.xml", output)?;
    Ok(archive)
}

#[derive(Default)]
struct Paragraph {
    text: String,
    level: Option<u8>,
}

fn document(bytes: &[u8], media_type: &'static str, options: ExtractionOptions) -> Result<Extracted> {
    let mut output = Output::new(media_type, options);
    let archive = open(bytes, &mut output)?;
    let mut grid = Grid::default();
    // A note stands in a paragraph and has paragraphs of its own.
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    let (mut lists, mut dropped, mut pages, mut is_title) = (0_usize, 0_usize, 0_usize, false);
    xml::read(&archive, CONTENT, |event| {
        match event {
            // What was deleted, and how Japanese words are spoken.
            Xml::Start("tracked-changes" | "ruby-text", _) => dropped += 1,
            Xml::End("tracked-changes" | "ruby-text") => dropped = dropped.saturating_sub(1),
            _ if dropped > 0 => {}
            Xml::Start("page", _) => {
                pages += 1;
                if pages > limits::PARTS {
                    return Err(too_large(format!(
                        "the presentation has more than {} slides",
                        limits::PARTS
                    )));
                }
                output.end_headings()?;
                output.begin_page(u32::try_from(pages).unwrap_or(u32::MAX))?;
            }
            Xml::Start("frame", element) => {
                is_title = attribute(element, "class").is_some_and(|class| class == "title")
            }
            Xml::End("frame") => is_title = false,
            Xml::Start("h", element) => paragraphs.push(Paragraph {
                text: String::new(),
                level: Some(
                    attribute(element, "outline-level")
                        .and_then(|level| level.parse().ok())
                        .unwrap_or(1),
                ),
            }),
            Xml::Start("p", element) => {
                let is_title = is_title || attribute(element, "style-name").is_some_and(|style| style == "Title");
                paragraphs.push(Paragraph {
                    text: String::new(),
                    level: is_title.then_some(if pages > 0 { 1 } else { 0 }),
                });
            }
            Xml::End("h" | "p") => {
                if let Some(paragraph) = paragraphs.pop() {
                    write(&paragraph, lists, &mut grid, &mut output)?;
                }
            }
            Xml::Start("list", _) => lists += 1,
            Xml::End("list") => lists = lists.saturating_sub(1),
            Xml::Start(name, element) if is_space(name) => {
                if let Some(paragraph) = paragraphs.last_mut() {
                    push_space(name, element, &mut paragraph.text);
                }
            }
            Xml::Text(text) => {
                if let Some(paragraph) = paragraphs.last_mut() {
                    paragraph.text.push_str(text);
                }
            }
            Xml::Start("table", _) => grid.start_table(),
            Xml::Start("table-row", _) => grid.start_row(),
            Xml::Start("table-cell", element) => grid.start_cell(repeated(element, "number-columns-spanned")),
            Xml::End("table-cell") => grid.end_cell(),
            Xml::End("table") => grid.end_table(&mut output)?,
            Xml::Start(..) | Xml::End(_) => {}
        }
        Ok(())
    })?;
    output.finish("the document has no text")
}

fn write(paragraph: &Paragraph, lists: usize, grid: &mut Grid, output: &mut Output) -> Result<()> {
    let text = paragraph.text.trim();
    if grid.push(text) || text.is_empty() {
        return Ok(());
    }
    if let Some(level) = paragraph.level {
        if level <= 1 {
            output.suggest_title(text);
        }
        return output.heading(level, text);
    }
    output.begin_kind(SectionKind::Prose)?;
    match lists.checked_sub(1) {
        Some(level) => output.line(&list_item(level, text)),
        None => output.paragraph(text),
    }
}

fn is_space(name: &str) -> bool {
    matches!(name, "s" | "tab" | "line-break")
}

fn push_space(name: &str, element: &BytesStart<'_>, text: &mut String) {
    match name {
        "tab" => text.push('\t'),
        "line-break" => text.push('\n'),
        _ => {
            let count = attribute(element, "c")
                .and_then(|count| count.parse().ok())
                .unwrap_or(1);
            text.extend(std::iter::repeat_n(' ', usize::min(count, SPACES)));
        }
    }
}

fn repeated(element: &BytesStart<'_>, name: &str) -> usize {
    attribute(element, name)
        .and_then(|count| count.parse().ok())
        .unwrap_or(1)
}

/// Rows that are repeated are written once: a sheet's last row is often repeated a million times.
///
/// # Errors
/// `Malformed`, `Encrypted`, `NoText`, `TooLarge`.
pub fn spreadsheet(bytes: &[u8], options: ExtractionOptions) -> Result<Extracted> {
    let mut output = Output::new("application/vnd.oasis.opendocument.spreadsheet", options);
    let archive = open(bytes, &mut output)?;
    let mut rows: Option<Rows> = None;
    let mut row: Vec<String> = Vec::new();
    let (mut cell, mut columns, mut in_text, mut sheets) = (String::new(), 1, 0_usize, 0_usize);
    xml::read(&archive, CONTENT, |event| {
        match event {
            Xml::Start("table", element) => {
                sheets += 1;
                if sheets > limits::PARTS {
                    return Err(too_large(format!("the file has more than {} sheets", limits::PARTS)));
                }
                output.end_headings()?;
                output.begin_page(u32::try_from(sheets).unwrap_or(u32::MAX))?;
                output.heading(1, &attribute(element, "name").unwrap_or_default())?;
                rows = Some(Rows::new());
            }
            Xml::End("table") => {
                if let Some(rows) = rows.take() {
                    rows.finish(&mut output)?;
                }
            }
            Xml::Start("table-row", _) => row.clear(),
            Xml::Start("table-cell" | "covered-table-cell", element) => {
                cell.clear();
                columns = repeated(element, "number-columns-repeated");
            }
            Xml::Start("p", _) => {
                in_text += 1;
                if !cell.is_empty() {
                    cell.push('\n');
                }
            }
            Xml::End("p") => in_text = in_text.saturating_sub(1),
            Xml::Start(name, element) if is_space(name) && in_text > 0 => push_space(name, element, &mut cell),
            Xml::Text(text) if in_text > 0 => cell.push_str(text),
            Xml::End("table-cell" | "covered-table-cell") => {
                let cell = one_line(&cell, usize::MAX);
                let left = limits::COLUMNS - row.len().min(limits::COLUMNS);
                if columns > left
                    && !cell.is_empty()
                    && let Some(rows) = &mut rows
                {
                    rows.note_cut();
                }
                let columns = columns.min(left);
                row.extend(std::iter::repeat_n(cell, columns));
            }
            Xml::End("table-row") => {
                if let Some(rows) = &mut rows {
                    rows.write(&mut output, row.iter().map(String::as_str))?;
                }
            }
            Xml::Start(..) | Xml::End(_) | Xml::Text(_) => {}
        }
        Ok(())
    })?;
    output.finish("the sheets have no cells with text")
}
