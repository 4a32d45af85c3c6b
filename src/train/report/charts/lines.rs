//! Series over axes, with a legend above them.

use plotters::element::{Circle, DashedPathElement, PathElement, Text};
use plotters::style::{Color, RGBColor};

use super::{ASIDE, Area, COLORS, Drawing, INK, Plane, picture, px, range, stroke, text};
use crate::spec::names;
use crate::train::RunError;

/// One line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    pub dashed: bool,
    /// Beside the others, in grey.
    pub aside: bool,
}

/// What the axes are called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axes<'t> {
    pub x: &'t str,
    pub y: &'t str,
    /// `x` counts: no numbers between.
    pub whole: bool,
    /// Both axes go from 0 to 1, and are as long as each other.
    pub square: bool,
}

const WIDTH: u32 = 640;
const HEIGHT: u32 = 380;
const LEGEND_ROW: f64 = 18.0;
/// A line of so few points shows them.
const DOTS: usize = 20;

/// Lines over axes; points that are not finite are left out. Series of one name before
/// `val_` share a colour.
pub fn lines(title: &str, axes: &Axes, series: &[Series]) -> Result<String, RunError> {
    let width = if axes.square { 480 } else { WIDTH };
    let (names, rows) = legend(series, f64::from(width));
    let above = 10.0 + LEGEND_ROW * rows;
    let height = if axes.square {
        width + above as u32 - 20
    } else {
        HEIGHT
    };
    let finite = || {
        let all = series.iter().flat_map(|s| &s.points);
        all.filter(|p| p.0.is_finite() && p.1.is_finite())
    };
    let plane = Plane {
        x: match axes.square {
            true => -0.02..1.02,
            false => range(finite().map(|p| p.0)),
        },
        y: match axes.square {
            true => -0.02..1.02,
            false => range(finite().map(|p| p.1)),
        },
        names: [axes.x, axes.y],
        whole: axes.whole,
        ticks: [
            match axes.whole {
                true => finite()
                    .map(|p| p.0 as usize)
                    .max()
                    .unwrap_or(1)
                    .clamp(1, 10),
                false => 6,
            },
            6,
        ],
    };
    picture(title, (width, height), |area| {
        let (top, below) = area.split_vertically(px(above));
        let mut chart = plane.on(&below)?;
        for (s, color) in series.iter().zip(colors(series)) {
            let finite = |p: &&(f64, f64)| p.0.is_finite() && p.1.is_finite();
            let points: Vec<(f64, f64)> = s.points.iter().filter(finite).copied().collect();
            let style = stroke(color, 1.8);
            if points.len() <= DOTS && !s.aside {
                let dots = points
                    .iter()
                    .map(|p| Circle::new(*p, px(2.6), color.filled()));
                chart.draw_series(dots)?;
            }
            if points.len() < 2 {
                continue;
            }
            if s.dashed {
                let line = DashedPathElement::new(points, px(5.0), px(4.0), style);
                chart.plotting_area().draw(&line)?;
            } else {
                chart.draw_series([PathElement::new(points, style)])?;
            }
        }
        draw_legend(&top, series, &names)
    })
}

/// Series of one name before `val_` share a colour.
fn colors(series: &[Series]) -> Vec<RGBColor> {
    let mut known: Vec<&str> = Vec::new();
    let mut all = Vec::with_capacity(series.len());
    for s in series {
        let bare = names::metric(&s.name);
        let place = known.iter().position(|k| *k == bare);
        let place = place.unwrap_or(known.len());
        if place == known.len() && !s.aside {
            known.push(bare);
        }
        all.push(if s.aside {
            ASIDE
        } else {
            COLORS[place % COLORS.len()]
        });
    }
    all
}

fn draw_legend(area: &Area, series: &[Series], names: &[(f64, f64)]) -> Drawing {
    for ((s, color), (at, row)) in series.iter().zip(colors(series)).zip(names) {
        let y = px(10.0 + LEGEND_ROW * (row + 0.5));
        let ends = vec![(px(*at), y), (px(at + 18.0), y)];
        match s.dashed {
            true => area.draw(&DashedPathElement::new(
                ends,
                px(5.0),
                px(4.0),
                stroke(color, 2.0),
            ))?,
            false => area.draw(&PathElement::new(ends, stroke(color, 2.0)))?,
        }
        let style = text(12.0, INK);
        area.draw(&Text::new(s.name.as_str(), (px(at + 24.0), y), style))?;
    }
    Ok(())
}

/// Where each name of the legend begins, its row, and how many rows there are.
fn legend(series: &[Series], width: f64) -> (Vec<(f64, f64)>, f64) {
    /// Before the first name, and behind the last.
    const LEFT: f64 = 48.0;
    const RIGHT: f64 = 12.0;
    let (mut at, mut row) = (LEFT, 0.0);
    let places = series
        .iter()
        .map(|s| {
            let wide = 24.0 + 7.0 * s.name.chars().count() as f64 + 16.0;
            if at > LEFT && at + wide > width - RIGHT {
                (at, row) = (LEFT, row + 1.0);
            }
            let place = (at, row);
            at += wide;
            place
        })
        .collect();
    (places, row + 1.0)
}
