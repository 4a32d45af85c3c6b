//! `nnc run` of data that are split by `kfold`: one run per fold, in `OUT/fold-1`,
//! `OUT/fold-2`, ..., and a summary of their results.
//!
//! `OUT` is a run's folder too: it holds `lock.json`, `program.nn` and `events.jsonl`, with
//! an event for each fold that has ended. A resumed run trusts these events if the
//! fold's weights are those of this program, and continues with the first fold that
//! has none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::cli::common::{Failure, exit};
use crate::cli::load::Loaded;
use crate::cli::run::progress::{Progress, number};
use crate::cli::run::run_state;
use crate::cli::run::{self, Args, Judged};
use crate::cli::tables::TextTable;
use crate::cli::{console, prepare};
use crate::spec::Part;
use crate::train::output::{self, Output};
use crate::train::weights::WeightsFile;
use crate::train::{RunError, Stopped};

/// The results of a fold.
#[derive(Clone, Debug)]
struct Fold {
    epochs: usize,
    /// Why it ended before its last epoch.
    stopped: Option<String>,
    seconds: f64,
    /// `val_loss` and so on of the fold held out, `test_loss` and so on of what was set aside.
    values: Vec<(String, f64)>,
}

/// Trains each fold in turn.
pub(super) fn run(args: &Args, loaded: &mut Loaded) -> Result<u8, Failure> {
    let count = loaded.data.folds().map_or(0, |f| f.count);
    let (mut out, resumed) = place(args, loaded)?;
    let identity = loaded.identity(run::text(args, loaded), Vec::new());
    out.describe(&run_state::lock(args, loaded, &identity), &identity.text)?;
    let mut progress = Progress::new(&[], args.common.json, args.machine.quiet);
    let mut done = if resumed {
        known(&out.events())
    } else {
        BTreeMap::new()
    };
    progress.record(&out.events(), 0)?;
    let mut folds = Vec::new();
    for fold in 1..=count {
        loaded.data.hold_out(fold);
        let folder = out.folder().join(format!("fold-{fold}"));
        if let Some(kept) = done.remove(&fold)
            && finished(&kept, loaded.train.epochs)
        {
            is_of_this_program(args, loaded, &folder)?;
            progress.say(&format!("fold {fold} of {count}: already done"));
            folds.push(kept);
            continue;
        }
        progress.say(&format!("fold {fold} of {count}"));
        let ran = run::one(args, loaded, Some(out.folder()), |loaded| {
            if !output::is_run(&folder) {
                return Ok((Output::create(Some(&folder), &loaded.name)?, None));
            }
            let state = run_state::newest(loaded, &folder)?;
            Ok((Output::reopen(&folder)?, state))
        })?;
        let Some(result) = ran.result else {
            if folds.is_empty() {
                out.withdraw();
            }
            return Ok(ran.code);
        };
        if ran.code != exit::FINE {
            return Ok(ran.code);
        }
        let ended = Fold::of(&result);
        progress.event("fold", ended.event(fold, count, &folder));
        folds.push(ended);
    }
    conclude(&progress, args, &out, &folds)
}

/// The folder of the whole, and whether it was there.
fn place(args: &Args, loaded: &Loaded) -> Result<(Output, bool), Failure> {
    let Some(resume) = &args.resume else {
        return Ok((Output::create(args.out.as_deref(), &loaded.name)?, false));
    };
    let from = match (resume, &args.out) {
        (Some(path), _) => path.clone(),
        (None, Some(out)) => out.clone(),
        (None, None) => run_state::latest(&loaded.name)?,
    };
    if !from.exists() {
        return match (resume, &args.out) {
            (None, Some(out)) => Ok((Output::create(Some(out), &loaded.name)?, false)),
            _ => Err(run_state::no_run_in(&from)),
        };
    }
    let single = output::is_run(&from) && from.join("history.csv").exists();
    if !from.is_dir() || single {
        return Err(Failure::Usage {
            message: format!("{} holds a single fold", from.display()),
            help: Some(
                "pass the folder that holds all folds, or choose a fold with --fold N".into(),
            ),
        });
    }
    if !output::is_run(&from) {
        return Err(run_state::no_run_in(&from));
    }
    Ok((Output::reopen(&from)?, true))
}

/// What the events of a run say of folds that have ended, the last word on each.
fn known(events: &Path) -> BTreeMap<usize, Fold> {
    let text = std::fs::read_to_string(events).unwrap_or_default();
    let events = text.lines().filter_map(|l| serde_json::from_str(l).ok());
    let folds = events.filter_map(|e: Value| {
        if e["event"] != "fold" {
            return None;
        }
        let values = e["values"].as_object()?.iter();
        let fold = Fold {
            epochs: usize::try_from(e["epochs"].as_u64()?).ok()?,
            stopped: e["stopped"].as_str().map(str::to_owned),
            seconds: e["seconds"].as_f64()?,
            // what was not finite is null
            values: values
                .map(|(k, v)| (k.clone(), v.as_f64().unwrap_or(f64::NAN)))
                .collect(),
        };
        Some((usize::try_from(e["fold"].as_u64()?).ok()?, fold))
    });
    folds.collect()
}

