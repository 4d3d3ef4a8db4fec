//! Tables of documents, which may stand in each other's cells. A table of data becomes rows, one that is there for its layout paragraphs.

use crate::{
    limits,
    output::{Output, Result, one_line},
    table::{self, Rows},
};
use riad_sdk::SectionKind;

/// Mean bytes of the cells of a table that is there for its layout.
const LAYOUT_CELL: usize = 200;
/// Columns that one cell may span.
const SPAN: usize = 50;

#[derive(Default)]
pub struct Grid {
    /// Outermost first.
    tables: Vec<Table>,
}

#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
    cell: Option<String>,
    span: usize,
    /// Whether cells were left out, because their row has more than [`limits::COLUMNS`].
    is_cut: bool,
}

impl Grid {
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    pub fn start_table(&mut self) {
        self.tables.push(Table::default());
    }

    pub fn start_row(&mut self) {
        if let Some(table) = self.tables.last_mut() {
            table.rows.push(Vec::new());
        }
    }

    /// `span` is the number of columns of the cell.
    pub fn start_cell(&mut self, span: usize) {
        if let Some(table) = self.tables.last_mut() {
            if table.rows.is_empty() {
                table.rows.push(Vec::new());
            }
            table.cell = Some(String::new());
            table.span = span.clamp(1, SPAN);
        }
    }

    /// Adds a paragraph to the open cell. `false`: none is open.
    pub fn push(&mut self, text: &str) -> bool {
        let Some(cell) = self.tables.last_mut().and_then(|table| table.cell.as_mut()) else {
            return false;
        };
        if !text.trim().is_empty() {
            if !cell.is_empty() {
                cell.push('\n');
            }
            cell.push_str(text);
        }
        true
    }

    pub fn end_cell(&mut self) {
        let Some(table) = self.tables.last_mut() else {
            return;
        };
        let (Some(cell), Some(row)) = (table.cell.take(), table.rows.last_mut()) else {
            return;
        };
        if row.len() >= limits::COLUMNS {
            table.is_cut |= !cell.is_empty();
            return;
        }
        row.push(cell);
        row.extend(std::iter::repeat_n(String::new(), table.span.saturating_sub(1)));
    }

    /// # Errors
    /// `TooLarge`.
    pub fn end_table(&mut self, output: &mut Output) -> Result<()> {
        let Some(table) = self.tables.pop() else {
            return Ok(());
        };
        // A table in a cell is text of that cell.
        if !self.tables.is_empty() {
            for row in &table.rows {
                let cells = row.iter().map(|cell| one_line(cell, usize::MAX));
                let row: Vec<String> = cells.filter(|cell| !cell.is_empty()).collect();
                self.push(&row.join(" | "));
            }
            return Ok(());
        }
        let cells = table.rows.iter().flatten().filter(|cell| !cell.is_empty());
        let (count, bytes) = cells.fold((0, 0), |(count, bytes), cell| (count + 1, bytes + cell.len()));
        let has_rows = table.rows.iter().filter(|row| row.len() > 1).count() > 1;
        if !has_rows || bytes >= LAYOUT_CELL * count {
            if table.is_cut {
                table::warn_of_cut(output);
            }
            output.begin_kind(SectionKind::Prose)?;
            for paragraph in table.rows.iter().flatten().flat_map(|cell| cell.split('\n')) {
                output.paragraph(paragraph)?;
            }
            return Ok(());
        }
        output.end_section()?;
        let mut rows = Rows::new();
        if table.is_cut {
            rows.note_cut();
        }
        for row in &table.rows {
            rows.write(output, row.iter().map(String::as_str))?;
        }
        rows.finish(output)
    }
}
