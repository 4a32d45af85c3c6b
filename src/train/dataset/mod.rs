//! What a `data` block names, in memory: tables, the rows of each part, fitted
//! statistics.
//!
//! ```text
//! places   where files are looked for
//! sources  a source's columns
//! ranges   the columns of a range of names
//! series   columns made of other rows
//! divide   rows into parts
//! fill     what stands for missing values
//! origins  the file that a row comes from
//! overlap  rows of one part that stand in another
//! streamed parts that are larger than memory
//! warnings what a good colleague would say of the rows
//! ```
//!
//! Only the columns that are needed are read. Sources without a part are pooled
//! and divided by the split; where every source has a part, the split divides
//! the training source (so that a file with `train` and `test` can set `val` aside).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bytes::bytes_of;
use crate::data::balance::{Balance, balanced};
use crate::data::packed::stream::{StreamPart, Windows};
use crate::data::{Batches, ColumnData, DataError, Order, Storage, Table};
use crate::spec::{BalanceSpec, ColumnSpec, DataSpec, FitKind, Missing, Part, Sampling};
use crate::train::fitted::{Fitted, Made};
use crate::train::identity::Hash;
use crate::train::store::Store;

mod divide;
mod fill;
mod images;
mod origins;
mod overlap;
mod places;
mod ranges;
mod series;
mod sources;
mod streamed;
mod warnings;

use divide::divide;
pub use fill::fill;
use images::Augmented;
use origins::Origins;
use sources::{read, stack};

pub use images::workers;
pub use overlap::Overlap;
pub use places::Places;
pub use ranges::Ranges;
pub use series::{extend, is_series};
pub use sources::{SOURCES, csv_columns, element, shaped};
pub use streamed::Streaming;
pub use warnings::headers;

/// Blocks in a window whose rows come as they lie in the file.
const IN_TURN: usize = 4;

/// Tables and parts of one `data` block.
pub struct Dataset {
    parts: Parts,
    /// Those that are read some rows at a time; no part is in both.
    streams: BTreeMap<Part, StreamPart>,
    /// The files that the rows of each part's table come from.
    origins: BTreeMap<Part, Origins>,
    /// Blocks of a stream that are mixed at a time.
    window: usize,
    fitted: Fitted,
    missing: BTreeMap<String, Vec<u64>>,
    /// What fitting has made already of the training table.
    made: Made,
    augmented: Augmented,
    threads: usize,
    workers: usize,
}

/// How a data block is read.
#[derive(Clone)]
pub struct Reading<'a> {
    pub places: &'a Places,
    /// Seed of the split and of augmentation.
    pub seed: u64,
    pub threads: usize,
    /// Threads that make batches; none: as many as the block needs.
    pub workers: Option<usize>,
    /// What was fitted before, and is not fitted again.
    pub fitted: Option<Fitted>,
    /// The columns of ranges of names as the initial weights were trained on them.
    pub ranges: Ranges,
    pub streaming: Streaming<'a>,
}

