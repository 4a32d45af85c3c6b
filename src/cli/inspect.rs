//! `nnc inspect FILE.nn`: what the columns of the training rows hold, what tokenizers
//! learnt of them, and with `--sample N` what a model is fed of the first rows.

use std::collections::BTreeSet;

use comfy_table::{LineStyle, Table as Shown, TableStyle};
use serde_json::{Map, Value, json};

use crate::bytes::numbers_of;
use crate::check::{Checked, Sizes};
use crate::cli::common::{Common, Failure, Machine, exit};
use crate::cli::progress::thousands;
use crate::cli::{console, load};
use crate::data::describe::{Facts, Histogram, describe};
use crate::data::fit::Lengths;
use crate::data::text::Vocabulary;
use crate::data::{ColumnData, Order, Table};
use crate::ir::{Elem, Graph};
use crate::lower::Programs;
use crate::lower::spec::{ColumnKind, ColumnSpec, DataSpec, FitKind, Make, Part, Rows};
use crate::train::dataset::{Dataset, Places, Reading};
use crate::train::{Kind, RunError, Session};

#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub machine: Machine,
    /// Show what a model is fed of the first N training rows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub sample: Option<u32>,
    /// How many of the most and of the least frequent words to show
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub words: usize,
    /// Seed of the split, in place of the file's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// What a vocabulary, and the lengths that it gives, look like.
struct Words<'a> {
    name: &'a str,
    column: &'a str,
    vocabulary: &'a Vocabulary,
    lengths: Lengths,
    /// Name and length of the columns padded to one length, and the share of rows that are
    /// not cut.
    padded: Vec<(String, i64, f64)>,
}

pub fn inspect(args: &Args) -> Result<u8, Failure> {
    let common = &args.common;
    let (mut checked, _) = load::checked(common, &Sizes::new())?;
    let seed = checked.train.as_ref().map_or(0, |t| t.seed);
    let seed = args.seed.unwrap_or(seed);
    let folder = common.file.parent().unwrap_or("".as_ref());
    let places = Places {
        program: folder.to_owned(),
        asked: args.machine.data.clone(),
    };
    let reading = Reading {
        places: &places,
        seed,
        threads: args.machine.threads(),
        fitted: None,
    };
    let spec = data(&checked, common)?;
    let names: BTreeSet<String> = spec
        .columns
        .iter()
        .map(|c| c.name.clone())
        .chain(spec.derived.iter().map(|d| d.name.clone()))
        .collect();
    let needed = names.iter().map(String::as_str).collect();
    let mut data_set = Dataset::load(spec, &needed, reading)?;
    if spec.has_unknown_sizes() {
        (checked, _) = load::checked(common, &data_set.fitted().sizes())?;
    }
    let spec = data(&checked, common)?;
    data_set.derive(spec, &names)?;
    let parts: Vec<(Part, usize)> = Part::ALL
        .into_iter()
        .map(|p| (p, data_set.rows(p)))
        .filter(|(_, n)| *n > 0)
        .collect();
    let Some((table, rows)) = data_set.part(Part::Train) else {
        return Err(Failure::usage("the data have no `train` part"));
    };
    let columns = facts(spec, table, rows)?;
    let words = words(spec, &data_set, table, rows, args.machine.threads())?;
    let sizes = &data_set.fitted().sizes;
    let samples = match args.sample {
        Some(n) => samples(args, &checked, &data_set, n as usize, seed)?,
        None => Vec::new(),
    };
    if common.json {
        let event = json!({
            "event": "inspected",
            "data": spec.name,
            "rows": parts.iter().map(|(p, n)| (p.name(), *n)).collect::<std::collections::BTreeMap<_, _>>(),
            "columns": columns.iter().map(|(c, f)| column_json(c, f)).collect::<Vec<_>>(),
            "vocabularies": words.iter().map(|w| words_json(w, args.words)).collect::<Vec<_>>(),
            "fitted_sizes": sizes,
            "sample": samples.iter().map(|s| &s.json).collect::<Vec<_>>(),
        });
        console::line(&event.to_string())?;
        return Ok(exit::FINE);
    }
    let counted: Vec<String> = parts
        .iter()
        .map(|(p, n)| format!("{} {}", thousands(*n), p.name()))
        .collect();
    let mut text = format!(
        "{}: rows {}; what follows is of the training rows\n{}",
        spec.name,
        counted.join(" / "),
        columns_text(&columns)
    );
    for w in &words {
        text += "\n\n";
        text += &words_text(w, args.words);
    }
    if !sizes.is_empty() {
        let sizes: Vec<String> = sizes.iter().map(|(n, s)| format!("{n} = {s}")).collect();
        text += &format!("\n\nfitted sizes: {}", sizes.join(", "));
    }
    for sample in &samples {
        text += "\n\n";
        text += &sample.text;
    }
    console::line(&text)?;
    Ok(exit::FINE)
}

