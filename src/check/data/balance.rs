//! `balance oversample` and `class_weight balanced`: classes of unequal numbers of rows.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::{Dim, Elem, Role, Type};
use crate::span::Span;
use crate::spec::{BalanceSpec, FitKind, FitSpec, Part, Sampling};
use crate::syntax::ast::{Ident, Setting};

use crate::check::elab::Elab;
use crate::check::elab::pattern::per_sample_text;
use crate::check::elab::value::{Home, Meaning, Tensor};

use super::env::DataEnv;
use super::missing::name_of;

pub(crate) const BALANCE: &str = "balance";

/// The words of `balance`.
const WORDS: [&str; 2] = ["oversample", "undersample"];

impl Elab<'_> {
    /// `balance oversample`; with several targets of classes `balance kind = oversample`.
    pub fn balance(
        &mut self,
        setting: Option<&Setting>,
        feeds: &[(Ident, Tensor)],
        env: &DataEnv,
    ) -> Option<BalanceSpec> {
        let setting = setting?;
        let [a] = setting.values.as_slice() else {
            let what = "`balance` uses the classes of a single target";
            self.error(Code::E0605, setting.span, what, "expected one value");
            return None;
        };
        let sampling = match name_of(&a.value).map(|n| &*n.text) {
            Some("oversample") => Sampling::Over,
            Some("undersample") => Sampling::Under,
            word => {
                let what = "`balance` must be `oversample` or `undersample`";
                let mut d =
                    Diagnostic::error(Code::E0605, what).label(a.value.span, "unknown method");
                if let Some(near) = word.and_then(|w| did_you_mean(w, WORDS)) {
                    d = d
                        .help(format!("did you mean `{near}`?"))
                        .fix(a.value.span, near);
                }
                self.diagnose(d);
                return None;
            }
        };
        let is_target = |n: &Ident| env.targets.iter().any(|f| f.name.text == n.text);
        let named = |n: &Ident| a.name.as_ref().is_none_or(|name| name.text == n.text);
        let targets: Vec<&(Ident, Tensor)> = feeds
            .iter()
            .filter(|(n, _)| is_target(n) && named(n))
            .collect();
        let target = match targets.as_slice() {
            [(_, target)] => target,
            [] => {
                if let Some(n) = &a.name {
                    let what = format!("there is no target `{}`", n.text);
                    self.error(Code::E0605, n.span, what, "unknown target");
                }
                return None;
            }
            [(first, _), ..] => {
                let d = Diagnostic::error(Code::E0605, "which target does this balance?")
                    .label(a.span, "name the target")
                    .help(format!("write `{} = ..`", first.text));
                self.diagnose(d);
                return None;
            }
        };
        let column = self.class_column(target, BALANCE, a.value.span, env)?;
        Some(BalanceSpec { column, sampling })
    }

    /// `class_weight balanced`: a number for each class, learnt of the training rows.
    pub fn balanced_weights(
        &mut self,
        target: &Tensor,
        classes: &Dim,
        span: Span,
        env: &DataEnv,
    ) -> Option<Tensor> {
        let column = self.class_column(target, "class_weight balanced", span, env)?;
        let fit = format!("class_weight of {column}");
        let name = format!("{fit}.{WEIGHTS}");
        let ty = Type::new(Elem::F32, [classes.clone()]);
        let mut inputs = self.step.inputs.iter();
        let known = inputs.find(|i| i.role == Role::Fit && *i.name == *name);
        let value = match known.map(|i| i.value) {
            Some(value) => value,
            None => {
                self.data.balanced.push(FitSpec {
                    name: fit,
                    kind: FitKind::ClassWeights {
                        column,
                        classes: classes.as_const().and_then(|n| usize::try_from(n).ok()),
                    },
                    span,
                });
                self.step.input(&name, Role::Fit, ty.clone())
            }
        };
        Some(Tensor {
            value,
            home: Home::Step,
            ty,
            meaning: Meaning::Real,
            mask: None,
        })
    }

    /// The column that a target of classes is: its rows can be counted before training.
    fn class_column(
        &mut self,
        target: &Tensor,
        what: &str,
        span: Span,
        env: &DataEnv,
    ) -> Option<String> {
        if env.spec.streams(Part::Train) {
            let d = Diagnostic::error(Code::E0530, format!("`{what}` needs all training rows at once"))
                .label(span, "these rows are streamed")
                .help("write the weights, as in `class_weight [1.0, 2.5]`, or read the file without `stream`");
            self.diagnose(d);
            return None;
        }
        let mut inputs = self.step.inputs.iter();
        let found = inputs.find(|i| i.role == Role::Data && i.value == target.value);
        let one = matches!(target.meaning, Meaning::Class(_)) && target.ty.rank() == 1;
        match found {
            Some(input) if one => Some(input.name.to_string()),
            _ => {
                let message = format!("`{what}` counts the rows of each class of a column");
                let d = Diagnostic::error(Code::E0605, message)
                    .label(span, format!("the target is {}", per_sample_text(target)))
                    .help("declare the target as a `class` column, or as `text |> index(labels)`");
                self.diagnose(d);
                None
            }
        }
    }
}

/// What the fit of class weights gives.
pub(crate) const WEIGHTS: &str = "weights";
