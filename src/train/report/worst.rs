//! The samples of the largest losses, as they are in the data: pictures, texts, numbers.

use serde_json::{Value, json};

use super::charts::{escape, short};
use super::picture::{data_uri, picture_shape};
use super::{Report, ReportContext, Shown, Subject, number, terminal};
use crate::data::{Column, ColumnData, Table};
use crate::plural::count;
use crate::spec::call::{Arguments, Signature};
use crate::spec::names::ReportResult;
use crate::spec::{ReportSettings, ReportSubject};
use crate::train::RunError;

#[derive(Debug)]
pub struct Worst {
    count: usize,
}

impl ReportSettings for Worst {}

impl Report for Worst {
    const SIGNATURE: Signature = Signature::new("worst", &["count"]);
    const SUBJECT: ReportSubject = ReportSubject::Rows;

    fn read(args: &mut dyn Arguments) -> Option<Worst> {
        Some(Worst {
            count: args.whole_number("count", 12, 1..=200)?,
        })
    }

    fn show(&self, of: &ReportContext) -> Result<Option<Shown>, RunError> {
        Ok(worst(of, self.count))
    }
}

/// Letters of a text that are shown, and numbers of a row.
const LETTERS: usize = 300;
const NUMBERS: usize = 8;

/// The rows of a part, and the columns of them that are worth seeing.
pub struct DataRows<'a> {
    pub table: &'a Table,
    /// Rows of the set, in its order.
    pub chosen: &'a [u32],
    pub columns: Vec<&'a Column>,
}

/// One sample.
struct Sample {
    /// From 1, in the data.
    row: usize,
    loss: f32,
    truth: String,
    predicted: String,
}

/// The `count` rows of the largest losses, the first of equals first. Losses that are not
/// numbers come before all others.
fn worst(context: &ReportContext, count: usize) -> Option<Shown> {
    let (of, output) = (&context.subject, context.output);
    let (found, rows) = (context.collected?, context.rows.as_ref()?);
    let (p, y) = (
        found.values(ReportResult::Prediction, output)?,
        found.values(ReportResult::Target, output)?,
    );
    let losses = &found.values(ReportResult::Loss, output)?.all;
    let mut order: Vec<usize> = (0..losses.len()).collect();
    let rank = |i: usize| match losses[i].is_nan() {
        true => f32::INFINITY,
        false => losses[i],
    };
    order.sort_by(|a, b| rank(*b).total_cmp(&rank(*a)));
    order.truncate(count);
    let reading = match (p.shape.as_slice(), y.shape.as_slice()) {
        _ if !context.probabilities => Reading::Numbers,
        ([front @ .., last], shape) if front == shape && !front.is_empty() => {
            Reading::Classes(*last)
        }
        ([] | [_], [] | [1]) => Reading::Class,
        ([n], [m]) if n == m && found.is_of_labels(output) => Reading::Labels,
        ([n], [m]) if n == m => Reading::Class,
        _ => Reading::Numbers,
    };
    let samples = order.iter().map(|&i| Sample {
        row: rows.chosen.get(i).map_or(i, |r| *r as usize) + 1,
        loss: losses[i],
        truth: told(of, y.row(i), reading, false),
        predicted: told(of, p.row(i), reading, true),
    });
    let samples: Vec<Sample> = samples.collect();
    let cards = samples.iter().map(|s| card(s, rows));
    let lines: Vec<Vec<String>> = samples
        .iter()
        .map(|s| {
            vec![
                s.row.to_string(),
                number(f64::from(s.loss)),
                s.truth.clone(),
                s.predicted.clone(),
                line(s.row - 1, rows),
            ]
        })
        .collect();
    let heads = ["row", "loss", "true", "predicted", ""];
    Some(Shown {
        title: of.title("Worst predictions"),
        caption: of.caption("The rows with the highest loss."),
        body: format!("<div class=\"cards\">{}</div>", cards.collect::<String>()),
        text: terminal::table(&heads, &lines, &[4]),
        numbers: Value::Array(
            samples
                .iter()
                .map(|s| {
                    json!({
                        "row": s.row, "loss": s.loss, "true": s.truth, "predicted": s.predicted,
                    })
                })
                .collect(),
        ),
        ..Shown::default()
    })
}

/// Numbers of a row, or positions, that are shown of what is true and what is predicted.
const SHOWN: usize = 4;

