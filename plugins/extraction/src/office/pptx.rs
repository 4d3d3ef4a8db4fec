//! PowerPoint: a heading per slide, its texts, tables and diagrams, the speaker's notes.

use super::{list_item, main_part, properties, relations};
use crate::{
    grid::Grid,
    limits,
    output::{Output, Result, too_large},
    xml::{self, Xml, attribute, prefixed_attribute},
    zip::Archive,
};
use riad_sdk::{Extracted, ExtractionOptions, SectionKind};

const MEDIA_TYPE: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";

/// # Errors
/// `Malformed`, `Encrypted`, `NoText`, `TooLarge`.
pub fn extract(bytes: &[u8], options: ExtractionOptions) -> Result<Extracted> {
    let archive = Archive::open(bytes)?;
    let mut output = Output::new(MEDIA_TYPE, options);
    properties(&archive, "docProps/core.xml", &mut output)?;
    let main = main_part(&archive, "ppt/presentation.xml")?;
    let targets = relations(&archive, &main)?;
    let mut slides = Vec::new();
    xml::read(&archive, &main, |event| {
        if let Xml::Start("sldId", element) = event
            && let Some(slide) = prefixed_attribute(element, "id").and_then(|id| targets.get(&id))
        {
            if slides.len() >= limits::PARTS {
                return Err(too_large(format!(
                    "the presentation has more than {} slides",
                    limits::PARTS
                )));
            }
            slides.push(slide.target.clone());
        }
        Ok(())
    })?;
    for (index, slide) in slides.iter().enumerate().filter(|(_, slide)| archive.has(slide)) {
        output.end_headings()?;
        output.begin_page(u32::try_from(index + 1).unwrap_or(u32::MAX))?;
        let title = title(&archive, slide)?;
        output.heading(1, &title)?;
        output.suggest_title(&title);
        shapes(&archive, slide, false, &mut output)?;
        let mut others: Vec<_> = relations(&archive, slide)?
            .into_values()
            .filter(|other| archive.has(&other.target))
            .collect();
        others.sort_by(|a, b| a.target.cmp(&b.target));
        for other in others {
            if other.kind.ends_with("/diagramData") {
                shapes(&archive, &other.target, false, &mut output)?;
            } else if other.kind.ends_with("/notesSlide") {
                shapes(&archive, &other.target, true, &mut output)?;
            }
        }
    }
    output.finish("the slides have no text")
}

fn title(archive: &Archive<'_>, slide: &str) -> Result<String> {
    let (mut title, mut is_title, mut in_text) = (String::new(), false, false);
    xml::read(archive, slide, |event| {
        match event {
            Xml::Start("ph", element) => {
                is_title = placeholder_is_title(&attribute(element, "type").unwrap_or_default())
            }
            Xml::End("sp") => is_title = false,
            Xml::Start("t", _) => in_text = is_title,
            Xml::End("t") => in_text = false,
            Xml::End("p") | Xml::Start("br", _) if is_title => title.push(' '),
            Xml::Text(text) if in_text && title.len() < 10_000 => title.push_str(text),
            Xml::Start(..) | Xml::End(_) | Xml::Text(_) => {}
        }
        Ok(())
    })?;
    Ok(title)
}

fn placeholder_is_title(kind: &str) -> bool {
    matches!(kind, "title" | "ctrTitle")
}

/// The texts of a slide's shapes but its title and what stands on every slide. Of notes, only what the speaker wrote.
fn shapes(archive: &Archive<'_>, part: &str, is_notes: bool, output: &mut Output) -> Result<()> {
    let mut grid = Grid::default();
    let (mut text, mut in_text, mut is_left_out, mut level) = (String::new(), false, false, 0_usize);
    let mut any = false;
    xml::read(archive, part, |event| {
        match event {
            Xml::Start("sp", _) => is_left_out = is_notes,
            Xml::Start("ph", element) => {
                let kind = attribute(element, "type").unwrap_or_default();
                is_left_out = placeholder_is_title(&kind)
                    || matches!(kind.as_str(), "sldNum" | "dt" | "ftr" | "hdr" | "sldImg")
                    || is_notes && kind != "body";
            }
            Xml::End("sp") => is_left_out = false,
            Xml::Start("p", _) => {
                text.clear();
                level = 0;
            }
            Xml::Start("pPr", element) => {
                level = attribute(element, "lvl")
                    .and_then(|level| level.parse().ok())
                    .unwrap_or(0);
            }
            Xml::Start("t", _) => in_text = !is_left_out,
            Xml::End("t") => in_text = false,
            Xml::Start("br", _) => text.push('\n'),
            Xml::Text(more) if in_text => text.push_str(more),
            Xml::Start("tbl", _) => grid.start_table(),
            Xml::Start("tr", _) => grid.start_row(),
            Xml::Start("tc", _) => grid.start_cell(1),
            Xml::End("tc") => grid.end_cell(),
            Xml::End("tbl") => grid.end_table(output)?,
            Xml::End("p") => {
                let text = std::mem::take(&mut text);
                if grid.push(text.trim()) || text.trim().is_empty() {
                    return Ok(());
                }
                output.begin_kind(SectionKind::Prose)?;
                if is_notes && !any {
                    output.paragraph("Notes:")?;
                }
                any = true;
                match level {
                    0 => output.line(text.trim())?,
                    level => output.line(&list_item(level, &text))?,
                }
            }
            Xml::Start(..) | Xml::End(_) | Xml::Text(_) => {}
        }
        Ok(())
    })
}
