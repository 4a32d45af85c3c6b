//! Rows as they stand in the file, and as a model is fed them after every transform.

use serde_json::{Map, Value, json};

use super::{Args, short};
use crate::bytes::numbers_of;
use crate::check::Checked;
use crate::cli::common::Failure;
use crate::cli::progress::thousands;
use crate::data::text::Vocabulary;
use crate::data::{ColumnData, Order, Table};
use crate::ir::{Elem, Graph};
use crate::lower::Programs;
use crate::lower::spec::{DataSpec, Make, Part, Rows};
use crate::train::dataset::Dataset;
use crate::train::{Kind, RunError, Session};

/// One row as a model is fed it.
pub struct Sample {
    pub text: String,
    pub json: Value,
}

pub fn samples(
    args: &Args,
    checked: &Checked,
    data: &Dataset,
    count: usize,
    seed: u64,
) -> Result<Vec<Sample>, Failure> {
    let Some(spec) = &checked.data else {
        return Ok(Vec::new());
    };
    let empty = Graph::new("nothing");
    let programs = Programs {
        init: empty.clone(),
        train: empty.clone(),
        eval: empty.clone(),
        predict: checked.feed.clone(),
        metrics: empty.clone(),
        closing: empty,
        ends: Vec::new(),
    };
    let device = args.machine.device(seed)?;
    let mut session = Session::new(&programs, 1, Box::new(|graph| device.compile(graph)))?;
    data.fill(session.store_mut());
    let columns = session.columns(Kind::Predict);
    let order = Order::Sequential;
    let Some(mut batches) = data.batches(Part::Train, &columns, count, order)? else {
        return Ok(Vec::new());
    };
    let types: Vec<(String, Elem)> = session
        .outputs()
        .iter()
        .map(|(name, ty)| ((*name).to_owned(), ty.elem))
        .collect();
    let mut epoch = batches.epoch(0);
    let Some(batch) = epoch.next_batch()? else {
        return Ok(Vec::new());
    };
    let rows = batch.rows();
    let mut fed: Vec<Vec<f64>> = Vec::new();
    for (bytes, (_, elem)) in session.predict(&batch)?.zip(&types) {
        fed.push(numbers(bytes, *elem)?);
    }
    drop(batch);
    let head;
    // places in a table, and numbers of rows in the data
    let (table, chosen): (&Table, Vec<(usize, u64)>) =
        match (data.part(Part::Train), data.stream(Part::Train)) {
            (Some((table, chosen)), _) => {
                let first = chosen.iter().take(rows);
                let first = first.map(|&row| (row as usize, u64::from(row)));
                (table, first.collect())
            }
            (None, Some(stream)) => {
                let (table, numbers) = stream.head(rows)?;
                head = table;
                (&head, numbers.into_iter().enumerate().collect())
            }
            (None, None) => return Ok(Vec::new()),
        };
    let mut samples = Vec::new();
    for (i, &(row, number)) in chosen.iter().enumerate() {
        let mut text = format!("row {} of the data", number + 1);
        let (mut raw, mut given) = (Map::new(), Map::new());
        for column in &spec.columns {
            let Some(values) = table.column(&column.name) else {
                continue;
            };
            let (line, value) = raw_value(values, row);
            text += &format!("\n  column {} = {line}", column.name);
            raw.insert(column.name.clone(), value);
        }
        for ((name, _), values) in types.iter().zip(&fed) {
            let info = checked.feeds.iter().find(|f| f.name == *name);
            let each = values.len() / rows;
            let mine = &values[i * each..][..each];
            let what = info.map_or("input", |f| if f.target { "target" } else { "input" });
            let ty = info.map_or("", |f| f.ty.as_str());
            let line = match vocabulary_of(checked, spec, data, name) {
                Some(v) => ids_text(mine, v),
                None => values_text(mine),
            };
            text += &format!("\n  {what} {name} : {ty} = {line}");
            given.insert(name.clone(), json!(mine));
        }
        samples.push(Sample {
            text,
            json: json!({"row": number + 1, "columns": raw, "fed": given}),
        });
    }
    Ok(samples)
}

