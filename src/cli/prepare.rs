//! From a program to its data: what is read, fitted and held out before a program runs.

use std::collections::BTreeSet;
use std::path::Path;

use crate::cli::caching::Caching;
use crate::cli::common::{Common, Failure, Machine};
use crate::cli::fetch;
use crate::cli::load::Loaded;
use crate::cli::run::report;
use crate::cli::warnings;
use crate::data::packed::cache::CacheEvent;
use crate::spec::Part;
use crate::train::dataset::{Dataset, Places, Ranges, Reading, Streaming, headers};
use crate::train::fitted::Fitted;
use crate::train::weights::{Mismatch, WeightsError, WeightsFile};
use crate::train::{ProgramKind, RunError};

/// Reads what the programs of `kinds` take, fits what is to be fitted (unless it is
/// `fitted` already), and gives the programs the sizes that the data determine.
pub(super) fn dataset(
    loaded: &mut Loaded,
    common: &Common,
    machine: &Machine,
    kinds: &[ProgramKind],
    fitted: Option<Fitted>,
    ranges: Ranges,
) -> Result<Dataset, Failure> {
    let places = Places {
        program: loaded.folder.clone(),
        asked: machine.data.clone(),
    };
    let caching = Caching::new(common.json, machine.quiet);
    let tell = |told: &CacheEvent| caching.tell(told);
    let reading = Reading {
        places: &places,
        seed: loaded.train.seed,
        threads: machine.threads(),
        workers: machine.workers(),
        fitted,
        ranges,
        streaming: Streaming::new(&tell),
    };
    let mut names: BTreeSet<String> = kinds
        .iter()
        .flat_map(|&kind| crate::train::session::columns(&loaded.programs, kind))
        .map(str::to_owned)
        .collect();
    if kinds.contains(&ProgramKind::Train) {
        names.extend(report::columns(loaded));
    }
    let needed = names.iter().map(String::as_str).collect();
    let spec = fetch::fetched(&loaded.data, &loaded.map, machine, common.json)?;
    if !std::mem::replace(&mut loaded.headers_seen, true) {
        let found = headers(&spec, &places);
        let found = warnings::show(found, &loaded.allowed, &loaded.map, common.json)?;
        warnings::deny(common, found)?;
    }
    let mut data = Dataset::load(&spec, &needed, reading)?;
    if loaded.data.has_unknown_sizes() {
        loaded.set_sizes(common, &data.fitted().sizes())?;
    }
    data.derive(&loaded.data, &names)?;
    Ok(data)
}

/// The program with every size known: the data are read where only they can tell.
pub(super) fn sized(
    loaded: &mut Loaded,
    common: &Common,
    machine: &Machine,
) -> Result<(), Failure> {
    if loaded.data.has_unknown_sizes() {
        dataset(loaded, common, machine, &[], None, Ranges::new())?;
    }
    Ok(())
}

/// What was fitted when these weights were trained.
pub(super) fn notes(file: &WeightsFile, path: &Path) -> Result<Option<Fitted>, Failure> {
    Fitted::from_notes(|key| file.metadata().get(key)).map_err(|reason| {
        Failure::usage(format!(
            "{}: cannot read the fitted statistics: {reason}",
            path.display()
        ))
    })
}

/// The same; the programs get its sizes.
pub(super) fn fitted(
    loaded: &mut Loaded,
    common: &Common,
    file: &WeightsFile,
    path: &Path,
) -> Result<Option<Fitted>, Failure> {
    let fitted = notes(file, path)?;
    let lacking = fitted.as_ref().map(|f| f.lacks(&loaded.data));
    let lacking = lacking.into_iter().flatten().map(|name| Mismatch::Missing {
        name,
        suggestion: None,
    });
    let mismatches: Vec<Mismatch> = lacking.collect();
    if !mismatches.is_empty() {
        let path = path.to_owned();
        return Err(WeightsError::Mismatch { path, mismatches }.into());
    }
    if let Some(fitted) = &fitted
        && loaded.data.has_unknown_sizes()
    {
        loaded.set_sizes(common, &fitted.sizes())?;
    }
    Ok(fitted)
}

/// Chooses the fold that is held out; it is one of those of the data.
pub(super) fn hold_out(loaded: &mut Loaded, fold: Option<u32>) -> Result<(), Failure> {
    let count = loaded.data.folds().map(|f| f.count);
    match (fold, count) {
        (None, _) => Ok(()),
        (Some(n), Some(count)) if n as usize <= count => {
            loaded.data.hold_out(n as usize);
            Ok(())
        }
        (Some(n), Some(count)) => {
            let what = format!("there is no fold {n}: the folds are numbered 1 to {count}");
            Err(Failure::usage(what))
        }
        (Some(_), None) => Err(Failure::Usage {
            message: "the data is not split into folds".into(),
            help: Some("`split kfold(5)` makes 5 folds".into()),
        }),
    }
}

/// What is wrong with a run that has no such part.
pub(super) fn no_part(part: Part) -> RunError {
    RunError::Usage {
        what: format!("there is no {} set", part.adjective()),
        reason: "add it to `split`, or give it a source of its own".into(),
    }
}
