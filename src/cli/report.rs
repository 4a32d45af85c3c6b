//! What `report` in a train block asks for, once the run has ended: pictures and a page in
//! the run's folder, tables for people, numbers for programs.

use std::io::Write;

use serde_json::json;

use crate::cli::common::Failure;
use crate::cli::load::Loaded;
use crate::cli::progress::{Progress, number};
use crate::data::Order;
use crate::data::write::replace;
use crate::ir::{Elem, Graph};
use crate::lower::Programs;
use crate::lower::spec::{Part, Report};
use crate::train::dataset::Dataset;
use crate::train::device::Device;
use crate::train::output::Output;
use crate::train::report::charts::Cells;
use crate::train::report::page::{self, Section};
use crate::train::report::scores::{Classification, Predictions};
use crate::train::report::{charts, curves, roc_chart};
use crate::train::{Kind, Outcome, RunError, Session};

/// What there is to report on.
pub struct Ended<'a, 's> {
    pub loaded: &'a Loaded,
    pub device: &'a Device,
    pub data: &'a Dataset,
    pub session: &'a mut Session<'s>,
    pub outcome: &'a Outcome,
    pub out: &'a Output,
    pub progress: &'a Progress,
}

/// The event for programs: what the wanted reports have found.
#[derive(Default, serde::Serialize)]
struct Numbers {
    page: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    confusion_matrix: Option<Vec<Vec<usize>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    /// The mean of the classes'.
    #[serde(skip_serializing_if = "Option::is_none")]
    f1: Option<f64>,
    /// A class each.
    #[serde(skip_serializing_if = "Option::is_none")]
    auc: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<usize>,
}

/// Writes `report.html` and `report/*.svg`, and tells what they say.
pub fn write(ended: &mut Ended) -> Result<(), Failure> {
    let wanted = &ended.loaded.train.reports;
    if wanted.is_empty() {
        return Ok(());
    }
    let judged = match wanted.iter().any(|r| *r != Report::Curves) {
        true => Some(judge(ended)?),
        false => None,
    };
    let mut pictures: Vec<(String, String)> = Vec::new();
    let mut sections = Vec::new();
    let mut numbers = Numbers {
        page: ended.out.page().display().to_string(),
        ..Numbers::default()
    };
    let names = ended.session.metric_names().to_vec();
    for report in wanted {
        let title = |of: &str, part: Part| format!("{of} ({} part)", part.name());
        let (title, body) = match (report, &judged) {
            (Report::Curves, _) => {
                let charts = curves(&names, &ended.outcome.history)?;
                let body = page::pictures(charts.iter().map(|(_, svg)| svg.as_str()));
                pictures.extend(charts);
                ("Curves".into(), body)
            }
            (_, None) => continue,
            (Report::ConfusionMatrix, Some((part, p))) => {
                let counts = p.confusion();
                let chart = charts::matrix("confusion matrix", &counts, Cells::Counts)?;
                let body = page::pictures([chart.as_str()]);
                pictures.push(("confusion_matrix".into(), chart));
                ended.progress.say(&matrix_text(&counts));
                numbers.confusion_matrix = Some(counts);
                (title("Confusion matrix", *part), body)
            }
            (Report::ClassificationReport, Some((part, p))) => {
                let scores = Classification::of(&p.confusion());
                let text = scores.text();
                ended.progress.say(&text);
                numbers.accuracy = Some(scores.accuracy);
                numbers.f1 = Some(scores.macro_average.f1);
                (
                    title("Classification report", *part),
                    page::preformatted(&text),
                )
            }
            (Report::Roc, Some((part, p))) => {
                let all = p.roc();
                let chart = roc_chart(&all)?;
                let areas = all.iter();
                let areas: Vec<String> = areas
                    .map(|r| format!("{:>12} {:>10.4}", r.class, r.auc))
                    .collect();
                let text = format!("{:>12} {:>10}\n{}\n", "class", "ROC AUC", areas.join("\n"));
                ended.progress.say(&text);
                numbers.auc = Some(all.iter().map(|r| r.auc).collect());
                let body = page::pictures([chart.as_str()]) + &page::preformatted(&text);
                pictures.push(("roc".into(), chart));
                (title("ROC, each class against the others", *part), body)
            }
        };
        sections.push(Section { title, body });
    }
    if let Some((part, p)) = &judged {
        numbers.part = Some(part.name());
        numbers.rows = Some(p.truth.len());
    }
    let folder = ended.out.folder().join("report");
    std::fs::create_dir_all(&folder)
        .map_err(|e| RunError::file(&folder, "make this folder", &e))?;
    for (name, svg) in &pictures {
        let path = folder.join(format!("{name}.svg"));
        replace(&path, |out| out.write_all(svg.as_bytes()))?;
    }
    let text = page::page(
        &ended.loaded.train.models.join(", "),
        &facts(ended),
        &sections,
    );
    replace(&ended.out.page(), |out| out.write_all(text.as_bytes()))?;
    ended.progress.event("report", json!(numbers));
    ended
        .progress
        .say(&format!("report {}", ended.out.page().display()));
    Ok(())
}

