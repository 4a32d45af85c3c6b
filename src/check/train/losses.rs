//! What a loss or a metric compares, and the value of a loss.

use std::rc::Rc;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::prim::Binary;
use crate::ir::{Dim, Elem, Prim};
use crate::library;
use crate::span::Span;
use crate::spec::Alignment;
use crate::syntax::ast::{self, Arg, DefKind, Ident};

use crate::check::data::env::DataEnv;
use crate::check::elab::Elab;
use crate::check::elab::pattern::tensor_pattern;
use crate::check::elab::state::Comparison;
use crate::check::elab::value::{ArgVal, Configured, DefRef, Meaning, Tensor, Val, lists};
use crate::check::eval::argument::article;

impl Elab<'_> {
    /// The definition of a kind that a value names: `mean_squared_error` is a loss and a metric.
    pub(super) fn of_kind(&mut self, v: Val, kind: DefKind, span: Span) -> Option<Rc<Configured>> {
        match v {
            Val::Def(c) => {
                let defs: Vec<DefRef> = c
                    .defs
                    .iter()
                    .filter(|d| d.def.kind == kind)
                    .cloned()
                    .collect();
                if defs.is_empty() {
                    let found = c.defs[0].def.kind.keyword();
                    let d = Diagnostic::error(
                        Code::E0103,
                        format!(
                            "`{}` is {} {found}, not {} {}",
                            c.defs[0].def.name.text,
                            article(found),
                            article(kind.keyword()),
                            kind.keyword()
                        ),
                    )
                    .label(
                        span,
                        format!("expected {} {}", article(kind.keyword()), kind.keyword()),
                    );
                    self.diagnose(d);
                    return None;
                }
                Some(Rc::new(Configured::new(
                    Rc::new(defs),
                    c.args.clone(),
                    c.span,
                )))
            }
            Val::Error => None,
            other => {
                let word = kind.keyword();
                let d =
                    Diagnostic::error(Code::E0103, format!("expected {} {word}", article(word)))
                        .label(span, format!("this is {}", other.describe()));
                let d = self.unquoted(d, &other, kind, span);
                self.diagnose(d);
                None
            }
        }
    }

    /// The output and the target that a loss or metric compares.
    pub(super) fn pair(
        &mut self,
        name: Option<&Ident>,
        outputs: &[(Arc<str>, Tensor)],
        env: &DataEnv,
        feeds: &[(Ident, Tensor)],
        arg: &Arg,
        what: &str,
    ) -> Option<(Arc<str>, Comparison)> {
        let span = arg.span;
        let output = match name {
            Some(n) => match outputs.iter().find(|(o, _)| *o == n.text) {
                Some(o) => o,
                None => {
                    let known: Vec<&str> = outputs.iter().map(|(o, _)| &**o).collect();
                    self.unknown_output(n, &known);
                    return None;
                }
            },
            None if outputs.len() == 1 => &outputs[0],
            None => {
                let known: Vec<&str> = outputs.iter().map(|(o, _)| &**o).collect();
                let d = Diagnostic::error(
                    Code::E0608,
                    format!(
                        "the model has {} outputs: which one does this {what} compare?",
                        outputs.len()
                    ),
                )
                .label(span, "name the output")
                .help(format!(
                    "write `{} = ..`",
                    known.first().copied().unwrap_or("output")
                ));
                self.diagnose(d);
                return None;
            }
        };
        let target = match env.targets.as_slice() {
            [] => {
                let d = Diagnostic::error(Code::E0609, "there is no target in the data")
                    .label(span, format!("this {what} needs a target"))
                    .help("add a line such as `target y : class[10] = label` to the data block");
                self.diagnose(d);
                return None;
            }
            [one] if outputs.len() == 1 => one,
            many => match many.iter().find(|f| f.name.text == output.0) {
                Some(f) => f,
                None => {
                    let known: Vec<&str> = many.iter().map(|f| &*f.name.text).collect();
                    let d = Diagnostic::error(
                        Code::E0609,
                        format!(
                            "there is no target named `{}` for the output of this name",
                            output.0
                        ),
                    )
                    .label(span, format!("this {what} needs it"))
                    .note(format!("targets: {}", known.join(", ")));
                    self.diagnose(d);
                    return None;
                }
            },
        };
        let y = feeds
            .iter()
            .find(|(n, _)| n.text == target.name.text)?
            .1
            .clone();
        let value = target
            .value
            .as_ref()
            .map_or(target.name.text.to_string(), |v| self.source_text(v.span));
        let comparison = Comparison {
            prediction: output.1.clone(),
            target: y,
            name: target.name.clone(),
            value,
            at: arg.value.span,
            depth: self.frames.len(),
        };
        Some((output.0.clone(), comparison))
    }

    pub(super) fn unknown_output(&mut self, n: &Ident, known: &[&str]) {
        let d = Diagnostic::error(Code::E0608, format!("the model has no output `{}`", n.text))
            .label(n.span, "unknown output");
        let d = match did_you_mean(&n.text, known.iter().copied()) {
            Some(near) => d.help(format!("did you mean `{near}`?")).fix(n.span, near),
            None => d.note(format!("outputs: {}", known.join(", "))),
        };
        self.diagnose(d);
    }

    /// A head of one unit meets a scalar target.
    pub(super) fn squeeze_head(&mut self, p: Tensor, y: &Tensor, span: Span) -> Option<Tensor> {
        if p.ty.rank() == y.ty.rank() + 1 && p.ty.shape.last() == Some(&Dim::ONE) {
            let mut shape = p.ty.shape.clone();
            shape.pop();
            let meaning = p.meaning.clone();
            return match self.emit(Prim::Reshape(shape), &[&p], meaning, span) {
                Val::Tensor(t) => Some(t),
                _ => None,
            };
        }
        Some(p)
    }

    /// Applies a loss as a train block does: one value a sample.
    pub(super) fn loss_values(
        &mut self,
        c: &Configured,
        p: &Tensor,
        y: &Tensor,
        span: Span,
    ) -> Option<Tensor> {
        let p = self.squeeze_head(p.clone(), y, span)?;
        let (p, y) = self.widen_targets(c, p, y.clone(), span)?;
        let arg = |t: Tensor| ArgVal {
            name: None,
            val: Val::Tensor(t),
            span,
            symbol: None,
        };
        let v = self.apply(c, vec![arg(p), arg(y)], span, "".into());
        let t = self.returned_tensor(v, c, span)?;
        self.cast(t, Elem::F32, span)
    }

    /// Notes labels that a loss aligns with the steps of the prediction: whether they fit is seen
    /// once the rows are read.
    pub(super) fn note_alignment(&mut self, c: &Configured, pair: &Comparison, env: &DataEnv) {
        let aligns = |d: &DefRef| d.library && library::aligns(&d.def.name.text);
        let steps = pair.prediction.ty.shape.get(1).and_then(Dim::as_const);
        let column = env.columns.contains_key(pair.value.as_str());
        if let Some(steps) = steps.and_then(|n| usize::try_from(n).ok())
            && column
            && c.defs.iter().all(aligns)
        {
            self.train.alignments.push(Alignment {
                column: pair.value.clone(),
                steps,
                span: pair.at,
            });
        }
    }

    /// Scalar predictions and targets become rows of one where the definition wants a last axis.
    pub(super) fn widen_targets(
        &mut self,
        c: &Configured,
        p: Tensor,
        y: Tensor,
        span: Span,
    ) -> Option<(Tensor, Tensor)> {
        let wants_axis = c.defs.iter().all(|d| {
            let (_, inputs) = lists(&d.def);
            inputs
                .first()
                .and_then(|i| i.ty.as_ref())
                .is_some_and(|ty| match tensor_pattern(ty) {
                    // `[B]` is whole as it is; `[.., n]` and `[B, n]` have an axis of features.
                    Ok(pattern) => {
                        let rest = |d: &ast::DimExpr| matches!(d, ast::DimExpr::Rest(_));
                        let sizes = pattern.dims.iter().filter(|d| !rest(d)).count();
                        match pattern.dims.iter().any(rest) {
                            true => sizes > 0,
                            false => sizes > p.ty.rank(),
                        }
                    }
                    Err(_) => false,
                })
        });
        // A number for each masked step is a value of its own, no feature of a sample.
        let single = p.mask.as_ref().map_or(1, |m| m.ty.rank());
        let alone = p.ty.rank() == single && y.ty.rank() == single;
        if !(wants_axis && alone && !y.meaning.is_id()) {
            return Some((p, y));
        }
        let widen = |el: &mut Self, t: Tensor| {
            let mut shape = t.ty.shape.clone();
            shape.push(Dim::ONE);
            let meaning = t.meaning.clone();
            match el.emit(Prim::Reshape(shape), &[&t], meaning, span) {
                Val::Tensor(t) => Some(t),
                _ => None,
            }
        };
        Some((widen(self, p)?, widen(self, y)?))
    }

    pub(super) fn scalar_mean(&mut self, t: Tensor, span: Span) -> Option<Tensor> {
        let t = self.cast(t, Elem::F32, span)?;
        if t.ty.rank() == 0 {
            return Some(t);
        }
        if let Some(mask) = t.mask.clone() {
            return self.masked_mean(&t, &mask, span);
        }
        let axes = (0..t.ty.rank()).collect();
        match self.mean_over(&t, axes, false, span) {
            Val::Tensor(t) => Some(t),
            _ => None,
        }
    }

    pub(super) fn plus(&mut self, a: &Tensor, b: &Tensor, span: Span) -> Option<Tensor> {
        match self.emit(Prim::Binary(Binary::Add), &[a, b], Meaning::Real, span) {
            Val::Tensor(t) => Some(t),
            _ => None,
        }
    }
}

