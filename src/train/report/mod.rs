//! Reports of a run that has ended: curves of its history, what its predictions of a part
//! of the data are worth, and what is in it.
//!
//! ```text
//! collect      what the model gives for the rows of a part
//! history      curves, learning rate                           scores       confusion matrix, precision and recall
//! classes      what is shown of predicted classes              ranking      ROC, precision against recall
//! labels       the same of labels that may hold together
//! numbers      what is shown of predicted quantities           calibration  whether probabilities are frequencies
//! worst        the samples of the largest losses               regression   R2 and errors
//! picture      pictures among the columns
//! tensors      weights and activations
//! charts       SVG
//! terminal     tables and blocks
//! page         one HTML page that needs nothing else
//! ```

pub mod calibration;
pub mod charts;
pub mod classes;
pub mod collect;
pub mod history;
pub mod labels;
pub mod numbers;
pub mod page;
pub mod picture;
pub mod ranking;
pub mod regression;
pub mod scores;
pub mod tensors;
pub mod terminal;
pub mod worst;

use std::sync::Arc;

use serde_json::Value;

use crate::plural::count;
use crate::spec::call::{Arguments, Signature};
use crate::spec::{Part, ReportEntry, ReportSettings, ReportSpec, ReportSubject};
use crate::train::{EpochRow, RunError, Store};
pub(super) use collect::numbers_of;
use collect::{Collected, Judged};
use regression::Quantities;
use worst::DataRows;

/// A kind of report: how a file writes it, and how it is made.
pub trait Report: ReportSettings + Sized {
    const SIGNATURE: Signature;
    const SUBJECT: ReportSubject;

    /// Reads its arguments; `None` where a mistake was reported.
    fn read(args: &mut dyn Arguments) -> Option<Self>;

    /// `None` where what it shows was not collected.
    fn show(&self, of: &ReportContext) -> Result<Option<Shown>, RunError>;
}

/// A report in the table.
#[derive(Clone, Copy)]
struct Row {
    entry: ReportEntry,
    show: Show,
}

/// Computes what a report shows; none for settings of other reports.
type Show = fn(&ReportSpec, &ReportContext) -> Option<Result<Option<Shown>, RunError>>;

/// Every report that a file may name.
const ROWS: [Row; 11] = [
    row::<history::Curves>(),
    row::<history::LearningRate>(),
    row::<classes::ConfusionMatrix>(),
    row::<classes::ClassificationReport>(),
    row::<classes::Roc>(),
    row::<classes::PrecisionRecall>(),
    row::<classes::CalibrationCurve>(),
    row::<numbers::Residuals>(),
    row::<worst::Worst>(),
    row::<tensors::Weights>(),
    row::<tensors::Activations>(),
];

/// The table as the checker sees it.
pub const ENTRIES: &[ReportEntry] = &entries(&ROWS);

const fn row<R: Report>() -> Row {
    Row {
        entry: ReportEntry {
            signature: R::SIGNATURE,
            subject: R::SUBJECT,
            read: |args| Some(Arc::new(R::read(args)?)),
        },
        show: |spec, of| Some(spec.settings::<R>()?.show(of)),
    }
}

const fn entries<const N: usize>(rows: &[Row; N]) -> [ReportEntry; N] {
    let mut all = [rows[0].entry; N];
    let mut i = 0;
    while i < N {
        all[i] = rows[i].entry;
        i += 1;
    }
    all
}

/// Makes a report.
pub fn show(spec: &ReportSpec, of: &ReportContext) -> Result<Shown, RunError> {
    let lost = || RunError::Program(format!("nothing for `{}`", spec.name));
    let shown = ROWS.iter().find_map(|row| (row.show)(spec, of));
    shown.ok_or_else(lost)??.ok_or_else(lost)
}

/// What a report is made from.
pub struct ReportContext<'a> {
    pub metric_names: &'a [String],
    pub history: &'a [EpochRow],
    pub store: &'a Store,
    /// What the reports' graph gives for every row, where the model was run for the report.
    pub collected: Option<&'a Collected>,
    pub subject: Subject,
    /// The output that it shows.
    pub output: &'a str,
    /// Whether that output gives probabilities.
    pub probabilities: bool,
    /// The rows, where they are in memory.
    pub rows: Option<DataRows<'a>>,
}

impl ReportContext<'_> {
    fn judged(&self) -> Option<Judged> {
        self.collected?.judged(self.output)
    }

    fn quantities(&self) -> Option<Quantities> {
        self.collected?.quantities(self.output)
    }
}

/// A finished report: for the page, for files, for a terminal, and for programs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shown {
    pub title: String,
    /// What there is to see, in a sentence or two.
    pub caption: String,
    /// Names of files, without `.svg`, and what is in them.
    pub pictures: Vec<(String, String)>,
    /// HTML, below the pictures.
    pub body: String,
    pub text: String,
    pub numbers: Value,
}

/// What a report is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// Stem of the report's file: `roc`, or `kind_roc` where there are several outputs.
    pub name: String,
    /// The output's name, where there are several.
    pub output: Option<String>,
    pub part: Part,
    pub rows: usize,
    /// The names of its classes, where the data have names.
    pub classes: Vec<String>,
}

impl Subject {
    /// `Residuals`, or `Residuals of ink`.
    pub fn title(&self, of: &str) -> String {
        match &self.output {
            Some(output) => format!("{of} of {output}"),
            None => of.to_owned(),
        }
    }

    /// The name of a class, or its number.
    pub fn class(&self, class: usize) -> String {
        let name = self.classes.get(class).cloned();
        name.unwrap_or_else(|| class.to_string())
    }

    pub fn class_names(&self, count: usize) -> Vec<String> {
        (0..count).map(|c| self.class(c)).collect()
    }

    /// `On the test set (359 rows). ` before what else there is to say.
    pub fn caption(&self, rest: &str) -> String {
        let rows = count(self.rows, "row");
        format!("On the {} set ({rows}). {rest}", self.part.adjective())
    }
}

/// `0.0812`, `1234.6`, `1.23e-7`: a number for people.
pub fn number(x: f64) -> String {
    let size = x.abs();
    match size {
        _ if !x.is_finite() => x.to_string(),
        0.0 => "0".into(),
        _ if !(1e-3..1e7).contains(&size) => format!("{x:.2e}"),
        _ if size < 100.0 => format!("{x:.4}"),
        _ => format!("{x:.1}"),
    }
}