impl Dataset {
    /// Reads the columns in `needed`, and those that the split and the fits need.
    pub fn load(
        spec: &DataSpec,
        needed: &BTreeSet<&str>,
        reading: Reading,
    ) -> Result<Dataset, DataError> {
        let Reading { places, seed, .. } = reading;
        let ranges = match &reading.fitted {
            Some(fitted) if !fitted.ranges.is_empty() => fitted.ranges.clone(),
            _ => {
                let mut found = ranges::ranges(spec, places)?;
                found.extend(ranges::fitting(spec, reading.ranges));
                found
            }
        };
        let spec = &spec.with_ranges(&ranges);
        let mut wanted = needed.clone();
        wanted.extend(spec.split.iter().filter_map(|s| s.column()));
        let dropping = (spec.columns.iter()).filter(|c| c.missing == Some(Missing::Drop));
        wanted.extend(dropping.map(|c| c.name.as_str()));
        let derived = spec.derived.iter();
        wanted.extend(
            derived
                .filter(|d| needed.contains(d.name.as_str()))
                .map(|d| d.of.column()),
        );
        let augmented = spec.augmented.iter();
        wanted.extend(
            augmented
                .filter(|a| needed.contains(a.name.as_str()))
                .map(|a| a.column.as_str()),
        );
        if reading.fitted.is_none() {
            wanted.extend(spec.fits.iter().flat_map(|f| match &f.kind {
                FitKind::Statistics { column, .. }
                | FitKind::Tensors { column, .. }
                | FitKind::Labels { column, .. }
                | FitKind::Tokenizer { column, .. } => vec![column.as_str()],
                FitKind::Size(number) => number.columns(),
                FitKind::Vectors { .. } | FitKind::ClassWeights { .. } => Vec::new(),
            }));
        }
        let columns: Vec<&ColumnSpec> = spec
            .columns
            .iter()
            .filter(|c| wanted.contains(c.name.as_str()))
            .collect();
        let mut tables: BTreeMap<Option<Part>, Vec<Table>> = BTreeMap::new();
        let mut files: BTreeMap<Option<Part>, Origins> = BTreeMap::new();
        let (streams, mut origins) = streamed::load(spec, places, seed, &reading.streaming)?;
        for source in spec.sources.iter().filter(|s| !s.stream) {
            let threads = reading.threads;
            let table = read(source, &columns, places, &reading.streaming, threads)?;
            let of_part = files.entry(source.part).or_default();
            of_part.add(origins::path(source, places), table.rows() as u64);
            tables.entry(source.part).or_default().push(table);
        }
        let mut parts = BTreeMap::new();
        for (part, tables) in tables {
            let table = Arc::new(stack(tables)?);
            let rows = fill::whole_rows(spec, &table)?;
            parts.insert(part, (table, rows));
        }
        let mut named = BTreeMap::new();
        if let Some((table, rows)) = parts.remove(&spec.pool()) {
            let from = files.remove(&spec.pool()).unwrap_or_default();
            for (part, rows) in divide(spec, &table, rows, seed)? {
                origins.insert(part, from.clone());
                named.insert(part, (table.clone(), rows));
            }
        }
        for (part, entry) in parts {
            if let Some(part) = part {
                origins.insert(part, files.remove(&Some(part)).unwrap_or_default());
                named.insert(part, entry);
            }
        }
        let threads = reading.threads;
        let fills = match (&reading.fitted, named.get(&Part::Train)) {
            (Some(fitted), _) => fitted.fills.clone(),
            (None, Some((table, rows))) => fill::learn(spec, table, rows)?,
            (None, None) => BTreeMap::new(),
        };
        let missing = match named.get(&Part::Train) {
            Some((table, rows)) => fill::count(spec, table, rows),
            None => BTreeMap::new(),
        };
        if !fills.is_empty() {
            each_table(&mut named, |table, _| fill(spec, table, &fills))?;
        }
        let (fitted, made) = match (reading.fitted, named.get(&Part::Train)) {
            (Some(fitted), _) => (fitted, Made::default()),
            (None, Some((table, rows))) => {
                let (mut fitted, made) = Fitted::learn(spec, table, rows, places, threads)?;
                fitted.fills = fills;
                (fitted, made)
            }
            (None, None) => match streams.get(&Part::Train) {
                Some(rows) => (Fitted::learn_streamed(spec, rows)?, Made::default()),
                None => Default::default(),
            },
        };
        let mut fitted = fitted;
        fitted.ranges = ranges;
        Ok(Dataset {
            parts: named,
            streams,
            origins,
            window: reading.streaming.window,
            missing,
            fitted,
            made,
            augmented: Augmented::new(spec, seed),
            threads,
            workers: workers(spec, reading.workers),
        })
    }

    /// How many values of each feature the training rows lacked, of the columns that say what
    /// stands for them; of those whose rows are left out, all rows.
    pub fn missing(&self) -> &BTreeMap<String, Vec<u64>> {
        &self.missing
    }

