//! The pictures of a sweep: parallel coordinates, scores from trial to trial, the importance of
//! the axes, scores along each axis. Colours say how good a trial is, by rank.

use std::ops::Range;

use plotters::element::{Circle, PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBColor};

use crate::spec::callbacks::Better;
use crate::spec::sweep::{Axis, SweepSpec, Values};
use crate::train::RunError;
use crate::train::report::charts::{
    ASIDE, AXIS, COLORS, Drawing, GRID, INK, Plane, picture, px, range, short, stroke, text,
};
use crate::train::sweep::importance::ranks;
use crate::train::sweep::space;

/// A trial that finished with a score.
pub(super) struct Shown<'a> {
    /// From 1.
    pub trial: usize,
    pub best: bool,
    pub score: f64,
    pub values: &'a [String],
}

const BEST: RGBColor = COLORS[1];

/// From 0, the worst, to 1, the best, by rank.
fn merits(spec: &SweepSpec, shown: &[Shown]) -> Vec<f64> {
    let scores: Vec<f64> = shown.iter().map(|s| s.score).collect();
    let most = (shown.len() as f64 - 1.0).max(1.0);
    let ranks = ranks(&scores).into_iter().map(|r| r / most);
    match spec.goal.better {
        Better::Less => ranks.map(|r| 1.0 - r).collect(),
        Better::Greater => ranks.collect(),
    }
}

/// From pale to dark: steps of viridis that can be told apart on white, the best darkest.
fn colour(merit: f64) -> RGBColor {
    const STEPS: [(u8, u8, u8); 5] = [
        (0xd5, 0xdd, 0xe3),
        (0x9f, 0xc8, 0xc9),
        (0x4f, 0xa3, 0xb5),
        (0x27, 0x6f, 0x9b),
        (0x27, 0x2f, 0x6b),
    ];
    let at = merit.clamp(0.0, 1.0) * (STEPS.len() - 1) as f64;
    let low = (at as usize).min(STEPS.len() - 2);
    let mix =
        |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * (at - low as f64)) as u8;
    let (a, b) = (STEPS[low], STEPS[low + 1]);
    RGBColor(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

/// The scores that a picture has room for: a few that are far worse than the rest (further
/// from its quarters than three times the distance between them, Tukey's outer fence) would
/// leave none for it, and are drawn at the edge.
fn room(spec: &SweepSpec, shown: &[Shown]) -> Range<f64> {
    let mut scores: Vec<f64> = shown.iter().map(|s| s.score).collect();
    scores.sort_by(f64::total_cmp);
    let n = scores.len();
    let (low, high) = match n {
        0..4 => (f64::NEG_INFINITY, f64::INFINITY),
        _ => {
            let (a, b) = (scores[n / 4], scores[n * 3 / 4]);
            (a - 3.0 * (b - a), b + 3.0 * (b - a))
        }
    };
    let fits = |s: &&f64| match spec.goal.better {
        Better::Less => **s <= high,
        Better::Greater => **s >= low,
    };
    range(scores.iter().filter(fits).copied())
}

/// A trial as a dot: the best larger, one that is out of the picture's room hollow.
fn dot(
    (x, score): (f64, f64),
    room: &Range<f64>,
    merit: f64,
    first: bool,
) -> Circle<(f64, f64), i32> {
    let (ink, size) = match first {
        true => (BEST, 4.6),
        false => (colour(merit), 3.6),
    };
    let style = match room.contains(&score) {
        true => ink.filled(),
        false => stroke(ASIDE, 1.2),
    };
    let place = (x, score.clamp(room.start, room.end));
    Circle::new(place, px(size), style)
}

/// One vertical line per axis, the score last, and one line per trial across them.
pub(super) fn parallel(spec: &SweepSpec, shown: &[Shown]) -> Result<String, RunError> {
    let columns = spec.axes.len() + 1;
    let width = (180 * columns as u32 + 120).clamp(900, 1280);
    let height = 400;
    let (left, top, bottom) = (90.0, 46.0, 370.0);
    let step = (f64::from(width) - 2.0 * left) / (columns - 1).max(1) as f64;
    let x = |column: usize| left + step * column as f64;
    let y = |share: f64| bottom - (bottom - top) * share;
    let scores = room(spec, shown);
    let of_score = |score: f64| {
        let share = ((score - scores.start) / (scores.end - scores.start)).clamp(0.0, 1.0);
        // the best is above
        if spec.goal.better == Better::Less {
            1.0 - share
        } else {
            share
        }
    };
    let merits = merits(spec, shown);
    let mut order: Vec<usize> = (0..shown.len()).collect();
    // the best above all others
    order.sort_by(|a, b| {
        let by_merit = merits[*a].total_cmp(&merits[*b]);
        shown[*a].best.cmp(&shown[*b].best).then(by_merit)
    });
    picture("parallel coordinates", (width, height), |area| {
        for &i in &order {
            let trial = &shown[i];
            let mut points: Vec<(i32, i32)> = Vec::with_capacity(columns);
            for (column, (axis, value)) in spec.axes.iter().zip(trial.values).enumerate() {
                let share = space::share(&axis.values, value).unwrap_or(0.5);
                points.push((px(x(column)), px(y(share))));
            }
            points.push((px(x(columns - 1)), px(y(of_score(trial.score)))));
            let style = match trial.best {
                true => stroke(BEST, 2.6),
                false => stroke(colour(merits[i]), 1.3),
            };
            area.draw(&PathElement::new(points, style))?;
        }
        let heads = spec.axes.iter().map(|a| a.name.as_str());
        for (column, name) in heads.chain([spec.goal.name.as_str()]).enumerate() {
            let line = [(px(x(column)), px(y(0.0))), (px(x(column)), px(y(1.0)))];
            area.draw(&PathElement::new(line.to_vec(), stroke(AXIS, 1.2)))?;
            let middle = text(13.0, INK).pos(Pos::new(HPos::Center, VPos::Center));
            area.draw(&Text::new(
                name.to_owned(),
                (px(x(column)), px(20.0)),
                middle,
            ))?;
            let marks = match spec.axes.get(column) {
                Some(axis) => marks(axis),
                None => (0..=4)
                    .map(|i| scores.start + (scores.end - scores.start) * f64::from(i) / 4.0)
                    .map(|v| (of_score(v), short(rounded(v))))
                    .collect(),
            };
            for (share, label) in marks {
                let (at, y) = (x(column), y(share));
                let tick = [(px(at - 3.0), px(y)), (px(at + 3.0), px(y))];
                area.draw(&PathElement::new(tick.to_vec(), stroke(AXIS, 1.2)))?;
                let (place, side) = match column + 1 == columns {
                    true => (at + 8.0, HPos::Left),
                    false => (at - 8.0, HPos::Right),
                };
                backed(area, &label, (place, y), side)?;
            }
        }
        Ok(())
    })
}

/// Text on a white ground, so that lines do not cross it.
fn backed(
    area: &crate::train::report::charts::Area,
    label: &str,
    (x, y): (f64, f64),
    side: HPos,
) -> Drawing {
    let width = 6.4 * label.chars().count() as f64 + 4.0;
    let from = match side {
        HPos::Left => x - 2.0,
        HPos::Right | HPos::Center => x - width + 2.0,
    };
    let corners = [(px(from), px(y - 7.5)), (px(from + width), px(y + 7.5))];
    let white = plotters::style::WHITE.mix(0.82).filled();
    area.draw(&Rectangle::new(corners, white))?;
    let style = text(11.5, INK).pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(label.to_owned(), (px(x), px(y)), style))
}

