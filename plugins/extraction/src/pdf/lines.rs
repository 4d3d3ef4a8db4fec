//! From a page's fragments to lines, each with one cell or several. Not here: which lines are tables (`tables`).

use super::glyphs::Fragment;

#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    pub text: String,
    pub x0: f32,
    pub x1: f32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// From 1.
    pub page: u32,
    pub y: f32,
    pub size: f32,
    pub is_upright: bool,
    pub level: Option<u8>,
    pub ink: Vec<(char, f32)>,
    /// From left to right; at least one.
    pub cells: Vec<Cell>,
}

impl Line {
    pub fn x0(&self) -> f32 {
        self.cells.first().map_or(0.0, |cell| cell.x0)
    }

    pub fn x1(&self) -> f32 {
        self.cells.last().map_or(0.0, |cell| cell.x1)
    }

    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.cells.iter().map(|cell| cell.text.as_str()).collect();
        texts.join(" ")
    }

    pub fn characters(&self) -> usize {
        self.cells.iter().map(|cell| cell.text.chars().count()).sum()
    }

    /// Whether `below` is the next line of the same text: no more than `most` sizes under this one, and not beside it.
    pub fn is_close_to(&self, below: &Self, most: f32) -> bool {
        let gap = self.y - below.y;
        self.page == below.page && gap > 0.0 && gap < most * self.size.max(below.size)
    }
}

/// Fragments that follow each other on one baseline are one line. They come in the order in which the file draws them, which is that of
/// columns; sorting by height would mix two columns.
pub fn lines(page: u32, fragments: &[Fragment]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for fragment in fragments {
        let cell = Cell {
            text: fragment.text.clone(),
            x0: fragment.x0,
            x1: fragment.x1,
        };
        if let Some(line) = lines.last_mut()
            && line.is_upright == fragment.is_upright
            && line.level == fragment.level
            && (line.y - fragment.y).abs() < 0.4 * line.size.max(fragment.size)
            && fragment.x0 > line.x1() - 0.5 * line.size
        {
            line.size = line.size.max(fragment.size);
            line.cells.push(cell);
            continue;
        }
        lines.push(Line {
            page,
            y: fragment.y,
            size: fragment.size,
            is_upright: fragment.is_upright,
            level: fragment.level,
            ink: fragment.ink.clone(),
            cells: vec![cell],
        });
    }
    join_cells_of_blocks(lines)
}

/// Lines of a cell that has several.
const CELL_LINES: usize = 6;
/// Characters of such a cell.
const CELL_CHARACTERS: usize = 240;

/// Programs that draw a table cell by cell go back up for each: blocks that begin at the same height, one right of the other, are the cells
/// of one row. Columns of text do that too, and are longer.
fn join_cells_of_blocks(lines: Vec<Line>) -> Vec<Line> {
    let mut blocks: Vec<Vec<Line>> = Vec::new();
    for line in lines {
        match blocks.last_mut() {
            Some(block)
                if line.cells.len() == 1
                    && block.last().is_some_and(|last| {
                        last.cells.len() == 1 && last.is_close_to(&line, 1.5) && (last.x0() - line.x0()).abs() < 40.0
                    }) =>
            {
                block.push(line);
            }
            _ => blocks.push(vec![line]),
        }
    }
    // Cells of one line each are one line already.
    let is_cell = |block: &[Line]| {
        (block.len() == 1 || block.iter().all(|line| line.cells.len() == 1))
            && block.len() <= CELL_LINES
            && block.iter().map(Line::characters).sum::<usize>() <= CELL_CHARACTERS
    };
    let mut joined = Vec::new();
    for row in blocks.chunk_by(|a, b| {
        let (Some(top_a), Some(top_b)) = (a.first(), b.first()) else {
            return false;
        };
        let right = a.iter().map(Line::x1).fold(f32::MIN, f32::max);
        is_cell(a) && is_cell(b) && (top_a.y - top_b.y).abs() < 0.6 * top_a.size && top_b.x0() > right
    }) {
        match row {
            [_, _, ..] => joined.extend(row_of(row)),
            _ => joined.extend(row.iter().flatten().cloned()),
        }
    }
    joined
}

fn row_of(blocks: &[Vec<Line>]) -> Option<Line> {
    let mut row = blocks.first()?.first()?.clone();
    row.cells = blocks
        .iter()
        .flat_map(|block| match block.as_slice() {
            [line] => line.cells.clone(),
            lines => vec![Cell {
                text: lines.iter().map(Line::text).collect::<Vec<_>>().join(" "),
                x0: lines.iter().map(Line::x0).fold(f32::MAX, f32::min),
                x1: lines.iter().map(Line::x1).fold(f32::MIN, f32::max),
            }],
        })
        .collect();
    // The next row is below the tallest cell.
    row.y = blocks.iter().flatten().map(|line| line.y).fold(row.y, f32::min);
    Some(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(text: &str, x0: f32, y: f32) -> Fragment {
        Fragment {
            text: text.to_string(),
            x0,
            x1: x0 + 5.0 * text.len() as f32,
            y,
            size: 10.0,
            is_upright: true,
            level: None,
            ink: Vec::new(),
        }
    }

    fn shown(fragments: &[Fragment]) -> Vec<String> {
        let texts = |line: &Line| {
            line.cells
                .iter()
                .map(|cell| cell.text.clone())
                .collect::<Vec<_>>()
                .join("|")
        };
        lines(1, fragments).iter().map(texts).collect()
    }

    #[test]
    fn fragments_on_a_baseline_are_cells() {
        let fragments = [
            fragment("a", 0.0, 100.0),
            fragment("b", 50.0, 101.0),
            fragment("c", 0.0, 88.0),
        ];
        assert_eq!(shown(&fragments), ["a|b", "c"]);
    }

    #[test]
    fn cells_drawn_one_after_the_other_are_a_row() {
        let fragments = [
            fragment("first", 0.0, 100.0),
            fragment("cell", 0.0, 88.0),
            fragment("second", 80.0, 100.0),
            fragment("third", 160.0, 100.0),
            fragment("next", 0.0, 70.0),
            fragment("row", 80.0, 70.0),
        ];
        assert_eq!(shown(&fragments), ["first cell|second|third", "next|row"]);
    }

    #[test]
    fn columns_of_text_stay_apart() {
        let column = |x: f32| (0..12).map(move |n| fragment("words of a column of text", x, 200.0 - 12.0 * n as f32));
        let fragments: Vec<Fragment> = column(0.0).chain(column(300.0)).collect();
        assert_eq!(shown(&fragments).len(), 24);
    }
}
