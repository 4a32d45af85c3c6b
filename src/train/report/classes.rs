//! What is shown of predicted classes.

use serde_json::json;

use super::calibration::{Calibration, Strategy};
use super::charts::{self, Axes, Cells, Series};
use super::collect::Judged;
use super::ranking::Curve;
use super::scores::{Classification, HEAD, Predictions, Scores};
use super::{Report, ReportContext, Shown, Subject, labels, page, terminal};
use crate::plural::count;
use crate::spec::call::{Arguments, Signature};
use crate::spec::{ReportSettings, ReportSubject};
use crate::train::RunError;

#[derive(Debug)]
pub struct ConfusionMatrix;

impl ReportSettings for ConfusionMatrix {}

impl Report for ConfusionMatrix {
    const SIGNATURE: Signature = Signature::new("confusion_matrix", &[]);
    const SUBJECT: ReportSubject = ReportSubject::Classes;

    fn read(_: &mut dyn Arguments) -> Option<ConfusionMatrix> {
        Some(ConfusionMatrix)
    }

    fn show(&self, of: &ReportContext) -> Result<Option<Shown>, RunError> {
        let shown = |found| match found {
            Judged::Classes(p) => confusion(&of.subject, &p),
            Judged::Labels(l) => Ok(labels::confusion(&of.subject, &l)),
        };
        of.judged().map(shown).transpose()
    }
}

#[derive(Debug)]
pub struct ClassificationReport;

impl ReportSettings for ClassificationReport {}

impl Report for ClassificationReport {
    const SIGNATURE: Signature = Signature::new("classification_report", &[]);
    const SUBJECT: ReportSubject = ReportSubject::Classes;

    fn read(_: &mut dyn Arguments) -> Option<ClassificationReport> {
        Some(ClassificationReport)
    }

    fn show(&self, of: &ReportContext) -> Result<Option<Shown>, RunError> {
        let shown = |found| match found {
            Judged::Classes(p) => classification(&of.subject, &p),
            Judged::Labels(l) => labels::classification(&of.subject, &l),
        };
        Ok(of.judged().map(shown))
    }
}

#[derive(Debug)]
pub struct Roc;

impl ReportSettings for Roc {}

impl Report for Roc {
    const SIGNATURE: Signature = Signature::new("roc", &[]);
    const SUBJECT: ReportSubject = ReportSubject::Classes;

    fn read(_: &mut dyn Arguments) -> Option<Roc> {
        Some(Roc)
    }

    fn show(&self, of: &ReportContext) -> Result<Option<Shown>, RunError> {
        let shown = |found| match found {
            Judged::Classes(p) => roc(&of.subject, &p),
            Judged::Labels(l) => labels::roc(&of.subject, &l),
        };
        of.judged().map(shown).transpose()
    }
}

#[derive(Debug)]
pub struct PrecisionRecall;

impl ReportSettings for PrecisionRecall {}

impl Report for PrecisionRecall {
    const SIGNATURE: Signature = Signature::new("pr", &[]);
    const SUBJECT: ReportSubject = ReportSubject::Classes;

    fn read(_: &mut dyn Arguments) -> Option<PrecisionRecall> {
        Some(PrecisionRecall)
    }

    fn show(&self, of: &ReportContext) -> Result<Option<Shown>, RunError> {
        let shown = |found| match found {
            Judged::Classes(p) => precision_recall(&of.subject, &p),
            Judged::Labels(l) => labels::precision_recall(&of.subject, &l),
        };
        of.judged().map(shown).transpose()
    }
}

#[derive(Debug)]
pub struct CalibrationCurve {
    bins: usize,
    strategy: Strategy,
}

impl ReportSettings for CalibrationCurve {}

impl Report for CalibrationCurve {
    const SIGNATURE: Signature = Signature::new("calibration", &["bins", "strategy"]);
    const SUBJECT: ReportSubject = ReportSubject::Classes;

