//! What is computed from the training rows before training: statistics, vocabularies, sizes;
//! and the columns that are made with them.
//!
//! Vocabularies and sizes are kept in the metadata of a weights file, so that saved
//! weights can be used without the training data.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::check::Sizes;
use crate::data::balance::weights;
use crate::data::fitted::statistics::{
    Lengths, Over, Piece, Statistics, statistics, statistics_of,
};
use crate::data::fitted::transforms;
use crate::data::fitted::whiten;
use crate::data::packed::stream::StreamPart;
use crate::data::table::{ColumnData, TextColumn};
use crate::data::text::{BagMode, Ids, Numbering, Rules, Side, Vocabulary, read_vectors};
use crate::data::{Column, DataError, Table};
use crate::spec::{
    Bag, DataSpec, DerivedSpec, End, FitKind, Make, Number, NumberOp, Power, RowsSpec, Spacing,
    Statistic, Summary, TensorFit, Tokenizing, WordIds,
};
use crate::train::dataset::{Places, Ranges, indices};

/// The key of a weights file's metadata.
const NOTE: &str = "fitted";

#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Fitted {
    /// `NAME.mean` and so on; in a weights file they are tensors.
    #[serde(skip)]
    pub statistics: Vec<(String, Vec<f32>)>,
    pub vocabularies: BTreeMap<String, Vocabulary>,
    /// The different texts of a column, in order.
    pub labels: BTreeMap<String, Vec<String>>,
    /// `length`, `vocab.size`.
    pub sizes: BTreeMap<String, i64>,
    /// By fit: the vocabulary, and which of its ids have a vector.
    #[serde(skip)]
    pub vectors: BTreeMap<String, (String, Vec<u32>)>,
    /// What stands for missing values of a column, a number a feature.
    #[serde(default)]
    pub fills: BTreeMap<String, Vec<f64>>,
    /// The columns of a range of names, in the order in which the model was trained on them.
    #[serde(default)]
    pub ranges: Ranges,
}

/// Ids of a table's text columns, made once: by column and vocabulary.
#[derive(Default)]
pub struct Made(HashMap<(String, String), Ids>);

