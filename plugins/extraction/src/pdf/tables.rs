//! Finds the tables of a page: lines whose cells stand at the same x positions. Not here: making lines (`lines`).

use super::lines::{Cell, Line};

/// Gap between two rows, in sizes of the font.
const ROW_GAP: f32 = 3.2;
/// Gap to a line that goes on with a cell above it.
const CONTINUED_GAP: f32 = 1.6;
/// Mean characters of cells that are columns of text instead.
const TEXT_CELL: usize = 45;
const COLUMNS: usize = 60;

pub enum Block {
    Line(Line),
    /// Each row has as many cells as the table has columns; some are empty.
    Table {
        page: u32,
        rows: Vec<Vec<String>>,
    },
}

/// The lines of one page, those of tables together.
pub fn blocks(lines: Vec<Line>) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut rest = lines.as_slice();
    while let Some((first, after)) = rest.split_first() {
        let length = run_length(rest);
        let (run, left) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        match table(run) {
            Some(Found::Table(rows)) => {
                blocks.push(Block::Table { page: first.page, rows });
                rest = left;
            }
            Some(Found::Text(columns)) => {
                blocks.extend(columns.into_iter().map(Block::Line));
                rest = left;
            }
            None => {
                blocks.push(Block::Line(first.clone()));
                rest = after;
            }
        }
    }
    blocks
}

/// How many lines from the first may be one table: it has several cells, and so has at least every third below it.
fn run_length(lines: &[Line]) -> usize {
    let Some(first) = lines.first().filter(|line| line.cells.len() > 1 && line.is_upright) else {
        return 0;
    };
    let (mut length, mut singles) = (1, 0);
    let mut before = first;
    for (index, line) in lines.iter().enumerate().skip(1) {
        if !before.is_close_to(line, ROW_GAP) || line.level.is_some() {
            break;
        }
        if line.cells.len() > 1 {
            singles = 0;
            length = index + 1;
        } else {
            singles += 1;
            if singles > 2 || !before.is_close_to(line, CONTINUED_GAP) {
                break;
            }
        }
        before = line;
    }
    // What stands under the last row may belong to one of its cells.
    while let (Some(last), Some(line)) = (lines.get(length - 1), lines.get(length)) {
        if line.cells.len() != 1 || line.x0() < first.x0() + 2.0 * first.size || !last.is_close_to(line, 1.35) {
            break;
        }
        length += 1;
    }
    length
}

enum Found {
    Table(Vec<Vec<String>>),
    Text(Vec<Line>),
}

