//! Histograms of parameters, and of what layers give.

use serde_json::{Value, json};

use super::charts::{self, Histogram};
use super::terminal::{self, heights};
use super::{Report, ReportContext, Shown, number, page};
use crate::ir::{Elem, Role};
use crate::spec::call::{Arguments, Signature};
use crate::spec::{ReportSettings, ReportSubject};
use crate::train::{RunError, Store};

#[derive(Debug)]
pub struct Weights;

impl ReportSettings for Weights {}

impl Report for Weights {
    const SIGNATURE: Signature = Signature::new("weights", &[]);
    const SUBJECT: ReportSubject = ReportSubject::Run;

    fn read(_: &mut dyn Arguments) -> Option<Weights> {
        Some(Weights)
    }

    fn show(&self, of: &ReportContext) -> Result<Option<Shown>, RunError> {
        weights(of.store).map(Some)
    }
}

#[derive(Debug)]
pub struct Activations;

impl ReportSettings for Activations {}

impl Report for Activations {
    const SIGNATURE: Signature = Signature::new("activations", &[]);
    const SUBJECT: ReportSubject = ReportSubject::Layers;

    fn read(_: &mut dyn Arguments) -> Option<Activations> {
        Some(Activations)
    }

    fn show(&self, of: &ReportContext) -> Result<Option<Shown>, RunError> {
        let Some(collected) = of.collected else {
            return Ok(None);
        };
        let caption = of
            .subject
            .caption("Distribution of each layer's activations.");
        let name = Self::SIGNATURE.name;
        shown(name, "Activations", caption, &collected.layers).map(Some)
    }
}

/// Bins of a histogram.
const BINS: usize = 40;
/// More panels than this nobody looks at, nor more lines on a terminal.
const PANELS: usize = 60;
const LINES: usize = 24;

/// The values of one tensor, met in any order: first all to [`Tally::measure`], then all
/// again to [`Tally::count`].
#[derive(Clone, Debug)]
pub struct Tally {
    pub name: String,
    shape: String,
    values: u64,
    sum: f64,
    squares: f64,
    zeros: u64,
    not_finite: u64,
    ends: (f64, f64),
    histogram: Option<Histogram>,
}

impl Tally {
    /// `shape` is shown.
    pub fn new(name: &str, shape: &[usize]) -> Tally {
        let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
        Tally {
            name: name.into(),
            shape: format!("[{}]", sizes.join(", ")),
            values: 0,
            sum: 0.0,
            squares: 0.0,
            zeros: 0,
            not_finite: 0,
            ends: (f64::INFINITY, f64::NEG_INFINITY),
            histogram: None,
        }
    }

    pub fn measure(&mut self, values: &[f32]) {
        for v in values.iter().map(|v| f64::from(*v)) {
            self.values += 1;
            if !v.is_finite() {
                self.not_finite += 1;
                continue;
            }
            self.sum += v;
            self.squares += v * v;
            self.zeros += u64::from(v == 0.0);
            self.ends = (self.ends.0.min(v), self.ends.1.max(v));
        }
    }

    pub fn count(&mut self, values: &[f32]) {
        let (name, ends) = (&self.name, self.ends);
        let histogram = self
            .histogram
            .get_or_insert_with(|| Histogram::between(name, ends, BINS));
        values.iter().for_each(|v| histogram.add(f64::from(*v)));
    }

    fn finite(&self) -> f64 {
        (self.values - self.not_finite) as f64
    }

    fn mean(&self) -> f64 {
        self.sum / self.finite()
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.finite() - self.mean().powi(2))
            .max(0.0)
            .sqrt()
    }

    /// The share of zeros.
    fn zero(&self) -> f64 {
        self.zeros as f64 / self.finite()
    }

    fn panel(&self) -> Histogram {
        let mut panel = match &self.histogram {
            Some(h) => h.clone(),
            None => Histogram::between(&self.name, self.ends, BINS),
        };
        panel.note = format!(
            "{}  mean {}  std {}",
            self.shape,
            number(self.mean()),
            number(self.deviation())
        );
        if self.not_finite > 0 {
            panel.note += &format!("  {} not finite", self.not_finite);
        }
        panel
    }

    fn row(&self) -> Vec<String> {
        let counts = self.histogram.as_ref().map_or(&[][..], |h| &h.counts);
        vec![
            self.name.clone(),
            self.shape.clone(),
            number(self.ends.0),
            heights(counts, BINS / 2),
            number(self.ends.1),
            number(self.mean()),
            number(self.deviation()),
            format!("{:.0} %", 100.0 * self.zero()),
        ]
    }

    fn told(&self) -> Value {
        json!({
            "name": self.name, "values": self.values, "mean": self.mean(),
            "std": self.deviation(), "min": self.ends.0, "max": self.ends.1,
            "zero": self.zeros, "not_finite": self.not_finite,
        })
    }
}

/// A histogram of every parameter.
fn weights(store: &Store) -> Result<Shown, RunError> {
    let parameters = store
        .buffers()
        .iter()
        .filter(|b| b.role == Role::Param && b.elem == Elem::F32);
    let all = parameters.map(|b| {
        let values: Vec<f32> = store
            .bytes(b)
            .as_chunks::<4>()
            .0
            .iter()
            .map(|x| f32::from_le_bytes(*x))
            .collect();
        let mut tally = Tally::new(&b.name, &b.shape);
        tally.measure(&values);
        tally.count(&values);
        tally
    });
    let caption = "Distribution of each parameter at the end of the run.";
    shown(
        "weights",
        "Weights",
        caption.into(),
        &all.collect::<Vec<_>>(),
    )
}

fn shown(name: &str, title: &str, caption: String, all: &[Tally]) -> Result<Shown, RunError> {
    let panels: Vec<Histogram> = all.iter().take(PANELS).map(Tally::panel).collect();
    let rows: Vec<Vec<String>> = all.iter().map(Tally::row).collect();
    let lines: Vec<Vec<String>> = rows.iter().take(LINES).map(|r| without(r, 1)).collect();
    let mut text = terminal::table(
        &["", "min", "", "max", "mean", "std", "zero"],
        &lines,
        &[0, 2],
    );
    if all.len() > LINES {
        text += &format!("  {} more: see the report page\n", all.len() - LINES);
    }
    let caption = match all.len() > PANELS {
        true => format!("{caption} Only the first {PANELS} are drawn."),
        false => caption,
    };
    Ok(Shown {
        title: title.into(),
        caption,
        pictures: vec![(name.into(), charts::histograms(title, &panels)?)],
        body: page::table(
            &["", "shape", "min", "max", "mean", "std", "zero"],
            &rows.iter().map(|r| without(r, 3)).collect::<Vec<_>>(),
            "",
        ),
        text,
        numbers: Value::Array(all.iter().map(Tally::told).collect()),
    })
}

/// A terminal has no room for shapes, a page no need of blocks.
fn without(row: &[String], column: usize) -> Vec<String> {
    let kept = row.iter().enumerate().filter(|(i, _)| *i != column);
    kept.map(|(_, c)| c.clone()).collect()
}