impl Fitted {
    /// What `rows` of `table` say. The ids made on the way are those of all of its rows.
    pub fn learn(
        spec: &DataSpec,
        table: &Table,
        rows: &[u32],
        places: &Places,
        threads: usize,
    ) -> Result<(Fitted, Made), DataError> {
        let mut fitted = Fitted::default();
        let mut made = Made::default();
        for fit in &spec.fits {
            match &fit.kind {
                FitKind::Statistics {
                    column,
                    statistics: which,
                } => {
                    let column = &table.columns()[indices(table, &[column])?[0]];
                    fitted.statistics_of(&fit.name, column, rows, which)?;
                }
                FitKind::Tensors { column, learn } => {
                    let column = &table.columns()[indices(table, &[column])?[0]];
                    for (field, values) in fit_tensors(column, rows, *learn)? {
                        let values = values.into_iter().map(|x| x as f32).collect();
                        let name = format!("{}.{field}", fit.name);
                        fitted.statistics.push((name, values));
                    }
                }
                FitKind::Labels { column, classes } => {
                    let texts = texts(table, column)?;
                    let found: BTreeSet<&str> = rows
                        .iter()
                        .filter_map(|&row| texts.get(row as usize))
                        .collect();
                    let count = found.len();
                    match classes {
                        Some(n) if count != *n as usize => {
                            return Err(DataError::Labels {
                                column: column.clone(),
                                found: count,
                                expected: *n as usize,
                            });
                        }
                        Some(_) => {}
                        None => {
                            let size = format!("{}.size", fit.name);
                            fitted.sizes.insert(size, count as i64);
                        }
                    }
                    let found = found.into_iter().map(String::from).collect();
                    fitted.labels.insert(fit.name.clone(), found);
                }
                FitKind::Tokenizer { column, rules: r } => {
                    let texts = texts(table, column)?;
                    let vocabulary = Vocabulary::fit(texts, rows, rules(r), threads)?;
                    if r.num_words.is_none() {
                        let size = i64::from(vocabulary.size());
                        fitted.sizes.insert(format!("{}.size", fit.name), size);
                    }
                    fitted.vocabularies.insert(fit.name.clone(), vocabulary);
                }
                FitKind::Vectors { path, vocabulary } => {
                    let words = fitted.vocabularies.get(vocabulary);
                    let words = words.ok_or_else(|| unknown(vocabulary))?;
                    let read = read_vectors(&places.find(path), words)?;
                    let name = format!("{}.dim", fit.name);
                    fitted.sizes.insert(name, read.dim as i64);
                    let name = format!("{}.vectors", fit.name);
                    fitted.statistics.push((name, read.values));
                    let found = (vocabulary.clone(), read.found);
                    fitted.vectors.insert(fit.name.clone(), found);
                }
                // counted once all columns are made
                FitKind::ClassWeights { .. } => {}
                FitKind::Size(number) => {
                    let mut of = |what: Summary, of: &RowsSpec| {
                        let ids = fitted.ids(table, of, &mut made, threads)?;
                        let all = ids.lengths();
                        let mine: Vec<i32> = rows.iter().map(|&r| all[r as usize]).collect();
                        let lengths = Lengths::new(&mine)?;
                        Ok(match what {
                            Summary::Statistic(Statistic::Mean) => lengths.mean(),
                            Summary::Statistic(Statistic::Std) => lengths.std(),
                            Summary::Statistic(Statistic::Min) => lengths.min(),
                            Summary::Statistic(Statistic::Max) => lengths.max(),
                            Summary::Statistic(s) => {
                                lengths.percentile(s.percentile().unwrap_or_default())
                            }
                            Summary::Percentile(q) => lengths.percentile(q),
                        })
                    };
                    let value = evaluate(number, &fitted.sizes, &mut of)?;
                    // a size over 32 bits is no number of ids that memory holds
                    if !(1.0..f64::from(i32::MAX)).contains(&value) {
                        return Err(DataError::FittedSize {
                            name: fit.name.clone(),
                            value,
                        });
                    }
                    fitted.sizes.insert(fit.name.clone(), value as i64);
                }
            }
        }
        Ok((fitted, made))
    }

    /// What rows that are read some at a time say: statistics but percentiles.
    pub fn learn_streamed(spec: &DataSpec, rows: &StreamPart) -> Result<Fitted, DataError> {
        let mut fitted = Fitted::default();
        for fit in &spec.fits {
            // the checker refuses all others
            if let FitKind::Statistics {
                column,
                statistics: which,
            } = &fit.kind
                && !which.is_empty()
            {
                let index = rows.stream().find(column).ok_or_else(|| unknown(column))?;
                let mut pieces = |f: Piece| rows.each(index, f);
                let found = statistics_of(&mut pieces, Over::Element)?;
                fitted.moments(&fit.name, &found, which);
            }
        }
        Ok(fitted)
    }

    /// The vocabularies and labels of a program that weights were saved without.
    pub fn lacks(&self, spec: &DataSpec) -> Vec<String> {
        let lacking = spec.fits.iter().filter(|fit| match &fit.kind {
            FitKind::Tokenizer { .. } => !self.vocabularies.contains_key(&fit.name),
            FitKind::Labels { .. } => !self.labels.contains_key(&fit.name),
            _ => false,
        });
        lacking.map(|fit| fit.name.clone()).collect()
    }

    fn moments(&mut self, fit: &str, found: &Statistics, which: &[Statistic]) {
        for &which in which {
            let values = match which {
                Statistic::Mean => &found.mean,
                Statistic::Std => &found.std,
                Statistic::Min => &found.min,
                Statistic::Max => &found.max,
                Statistic::Median | Statistic::Q1 | Statistic::Q3 => continue,
            };
            let name = format!("{fit}.{}", which.name());
            let values = values.iter().map(|x| *x as f32).collect();
            self.statistics.push((name, values));
        }
    }

