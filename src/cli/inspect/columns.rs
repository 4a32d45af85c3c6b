//! The columns of a data block: type, range, missing values, how often which values are
//! there; the features of a short row one by one.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::pictures::{self, Ends, Shape};
use super::{rough, short};
use crate::cli::common::Failure;
use crate::cli::tables::{self, TextTable};
use crate::data::describe::{Facts, Histogram, describe, describe_pieces};
use crate::data::packed::stream::StreamPart;
use crate::data::{Column, Table};
use crate::plural::thousands;
use crate::spec::{ColumnKind, ColumnSpec, DataSpec};

/// Rows of more numbers are described as a whole.
const FEATURES: usize = 12;
/// Classes are counted in words up to here, in bars above.
const FEW: usize = 4;

/// What a column holds.
pub(super) struct Look<'a> {
    pub spec: &'a ColumnSpec,
    /// The first rows, at least.
    pub column: &'a Column,
    pub facts: Facts,
    /// Facts about each number of a row, where there are a few.
    pub features: Vec<Facts>,
    /// How its rows are pictures, and which numbers are black and white.
    pub picture: Option<(Shape, Ends)>,
}

/// The rows that are looked at.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// In memory.
    Table(&'a Table, &'a [u32]),
    /// Read some at a time, in passes over them.
    Stream(&'a StreamPart),
}

impl Source<'_> {
    /// Facts about a column: about all numbers of its rows, or those at one place.
    fn facts(self, column: &str, of: Option<usize>) -> Result<Option<Facts>, Failure> {
        Ok(match self {
            Source::Table(table, rows) => match (table.column(column), of) {
                (None, _) => None,
                (Some(column), None) => Some(describe(column, rows)?),
                (Some(column), of) => Some(describe_pieces(&mut |f| f(column, rows), of)?),
            },
            Source::Stream(rows) => match rows.stream().find(column) {
                None => None,
                Some(index) => Some(describe_pieces(&mut |f| rows.each(index, f), of)?),
            },
        })
    }
}

/// What the columns of a source hold; `head` has its first rows. What stands for values that
/// are `missing` has been put in already.
pub(super) fn looks<'a>(
    spec: &'a DataSpec,
    source: Source,
    head: &'a Table,
    missing: &BTreeMap<String, Vec<u64>>,
) -> Result<Vec<Look<'a>>, Failure> {
    let mut all = Vec::new();
    for spec in &spec.columns {
        let Some(column) = head.column(&spec.name) else {
            continue;
        };
        let Some(mut facts) = source.facts(&spec.name, None)? else {
            continue;
        };
        let picture = picture(spec, column, &facts);
        let each = column.per_row();
        let mut features = Vec::new();
        if picture.is_none() && (2..=FEATURES).contains(&each) {
            for i in 0..each {
                features.extend(source.facts(&spec.name, Some(i))?);
            }
        }
        if let Some(counts) = missing.get(&spec.name) {
            facts.missing = counts.iter().sum();
            let each = features.iter_mut().zip(counts);
            each.for_each(|(f, n): (&mut Facts, _)| f.missing = *n);
        }
        all.push(Look {
            spec,
            column,
            facts,
            features,
            picture,
        });
    }
    Ok(all)
}

fn picture(spec: &ColumnSpec, column: &Column, facts: &Facts) -> Option<(Shape, Ends)> {
    let bytes = match spec.kind {
        ColumnKind::U8 => true,
        ColumnKind::F32 => false,
        _ => return None,
    };
    let shape = pictures::picture(column.shape(), bytes, &[])?;
    let range = facts.range.as_ref()?;
    Some((shape, pictures::ends(range.min, range.max, bytes)))
}

