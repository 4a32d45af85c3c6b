//! Charts as SVG text, drawn by `plotters`.
//!
//! ```text
//! lines      series over axes
//! scatter    points, beside a diagonal or a line at zero
//! panels     histograms in rows, and bars
//! matrix     counts or shares of classes
//! ```
//!
//! `plotters` draws at whole pixels, so a picture is drawn `UNIT` times as large and its
//! `viewBox` says so: lines then lie between pixels, and [`px`] is what a length is given in.
//! Its SVG has no tooltips; a picture's name is its `<title>`. Text is the reader's own
//! sans-serif font, whose widths nobody knows here: room for it is an estimate.

mod lines;
mod matrix;
mod panels;
mod scatter;

use std::ops::Range;

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::ranged1d::{BoldPoints, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, ShapeStyle, TRANSPARENT, TextStyle, WHITE};

pub use lines::{Axes, Series, lines};
pub use matrix::{Cells, matrix};
pub use panels::{Histogram, bars, histograms};
pub use scatter::{Guide, scatter};

use crate::train::RunError;

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub type Drawing = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// What `plotters` draws for a pixel.
const UNIT: u32 = 4;

/// A length on the picture.
pub fn px(pixels: f64) -> i32 {
    (pixels * f64::from(UNIT)).round() as i32
}

/// Colours that stay apart for the colour-blind, in the order in which they are used: those
/// of Okabe and Ito that are dark enough for lines on white, then of Paul Tol's muted ones.
pub const COLORS: [RGBColor; 10] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x33, 0x22, 0x88),
    RGBColor(0x99, 0x99, 0x33),
    RGBColor(0x88, 0x22, 0x55),
    RGBColor(0x5f, 0x6b, 0x76),
];
pub const INK: RGBColor = RGBColor(0x33, 0x38, 0x3e);
pub const ASIDE: RGBColor = RGBColor(0x8b, 0x92, 0x9b);
pub const GRID: RGBColor = RGBColor(0xe6, 0xe8, 0xeb);
pub const AXIS: RGBColor = RGBColor(0x9a, 0xa1, 0xa9);

/// `pixels` high; `plotters` takes another measure of fonts.
pub fn text<'a>(pixels: f64, color: RGBColor) -> TextStyle<'a> {
    let size = pixels * 1.24 * f64::from(UNIT);
    ("system-ui, sans-serif", size)
        .into_font()
        .color(&color)
        .pos(Pos::new(HPos::Left, VPos::Center))
}

pub fn stroke(color: RGBColor, pixels: f64) -> ShapeStyle {
    color.stroke_width(px(pixels) as u32)
}

/// A picture of a size in pixels.
pub fn picture(
    title: &str,
    (width, height): (u32, u32),
    draw: impl FnOnce(&Area) -> Drawing,
) -> Result<String, RunError> {
    let mut svg = String::new();
    let drawn = {
        let size = (width * UNIT, height * UNIT);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)
            .and_then(|()| draw(&area))
            .and_then(|()| area.present())
    };
    drawn.map_err(|e| RunError::Program(format!("the chart `{title}`: {e}")))?;
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {} {}\" role=\"img\"><title>{}</title>{}",
        width * UNIT,
        height * UNIT,
        escape(title),
        body.replace(" opacity=\"1\"", "").trim_end()
    ))
}

/// Text that may stand in an SVG or an HTML file.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Where points are drawn, and what the axes are called.
pub struct Plane<'t> {
    pub x: Range<f64>,
    pub y: Range<f64>,
    pub names: [&'t str; 2],
    /// Numbers below `x` are whole: epochs.
    pub whole: bool,
    /// About how many numbers stand at each axis.
    pub ticks: [usize; 2],
}

pub type Chart<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

