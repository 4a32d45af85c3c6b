//! What a fit gives, by name: `scale.mean`, `vocab.size`.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::Role;
use crate::spec::Statistic;
use crate::syntax::ast::Ident;

use crate::check::elab::Elab;
use crate::check::elab::state::Fit;
use crate::check::elab::value::{Home, Meaning, Tensor, Val};

/// The statistics of rows that are read some at a time.
pub(crate) const ONLY: &str =
    "for streamed rows, use `mean`, `std`, `min` and `max` of `statistics`";

impl Elab<'_> {
    /// `scale.mean`: a constant computed from the training rows.
    pub(super) fn fitted_field(&mut self, fit: &str, field: &Ident) -> Val {
        match self.world.fit(fit) {
            Some(Fit::Vocabulary(size) | Fit::Labels(size)) if &*field.text == "size" => {
                return Val::Int(size);
            }
            Some(Fit::Vocabulary(_) | Fit::Labels(_)) => {
                return self.unknown_statistic(fit, field, &["size"]);
            }
            Some(Fit::Vectors { dim, .. }) if &*field.text == "dim" => return Val::Int(dim),
            Some(Fit::Vectors { .. }) => return self.unknown_statistic(fit, field, &["dim"]),
            Some(Fit::Lengths(_)) => {
                let d = Diagnostic::error(
                    Code::E0511,
                    "statistics of lengths can only be used in fits",
                )
                .label(field.span, "not available for a batch")
                .help(format!(
                    "for example, `fit length = {fit}.mean + 2 * {fit}.std`"
                ));
                return self.diagnose(d);
            }
            Some(Fit::Size(_) | Fit::Tensors(_) | Fit::Broken) | None => {}
        }
        let Some(fields) = self.data.fitted.get(fit) else {
            return Val::Error;
        };
        let known: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        let Some((_, ty)) = fields
            .iter()
            .find(|(name, _)| **name == *field.text)
            .cloned()
        else {
            let streamed = known.contains(&"min") && percentile(&field.text).is_some();
            return match streamed {
                true => self.streamed_percentile(fit, field),
                false => self.unknown_statistic(fit, field, &known),
            };
        };
        let name = format!("{fit}.{}", field.text);
        let found = self
            .step
            .inputs
            .iter()
            .find(|i| i.role == Role::Fit && *i.name == *name)
            .map(|i| i.value);
        let value = found.unwrap_or_else(|| self.step.input(&name, Role::Fit, ty.clone()));
        Val::Tensor(Tensor {
            value,
            home: Home::Step,
            ty,
            meaning: Meaning::Real,
            mask: None,
        })
    }

    pub fn unknown_statistic(&mut self, fit: &str, field: &Ident, known: &[&str]) -> Val {
        let mut d = Diagnostic::error(Code::E0110, format!("`{fit}` has no `{}`", field.text))
            .label(field.span, "unknown statistic")
            .note(format!("its statistics are: {}", known.join(", ")));
        if let Some(near) = did_you_mean(&field.text, known.iter().copied()) {
            d = d
                .help(format!("did you mean `{near}`?"))
                .fix(field.span, near);
        }
        self.diagnose(d)
    }
}

/// The statistic of this name, if it is a percentile.
pub(crate) fn percentile(name: &str) -> Option<f64> {
    let all = Statistic::ALL.into_iter();
    all.filter(|s| s.name() == name)
        .find_map(Statistic::percentile)
}

impl Elab<'_> {
    /// `scale.median` of streamed rows.
    fn streamed_percentile(&mut self, fit: &str, field: &Ident) -> Val {
        let d = Diagnostic::error(
            Code::E0530,
            format!("`{fit}.{}` needs all training rows at once", field.text),
        )
        .label(field.span, "these rows are streamed")
        .help(ONLY);
        self.diagnose(d)
    }
}