impl Look<'_> {
    /// Ids of classes or words: names, not quantities.
    fn is_label(&self) -> bool {
        let kind = self.spec.kind;
        matches!(
            kind,
            ColumnKind::Class(_) | ColumnKind::Token(_) | ColumnKind::Bool
        )
    }

    /// The numbers of a row of `column`.
    pub(super) fn numbers(&self, row: usize) -> Vec<f64> {
        let each = self.column.per_row();
        (row * each..(row + 1) * each)
            .filter_map(|i| self.column.number(i))
            .collect()
    }

    /// What a number of it counts.
    pub(super) fn unit(&self) -> &'static str {
        match self.spec.kind {
            ColumnKind::Text => " characters",
            _ => "",
        }
    }

    /// As in the file: `class[2]`, `u8[28, 28]`.
    pub(super) fn type_text(&self) -> String {
        let column = self.spec;
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

    /// Name, type, missing, distinct, range, mean and deviation: of the column, then of its
    /// features.
    pub(super) fn rows(&self) -> Vec<([String; 6], &Facts)> {
        let row = |name: String, ty: String, facts: &Facts| {
            let distinct = match facts.distinct {
                Some(n) => thousands(n),
                None => "many".into(),
            };
            let (range, mean) = match &facts.range {
                None => Default::default(),
                Some(r) => (
                    match r.min == r.max {
                        true => format!("{}{}", short(r.min), self.unit()),
                        false => format!("{} .. {}{}", short(r.min), short(r.max), self.unit()),
                    },
                    match self.is_label() {
                        true => String::new(),
                        false => format!("{} ± {}", rough(r.mean), rough(r.std)),
                    },
                ),
            };
            let missing = thousands(facts.missing as usize);
            [name, ty, missing, distinct, range, mean]
        };
        let whole = row(self.spec.name.clone(), self.type_text(), &self.facts);
        let features = self.features.iter().enumerate();
        std::iter::once((whole, &self.facts))
            .chain(features.map(|(i, f)| (row(format!("  [{i}]"), String::new(), f), f)))
            .collect()
    }

    /// A line of at most `most` bars; for a few classes how often each is there.
    fn bars(&self, facts: &Facts, most: usize) -> String {
        let Some(range) = &facts.range else {
            return String::new();
        };
        let counts = &facts.counts;
        if self.is_label() && (1..=FEW).contains(&counts.len()) {
            let each = counts.iter();
            let each = each.map(|(v, n)| format!("{v}: {}", thousands(*n as usize)));
            return each.collect::<Vec<_>>().join("  ");
        }
        if self.is_label() && counts.len() > 1 {
            let counts = counts.iter().map(|(_, n)| *n).collect();
            let all = Histogram {
                counts,
                ..Histogram::default()
            };
            return all.line(most);
        }
        range.histogram.line(most)
    }

    pub(super) fn json(&self) -> Value {
        let mut found = facts_json(&self.facts);
        found.insert("name".into(), json!(self.spec.name));
        found.insert("type".into(), json!(self.type_text()));
        let features = self.features.iter().map(facts_json);
        found.insert("features".into(), features.collect());
        Value::Object(found)
    }
}

/// What heads the columns of [`Look::rows`].
pub(super) const HEADS: [&str; 6] = [
    "column",
    "type",
    "missing",
    "distinct",
    "range",
    "mean\u{a0}±\u{a0}std",
];

pub(super) fn columns_text(columns: &[Look]) -> String {
    let text = |bars: usize| {
        let mut table = TextTable::new(HEADS.into_iter().chain([""]));
        for look in columns {
            for (row, facts) in look.rows() {
                table.row(row.into_iter().chain([look.bars(facts, bars)]));
            }
        }
        table.to_string()
    };
    let wide = text(16);
    match tables::fits(&wide) {
        true => wide,
        false => text(8),
    }
}

fn facts_json(facts: &Facts) -> Map<String, Value> {
    let range = facts.range.as_ref();
    let histogram = range.map(|r| &r.histogram);
    let counts = facts.counts.iter();
    let found = json!({
        "values": facts.values,
        "missing": facts.missing,
        "distinct": facts.distinct,
        "min": range.map(|r| r.min),
        "max": range.map(|r| r.max),
        "mean": range.map(|r| r.mean),
        "std": range.map(|r| r.std),
        "histogram": histogram.map(|h| json!({"from": h.from, "width": h.width, "counts": h.counts})),
        "counts": counts.map(|(v, n)| (v.to_string(), json!(*n))).collect::<Map<_, _>>(),
    });
    match found {
        Value::Object(found) => found,
        _ => Map::new(),
    }
}