/// The vocabulary of an input that is a padded column and nothing more.
fn vocabulary_of<'a>(
    checked: &Checked,
    spec: &DataSpec,
    data: &'a Dataset,
    name: &str,
) -> Option<&'a Vocabulary> {
    let output = checked.feed.outputs.iter().find(|o| *o.name == *name)?;
    let mut inputs = checked.feed.inputs.iter();
    let input = inputs.find(|i| i.value == output.value)?;
    let derived = spec.derived.iter().find(|d| *d.name == *input.name)?;
    match (&derived.make, &derived.of) {
        (Make::Pad { .. }, Rows::Ids { vocabulary, .. }) => {
            data.fitted().vocabularies.get(vocabulary)
        }
        _ => None,
    }
}

fn numbers(bytes: &[u8], elem: Elem) -> Result<Vec<f64>, RunError> {
    let all = match elem {
        Elem::F32 => numbers_of::<f32>(bytes).map(|v| v.iter().map(|&x| f64::from(x)).collect()),
        Elem::F64 => numbers_of::<f64>(bytes).map(<[f64]>::to_vec),
        Elem::I32 => numbers_of::<i32>(bytes).map(|v| v.iter().map(|&x| f64::from(x)).collect()),
        Elem::U8 | Elem::Bool => Some(bytes.iter().map(|&x| f64::from(x)).collect()),
    };
    all.ok_or_else(|| RunError::Program("an input is not aligned".into()))
}

/// A row of a column as it stands in the file, for people and for programs.
fn raw_value(column: &crate::data::Column, row: usize) -> (String, Value) {
    if let ColumnData::Text(texts) = column.data() {
        let text = texts.get(row).unwrap_or_default();
        let mut short: String = text.chars().take(100).collect();
        if text.chars().nth(100).is_some() {
            short.push('…');
        }
        return (format!("{short:?}"), json!(text));
    }
    let each = column.per_row();
    let values: Vec<f64> = (0..each)
        .filter_map(|i| column.number(row * each + i))
        .collect();
    (values_text(&values), json!(values))
}

/// `[0.5, 1, ...]`, one number alone.
fn values_text(values: &[f64]) -> String {
    const MOST: usize = 12;
    if let [one] = values {
        return short(*one);
    }
    let zeros = values.iter().filter(|x| **x == 0.0).count();
    if values.len() > MOST && zeros * 10 > values.len() * 9 {
        let others = values.iter().enumerate().filter(|(_, x)| **x != 0.0);
        let shown: Vec<String> = others
            .clone()
            .take(MOST)
            .map(|(i, x)| format!("{i}: {}", short(*x)))
            .collect();
        let more = if others.count() > MOST { ", …" } else { "" };
        return format!(
            "{{{}{more}}}, {} of {} are 0",
            shown.join(", "),
            thousands(zeros),
            thousands(values.len())
        );
    }
    let shown: Vec<String> = values.iter().take(MOST).map(|x| short(*x)).collect();
    let more = if values.len() > MOST { ", …" } else { "" };
    format!("[{}{more}]", shown.join(", "))
}

/// Ids as the words they stand for; runs of padding are counted.
fn ids_text(ids: &[f64], vocabulary: &Vocabulary) -> String {
    const MOST: usize = 24;
    let before = ids.iter().take_while(|x| **x == 0.0).count();
    let rest = &ids[before..];
    let after = rest.iter().rev().take_while(|x| **x == 0.0).count();
    let words = &rest[..rest.len() - after];
    let mut parts = Vec::new();
    let padding = |n: usize| format!("{} x 0", thousands(n));
    parts.extend((before > 0).then(|| padding(before)));
    let shown = words.iter().take(MOST).map(|&id| {
        let word = vocabulary.shown(id as u32);
        word.map_or(format!("{id}"), |w| format!("{id}:{w}"))
    });
    parts.push(shown.collect::<Vec<_>>().join(" "));
    parts.extend((words.len() > MOST).then(|| format!("… {} more", words.len() - MOST)));
    parts.extend((after > 0).then(|| padding(after)));
    parts.join(", ")
}
