//! Which lines are headings, in a file that does not say so: by size and weight against the body's, by numbers, by the space around them.

use super::{bookmarks::Bookmarks, lines::Line};
use std::collections::HashMap;

/// Sizes from which a line is larger than the body, and not much smaller.
const LARGER: f32 = 1.12;
const NOT_SMALLER: f32 = 0.94;
/// Ink against that of the same letters in the body.
const BOLD: f32 = 1.2;
/// Space above a heading, in lines of the body.
const ISOLATED: f32 = 1.25;
const LONGEST: usize = 160;
const LONGEST_PLAIN: usize = 90;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Style {
    /// Half points; larger comes first.
    size: std::cmp::Reverse<i32>,
    is_regular: bool,
}

/// What the body of a file looks like.
pub struct Body {
    size: f32,
    /// Between two lines, in points.
    leading: f32,
    ink: HashMap<char, (f32, f32)>,
}

impl Body {
    pub fn of(lines: &[&Line]) -> Self {
        let mut by_size: HashMap<i32, usize> = HashMap::new();
        for line in lines.iter().filter(|line| line.is_upright) {
            *by_size.entry(half_points(line.size)).or_default() += line.characters();
        }
        let most = by_size
            .into_iter()
            .max_by_key(|(size, characters)| (*characters, *size));
        let size = most.map_or(10.0, |(size, _)| size as f32 / 2.0);
        let is_body = |line: &Line| half_points(line.size) == half_points(size);
        let mut gaps: Vec<f32> = lines
            .windows(2)
            .filter_map(|pair| match pair {
                [above, below] if is_body(above) && is_body(below) && above.is_close_to(below, 3.0) => {
                    Some(above.y - below.y)
                }
                _ => None,
            })
            .collect();
        gaps.sort_by(f32::total_cmp);
        // Text has more lines than paragraphs.
        let leading = gaps.get(gaps.len() / 3).copied().unwrap_or(size * 1.2);
        let mut ink: HashMap<char, (f32, f32)> = HashMap::new();
        for (letter, weight) in lines.iter().filter(|line| is_body(line)).flat_map(|line| &line.ink) {
            let sum = ink.entry(*letter).or_default();
            sum.0 += weight;
            sum.1 += 1.0;
        }
        Self { size, leading, ink }
    }

    pub fn leading(&self) -> f32 {
        self.leading
    }

    pub fn is_bold(&self, line: &Line) -> bool {
        let pairs = line.ink.iter().filter_map(|(letter, weight)| {
            let (sum, count) = self.ink.get(letter)?;
            Some((*weight, sum / count))
        });
        let (own, body) = pairs.fold((0.0, 0.0), |(own, body), (a, b)| (own + a, body + b));
        body > 0.0 && own > BOLD * body
    }
}

pub struct Headings<'a> {
    body: &'a Body,
    bookmarks: &'a Bookmarks,
    levels: HashMap<Style, u8>,
    title: Option<(Style, u32)>,
}