    fn read(args: &mut dyn Arguments) -> Option<CalibrationCurve> {
        let names = Strategy::ALL.map(Strategy::name);
        let names = names.each_ref().map(String::as_str);
        Some(CalibrationCurve {
            bins: args.whole_number("bins", 10, 1..=1000)?,
            strategy: Strategy::ALL[args.word("strategy", &names)?],
        })
    }

    fn show(&self, of: &ReportContext) -> Result<Option<Shown>, RunError> {
        let shown = |found| match found {
            Judged::Classes(p) => calibration(&of.subject, &p, self),
            Judged::Labels(l) => labels::calibration(&of.subject, &l, self),
        };
        of.judged().map(shown).transpose()
    }
}

/// Counts, and beside them the shares of each true class.
fn confusion(of: &Subject, p: &Predictions) -> Result<Shown, RunError> {
    if p.classes > MOST_DRAWN {
        return Ok(most_confused(of, p));
    }
    let counts = p.confusion();
    let title = of.title("Confusion matrix");
    let shares = format!("{}_shares", of.name);
    let names = of.class_names(counts.len());
    Ok(Shown {
        caption: of.caption("Counts, then each row normalized to 1 (recall on the diagonal)."),
        pictures: vec![
            (
                of.name.clone(),
                charts::matrix(&title, &names, &counts, Cells::Counts)?,
            ),
            (
                shares,
                charts::matrix(
                    &format!("{title}, normalized"),
                    &names,
                    &counts,
                    Cells::Shares,
                )?,
            ),
        ],
        text: matrix_text(&names, &counts),
        numbers: json!(counts),
        title,
        ..Shown::default()
    })
}

/// A matrix of more classes cannot be read.
const MOST_DRAWN: usize = 100;

/// The pairs of classes that are confused most, where classes are many: a matrix would have the square of their
/// number of cells, nearly all of them 0.
fn most_confused(of: &Subject, p: &Predictions) -> Shown {
    const LISTED: usize = 100;
    const PRINTED: usize = 10;
    let pairs = p.pairs();
    let mut wrong: Vec<_> = (pairs.iter()).filter(|((t, p), _)| t != p).collect();
    wrong.sort_by_key(|(pair, count)| (std::cmp::Reverse(**count), **pair));
    let rows: Vec<Vec<String>> = (wrong.iter().take(LISTED))
        .map(|((truth, found), count)| vec![of.class(*truth), of.class(*found), count.to_string()])
        .collect();
    let heads = ["true", "predicted", "rows"];
    let printed = &rows[..rows.len().min(PRINTED)];
    let classes = count(p.classes, "class");
    let cells = pairs.iter().map(|((t, p), n)| json!([t, p, n]));
    Shown {
        title: of.title("Confusion matrix"),
        caption: of.caption(&format!(
            "{classes}: the most frequent confusions, at most {LISTED} of them."
        )),
        body: page::table(&heads, &rows, ""),
        text: terminal::table(&heads, printed, &[0, 1]),
        numbers: json!({"classes": p.classes, "pairs": cells.collect::<Vec<_>>()}),
        ..Shown::default()
    }
}

/// Counts and, where there is room, shares; rows are true classes, columns predicted ones.
fn matrix_text(names: &[String], counts: &[Vec<usize>]) -> String {
    /// More columns than this do not fit a line.
    const MOST: usize = 16;
    const BOTH: usize = 6;
    if counts.len() > MOST {
        return format!("  {}: see the report page\n", count(counts.len(), "class"));
    }
    // names as wide as theirs would be rows wider than a terminal
    let short: Vec<String> = names.iter().map(|n| n.chars().take(8).collect()).collect();
    let mut heads = vec!["true\\predicted"];
    heads.extend(short.iter().map(String::as_str));
    if counts.len() <= BOTH {
        heads.push(" ");
        heads.extend(short.iter().map(String::as_str));
    }
    let rows = counts.iter().zip(names).map(|(row, name)| {
        let all: usize = row.iter().sum();
        let mut cells = vec![name.clone()];
        cells.extend(row.iter().map(usize::to_string));
        if counts.len() <= BOTH {
            cells.push(String::new());
            let share = |n: &usize| format!("{:.2}", *n as f64 / all.max(1) as f64);
            cells.extend(row.iter().map(share));
        }
        cells
    });
    terminal::table(&heads, &rows.collect::<Vec<_>>(), &[])
}

