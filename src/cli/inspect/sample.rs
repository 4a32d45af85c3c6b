//! Rows as they are in the file, and as a model is fed them after every transform.

use serde_json::{Map, Value, json};

use super::columns::Look;
use super::pictures::{self, Ends, Shape, blocks};
use super::{Args, short};
use crate::bytes::numbers_of;
use crate::check::Checked;
use crate::cli::common::Failure;
use crate::data::text::Vocabulary;
use crate::data::{ColumnData, Order};
use crate::ir::{Elem, Graph, Type};
use crate::plural::thousands;
use crate::spec::Programs;
use crate::spec::{Make, Part, RowsSpec};
use crate::train::dataset::Dataset;
use crate::train::{ProgramKind, RunError, Session};

/// One row, as in the file and as a model input.
pub(super) struct Sample {
    /// The row of the data, from 1.
    pub row: u64,
    pub raw: Vec<Raw>,
    pub fed: Vec<Fed>,
}

/// A column's value.
pub(super) struct Raw {
    pub name: String,
    pub line: String,
    pub picture: Option<Picture>,
    json: Value,
}

/// An input's, or a target's.
pub(super) struct Fed {
    pub name: String,
    pub target: bool,
    /// The type of a sample: `token[10000][500]`.
    pub ty: String,
    pub values: Vec<f64>,
    pub shown: Shown,
}

/// What numbers are to people.
pub(super) enum Shown {
    Numbers,
    /// Ids of a vocabulary, in order: each with its word, none for padding.
    Ids(Vec<(u32, Option<String>)>),
    /// The words whose numbers are not 0.
    Bag(Vec<(String, f64)>),
    Picture(Picture),
}

/// Numbers that make one.
#[derive(Clone)]
pub(super) struct Picture {
    pub values: Vec<f64>,
    pub shape: Shape,
    pub ends: Ends,
}

/// `head`: places of rows in the columns looked at, and their numbers in the data.
pub(super) fn samples(
    args: &Args,
    checked: &Checked,
    data: &Dataset,
    columns: &[Look],
    head: &[(usize, u64)],
    seed: u64,
) -> Result<Vec<Sample>, Failure> {
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
    let needed = session.columns(ProgramKind::Predict);
    let order = Order::Sequential;
    let Some(mut batches) = data.batches(Part::Train, &needed, head.len(), order)? else {
        return Ok(Vec::new());
    };
    let types: Vec<(String, Type)> = session
        .outputs()
        .iter()
        .map(|(name, ty)| ((*name).to_owned(), (*ty).clone()))
        .collect();
    let mut epoch = batches.epoch(0);
    let Some(batch) = epoch.next_batch()? else {
        return Ok(Vec::new());
    };
    let rows = batch.rows();
    let mut fed: Vec<Vec<f64>> = Vec::new();
    for (bytes, (_, ty)) in session.predict(&batch)?.zip(&types) {
        fed.push(numbers(bytes, ty.elem)?);
    }
    drop(batch);
    let known: Vec<Shape> = columns.iter().filter_map(|c| Some(c.picture?.0)).collect();
    let mut samples = Vec::new();
    for (i, &(place, number)) in head.iter().take(rows).enumerate() {
        let raw = columns.iter().map(|c| raw(c, place)).collect();
        let each = types.iter().zip(&fed).map(|((name, ty), all)| {
            let each = all.len() / rows;
            let values = all[i * each..][..each].to_vec();
            let info = checked.feeds.iter().find(|f| f.name == *name);
            Fed {
                name: name.clone(),
                target: info.is_some_and(|f| f.target),
                ty: info.map_or(String::new(), |f| f.ty.clone()),
                shown: match of_words(checked, data, name) {
                    Some((words, false)) => Shown::Ids(ids(&values, words)),
                    Some((words, true)) => Shown::Bag(bag(&values, words)),
                    None => match drawn(all, &values, ty, &known) {
                        Some(picture) => Shown::Picture(picture),
                        None => Shown::Numbers,
                    },
                },
                values,
            }
        });
        samples.push(Sample {
            row: number + 1,
            raw,
            fed: each.collect(),
        });
    }
    Ok(samples)
}

