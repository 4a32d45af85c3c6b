//! Fitted vocabularies: words, how often each occurs, how many ids texts have.

use serde_json::{Value, json};

use super::short;
use crate::cli::common::Failure;
use crate::cli::console;
use crate::data::Table;
use crate::data::fitted::statistics::Lengths;
use crate::data::text::{Numbering, Vocabulary, Word};
use crate::plural::{count, thousands};
use crate::spec::{DataSpec, FitKind, Make, RowsSpec};
use crate::train::dataset::Dataset;

/// What a vocabulary, and the lengths that it gives, look like.
pub(super) struct Words<'a> {
    name: &'a str,
    column: &'a str,
    vocabulary: &'a Vocabulary,
    lengths: Lengths,
    /// Name and length of the columns padded to one length, and the fraction of rows that are
    /// not truncated.
    padded: Vec<(String, i64, f64)>,
    /// Files of vectors for these words: the fit, how many words have one, and what share of
    /// the words of the texts that is.
    vectors: Vec<(&'a str, usize, f64)>,
}

/// Ids that are there, the most frequent first, of equals the lower.
fn by_count(v: &Vocabulary) -> Vec<(u32, &Word)> {
    let mut all: Vec<(u32, &Word)> = (1u32..)
        .zip(&v.words)
        .filter(|(_, w)| w.count > 0)
        .collect();
    all.sort_by_key(|(_, w)| std::cmp::Reverse(w.count));
    all
}

/// What one of its words is called.
fn unit(v: &Vocabulary) -> &'static str {
    match v.rules.ids {
        Numbering::BytePairs { .. } => "piece",
        Numbering::ByHash => "hash",
        Numbering::ByCount if v.rules.char_level => "character",
        Numbering::ByCount => "word",
    }
}

pub(super) fn words<'a>(
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
        let of = RowsSpec::Ids {
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
        let used: u64 = vocabulary.in_use().words.iter().map(|w| w.count).sum();
        let vectors = (data.fitted().vectors.iter())
            .filter(|(_, (of, _))| *of == fit.name)
            .map(|(name, (_, found))| {
                let words = found.iter().filter_map(|id| vocabulary.word(*id));
                let counted: u64 = words.map(|w| w.count).sum();
                (
                    name.as_str(),
                    found.len(),
                    counted as f64 / used.max(1) as f64,
                )
            })
            .collect();
        all.push(Words {
            name: &fit.name,
            column,
            vocabulary,
            lengths,
            padded,
            vectors,
        });
    }
    Ok(all)
}

impl<'a> Words<'a> {
    pub(super) fn name(&self) -> &str {
        self.name
    }

    pub(super) fn lengths(&self) -> &Lengths {
        &self.lengths
    }

    /// How many words there are, and how many of them have an id.
    pub(super) fn head(&self) -> String {
        let v = self.vocabulary;
        let all: u64 = v.words.iter().map(|w| w.count).sum();
        let used: u64 = v.in_use().words.iter().map(|w| w.count).sum();
        let there = by_count(v).len();
        let kept = v.in_use().words.iter().filter(|w| w.count > 0).count();
        let which = match kept == there {
            true => "all are kept".to_owned(),
            false => format!(
                "the {} most frequent are kept: {:.1} % of all occurrences",
                thousands(kept),
                100.0 * used as f64 / all.max(1) as f64
            ),
        };
        format!(
            "{} in the {} of {}; {which}",
            count(there, &format!("distinct {}", unit(v))),
            count(v.documents, "text"),
            self.column
        )
    }

    /// How many of the words have a vector, one line per file.
    pub(super) fn vector_lines(&self) -> Vec<String> {
        let v = self.vocabulary;
        let ids = (v.size() as usize).saturating_sub(1).min(v.words.len());
        let line = |(name, found, share): &(&str, usize, f64)| {
            format!(
                "{name} has vectors for {} of {}: {:.1} % of their occurrences",
                thousands(*found),
                count(ids, unit(v)),
                share * 100.0,
            )
        };
        self.vectors.iter().map(line).collect()
    }

    /// Lengths that texts could be truncated to, and the fraction of texts that are not longer.
    pub(super) fn cover(&self) -> Vec<Vec<String>> {
        let l = &self.lengths;
        let row = |name: String, x: f64| {
            let share = 100.0 * l.share_up_to(x);
            vec![name, short(x), format!("{share:.1} %")]
        };
        let usual = [
            ("mean", l.mean()),
            ("median", l.percentile(50.0)),
            ("95th percentile", l.percentile(95.0)),
            ("99th percentile", l.percentile(99.0)),
            ("mean + 2 std", l.mean() + 2.0 * l.std()),
            ("max", l.max()),
        ];
        let padded = self.padded.iter();
        let padded =
            padded.map(|(name, length, _)| row(format!("length of {name}"), *length as f64));
        let usual = usual.map(|(name, x)| row(name.into(), x));
        usual.into_iter().chain(padded).collect()
    }

