//! Which rows are of which part.

use crate::data::split::{self, Share};
use crate::data::{DataError, Table};
use crate::spec::{Amount, DataSpec, Method, Part};

use super::indices;

/// The parts of the pooled rows; all of them are for training where there is no split.
pub(super) fn divide(
    spec: &DataSpec,
    table: &Table,
    rows: Vec<u32>,
    seed: u64,
) -> Result<Vec<(Part, Vec<u32>)>, DataError> {
    let Some(split) = &spec.split else {
        return Ok(vec![(Part::Train, rows)]);
    };
    let seed = split.seed.unwrap_or(seed);
    let column = match split.column() {
        Some(name) => Some(&table.columns()[indices(table, &[name])?[0]]),
        None => None,
    };
    let mut parts = split.parts.clone();
    let divided = match (&split.method, column) {
        (Method::Folds(folds), stratify) => {
            let test = parts.iter().find(|(p, _)| *p == Part::Test);
            let test = test.map(|(_, amount)| share(*amount));
            let number = (folds.fold.saturating_sub(1), folds.count);
            let fold = split::fold(&rows, number, test, stratify, seed)?;
            let all = [
                (Part::Train, fold.train),
                (Part::Val, fold.held_out),
                (Part::Test, fold.test),
            ];
            return Ok(all.into_iter().filter(|(_, r)| !r.is_empty()).collect());
        }
        (Method::Given { names, .. }, Some(column)) => {
            let texts: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
            let divided = split::by_value(&rows, &texts, column)?;
            let divided = names.iter().map(|(part, _)| *part).zip(divided).collect();
            return not_empty(divided, rows.len());
        }
        (Method::Hash(_), Some(key)) => {
            let shares = parts.iter().map(|(_, amount)| match amount {
                Amount::Fraction(f) => *f,
                Amount::Rows(n) => *n as f64 / rows.len().max(1) as f64,
            });
            let shares: Vec<f64> = shares.collect();
            let divided = split::by_hash(&rows, &shares, key, seed)?;
            let divided = parts.iter().map(|(part, _)| *part).zip(divided).collect();
            return not_empty(divided, rows.len());
        }
        (Method::Time(_), Some(time)) => {
            parts.sort_by_key(|(part, _)| *part);
            split::by_time(&rows, &named(&parts), time)?
        }
        (_, stratify) => split::split(&rows, &named(&parts), stratify, seed)?,
    };
    Ok(parts.iter().map(|(p, _)| *p).zip(divided).collect())
}

/// As the split takes them.
pub(super) fn named(parts: &[(Part, Amount)]) -> Vec<split::Part> {
    let parts = parts.iter().map(|(part, amount)| split::Part {
        name: part.name().into(),
        share: share(*amount),
    });
    parts.collect()
}

fn share(amount: Amount) -> Share {
    match amount {
        Amount::Fraction(f) => Share::Fraction(f),
        Amount::Rows(n) => Share::Count(n),
    }
}

/// Parts that a column decides may turn out empty.
fn not_empty(
    parts: Vec<(Part, Vec<u32>)>,
    rows: usize,
) -> Result<Vec<(Part, Vec<u32>)>, DataError> {
    match parts.iter().find(|(_, mine)| mine.is_empty()) {
        Some((part, _)) => Err(DataError::EmptyPart {
            part: part.name().into(),
            share: "none".into(),
            rows,
        }),
        None => Ok(parts),
    }
}