/// Predictions of the test part; where there is none, of the validation part, or of the rows
/// trained on.
fn judge(ended: &mut Ended) -> Result<(Part, Predictions), Failure> {
    let loaded = ended.loaded;
    let part = [Part::Test, Part::Val, Part::Train]
        .into_iter()
        .find(|p| ended.data.rows(*p) > 0)
        .unwrap_or(Part::Train);
    let last = match ended.session.outputs().as_slice() {
        [(_, ty)] => ty
            .shape
            .iter()
            .skip(1)
            .next_back()
            .and_then(|d| d.as_const()),
        _ => None,
    };
    let batch = loaded.train.batch;
    let (outputs, _) = collect(ended.session, ended.data, part, batch, 0)?;
    let empty = Graph::new("nothing");
    let programs = Programs {
        init: empty.clone(),
        train: empty.clone(),
        eval: empty.clone(),
        predict: loaded.feed.clone(),
        metrics: empty.clone(),
        closing: empty,
        ends: Vec::new(),
    };
    let compile = Box::new(|graph| ended.device.compile(graph));
    let mut feed = Session::new(&programs, 1, compile)?;
    ended.data.fill(feed.store_mut());
    let target = loaded.feeds.iter().find(|f| f.target);
    let at = feed
        .outputs()
        .iter()
        .position(|(n, _)| target.is_some_and(|t| t.name == *n));
    let (truth, elem) = collect(&mut feed, ended.data, part, batch, at.unwrap_or(0))?;
    let truth = numbers(&truth, elem);
    let outputs: Vec<f32> = numbers(&outputs, Elem::F32)
        .iter()
        .map(|x| *x as f32)
        .collect();
    let last = last.and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
    Ok((part, Predictions::new(&outputs, last, &truth)))
}

/// One result of prediction for all rows of a part.
fn collect(
    session: &mut Session,
    data: &Dataset,
    part: Part,
    batch: usize,
    result: usize,
) -> Result<(Vec<u8>, Elem), Failure> {
    let elem = session
        .outputs()
        .get(result)
        .map_or(Elem::F32, |o| o.1.elem);
    let columns = session.columns(Kind::Predict);
    let mut found = Vec::new();
    if let Some(mut batches) = data.batches(part, &columns, batch, Order::Sequential)? {
        let mut epoch = batches.epoch(0);
        while let Some(batch) = epoch.next_batch()? {
            found.extend(session.predict(&batch)?.nth(result).unwrap_or_default());
        }
    }
    Ok((found, elem))
}

fn numbers(bytes: &[u8], elem: Elem) -> Vec<f64> {
    let (fours, eights) = (
        bytes.as_chunks::<4>().0.iter(),
        bytes.as_chunks::<8>().0.iter(),
    );
    match elem {
        Elem::F32 => fours.map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
        Elem::I32 => fours.map(|b| f64::from(i32::from_le_bytes(*b))).collect(),
        Elem::F64 => eights.map(|b| f64::from_le_bytes(*b)).collect(),
        Elem::U8 | Elem::Bool => bytes.iter().map(|b| f64::from(*b)).collect(),
    }
}

/// Rows are true classes, columns predicted ones.
fn matrix_text(counts: &[Vec<usize>]) -> String {
    /// More columns than this do not fit a line.
    const MOST: usize = 16;
    if counts.len() > MOST {
        return format!(
            "confusion matrix of {} classes: in the report",
            counts.len()
        );
    }
    let most = counts.iter().flatten().max().copied().unwrap_or(0);
    let width = most.to_string().len().max(2) + 1;
    let line = |head: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|c| format!("{c:>width$}")).collect();
        format!("{head:>14} {cells}")
    };
    let heads = (0..counts.len()).map(|c| c.to_string()).collect();
    let mut lines = vec![line("true\\predicted", heads)];
    for (class, row) in counts.iter().enumerate() {
        let cells = row.iter().map(|n| n.to_string()).collect();
        lines.push(line(&class.to_string(), cells));
    }
    lines.join("\n") + "\n"
}

fn facts(ended: &Ended) -> Vec<(String, String)> {
    let spec = &ended.loaded.train;
    let rows: Vec<String> = Part::ALL
        .iter()
        .filter(|p| ended.data.rows(**p) > 0)
        .map(|p| format!("{} {}", ended.data.rows(*p), p.name()))
        .collect();
    let mut facts = vec![
        ("program".to_owned(), format!("{}.nn", ended.loaded.name)),
        ("rows".into(), rows.join(" / ")),
        (
            "parameters".into(),
            ended.session.store().parameters().to_string(),
        ),
        ("epochs".into(), ended.outcome.position.epoch.to_string()),
        ("batch".into(), spec.batch.to_string()),
        ("seed".into(), spec.seed.to_string()),
    ];
    let test = ended.outcome.test.iter().flatten();
    let values = ended.session.metric_names().iter().zip(test);
    facts.extend(values.map(|(name, v)| (format!("test {name}"), number(*v))));
    facts
}
