//! Collects the glyphs of a page as fragments: runs of text on one baseline without a wide gap. Draws nothing.

use super::script;
use crate::limits;
use hayro_interpret::{
    BlendMode, ClipPath, Device, DrawMode, DrawProps, Image, ImageDrawProps, SoftMask,
    font::{Glyph, GlyphIdentifier, GlyphRun},
    hayro_cmap::{BfString, WritingMode},
    hayro_syntax::object::Dict,
    kurbo::{Affine, BezPath, Point, Rect, Shape, Vec2},
};
use std::collections::HashMap;

/// Gaps in parts of the font's size: from the first on a space is between two glyphs, from the second on they are two fragments.
const SPACE_GAP: f64 = 0.17;
const FRAGMENT_GAP: f64 = 0.9;
/// Letters of a fragment whose ink is measured: enough to tell bold from regular.
const MEASURED: usize = 8;
/// Glyphs of one fragment.
const FRAGMENT_GLYPHS: usize = 4_000;
/// Fonts' glyphs whose ink is remembered.
const REMEMBERED: usize = 20_000;

/// A run of text on one baseline. Lengths are in points, y goes up.
#[derive(Debug, Clone)]
pub struct Fragment {
    pub text: String,
    pub x0: f32,
    pub x1: f32,
    pub y: f32,
    pub size: f32,
    /// Reads from left to right on the page as it is shown.
    pub is_upright: bool,
    /// The level of a heading that the file marks as such.
    pub level: Option<u8>,
    /// Letters, and how much of their width is black.
    pub ink: Vec<(char, f32)>,
}

struct Mark {
    text: String,
    start: f64,
    end: f64,
    /// A space was drawn before it.
    is_spaced: bool,
}

#[derive(Default)]
pub struct Collector {
    pub fragments: Vec<Fragment>,
    /// Of the file.
    pub glyphs: usize,
    pub unknown: usize,
    pub text_bytes: usize,
    /// Of the page.
    pub images: usize,
    marks: Vec<Mark>,
    ink: Vec<(char, f32)>,
    direction: Vec2,
    across: f64,
    size: f64,
    is_spaced: bool,
    last_run: (u64, u64, usize),
    /// Tags of marked content that are open: a heading's level, and whether it is an artifact such as a running head.
    marked: Vec<(Option<u8>, bool)>,
    weights: HashMap<GlyphIdentifier, f32>,
}

impl Collector {
    pub fn begin_page(&mut self) {
        self.fragments.clear();
        self.marked.clear();
        self.images = 0;
        self.last_run = (0, 0, 0);
        self.is_spaced = false;
    }

    pub fn is_full(&self, most_bytes: usize) -> bool {
        self.glyphs > limits::PDF_GLYPHS || self.text_bytes > most_bytes
    }

    pub fn end_fragment(&mut self) {
        let mut marks = std::mem::take(&mut self.marks);
        let ink = std::mem::take(&mut self.ink);
        let is_right_to_left = script::order(&mut marks, |mark| &mark.text, |mark| mark.start);
        let (Some(first), Some(last)) = (marks.first(), marks.last()) else {
            return;
        };
        let (x0, x1) = if is_right_to_left {
            (last.start, first.end)
        } else {
            (first.start, last.end)
        };
        let mut text = String::new();
        let mut before: Option<&Mark> = None;
        for mark in &marks {
            if let Some(before) = before {
                let gap = if is_right_to_left {
                    before.start - mark.end
                } else {
                    mark.start - before.end
                };
                let is_spaced = if is_right_to_left {
                    before.is_spaced
                } else {
                    mark.is_spaced
                };
                if (is_spaced || gap > SPACE_GAP * self.size) && !text.ends_with(' ') {
                    text.push(' ');
                }
            }
            text.push_str(&mark.text);
            before = Some(mark);
        }
        let text = script::tidy(text.trim());
        if text.is_empty() {
            return;
        }
        self.text_bytes += text.len();
        self.fragments.push(Fragment {
            text,
            x0: x0 as f32,
            x1: x1 as f32,
            y: self.across as f32,
            size: self.size as f32,
            is_upright: self.direction.x > 0.9,
            level: self.marked.iter().rev().find_map(|(level, _)| *level),
            ink,
        });
    }