/// The positions of values on an axis, and their labels.
fn marks(axis: &Axis) -> Vec<(f64, String)> {
    const MOST: usize = 12;
    let tens = tens(&axis.values);
    let mut found: Vec<(f64, String)> = match &axis.values {
        _ if tens.len() > 1 => tens,
        Values::Listed(items) => {
            let n = items.len();
            let each = n.div_ceil(MOST).max(1);
            let all = items.iter().enumerate().step_by(each);
            all.map(|(i, item)| (space::middle(i, n), cut(item)))
                .collect()
        }
        values => {
            let points = space::grid(values, Some(5));
            let shown = |v: &String| {
                v.parse()
                    .map_or_else(|_| v.clone(), |x: f64| short(rounded(x)))
            };
            let share = |v: &String| space::share(values, v);
            points
                .iter()
                .filter_map(|(_, v)| Some((share(v)?, shown(v))))
                .collect()
        }
    };
    found.dedup_by(|a, b| a.1 == b.1);
    found
}

/// The powers of ten of a range by orders of magnitude.
fn tens(values: &Values) -> Vec<(f64, String)> {
    let (from, to) = match values {
        Values::Real {
            from,
            to,
            log: true,
        } => (*from, *to),
        Values::Whole {
            from,
            to,
            log: true,
        } => (*from as f64, *to as f64),
        _ => return Vec::new(),
    };
    let exponents = from.log10().ceil() as i32..=to.log10().floor() as i32;
    let powers = exponents.map(|e| format!("1e{e}").parse().unwrap_or(1.0));
    powers
        .filter_map(|x: f64| Some((space::share(values, &x.to_string())?, short(x))))
        .collect()
}

/// To three digits.
fn rounded(x: f64) -> f64 {
    format!("{x:.2e}").parse().unwrap_or(x)
}

