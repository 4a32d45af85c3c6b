//! `class_weight` and `sample_weight` of a train block: how much each sample counts in a loss.
//!
//! The loss becomes `sum(weight * value) / number of values`, as Keras' `fit` has it: weights are
//! not normalized. Class weights count in training alone, those of samples in evaluation too.

use crate::diag::{Code, Diagnostic};
use crate::ir::prim::Binary;
use crate::ir::{Dim, Elem, Prim};
use crate::plural;
use crate::span::Span;
use crate::syntax::ast::{Arg, Ident, Setting, TypeExpr, TypeKind};

use crate::check::data::env::{DataEnv, Feed};
use crate::check::data::missing::name_of;
use crate::check::elab::Elab;
use crate::check::elab::pattern::per_sample_text;
use crate::check::elab::scope::Frame;
use crate::check::elab::value::{Meaning, Tensor, Val, float};

use super::settings::{Run, Settings};

pub(crate) const CLASS_WEIGHT: &str = "class_weight";
pub(crate) const SAMPLE_WEIGHT: &str = "sample_weight";

/// What weighs the losses of a train block.
pub(crate) struct Weights<'a> {
    class: Option<&'a Setting>,
    sample: Option<&'a Setting>,
    env: &'a DataEnv,
    run: Run,
}

impl<'a> Weights<'a> {
    pub(crate) fn of(s: &Settings<'a>, env: &'a DataEnv, run: Run) -> Weights<'a> {
        Weights {
            class: s.get(CLASS_WEIGHT),
            sample: s.get(SAMPLE_WEIGHT),
            env,
            run,
        }
    }
}

/// The argument for an output: of its name, or of none.
pub(crate) fn given<'a>(s: Option<&'a Setting>, output: &str) -> Option<&'a Arg> {
    let args = &s?.values;
    let named = |a: &&Arg| a.name.as_ref().is_some_and(|n| &*n.text == output);
    args.iter()
        .find(named)
        .or_else(|| args.iter().find(|a| a.name.is_none()))
}