    fn statistics_of(
        &mut self,
        fit: &str,
        column: &Column,
        rows: &[u32],
        which: &[Statistic],
    ) -> Result<(), DataError> {
        let found = statistics(column, rows, Over::Element)?;
        self.moments(fit, &found, which);
        let mut add = |which: Statistic, values: Vec<f64>| {
            let values = values.into_iter().map(|x| x as f32).collect();
            let name = format!("{fit}.{}", which.name());
            self.statistics.push((name, values));
        };
        let shares: Vec<(Statistic, f64)> = which
            .iter()
            .filter_map(|s| Some((*s, s.percentile()?)))
            .collect();
        if !shares.is_empty() {
            let qs: Vec<f64> = shares.iter().map(|(_, q)| *q).collect();
            let all: Vec<Vec<f64>> = transforms::features(column, rows)?
                .iter()
                .map(|f| transforms::percentiles(f, &qs))
                .collect();
            for (i, (which, _)) in shares.iter().enumerate() {
                add(*which, all.iter().map(|f| f[i]).collect());
            }
        }
        Ok(())
    }

    /// Weights of the classes of columns, some of which are derived.
    pub fn learn_weights(
        &mut self,
        spec: &DataSpec,
        table: &Table,
        rows: &[u32],
    ) -> Result<(), DataError> {
        for fit in &spec.fits {
            if let FitKind::ClassWeights {
                column,
                classes: Some(classes),
            } = &fit.kind
                && let Some(class) = table.column(column)
            {
                let weights = weights(rows, class, *classes)?.into_iter();
                let weights = weights.map(|x| x as f32).collect();
                self.statistics
                    .push((format!("{}.weights", fit.name), weights));
            }
        }
        Ok(())
    }

    /// Sizes for the checker.
    pub fn sizes(&self) -> Sizes {
        self.sizes.iter().map(|(n, &s)| (n.clone(), s)).collect()
    }

    /// How many ids `rows` of a table have.
    pub fn lengths(
        &self,
        table: &Table,
        rows: &[u32],
        of: &RowsSpec,
        threads: usize,
    ) -> Result<Lengths, DataError> {
        let mut made = Made::default();
        let all = self.ids(table, of, &mut made, threads)?.lengths();
        let mine: Vec<i32> = rows.iter().map(|&r| all[r as usize]).collect();
        Lengths::new(&mine)
    }

    /// For a weights file's metadata; nothing if there is nothing to keep.
    pub fn notes(&self) -> BTreeMap<String, String> {
        let nothing = self.vocabularies.is_empty() && self.labels.is_empty();
        if nothing && self.sizes.is_empty() && self.fills.is_empty() && self.ranges.is_empty() {
            return BTreeMap::new();
        }
        let kept = Fitted {
            statistics: Vec::new(),
            labels: self.labels.clone(),
            vocabularies: (self.vocabularies.iter())
                .map(|(name, v)| (name.clone(), v.in_use()))
                .collect(),
            sizes: self.sizes.clone(),
            vectors: BTreeMap::new(),
            fills: self.fills.clone(),
            ranges: self.ranges.clone(),
        };
        let text = serde_json::to_string(&kept).unwrap_or_default();
        BTreeMap::from([(NOTE.into(), text)])
    }