impl<'a> Headings<'a> {
    /// Looks at all lines once, because a style's level depends on the others. Each comes with the line above it.
    pub fn of(lines: &[&Line], body: &'a Body, bookmarks: &'a Bookmarks) -> Self {
        let mut headings = Self {
            body,
            bookmarks,
            levels: HashMap::new(),
            title: None,
        };
        let mut styles: HashMap<Style, (usize, Option<u8>, u32)> = HashMap::new();
        let mut above = None;
        for line in lines {
            if headings.looks_like_one(line, above) {
                let found = styles.entry(headings.style(line)).or_insert((0, None, line.page));
                found.0 += 1;
                let depth = number_depth(&line.text());
                found.1 = match (found.1, depth) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
            above = Some(*line);
        }
        let mut ordered: Vec<_> = styles.into_iter().collect();
        ordered.sort_by_key(|(style, _)| *style);
        let mut rank = 0;
        for (index, (style, (count, depth, page))) in ordered.iter().enumerate() {
            // The largest, on the first page and nowhere else.
            if index == 0 && *page == 1 && *count <= 3 && depth.is_none() && ordered.len() > 1 {
                headings.title = Some((*style, *page));
                headings.levels.insert(*style, 0);
                continue;
            }
            rank = depth.unwrap_or(rank + 1).clamp(1, 6);
            headings.levels.insert(*style, rank);
        }
        headings
    }

    /// The level of a line that is a heading: 0 is the title.
    pub fn level(&self, line: &Line, above: Option<&Line>) -> Option<u8> {
        if !is_possible(line) {
            return None;
        }
        if line.level.is_some() {
            return line.level;
        }
        let text = line.text();
        if let Some(level) = self.bookmarks.level(&text) {
            return Some(level);
        }
        if self.bookmarks.is_complete() || !self.looks_like_one(line, above) {
            return None;
        }
        let style = self.style(line);
        if self
            .title
            .is_some_and(|(title, page)| title == style && page == line.page)
        {
            return Some(0);
        }
        number_depth(&text).or_else(|| self.levels.get(&style).copied().filter(|level| *level > 0))
    }

    fn style(&self, line: &Line) -> Style {
        Style {
            size: std::cmp::Reverse(half_points(line.size)),
            is_regular: !self.body.is_bold(line),
        }
    }

    fn looks_like_one(&self, line: &Line, above: Option<&Line>) -> bool {
        if !is_possible(line) {
            return false;
        }
        if line.size >= LARGER * self.body.size {
            return true;
        }
        if line.size < NOT_SMALLER * self.body.size {
            return false;
        }
        let text = line.text();
        let is_isolated = above
            .is_none_or(|above| !above.is_close_to(line, f32::MAX) || above.y - line.y > ISOLATED * self.body.leading);
        let ends_like_text = text.ends_with(['.', ',', ';', ':']) && !text.ends_with("...");
        if !is_isolated || ends_like_text || text.chars().count() > LONGEST_PLAIN {
            return false;
        }
        let letters = || text.chars().filter(|character| character.is_alphabetic());
        let is_capital = letters().count() > 3
            && letters().all(|letter| !letter.is_lowercase())
            && letters().any(char::is_uppercase);
        // `1.` alone begins a list as well.
        self.body.is_bold(line) || is_capital || number_depth(&text).is_some_and(|depth| depth > 1)
    }
}

fn is_possible(line: &Line) -> bool {
    let characters = line.characters();
    line.is_upright
        && line.cells.len() <= 2
        && (2..=LONGEST).contains(&characters)
        && line.cells.iter().any(|cell| cell.text.chars().any(char::is_alphabetic))
}

pub fn half_points(size: f32) -> i32 {
    (size * 2.0).round() as i32
}

/// How many parts the number before a heading has: 2 for `3.1 Fees`. `None` without a number, or if no title follows.
pub fn number_depth(text: &str) -> Option<u8> {
    let (number, title) = text.split_once(' ')?;
    if !title
        .trim_start()
        .chars()
        .next()
        .is_some_and(|first| first.is_uppercase() || !first.is_ascii() && first.is_alphabetic())
    {
        return None;
    }
    let number = number.strip_suffix(['.', ')']).unwrap_or(number);
    let parts: Vec<&str> = number.split('.').collect();
    let is_count = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let first = parts.first()?;
    // `A.1` of an appendix; roman numbers are of the first level.
    let is_letter = first.len() == 1 && first.bytes().all(|byte| byte.is_ascii_uppercase()) && parts.len() > 1;
    let is_roman = parts.len() == 1
        && text.contains(". ")
        && (1..=6).contains(&first.len())
        && first.bytes().all(|byte| b"IVXL".contains(&byte));
    let is_number = is_count(first) || is_letter || is_roman;
    (is_number && parts.iter().skip(1).all(is_count)).then(|| u8::try_from(parts.len()).unwrap_or(6).min(6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_say_how_deep_a_heading_is() {
        for (text, depth) in [
            ("1 Introduction", Some(1)),
            ("2. Method", Some(1)),
            ("3.1 Fees and costs", Some(2)),
            ("3.1.4. Überweisung", Some(3)),
            ("A.2 Proofs", Some(2)),
            ("IV. RESULTS", Some(1)),
            ("A small thing", None),
            ("I think so", None),
            ("12 eggs", None),
            ("2026 Report", None),
            ("1.5", None),
        ] {
            assert_eq!(number_depth(text), depth, "{text}");
        }
    }
}
