//! Reports of a run that has ended: curves of its history, and what its predictions of a
//! part of the data are worth.
//!
//! ```text
//! scores       confusion matrix, precision and recall, ROC
//! charts       SVG
//! page         one HTML page that needs nothing else
//! ```

pub mod charts;
pub mod page;
pub mod scores;

use crate::train::{EpochRow, RunError};
use charts::{Axes, Series};

/// Charts of the history: the loss, then every metric, training and validation in one.
pub fn curves(names: &[String], history: &[EpochRow]) -> Result<Vec<(String, String)>, RunError> {
    names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let of = |values: fn(&EpochRow) -> Option<&Vec<f64>>| {
                let points = history
                    .iter()
                    .filter_map(|r| Some((r.epoch as f64, *values(r)?.get(i)?)));
                points.collect::<Vec<_>>()
            };
            let mut series = vec![Series {
                name: name.clone(),
                points: of(|r| Some(&r.train)),
                dashed: false,
                aside: false,
            }];
            let val = of(|r| r.val.as_ref());
            if !val.is_empty() {
                series.push(Series {
                    name: format!("val_{name}"),
                    points: val,
                    dashed: true,
                    aside: false,
                });
            }
            let axes = Axes {
                x: "epoch",
                y: name,
                whole: true,
                square: false,
            };
            Ok((name.clone(), charts::lines(name, &axes, &series)?))
        })
        .collect()
}

/// One line a class, and what lies below it.
pub fn roc_chart(curves: &[scores::Roc]) -> Result<String, RunError> {
    /// More than this many points cannot be told apart.
    const MOST: usize = 400;
    let mut series: Vec<Series> = curves
        .iter()
        .take(10)
        .map(|c| {
            let step = c.points.len().div_ceil(MOST).max(1);
            let mut points: Vec<(f64, f64)> = c.points.iter().copied().step_by(step).collect();
            points.extend(c.points.last());
            Series {
                name: format!("{} ({:.3})", c.class, c.auc),
                points,
                dashed: false,
                aside: false,
            }
        })
        .collect();
    series.push(Series {
        name: "chance".into(),
        points: vec![(0.0, 0.0), (1.0, 1.0)],
        dashed: true,
        aside: true,
    });
    let axes = Axes {
        x: "false positive rate",
        y: "true positive rate",
        whole: false,
        square: true,
    };
    charts::lines("ROC", &axes, &series)
}