/// Precision, recall and F1 of each class, and their averages.
fn classification(of: &Subject, p: &Predictions) -> Shown {
    let scores = Classification::of(p);
    let cells = |name: String, s: &Scores| {
        let shares = [s.precision, s.recall, s.f1].map(|x| format!("{x:.2}"));
        let mut row = vec![name];
        row.extend(shares);
        row.push(s.support.to_string());
        row
    };
    let classes = scores.classes.iter().enumerate();
    let mut rows: Vec<Vec<String>> = classes.map(|(c, s)| cells(of.class(c), s)).collect();
    rows.push(vec![
        "overall accuracy".into(),
        String::new(),
        String::new(),
        format!("{:.2}", scores.accuracy),
        scores.macro_average.support.to_string(),
    ]);
    rows.push(cells("macro avg".into(), &scores.macro_average));
    rows.push(cells("weighted avg".into(), &scores.weighted_average));
    let mut heads = vec!["Class"];
    heads.extend(HEAD.split_whitespace());
    Shown {
        title: of.title("Classification report"),
        caption: of.caption(
            "Precision: fraction of predictions for a class that are correct. Recall: fraction of a \
             class that was found. F1: their harmonic mean.",
        ),
        body: page::table(&heads, &rows, ""),
        text: scores.text(&of.class_names(scores.classes.len())),
        numbers: json!(scores),
        ..Shown::default()
    }
}

/// One line a class, and what lies below it.
fn roc(of: &Subject, p: &Predictions) -> Result<Shown, RunError> {
    ranked(of, RankedLabels::roc(of), &p.roc(), chance())
}

/// What guessing gives.
pub(super) fn chance() -> Vec<Series> {
    vec![Series {
        name: "chance".into(),
        points: vec![(0.0, 0.0), (1.0, 1.0)],
        dashed: true,
        aside: true,
    }]
}

/// One line a class, and its average precision.
fn precision_recall(of: &Subject, p: &Predictions) -> Result<Shown, RunError> {
    let curves = p.precision_recall();
    // of a single class its share is what guessing gives
    let chance = match curves.as_slice() {
        [one] if one.share.is_finite() => vec![Series {
            name: format!("chance ({:.3})", one.share),
            points: vec![(0.0, one.share), (1.0, one.share)],
            dashed: true,
            aside: true,
        }],
        _ => Vec::new(),
    };
    ranked(of, RankedLabels::precision_recall(of), &curves, chance)
}

fn area(c: &Curve, digits: usize) -> String {
    match c.area.is_nan() {
        true => "-".into(),
        false => format!("{:.digits$}", c.area),
    }
}

pub(super) struct RankedLabels {
    title: String,
    axes: [&'static str; 2],
    area: &'static str,
    caption: &'static str,
}

impl RankedLabels {
    pub(super) fn roc(of: &Subject) -> RankedLabels {
        RankedLabels {
            title: of.title("ROC curve"),
            axes: ["False positive rate", "True positive rate"],
            area: "ROC AUC",
            caption: "One-vs-rest, over all thresholds. AUC in the legend (\"-\": undefined, the \
                      class has no or all rows).",
        }
    }