    /// The most and the least frequent words: what they are, ids, how often, in how many texts.
    pub(super) fn ends(&self, most: usize) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
        let v = self.vocabulary;
        let all = by_count(v);
        let row = |(id, w): &(u32, &Word)| {
            let text = format!("{:?}", v.shown(*id).unwrap_or_default());
            let [count, docs] = [w.count, w.docs].map(|n| thousands(n as usize));
            vec![text, id.to_string(), count, docs]
        };
        let first = all.iter().take(most).map(row).collect();
        let last = all[most.min(all.len())..].iter().rev().take(most).rev();
        (first, last.map(row).collect())
    }
}

pub(super) fn words_text(w: &Words, most: usize) -> String {
    let list = |head: &str, words: Vec<Vec<String>>| {
        let mut shown: Vec<String> = (words.iter())
            .map(|w| format!("{} {} (id {}, texts {})", w[0], w[2], w[1], w[3]))
            .collect();
        if let Some(first) = shown.first_mut() {
            *first = format!("{head}{first}");
        }
        console::wrapped(&shown, ", ", head.len())
    };
    let mut text = format!("{}: {}", w.name, w.head());
    let (often, seldom) = w.ends(most);
    if !often.is_empty() {
        text += &format!("\n{}", list("  most frequent   ", often));
    }
    if !seldom.is_empty() {
        text += &format!("\n{}", list("  least frequent  ", seldom));
    }
    let l = &w.lengths;
    let (mean, std) = (l.mean(), l.std());
    let facts = [
        format!("  tokens per text {} .. {}", short(l.min()), short(l.max())),
        format!("mean {} ± {}", short(mean), short(std)),
        format!("median {}", short(l.percentile(50.0))),
        format!("95 % {}", short(l.percentile(95.0))),
        format!("99 % {}", short(l.percentile(99.0))),
        format!(
            "mean + 2 std {} ({:.1} % of texts are at most this long)",
            short(mean + 2.0 * std),
            100.0 * l.share_up_to(mean + 2.0 * std)
        ),
    ];
    text += &format!("\n{}", console::wrapped(&facts, ", ", 18));
    text += &bars(l);
    for (name, length, share) in &w.padded {
        text += &format!(
            "\n  {name} has {} per text: {:.1} % of texts are not truncated",
            count(*length, "token"),
            share * 100.0
        );
    }
    for line in w.vector_lines() {
        text += &format!("\n  {line}");
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
        let bar = if bar.is_empty() { bar } else { bar + " " };
        let range = match i {
            BARS => format!(">= {}", short(from)),
            _ if step == 1.0 => short(from),
            _ => {
                let to = (from + step - 1.0).min(lengths.max());
                format!("{} .. {}", short(from), short(to))
            }
        };
        text += &format!("\n  {range:>16}  {bar}{}", thousands(*n));
    }
    text
}

pub(super) fn words_json(w: &Words, most: usize) -> Value {
    let v = w.vocabulary;
    let word = |(id, w): &(u32, &Word)| json!({"word": v.shown(*id), "id": id, "count": w.count, "docs": w.docs});
    let numbered = by_count(v);
    let real = numbered.len();
    let l = &w.lengths;
    json!({
        "name": w.name,
        "column": w.column,
        "document_count": v.documents,
        "words": real,
        "size": v.size(),
        "most_frequent": numbered.iter().take(most).map(word).collect::<Vec<_>>(),
        "least_frequent": numbered.iter().skip(real.saturating_sub(most)).map(word).collect::<Vec<_>>(),
        "lengths": {
            "min": l.min(),
            "max": l.max(),
            "mean": l.mean(),
            "std": l.std(),
            "p50": l.percentile(50.0),
            "p95": l.percentile(95.0),
            "p99": l.percentile(99.0),
            "share_up_to_mean_plus_2_std": l.share_up_to(l.mean() + 2.0 * l.std()),
        },
        "padded": w.padded.iter().map(|(name, length, share)| {
            json!({"name": name, "length": length, "share_not_cut": share})
        }).collect::<Vec<_>>(),
        "vectors": w.vectors.iter().map(|(name, found, share)| {
            json!({"name": name, "found": found, "share_of_texts": share})
        }).collect::<Vec<_>>(),
    })
}