/// What the numbers of a row are.
#[derive(Clone, Copy)]
enum Reading {
    /// One class: its number, or a number for each; alone and predicted, the probability of
    /// the second of two.
    Class,
    /// Several labels, each of which may hold.
    Labels,
    /// One class per position, out of so many.
    Classes(usize),
    Numbers,
}

/// `3`, or `3 (0.91)`, or the classes of the first positions; numbers as they are.
fn told(of: &Subject, values: &[f32], reading: Reading, predicted: bool) -> String {
    let likeliest =
        |row: &[f32]| (1..row.len()).fold(0, |b, i| if row[i] > row[b] { i } else { b });
    let (all, what): (Vec<String>, &str) = match (reading, values) {
        (Reading::Class, [p]) if predicted => {
            let class = usize::from(*p > 0.5);
            let p = if class == 1 { *p } else { 1.0 - p };
            return format!("{} ({p:.2})", of.class(class));
        }
        (Reading::Class, [class]) => return of.class(*class as usize),
        (Reading::Class, row) => {
            let best = likeliest(row);
            return match predicted {
                true => format!("{} ({:.2})", of.class(best), row[best]),
                false => of.class(best),
            };
        }
        (Reading::Labels, row) => {
            let holds = (0..row.len()).filter(|i| row[*i] > 0.5);
            let names: Vec<String> = holds.map(|i| i.to_string()).collect();
            match names.is_empty() {
                true => return "none".into(),
                false => (names, "label"),
            }
        }
        (Reading::Classes(n), rows) if predicted => {
            let rows = rows.chunks_exact(n.max(1));
            (rows.map(|r| of.class(likeliest(r))).collect(), "position")
        }
        (Reading::Classes(_), all) => (
            all.iter().map(|c| of.class(*c as usize)).collect(),
            "position",
        ),
        (Reading::Numbers, all) => (all.iter().map(|x| short(f64::from(*x))).collect(), "value"),
    };
    let shown = all[..all.len().min(SHOWN)].join(", ");
    match all.len() > SHOWN {
        true => format!("{shown}, … ({})", count(all.len(), what)),
        false => shown,
    }
}

fn card(s: &Sample, rows: &DataRows) -> String {
    let mut out = String::from("<figure class=\"card\">");
    for column in &rows.columns {
        let name = escape(&column.name);
        out += &match (column.data(), picture_shape(column)) {
            (ColumnData::Text(texts), _) => {
                let text = texts.get(s.row - 1).unwrap_or_default();
                format!(
                    "<blockquote>{}</blockquote>",
                    escape(&excerpt(text, LETTERS))
                )
            }
            (_, Some(shape)) => match data_uri(column, s.row - 1, shape) {
                Some(uri) => format!("<img alt=\"{name}\" src=\"{uri}\">"),
                None => String::new(),
            },
            _ => format!(
                "<p><b>{name}</b> = {}</p>",
                escape(&values_of(column, s.row - 1))
            ),
        };
    }
    out + &format!(
        "<figcaption>row {}<br>true <b>{}</b>, predicted <b>{}</b><br>loss {}</figcaption></figure>",
        s.row,
        escape(&s.truth),
        escape(&s.predicted),
        number(f64::from(s.loss))
    )
}

/// What a terminal can show of a row.
fn line(row: usize, rows: &DataRows) -> String {
    let shown = rows.columns.iter().filter_map(|c| match c.data() {
        ColumnData::Text(texts) => Some(excerpt(texts.get(row).unwrap_or_default(), 48)),
        _ if picture_shape(c).is_some() => None,
        _ => Some(format!("{} = {}", c.name, values_of(c, row))),
    });
    shown.collect::<Vec<_>>().join("; ")
}

fn values_of(column: &Column, row: usize) -> String {
    let n = column.per_row();
    let values = (row * n..row * n + n.min(NUMBERS)).filter_map(|i| column.number(i));
    let mut shown: Vec<String> = values
        .map(|v| ((v * 1e4).round() / 1e4).to_string())
        .collect();
    if n > NUMBERS {
        shown.push(format!("… ({})", count(n, "value")));
    }
    shown.join(", ")
}

/// The beginning of a text, on one line.
fn excerpt(text: &str, most: usize) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.chars().count() > most {
        true => words.chars().take(most - 1).chain(['…']).collect(),
        false => words,
    }
}
