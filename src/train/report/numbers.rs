//! What is shown of predicted quantities.

use serde_json::json;

use super::charts::{self, Guide, Histogram};
use super::regression::Quantities;
use super::terminal::{self, heights};
use super::{Report, ReportContext, Shown, Subject, number, page};
use crate::plural::count;
use crate::spec::call::{Arguments, Signature};
use crate::spec::{ReportSettings, ReportSubject};
use crate::train::RunError;

#[derive(Debug)]
pub struct Residuals;

impl ReportSettings for Residuals {}

impl Report for Residuals {
    const SIGNATURE: Signature = Signature::new("residuals", &[]);
    const SUBJECT: ReportSubject = ReportSubject::Quantities;

    fn read(_: &mut dyn Arguments) -> Option<Residuals> {
        Some(Residuals)
    }

    fn show(&self, of: &ReportContext) -> Result<Option<Shown>, RunError> {
        let quantities = of.quantities();
        quantities.map(|q| residuals(&of.subject, &q)).transpose()
    }
}

/// Predicted against true, residuals against predicted, and how residuals are spread.
fn residuals(of: &Subject, q: &Quantities) -> Result<Shown, RunError> {
    let title = of.title("Residuals");
    let residuals = q.residuals();
    let against: Vec<(f64, f64)> = (q.truth.iter().copied())
        .zip(q.predicted.iter().copied())
        .collect();
    let left: Vec<(f64, f64)> = (q.predicted.iter().copied())
        .zip(residuals.iter().copied())
        .collect();
    let mut spread = Histogram::of("predicted - actual", residuals.iter().copied(), 30);
    let errors = q.errors();
    let pairs = [
        ("R2", errors.r2),
        ("mean absolute error", errors.mae),
        ("root mean squared error", errors.rmse),
    ];
    let rows: Vec<Vec<String>> = pairs
        .iter()
        .map(|(name, v)| vec![(*name).into(), number(*v)])
        .collect();
    let ends = |i: usize| spread.edges.get(i).map_or(String::new(), |e| number(*e));
    let blocks = format!(
        "  residuals {} {} {}\n",
        ends(0),
        heights(&spread.counts, 30),
        ends(spread.counts.len())
    );
    spread.note = count(residuals.len(), "value");
    let name = |of_what: &str| format!("{}_{of_what}", of.name);
    Ok(Shown {
        caption: of.caption(
            "Predicted vs. actual (dashed: perfect), residuals vs. predicted, and the distribution \
             of residuals.",
        ),
        pictures: vec![
            (
                of.name.clone(),
                charts::scatter(
                    &format!("{title}: predicted vs. actual"),
                    ["actual", "predicted"],
                    &against,
                    Guide::Diagonal,
                )?,
            ),
            (
                name("against_predicted"),
                charts::scatter(
                    &format!("{title} vs. predicted"),
                    ["predicted", "predicted - actual"],
                    &left,
                    Guide::Zero,
                )?,
            ),
            (name("histogram"), charts::histograms(&title, &[spread])?),
        ],
        body: page::table(&["", "value"], &rows, ""),
        text: terminal::table(&["", "value"], &rows, &[0]) + &blocks,
        numbers: json!(errors),
        title,
    })
}
