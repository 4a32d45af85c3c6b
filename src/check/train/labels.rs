//! Labels that may hold together: independent probabilities, against a number for each. What is
//! made for classes of which one is right takes the largest of them.

use crate::diag::{Code, Diagnostic};
use crate::ir::Dim;
use crate::span::Span;
use crate::spec::{ReportSpec, ReportSubject};
use crate::syntax::ast::{DefKind, DimExpr, Ident};

use crate::check::data::env::DataEnv;
use crate::check::elab::Elab;
use crate::check::elab::pattern::{MeaningPattern, tensor_pattern};
use crate::check::elab::state::Comparison;
use crate::check::elab::value::{Configured, DefRef, Home, Meaning, Tensor, Val, lists, literal};

use super::flow::Probabilities;

impl Elab<'_> {
    /// Whether a prediction is a probability for each of several labels.
    pub(crate) fn is_of_labels(&self, p: &Tensor) -> bool {
        let last = p.ty.shape.last().and_then(Dim::as_const);
        p.meaning == Meaning::Prob
            && p.home == Home::Step
            && p.ty.rank() > 1
            && last.is_some_and(|n| n > 1)
            && matches!(self.kind_of_probabilities(p), Probabilities::Independent)
    }

    /// Whether the target is a column as it is, with a number for each label: one hot is a class.
    fn compares_labels(&self, p: &Tensor, y: &Tensor, column: &str, env: &DataEnv) -> bool {
        y.meaning == Meaning::Prob
            && y.ty.shape == p.ty.shape
            && env.columns.contains_key(column)
            && self.is_of_labels(p)
    }

    /// Warns of a metric that takes the most probable label for the right class.
    pub(super) fn metric_of_labels(
        &mut self,
        c: &Configured,
        chosen: &DefRef,
        pair: &Comparison,
        env: &DataEnv,
    ) {
        let target = |d: &DefRef| {
            let of = lists(&d.def).1.get(1)?.ty.as_ref()?;
            let pattern = tensor_pattern(of).ok()?;
            let named = !matches!(pattern.dims.last(), Some(DimExpr::Rest(_)) | None);
            match pattern.meaning {
                MeaningPattern::Prob if named => Some(None),
                MeaningPattern::Class(e) => Some(literal(e)),
                _ => None,
            }
        };
        let chooses = chosen.library && target(chosen) == Some(None);
        let decides = c.args.iter().any(|a| {
            let name = a.name.as_ref().map_or("", |n| &*n.text);
            name.starts_with("thresh") && !matches!(a.val, Val::None)
        });
        if chosen.def.kind != DefKind::Metric || !chooses || decides {
            return;
        }
        if self.compares_labels(&pair.prediction, &pair.target, &pair.value, env) {
            let by_label = c.defs.iter().any(|d| target(d) == Some(Some(2)));
            let what = &chosen.def.name.text;
            self.warn_of_labels(
                what,
                pair.at,
                &pair.name,
                &pair.target,
                &pair.value,
                by_label,
            );
        }
    }

    /// The same of reports that take the most probable class.
    pub(crate) fn reports_of_labels(&mut self, reports: &[ReportSpec], env: &DataEnv) {
        let of_classes = |r: &&ReportSpec| r.subject == ReportSubject::Classes;
        for report in reports.iter().filter(of_classes) {
            let mut all = self.train.compared.iter();
            let of = all.find(|c| report.output.as_deref() == Some(&*c.name));
            let target = match env.targets.as_slice() {
                [one] => Some(one),
                many => many
                    .iter()
                    .find(|f| report.output.as_deref() == Some(&*f.name.text)),
            };
            let (Some((p, Some(y))), Some(f)) = (of.map(|c| (&c.prediction, &c.target)), target)
            else {
                continue;
            };
            let column = match &f.value {
                Some(value) => self.source_text(value.span),
                None => f.name.text.to_string(),
            };
            if self.compares_labels(p, y, &column, env) {
                let y = y.clone();
                self.warn_of_labels(report.name, report.span, &f.name, &y, &column, true);
            }
        }
    }

    /// Once for a target.
    fn warn_of_labels(
        &mut self,
        what: &str,
        at: Span,
        target: &Ident,
        y: &Tensor,
        column: &str,
        by_label: bool,
    ) {
        let sizes: Vec<String> = y.ty.shape[1..].iter().map(Dim::to_string).collect();
        let labels = sizes.last().cloned().unwrap_or_default();
        let message = format!("`{what}` compares only the largest of {labels} labels");
        let help = match by_label {
            true => format!(
                "declare the column `{column}` and the target as `class[2][{}]`: then every label counts",
                sizes.join(", ")
            ),
            false => format!("`{what}` is for classes of which one is right: remove it"),
        };
        let d = Diagnostic::warning(Code::W0690, message)
            .label(
                target.span,
                "several labels of a row may hold: each has a sigmoid",
            )
            .label(at, "this takes one of them as the right class")
            .help(help);
        self.diagnose(d);
    }
}
