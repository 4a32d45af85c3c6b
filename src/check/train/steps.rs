//! Several models trained in turn: each step minimizes its own expression over its
//! own models' parameters.

use std::sync::Arc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::{Dim, Elem, Shape};
use crate::span::Span;
use crate::spec::TrainSpec;
use crate::syntax::ast::{self, DefKind, Ident, Setting, Step, Train, TrainItem};

use crate::check::elab::Elab;
use crate::check::elab::naming::snake_case;
use crate::check::elab::pattern::tensor_pattern;
use crate::check::elab::scope::{Frame, VarRole};
use crate::check::elab::value::{ArgVal, Tensor, Val};

use super::Walk;
use super::metrics::{LossTerm, MetricUse, distinct};
use super::settings::{Run, Settings, output_spec};

impl Elab<'_> {
    /// `draw z: [16] = random_normal`: noise of one row a sample.
    pub(super) fn draw(
        &mut self,
        name: &Ident,
        ty: &ast::TypeExpr,
        value: &ast::Expr,
        span: Span,
    ) -> Option<Tensor> {
        let Ok(pattern) = tensor_pattern(ty) else {
            self.error(
                Code::E0314,
                ty.span,
                "noise must be real numbers",
                "write a shape such as `[16]`",
            );
            return None;
        };
        let mut shape = Shape::from_iter([Dim::symbol("B")]);
        shape.extend(self.shape_of(pattern.dims)?);
        match self.eval(value) {
            Val::Def(c) if c.defs[0].def.kind == DefKind::Initializer => {
                self.frames.push(Frame::new(
                    format!("draw:{}", name.text).into(),
                    "draw".into(),
                    false,
                    None,
                ));
                let v = self.run_initializer(&c, &shape, span);
                self.frames.pop();
                let t = self.drawn(v, &c, Elem::F32, value.span)?;
                match t.ty.rank() {
                    0 => self.stretch(t, &shape, value.span),
                    _ => Some(t),
                }
            }
            Val::Error => None,
            other => {
                let mut d = Diagnostic::error(Code::E0301, "noise must come from an initializer")
                    .label(value.span, format!("this is {}", other.describe()));
                if let Some(usual) = crate::library::proposal("noise") {
                    d = d.help(format!("for example, `{usual}`"));
                }
                self.diagnose(d);
                None
            }
        }
    }

    /// A prediction of a block of steps: what the first model returns.
    pub(super) fn predict_first(&mut self, walk: &Walk, spec: &mut TrainSpec) {
        let (m, used) = (&walk.models[0], &walk.t.models[0]);
        let Some(args) = self.first_args(walk) else {
            return;
        };
        if let Val::Tensor(out) = self.apply_model(m, args, used.span) {
            spec.outputs = vec![output_spec("output", &out)];
            self.result("output", out, used.span);
        }
    }

    /// What a prediction gives the first model: feeds of the names of its inputs. A step may call
    /// it with anything, but only these are there when it predicts.
    pub(super) fn first_args(&mut self, walk: &Walk) -> Option<Vec<ArgVal>> {
        let (m, used) = (&walk.models[0], &walk.t.models[0]);
        let mut args = Vec::new();
        for p in &m.inputs {
            let Some((_, t)) = walk.feeds.iter().find(|(n, _)| n.text == p.name.text) else {
                let declared = walk.env.inputs.iter().any(|f| f.name.text == p.name.text);
                let drawn =
                    walk.t.items.iter().any(
                        |i| matches!(i, TrainItem::Draw { name, .. } if name.text == p.name.text),
                    );
                // One that failed has been reported.
                if !declared && !drawn {
                    let name = &p.name.text;
                    let what = format!("`nnc predict` has no input `{name}` for `{}`", m.name.text);
                    let inputs = walk.env.inputs.iter().map(|f| &*f.name.text);
                    let inputs: Vec<&str> = inputs.collect();
                    let d = Diagnostic::error(Code::E0601, what)
                        .label(used.span, "the first model is the one that predicts")
                        .label(p.span, "inputs are matched by name")
                        .help(format!(
                            "name it after an input of the data ({}) or a `draw` of this block",
                            inputs.join(", ")
                        ));
                    self.diagnose(d);
                }
                return None;
            };
            args.push(ArgVal {
                name: None,
                val: Val::Tensor(t.clone()),
                span: p.span,
                symbol: None,
            });
        }
        Some(args)
    }

    /// A step minimizes its own expression over its own models' parameters.
    pub(super) fn train_step(&mut self, walk: &Walk, step: &Step, metrics: &mut Vec<MetricUse>) {
        self.frames
            .push(Frame::new("".into(), "step".into(), false, None));
        // `B` is the batch, as in a model.
        self.frame()
            .bind_given(&"B".into(), Val::Int(Dim::symbol("B")), step.span);
        // What failed is no unknown name.
        let declared = walk.env.inputs.iter().chain(&walk.env.targets);
        for f in declared {
            self.frame()
                .bind(&f.name.text, Val::Error, f.name.span, VarRole::Given);
        }
        for (name, t) in walk.feeds {
            let value = Val::Tensor(t.clone());
            self.frame()
                .bind(&name.text, value, name.span, VarRole::Given);
        }
        for s in &step.stmts {
            self.stmt(s);
        }
        let s = self.settings(step.settings.iter(), &["minimize", "optimizer"], "a step");
        let paths = self.step_models(walk.t, step);
        if let Some(LossTerm { value, count }) = self.minimized(&s, step) {
            let models = step.models.iter().map(|m| snake_case(&m.text));
            let name = format!("{}_loss", models.collect::<Vec<_>>().join("_"));
            let name = distinct(name, metrics);
            self.accumulate_counted(&name, &value, count, step.span, metrics);
            self.optimize_step(walk.run, step, s.get("optimizer"), &value, &paths);
        } else {
            self.train.incomplete = true;
        }
        self.frames.pop();
    }

    /// What the parameters of the step's models begin with.
    fn step_models(&mut self, t: &Train, step: &Step) -> Vec<String> {
        let mut paths = Vec::new();
        for m in &step.models {
            if t.models.iter().any(|n| n.text == m.text) {
                paths.push(format!("{}/", snake_case(&m.text)));
                continue;
            }
            let what = format!("`{}` is not trained by this block", m.text);
            let mut d = Diagnostic::error(Code::E0606, what).label(m.span, "unknown model");
            if let Some(near) = did_you_mean(&m.text, t.models.iter().map(|n| &*n.text)) {
                d = d.help(format!("did you mean `{near}`?")).fix(m.span, near);
            }
            self.diagnose(d);
        }
        paths
    }

    fn minimized(&mut self, s: &Settings, step: &Step) -> Option<LossTerm> {
        let Some(minimize) = s.get("minimize") else {
            self.error(
                Code::E0603,
                step.span,
                "the step has no `minimize`",
                "there is nothing to minimize",
            );
            return None;
        };
        match self.one_value(minimize)? {
            (Val::Tensor(v), _) => {
                let count = self.places_that_count(&v, minimize.span);
                let value = self.scalar_mean(v, minimize.span)?;
                Some(LossTerm { value, count })
            }
            (Val::Error, _) => None,
            (v, at) => {
                self.error(
                    Code::E0312,
                    at,
                    "a step must minimize a tensor",
                    format!("this is {}", v.describe()),
                );
                None
            }
        }
    }

    fn optimize_step(
        &mut self,
        run: Run,
        step: &Step,
        optimizer: Option<&Setting>,
        value: &Tensor,
        paths: &[String],
    ) {
        let mine = |k: &&Arc<str>| paths.iter().any(|p| k.starts_with(p.as_str()));
        let params: Vec<Arc<str>> = self.params.keys().filter(mine).cloned().collect();
        match optimizer {
            Some(optimizer) if !params.is_empty() => self.optimize(optimizer, value, &params, run),
            Some(_) if paths.is_empty() => {}
            Some(optimizer) => {
                self.error(
                    Code::E0607,
                    optimizer.span,
                    "the minimized value does not depend on any parameters of the step's models",
                    "there is nothing to learn here",
                );
            }
            None => {
                self.error(
                    Code::E0604,
                    step.span,
                    "the step has no optimizer",
                    "an optimizer is needed to minimize its value",
                );
            }
        }
    }
}