    /// Makes the derived columns in `needed`, whose sizes are known by now; texts, which no
    /// batch holds, are let go unless they are in `needed`.
    pub fn derive(&mut self, spec: &DataSpec, needed: &BTreeSet<String>) -> Result<(), DataError> {
        series::extend_parts(spec, &mut self.parts, needed)?;
        let mut made = std::mem::take(&mut self.made);
        let (fitted, threads) = (&self.fitted, self.threads);
        each_table(&mut self.parts, |table, trained| {
            let mut other = Made::default();
            let made = if trained { &mut made } else { &mut other };
            let all = fitted.derive(spec, table, needed, made, threads)?;
            let kept = all
                .into_columns()
                .into_iter()
                .filter(|c| c.storage() != Storage::Text || needed.contains(&c.name));
            Table::new(kept.collect())
        })?;
        if let Some((table, rows)) = self.parts.get(&Part::Train) {
            self.fitted.learn_weights(spec, table, rows)?;
        }
        Ok(())
    }

    /// Draws training rows so that every class of a column has as many.
    pub fn balance(&mut self, balance: &BalanceSpec, seed: u64) -> Result<(), DataError> {
        let Some((table, rows)) = self.parts.get_mut(&Part::Train) else {
            return Ok(());
        };
        let class = &table.columns()[indices(table, &[&balance.column])?[0]];
        let how = match balance.sampling {
            Sampling::Over => Balance::Oversample,
            Sampling::Under => Balance::Undersample,
        };
        *rows = balanced(rows, class, how, seed)?;
        Ok(())
    }

    pub fn fitted(&self) -> &Fitted {
        &self.fitted
    }

    /// The table of a part and its rows in it.
    pub fn part(&self, part: Part) -> Option<(&Table, &[u32])> {
        self.parts.get(&part).map(|(t, rows)| (&**t, &rows[..]))
    }

    /// The rows of a part that is read some rows at a time.
    pub fn stream(&self, part: Part) -> Option<&StreamPart> {
        self.streams.get(&part)
    }

    /// Rows in a part; 0 if there is no such part.
    pub fn rows(&self, part: Part) -> usize {
        let held = self.parts.get(&part).map(|(_, rows)| rows.len());
        let streamed = || self.streams.get(&part).map(StreamPart::rows);
        held.or_else(streamed).unwrap_or(0)
    }

    /// Where the row of a part at this place among its rows comes from: the file, and its number
    /// in it, from 1.
    pub fn origin(&self, part: Part, place: usize) -> (PathBuf, u64) {
        let row = match (self.parts.get(&part), self.streams.get(&part)) {
            (Some((_, rows)), _) => rows.get(place).map_or(0, |r| u64::from(*r)),
            (None, Some(stream)) => stream.number(place),
            (None, None) => 0,
        };
        let origins = self.origins.get(&part);
        origins.map_or_else(Default::default, |o| o.of(row))
    }

    /// Every column and every part's rows, with a hash of the values.
    pub fn hashes(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (i, (part, table)) in self.tables().into_iter().enumerate() {
            let of = match i {
                0 => String::new(),
                _ => format!(" of {}", part.name()),
            };
            for column in table.columns() {
                let mut hash = Hash::default();
                hash.add(format!("{:?}{:?}", column.storage(), column.shape()).as_bytes());
                match (column.as_bytes(), column.data()) {
                    (Some(bytes), _) => hash.add(bytes),
                    (None, ColumnData::Text(texts)) => {
                        texts.iter().for_each(|t| hash.add(t.as_bytes()));
                    }
                    (None, ColumnData::Sparse(bags)) => {
                        for (at, x) in (0..bags.rows()).flat_map(|row| bags.row(row)) {
                            hash.add(&(at as u64).to_le_bytes());
                            hash.add(&x.to_le_bytes());
                        }
                    }
                    (None, _) => {}
                }
                found.push((format!("column `{}`{of}", column.name), hash.text()));
            }
        }
        for (part, (_, rows)) in &self.parts {
            let mut hash = Hash::default();
            let rows: Vec<u8> = rows.iter().flat_map(|r| r.to_le_bytes()).collect();
            hash.add(&rows);
            found.push((format!("the rows of `{}`", part.name()), hash.text()));
        }
        for (&part, rows) in &self.streams {
            found.extend(streamed::hashes(part, rows));
        }
        found
    }

    /// Rows of the largest part.
    pub fn most_rows(&self) -> usize {
        let parts = Part::ALL.iter().map(|&p| self.rows(p));
        parts.max().unwrap_or(0).max(1)
    }

    /// Bytes that windows of the streamed parts will take at most.
    pub fn window_bytes(&self) -> usize {
        let streams = self.streams.iter();
        let each = streams.map(|(part, rows)| Windows::bytes(rows, self.blocks_of(*part)));
        each.sum()
    }

