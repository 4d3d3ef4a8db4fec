//! Word documents: paragraphs, headings by style or outline level, lists, tables, notes and comments.

use super::{list_item, main_part, properties, relations};
use crate::{
    grid::Grid,
    output::{Output, Result},
    xml::{self, Xml, attribute},
    zip::Archive,
};
use riad_sdk::{Extracted, ExtractionOptions, SectionKind};
use std::collections::HashMap;

const MEDIA_TYPE: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
/// Styles that may be based on each other in a row.
const INHERITED: usize = 20;

/// # Errors
/// `Malformed`, `Encrypted`, `NoText`, `TooLarge`.
pub fn extract(bytes: &[u8], options: ExtractionOptions) -> Result<Extracted> {
    let archive = Archive::open(bytes)?;
    let mut output = Output::new(MEDIA_TYPE, options);
    properties(&archive, "docProps/core.xml", &mut output)?;
    let main = main_part(&archive, "word/document.xml")?;
    let styles = Styles::read(&archive)?;
    body(&archive, &main, &styles, &mut output)?;
    let mut notes: Vec<String> = relations(&archive, &main)?
        .into_values()
        .filter(|relation| {
            ["/footnotes", "/endnotes", "/comments"]
                .iter()
                .any(|kind| relation.kind.ends_with(kind))
        })
        .map(|relation| relation.target)
        .filter(|target| archive.has(target))
        .collect();
    notes.sort();
    for part in notes {
        output.end_headings()?;
        body(&archive, &part, &styles, &mut output)?;
    }
    output.finish("the document has no text")
}

#[derive(Default, Clone)]
struct Style {
    /// 0 is the document's title.
    level: Option<u8>,
    is_list: bool,
    based_on: Option<String>,
}

struct Styles(HashMap<String, Style>);

impl Styles {
    fn read(archive: &Archive<'_>) -> Result<Self> {
        let mut styles = HashMap::new();
        if !archive.has("word/styles.xml") {
            return Ok(Self(styles));
        }
        let mut id = String::new();
        let mut style = Style::default();
        xml::read(archive, "word/styles.xml", |event| {
            match event {
                Xml::Start("style", element) => {
                    id = attribute(element, "styleId").unwrap_or_default();
                    style = Style::default();
                }
                Xml::Start("name", element) => {
                    // Word writes these names in English whatever language it speaks.
                    let name = attribute(element, "val").unwrap_or_default().to_lowercase();
                    let level = name.strip_prefix("heading ").and_then(|level| level.parse().ok());
                    style.level = if name == "title" {
                        Some(0)
                    } else {
                        level.or(style.level)
                    };
                }
                Xml::Start("basedOn", element) => style.based_on = attribute(element, "val"),
                Xml::Start("outlineLvl", element) => style.level = style.level.or(outline_level(element)),
                Xml::Start("numPr", _) => style.is_list = true,
                Xml::End("style") => {
                    styles.insert(std::mem::take(&mut id), std::mem::take(&mut style));
                }
                Xml::Start(..) | Xml::End(_) | Xml::Text(_) => {}
            }
            Ok(())
        })?;
        Ok(Self(styles))
    }

    /// The style with what it has of those that it is based on.
    fn find(&self, id: &str) -> Style {
        let mut found = self.0.get(id).cloned().unwrap_or_default();
        for _ in 0..INHERITED {
            let Some(base) = found.based_on.take().and_then(|base| self.0.get(&base)) else {
                break;
            };
            // The title's followers, such as a subtitle, are no titles.
            found.level = found.level.or(base.level.filter(|level| *level > 0));
            found.is_list |= base.is_list;
            found.based_on.clone_from(&base.based_on);
        }
        found
    }
}

fn outline_level(element: &quick_xml::events::BytesStart<'_>) -> Option<u8> {
    let level: u8 = attribute(element, "val")?.parse().ok()?;
    (level < 9).then_some(level + 1)
}

#[derive(Default)]
struct Paragraph {
    text: String,
    level: Option<u8>,
    list: Option<usize>,
}

fn body(archive: &Archive<'_>, part: &str, styles: &Styles, output: &mut Output) -> Result<()> {
    // A text box stands in a paragraph and has paragraphs of its own.
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    let mut grid = Grid::default();
    let (mut in_text, mut dropped) = (false, 0_usize);
    xml::read(archive, part, |event| {
        let mut paragraph = paragraphs.last_mut();
        match (event, &mut paragraph) {
            // What was deleted, and what repeats a drawing for older programs.
            (Xml::Start("Fallback" | "del" | "moveFrom", _), _) => dropped += 1,
            (Xml::End("Fallback" | "del" | "moveFrom"), _) => dropped = dropped.saturating_sub(1),
            (_, _) if dropped > 0 => {}
            (Xml::Start("p", _), _) => paragraphs.push(Paragraph::default()),
            (Xml::End("p"), _) => {
                if let Some(paragraph) = paragraphs.pop() {
                    write(&paragraph, &mut grid, output)?;
                }
            }
            (Xml::Start("pStyle", element), Some(paragraph)) => {
                let style = styles.find(&attribute(element, "val").unwrap_or_default());
                paragraph.level = style.level;
                paragraph.list = style.is_list.then_some(0);
            }
            (Xml::Start("outlineLvl", element), Some(paragraph)) => {
                paragraph.level = outline_level(element).or(paragraph.level);
            }
            (Xml::Start("numPr", _), Some(paragraph)) => {
                paragraph.list.get_or_insert(0);
            }
            (Xml::Start("ilvl", element), Some(paragraph)) => {
                paragraph.list = attribute(element, "val")
                    .and_then(|level| level.parse().ok())
                    .or(paragraph.list);
            }
            (Xml::Start("t", _), _) => in_text = true,
            (Xml::End("t"), _) => in_text = false,
            (Xml::Text(text), Some(paragraph)) if in_text => paragraph.text.push_str(text),
            (Xml::Start("tab", _), Some(paragraph)) => paragraph.text.push('\t'),
            (Xml::Start("br" | "cr", _), Some(paragraph)) => paragraph.text.push('\n'),
            (Xml::Start("noBreakHyphen", _), Some(paragraph)) => paragraph.text.push('-'),
            (Xml::Start("tbl", _), _) => grid.start_table(),
            (Xml::Start("tr", _), _) => grid.start_row(),
            (Xml::Start("tc", _), _) => grid.start_cell(1),
            (Xml::End("tc"), _) => grid.end_cell(),
            (Xml::End("tbl"), _) => grid.end_table(output)?,
            _ => {}
        }
        Ok(())
    })
}

fn write(paragraph: &Paragraph, grid: &mut Grid, output: &mut Output) -> Result<()> {
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
    match paragraph.list {
        Some(level) => output.line(&list_item(level, text)),
        None => output.paragraph(text),
    }
}
