//! Line charts as SVG.

use anyhow::{Result, anyhow};
use plotters::{
    backend::SVGBackend,
    chart::{ChartBuilder, SeriesLabelPosition},
    drawing::IntoDrawingArea,
    element::PathElement,
    series::LineSeries,
    style::{BLACK, Color, IntoFont, RGBColor, WHITE},
};

const SIZE: (u32, u32) = (860, 380);
/// Told apart by those who see fewer colors, too (Okabe and Ito).
const COLORS: [RGBColor; 4] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];
/// Of the highest value, so that the legend covers no line.
const HEADROOM: f64 = 1.3;

pub struct Plot<'a> {
    pub title: &'a str,
    pub across: &'a str,
    pub up: &'a str,
    pub lines: Vec<(&'a str, Vec<(f64, f64)>)>,
    /// Labels of the horizontal axis.
    pub marks: usize,
}

impl Plot<'_> {
    /// # Errors
    /// When a value is not a number.
    pub fn svg(&self) -> Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg)
            .map_err(|error| anyhow!("cannot draw \"{}\": {error}", self.title))?;
        Ok(svg)
    }

    fn draw(&self, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let left = points().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
        let right = points().map(|(x, _)| *x).fold(f64::NEG_INFINITY, f64::max);
        let top = points().map(|(_, y)| *y).fold(0.0, f64::max) * HEADROOM;
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(62)
            .build_cartesian_2d(left..right.max(left + f64::EPSILON), 0.0..top.max(f64::EPSILON))?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(WHITE)
            .x_labels(self.marks)
            .x_label_formatter(&|x| short(*x))
            .y_label_formatter(&|y| short(*y))
            .x_desc(self.across)
            .y_desc(self.up)
            .axis_desc_style(("sans-serif", 14).into_font())
            .label_style(("sans-serif", 13).into_font())
            .draw()?;
        for ((name, points), color) in self.lines.iter().zip(COLORS) {
            let style = color.stroke_width(2);
            chart
                .draw_series(LineSeries::new(points.iter().copied(), style))?
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.2))
            .label_font(("sans-serif", 13))
            .draw()?;
        drop(chart);
        area.present()?;
        Ok(())
    }
}

/// Two digits after the point at most, and none that says nothing.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_its_lines_and_words() {
        let plot = Plot {
            title: "Title",
            across: "hours",
            up: "workers",
            lines: vec![
                ("one", vec![(0.0, 1.0), (1.0, 2.0)]),
                ("other", vec![(0.0, 0.0), (1.0, 0.5)]),
            ],
            marks: 5,
        };
        let svg = plot.svg().unwrap();
        for words in ["Title", "hours", "workers", "one", "other"] {
            assert!(svg.contains(words), "{words}");
        }
        assert!(svg.matches("<polyline").count() >= 2);
        assert_eq!(short(0.5), "0.5");
        assert_eq!(short(20.0), "20");
    }
}