fn cut(label: &str) -> String {
    const MOST: usize = 14;
    match label.chars().count() > MOST {
        true => label.chars().take(MOST - 1).chain(['…']).collect(),
        false => label.to_owned(),
    }
}

/// Scores by the trials' numbers, and the best so far.
pub(super) fn history(spec: &SweepSpec, shown: &[Shown]) -> Result<String, RunError> {
    let last = shown.iter().map(|s| s.trial).max().unwrap_or(1);
    let scores = room(spec, shown);
    let plane = Plane {
        x: 0.0..last as f64 + 1.0,
        y: scores.clone(),
        names: ["trial", &spec.goal.name],
        whole: true,
        ticks: [last.clamp(1, 10), 6],
    };
    let mut steps: Vec<(f64, f64)> = Vec::new();
    for s in shown {
        let at = s.trial as f64;
        let score = s.score.clamp(scores.start, scores.end);
        let before = steps.last().map(|p| p.1);
        let now = match (before, spec.goal.better) {
            (None, _) => score,
            (Some(b), Better::Less) => b.min(score),
            (Some(b), Better::Greater) => b.max(score),
        };
        steps.extend(before.map(|b| (at, b)));
        steps.push((at, now));
    }
    steps.extend(steps.last().map(|p| (last as f64 + 1.0, p.1)));
    let merits = merits(spec, shown);
    picture("scores", (900, 360), |area| {
        let mut chart = plane.on(area)?;
        chart.draw_series([PathElement::new(steps, stroke(BEST, 1.8))])?;
        let dots = shown.iter().zip(&merits);
        chart
            .draw_series(dots.map(|(s, m)| dot((s.trial as f64, s.score), &scores, *m, s.best)))?;
        Ok(())
    })
}

/// A bar an axis, from 0 to 1.
pub(super) fn importance(weights: &[(String, f64)]) -> Result<String, RunError> {
    const ROW: f64 = 26.0;
    let longest = weights.iter().map(|(name, _)| name.chars().count()).max();
    let left = 24.0 + 7.2 * longest.unwrap_or(0).min(40) as f64;
    let room = 560.0;
    let size = (
        (left + room + 70.0) as u32,
        (12.0 + ROW * weights.len() as f64) as u32,
    );
    picture("importance", size, |area| {
        for (row, (name, weight)) in weights.iter().enumerate() {
            let y = 6.0 + ROW * row as f64;
            let bar = |width: f64, style| {
                let corners = [
                    (px(left), px(y + 5.0)),
                    (px(left + width), px(y + ROW - 5.0)),
                ];
                Rectangle::new(corners, style)
            };
            area.draw(&bar(room, GRID.mix(0.6).filled()))?;
            area.draw(&bar(room * weight, colour(0.75).filled()))?;
            let right = text(12.5, INK).pos(Pos::new(HPos::Right, VPos::Center));
            let middle = px(y + ROW / 2.0);
            area.draw(&Text::new(name.clone(), (px(left - 8.0), middle), right))?;
            let label = format!("{:.0} %", weight * 100.0);
            let place = (px(left + room + 8.0), middle);
            area.draw(&Text::new(label, place, text(12.5, INK)))?;
        }
        Ok(())
    })
}

/// Scores along an axis; trials of one listed value stand side by side.
pub(super) fn axis(spec: &SweepSpec, at: usize, shown: &[Shown]) -> Result<String, RunError> {
    let axis = &spec.axes[at];
    let scores = room(spec, shown);
    let plane = Plane {
        x: -0.05..1.05,
        y: scores.clone(),
        names: [&axis.name, &spec.goal.name],
        whole: true,
        ticks: [0, 6],
    };
    let merits = merits(spec, shown);
    let listed = matches!(axis.values, Values::Listed(_));
    picture(&axis.name, (410, 330), |area| {
        let mut chart = plane.on(area)?;
        let dots = shown.iter().zip(&merits);
        chart.draw_series(dots.map(|(s, merit)| {
            let share = space::share(&axis.values, &s.values[at]).unwrap_or(0.5);
            let aside = match listed {
                true => ((s.trial * 7) % 13) as f64 / 13.0 * 0.05 - 0.025,
                false => 0.0,
            };
            dot((share + aside, s.score), &scores, *merit, s.best)
        }))?;
        let plot = chart.plotting_area();
        let style = text(12.0, INK).pos(Pos::new(HPos::Center, VPos::Center));
        for (share, label) in marks(axis) {
            let (x, bottom) = plot.map_coordinate(&(share, scores.start));
            let tick = vec![(x, bottom), (x, bottom + px(4.0))];
            area.draw(&PathElement::new(tick, stroke(AXIS, 1.0)))?;
            area.draw(&Text::new(label, (x, bottom + px(14.0)), style.clone()))?;
        }
        Ok(())
    })
}