impl Sample {
    /// For a terminal.
    pub(super) fn text(&self) -> String {
        let mut text = format!("row {} of the data", thousands(self.row));
        let lines = |picture: &Picture| {
            let lines = blocks(&picture.values, picture.shape, picture.ends);
            let lines = lines.iter().map(|l| format!("\n    {l}"));
            lines
                .map(|l| l.trim_end_matches(' ').to_owned())
                .collect::<String>()
        };
        for raw in &self.raw {
            text += &format!("\n  column {} = {}", raw.name, raw.line);
            text += &raw.picture.as_ref().map_or(String::new(), lines);
        }
        for fed in &self.fed {
            let what = if fed.target { "target" } else { "input" };
            text += &format!("\n  {what} {} : {} = {}", fed.name, fed.ty, fed.line());
            if let Shown::Picture(picture) = &fed.shown {
                text += &lines(picture);
            }
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let columns = self.raw.iter().map(|r| (r.name.clone(), r.json.clone()));
        let fed = self.fed.iter().map(|f| (f.name.clone(), json!(f.values)));
        let words = self.fed.iter().filter_map(|f| match &f.shown {
            Shown::Ids(all) => {
                let words: Vec<_> = all.iter().map(|(_, word)| word).collect();
                Some((f.name.clone(), json!(words)))
            }
            _ => None,
        });
        json!({
            "row": self.row,
            "columns": columns.collect::<Map<_, _>>(),
            "fed": fed.collect::<Map<_, _>>(),
            "words": words.collect::<Map<_, _>>(),
        })
    }
}

impl Picture {
    /// `28 x 28, 0 .. 255`
    fn line(&self) -> String {
        let ends = (f64::INFINITY, f64::NEG_INFINITY);
        let values = self.values.iter().filter(|x| x.is_finite());
        let (min, max) = values.fold(ends, |(a, b), x| (a.min(*x), b.max(*x)));
        let Shape {
            height,
            width,
            channels,
            ..
        } = self.shape;
        let colors = match channels {
            1 => String::new(),
            c => format!(" x {c}"),
        };
        format!(
            "{height} x {width}{colors}, {} .. {}",
            short(min),
            short(max)
        )
    }
}

impl Fed {
    pub(super) fn line(&self) -> String {
        match &self.shown {
            Shown::Ids(all) => ids_text(all),
            Shown::Bag(words) => bag_text(words, self.values.len()),
            Shown::Numbers => values_text(&self.values),
            Shown::Picture(picture) => picture.line(),
        }
    }
}

/// A picture that a model is fed, in black and white as all of its rows are.
fn drawn(all: &[f64], values: &[f64], ty: &Type, known: &[Shape]) -> Option<Picture> {
    let shape: Vec<usize> = (ty.shape.get(1..)?.iter())
        .map(|d| usize::try_from(d.as_const()?).ok())
        .collect::<Option<_>>()?;
    let shape = match ty.elem {
        Elem::U8 => pictures::picture(&shape, true, known),
        Elem::F32 => pictures::picture(&shape, false, known),
        Elem::I32 | Elem::F64 | Elem::Bool => None,
    }?;
    let finite = all.iter().filter(|x| x.is_finite());
    let (min, max) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| {
        (a.min(*x), b.max(*x))
    });
    Some(Picture {
        values: values.to_vec(),
        shape,
        ends: pictures::ends(min, max, ty.elem == Elem::U8),
    })
}

