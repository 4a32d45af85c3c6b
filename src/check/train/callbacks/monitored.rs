//! The metrics that a run reports, as callbacks and goals name them.

use crate::diag::{Code, Diagnostic, Severity, did_you_mean};
use crate::ir::Dim;
use crate::plural;
use crate::span::Span;
use crate::spec::callbacks::Better;
use crate::spec::names;
use crate::spec::pattern::{FormKind, Pattern};
use crate::syntax::ast::{Expr, ExprKind};

use super::Reported;
use super::args::CallArguments;
use crate::check::elab::Elab;
use crate::check::elab::value::Val;

const BAD: Code = Code::E0615;
const MODE: &str = "`mode` must be `auto`, `min` or `max`";

impl Elab<'_> {
    /// Reports a value that is not as `rule` says.
    pub fn bad_value<T>(&mut self, code: Code, rule: &str, at: Span, found: &str) -> Option<T> {
        self.error(code, at, rule.to_owned(), format!("this is {found}"));
        None
    }

    /// A callback that waits for longer than the run.
    pub(super) fn advise_patience(&mut self, call: &CallArguments, epochs: usize) {
        let Some(e) = call.get("patience") else {
            return;
        };
        // The best weights are restored at the end of the run all the same.
        if call.get("restore_best_weights").is_some() {
            return;
        }
        let Val::Int(Dim::Const(patience)) = self.eval(e) else {
            return;
        };
        if usize::try_from(patience).is_ok_and(|p| p >= epochs) {
            let run = plural::count(epochs, "epoch");
            let d = Diagnostic::warning(Code::W0657, format!("this never acts within {run}"))
                .label(e.span, "it waits for at least as many epochs as there are")
                .help("train for more epochs, or wait for fewer");
            self.diagnose(d);
        }
    }

    /// Mistakes reported so far, without warnings.
    pub(super) fn errors(&self) -> usize {
        let errors = self.diags.iter().filter(|d| d.severity == Severity::Error);
        errors.count()
    }

    /// Whether every value in braces is known: a metric, or one of `places`, of which `lr`
    /// alone is no count. The error says what is wrong, unless that has been reported.
    pub fn fillable(
        &mut self,
        pattern: &Pattern,
        at: Span,
        run: &Reported,
        places: &[&str],
        steps: bool,
    ) -> Result<(), Option<String>> {
        for (name, form) in pattern.names() {
            let place = places.contains(&name);
            if place && name == "lr" && run.rates != 1 {
                let found = format!("`lr` is ambiguous: there are {} learning rates", run.rates);
                return Err(Some(found));
            }
            if !place && !self.reported(run, name, steps, at) {
                return Err(None);
            }
            if form.kind == FormKind::Whole && (!place || name == "lr") {
                return Err(Some(format!("`{name}` is not an integer: use `:.4f`")));
            }
        }
        Ok(())
    }

    /// What is better of a metric: as `mode` says, or as is known of it.
    pub fn better(
        &mut self,
        run: &Reported,
        name: &str,
        mode: Option<&Expr>,
        at: Span,
    ) -> Option<Better> {
        let better = match mode.map(|e| (&e.kind, e.span)) {
            None => None,
            Some((ExprKind::Name(n), at)) => match &*n.text {
                "auto" => None,
                "min" => Some(Better::Less),
                "max" => Some(Better::Greater),
                other => return self.bad_value(BAD, MODE, at, other),
            },
            Some((_, at)) => return self.bad_value(BAD, MODE, at, "something else"),
        };
        let bare = names::metric(name);
        let known = run.metrics.iter().find(|(n, _)| n == bare);
        if better.is_none() && known.is_none() {
            self.reported(run, name, false, at);
            return None;
        }
        let usual = known.and_then(|(_, b)| *b);
        if let (Some(asked), Some(usual), Some(mode)) = (better, usual, mode)
            && asked != usual
        {
            let other = match usual {
                Better::Less => "min",
                Better::Greater => "max",
            };
            let written = self.source_text(mode.span);
            let d = Diagnostic::warning(Code::W0658, format!("`mode = {written}` for `{bare}`"))
                .label(mode.span, "this takes the worst value for the best")
                .help(format!("write `mode = {other}`, or leave it out"));
            self.diagnose(d);
        }
        let better = better.or(usual);
        if better.is_none() {
            let d = Diagnostic::error(
                Code::E0616,
                format!("should `{bare}` be maximized or minimized?"),
            )
            .label(at, "nnc does not know the direction of your own metric")
            .help("add `mode = min` or `mode = max`");
            self.diagnose(d);
        }
        better
    }

    /// Whether the run reports a metric of this name (after a step: of training alone).
    pub fn reported(&mut self, run: &Reported, name: &str, steps: bool, at: Span) -> bool {
        let bare = names::of_validation(name);
        let metric = |n: &str| run.metrics.iter().any(|(m, _)| m == n);
        let held = run.validated && !steps;
        if metric(name) || bare.is_some_and(metric) && held {
            return true;
        }
        // What was not checked may report it.
        if !run.complete {
            return true;
        }
        let mut d = Diagnostic::error(Code::E0616, format!("the run does not report `{name}`"));
        d = match bare.filter(|b| metric(b)) {
            Some(b) if run.validated => d
                .label(at, "only known at the end of an epoch")
                .help(format!("monitor `{b}`, or save after each epoch")),
            Some(b) => d.label(at, "there is no validation set").help(format!(
                "add a `val` set to `split`, or write `monitor = {b}`"
            )),
            None => {
                let vals = run.metrics.iter().filter(|_| held);
                let known: Vec<String> = (run.metrics.iter().map(|(m, _)| m.clone()))
                    .chain(vals.map(|(m, _)| names::validation(m)))
                    .collect();
                let d = d.label(at, "unknown metric");
                match did_you_mean(name, known.iter().map(String::as_str)) {
                    Some(near) => d.help(format!("did you mean `{near}`?")),
                    None => d.note(format!("the run reports {}", known.join(", "))),
                }
            }
        };
        self.diagnose(d);
        false
    }
}
