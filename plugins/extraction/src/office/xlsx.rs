//! Excel: rows of the sheets as lines. Cells are read as they come, never the rectangle around them, which two far cells make 17 billion
//! large.

use super::{main_part, number::NumberFormat, properties, relations};
use crate::{
    limits,
    output::{Output, Result, too_large},
    table::Rows,
    xml::{self, Xml, attribute, prefixed_attribute},
    zip::Archive,
};
use riad_sdk::{Extracted, ExtractionOptions};
use std::collections::HashMap;

const MEDIA_TYPE: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// # Errors
/// `Malformed`, `Encrypted`, `NoText`, `TooLarge`.
pub fn extract(bytes: &[u8], options: ExtractionOptions) -> Result<Extracted> {
    let archive = Archive::open(bytes)?;
    let mut output = Output::new(MEDIA_TYPE, options);
    properties(&archive, "docProps/core.xml", &mut output)?;
    let main = main_part(&archive, "xl/workbook.xml")?;
    let targets = relations(&archive, &main)?;
    let (mut sheets, mut is_1904) = (Vec::new(), false);
    xml::read(&archive, &main, |event| {
        match event {
            Xml::Start("sheet", element) => {
                if sheets.len() >= limits::PARTS {
                    return Err(too_large(format!(
                        "the workbook has more than {} sheets",
                        limits::PARTS
                    )));
                }
                let part = prefixed_attribute(element, "id")
                    .and_then(|id| targets.get(&id))
                    .map(|target| target.target.clone());
                let is_hidden = attribute(element, "state").is_some_and(|state| state != "visible");
                sheets.push((attribute(element, "name").unwrap_or_default(), part, is_hidden));
            }
            Xml::Start("workbookPr", element) => {
                is_1904 = attribute(element, "date1904").is_some_and(|value| matches!(value.as_str(), "1" | "true"));
            }
            Xml::Start(..) | Xml::End(_) | Xml::Text(_) => {}
        }
        Ok(())
    })?;
    let book = Book {
        formats: formats(&archive)?,
        shared: Shared::read(&archive)?,
        is_1904,
    };
    for (index, (name, part, is_hidden)) in sheets.iter().enumerate() {
        let Some(part) = part.as_ref().filter(|part| archive.has(part)) else {
            continue;
        };
        if *is_hidden {
            output.warn(&format!("the sheet {name} is hidden and was not read"));
            continue;
        }
        output.end_headings()?;
        output.begin_page(u32::try_from(index + 1).unwrap_or(u32::MAX))?;
        book.sheet(&archive, part, name, &mut output)?;
    }
    output.finish("the sheets have no cells with text")
}

/// The number format of each style of cells.
fn formats(archive: &Archive<'_>) -> Result<Vec<NumberFormat>> {
    let mut formats = Vec::new();
    if !archive.has("xl/styles.xml") {
        return Ok(formats);
    }
    let (mut codes, mut in_cells) = (HashMap::new(), false);
    xml::read(archive, "xl/styles.xml", |event| {
        match event {
            Xml::Start("numFmt", element) => {
                let id = attribute(element, "numFmtId").and_then(|id| id.parse::<u32>().ok());
                if let (Some(id), Some(code)) = (id, attribute(element, "formatCode")) {
                    codes.insert(id, code);
                }
            }
            Xml::Start("cellXfs", _) => in_cells = true,
            Xml::End("cellXfs") => in_cells = false,
            Xml::Start("xf", element) if in_cells && formats.len() < 1 << 17 => {
                let id = attribute(element, "numFmtId")
                    .and_then(|id| id.parse().ok())
                    .unwrap_or(0);
                formats.push(NumberFormat::of(id, codes.get(&id).map(String::as_str)));
            }
            Xml::Start(..) | Xml::End(_) | Xml::Text(_) => {}
        }
        Ok(())
    })?;
    Ok(formats)
}

/// The texts that cells share, in one buffer.
#[derive(Default)]
struct Shared {
    text: String,
    ends: Vec<u32>,
}