/// The vocabulary of an input that is a padded column, or a bag, and nothing more; whether it
/// is a bag.
fn of_words<'a>(
    checked: &Checked,
    data: &'a Dataset,
    name: &str,
) -> Option<(&'a Vocabulary, bool)> {
    let output = checked.feed.outputs.iter().find(|o| *o.name == *name)?;
    let mut inputs = checked.feed.inputs.iter();
    let input = inputs.find(|i| i.value == output.value)?;
    let mut derived = checked.data.as_ref()?.derived.iter();
    let derived = derived.find(|d| *d.name == *input.name)?;
    let RowsSpec::Ids { vocabulary, .. } = &derived.of else {
        return None;
    };
    let bag = match derived.make {
        Make::Pad { .. } => false,
        Make::Bag(_) => true,
        Make::Lengths
        | Make::Index { .. }
        | Make::Missing
        | Make::Windows { .. }
        | Make::Ahead(_) => return None,
    };
    Some((data.fitted().vocabularies.get(vocabulary)?, bag))
}

fn ids(values: &[f64], vocabulary: &Vocabulary) -> Vec<(u32, Option<String>)> {
    let word = |id: u32| vocabulary.shown(id).map(String::from);
    values.iter().map(|&x| (x as u32, word(x as u32))).collect()
}

fn bag(values: &[f64], vocabulary: &Vocabulary) -> Vec<(String, f64)> {
    let there = (0u32..).zip(values).filter(|(_, x)| **x != 0.0);
    let mut words: Vec<(String, f64)> = there
        .map(|(id, &x)| (vocabulary.shown(id).map_or(id.to_string(), String::from), x))
        .collect();
    words.sort_by(|a, b| b.1.total_cmp(&a.1));
    words
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

/// A row of a column as in the file, for people and for programs.
fn raw(look: &Look, row: usize) -> Raw {
    let name = look.spec.name.clone();
    if let ColumnData::Text(texts) = look.column.data() {
        let text = texts.get(row).unwrap_or_default();
        let mut short: String = text.chars().take(100).collect();
        if text.chars().nth(100).is_some() {
            short.push('…');
        }
        return Raw {
            name,
            line: format!("{short:?}"),
            picture: None,
            json: json!(text),
        };
    }
    let values = look.numbers(row);
    let json = json!(values);
    let picture = look.picture.map(|(shape, ends)| Picture {
        values: values.clone(),
        shape,
        ends,
    });
    Raw {
        name,
        line: picture.as_ref().map_or(values_text(&values), Picture::line),
        json,
        picture,
    }
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
fn ids_text(all: &[(u32, Option<String>)]) -> String {
    const MOST: usize = 24;
    let (before, words, after) = split_padding(all);
    let mut parts = Vec::new();
    let padding = |n: usize| format!("{} x padding", thousands(n));
    parts.extend((before > 0).then(|| padding(before)));
    let shown = words.iter().take(MOST).map(|(id, word)| match word {
        Some(word) => format!("{id}:{word}"),
        None => id.to_string(),
    });
    parts.push(shown.collect::<Vec<_>>().join(" "));
    parts.extend((words.len() > MOST).then(|| format!("… {} more", thousands(words.len() - MOST))));
    parts.extend((after > 0).then(|| padding(after)));
    parts.join(", ")
}

/// How many zeros come first, what is between, how many come last.
pub(super) fn split_padding(
    all: &[(u32, Option<String>)],
) -> (usize, &[(u32, Option<String>)], usize) {
    let before = all.iter().take_while(|(id, _)| *id == 0).count();
    let rest = &all[before..];
    let after = rest.iter().rev().take_while(|(id, _)| *id == 0).count();
    (before, &rest[..rest.len() - after], after)
}

/// The words whose numbers are largest.
fn bag_text(words: &[(String, f64)], size: usize) -> String {
    const MOST: usize = 16;
    let shown: Vec<String> = (words.iter().take(MOST))
        .map(|(word, x)| format!("{word}: {}", short(*x)))
        .collect();
    let more = if words.len() > MOST { ", …" } else { "" };
    let (there, size) = (thousands(words.len()), thousands(size));
    format!(
        "{{{}{more}}}, {there} of {size} are not 0",
        shown.join(", ")
    )
}
