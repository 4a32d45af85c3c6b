//! Windows, lags and what lies ahead: columns made of other rows, and the rows that have them.
//!
//! Parts that follow each other, by time or as a column gives them, are series of their own,
//! so nothing of one gets into another; rows that any other split throws together are one
//! series, in the order of the file.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::data::series::{Offsets, gather};
use crate::data::{DataError, Table};
use crate::spec::{DataSpec, DerivedSpec, Make, Method};

use super::{Parts, indices};

/// Whether one of these columns is made of other rows.
pub fn is_series(spec: &DataSpec, columns: &[&str]) -> bool {
    let columns = columns.iter().map(|c| (*c).to_owned()).collect();
    wanted(spec, &columns).next().is_some()
}

/// The columns of a table that are made of other rows, and whether a row has all of them;
/// none if there are no such columns in `needed`.
pub fn extend(
    spec: &DataSpec,
    table: &Table,
    series: &[&[u32]],
    needed: &BTreeSet<String>,
) -> Result<Option<(Table, Vec<bool>)>, DataError> {
    let mut columns = table.columns().to_vec();
    let mut whole = vec![true; table.rows()];
    for (derived, offsets, stride) in wanted(spec, needed) {
        let of = &table.columns()[indices(table, &[derived.of.column()])?[0]];
        let several = matches!(derived.make, Make::Windows { .. });
        let how = (&offsets, several, stride);
        let (made, has) = gather(of, &derived.name, series, how)?;
        columns.push(made);
        whole.iter_mut().zip(has).for_each(|(all, has)| *all &= has);
    }
    if columns.len() == table.columns().len() {
        return Ok(None);
    }
    Ok(Some((Table::new(columns)?, whole)))
}

/// Adds such columns to the tables of parts, and leaves out the rows that lack one.
pub(super) fn extend_parts(
    spec: &DataSpec,
    parts: &mut Parts,
    needed: &BTreeSet<String>,
) -> Result<(), DataError> {
    let Some(span) = wanted(spec, needed)
        .map(|(_, offsets, _)| offsets.span())
        .max()
    else {
        return Ok(());
    };
    let apart = spec.split.as_ref();
    let apart = apart.is_some_and(|s| matches!(s.method, Method::Time(_) | Method::Given { .. }));
    let mut tables: Vec<Arc<Table>> = Vec::new();
    for (table, _) in parts.values() {
        if !tables.iter().any(|t| Arc::ptr_eq(t, table)) {
            tables.push(table.clone());
        }
    }
    for old in tables {
        let mine = || parts.values().filter(|(t, _)| Arc::ptr_eq(t, &old));
        let mut all: Vec<u32> = mine().flat_map(|(_, rows)| rows.iter().copied()).collect();
        all.sort_unstable();
        let series: Vec<&[u32]> = match apart {
            true => mine().map(|(_, rows)| rows.as_slice()).collect(),
            false => vec![&all],
        };
        let Some((new, whole)) = extend(spec, &old, &series, needed)? else {
            continue;
        };
        let new = Arc::new(new);
        for (part, (table, rows)) in parts.iter_mut() {
            if !Arc::ptr_eq(table, &old) {
                continue;
            }
            let before = rows.len();
            rows.retain(|&row| whole[row as usize]);
            if rows.is_empty() {
                return Err(DataError::TooShort {
                    part: part.name().into(),
                    rows: before,
                    span,
                });
            }
            *table = new.clone();
        }
    }
    Ok(())
}

fn wanted<'s>(
    spec: &'s DataSpec,
    needed: &BTreeSet<String>,
) -> impl Iterator<Item = (&'s DerivedSpec, Offsets, usize)> {
    let derived = spec.derived.iter().filter(|d| needed.contains(&d.name));
    derived.filter_map(|d| match d.make {
        Make::Windows {
            length,
            rate,
            stride,
        } => Some((d, Offsets::window(length, rate), stride)),
        Make::Ahead(rows) => Some((d, Offsets::one(rows), 1)),
        _ => None,
    })
}
