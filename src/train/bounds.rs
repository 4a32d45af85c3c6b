//! Numbers that a loss does not take: weights below 0, targets that are no probabilities.

use crate::data::{DataError, Order};
use crate::ir::Type;
use crate::spec::{Bounds, Part, TrainSpec};

use super::dataset::Dataset;
use super::report::numbers_of;
use super::session::Aside;
use super::{RunError, Session};

/// Refuses the first row of these parts with a number that is out of its bounds.
pub fn check(
    session: &mut Session,
    data: &Dataset,
    spec: &TrainSpec,
    parts: &[Part],
) -> Result<(), RunError> {
    if spec.bounds.is_empty() {
        return Ok(());
    }
    let mut aside = Aside::new(spec.bounded.clone());
    let types: Vec<Type> = aside
        .results()
        .into_iter()
        .map(|(_, t)| t.clone())
        .collect();
    let columns: Vec<String> = aside.columns().into_iter().map(str::to_owned).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    for &part in parts {
        let size = spec.batch.min(data.rows(part).max(1));
        let Some(mut batches) = data.batches(part, &columns, size, Order::Sequential)? else {
            continue;
        };
        let mut all_zero = vec![true; spec.bounds.len()];
        let mut before = 0;
        let mut epoch = batches.epoch(0);
        while let Some(batch) = epoch.next_batch()? {
            let results = aside.run(session, &batch)?.zip(&types);
            for (i, (bound, (bytes, ty))) in spec.bounds.iter().zip(results).enumerate() {
                let numbers = numbers_of(bytes, ty.elem);
                all_zero[i] &= numbers.iter().all(|x| *x == 0.0);
                if let Some(at) = numbers.iter().position(|x| !within(bound, *x)) {
                    let each = numbers.len() / batch.rows().max(1);
                    let (path, row) = data.origin(part, before + at / each.max(1));
                    return Err(RunError::Data(DataError::OutOfBounds {
                        path,
                        row,
                        // the digits of a single-precision number, not those of its double
                        value: numbers[at].to_string().parse().unwrap_or(f64::NAN),
                        low: bound.low,
                        high: bound.high,
                        shown: bound.shown.clone(),
                        what: bound.what.clone(),
                    }));
                }
            }
            before += batch.rows();
        }
        let zero = all_zero.iter().zip(&spec.bounds);
        let mut zero = zero.filter(|(zero, bound)| **zero && bound.weights);
        if let Some((_, bound)) = zero.next().filter(|_| part == Part::Train && before > 0) {
            return Err(RunError::Data(DataError::AllZero {
                shown: bound.shown.clone(),
                what: bound.what.clone(),
            }));
        }
    }
    Ok(())
}

fn within(bound: &Bounds, x: f32) -> bool {
    // soft labels that were computed may be rounded beyond 1
    let slack = if bound.weights { 0.0 } else { 1e-5 };
    (bound.low - slack..=bound.high + slack).contains(&f64::from(x))
}
