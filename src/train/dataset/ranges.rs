//! Which columns lie between the ends of a range of names: the training file says, and every
//! other file is asked for the columns of these names, in whatever order it holds them.

use std::collections::{BTreeMap, BTreeSet};

use crate::data::DataError;
use crate::data::formats::{csv, jsonl, parquet};
use crate::spec::{DataSpec, Format, Part, Selector};

use super::places::Places;
use super::sources::csv_options;

/// The names of each column that is a range, by column.
pub type Ranges = BTreeMap<String, Vec<String>>;

/// What the first training source says; nothing of a range that it does not have. What is wrong
/// with that is said when the column is read.
pub(super) fn ranges(spec: &DataSpec, places: &Places) -> Result<Ranges, DataError> {
    let mut found = Ranges::new();
    if !(spec.columns.iter()).any(|c| matches!(c.selector, Selector::Names(..))) {
        return Ok(found);
    }
    let trains = |part: Option<Part>| part.is_none_or(|part| part == Part::Train);
    let Some(source) = spec.sources.iter().find(|s| trains(s.part)) else {
        return Ok(found);
    };
    let names = match &source.format {
        Format::Csv {
            path,
            delimiter,
            header,
            quote,
        } => {
            let options = csv_options(*delimiter, *header, *quote);
            csv::csv_header(&places.find(path), options)?.0
        }
        Format::Jsonl { path } => Some(jsonl::jsonl_names(&places.find(path))?),
        Format::Parquet { path } => Some(parquet::parquet_names(&places.find(path))?),
        _ => None,
    };
    let names = names.unwrap_or_default();
    for column in &spec.columns {
        let Selector::Names(first, last) = &column.selector else {
            continue;
        };
        let at = |name: &String| names.iter().position(|n| n == name);
        let (Some(first), Some(last)) = (at(first), at(last)) else {
            continue;
        };
        let between = names.get(first..=last).unwrap_or_default();
        // a name that occurs twice finds nothing: such a range stays one of places
        let different: BTreeSet<&String> = between.iter().collect();
        if !between.is_empty() && different.len() == between.len() {
            found.insert(column.name.clone(), between.to_vec());
        }
    }
    Ok(found)
}

/// Those of `ranges` that have as many names as their column holds numbers: the weights may be of
/// another program.
pub(super) fn fitting(spec: &DataSpec, mut ranges: Ranges) -> Ranges {
    ranges.retain(|name, names| {
        let column = spec.columns.iter().find(|c| c.name == *name);
        column.is_some_and(|c| c.shape.iter().product::<usize>() == names.len())
    });
    ranges
}

impl DataSpec {
    /// The same block, its ranges of names written out, so far as `ranges` has them.
    pub fn with_ranges(&self, ranges: &Ranges) -> DataSpec {
        let mut spec = self.clone();
        for column in &mut spec.columns {
            let Selector::Names(first, last) = &column.selector else {
                continue;
            };
            let names = ranges.get(&column.name);
            let same = |n: &&Vec<String>| n.first() == Some(first) && n.last() == Some(last);
            if let Some(names) = names.filter(same) {
                column.selector = Selector::Each(names.clone());
            }
        }
        spec
    }
}