fn table(run: &[Line]) -> Option<Found> {
    let most = run.iter().map(|line| line.cells.len()).max()?;
    let full: Vec<&Line> = run.iter().filter(|line| line.cells.len() == most).collect();
    let several = run.iter().filter(|line| line.cells.len() > 1).count();
    if most > COLUMNS || several < 2 || (most == 2 && several < 3) {
        return None;
    }
    let columns = columns(&full);
    // If the cells of a column do not stand above each other, they melt together.
    if columns.len() < 2 || columns.len() * 10 < most * 7 || full.len() < 2 && several < 4 {
        return None;
    }
    let cells = || run.iter().flat_map(|line| &line.cells);
    let mean = cells().map(|cell| cell.text.chars().count()).sum::<usize>() / cells().count().max(1);
    if columns.len() <= 3 && mean > TEXT_CELL {
        return Some(Found::Text(text_columns(run, &columns)));
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut before: Option<&Line> = None;
    for line in run {
        let placed: Vec<(usize, &Cell)> = line
            .cells
            .iter()
            .map(|cell| (column_of(cell, &columns), cell))
            .collect();
        let goes_on = line.cells.len() < most
            && placed.iter().all(|(column, _)| *column > 0)
            && before.is_some_and(|before| before.is_close_to(line, CONTINUED_GAP));
        if !goes_on {
            rows.push(vec![String::new(); columns.len()]);
        }
        if let Some(row) = rows.last_mut() {
            for (column, cell) in placed {
                if let Some(place) = row.get_mut(column) {
                    if !place.is_empty() {
                        place.push(' ');
                    }
                    place.push_str(&cell.text);
                }
            }
        }
        before = Some(line);
    }
    Some(Found::Table(rows))
}

/// Where the columns are: what the cells of all full lines cover, without the gaps that all of them leave.
fn columns(full: &[&Line]) -> Vec<(f32, f32)> {
    let mut spans: Vec<(f32, f32)> = full
        .iter()
        .flat_map(|line| &line.cells)
        .map(|cell| (cell.x0, cell.x1))
        .collect();
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut columns: Vec<(f32, f32)> = Vec::new();
    for (x0, x1) in spans {
        match columns.last_mut() {
            Some(column) if x0 < column.1 + 1.0 => column.1 = column.1.max(x1),
            _ => columns.push((x0, x1)),
        }
    }
    columns
}

/// The column that a cell covers most of, else the nearest.
fn column_of(cell: &Cell, columns: &[(f32, f32)]) -> usize {
    let overlap = |(x0, x1): (f32, f32)| x1.min(cell.x1) - x0.max(cell.x0);
    let best = columns
        .iter()
        .enumerate()
        .max_by(|(_, a), (_, b)| overlap(**a).total_cmp(&overlap(**b)));
    best.map_or(0, |(index, _)| index)
}

/// Lines of text in columns, column by column.
fn text_columns(run: &[Line], columns: &[(f32, f32)]) -> Vec<Line> {
    let mut lines = Vec::new();
    for index in 0..columns.len() {
        for line in run {
            let cells = line.cells.iter().filter(|cell| column_of(cell, columns) == index);
            let cells: Vec<Cell> = cells.cloned().collect();
            if !cells.is_empty() {
                lines.push(Line { cells, ..line.clone() });
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells with their x positions; each line 14 points under the one before.
    fn page(lines: &[&[(&str, f32)]]) -> Vec<Line> {
        let line = |(index, cells): (usize, &&[(&str, f32)])| Line {
            page: 1,
            y: 700.0 - 14.0 * index as f32,
            size: 10.0,
            is_upright: true,
            level: None,
            ink: Vec::new(),
            cells: cells
                .iter()
                .map(|(text, x0)| Cell {
                    text: (*text).to_string(),
                    x0: *x0,
                    x1: x0 + 5.0 * text.len() as f32,
                })
                .collect(),
        };
        lines.iter().enumerate().map(line).collect()
    }

    fn tables(lines: Vec<Line>) -> Vec<Vec<Vec<String>>> {
        let rows = |block| match block {
            Block::Table { rows, .. } => Some(rows),
            Block::Line(_) => None,
        };
        blocks(lines).into_iter().filter_map(rows).collect()
    }

    #[test]
    fn aligned_cells_are_a_table() {
        let found = tables(page(&[
            &[("A paragraph before it.", 0.0)],
            &[("Country", 0.0), ("Price", 100.0), ("Days", 200.0)],
            &[("Austria", 0.0), ("5.00", 105.0), ("2", 210.0)],
            &[("France", 0.0), ("12.00", 100.0), ("14", 205.0)],
            &[("and a paragraph that follows it, which is a good deal longer.", 0.0)],
        ]));
        assert_eq!(
            found,
            [vec![
                vec!["Country", "Price", "Days"],
                vec!["Austria", "5.00", "2"],
                vec!["France", "12.00", "14"]
            ]]
        );
    }

    #[test]
    fn a_cell_may_go_on_or_be_empty() {
        let found = tables(page(&[
            &[("Fee", 0.0), ("For", 100.0), ("Euro", 300.0)],
            &[("Transfer", 0.0), ("each transfer to", 100.0), ("2", 300.0)],
            &[("another bank", 100.0)],
            &[("Card", 0.0), ("1", 300.0)],
            &[("Cash", 0.0), ("each time", 100.0), ("3", 300.0)],
        ]));
        assert_eq!(
            found,
            [vec![
                vec!["Fee", "For", "Euro"],
                vec!["Transfer", "each transfer to another bank", "2"],
                vec!["Card", "", "1"],
                vec!["Cash", "each time", "3"]
            ]]
        );
    }

    #[test]
    fn wide_gaps_in_text_are_no_table() {
        let found = tables(page(&[
            &[("Justified text has", 0.0), ("gaps", 110.0)],
            &[("that", 0.0), ("stand wherever they happen", 60.0)],
            &[("to stand in the line and", 0.0), ("do not", 140.0)],
        ]));
        assert!(found.is_empty());
    }

    #[test]
    fn columns_drawn_line_by_line_are_text() {
        let left = "a line of the column on the left of the page, with words";
        let right = "another line of the column on the right, with words too";
        let lines = page(&[
            &[(left, 0.0), (right, 300.0)],
            &[(left, 0.0), (right, 300.0)],
            &[(left, 0.0), (right, 300.0)],
        ]);
        let texts: Vec<String> = blocks(lines)
            .iter()
            .map(|block| match block {
                Block::Line(line) => line.text(),
                Block::Table { .. } => "table".to_string(),
            })
            .collect();
        assert_eq!(texts, [left, left, left, right, right, right]);
    }
}