    /// Blocks in a window: rows of the training part alone come in an order of their own.
    fn blocks_of(&self, part: Part) -> usize {
        match part {
            Part::Train => self.window,
            Part::Val | Part::Test => self.window.min(IN_TURN),
        }
    }

    /// Bytes of all tables.
    pub fn bytes(&self) -> usize {
        self.tables().iter().map(|(_, table)| table.bytes()).sum()
    }

    /// Each table once, with the first of the parts that it holds.
    fn tables(&self) -> Vec<(Part, &Arc<Table>)> {
        let mut found: Vec<(Part, &Arc<Table>)> = Vec::new();
        for (part, (table, _)) in &self.parts {
            if found.iter().all(|(_, known)| !Arc::ptr_eq(known, table)) {
                found.push((*part, table));
            }
        }
        found
    }

    /// The batches of a part, if there is one.
    pub fn batches(
        &self,
        part: Part,
        columns: &[&str],
        size: usize,
        order: Order,
    ) -> Result<Option<Batches>, DataError> {
        if let Some(rows) = self.streams.get(&part) {
            let indices = columns.iter().map(|name| {
                let found = rows.stream().find(name);
                found.ok_or_else(|| unknown(name, rows.stream().columns().iter().map(|c| &c.name)))
            });
            let indices = indices.collect::<Result<Vec<_>, _>>()?;
            let window = self.blocks_of(part);
            return Batches::streamed(rows, &indices, size, order, window).map(Some);
        }
        let Some((table, rows)) = self.parts.get(&part) else {
            return Ok(None);
        };
        let taken = self.augmented.columns(table, columns)?;
        let (table, rows) = (table.clone(), rows.clone());
        Batches::prepared(table, &taken, rows, size, order, self.workers).map(Some)
    }

    /// Writes samples of changed images below the folder of a run; gives each folder and the
    /// number of images in it.
    pub fn save_augmented(
        &self,
        folder: &Path,
        order: Order,
    ) -> Result<Vec<(String, usize)>, DataError> {
        match self.parts.get(&Part::Train) {
            Some((table, rows)) => self.augmented.save(folder, table, rows, order),
            None => Ok(Vec::new()),
        }
    }

    /// Fills the `Fit` buffers; what else was fitted goes with the weights.
    pub fn fill(&self, store: &mut Store) {
        for (name, values) in &self.fitted.statistics {
            store.set(name, bytes_of(values));
        }
        store.set_notes(self.fitted.notes());
    }
}

/// Tables with the rows of the parts in them.
type Parts = BTreeMap<Part, (Arc<Table>, Vec<u32>)>;

/// Puts another table in the place of each, which several parts may share. `change` is told
/// whether it is that of the training part.
fn each_table(
    parts: &mut Parts,
    mut change: impl FnMut(&Table, bool) -> Result<Table, DataError>,
) -> Result<(), DataError> {
    let train = parts.get(&Part::Train).map(|(t, _)| t.clone());
    let mut done: Vec<(Arc<Table>, Arc<Table>)> = Vec::new();
    for (table, _) in parts.values_mut() {
        let known = done.iter().find(|(old, _)| Arc::ptr_eq(old, table));
        let new = match known {
            Some((_, new)) => new.clone(),
            None => {
                let trained = train.as_ref().is_some_and(|t| Arc::ptr_eq(t, table));
                let new = Arc::new(change(table, trained)?);
                done.push((table.clone(), new.clone()));
                new
            }
        };
        *table = new;
    }
    Ok(())
}

/// Where columns are in a table.
pub fn indices(table: &Table, columns: &[&str]) -> Result<Vec<usize>, DataError> {
    let names = || table.columns().iter().map(|c| &c.name);
    let index = |name: &&str| table.find(name).ok_or_else(|| unknown(name, names()));
    columns.iter().map(index).collect()
}

fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> DataError {
    DataError::UnknownColumn {
        path: "<data>".into(),
        name: name.into(),
        names: names.cloned().collect(),
        suggestion: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Span;
    use crate::spec::{
        Amount, ColumnKind, FitSpec, Format, Method, Selector, SourceSpec, SplitSpec, Statistic,
    };

    fn column(name: &str, kind: ColumnKind, selector: Selector) -> ColumnSpec {
        ColumnSpec {
            name: name.into(),
            kind,
            shape: vec![],
            selector,
            missing: None,
            span: Span::default(),
        }
    }

    fn csv(part: Option<Part>, path: &str) -> SourceSpec {
        SourceSpec {
            part,
            format: Format::Csv {
                path: path.into(),
                delimiter: b',',
                header: true,
                quote: true,
            },
            stream: false,
            span: Span::default(),
        }
    }

    fn spec(sources: Vec<SourceSpec>, parts: Vec<(Part, Amount)>) -> DataSpec {
        let split = SplitSpec {
            method: Method::Random,
            parts,
            seed: None,
            span: Span::default(),
        };
        DataSpec {
            name: "d".into(),
            sources,
            columns: vec![
                column("a", ColumnKind::F32, Selector::Name("a".into())),
                column("y", ColumnKind::Class(2), Selector::Index(1)),
                column("unread", ColumnKind::F32, Selector::Name("absent".into())),
            ],
            split: Some(split),
            fits: vec![FitSpec {
                name: "scale".into(),
                kind: FitKind::Statistics {
                    column: "a".into(),
                    statistics: vec![Statistic::Mean, Statistic::Max],
                },
                span: Span::default(),
            }],
            derived: vec![],
            augmented: vec![],
            span: Span::default(),
        }
    }

    fn folder() -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().unwrap();
        let rows = |range: std::ops::Range<usize>| {
            let lines = range.map(|i| format!("{i},{}\n", i % 2));
            format!("a,y\n{}", lines.collect::<String>())
        };
        std::fs::write(folder.path().join("one.csv"), rows(0..10)).unwrap();
        std::fs::write(folder.path().join("two.csv"), rows(10..14)).unwrap();
        let places = Places {
            program: folder.path().to_owned(),
            asked: None,
        };
        (folder, places)
    }

    fn load(spec: &DataSpec, places: &Places, needed: &[&str]) -> Dataset {
        let needed = needed.iter().copied().collect();
        let reading = Reading {
            places,
            seed: 3,
            threads: 2,
            workers: None,
            fitted: None,
            ranges: Ranges::new(),
            streaming: Streaming::new(&|_| {}),
        };
        Dataset::load(spec, &needed, reading).unwrap()
    }

    #[test]
    fn pooled_sources_are_split_and_statistics_see_training_rows_alone() {
        let (_folder, places) = folder();
        let parts = vec![
            (Part::Train, Amount::Fraction(0.5)),
            (Part::Val, Amount::Fraction(0.5)),
        ];
        let spec = spec(vec![csv(None, "one.csv"), csv(None, "two.csv")], parts);
        let data = load(&spec, &places, &["a", "y"]);
        assert_eq!(Part::ALL.map(|p| data.rows(p)), [7, 7, 0]);
        // 14 rows of f32 and of i32, in memory once
        assert_eq!(data.bytes(), 14 * 8);
        let (table, rows) = &data.parts[&Part::Train];
        let a: Vec<f64> = rows
            .iter()
            .map(|&r| table.columns()[0].number(r as usize).unwrap())
            .collect();
        let mean = (a.iter().sum::<f64>() / 7.0) as f32;
        let max = a.iter().fold(0.0f64, |m, &x| m.max(x)) as f32;
        assert_eq!(
            data.fitted.statistics,
            [
                ("scale.mean".into(), vec![mean]),
                ("scale.max".into(), vec![max])
            ]
        );
        assert!(
            data.batches(Part::Test, &["a"], 4, Order::Sequential)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn a_split_divides_the_training_source_where_all_have_parts() {
        let (_folder, places) = folder();
        let parts = vec![(Part::Train, Amount::Rows(8)), (Part::Val, Amount::Rows(2))];
        let sources = vec![
            csv(Some(Part::Train), "one.csv"),
            csv(Some(Part::Test), "two.csv"),
        ];
        let data = load(&spec(sources, parts), &places, &["a"]);
        assert_eq!(Part::ALL.map(|p| data.rows(p)), [8, 2, 4]);
    }
}