impl Plane<'_> {
    /// Axes, grid and numbers on an area, and what draws between them.
    pub fn on<'a, 'b>(
        &self,
        area: &'a Area<'b>,
    ) -> Result<Chart<'a, 'b>, DrawingAreaErrorKind<std::io::Error>> {
        let [columns, rows] = self.ticks;
        let shown = RangedCoordf64::from(self.y.clone()).key_points(BoldPoints(rows));
        let widest = shown.iter().map(|v| short(*v).chars().count()).max();
        let named = self
            .names
            .map(|name| if name.is_empty() { 0.0 } else { 20.0 });
        let mut chart = ChartBuilder::on(area)
            .margin_right(px(18.0))
            .margin_top(px(8.0))
            .margin_bottom(px(5.0))
            .margin_left(px(5.0))
            .x_label_area_size(px(24.0 + named[0]))
            .y_label_area_size(px(14.0 + named[1] + 6.8 * widest.unwrap_or(1) as f64))
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        let below = |v: &f64| match self.whole && v.fract() != 0.0 {
            true => String::new(),
            false => short(*v),
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(stroke(GRID, 1.0))
            .axis_style(stroke(AXIS, 1.0))
            .set_all_tick_mark_size(px(4.0))
            .x_labels(columns)
            .y_labels(rows)
            .x_label_formatter(&below)
            .y_label_formatter(&|v| short(*v))
            .x_label_style(text(12.0, INK))
            .y_label_style(text(12.0, INK))
            .axis_desc_style(text(12.0, INK))
            .x_desc(self.names[0])
            .y_desc(self.names[1])
            .draw()?;
        Ok(chart)
    }
}

/// The ends of values with some room beside them; apart, where there is one value or none.
pub fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let ends = values
        .filter(|v| v.is_finite())
        .fold(None, |e: Option<(f64, f64)>, v| match e {
            None => Some((v, v)),
            Some((a, b)) => Some((a.min(v), b.max(v))),
        });
    match ends {
        None => 0.0..1.0,
        Some((a, b)) => {
            let room = (b - a) * 0.04;
            // values so near each other that nothing lies between them are one
            if room > a.abs().max(b.abs()) * 1e-12 && room.is_finite() {
                a - room..b + room
            } else {
                let room = (a.abs() * 0.1).max(1e-6);
                a - room..a + room
            }
        }
    }
}

/// An axis' number: four digits, without what rounding leaves.
pub fn short(v: f64) -> String {
    let size = v.abs();
    if v != 0.0 && !(1e-4..1e5).contains(&size) {
        let text = format!("{v:.1e}");
        return text.replace(".0e", "e");
    }
    let digits = if v == 0.0 {
        0
    } else {
        3 - size.log10().floor() as i32
    };
    let text = format!("{v:.*}", digits.clamp(0, 7) as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            0.6000000000000001,
            0.0,
            -1e-9,
            2500.0,
            0.00105,
            -0.25,
            1.25e6,
        ];
        let shown = ["0.6", "0", "-1e-9", "2500", "0.00105", "-0.25", "1.2e6"];
        assert_eq!(cases.map(short), shown);
    }

    #[test]
    fn a_range_has_room() {
        assert_eq!(range([0.0, 1.0].into_iter()), -0.04..1.04);
        assert_eq!(range([f64::NAN].into_iter()), 0.0..1.0);
        assert_eq!(range([2.0, 2.0].into_iter()), 1.8..2.2);
        let same = range([0.0].into_iter());
        assert!(same.start < 0.0 && same.end > 0.0);
    }

    #[test]
    fn names_cannot_break_out_of_the_text() {
        let series = Series {
            name: "<b>&".into(),
            points: vec![(1.0, f64::NAN), (2.0, 1.0)],
            dashed: false,
            aside: false,
        };
        let axes = Axes {
            x: "x",
            y: "<i>",
            whole: true,
            square: false,
        };
        let text = lines("<t>", &axes, &[series]).unwrap();
        assert!(text.contains("&lt;b&gt;&amp;") && text.contains("<title>&lt;t&gt;</title>"));
        for part in ["<b>", "<i>", "<t>", "NaN"] {
            assert!(!text.contains(part), "{part}");
        }
    }
}
