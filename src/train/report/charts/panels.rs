//! Histograms, as many in a picture as there are things to compare, and bars.

use plotters::element::{Rectangle, Text};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{COLORS, GRID, INK, Plane, picture, px, range, short, text};
use crate::train::RunError;

/// How often values fell between edges: `counts[i]` from `edges[i]` to `edges[i + 1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    pub name: String,
    pub edges: Vec<f64>,
    pub counts: Vec<u64>,
    /// Said below the name.
    pub note: String,
}

impl Histogram {
    /// Counts the finite values in `bins` of one width, from the lowest to the highest;
    /// where all are the same, from a half below to a half above (as `numpy.histogram`).
    pub fn of(name: &str, values: impl Iterator<Item = f64> + Clone, bins: usize) -> Histogram {
        let ends = (f64::INFINITY, f64::NEG_INFINITY);
        let finite = values.clone().filter(|v| v.is_finite());
        let ends = finite.fold(ends, |(a, b), v| (a.min(v), b.max(v)));
        let mut histogram = Histogram::between(name, ends, bins);
        values.for_each(|v| histogram.add(v));
        histogram
    }

    /// Without values yet, which lie between these ends.
    pub fn between(name: &str, (least, most): (f64, f64), bins: usize) -> Histogram {
        let (least, most) = match least.partial_cmp(&most) {
            Some(std::cmp::Ordering::Less) => (least, most),
            Some(std::cmp::Ordering::Equal) => (least - 0.5, most + 0.5),
            _ => (0.0, 1.0),
        };
        let width = (most - least) / bins as f64;
        Histogram {
            name: name.to_owned(),
            edges: (0..=bins).map(|i| least + width * i as f64).collect(),
            counts: vec![0; bins],
            note: String::new(),
        }
    }

    pub fn add(&mut self, v: f64) {
        let bins = self.counts.len();
        if let ([least, .., most], true) = (self.edges.as_slice(), v.is_finite()) {
            let at = ((v - least) / (most - least) * bins as f64) as usize;
            self.counts[at.min(bins - 1)] += 1;
        }
    }
}

const PANEL: (u32, u32) = (300, 190);
/// Pixels for a panel's name and note.
const HEAD: f64 = 34.0;

/// Histograms, three in a row.
pub fn histograms(title: &str, panels: &[Histogram]) -> Result<String, RunError> {
    let columns = panels.len().clamp(1, 3) as u32;
    let rows = (panels.len() as u32).div_ceil(columns).max(1);
    let size = (PANEL.0 * columns, PANEL.1 * rows);
    picture(title, size, |area| {
        let cells = area.split_evenly((rows as usize, columns as usize));
        for (panel, cell) in panels.iter().zip(&cells) {
            let (head, body) = cell.split_vertically(px(HEAD));
            let name = fitted(&panel.name, 40);
            head.draw(&Text::new(name, (px(10.0), px(12.0)), text(12.0, INK)))?;
            let note = text(10.5, super::ASIDE);
            head.draw(&Text::new(panel.note.as_str(), (px(10.0), px(27.0)), note))?;
            let most = panel.counts.iter().max().copied().unwrap_or(0).max(1);
            let plane = Plane {
                x: range(panel.edges.iter().copied()),
                y: 0.0..most as f64 * 1.05,
                names: ["", ""],
                whole: false,
                ticks: [4, 4],
            };
            let mut chart = plane.on(&body)?;
            let bars = panel.edges.windows(2).zip(&panel.counts);
            let bars = bars.filter(|(_, n)| **n > 0).map(|(edges, n)| {
                let corners = [(edges[0], 0.0), (edges[1], *n as f64)];
                Rectangle::new(corners, COLORS[0].mix(0.8).filled())
            });
            chart.draw_series(bars)?;
        }
        Ok(())
    })
}

/// A bar a name, the numbers beside them; those below 0 go to the left.
pub fn bars(title: &str, all: &[(String, f64)]) -> Result<String, RunError> {
    const ROW: f64 = 24.0;
    const WIDTH: u32 = 640;
    let longest = all.iter().map(|(name, _)| name.chars().count()).max();
    let left = 20.0 + 7.0 * longest.unwrap_or(0).min(40) as f64;
    let room = f64::from(WIDTH) - left - 80.0;
    let finite = all.iter().map(|(_, v)| *v).filter(|v| v.is_finite());
    let (least, most) = finite.fold((0.0f64, 0.0f64), |(a, b), v| (a.min(v), b.max(v)));
    let span = if most > least { most - least } else { 1.0 };
    let x = |v: f64| left + (v - least) / span * room;
    let height = (16.0 + ROW * all.len() as f64) as u32;
    picture(title, (WIDTH, height), |area| {
        for (i, (name, value)) in all.iter().enumerate() {
            let y = 8.0 + ROW * i as f64;
            let middle = px(y + ROW / 2.0);
            let end = if value.is_finite() { *value } else { 0.0 };
            let right = text(12.0, INK).pos(Pos::new(HPos::Right, VPos::Center));
            area.draw(&Text::new(
                fitted(name, 40),
                (px(left - 8.0), middle),
                right,
            ))?;
            let sides = |from: f64, to: f64, ink: plotters::style::ShapeStyle| {
                let corners = [(px(from), px(y + 4.0)), (px(to), px(y + ROW - 4.0))];
                Rectangle::new(corners, ink)
            };
            area.draw(&sides(left, left + room, GRID.mix(0.5).filled()))?;
            let (from, to) = (x(end.min(0.0)), x(end.max(0.0)));
            area.draw(&sides(from, to, COLORS[0].filled()))?;
            let place = (px(left + room + 8.0), middle);
            area.draw(&Text::new(short(*value), place, text(12.0, INK)))?;
        }
        Ok(())
    })
}

/// The end of a long name, where layers' names differ.
pub(super) fn fitted(name: &str, most: usize) -> String {
    let count = name.chars().count();
    match count <= most {
        true => name.to_owned(),
        false => format!(
            "…{}",
            name.chars().skip(count - most + 1).collect::<String>()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_between_the_edges() {
        let h = Histogram::of("x", [0.0, 1.0, 2.0, 4.0, f64::NAN].into_iter(), 4);
        assert_eq!(h.edges, [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(h.counts, [1, 1, 1, 1]);
        let same = Histogram::of("x", [3.0, 3.0].into_iter(), 2);
        assert_eq!((same.edges, same.counts), (vec![2.5, 3.0, 3.5], vec![0, 2]));
        assert_eq!(Histogram::of("x", std::iter::empty(), 2).counts, [0, 0]);
    }

    #[test]
    fn a_long_name_keeps_its_end() {
        assert_eq!(fitted("block_12.attention.dense", 10), "…ion.dense");
        assert_eq!(fitted("dense", 10), "dense");
    }
}
