//! The columns of a data block as tables: type, range, missing values, a line of bars.

use comfy_table::{LineStyle, Table as Shown, TableStyle};
use serde_json::{Map, Value, json};

use super::short;
use crate::cli::common::Failure;
use crate::cli::progress::thousands;
use crate::data::Table;
use crate::data::describe::{Facts, Histogram, describe, describe_pieces};
use crate::data::stream::StreamPart;
use crate::lower::spec::{ColumnKind, ColumnSpec, DataSpec};

pub fn facts<'a>(
    spec: &'a DataSpec,
    table: &Table,
    rows: &[u32],
) -> Result<Vec<(&'a ColumnSpec, Facts)>, Failure> {
    let mut all = Vec::new();
    for column in &spec.columns {
        if let Some(values) = table.column(&column.name) {
            all.push((column, describe(values, rows)?));
        }
    }
    Ok(all)
}

/// The same of rows that are read some at a time, in passes over them.
pub fn streamed_facts<'a>(
    spec: &'a DataSpec,
    rows: &StreamPart,
) -> Result<Vec<(&'a ColumnSpec, Facts)>, Failure> {
    let mut all = Vec::new();
    for column in &spec.columns {
        if let Some(index) = rows.stream().find(&column.name) {
            let facts = describe_pieces(&mut |f| rows.each(index, f))?;
            all.push((column, facts));
        }
    }
    Ok(all)
}

/// As in the file: `class[2]`, `u8[28, 28]`.
fn type_text(column: &ColumnSpec) -> String {
    let name = match column.kind {
        ColumnKind::U8 => "u8".into(),
        ColumnKind::I32 => "int".into(),
        ColumnKind::F32 => String::new(),
        ColumnKind::Class(n) => format!("class[{n}]"),
        ColumnKind::Token(n) => format!("token[{n}]"),
        ColumnKind::Bool => "bool".into(),
        ColumnKind::Text => "text".into(),
    };
    match (name.as_str(), column.shape.as_slice()) {
        ("", shape) => format!("{shape:?}"),
        (_, []) => name,
        (_, shape) => format!("{name}{shape:?}"),
    }
}

pub fn columns_text(columns: &[(&ColumnSpec, Facts)]) -> String {
    let mut table = Shown::new();
    let rule = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(rule).bottom_border(rule));
    table.set_header([
        "column",
        "type",
        "missing",
        "distinct",
        "range",
        "mean ± std",
        "",
    ]);
    for (column, facts) in columns {
        let unit = match column.kind {
            ColumnKind::Text => " characters",
            _ => "",
        };
        let distinct = match facts.distinct {
            Some(n) => thousands(n),
            None => "many".into(),
        };
        let (range, mean, bars) = match &facts.range {
            None => (String::new(), String::new(), String::new()),
            Some(r) => {
                let label = matches!(column.kind, ColumnKind::Class(_) | ColumnKind::Token(_));
                let mean = if label {
                    String::new()
                } else {
                    format!("{} ± {}", short(r.mean), short(r.std))
                };
                let bars = if label && !facts.counts.is_empty() && facts.counts.len() <= 4 {
                    let each = facts.counts.iter();
                    let each = each.map(|(v, n)| format!("{v}: {}", thousands(*n as usize)));
                    each.collect::<Vec<_>>().join("  ")
                } else if facts.counts.len() > 1 {
                    let counts = facts.counts.iter().map(|(_, n)| *n).collect();
                    Histogram { counts }.line()
                } else {
                    r.histogram.line()
                };
                (
                    format!("{} .. {}{unit}", short(r.min), short(r.max)),
                    mean,
                    bars,
                )
            }
        };
        table.add_row([
            column.name.clone(),
            type_text(column),
            thousands(facts.missing as usize),
            distinct,
            range,
            mean,
            bars,
        ]);
    }
    table.to_string()
}

pub fn column_json(column: &ColumnSpec, facts: &Facts) -> Value {
    json!({
        "name": column.name,
        "type": type_text(column),
        "values": facts.values,
        "missing": facts.missing,
        "distinct": facts.distinct,
        "min": facts.range.as_ref().map(|r| r.min),
        "max": facts.range.as_ref().map(|r| r.max),
        "mean": facts.range.as_ref().map(|r| r.mean),
        "std": facts.range.as_ref().map(|r| r.std),
        "histogram": facts.range.as_ref().map(|r| &r.histogram.counts),
        "counts": facts.counts.iter().map(|(v, n)| (v.to_string(), json!(*n))).collect::<Map<_, _>>(),
    })
}
