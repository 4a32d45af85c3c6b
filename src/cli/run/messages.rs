//! What a run reports beside its epochs: how it begins, and what it ends with.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::progress::{Progress, seconds};
use super::{Args, Task};
use crate::cli::console;
use crate::cli::load::Loaded;
use crate::plural::{count, listed, thousands};
use crate::spec::Part;
use crate::train::dataset::Dataset;
use crate::train::memory;
use crate::train::output::Output;
use crate::train::session::columns;
use crate::train::{EpochRow, Outcome, ProgramKind, Session, Stopped};

pub(super) fn introduce(
    progress: &Progress,
    args: &Args,
    loaded: &Loaded,
    session: &Session,
    data: &Dataset,
    out: &Output,
) {
    let spec = &loaded.train;
    let rows: Vec<(&str, usize)> = Part::ALL
        .iter()
        .map(|&part| (part.name(), data.rows(part)))
        .filter(|(_, rows)| *rows > 0)
        .collect();
    let shown: Vec<String> = rows
        .iter()
        .map(|(part, rows)| format!("{} {part}", thousands(*rows)))
        .collect();
    let parameters = session.store().parameters();
    let facts = [
        format!(
            "{}: {}",
            spec.models.join(", "),
            count(parameters, "parameter")
        ),
        format!("rows {}", shown.join(" / ")),
        format!("batch {}", spec.batch),
        format!("seed {}", spec.seed),
        args.machine.describe(),
    ];
    progress.say(&console::wrapped(&facts, ", ", 2));
    if let Some(sweep) = &loaded.sweep {
        let axes: Vec<String> = sweep.axes.iter().map(|a| a.name.clone()).collect();
        progress.say(&format!(
            "training one configuration; to search over {}:\n  nnc sweep {}",
            listed(&axes),
            console::word(&args.common.file.display().to_string())
        ));
    }
    progress.event(
        "start",
        json!({
            "file": args.common.file.display().to_string(),
            "out": out.folder().display().to_string(),
            "models": spec.models,
            "parameters": parameters,
            "data_bytes": data.bytes() + data.window_bytes(),
            "rows": rows.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "epochs": spec.epochs,
            "batch": spec.batch,
            "seed": spec.seed,
            "device": args.machine.device.name(),
            "threads": args.machine.threads(),
            "fold": loaded.data.folds().map(|f| f.fold),
        }),
    );
}

pub(super) fn conclude(
    progress: &Progress,
    task: &Task,
    out: &Output,
    (outcome, restored_epoch): (&Outcome, Option<usize>),
    steps: u64,
) {
    let &Task {
        args,
        loaded,
        whole,
        ..
    } = task;
    let weights = out.weights();
    let whole_epochs: f64 = outcome.history.iter().map(|r| r.seconds).sum();
    let total = whole_epochs + outcome.unreported_seconds;
    progress.event(
        "saved",
        json!({
            "weights": weights.display().to_string(),
            "history": out.history().is_file().then(|| out.history().display().to_string()),
            "epoch": outcome.position.epoch,
            "weights_epoch": restored_epoch.unwrap_or(outcome.position.epoch),
            "steps": steps,
            "unfinished_seconds": outcome.unreported_seconds,
            "peak_memory": memory::peak_of_process(),
            "stopped": outcome.stopped.map(|s| match s {
                Stopped::Interrupted => "interrupted",
                Stopped::Limit => "limit",
                Stopped::Callback(name) => name,
            }),
        }),
    );
    if let Some(text) = batches_text(outcome) {
        progress.say(&text);
    }
    let what = match outcome.stopped {
        Some(Stopped::Interrupted) => {
            console::note(&format!(
                "interrupted in epoch {} of {}",
                outcome.position.epoch + 1,
                loaded.train.epochs
            ));
            "checkpoint "
        }
        _ => "",
    };
    progress.say(&format!(
        "saved {what}{}  ({}, {})",
        weights.display(),
        count(steps, "step"),
        seconds(total)
    ));
    match outcome.stopped {
        Some(Stopped::Interrupted) => console::note(&format!(
            "resume with:\n  {}",
            resume_command(args, whole.unwrap_or(out.folder()))
        )),
        Some(Stopped::Limit) => {}
        _ if whole.is_some() => {}
        Some(Stopped::Callback(_)) | None => {
            if let Some(hint) = hint(args, loaded, outcome, &weights) {
                progress.say(&format!("try: {hint}"));
            }
        }
    }
}

/// What batches have cost, where images were augmented.
fn batches_text(outcome: &Outcome) -> Option<String> {
    let sum = |of: fn(&EpochRow) -> Duration| -> f64 {
        let all = outcome.history.iter().map(|r| of(r).as_secs_f64());
        all.sum()
    };
    let augmenting = sum(|r| r.costs.augmenting);
    (augmenting > 0.0).then(|| {
        let waited = sum(|r| r.costs.waited);
        let training: f64 = outcome.history.iter().map(|r| r.train_seconds).sum();
        format!(
            "augmentation: {} of worker time; training spent {} of {} waiting for batches",
            seconds(augmenting),
            seconds(waited),
            seconds(training)
        )
    })
}

/// One thing worth doing next, if there is one.
fn hint(args: &Args, loaded: &Loaded, outcome: &Outcome, weights: &Path) -> Option<String> {
    let epochs = loaded.train.epochs;
    let losses: Option<Vec<f64>> = outcome
        .history
        .iter()
        .map(|r| r.val.as_ref().and_then(|v| v.first()).copied())
        .collect();
    if let Some(losses) = losses
        && losses.len() > 2
    {
        let best = (0..losses.len()).fold(0, |b, i| if losses[i] < losses[b] { i } else { b });
        if best + 1 == losses.len() {
            return Some(format!(
                "nnc run {} --epochs {}  (val_loss was still falling)",
                arguments(args),
                epochs * 2
            ));
        }
        if losses[losses.len() - 1] > losses[best] * 1.1 {
            return Some(format!(
                "nnc run {} --epochs {}  (val_loss was lowest then)",
                arguments(args),
                outcome.history[best].epoch
            ));
        }
    }
    let from_rows = !columns(&loaded.programs, ProgramKind::Predict).is_empty();
    from_rows.then(|| {
        format!(
            "nnc predict {} --weights {} --input ROWS.csv",
            console::word(&args.common.file.display().to_string()),
            console::word(&weights.display().to_string())
        )
    })
}

/// The command that continues this run as it was started.
pub(super) fn resume_command(args: &Args, folder: &Path) -> String {
    let mut text = format!("nnc run {}", arguments(args));
    if let Some(n) = args.epochs {
        text += &format!(" --epochs {n}");
    }
    if let Some(n) = args.limit_epochs {
        text += &format!(" --limit-epochs {n}");
    }
    let folder = console::word(&folder.display().to_string());
    text + &format!(" --resume {folder}")
}

/// The arguments that make the same run again, but for its epochs and its output.
pub(super) fn arguments(args: &Args) -> String {
    let mut text = console::word(&args.common.file.display().to_string());
    for (name, value) in &args.common.set {
        text += &format!(" --set {}", console::word(&format!("{name}={value}")));
    }
    if let Some(n) = args.batch {
        text += &format!(" --batch {n}");
    }
    if let Some(n) = args.seed {
        text += &format!(" --seed {n}");
    }
    if let Some(n) = args.fold {
        text += &format!(" --fold {n}");
    }
    text + &args.machine.words()
}
