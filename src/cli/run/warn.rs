//! What is to be said of the data before anything is trained or written.

use serde_json::json;

use crate::cli::common::{Common, Failure};
use crate::cli::load::Loaded;
use crate::cli::run::progress::Progress;
use crate::cli::{console, warnings};
use crate::diag::Diagnostic;
use crate::spec::Part;
use crate::train::dataset::{Dataset, Overlap};
use crate::train::{ProgramKind, Session, schedules};

/// Shows warnings: those `found` in the rows, and those of schedules. For one of several folds, only
/// if it is the first. Returns the overlaps, which are shown with the run's events.
pub(super) fn warn(
    common: &Common,
    loaded: &Loaded,
    session: &Session,
    data: &Dataset,
    (mut found, several): (Vec<Diagnostic>, bool),
) -> Result<Vec<Overlap>, Failure> {
    let spec = &loaded.train;
    let steps = data.rows(Part::Train).div_ceil(spec.batch);
    found.extend(schedules::warnings(spec, session, steps)?);
    let repeated = several && loaded.data.folds().is_some_and(|f| f.fold > 1);
    let shown = match repeated {
        true => 0,
        false => warnings::show(found, &loaded.allowed, &loaded.map, common.json)?,
    };
    let mut overlaps = data.overlaps(&session.columns(ProgramKind::Predict))?;
    if loaded.allowed.covers(Overlap::CODE, loaded.data.span) {
        overlaps.clear();
    }
    if common.deny_warnings && !overlaps.is_empty() {
        show_overlaps(&Progress::new(&[], common.json, true), &overlaps);
    }
    warnings::deny(common, shown + overlaps.len())?;
    Ok(overlaps)
}

/// Rows that a model is judged by, and was trained on.
pub(super) fn show_overlaps(progress: &Progress, overlaps: &[Overlap]) {
    for found in overlaps {
        let message = found.to_string();
        progress.event(
            "warning",
            json!({
                "code": Overlap::CODE,
                "message": message,
                "part": found.part.name(),
                "rows": found.count,
                "of": found.rows,
                "row": found.first + 1,
                "row_of_train": found.again + 1,
            }),
        );
        console::note(&format!(
            "warning[{}]: {message}\n  help: {}",
            Overlap::CODE,
            Overlap::HELP
        ));
    }
}