impl Shared {
    fn read(archive: &Archive<'_>) -> Result<Self> {
        let mut shared = Self::default();
        if !archive.has("xl/sharedStrings.xml") {
            return Ok(shared);
        }
        let (mut in_text, mut phonetic) = (false, 0_usize);
        xml::read(archive, "xl/sharedStrings.xml", |event| {
            match event {
                // How Japanese words are spoken.
                Xml::Start("rPh", _) => phonetic += 1,
                Xml::End("rPh") => phonetic = phonetic.saturating_sub(1),
                Xml::Start("t", _) => in_text = phonetic == 0,
                Xml::End("t") => in_text = false,
                Xml::Text(text) if in_text => {
                    if shared.text.len() + text.len() > limits::SHARED_BYTES {
                        return Err(too_large(format!(
                            "the workbook has more than {} bytes of shared texts",
                            limits::SHARED_BYTES
                        )));
                    }
                    shared.text.push_str(text);
                }
                Xml::End("si") => {
                    if shared.ends.len() >= limits::SHARED_STRINGS {
                        return Err(too_large(format!(
                            "the workbook has more than {} shared texts",
                            limits::SHARED_STRINGS
                        )));
                    }
                    shared.ends.push(u32::try_from(shared.text.len()).unwrap_or(u32::MAX));
                }
                Xml::Start(..) | Xml::End(_) | Xml::Text(_) => {}
            }
            Ok(())
        })?;
        Ok(shared)
    }

    fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        let start = index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .map_or(0, |end| *end as usize);
        self.text.get(start..end)
    }
}

struct Book {
    formats: Vec<NumberFormat>,
    shared: Shared,
    is_1904: bool,
}

#[derive(Default)]
struct Cell {
    column: usize,
    kind: String,
    style: Option<usize>,
    text: String,
}

impl Book {
    fn sheet(&self, archive: &Archive<'_>, part: &str, name: &str, output: &mut Output) -> Result<()> {
        let mut rows = Rows::new();
        let mut row: Vec<String> = Vec::new();
        let mut cell = Cell::default();
        let (mut next_column, mut in_text, mut is_headed, mut is_cut) = (0_usize, false, false, false);
        xml::read(archive, part, |event| {
            match event {
                Xml::Start("row", _) => {
                    row.clear();
                    next_column = 0;
                }
                Xml::Start("c", element) => {
                    let column = attribute(element, "r").and_then(|reference| column(&reference));
                    cell = Cell {
                        column: column.unwrap_or(next_column),
                        kind: attribute(element, "t").unwrap_or_default(),
                        style: attribute(element, "s").and_then(|style| style.parse().ok()),
                        text: String::new(),
                    };
                }
                Xml::Start("v" | "t", _) => in_text = true,
                Xml::End("v" | "t") => in_text = false,
                Xml::Text(text) if in_text => cell.text.push_str(text),
                Xml::End("c") => {
                    let shown = self.show(&cell);
                    next_column = cell.column.saturating_add(1);
                    is_cut |= cell.column >= limits::COLUMNS && !shown.is_empty();
                    if !shown.is_empty() && cell.column < limits::COLUMNS {
                        if row.len() <= cell.column {
                            row.resize(cell.column + 1, String::new());
                        }
                        if let Some(place) = row.get_mut(cell.column) {
                            *place = shown;
                        }
                    }
                }
                Xml::End("row") if !row.is_empty() => {
                    if !is_headed {
                        output.heading(1, name)?;
                        is_headed = true;
                    }
                    rows.write(output, row.iter().map(String::as_str))?;
                }
                Xml::Start(..) | Xml::End(_) | Xml::Text(_) => {}
            }
            Ok(())
        })?;
        if is_cut {
            output.warn(&format!(
                "columns after the first {} of the sheet {name} were not read",
                limits::COLUMNS
            ));
        }
        rows.finish(output)
    }

    fn show(&self, cell: &Cell) -> String {
        match cell.kind.as_str() {
            "s" => {
                let index = cell.text.trim().parse().ok();
                index
                    .and_then(|index| self.shared.get(index))
                    .unwrap_or_default()
                    .to_string()
            }
            "b" => if cell.text.trim() == "1" { "true" } else { "false" }.to_string(),
            "" | "n" => {
                let format = cell.style.and_then(|style| self.formats.get(style)).copied();
                format.unwrap_or(NumberFormat::Plain).show(&cell.text, self.is_1904)
            }
            _ => cell.text.clone(),
        }
    }
}

/// The column of a reference such as `BC12`, from 0.
fn column(reference: &str) -> Option<usize> {
    let letters = reference.bytes().take_while(u8::is_ascii_uppercase);
    let column = letters.fold(0_usize, |column, letter| {
        column.saturating_mul(26).saturating_add(usize::from(letter - b'A') + 1)
    });
    column.checked_sub(1)
}