    fn glyph(&mut self, glyph: &Glyph<'_>, transform: Affine, is_vertical: bool) {
        let at = transform * Point::ZERO;
        let along = transform * Point::new(1000.0, 0.0) - at;
        let up = transform * Point::new(0.0, 1000.0) - at;
        let size = up.hypot();
        if !(size > 0.01 && size < 1e5 && at.x.is_finite() && at.y.is_finite()) {
            return;
        }
        self.glyphs += 1;
        let text = match glyph.as_unicode() {
            Some(BfString::Char(character)) => script::readable(character.encode_utf8(&mut [0; 4])),
            Some(BfString::String(text)) => script::readable(&text),
            None => None,
        };
        let Some(text) = text else {
            self.unknown += 1;
            return;
        };
        if text.chars().all(char::is_whitespace) {
            self.is_spaced |= !text.is_empty();
            return;
        }
        let advance = match glyph {
            Glyph::Outline(outline) => outline.advance_width(),
            Glyph::Type3(drawn) => drawn.advance_width(),
        };
        let advance = f64::from(advance.unwrap_or(500.0)) / 1000.0;
        let (direction, advance) = if is_vertical {
            (-up / size, size)
        } else {
            (along / along.hypot().max(1e-9), advance * along.hypot())
        };
        let start = at.to_vec2().dot(direction);
        let across = at.to_vec2().dot(Vec2::new(-direction.y, direction.x));
        let is_spaced = std::mem::take(&mut self.is_spaced);
        if let Some(last) = self.marks.last() {
            let is_same_line =
                self.direction.dot(direction) > 0.98 && (across - self.across).abs() < 0.45 * size.max(self.size);
            // Some programs draw letters twice to make them bold.
            if is_same_line && last.text == text && (start - last.start).abs() < 0.08 * size {
                return;
            }
            let gap = start - last.end;
            let goes_on = gap > -0.6 * size && gap < FRAGMENT_GAP * size;
            let is_right_to_left = script::is_right_to_left(&text)
                && start < last.start
                && last.start - start - advance < FRAGMENT_GAP * size;
            if !is_same_line || !(goes_on || is_right_to_left) || self.marks.len() >= FRAGMENT_GLYPHS {
                self.end_fragment();
            }
        }
        if self.marks.is_empty() {
            self.direction = direction;
            self.across = across;
            self.size = size;
        } else if size > self.size && self.marks.len() < 3 {
            // A footnote's number may come first.
            self.size = size;
            self.across = across;
        }
        if self.ink.len() < MEASURED
            && let Glyph::Outline(_) = glyph
            && let Some(letter) = text.chars().next().filter(|letter| letter.is_alphabetic())
        {
            let weight = self.weight(glyph);
            self.ink.push((letter, weight));
        }
        self.marks.push(Mark {
            text,
            start,
            end: start + advance,
            is_spaced,
        });
    }

    /// The black part of a glyph's width at the height of its em: bold is what has more of it than the same letter has elsewhere.
    fn weight(&mut self, glyph: &Glyph<'_>) -> f32 {
        let Glyph::Outline(outline) = glyph else {
            return 0.0;
        };
        let key = outline.identifier();
        if let Some(weight) = self.weights.get(&key) {
            return *weight;
        }
        let width = f64::from(outline.advance_width().unwrap_or(500.0)).max(50.0);
        let weight = (outline.outline().area().abs() / (width * 1000.0)) as f32;
        if self.weights.len() < REMEMBERED {
            self.weights.insert(key, weight);
        }
        weight
    }
}

impl<'a> Device<'a> for Collector {
    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}

    fn push_clip_path(&mut self, _: &ClipPath) {}

    fn push_clip_rect(&mut self, _: &Rect) {}

    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, _: &DrawMode) {
        let is_artifact = self.marked.iter().any(|(_, is_artifact)| *is_artifact);
        if is_artifact || self.is_full(usize::MAX) {
            return;
        }
        let Some(first) = run.glyphs().first() else {
            return;
        };
        // What is filled and stroked comes twice.
        let at = props.transform * first.transform() * Point::ZERO;
        let this_run = (at.x.to_bits(), at.y.to_bits(), run.glyphs().len());
        if this_run == self.last_run {
            return;
        }
        self.last_run = this_run;
        let is_vertical = run.writing_mode() == WritingMode::Vertical;
        for glyph in run.glyphs() {
            self.glyph(glyph, props.transform * glyph.transform(), is_vertical);
        }
    }

    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {
        self.images += 1;
    }

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}

    fn draw_rect(&mut self, _: &Rect, _: DrawProps<'a>, _: &DrawMode) {}

    fn begin_marked_content(&mut self, tag: &[u8], _: Option<&Dict<'_>>) {
        let level = match tag {
            [b'H', digit @ b'1'..=b'6'] => Some(digit - b'0'),
            b"Title" => Some(1),
            _ => None,
        };
        if level.is_some() {
            self.end_fragment();
        }
        if self.marked.len() < limits::DEPTH {
            self.marked.push((level, tag == b"Artifact"));
        }
    }

    fn end_marked_content(&mut self) {
        if self.marked.last().is_some_and(|(level, _)| level.is_some()) {
            self.end_fragment();
        }
        self.marked.pop();
    }
}
