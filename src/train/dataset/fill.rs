//! What stands for missing values: rows that are left out, numbers that are put in their
//! place, and columns that say where they were.

use std::collections::BTreeMap;

use crate::data::missing::{self, Stand};
use crate::data::{Column, ColumnData, DataError, Table};
use crate::spec::{ColumnSpec, DataSpec, Imputed, Make, Missing};

use super::indices;

/// Rows without a missing value in a column whose rows are then left out.
pub(super) fn whole_rows(spec: &DataSpec, table: &Table) -> Result<Vec<u32>, DataError> {
    let rows: Vec<u32> = (0..table.rows() as u32).collect();
    let dropping = spec
        .columns
        .iter()
        .filter(|c| c.missing == Some(Missing::Drop));
    let names: Vec<&str> = dropping.map(|c| c.name.as_str()).collect();
    if names.is_empty() {
        return Ok(rows);
    }
    let columns = indices(table, &names)?.into_iter();
    let columns: Vec<&Column> = columns.map(|i| &table.columns()[i]).collect();
    let kept = missing::whole_rows(&rows, &columns);
    if kept.is_empty() {
        return Err(DataError::NoRows { doing: "use" });
    }
    Ok(kept)
}

/// How many values of each feature `rows` lack, by column; where such rows are left out, all
/// rows of the table.
pub(super) fn count(spec: &DataSpec, table: &Table, rows: &[u32]) -> BTreeMap<String, Vec<u64>> {
    let every: Vec<u32> = (0..table.rows() as u32).collect();
    let mut counts = BTreeMap::new();
    for spec in spec.columns.iter().filter(|c| c.missing.is_some()) {
        let Some(column) = table.column(&spec.name) else {
            continue;
        };
        let (flags, each) = (missing::flags(column), column.per_row());
        let of = match spec.missing {
            Some(Missing::Drop) => &every,
            _ => rows,
        };
        let mut counted = vec![0; each];
        for &row in of {
            let flags = &flags[row as usize * each..][..each];
            let each = counted.iter_mut().zip(flags);
            each.for_each(|(n, flag)| *n += u64::from(*flag));
        }
        counts.insert(spec.name.clone(), counted);
    }
    counts
}

/// What stands for a missing value of each feature, by column.
pub(super) fn learn(
    spec: &DataSpec,
    table: &Table,
    rows: &[u32],
) -> Result<BTreeMap<String, Vec<f64>>, DataError> {
    let mut fills = BTreeMap::new();
    for (column, what) in filled(spec) {
        let Some(found) = table.column(&column.name) else {
            continue;
        };
        let values = match what {
            Missing::Constant(x) => vec![x],
            Missing::Fitted(Imputed::Mean) => missing::fit(found, rows, Stand::Mean)?,
            Missing::Fitted(Imputed::Median) => missing::fit(found, rows, Stand::Median)?,
            Missing::Fitted(Imputed::MostFrequent) => {
                missing::fit(found, rows, Stand::MostFrequent)?
            }
            Missing::Drop => continue,
        };
        fills.insert(column.name.clone(), values);
    }
    Ok(fills)
}

/// The table without missing values, and with the columns that say where they were.
pub fn fill(
    spec: &DataSpec,
    table: &Table,
    fills: &BTreeMap<String, Vec<f64>>,
) -> Result<Table, DataError> {
    let mut columns = Vec::with_capacity(table.columns().len());
    for column in table.columns() {
        columns.push(match fills.get(&column.name) {
            Some(values) => missing::filled(column, values)?,
            None => column.clone(),
        });
    }
    for derived in spec.derived.iter().filter(|d| d.make == Make::Missing) {
        if let Some(of) = table.column(derived.of.column()) {
            let flags = ColumnData::U8(missing::flags(of));
            columns.push(Column::new(&derived.name, of.shape().to_vec(), flags)?);
        }
    }
    Table::new(columns)
}

fn filled(spec: &DataSpec) -> impl Iterator<Item = (&ColumnSpec, Missing)> {
    let columns = spec.columns.iter();
    columns.filter_map(|c| Some((c, c.missing.filter(|m| *m != Missing::Drop)?)))
}