    pub(super) fn precision_recall(of: &Subject) -> RankedLabels {
        RankedLabels {
            title: of.title("Precision-recall curve"),
            axes: ["Recall (fraction found)", "Precision (fraction correct)"],
            area: "Average precision",
            caption: "One-vs-rest, over all thresholds. Average precision in the legend.",
        }
    }
}

pub(super) fn ranked(
    of: &Subject,
    told: RankedLabels,
    curves: &[Curve],
    aside: Vec<Series>,
) -> Result<Shown, RunError> {
    /// More lines cannot be told apart, nor more points.
    const LINES: usize = 10;
    const POINTS: usize = 400;
    let series = curves.iter().take(LINES).map(|c| {
        let step = c.points.len().div_ceil(POINTS).max(1);
        let mut points: Vec<(f64, f64)> = c.points.iter().copied().step_by(step).collect();
        points.extend(c.points.last());
        Series {
            name: format!("{} ({})", of.class(c.class), area(c, 3)),
            points,
            dashed: false,
            aside: false,
        }
    });
    let series: Vec<Series> = series.chain(aside).collect();
    let axes = Axes {
        x: told.axes[0],
        y: told.axes[1],
        whole: false,
        square: true,
    };
    let rows: Vec<Vec<String>> = curves
        .iter()
        .map(|c| {
            let shown = c.area.max(0.0);
            vec![of.class(c.class), area(c, 4), terminal::bar(shown, 24)]
        })
        .collect();
    let more = match curves.len() > LINES {
        true => format!(" Only the first {LINES} classes are drawn."),
        false => String::new(),
    };
    let bare: Vec<Vec<String>> = rows.iter().map(|r| r[..2].to_vec()).collect();
    let areas: Vec<f64> = curves.iter().map(|c| c.area).collect();
    Ok(Shown {
        caption: of.caption(told.caption) + &more,
        pictures: vec![(of.name.clone(), charts::lines(&told.title, &axes, &series)?)],
        body: page::table(&["Class", told.area], &bare, ""),
        text: terminal::table(&["Class", told.area, ""], &rows, &[2]),
        numbers: json!({"areas": areas}),
        title: told.title,
    })
}

/// `class 1`, or its name.
fn one(of: &Subject) -> String {
    match of.classes.get(1) {
        Some(name) => name.clone(),
        None => "class 1".into(),
    }
}

/// Probabilities against how often they came true, and how many there are of each.
pub(super) fn calibration(
    of: &Subject,
    p: &Predictions,
    set: &CalibrationCurve,
) -> Result<Shown, RunError> {
    let found = Calibration::of(p, set.bins, set.strategy);
    let title = of.title("Calibration curve");
    let points = found.bins.iter().map(|b| (b.predicted, b.observed));
    let series = [
        Series {
            name: format!(
                "model (ECE {:.3}, Brier {:.3})",
                found.expected_error, found.brier
            ),
            points: points.collect(),
            dashed: false,
            aside: false,
        },
        Series {
            name: "perfect".into(),
            points: vec![(0.0, 0.0), (1.0, 1.0)],
            dashed: true,
            aside: true,
        },
    ];
    let of_what = match p.classes {
        2 => format!("predicted probability of {}", one(of)),
        _ => "predicted probability".to_owned(),
    };
    let x = format!("mean {of_what}");
    let axes = Axes {
        x: &x,
        y: "observed frequency",
        whole: false,
        square: true,
    };
    let rows: Vec<Vec<String>> = found
        .bins
        .iter()
        .map(|b| {
            vec![
                format!("{:.4}", b.predicted),
                format!("{:.4}", b.observed),
                b.samples.to_string(),
                terminal::bar(b.samples as f64 / p.truth.len().max(1) as f64, 24),
            ]
        })
        .collect();
    let heads = ["Predicted", "Observed", "Rows", ""];
    let bare: Vec<Vec<String>> = rows.iter().map(|r| r[..3].to_vec()).collect();
    let sums = format!(
        "expected calibration error {:.4}, Brier score {:.4}",
        found.expected_error, found.brier
    );
    Ok(Shown {
        caption: of.caption(&format!(
            "Predictions binned by {of_what}. On the dashed line the model is perfectly \
             calibrated; below it, over-confident. ECE: expected calibration error.",
        )),
        pictures: vec![(of.name.clone(), charts::lines(&title, &axes, &series)?)],
        body: page::table(&heads[..3], &bare, ""),
        text: terminal::table(&heads, &rows, &[3]) + &format!("  {sums}\n"),
        numbers: json!(found),
        title,
    })
}
