//! Which rows are of which part.

use crate::data::split::{self, Share};
use crate::data::{DataError, Table};
use crate::lower::spec::{Amount, DataSpec, Part};

use super::indices;

/// The parts of the pooled rows; all of them are for training where there is no split.
pub fn divide(
    spec: &DataSpec,
    table: &Table,
    rows: Vec<u32>,
    seed: u64,
) -> Result<Vec<(Part, Vec<u32>)>, DataError> {
    let Some(split) = &spec.split else {
        return Ok(vec![(Part::Train, rows)]);
    };
    let parts: Vec<split::Part> = split
        .parts
        .iter()
        .map(|(part, amount)| split::Part {
            name: part.name().into(),
            share: match amount {
                Amount::Fraction(f) => Share::Fraction(*f),
                Amount::Rows(n) => Share::Count(*n),
            },
        })
        .collect();
    let stratify = match &split.stratify {
        Some(name) => Some(&table.columns()[indices(table, &[name])?[0]]),
        None => None,
    };
    let divided = split::split(&rows, &parts, stratify, split.seed.unwrap_or(seed))?;
    Ok(split.parts.iter().map(|(p, _)| *p).zip(divided).collect())
}
