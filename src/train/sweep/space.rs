//! From places to values. A place is a number in [0, 1) an axis; values are texts, as a
//! program says them, so that a trial can be run again from what is shown of it.

use crate::spec::sweep::Values;

/// The value at a place. Of countable values each has an equal share of places (with `log`,
/// as much as lies around it); those of a range are rounded to about a ten-thousandth of it.
pub fn value(values: &Values, place: f64) -> String {
    match values {
        Values::Listed(items) => items[cell(place, items.len())].clone(),
        Values::Whole { from, to, log } => {
            let found = match log {
                true => {
                    let ends = (*from as f64 - 0.5, *to as f64 + 0.5);
                    between_logs(ends, place).round()
                }
                false => (*from as f64 + (*to as f64 - *from as f64 + 1.0) * place).floor(),
            };
            (found as i64).clamp(*from, *to).to_string()
        }
        Values::Real { from, to, log } => {
            let found = match log {
                true => {
                    let found = between_logs((*from, *to), place);
                    let span = (to / from).ln().min(1.0);
                    rounded(found, found * span * 1e-4)
                }
                false => rounded(from + (to - from) * place, (to - from) * 1e-4),
            };
            format!("{:?}", found.clamp(*from, *to))
        }
    }
}

/// The place in the middle of the `i`th of `n` cells.
pub fn middle(i: usize, n: usize) -> f64 {
    (i as f64 + 0.5) / n.max(1) as f64
}

/// Which of `n` equal cells a place is in.
pub fn cell(place: f64, n: usize) -> usize {
    ((place * n as f64) as usize).min(n.saturating_sub(1))
}

/// The values that a grid takes, with their places: all, where they can be counted and
/// `points` are not fewer, else `points` from one end to the other.
pub fn grid(values: &Values, points: Option<usize>) -> Vec<(f64, String)> {
    let spread = |n: usize| {
        let ends = |i: usize| i as f64 / (n - 1).max(1) as f64;
        (0..n).map(ends).collect::<Vec<f64>>()
    };
    match (values, values.count(), points) {
        (Values::Listed(items), ..) => (items.iter().enumerate())
            .map(|(i, item)| (middle(i, items.len()), item.clone()))
            .collect(),
        (Values::Whole { from, to, .. }, Some(n), points) if points.is_none_or(|p| p >= n) => {
            let all = (*from..=*to).enumerate();
            all.map(|(i, v)| (middle(i, n), v.to_string())).collect()
        }
        (_, _, points) => {
            let mut found: Vec<(f64, String)> = Vec::new();
            for t in spread(points.unwrap_or(1)) {
                let text = at(values, t);
                if found.last().is_none_or(|(_, last)| *last != text) {
                    found.push((t.min(1.0 - f64::EPSILON), text));
                }
            }
            found
        }
    }
}

/// The value at a share `t`, both ends included, of a range.
fn at(values: &Values, t: f64) -> String {
    match values {
        Values::Whole { from, to, log } => {
            let ends = (*from as f64, *to as f64);
            let found = match log {
                true => between_logs(ends, t),
                false => ends.0 + (ends.1 - ends.0) * t,
            };
            (found.round() as i64).clamp(*from, *to).to_string()
        }
        other => value(other, t),
    }
}

/// A value's share of its axis, for pictures: from 0 to 1.
pub fn share(values: &Values, text: &str) -> Option<f64> {
    let along = |(from, to): (f64, f64), log: bool| {
        let x: f64 = text.parse().ok()?;
        Some(match log {
            true => (x / from).ln() / (to / from).ln(),
            false => (x - from) / (to - from),
        })
    };
    match values {
        Values::Listed(items) => {
            let at = items.iter().position(|i| i == text)?;
            Some(middle(at, items.len()))
        }
        Values::Whole { from, to, log } => along((*from as f64, *to as f64), *log),
        Values::Real { from, to, log } => along((*from, *to), *log),
    }
}

fn between_logs((from, to): (f64, f64), share: f64) -> f64 {
    (from.ln() + (to.ln() - from.ln()) * share).exp()
}

/// To the power of ten below `fine`.
fn rounded(x: f64, fine: f64) -> f64 {
    let digits = -fine.abs().log10().floor();
    if !digits.is_finite() || !(-300.0..300.0).contains(&digits) {
        return x;
    }
    // through text: the nearest number with so many digits
    match digits as i32 {
        d if d >= 0 => format!("{x:.*}", d as usize).parse().unwrap_or(x),
        d => (x / 10f64.powi(-d)).round() * 10f64.powi(-d),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(from: f64, to: f64, log: bool) -> Values {
        Values::Real { from, to, log }
    }

    #[test]
    fn places_become_values() {
        let listed = Values::Listed(["a", "b", "c"].map(str::to_owned).to_vec());
        let all: Vec<String> = [0.0, 0.34, 0.999].map(|p| value(&listed, p)).to_vec();
        assert_eq!(all, ["a", "b", "c"]);
        let whole = Values::Whole {
            from: 3,
            to: 5,
            log: false,
        };
        assert_eq!([0.0, 0.4, 0.999].map(|p| value(&whole, p)), ["3", "4", "5"]);
        assert_eq!(value(&real(0.1, 0.5, false), 0.0), "0.1");
        assert_eq!(value(&real(0.1, 0.5, false), 0.123456), "0.14938");
        assert_eq!(value(&real(1e-4, 1e-1, true), 0.5), "0.0031623");
        assert_eq!(value(&real(1e-8, 1e-1, true), 0.0), "1e-8");
        assert_eq!(value(&real(1e20, 1e22, true), 0.5), "1e21");
        let log = Values::Whole {
            from: 1,
            to: 100,
            log: true,
        };
        assert_eq!(
            [0.0, 0.5, 0.9999].map(|p| value(&log, p)),
            ["1", "7", "100"]
        );
    }

    #[test]
    fn grids_hold_both_ends() {
        let of = |v: &Values, n| grid(v, n).into_iter().map(|g| g.1).collect::<Vec<_>>();
        assert_eq!(
            of(&real(1e-4, 1e-1, true), Some(4)),
            ["0.0001", "0.001", "0.01", "0.1"]
        );
        assert_eq!(of(&real(0.0, 1.0, false), Some(3)), ["0.0", "0.5", "1.0"]);
        let whole = Values::Whole {
            from: 1,
            to: 9,
            log: false,
        };
        assert_eq!(of(&whole, Some(3)), ["1", "5", "9"]);
        assert_eq!(of(&whole, None).len(), 9);
    }

    #[test]
    fn shares_go_from_end_to_end() {
        let axis = real(1e-4, 1e-2, true);
        assert_eq!(share(&axis, "0.0001"), Some(0.0));
        assert!((share(&axis, "0.001").unwrap() - 0.5).abs() < 1e-9);
        assert_eq!(share(&axis, "relu"), None);
    }
}