    /// What a weights file's metadata hold; nothing if there was nothing to keep.
    ///
    /// # Errors
    /// The reason, if they are not what [`Fitted::notes`] writes.
    pub fn from_notes<'a>(
        note: impl Fn(&str) -> Option<&'a String>,
    ) -> Result<Option<Fitted>, String> {
        note(NOTE)
            .map(|text| serde_json::from_str(text).map_err(|e| e.to_string()))
            .transpose()
    }

    /// `table` with those of the derived columns that are in `needed`.
    pub fn derive(
        &self,
        spec: &DataSpec,
        table: &Table,
        needed: &BTreeSet<String>,
        made: &mut Made,
        threads: usize,
    ) -> Result<Table, DataError> {
        let mut columns = table.columns().to_vec();
        let wanted = |d: &&DerivedSpec| needed.contains(&d.name) && table.find(&d.name).is_none();
        for derived in spec.derived.iter().filter(wanted) {
            columns.push(self.column(derived, table, made, threads)?);
        }
        Table::new(columns)
    }

    fn column(
        &self,
        derived: &DerivedSpec,
        table: &Table,
        made: &mut Made,
        threads: usize,
    ) -> Result<Column, DataError> {
        let name = derived.name.as_str();
        if let Make::Index { labels, others } = &derived.make {
            return self.index(name, derived.of.column(), table, labels, *others);
        }
        let ids = self.ids(table, &derived.of, made, threads)?;
        match &derived.make {
            // made above, or before
            Make::Index { .. } | Make::Missing | Make::Windows { .. } | Make::Ahead(_) => {
                Err(unknown(name))
            }
            Make::Lengths => Column::new(name, vec![], ColumnData::I32(ids.lengths())),
            Make::Pad { length, pad, cut } => {
                let length = length.as_const().and_then(|n| usize::try_from(n).ok());
                let length = length.unwrap_or_default();
                Column::new(name, vec![length], ids.pad(length, side(*pad), side(*cut))?)
            }
            Make::Bag(bag) => {
                let RowsSpec::Ids { vocabulary, .. } = &derived.of else {
                    return Err(unknown(name));
                };
                let words = self.vocabularies.get(vocabulary);
                let words = words.ok_or_else(|| unknown(vocabulary))?;
                let mode = match bag {
                    Bag::Binary => BagMode::Binary,
                    Bag::Count => BagMode::Count,
                    Bag::Freq => BagMode::Freq,
                    Bag::Tfidf => BagMode::Tfidf,
                };
                let bags = ids.bags(mode, words);
                Column::new(name, vec![bags.width()], ColumnData::Sparse(bags))
            }
        }
    }

    /// The place of each text among labels.
    fn index(
        &self,
        name: &str,
        column: &str,
        table: &Table,
        labels: &str,
        others: bool,
    ) -> Result<Column, DataError> {
        let labels = self.labels.get(labels).ok_or_else(|| unknown(labels))?;
        let other = others.then_some(labels.len());
        let places = texts(table, column)?.iter().enumerate().map(|(row, text)| {
            let found = labels.binary_search_by(|l| l.as_str().cmp(text)).ok();
            match found.or(other) {
                Some(place) => Ok(place as i32),
                None => Err(DataError::NoLabel {
                    column: column.into(),
                    row: row as u64 + 1,
                    value: text.into(),
                }),
            }
        });
        Column::new(
            name,
            vec![],
            ColumnData::I32(places.collect::<Result<_, _>>()?),
        )
    }

    fn ids<'m>(
        &self,
        table: &Table,
        of: &RowsSpec,
        made: &'m mut Made,
        threads: usize,
    ) -> Result<&'m Ids, DataError> {
        let (RowsSpec::Ids { column, vocabulary } | RowsSpec::Lengths { column, vocabulary }) = of
        else {
            return Err(unknown(of.column()));
        };
        let key = (column.clone(), vocabulary.clone());
        if !made.0.contains_key(&key) {
            let words = self.vocabularies.get(vocabulary);
            let words = words.ok_or_else(|| unknown(vocabulary))?;
            let ids = words.ids(texts(table, column)?, threads)?;
            made.0.insert(key.clone(), ids);
        }
        Ok(&made.0[&key])
    }
}

