//! Several models trained in turn: each step minimizes its own expression over its
//! own models' parameters.

use std::sync::Arc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::{Dim, Shape};
use crate::span::Span;
use crate::spec::TrainSpec;
use crate::syntax::ast::{self, DefKind, Ident, Step, Train};

use crate::check::elab::Elab;
use crate::check::elab::naming::snake_case;
use crate::check::elab::pattern::tensor_pattern;
use crate::check::elab::scope::{Frame, VarRole};
use crate::check::elab::value::{ArgVal, Tensor, Val};

use super::metrics::MetricUse;
use super::settings::{Run, output_spec};

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
                match v {
                    Val::Tensor(t) => Some(t),
                    _ => None,
                }
            }
            Val::Error => None,
            other => {
                let mut d = Diagnostic::error(Code::E0301, "noise must come from an initializer")
                    .label(value.span, format!("this is {}", other.describe()));
                if let Some(usual) = crate::library::mending("noise") {
                    d = d.help(format!("for example, `{usual}`"));
                }
                self.report(d);
                None
            }
        }
    }

    /// Several models, each step minimizing its own expression over its own models' parameters.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one run, each used once"
    )]
    pub(super) fn alternating(
        &mut self,
        t: &Train,
        steps: &[&Step],
        models: &[Arc<ast::Model>],
        feeds: &[(Ident, Tensor)],
        run: Run,
        spec: &mut TrainSpec,
        metrics: &mut Vec<MetricUse>,
    ) {
        if run == Run::Predict {
            let m = &models[0];
            let args: Option<Vec<ArgVal>> = m
                .inputs
                .iter()
                .map(|p| {
                    let t = feeds.iter().find(|(n, _)| n.text == p.name.text)?;
                    Some(ArgVal {
                        name: None,
                        val: Val::Tensor(t.1.clone()),
                        span: p.span,
                        symbol: None,
                    })
                })
                .collect();
            let Some(args) = args else {
                self.error(
                    Code::E0601,
                    t.models[0].span,
                    format!("`{}` needs inputs that the data do not have", m.name.text),
                    "inputs are matched by name",
                );
                return;
            };
            if let Val::Tensor(out) = self.apply_model(m, args, t.models[0].span) {
                spec.outputs = vec![output_spec("output", &out)];
                self.result("output", out, t.models[0].span);
            }
            return;
        }
        for step in steps {
            self.frames
                .push(Frame::new("".into(), "step".into(), false, None));
            for (name, t) in feeds {
                self.frame().bind(
                    &name.text,
                    Val::Tensor(t.clone()),
                    name.span,
                    VarRole::Given,
                );
            }
            for s in &step.stmts {
                self.stmt(s);
            }
            let s = self.settings(step.settings.iter(), &["minimize", "optimizer"], "a step");
            let mut wanted = Vec::new();
            for m in &step.models {
                match t.models.iter().find(|n| n.text == m.text) {
                    Some(_) => wanted.push(format!("{}/", snake_case(&m.text))),
                    None => {
                        let mut d = Diagnostic::error(
                            Code::E0606,
                            format!("`{}` is not trained by this block", m.text),
                        )
                        .label(m.span, "unknown model");
                        if let Some(near) = did_you_mean(&m.text, t.models.iter().map(|n| &*n.text))
                        {
                            d = d.help(format!("did you mean `{near}`?")).fix(m.span, near);
                        }
                        self.report(d);
                    }
                }
            }
            let value = match s.get("minimize").map(|m| (self.one_value(m), m.span)) {
                Some((Some((Val::Tensor(v), _)), at)) => self.scalar_mean(v, at),
                Some((Some((Val::Error, _)) | None, _)) => None,
                Some((Some((v, at)), _)) => {
                    self.error(
                        Code::E0312,
                        at,
                        "a step must minimize a tensor",
                        format!("this is {}", v.describe()),
                    );
                    None
                }
                None => {
                    self.error(
                        Code::E0603,
                        step.span,
                        "the step has no `minimize`",
                        "there is nothing to minimize",
                    );
                    None
                }
            };
            if let Some(value) = value {
                let name = format!(
                    "{}_loss",
                    step.models
                        .iter()
                        .map(|m| snake_case(&m.text))
                        .collect::<Vec<_>>()
                        .join("_")
                );
                self.accumulate_mean(&name, &value, step.span, metrics);
                let params: Vec<Arc<str>> = self
                    .params
                    .keys()
                    .filter(|k| wanted.iter().any(|w| k.starts_with(w.as_str())))
                    .cloned()
                    .collect();
                match s.get("optimizer") {
                    Some(opt) if !params.is_empty() => self.optimize(opt, &value, &params, run),
                    Some(_) if wanted.is_empty() => {}
                    Some(opt) => {
                        self.error(
                            Code::E0607,
                            opt.span,
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
            self.frames.pop();
        }
    }
}