fn data<'a>(checked: &'a Checked, common: &Common) -> Result<&'a DataSpec, Failure> {
    checked.data.as_ref().ok_or_else(|| Failure::Usage {
        message: format!("{} has no `data` block to look at", common.file.display()),
        help: None,
    })
}

fn facts<'a>(
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

fn words<'a>(
    spec: &'a DataSpec,
    data: &'a Dataset,
    table: &Table,
    rows: &[u32],
    threads: usize,
) -> Result<Vec<Words<'a>>, Failure> {
    let mut all = Vec::new();
    for fit in &spec.fits {
        let FitKind::Tokenizer { column, .. } = &fit.kind else {
            continue;
        };
        let Some(vocabulary) = data.fitted().vocabularies.get(&fit.name) else {
            continue;
        };
        let of = Rows::Ids {
            column: column.clone(),
            vocabulary: fit.name.clone(),
        };
        let lengths = data.fitted().lengths(table, rows, &of, threads)?;
        let mut padded = Vec::new();
        for d in &spec.derived {
            if let Make::Pad { length, .. } = &d.make
                && d.of == of
                && let Some(length) = length.as_const()
            {
                let share = lengths.share_up_to(length as f64);
                padded.push((d.name.clone(), length, share));
            }
        }
        all.push(Words {
            name: &fit.name,
            column,
            vocabulary,
            lengths,
            padded,
        });
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

fn columns_text(columns: &[(&ColumnSpec, Facts)]) -> String {
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

fn words_text(w: &Words, most: usize) -> String {
    let v = w.vocabulary;
    let all: u64 = v.words.iter().map(|w| w.count).sum();
    let used: u64 = v.in_use().words.iter().map(|w| w.count).sum();
    let real = v.words.iter().filter(|w| w.count > 0).count();
    let share = 100.0 * used as f64 / all.max(1) as f64;
    let unit = if v.rules.char_level {
        "characters"
    } else {
        "words"
    };
    let list = |words: &mut dyn Iterator<Item = (u32, &crate::data::text::Word)>| {
        let shown: Vec<String> = words
            .map(|(id, w)| {
                let (count, docs) = (thousands(w.count as usize), thousands(w.docs as usize));
                format!("{:?} {count} ({id}; in {docs} texts)", w.text)
            })
            .collect();
        shown.join(", ")
    };
    let numbered = || (1u32..).zip(&v.words).filter(|(_, w)| w.count > 0);
    let mut text = format!(
        "{}: {} {unit} of {} in {} texts; ids below {}, which {share:.1} % of the {unit} have",
        w.name,
        thousands(real),
        w.column,
        thousands(v.documents as usize),
        thousands(v.size() as usize),
    );
    if most > 0 {
        text += &format!("\n  most frequent   {}", list(&mut numbered().take(most)));
        let skip = real.saturating_sub(most);
        text += &format!("\n  least frequent  {}", list(&mut numbered().skip(skip)));
    }
    let l = &w.lengths;
    let (mean, std) = (l.mean(), l.std());
    text += &format!(
        "\n  ids a text      {} .. {}, mean {} ± {}, median {}, 95 % {}, 99 % {}, mean + 2 std {}",
        short(l.min()),
        short(l.max()),
        short(mean),
        short(std),
        short(l.percentile(50.0)),
        short(l.percentile(95.0)),
        short(l.percentile(99.0)),
        short(mean + 2.0 * std),
    );
    text += &bars(l);
    for (name, length, share) in &w.padded {
        text += &format!(
            "\n  {name} has {length} ids a text: {:.1} % of the texts are not cut",
            share * 100.0
        );
    }
    text
}

/// A histogram of lengths, a line a bar; the longest twentieth in the last.
fn bars(lengths: &Lengths) -> String {
    const BARS: usize = 12;
    const WIDTH: usize = 40;
    let top = lengths.percentile(98.0).max(lengths.min() + 1.0);
    let step = ((top - lengths.min()) / BARS as f64).max(1.0).ceil();
    let mut counts = vec![0usize; BARS + 1];
    for &x in lengths.sorted() {
        let bin = (f64::from(x) - lengths.min()) / step;
        counts[(bin as usize).min(BARS)] += 1;
    }
    while counts.last() == Some(&0) {
        counts.pop();
    }
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    let mut text = String::new();
    for (i, n) in counts.iter().enumerate() {
        let from = lengths.min() + step * i as f64;
        let bar = "█".repeat((n * WIDTH).div_ceil(most));
        let to = if i == BARS { "and more" } else { "..      " };
        text += &format!("\n  {from:>7} {to} {bar} {}", thousands(*n));
    }
    text
}

/// One row as a model is fed it.
struct Sample {
    text: String,
    json: Value,
}

fn samples(
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
    let Some(batch) = epoch.next_batch() else {
        return Ok(Vec::new());
    };
    let rows = batch.rows();
    let mut fed: Vec<Vec<f64>> = Vec::new();
    for (bytes, (_, elem)) in session.predict(&batch)?.zip(&types) {
        fed.push(numbers(bytes, *elem)?);
    }
    drop(batch);
    let Some((table, chosen)) = data.part(Part::Train) else {
        return Ok(Vec::new());
    };
    let mut samples = Vec::new();
    for (i, &row) in chosen.iter().take(rows).enumerate() {
        let mut text = format!("row {} of the data", row + 1);
        let (mut raw, mut given) = (Map::new(), Map::new());
        for column in &spec.columns {
            let Some(values) = table.column(&column.name) else {
                continue;
            };
            let (line, value) = raw_value(values, row as usize);
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
            json: json!({"row": row + 1, "columns": raw, "fed": given}),
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
        let word = vocabulary.word(id as u32);
        word.map_or(format!("{id}"), |w| format!("{id}:{}", w.text))
    });
    parts.push(shown.collect::<Vec<_>>().join(" "));
    parts.extend((words.len() > MOST).then(|| format!("… {} more", words.len() - MOST)));
    parts.extend((after > 0).then(|| padding(after)));
    parts.join(", ")
}

fn column_json(column: &ColumnSpec, facts: &Facts) -> Value {
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

fn words_json(w: &Words, most: usize) -> Value {
    let v = w.vocabulary;
    let word = |(id, w): (u32, &crate::data::text::Word)| json!({"word": w.text, "id": id, "count": w.count, "docs": w.docs});
    let numbered = || (1u32..).zip(&v.words).filter(|(_, w)| w.count > 0);
    let real = numbered().count();
    let l = &w.lengths;
    json!({
        "name": w.name,
        "column": w.column,
        "document_count": v.documents,
        "words": real,
        "size": v.size(),
        "most_frequent": numbered().take(most).map(word).collect::<Vec<_>>(),
        "least_frequent": numbered().skip(real.saturating_sub(most)).map(word).collect::<Vec<_>>(),
        "lengths": {
            "min": l.min(),
            "max": l.max(),
            "mean": l.mean(),
            "std": l.std(),
            "p50": l.percentile(50.0),
            "p95": l.percentile(95.0),
            "p99": l.percentile(99.0),
        },
        "padded": w.padded.iter().map(|(name, length, share)| {
            json!({"name": name, "length": length, "share_not_cut": share})
        }).collect::<Vec<_>>(),
    })
}

/// Four digits, no more than are needed.
fn short(x: f64) -> String {
    if x.fract() == 0.0 && x.abs() < 1e9 {
        let digits = thousands(x.abs() as usize);
        return if x < 0.0 {
            format!("-{digits}")
        } else {
            digits
        };
    }
    if x.abs() >= 1e5 || (x != 0.0 && x.abs() < 1e-3) {
        return format!("{x:.3e}");
    }
    let decimals = (3 - x.abs().log10().floor() as i32).clamp(0, 6) as usize;
    format!("{x:.decimals$}")
}