/// The tensors of a fitted transform, by name.
fn fit_tensors(
    column: &Column,
    rows: &[u32],
    learn: TensorFit,
) -> Result<Vec<(&'static str, Vec<f64>)>, DataError> {
    match learn {
        TensorFit::Channels { rescale } => {
            let found = whiten::channels(column, rows, rescale)?;
            return Ok(vec![("mean", found.mean), ("std", found.std)]);
        }
        TensorFit::Zca { rescale, epsilon } => {
            let (found, matrix) = whiten::zca(column, rows, rescale, epsilon)?;
            return Ok(vec![
                ("mean", found.mean),
                ("std", found.std),
                ("whitening", matrix),
            ]);
        }
        TensorFit::Power(_) | TensorFit::Bins { .. } | TensorFit::Pca { .. } => {}
    }
    let features = transforms::features(column, rows)?;
    Ok(match learn {
        TensorFit::Channels { .. } | TensorFit::Zca { .. } => Vec::new(),
        TensorFit::Power(power) => {
            let yeo = power == Power::YeoJohnson;
            let bad = || features.iter().flatten().any(|x| *x <= 0.0);
            if !yeo && bad() {
                return Err(DataError::NotPositive {
                    column: column.name.clone(),
                });
            }
            let transform = if yeo {
                transforms::yeo_johnson
            } else {
                transforms::box_cox
            };
            let (mut lambdas, mut means, mut stds) = (Vec::new(), Vec::new(), Vec::new());
            for feature in &features {
                let lambda = transforms::likeliest(feature, transform, yeo);
                let bent: Vec<f64> = feature.iter().map(|&x| transform(x, lambda)).collect();
                let (mean, std) = transforms::moments(&bent);
                lambdas.push(lambda);
                means.push(mean);
                stds.push(std);
            }
            vec![(power.exponent(), lambdas), ("mean", means), ("std", stds)]
        }
        TensorFit::Bins { count, spacing } => {
            let quantile = spacing == Spacing::Quantile;
            let all: Vec<Vec<f64>> = features
                .iter()
                .map(|f| transforms::edges(f, count, quantile))
                .collect();
            let edges = (0..count - 1).flat_map(|i| all.iter().map(move |f| f[i]));
            vec![("edges", edges.collect())]
        }
        TensorFit::Pca { components } => {
            let found = transforms::components(&features, components);
            vec![
                ("mean", found.mean),
                ("components", found.components),
                ("std", found.std),
            ]
        }
    })
}

/// The rules of a tokenizer.
fn rules(r: &Tokenizing) -> Rules {
    let usual = Rules::default();
    Rules {
        num_words: r.num_words,
        filters: r.filters.clone().unwrap_or(usual.filters),
        lower: r.lower,
        split: r.split.clone(),
        char_level: r.char_level,
        oov_token: r.oov_token.clone(),
        ngrams: r.ngrams.clone(),
        ids: match r.ids {
            WordIds::ByCount => Numbering::ByCount,
            WordIds::ByHash => Numbering::ByHash,
            WordIds::BytePairs { min_frequency } => Numbering::BytePairs { min_frequency },
        },
    }
}

fn side(end: End) -> Side {
    match end {
        End::Pre => Side::Pre,
        End::Post => Side::Post,
    }
}

/// Something that neither the data nor a weights file has.
fn unknown(name: &str) -> DataError {
    DataError::UnknownColumn {
        path: "<data>".into(),
        name: name.into(),
        names: Vec::new(),
        suggestion: None,
    }
}

fn texts<'t>(table: &'t Table, column: &str) -> Result<&'t TextColumn, DataError> {
    let column = &table.columns()[indices(table, &[column])?[0]];
    match column.data() {
        ColumnData::Text(texts) => Ok(texts),
        other => Err(DataError::ColumnKind {
            column: column.name.clone(),
            found: other.storage().name(),
            doing: "a tokenizer",
            expected: "text",
        }),
    }
}

type Of<'a> = dyn FnMut(Summary, &RowsSpec) -> Result<f64, DataError> + 'a;

fn evaluate(number: &Number, sizes: &BTreeMap<String, i64>, of: &mut Of) -> Result<f64, DataError> {
    Ok(match number {
        Number::Given(x) => *x,
        Number::Size(name) => *sizes.get(name).ok_or_else(|| unknown(name))? as f64,
        Number::Of(what, rows) => of(*what, rows)?,
        Number::Neg(a) => -evaluate(a, sizes, of)?,
        Number::Binary(op, pair) => {
            let (a, b) = (evaluate(&pair.0, sizes, of)?, evaluate(&pair.1, sizes, of)?);
            match op {
                NumberOp::Add => a + b,
                NumberOp::Sub => a - b,
                NumberOp::Mul => a * b,
                NumberOp::Div => a / b,
                NumberOp::Min => a.min(b),
                NumberOp::Max => a.max(b),
            }
        }
    })
}
