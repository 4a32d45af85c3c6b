//! `minimize val_loss`: one metric that the run reports, in the direction that is better, and
//! none of the test part.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::spec::callbacks::Better;
use crate::spec::names;
use crate::spec::sweep::Goal;
use crate::syntax::ast::{ExprKind, Ident, Setting, Sweep};

use crate::check::elab::Elab;
use crate::check::train::callbacks::Reported;
use crate::check::train::settings::Settings;

use super::Trained;

impl Elab<'_> {
    /// `minimize val_loss`, of what the run reports.
    pub(super) fn goal(
        &mut self,
        settings: &Settings,
        s: &Sweep,
        trained: Option<&Trained>,
    ) -> Option<Goal> {
        let (setting, better) = match (settings.get("minimize"), settings.get("maximize")) {
            (Some(one), None) => (one, Better::Less),
            (None, Some(one)) => (one, Better::Greater),
            (None, None) => {
                self.error(
                    Code::E0703,
                    s.model.span,
                    "the sweep has no goal",
                    "add `minimize val_loss` or `maximize val_accuracy`",
                );
                return None;
            }
            (Some(one), Some(other)) => {
                let d = Diagnostic::error(Code::E0703, "a sweep can only have one goal")
                    .label(other.key.span, "a second one")
                    .label(one.key.span, "the first");
                self.diagnose(d);
                return None;
            }
        };
        let name = self.goal_name(setting)?;
        if let Some(run) = trained.and_then(|t| t.reported) {
            self.goal_is_reported(&name, run)?;
            if trained.is_some_and(|t| t.folded) && names::of_validation(&name.text).is_none() {
                let message = "with k-fold, the goal is a metric of the held-out rows";
                let d = Diagnostic::error(Code::E0706, message)
                    .label(name.span, "this is a metric of the training rows")
                    .fix(name.span, names::validation(&name.text));
                self.diagnose(d);
                return None;
            }
            self.goal_is_good(&name, setting, better, run)?;
        }
        Some(Goal {
            name: name.text.to_string(),
            better,
        })
    }

    fn goal_name(&mut self, setting: &Setting) -> Option<Ident> {
        match setting.values.as_slice() {
            [one] if one.name.is_none() => match &one.value.kind {
                ExprKind::Name(n) => return Some(n.clone()),
                ExprKind::Str(s) => {
                    let d = Diagnostic::error(Code::E0706, "a metric is written without quotes")
                        .label(one.span, "this is a string")
                        .fix(one.span, s.clone());
                    self.diagnose(d);
                    return None;
                }
                _ => {}
            },
            _ => {}
        }
        self.error(
            Code::E0706,
            setting.span,
            format!("`{}` needs the name of one metric", setting.key.text),
            "for example, `minimize val_loss`",
        );
        None
    }

    fn goal_is_reported(&mut self, name: &Ident, run: &Reported) -> Option<()> {
        let metric = |n: &str| run.metrics.iter().any(|(m, _)| m == n);
        let bare = names::of_validation(&name.text).filter(|b| metric(b));
        if metric(&name.text) || bare.is_some() && run.validated {
            return Some(());
        }
        let mut d = Diagnostic::error(
            Code::E0706,
            format!("the run does not report `{}`", name.text),
        );
        let tested = name.text.strip_prefix("test_").filter(|b| metric(b));
        d = match (bare, tested) {
            (_, Some(b)) => {
                d.message = "the test set cannot be used to choose the best trial".into();
                let d = d
                    .label(name.span, "then it is no longer a test set")
                    .note("the test set measures the chosen configuration, which is only meaningful if it played no role in the choice");
                match run.validated {
                    true => d.fix(name.span, names::validation(b)),
                    false => d.help(format!(
                        "add a `val` set to `split`, and use `val_{b}`"
                    )),
                }
            }
            (Some(b), None) => d
                .label(name.span, "there is no validation set")
                .help(format!(
                    "add a `val` set to `split`, or use `{b}`, which is computed on the training rows"
                )),
            (None, None) => {
                let vals = run.metrics.iter().filter(|_| run.validated);
                let names: Vec<String> = (run.metrics.iter().map(|(m, _)| m.clone()))
                    .chain(vals.map(|(m, _)| names::validation(m)))
                    .collect();
                let d = d.label(name.span, "unknown metric");
                match did_you_mean(&name.text, names.iter().map(String::as_str)) {
                    Some(near) => d
                        .help(format!("did you mean `{near}`?"))
                        .fix(name.span, near),
                    None => d.note(format!("the run reports {}", names.join(", "))),
                }
            }
        };
        self.diagnose(d);
        None
    }

    /// Refuses `minimize val_accuracy`.
    fn goal_is_good(
        &mut self,
        name: &Ident,
        setting: &Setting,
        better: Better,
        run: &Reported,
    ) -> Option<()> {
        let bare = names::metric(&name.text);
        let known = run
            .metrics
            .iter()
            .find(|(n, _)| n == bare || *n == *name.text);
        let (amount, verb) = match known.and_then(|(_, b)| *b) {
            Some(known) if known != better => match known {
                Better::Less => ("a lower", "minimize"),
                Better::Greater => ("a higher", "maximize"),
            },
            _ => return Some(()),
        };
        let d = Diagnostic::error(Code::E0711, format!("{amount} `{bare}` is better"))
            .label(setting.key.span, "this looks for the worst")
            .fix(setting.key.span, verb);
        self.diagnose(d);
        None
    }
}