fn finished(fold: &Fold, epochs: usize) -> bool {
    match fold.stopped.as_deref() {
        Some("limit") => false,
        Some(_) => true,
        None => fold.epochs >= epochs,
    }
}

/// The results of a fold count only if they are from this program.
fn is_of_this_program(args: &Args, loaded: &mut Loaded, folder: &Path) -> Result<(), Failure> {
    let path: PathBuf = folder.join("weights.safetensors");
    let file = WeightsFile::open(&path)?;
    prepare::fitted(loaded, &args.common, &file, &path)?;
    let identity = loaded.identity(run::text(args, loaded), Vec::new());
    match identity.difference(file.metadata()) {
        Some(reason) => Err(RunError::Resume { path, reason }.into()),
        None => Ok(()),
    }
}

impl Fold {
    fn of(result: &Judged) -> Fold {
        let outcome = &result.outcome;
        let parts = [
            (Part::Val, result.held_out.as_ref()),
            (Part::Test, outcome.test.as_ref()),
        ];
        let values = parts.into_iter().flat_map(|(part, values)| {
            let named = result.metrics.iter().zip(values.into_iter().flatten());
            named.map(move |(name, v)| (format!("{}_{name}", part.name()), *v))
        });
        Fold {
            epochs: outcome.position.epoch,
            stopped: outcome.stopped.map(|s| match s {
                Stopped::Interrupted => "interrupted".into(),
                Stopped::Limit => "limit".into(),
                Stopped::Callback(name) => name.into(),
            }),
            seconds: outcome.history.iter().map(|row| row.seconds).sum(),
            values: values.collect(),
        }
    }

    fn event(&self, fold: usize, count: usize, folder: &Path) -> Value {
        let values = self.values.iter().map(|(k, v)| (k.clone(), json!(v)));
        json!({
            "fold": fold,
            "folds": count,
            "out": folder.display().to_string(),
            "epochs": self.epochs,
            "stopped": self.stopped,
            "seconds": self.seconds,
            "values": values.collect::<Map<_, _>>(),
        })
    }
}

/// A table of all folds, with means and standard deviations.
fn conclude(progress: &Progress, args: &Args, out: &Output, folds: &[Fold]) -> Result<u8, Failure> {
    let names: Vec<&str> = folds
        .first()
        .map(|f| f.values.iter().map(|(n, _)| n.as_str()).collect())
        .unwrap_or_default();
    let of = |fold: &Fold, name: &str| {
        let found = fold.values.iter().find(|(n, _)| n == name);
        found.map_or(f64::NAN, |(_, v)| *v)
    };
    let spread = names.iter().map(|name| {
        let values: Vec<f64> = folds.iter().map(|f| of(f, name)).collect();
        crate::data::fitted::transforms::moments(&values)
    });
    let spread: Vec<(f64, f64)> = spread.collect();
    let heads = ["fold", "epochs"].into_iter().chain(names.iter().copied());
    let mut table = TextTable::new(heads).right(1..2 + names.len());
    for (i, fold) in folds.iter().enumerate() {
        let mut row = vec![(i + 1).to_string(), fold.epochs.to_string()];
        row.extend(names.iter().map(|n| number(of(fold, n))));
        table.row(row);
    }
    for (head, of) in [("mean", 0), ("± std", 1)] {
        let mut row = vec![head.to_owned(), String::new()];
        let picked = spread.iter().map(|s| if of == 0 { s.0 } else { s.1 });
        row.extend(picked.map(number));
        table.row(row);
    }
    progress.say(&table.to_string());
    progress.say(&format!(
        "saved {}  (try: nnc evaluate {} --weights {})",
        out.folder().display(),
        console::word(&args.common.file.display().to_string()),
        console::word(
            &out.folder()
                .join("fold-1/weights.safetensors")
                .display()
                .to_string()
        )
    ));
    let map = |pick: fn(&(f64, f64)) -> f64| -> Map<String, Value> {
        let pairs = names.iter().zip(&spread);
        pairs
            .map(|(n, s)| ((*n).to_owned(), json!(pick(s))))
            .collect()
    };
    let event = json!({
        "folds": folds.len(),
        "out": out.folder().display().to_string(),
        "mean": map(|s| s.0),
        "std": map(|s| s.1),
    });
    progress.event("folds", event);
    progress.all_told()?;
    Ok(exit::FINE)
}
