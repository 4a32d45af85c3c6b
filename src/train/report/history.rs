//! What a run's history shows: every metric, and the learning rate.

use serde_json::json;

use super::charts::{self, Axes, Series};
use super::terminal::{self, spark};
use super::{Report, ReportContext, Shown, number};
use crate::spec::call::{Arguments, Signature};
use crate::spec::{ReportSettings, ReportSubject, names};
use crate::train::{EpochRow, RunError};

#[derive(Debug)]
pub struct Curves;

impl ReportSettings for Curves {}

impl Report for Curves {
    const SIGNATURE: Signature = Signature::new("curves", &[]);
    const SUBJECT: ReportSubject = ReportSubject::Run;

    fn read(_: &mut dyn Arguments) -> Option<Curves> {
        Some(Curves)
    }

    fn show(&self, of: &ReportContext) -> Result<Option<Shown>, RunError> {
        curves(of.metric_names, of.history).map(Some)
    }
}

#[derive(Debug)]
pub struct LearningRate;

impl ReportSettings for LearningRate {}

impl Report for LearningRate {
    const SIGNATURE: Signature = Signature::new("learning_rate", &[]);
    const SUBJECT: ReportSubject = ReportSubject::Run;

    fn read(_: &mut dyn Arguments) -> Option<LearningRate> {
        Some(LearningRate)
    }

    fn show(&self, of: &ReportContext) -> Result<Option<Shown>, RunError> {
        learning_rate(of.history).map(Some)
    }
}

/// Blocks of a curve on a terminal.
const WIDTH: usize = 32;

/// A chart of the loss, then of every metric, training and validation in one.
fn curves(names: &[String], history: &[EpochRow]) -> Result<Shown, RunError> {
    let mut pictures = Vec::new();
    let mut lines = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let of = |values: fn(&EpochRow) -> Option<&Vec<f64>>| {
            let points = history
                .iter()
                .filter_map(|r| Some((r.epoch as f64, *values(r)?.get(i)?)));
            points.collect::<Vec<_>>()
        };
        let parts = [
            (name.clone(), of(|r| Some(&r.train)), false),
            (names::validation(name), of(|r| r.val.as_ref()), true),
        ];
        let parts = parts
            .into_iter()
            .filter(|(_, points, _)| !points.is_empty());
        let series: Vec<Series> = parts
            .map(|(name, points, dashed)| Series {
                name,
                points,
                dashed,
                aside: false,
            })
            .collect();
        lines.extend(series.iter().map(line));
        pictures.push((
            name.clone(),
            charts::lines(name, &over_epochs(name), &series)?,
        ));
    }
    let caption = match history.iter().any(|row| row.val.is_some()) {
        true => {
            "Training (solid, averaged over the epoch) and validation (dashed, after each epoch)."
        }
        false => "Training, averaged over each epoch.",
    };
    Ok(Shown {
        title: "Training curves".into(),
        caption: caption.into(),
        pictures,
        text: table(&lines),
        numbers: json!({"epochs": history.len()}),
        ..Shown::default()
    })
}

/// The learning rate with which each epoch was trained, of every optimizer.
fn learning_rate(history: &[EpochRow]) -> Result<Shown, RunError> {
    let mut series: Vec<Series> = Vec::new();
    for row in history {
        for (name, rate) in &row.rates {
            let point = (row.epoch as f64, *rate);
            match series.iter_mut().find(|s| s.name == *name) {
                Some(s) => s.points.push(point),
                None => series.push(Series {
                    name: name.clone(),
                    points: vec![point],
                    dashed: false,
                    aside: false,
                }),
            }
        }
    }
    let lines: Vec<_> = series.iter().map(line).collect();
    let rates = series.iter().map(|s| {
        let values = s.points.iter().map(|p| p.1).collect::<Vec<_>>();
        (s.name.clone(), json!(values))
    });
    let name = "learning_rate";
    Ok(Shown {
        title: "Learning rate".into(),
        caption: "The learning rate at the end of each epoch, before callbacks change it.".into(),
        pictures: vec![(
            name.into(),
            charts::lines("learning rate", &over_epochs("learning rate"), &series)?,
        )],
        text: table(&lines),
        numbers: serde_json::Value::Object(rates.collect()),
        ..Shown::default()
    })
}

fn over_epochs(name: &str) -> Axes<'_> {
    Axes {
        x: "epoch",
        y: name,
        whole: true,
        square: false,
    }
}

fn line(s: &Series) -> Vec<String> {
    let values: Vec<f64> = s.points.iter().map(|p| p.1).collect();
    let end = |v: Option<&f64>| v.map_or_else(String::new, |v| number(*v));
    vec![
        s.name.clone(),
        end(values.first()),
        spark(&values, WIDTH),
        end(values.last()),
    ]
}

fn table(lines: &[Vec<String>]) -> String {
    terminal::table(&["", "first", "epochs", "last"], lines, &[0, 2])
}