impl Elab<'_> {
    /// Names in the settings that no output has, and values given twice.
    pub(super) fn check_weights(&mut self, w: &Weights, outputs: &[&str]) {
        for s in [w.class, w.sample].into_iter().flatten() {
            let unnamed = s.values.iter().filter(|a| a.name.is_none());
            if let Some(second) = unnamed.clone().nth(1) {
                self.error(
                    Code::E0605,
                    second.span,
                    format!("`{}` takes one value per output", s.key.text),
                    "a second one",
                );
            }
            if outputs.len() > 1
                && &*s.key.text == CLASS_WEIGHT
                && let Some(a) = unnamed.clone().next()
            {
                let known = outputs.first().copied().unwrap_or("output");
                let d = Diagnostic::error(Code::E0608, "which output does this weight?")
                    .label(a.span, "name the output")
                    .help(format!("write `{known} = [..]`"));
                self.diagnose(d);
            }
            for n in s.values.iter().filter_map(|a| a.name.as_ref()) {
                if !outputs.contains(&&*n.text) {
                    self.unknown_output(n, outputs);
                }
            }
        }
    }

    /// A loss's values, weighed. `target` is what they were compared with.
    pub(super) fn weigh(
        &mut self,
        w: &Weights,
        output: &str,
        values: Tensor,
        target: &Tensor,
        span: Span,
    ) -> Option<Tensor> {
        let mut values = values;
        if w.run == Run::Train
            && let Some(a) = given(w.class, output)
        {
            let weight = self.class_weight(a, target, w.env)?;
            values = self.weigh_by(values, &weight, a.span, span)?;
        }
        if let Some(a) = given(w.sample, output) {
            let weight = self.sample_weight(a, w.env)?;
            values = self.weigh_by(values, &weight, a.span, span)?;
        }
        Some(values)
    }

    fn weigh_by(&mut self, t: Tensor, weight: &Tensor, at: Span, loss: Span) -> Option<Tensor> {
        let shape = &weight.ty.shape;
        if t.ty.shape.len() < shape.len() || t.ty.shape[..shape.len()] != shape[..] {
            let what = match t.ty.rank() {
                0 => {
                    "this loss is one value for the whole batch, so its samples cannot be weighted"
                }
                _ => "the shape of the weights does not match the loss",
            };
            let d = Diagnostic::error(Code::E0605, what)
                .label(at, format!("the weights are {weight}"))
                .label(loss, format!("the loss is {t}"));
            self.diagnose(d);
            return None;
        }
        let spread = Prim::Broadcast {
            shape: t.ty.shape.clone(),
            axes: (0..shape.len()).collect(),
        };
        let Val::Tensor(weight) = self.emit(spread, &[weight], Meaning::Real, at) else {
            return None;
        };
        let mask = t.mask.clone();
        match self.emit(Prim::Binary(Binary::Mul), &[&t, &weight], Meaning::Real, at) {
            Val::Tensor(product) => Some(Tensor { mask, ..product }),
            _ => None,
        }
    }

    /// The weight of each target's class.
    fn class_weight(&mut self, a: &Arg, target: &Tensor, env: &DataEnv) -> Option<Tensor> {
        let span = a.value.span;
        if name_of(&a.value).is_some_and(|n| &*n.text == "balanced")
            && let Meaning::Class(classes) = &target.meaning
        {
            let table = self.balanced_weights(target, classes, span, env)?;
            return self.weights_of(&table, target.clone(), span);
        }
        if name_of(&a.value).is_some_and(|n| &*n.text == "balanced")
            && target.meaning == Meaning::Prob
        {
            let d = Diagnostic::error(Code::E0605, "`balanced` needs a target of class indices")
                .label(span, format!("the target is {}", per_sample_text(target)))
                .help(
                    "declare the target as `class[n]`, or write a list with one number per class",
                );
            self.diagnose(d);
            return None;
        }
        let (classes, index) = match &target.meaning {
            Meaning::Class(n) => (n.as_const(), Some(target.clone())),
            Meaning::Prob => (target.ty.shape.last().and_then(Dim::as_const), None),
            Meaning::Real | Meaning::Token(_) => (None, None),
        };
        let Some(classes) = classes.filter(|_| target.ty.rank() > usize::from(index.is_none()))
        else {
            let d = Diagnostic::error(Code::E0605, "`class_weight` needs a target of classes")
                .label(span, format!("the target is {}", per_sample_text(target)))
                .help(format!(
                    "use `{SAMPLE_WEIGHT}` to weight samples by a column"
                ));
            self.diagnose(d);
            return None;
        };
        let list = match self.eval(&a.value) {
            Val::List(list) => list,
            Val::Error => return None,
            other => {
                self.error(
                    Code::E0605,
                    span,
                    format!("`class_weight` must be `balanced` or a list of {classes} numbers, one per class"),
                    format!("this is {}", other.describe()),
                );
                return None;
            }
        };
        if list.len() as i64 != classes {
            self.error(
                Code::E0605,
                span,
                format!(
                    "the target has {classes} classes, but `class_weight` has {}",
                    plural::count(list.len(), "number")
                ),
                format!("the target is {}", per_sample_text(target)),
            );
            return None;
        }
        let number = |v: &Val| float(v).filter(|x| *x >= 0.0);
        if let Some(v) = list.iter().find(|v| number(v).is_none() && !v.is_error()) {
            let found = v.describe();
            self.error(
                Code::E0605,
                span,
                "a weight must be a number from 0",
                format!("found {found}"),
            );
            return None;
        }
        if !list.is_empty() && list.iter().all(|v| float(v) == Some(0.0)) {
            let d = Diagnostic::error(Code::E0605, "all class weights are 0: nothing is trained");
            self.diagnose(d.label(span, "one of them must be above 0"));
            return None;
        }
        let table = self.number_list(&list, span)?;
        let index = match index {
            Some(index) => index,
            None => {
                let axis = target.ty.rank() - 1;
                match self.emit(Prim::ArgMax { axis }, &[target], Meaning::Real, span) {
                    Val::Tensor(t) => t,
                    _ => return None,
                }
            }
        };
        self.weights_of(&table, index, span)
    }

    /// The number in a list for each class.
    fn weights_of(&mut self, table: &Tensor, index: Tensor, span: Span) -> Option<Tensor> {
        let index = self.cast(index, Elem::I32, span)?;
        let prim = Prim::Gather { axis: 0 };
        match self.emit(prim, &[table, &index], Meaning::Real, span) {
            Val::Tensor(t) => Some(t),
            _ => None,
        }
    }

    /// An expression over columns: one number a sample, or a step of it.
    fn sample_weight(&mut self, a: &Arg, env: &DataEnv) -> Option<Tensor> {
        let span = a.value.span;
        let feed = Feed {
            name: Ident {
                text: SAMPLE_WEIGHT.into(),
                span,
            },
            ty: TypeExpr {
                kind: TypeKind::Tuple(Vec::new()),
                span,
            },
            value: Some(a.value.clone()),
            span,
        };
        self.frames.push(Frame::new(
            "data".into(),
            format!("`{SAMPLE_WEIGHT}`"),
            false,
            None,
        ));
        let t = self.feed_value(&feed, env);
        self.frames.pop();
        let t = t?;
        if t.meaning.is_id() || t.ty.rank() == 0 {
            self.error(
                Code::E0605,
                span,
                format!("`{SAMPLE_WEIGHT}` must be one number per sample"),
                format!("this is {} per sample", per_sample_text(&t)),
            );
            return None;
        }
        let shown = self.shown_of_columns(&a.value, env);
        let t = self.cast(t, Elem::F32, span)?;
        self.bound_weight(&t, shown);
        Some(t)
    }
}
