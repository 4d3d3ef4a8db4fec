//! Plots as SVG. Their colors are classes, so that they follow the page's light and dark; the numbers are in text beside or below them.

use crate::parts::format;
use maud::{Markup, html};
use std::time::Duration;

/// Which color a part of a bar has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Series(usize);

impl Series {
    pub const FIRST: Self = Self(0);
    pub const BAD: Self = Self(usize::MAX);
    /// Series that have colors of their own; later ones share the last.
    pub const COLORS: usize = 6;

    pub fn nth(index: usize) -> Self {
        Self(index.min(Self::COLORS - 1))
    }

    pub fn class(self) -> String {
        match self {
            Self::BAD => "series-bad".to_owned(),
            Self(index) => format!("series-{index}"),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub label: String,
    /// What the bar says, with its unit.
    pub shown: String,
    /// From the bottom, or the left.
    pub parts: Vec<(Series, u64)>,
}

impl Bar {
    fn total(&self) -> u64 {
        self.parts.iter().fold(0, |sum, (_, part)| sum.saturating_add(*part))
    }
}

/// Of the drawing; the page scales it.
const WIDTH: u64 = 720;
/// Of [`spark`]: width and height.
const SPARK: (u64, u64) = (120, 24);
const HEIGHT: u64 = 180;
/// Below the columns, for labels.
const FOOT: u64 = 20;
const ROW: u64 = 26;
/// Left of lying bars, for labels, and right of them, for numbers.
const LABELS: u64 = 260;
const NUMBERS: u64 = 90;

/// Lying bars, one below the other: few, with long labels.
pub(crate) fn bars(description: &str, bars: &[Bar]) -> Markup {
    let most = bars.iter().map(Bar::total).max().unwrap_or(0).max(1);
    let room = WIDTH - LABELS - NUMBERS;
    let height = ROW * bars.len() as u64;
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Plot: " (description) } { svg.plot viewBox={ "0 0 " (WIDTH) " " (height.max(1)) } role="img" aria-label=(description) {
            @for (index, bar) in (0_u64..).zip(bars) {
                @let y = index * ROW;
                text.label x=(LABELS - 8) y=(y + 17) text-anchor="end" { (shortened(&bar.label, 38)) title { (bar.label) } }
                rect.track x=(LABELS) y=(y + 5) width=(room) height="16" rx="2" {}
                @for (series, start, length) in placed(&bar.parts, most, room) {
                    rect class=(series.class()) x=(LABELS + start) y=(y + 5) width=(length) height="16" rx="2" {}
                }
                text.label x=(LABELS + room + 8) y=(y + 17) { (bar.shown) }
            }
        } }
    }
}

/// Standing columns side by side: many, over time.
pub(crate) fn columns(description: &str, columns: &[Bar], top: &str) -> Markup {
    let most = columns.iter().map(Bar::total).max().unwrap_or(0).max(1);
    let slot = (WIDTH / (columns.len() as u64).max(1)).max(1);
    let width = (slot * 4 / 5).max(1);
    // Labels that would touch are left out.
    let every = (70 / slot + 1) as usize;
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Plot: " (description) } { svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT + FOOT) } role="img" aria-label=(description) {
            line.axis x1="0" y1=(HEIGHT) x2=(WIDTH) y2=(HEIGHT) {}
            text.label x="0" y="12" { (top) }
            @for (index, column) in columns.iter().enumerate() {
                @let x = index as u64 * slot;
                g {
                    title { (column.label) ": " (column.shown) }
                    rect.hover x=(x) y="0" width=(slot) height=(HEIGHT) {}
                    @for (series, start, length) in placed(&column.parts, most, HEIGHT - 20) {
                        rect class=(series.class()) x=(x) y=(HEIGHT - start - length) width=(width) height=(length) {}
                    }
                }
                @if index % every == 0 { text.label x=(x) y=(HEIGHT + 15) { (column.label) } }
            }
        } }
    }
}

/// A small line in a table.
pub(crate) fn spark(description: &str, values: &[u64]) -> Markup {
    let (width, height) = SPARK;
    let most = u128::from(values.iter().copied().max().unwrap_or(0).max(1));
    let steps = (values.len().saturating_sub(1) as u64).max(1);
    // With a margin of two at the top and below.
    let room = height - 4;
    let point = |(index, value): (u64, &u64)| {
        let up = u64::try_from(u128::from(*value) * u128::from(room) / most).unwrap_or(room);
        format!("{},{}", index * width / steps, height - 2 - up)
    };
    let points: Vec<String> = (0..).zip(values).map(point).collect();
    html! {
        svg.spark viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(description) preserveAspectRatio="none" {
            polyline.(Series::FIRST.class()) points=(points.join(" ")) {}
        }
    }
}

