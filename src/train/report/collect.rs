//! What the program of the reports gives for every row of a part (its results:
//! `check/reports.rs`).

use std::collections::BTreeMap;

use super::labels::Labels;
use super::regression::Quantities;
use super::scores::Predictions;
use super::tensors::Tally;
use crate::data::Order;
use crate::ir::{Elem, Graph, Type};
use crate::spec::Part;
use crate::spec::names::{self, ReportResult};
use crate::train::dataset::Dataset;
use crate::train::session::Aside;
use crate::train::{RunError, Session};

/// Predictions of a set, in the order of its rows.
#[derive(Clone, Debug)]
pub struct Collected {
    pub part: Part,
    pub rows: usize,
    values: BTreeMap<String, Values>,
    /// What each layer gives.
    pub layers: Vec<Tally>,
}

/// What the probabilities of an output say.
#[derive(Clone, Debug, PartialEq)]
pub enum Judged {
    /// One class of several.
    Classes(Predictions),
    /// Labels that may hold together.
    Labels(Labels),
}

/// One result of every row.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// Shape of a row.
    pub shape: Vec<usize>,
    /// Whether they are whole numbers: classes.
    pub whole: bool,
    pub all: Vec<f32>,
}

impl Values {
    pub fn row(&self, i: usize) -> &[f32] {
        let len = self.shape.iter().product();
        self.all.chunks_exact(len).nth(i).unwrap_or_default()
    }
}

/// Runs `graph` over the test part; where there is none, the validation part, or the rows
/// trained on. What layers give is gone over twice and not kept.
pub fn collect(
    session: &mut Session,
    data: &Dataset,
    graph: &Graph,
    batch: usize,
) -> Result<Collected, RunError> {
    let part = [Part::Test, Part::Val, Part::Train]
        .into_iter()
        .find(|p| data.rows(*p) > 0)
        .unwrap_or(Part::Train);
    let mut aside = Aside::new(graph.clone());
    let results: Vec<(String, Vec<usize>, Elem)> = aside
        .results()
        .into_iter()
        .map(|(name, ty)| Ok((name.to_owned(), of_a_row(name, ty)?, ty.elem)))
        .collect::<Result<_, RunError>>()?;
    let mut found = Collected {
        part,
        rows: data.rows(part),
        values: BTreeMap::new(),
        layers: Vec::new(),
    };
    for (name, shape, elem) in &results {
        match names::layer_of_report(name) {
            Some(path) => found.layers.push(Tally::new(path, shape)),
            None => {
                let shape = shape.clone();
                let values = Values {
                    shape,
                    whole: !elem.is_float(),
                    all: Vec::new(),
                };
                found.values.insert(name.clone(), values);
            }
        }
    }
    let columns: Vec<String> = aside.columns().into_iter().map(str::to_owned).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let passes = 1 + usize::from(!found.layers.is_empty());
    for pass in 0..passes {
        let Some(mut batches) = data.batches(part, &columns, batch, Order::Sequential)? else {
            break;
        };
        let mut epoch = batches.epoch(0);
        while let Some(batch) = epoch.next_batch()? {
            let mut layers = found.layers.iter_mut();
            for (bytes, (name, _, elem)) in aside.run(session, &batch)?.zip(&results) {
                let layer = names::layer_of_report(name).is_some();
                if pass > 0 && !layer {
                    continue;
                }
                let numbers = numbers_of(bytes, *elem);
                match (layer, pass) {
                    (false, _) => {
                        if let Some(values) = found.values.get_mut(name) {
                            values.all.extend(numbers);
                        }
                    }
                    (true, 0) => layers.next().into_iter().for_each(|l| l.measure(&numbers)),
                    (true, _) => layers.next().into_iter().for_each(|l| l.count(&numbers)),
                }
            }
        }
    }
    Ok(found)
}

impl Collected {
    pub fn values(&self, what: ReportResult, output: &str) -> Option<&Values> {
        self.values.get(&what.name(output))
    }

    /// Probabilities and what is true of an output: of every row, or of every position of it
    /// that counts. Where the target is a yes or no for each number, or where its numbers do not
    /// sum to 1, each number is a label of its own.
    pub fn judged(&self, output: &str) -> Option<Judged> {
        let (p, y) = (
            self.values(ReportResult::Prediction, output)?,
            self.values(ReportResult::Target, output)?,
        );
        let last = match p.shape.as_slice() {
            [] | [1] => 1,
            shape => *shape.last()?,
        };
        let truth: Vec<f64> = y.all.iter().map(|x| f64::from(*x)).collect();
        let alike = last > 1 && p.shape == y.shape;
        let shares = |row: &[f64]| (row.iter().sum::<f64>() - 1.0).abs() < 1e-3;
        let mask = self.values(ReportResult::Mask, output);
        let counted = |places: usize| mask.filter(|m| m.all.len() == places);
        // A yes or no for each place of a picture is a decision of two classes.
        let places = alike && y.whole && p.shape.len() > 1;
        if alike && !places && (y.whole || !truth.chunks_exact(last).all(shares)) {
            let all = Labels::new(&p.all, &truth, last);
            return Some(Judged::Labels(match counted(truth.len() / last) {
                Some(mask) => all.where_true(&mask.all),
                None => all,
            }));
        }
        let all = Predictions::new(&p.all, if places { 1 } else { last }, &truth);
        Some(Judged::Classes(match counted(all.truth.len()) {
            Some(mask) => all.where_true(&mask.all),
            None => all,
        }))
    }

    /// Whether each number of an output is a label of its own.
    pub fn is_of_labels(&self, output: &str) -> bool {
        matches!(self.judged(output), Some(Judged::Labels(_)))
    }

    pub fn quantities(&self, output: &str) -> Option<Quantities> {
        let (p, y) = (
            self.values(ReportResult::Prediction, output)?,
            self.values(ReportResult::Target, output)?,
        );
        let wide = |v: &Values| v.all.iter().map(|x| f64::from(*x)).collect();
        Some(Quantities {
            width: p.shape.iter().product(),
            predicted: wide(p),
            truth: wide(y),
        })
    }
}

fn of_a_row(name: &str, ty: &Type) -> Result<Vec<usize>, RunError> {
    let sizes = ty.shape.get(1..).unwrap_or_default().iter();
    let sizes = sizes.map(|d| d.as_const().and_then(|n| usize::try_from(n).ok()));
    sizes
        .collect::<Option<_>>()
        .ok_or_else(|| RunError::Program(format!("`{name}` has no size yet: {ty}")))
}

/// The numbers of a result, as single-precision floats.
pub fn numbers_of(bytes: &[u8], elem: Elem) -> Vec<f32> {
    let (fours, eights) = (
        bytes.as_chunks::<4>().0.iter(),
        bytes.as_chunks::<8>().0.iter(),
    );
    match elem {
        Elem::F32 => fours.map(|b| f32::from_le_bytes(*b)).collect(),
        Elem::I32 => fours.map(|b| i32::from_le_bytes(*b) as f32).collect(),
        Elem::F64 => eights.map(|b| f64::from_le_bytes(*b) as f32).collect(),
        Elem::U8 | Elem::Bool => bytes.iter().map(|b| f32::from(*b)).collect(),
    }
}
