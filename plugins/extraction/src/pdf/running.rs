//! Running heads and feet: lines at the edges of many pages that are equal, or count the pages. They stay where they stand first, so that
//! nothing of a file is lost.

use super::lines::Line;
use std::collections::{HashMap, HashSet};

/// Pages from which on they are looked for, and lines at each edge of a page.
const PAGES: usize = 4;
const EDGE_LINES: usize = 2;
/// Of a line's text, to compare it.
const CHARACTERS: usize = 80;
/// Of a number; a longer one counts no pages.
const DIGITS: usize = 4;
/// How far a page's number is from its place in the file, unless it stands alone: numbers of invoices rise from page to page, too.
const FROM_PAGE: i64 = 50;

/// A line at an edge.
struct Edge {
    line: usize,
    page: i64,
    /// Its text without numbers, and its height.
    shape: (String, i32),
    numbers: Vec<Number>,
}

/// Digits, and what they are if they may count pages.
type Number = (String, Option<i64>);

/// A number at its place in lines of one shape: what it is, or how far it is from the page's.
#[derive(PartialEq, Eq, Hash)]
enum Counted<'a> {
    Equal(&'a str),
    FromPage(i64),
}

/// Leaves out running lines but for the first of each.
pub fn once(lines: Vec<Line>, pages: usize) -> Vec<Line> {
    if pages < PAGES {
        return lines;
    }
    let mut by_shape: HashMap<(String, i32), Vec<Edge>> = HashMap::new();
    for edge in edges(&lines) {
        by_shape.entry(edge.shape.clone()).or_default().push(edge);
    }
    let least = (pages / 4).max(3);
    let mut repeated = HashSet::new();
    for edges in by_shape.values().filter(|edges| edges.len() >= least) {
        let mut counts: HashMap<(usize, Counted), usize> = HashMap::new();
        for edge in edges {
            for counted in (0..edge.numbers.len()).flat_map(|place| counted(edge, place)) {
                *counts.entry(counted).or_default() += 1;
            }
        }
        // A number that is neither on enough pages nor counts them is the page's own: of an invoice, or in a list.
        let is_running = |edge: &&Edge| {
            let often = |counted| counts.get(&counted).is_some_and(|count| *count >= least);
            (0..edge.numbers.len()).all(|place| counted(edge, place).any(often))
        };
        repeated.extend(edges.iter().filter(is_running).skip(1).map(|edge| edge.line));
    }
    let kept = lines
        .into_iter()
        .enumerate()
        .filter(|(index, _)| !repeated.contains(index));
    kept.map(|(_, line)| line).collect()
}

/// What a number of the line may be.
fn counted(edge: &Edge, place: usize) -> impl Iterator<Item = (usize, Counted<'_>)> {
    let number = edge.numbers.get(place);
    let equal = number.map(|(digits, _)| Counted::Equal(digits));
    let from_page = number.and_then(|(_, number)| Some((*number)? - edge.page));
    let stands_alone = edge.shape.0 == "0";
    let from_page = from_page.filter(|distance| stands_alone || distance.abs() <= FROM_PAGE);
    let both = [equal, from_page.map(Counted::FromPage)];
    both.into_iter().flatten().map(move |counted| (place, counted))
}

/// In the order of the lines.
fn edges(lines: &[Line]) -> Vec<Edge> {
    let mut found = Vec::new();
    let mut first = 0;
    for page in lines.chunk_by(|a, b| a.page == b.page) {
        let mut by_height: Vec<usize> = (0..page.len()).collect();
        let height = |index: &usize| page.get(*index).map_or(0.0, |line| line.y);
        by_height.sort_by(|a, b| height(b).total_cmp(&height(a)));
        let edge = EDGE_LINES.min(page.len());
        let mut at_edges: Vec<usize> = by_height.iter().take(edge).copied().collect();
        at_edges.extend(by_height.iter().rev().take(edge));
        at_edges.sort_unstable();
        at_edges.dedup();
        let of = |index: usize| page.get(index).map(|line| read(line, first + index));
        found.extend(at_edges.into_iter().filter_map(of));
        first += page.len();
    }
    found
}

fn read(line: &Line, index: usize) -> Edge {
    let (mut shape, mut numbers, mut digits) = (String::new(), Vec::new(), String::new());
    for character in line.text().chars().take(CHARACTERS).chain([' ']) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        if !digits.is_empty() {
            let number = digits.parse().ok().filter(|_| digits.len() <= DIGITS);
            numbers.push((std::mem::take(&mut digits), number));
            shape.push('0');
        }
        if !character.is_whitespace() {
            shape.push(character);
        }
    }
    Edge {
        line: index,
        page: line.page.into(),
        shape: (shape, line.y.round() as i32),
        numbers,
    }
}
