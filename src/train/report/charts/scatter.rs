//! Points of two numbers each.

use plotters::element::{Circle, DashedPathElement};
use plotters::style::Color;

use super::{ASIDE, COLORS, Plane, picture, px, range, stroke};
use crate::train::RunError;

/// The line that points would be on, were the model perfect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guide {
    /// Where both numbers are the same; the axes are the same too.
    Diagonal,
    /// Where the second is 0.
    Zero,
}

/// More points than this only hide each other: every so many of them is drawn.
const MOST: usize = 1500;

/// Points over axes, with a line to compare them with; what is not finite is left out.
pub fn scatter(
    title: &str,
    names: [&str; 2],
    points: &[(f64, f64)],
    guide: Guide,
) -> Result<String, RunError> {
    let points: Vec<(f64, f64)> = points
        .iter()
        .step_by(points.len().div_ceil(MOST).max(1))
        .filter(|p| p.0.is_finite() && p.1.is_finite())
        .copied()
        .collect();
    let (xs, ys) = (points.iter().map(|p| p.0), points.iter().map(|p| p.1));
    let (x, y) = match guide {
        Guide::Diagonal => {
            let both = range(xs.chain(ys));
            (both.clone(), both)
        }
        Guide::Zero => (range(xs), range(ys.chain([0.0]))),
    };
    let ends = match guide {
        Guide::Diagonal => [(x.start, y.start), (x.end, y.end)],
        Guide::Zero => [(x.start, 0.0), (x.end, 0.0)],
    };
    let plane = Plane {
        x,
        y,
        names,
        whole: false,
        ticks: [6, 6],
    };
    picture(title, (480, 420), |area| {
        let mut chart = plane.on(area)?;
        let line = DashedPathElement::new(ends, px(5.0), px(4.0), stroke(ASIDE, 1.4));
        chart.plotting_area().draw(&line)?;
        let ink = COLORS[0].mix(0.55).filled();
        chart.draw_series(points.iter().map(|p| Circle::new(*p, px(2.6), ink)))?;
        Ok(())
    })
}