impl Elab<'_> {
    /// The mean of values, one for each sample (and step): masked ones are left out, and of
    /// none the mean is 0. As Keras weighs losses.
    fn masked_mean(&mut self, t: &Tensor, mask: &Tensor, span: Span) -> Option<Tensor> {
        let emitted = |v: Val| match v {
            Val::Tensor(t) => Some(t),
            _ => None,
        };
        let shape = t.ty.shape.clone();
        let axes: Vec<usize> = (0..mask.ty.rank()).collect();
        let spread = Prim::Broadcast { shape, axes };
        let kept = emitted(self.emit(spread, &[mask], Meaning::Real, span))?;
        let zero = self.constant(0.0, t.ty.elem);
        let zero = self.stretch(zero, &t.ty.shape, span)?;
        let values = emitted(self.emit(Prim::Select, &[&kept, t, &zero], Meaning::Real, span))?;
        let number = self.cast(kept, t.ty.elem, span)?;
        let sum = |el: &mut Self, x: &Tensor| {
            let axes = (0..x.ty.rank()).collect();
            let op = crate::ir::prim::Reduce::Sum;
            emitted(el.emit(Prim::Reduce { op, axes }, &[x], Meaning::Real, span))
        };
        let (total, count) = (sum(self, &values)?, sum(self, &number)?);
        let one = self.constant(1.0, t.ty.elem);
        let count = emitted(self.emit(
            Prim::Binary(Binary::Max),
            &[&count, &one],
            Meaning::Real,
            span,
        ))?;
        emitted(self.emit(
            Prim::Binary(Binary::Div),
            &[&total, &count],
            Meaning::Real,
            span,
        ))
    }
}