/// A line over time, up to now.
pub(crate) fn line(description: &str, values: &[f64], covered: Duration) -> Markup {
    let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let steps = values.len().saturating_sub(1).max(1) as f64;
    let points: Vec<String> = (0_u32..)
        .zip(values)
        .map(|(index, value)| {
            let x = f64::from(index) / steps * WIDTH as f64;
            let y = HEIGHT as f64 - value.max(0.0) / most * (HEIGHT - 20) as f64;
            format!("{x:.1},{y:.1}")
        })
        .collect();
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Plot: " (description) } { svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT + FOOT) } role="img" aria-label=(description) {
            line.axis x1="0" y1=(HEIGHT) x2=(WIDTH) y2=(HEIGHT) {}
            polyline.(Series::FIRST.class()) points=(points.join(" ")) {}
            text.label x="0" y=(HEIGHT + 15) { "−" (format::duration(covered)) }
            text.label x=(WIDTH) y=(HEIGHT + 15) text-anchor="end" { "now" }
        } }
    }
}

/// Needles side by side, over time up to now: of each series one a slot, the later series before the earlier ones. A slot without a value has none.
pub(crate) fn needles(
    description: &str,
    series: &[(Series, Vec<Option<u64>>)],
    top: &str,
    covered: Duration,
) -> Markup {
    let values = series.iter().flat_map(|(_, values)| values.iter().flatten());
    let most = values.copied().max().unwrap_or(0).max(1);
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Plot: " (description) } { svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT + FOOT) } role="img" aria-label=(description) {
            line.axis x1="0" y1=(HEIGHT) x2=(WIDTH) y2=(HEIGHT) {}
            text.label x="0" y="12" { (top) }
            @for (series, values) in series { path.needles.(series.class()) d=(needles_of(values, most)) {} }
            text.label x="0" y=(HEIGHT + 15) { "−" (format::duration(covered)) }
            text.label x=(WIDTH) y=(HEIGHT + 15) text-anchor="end" { "now" }
        } }
    }
}

fn needles_of(values: &[Option<u64>], most: u64) -> String {
    let slot = WIDTH / (values.len() as u64).max(1);
    let needle = |(index, value): (u64, &Option<u64>)| {
        let (_, _, length) = placed(&[(Series::FIRST, (*value)?)], most, HEIGHT - 20).pop()?;
        Some(format!("M{},{HEIGHT}V{}", index * slot + slot / 2, HEIGHT - length))
    };
    (0..).zip(values).filter_map(needle).collect()
}

/// The parts of a bar that has all of `room` if it is `most`: where each begins, and its length. A part that is not 0 is seen.
fn placed(parts: &[(Series, u64)], most: u64, room: u64) -> Vec<(Series, u64, u64)> {
    let mut start = 0;
    let mut placed = Vec::new();
    for (series, amount) in parts.iter().filter(|(_, amount)| *amount > 0) {
        let length = u128::from(*amount) * u128::from(room) / u128::from(most.max(1));
        let length = u64::try_from(length)
            .unwrap_or(room)
            .clamp(1, room.saturating_sub(start).max(1));
        placed.push((*series, start, length));
        start += length;
    }
    placed
}

fn shortened(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_one_behind_the_other_within_the_room() {
        let parts = [
            (Series::FIRST, 50),
            (Series::nth(1), 25),
            (Series::nth(2), 0),
            (Series::BAD, 1),
        ];
        let placed = placed(&parts, 100, 100);
        let lengths: Vec<_> = placed.iter().map(|(_, start, length)| (*start, *length)).collect();
        assert_eq!(lengths, [(0, 50), (50, 25), (75, 1)]);
        assert_eq!(super::placed(&[(Series::FIRST, u64::MAX)], u64::MAX, 10)[0].2, 10);
    }

    #[test]
    fn a_line_ends_now_and_stays_within_its_plot() {
        let html = line("x", &[0.0, 2.0, 1.0], Duration::from_secs(10)).into_string();
        assert!(html.contains("points=\"0.0,180.0 360.0,20.0 720.0,100.0\""), "{html}");
        assert!(line("x", &[], Duration::ZERO).into_string().contains("points=\"\""));
    }

    #[test]
    fn a_slot_without_a_value_has_no_needle() {
        let series = [(Series::FIRST, vec![None, Some(0), Some(80), Some(1)])];
        let html = needles("x", &series, "80 ms", Duration::from_secs(240)).into_string();
        assert!(html.contains("d=\"M450,180V20M630,180V178\""), "{html}");
        assert!(
            needles("x", &[(Series::BAD, Vec::new())], "0", Duration::ZERO)
                .into_string()
                .contains("d=\"\"")
        );
    }

    #[test]
    fn a_label_is_text() {
        let bar = Bar {
            label: "<script>".to_owned(),
            shown: "1".to_owned(),
            parts: vec![(Series::FIRST, 1)],
        };
        let html = bars("x", std::slice::from_ref(&bar)).into_string() + &columns("x", &[bar], "1").into_string();
        assert!(!html.contains("<script"), "{html}");
        // Nothing in a plot is styled in place, which the page's policy would refuse.
        assert!(!html.contains("style="), "{html}");
    }
}
