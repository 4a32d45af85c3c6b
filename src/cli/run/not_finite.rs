//! The report of a value that is not finite: where it came from, the values
//! there, and what usually helps.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::cli::common::Failure;
use crate::cli::load::Loaded;
use crate::cli::run::Args;
use crate::cli::run::progress::number;
use crate::cli::run::run_state;
use crate::diag::{Code, Diagnostic};
use crate::span::Span;
use crate::train::checkpoints::Checkpoints;
use crate::train::dataset::Dataset;
use crate::train::device::Device;
use crate::train::identity::Identity;
use crate::train::output::Output;
use crate::train::store::Store;
use crate::train::trace::{self, Argument, Cause, Fault, Operation, Trace};
use crate::train::{Callbacks, Fit, RunError, Session};

/// All that it takes to make the run again.
pub(super) struct Again<'a> {
    pub args: &'a Args,
    pub loaded: &'a Loaded,
    pub device: &'a Device,
    pub data: &'a Dataset,
    pub out: &'a Output,
    pub identity: &'a Identity,
    /// What the run resumed from.
    pub state: Option<&'a Path>,
}

/// The failure with its place, found by making the run again from its last saved state.
pub(super) fn explain(error: RunError, again: &Again) -> Failure {
    match search(again) {
        Ok(Some(found)) => {
            let map = again.loaded.map.clone();
            Failure::Placed(Box::new((diagnostic(&error, &found), map)))
        }
        // the failure itself is what matters
        Ok(None) | Err(_) => error.into(),
    }
}

fn search(again: &Again) -> Result<Option<Trace>, Failure> {
    let (args, loaded) = (again.args, again.loaded);
    let spec = &loaded.train;
    let compile = Box::new(|graph| again.device.compile(graph));
    let fill = |store: &mut Store| again.data.fill(store);
    let rows = again.data.most_rows();
    let mut session = Session::filled(&loaded.programs, rows, fill, compile)?;
    // what callbacks write this time is of no use
    let scratch = tempfile::Builder::new()
        .prefix(".nnc-again-")
        .tempdir_in(again.out.folder())?;
    let mut callbacks = Callbacks::new(&spec.callbacks, &spec.rates, &session, scratch.path())?;
    let saved = Checkpoints::new(&spec.callbacks, again.out.folder());
    let newest = saved.newest(&again.out.weights()).0;
    let state = newest.as_deref().or(again.state);
    let from = run_state::start(args, state, &mut session, &mut callbacks, again.identity)?;
    let mut parts = crate::cli::run::parts(loaded, &session, again.data)?;
    let never = AtomicBool::new(false);
    let plan = Fit {
        epochs: spec.epochs,
        from: from.position,
        limit: None,
        stop: &never,
        every: None,
        history: Vec::new(),
        spent: 0.0,
    };
    Ok(trace::find(
        &mut session,
        &mut parts,
        &plan,
        &mut callbacks,
        spec.seed,
    )?)
}

fn diagnostic(error: &RunError, found: &Trace) -> Diagnostic {
    let mut d = Diagnostic::error(Code::E0951, error.to_string());
    let place = format!("in step {} (epoch {})", found.step, found.epoch);
    match &found.cause {
        Cause::Data { column, row } => d
            .note(format!(
                "the data contain a value that is not finite {place}: column `{column}`, row {} of the batch",
                row + 1
            ))
            .help("clean the file, or replace such values where the column is read"),
        Cause::Kept { name } => d
            .note(format!("`{name}` is already not finite before the update {place}"))
            .help("start from other weights"),
        Cause::Operation(o) => {
            let what = format!("{} {place}", made(o));
            d = match o.span.filter(|s| *s != Span::default()) {
                Some(span) => d.label(span, what),
                None => d.note(what),
            };
            if !o.path.is_empty() {
                d = d.note(format!("part of `{}`", o.path));
            }
            d.note(around(o)).help(advice(o))
        }
    }
}

fn made(o: &Operation) -> String {
    let of = if o.forward {
        ""
    } else {
        "in its gradient or update, "
    };
    format!("{of}`{}` returns {}", o.prim, number(o.value))
}

/// `element [3, 0] of [16, 1] (2 of 16 are not finite), of 0 (all from 0 to 0.98)`
fn around(o: &Operation) -> String {
    let all: usize = o.shape.iter().product();
    let mut text = if o.shape.is_empty() {
        "computed".to_owned()
    } else {
        format!(
            "element {:?} of {:?} ({} of {all} are not finite), computed",
            o.at, o.shape, o.count
        )
    };
    let shown: Vec<String> = o.args.iter().map(argument).collect();
    text += &format!(" from {}", shown.join(" and "));
    text
}

fn argument(a: &Argument) -> String {
    let range = format!("{} to {}", number(a.least), number(a.most));
    match a.value {
        Some(x) if a.least == a.most => number(x),
        Some(x) => format!("{} (range {range})", number(x)),
        None => format!("{:?} ({range})", a.shape),
    }
}

fn advice(o: &Operation) -> &'static str {
    match o.fault {
        Fault::LogOfZero => {
            "logarithm of 0: keep its argument positive, as in log(clip(x, 1e-7, 1))"
        }
        Fault::LogOfNegative => {
            "logarithm of a negative number: is a sign wrong, or a sigmoid missing?"
        }
        Fault::RootOfNegative => {
            "square root of a negative number: is a sign wrong, or is it rounding? maximum(x, 0) avoids it"
        }
        Fault::ExpTooLarge => {
            "exponential of a large number: subtract the maximum first, or clip the argument"
        }
        Fault::DivisionByZero if o.forward => {
            "division by 0: add a small number to the denominator, as in a / (b + 1e-7)"
        }
        Fault::DivisionByZero => {
            "division by 0 in a gradient (of a square root or logarithm at 0): add a small number to its argument"
        }
        Fault::Power => {
            "undefined power: 0 to a negative exponent, or a negative base to a fractional exponent"
        }
        Fault::Overflow => {
            "values overflow (above 3.4e38): a smaller learning rate, scaled inputs or gradient clipping usually helps"
        }
    }
}