impl Elab<'_> {
    pub(super) fn model_args(
        &mut self,
        m: &ast::Model,
        used: &Ident,
        feeds: &[(Ident, Tensor)],
        env: &DataEnv,
    ) -> Option<Vec<ArgVal>> {
        let mut args = Vec::new();
        for p in &m.inputs {
            match feeds.iter().find(|(n, _)| n.text == p.name.text) {
                Some((n, t)) => args.push(ArgVal {
                    name: None,
                    val: Val::Tensor(t.clone()),
                    span: n.span,
                    symbol: None,
                }),
                None => {
                    // A feed that failed has been reported.
                    if env
                        .inputs
                        .iter()
                        .chain(&env.targets)
                        .any(|f| f.name.text == p.name.text)
                    {
                        return None;
                    }
                    let mut d = Diagnostic::error(
                        Code::E0601,
                        format!("there is no input `{}` in the data", p.name.text),
                    )
                    .label(p.span, format!("`{}` needs it", m.name.text))
                    .label(used.span, "trained here");
                    let known: Vec<&str> = env.inputs.iter().map(|f| &*f.name.text).collect();
                    d = match did_you_mean(&p.name.text, known.iter().copied()) {
                        Some(near) => d.help(format!("did you mean `{near}`?")),
                        None => d.help(format!(
                            "the inputs of the data are {}",
                            if known.is_empty() {
                                "none".into()
                            } else {
                                known.join(", ")
                            }
                        )),
                    };
                    self.diagnose(d);
                    return None;
                }
            }
        }
        Some(args)
    }
}
